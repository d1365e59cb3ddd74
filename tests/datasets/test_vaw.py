"""VAW: instances with a few judged attributes, from its JSON files."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from cftlearn.datasets import load_vaw
from cftlearn.labels import LabelState

FOLDER = Path(__file__).parents[1] / "data" / "vaw"
DATA = FOLDER / "data"
PARTS = [DATA / "train_part1.json", DATA / "train_part2.json"]
INSTANCE = json.loads(PARTS[1].read_text())[0]


def write(folder, content):
    file = folder / "val.json"
    file.write_text(json.dumps(content))
    return file


def test_a_row_per_instance_of_all_parts():
    table = load_vaw(PARTS)
    assert list(table.categories) == ["amber", "white", "brown", "wet", "tall"]
    assert list(table.paths) == ["713545.jpg", "713545.jpg", "2373554.jpg"]
    assert sparse.issparse(table.states)
    contradicted = LabelState.UNCERTAIN  # white, in both lists
    expected = [[0, 1, 2, 1, 0], [0, contradicted, 0, 0, 2], [1, 0, 0, 0, 0]]
    assert table.states.toarray().tolist() == expected


def test_info_lines_up_and_follows_rows():
    table = load_vaw(PARTS).take([2, 0])
    assert table.info["image_id"].tolist() == [2373554, 713545]
    assert table.info["instance_id"].tolist() == [2373554001, 713545036]
    assert table.info["object_name"].tolist() == ["jalapeño", "horse"]
    np.testing.assert_array_equal(
        table.info["bbox"], [[1, 2, 3, 4], [10, 20.5, 30, 40]]
    )


def test_folders_with_a_split_are_their_files():
    expected = load_vaw(PARTS)
    for folder in (FOLDER, DATA):
        table = load_vaw(folder, split="train")
        assert (table.states != expected.states).nnz == 0
    assert len(load_vaw(str(PARTS[0]))) == 2


@pytest.mark.parametrize("names", [["tall", "white"], ["wet"]])
def test_some_attributes_are_a_selection(names):
    table, everything = load_vaw(PARTS, attributes=names), load_vaw(PARTS)
    expected = everything.select(names).states.toarray()
    np.testing.assert_array_equal(table.states.toarray(), expected)


def test_the_index_may_lie_elsewhere(tmp_path):
    file = write(tmp_path, [INSTANCE])
    with pytest.raises(
        FileNotFoundError, match="`attributes` must be given where there is no"
    ):
        load_vaw(file)
    table = load_vaw(file, attributes=DATA / "attribute_index.json")
    assert len(table.categories) == 5
    assert list(load_vaw(file, attributes=["green"]).categories) == ["green"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_id": None}, "have `image_id` in .*; got None in instance 1 of"),
        (
            {"instance_id": "x"},
            "a whole number of at most 18 digits as `instance_id`; got 'x'",
        ),
        ({"instance_bbox": [1, 2, 3]}, r"as `instance_bbox`; got \[1, 2, 3\]"),
        ({"positive_attributes": "red"}, "have `positive_attributes` in .*; got 'red'"),
        (
            {"negative_attributes": [["wet"]]},
            "must have names in `negative_attributes`",
        ),
        ({"negative_attributes": ["furry"]}, "'furry' in `negative_attributes` of ins"),
        ({"instance_id": 2373554001}, "once; instance_id 2373554001 .* came before"),
    ],
)
def test_hostile_instances_are_refused_with_the_place(tmp_path, changes, message):
    second = {**INSTANCE, "instance_id": "5", **changes}
    file = write(tmp_path, [INSTANCE, second])
    with pytest.raises(ValueError, match=message):
        load_vaw(file, attributes=DATA / "attribute_index.json")


def test_missing_fields_are_named(tmp_path):
    file = write(tmp_path, [{"image_id": 1}])
    with pytest.raises(
        ValueError, match=r"have `instance_id` in .*; got nothing in instance 0"
    ):
        load_vaw(file, attributes=["wet"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "which is empty"),
        ("\n", "line 2, column 1"),
        (PARTS[0].read_text()[:-9], "is not in line 2"),
        ("{}", "list of instances; .* holds a dict"),
        ("[3]", "list of JSON objects; got 3"),
    ],
)
def test_files_that_are_not_lists_of_instances_are_refused(tmp_path, text, message):
    file = tmp_path / "val.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_vaw(file, attributes=["wet"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"attributes": ["wett"]}, "'wett', not in"),
        ({"attributes": ["wet", "wet"]}, "each once"),
        ({"attributes": []}, "at least one"),
        ({"attributes": PARTS[0]}, "numbers the attributes from 0"),
        ({"split": "val"}, "`split` must be None where"),
        ({"path": FOLDER}, "`split` must be one of 'train'"),
        ({"path": []}, "at least one file"),
        ({"path": [PARTS[0], PARTS[0]]}, "named twice"),
    ],
)
def test_wrong_parameters_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        load_vaw(**{"path": PARTS, **arguments})


@pytest.mark.parametrize("index", [{}, [], {"wet": 1}, {"wet": 0, "tall": 0}, 3])
def test_an_index_must_number_the_attributes(tmp_path, index):
    file = tmp_path / "attribute_index.json"
    file.write_text(json.dumps(index))
    with pytest.raises(ValueError, match=r"numbers the attributes from 0; '.*index"):
        load_vaw(PARTS, attributes=file)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"train_part1\.json"):
        load_vaw(tmp_path, split="train")
    with pytest.raises(FileNotFoundError, match=r"test\.json"):
        load_vaw([DATA / "test.json"])


def test_an_empty_list_is_an_empty_table(tmp_path):
    table = load_vaw(write(tmp_path, []), attributes=["wet"])
    assert len(table) == 0
    assert table.info["bbox"].shape == (0, 4)
