"""VG-200: lists of images, and indices of their categories."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from cftlearn.datasets import load_vg200

FOLDER = Path(__file__).parents[1] / "data" / "vg200"
INDEX_200 = "vg_category_200_labels_index.json"
INDEX_500 = "vg_category_500_labels_index.json"


@pytest.fixture
def copy(tmp_path):
    return shutil.copytree(FOLDER, tmp_path / "vg200")


def test_listed_categories_are_positive_and_others_negative():
    table = load_vg200(FOLDER, split="train")
    assert list(table.paths) == ["2328403.jpg", "1592810.jpg"]
    assert table.info["image_id"].tolist() == [2328403, 1592810]
    expected = np.zeros((2, 200))
    expected[0, [0, 3, 199]] = expected[1, 17] = 1
    np.testing.assert_array_equal(table.labels(), expected)
    assert list(table.categories[[0, 199]]) == ["0", "199"]


def test_the_last_line_may_lack_its_end():
    table = load_vg200(FOLDER, split="test")
    assert list(table.paths) == ["91.jpg"]
    assert not table.labels().any()


def test_the_first_200_of_500_categories_are_taken(copy):
    index = json.loads((copy / INDEX_200).read_text())
    wider = {path: [*listed, 200, 499] for path, listed in index.items()}
    (copy / INDEX_200).unlink()
    (copy / INDEX_500).write_text(json.dumps(wider))
    table = load_vg200(copy, split="train")
    expected = load_vg200(FOLDER, split="train")
    np.testing.assert_array_equal(table.states, expected.states)


def test_categories_may_be_named():
    names = [f"thing {i}" for i in range(200)]
    table = load_vg200(FOLDER, split="train", categories=names)
    assert list(table.categories) == names
    with pytest.raises(ValueError, match="`categories` must be 200 different names"):
        load_vg200(FOLDER, split="train", categories=["tree"] * 200)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (INDEX_200, '{"2328403.jpg": [200]}', r"0 to 199; got \[200\] for '2328403"),
        (INDEX_200, '{"2328403.jpg": [1.0]}', r"got \[1\.0\]"),
        (INDEX_200, '{"2328403.jpg": 3}', "got 3"),
        (INDEX_200, '{"2328403.jpg": [3]}', "has none for '1592810"),
        (INDEX_200, "[]", "JSON object .* holds a list"),
        (INDEX_200, '{"2328403.jpg": [3', "must be JSON"),
        (
            "train_list_500.txt",
            "91.jpg\n91.jpg\n",
            r"got '91\.jpg' and '91.jpg' in lines 1 and 2 of",
        ),
        ("train_list_500.txt", "\n", "with lines; .* has none"),
    ],
)
def test_hostile_files_are_refused(copy, file, text, message):
    (copy / file).write_text(text)
    with pytest.raises(ValueError, match=message):
        load_vg200(copy, split="train")


def test_lists_of_other_images_are_refused(copy):
    (copy / "train_list_500.txt").write_text("cat.jpg\n")
    (copy / INDEX_200).write_text('{"cat.jpg": []}')
    with pytest.raises(ValueError, match=r"'cat\.jpg' in line 1"):
        load_vg200(copy, split="train")


def test_missing_files_are_named(copy):
    (copy / INDEX_200).unlink()
    with pytest.raises(FileNotFoundError, match=f"none of {INDEX_200}, {INDEX_500}"):
        load_vg200(copy, split="train")
