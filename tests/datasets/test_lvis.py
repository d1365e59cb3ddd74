"""LVIS: annotated, checked and found absent, or not checked."""

import json
from pathlib import Path

import numpy as np
import pytest

from cftlearn.datasets import load_lvis

PATH = Path(__file__).parents[1] / "data" / "lvis" / "lvis_v1_val.json"


@pytest.fixture
def content():
    return json.loads(PATH.read_text())


def test_labels_are_those_that_annotators_gave():
    table = load_lvis(PATH)
    names = ["aerosol_can", "air_conditioner", "bow_(weapon)", "zucchini"]
    assert list(table.categories) == names
    nan = np.nan
    np.testing.assert_array_equal(
        table.labels(),
        [
            [1, 0, 1, nan],  # annotated, checked, annotated but not all, not checked
            [0, nan, nan, 0],  # its second category is annotated and marked absent
            [nan, nan, nan, 1],  # not annotated, but marked as not all annotated
            [nan, nan, nan, nan],
        ],
    )
    assert table.summary()[1]["n_uncertain"] == 1


def test_states_equal_a_loop_over_the_file(content):
    seen, absent = set(), set()
    for image in content["images"]:
        seen |= {(image["id"], one) for one in image["not_exhaustive_category_ids"]}
        absent |= {(image["id"], one) for one in image["neg_category_ids"]}
    for one in content["annotations"]:
        seen.add((one["image_id"], one["category_id"]))
    table = load_lvis(PATH)
    states = table.states.toarray()
    for row, image_id in enumerate(table.info["image_id"].tolist()):
        for column, category_id in enumerate([1, 2, 3, 4]):
            cell = image_id, category_id
            expected = 2 * (cell in seen) + (cell in absent)
            assert states[row, column] == expected


def test_paths_have_the_folder_of_each_image():
    table = load_lvis(PATH)
    assert list(table.paths[:2]) == [
        "train2017/000000446522.jpg",
        "val2017/000000289343.jpg",
    ]
    assert table.info["width"].tolist() == [640] * 4


def test_categories_are_selected_by_name():
    table = load_lvis(PATH, categories=["zucchini"])
    np.testing.assert_array_equal(table.labels().ravel(), [np.nan, 0, 1, np.nan])


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("neg_category_ids", [9], r"'neg_category_ids'; got 9 at images\[1\] of"),
        ("neg_category_ids", [[1]], r"'neg_category_ids'; got \[1\] at images\[1\]"),
        ("neg_category_ids", [1.5], "'neg_category_ids'; got 1.5 at"),
        (
            "not_exhaustive_category_ids",
            ["1"],
            "'not_exhaustive_category_ids'; got '1'",
        ),
        ("neg_category_ids", None, r"a list as 'neg_category_ids'; got None at images"),
        ("coco_url", "image.jpg", "end in folder/file as 'coco_url'; got 'image.jpg'"),
        ("coco_url", 7, "text as 'coco_url'; got 7"),
    ],
)
def test_wrong_values_are_refused(content, tmp_path, key, value, match):
    content["images"][1][key] = value
    path = tmp_path / "lvis.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=match):
        load_lvis(path)


def test_a_file_of_coco_is_refused():
    path = PATH.parent.parent / "coco" / "instances_val2014.json"
    with pytest.raises(
        ValueError, match="'not_exhaustive_category_ids' in every object"
    ):
        load_lvis(path)


def test_ids_may_be_text(content, tmp_path):
    for image in content["images"]:
        image["neg_category_ids"] = [str(key) for key in image["neg_category_ids"]]
        keys = image["not_exhaustive_category_ids"]
        image["not_exhaustive_category_ids"] = [str(key) for key in keys]
    for category in content["categories"]:
        category["id"] = str(category["id"])
    for annotation in content["annotations"]:
        annotation["category_id"] = str(annotation["category_id"])
    path = tmp_path / "lvis.json"
    path.write_text(json.dumps(content))
    table, expected = load_lvis(path), load_lvis(PATH)
    assert (table.select(expected.categories).states != expected.states).nnz == 0


def test_a_synset_is_one_category(content, tmp_path):
    content["categories"][1]["synset"] = content["categories"][0]["synset"]
    path = tmp_path / "lvis.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"every synset once; got '.*' of '.*' again"):
        load_lvis(path)
