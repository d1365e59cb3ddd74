"""NUS-WIDE: a file per concept, a line per image."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from cftlearn.datasets import load_nus_wide
from cftlearn.labels import LabelState

FOLDER = Path(__file__).parents[1] / "data" / "nus_wide"
LABELS = "Groundtruth/TrainTestLabels/Labels_sky_Train.txt"


@pytest.fixture
def copy(tmp_path):
    return shutil.copytree(FOLDER, tmp_path / "nus")


def test_the_train_split_lines_up_with_its_list():
    table = load_nus_wide(FOLDER, split="train")
    assert list(table.categories) == ["airport", "lake", "sky"]
    assert list(table.paths) == [
        "actor/0001_2124494179.jpg",
        "actor/0002_174174086.jpg",
        "zoos/0003_2815535.jpg",
    ]
    assert table.info["flickr_id"].tolist() == ["2124494179", "174174086", "2815535"]
    mistake = LabelState.UNCERTAIN  # the -1130179 that was published
    assert table.states.tolist() == [[1, 1, 2], [1, mistake, 2], [2, 2, 1]]


def test_other_splits_have_their_own_files():
    test = load_nus_wide(str(FOLDER), split="test")
    assert test.labels().tolist() == [[0, 0, 1]]
    everything = load_nus_wide(FOLDER, split="all")
    assert len(everything) == 4
    assert not np.isnan(everything.labels()).any()


def test_names_of_folders_may_differ(copy):
    (copy / "Groundtruth").rename(copy / "GroundTruth")
    (copy / "ConceptsList" / "Concepts81.txt").rename(copy / "Concepts81.txt")
    (copy / "ConceptsList").rmdir()
    table = load_nus_wide(copy, split="train")
    expected = load_nus_wide(FOLDER, split="train")
    np.testing.assert_array_equal(table.states, expected.states)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (LABELS, "1\n1\n", r"Labels_sky_Train\.txt' has 2 lines, '.*list\.txt' 3"),
        (LABELS, "1\n1\n0\n0\n", "has 4 lines"),
        (LABELS, "", "which is empty"),
        (LABELS, "\n", "has 0 lines"),
        (LABELS, "1\n2\n0\n", r"got '2' in line 2 of '.*Labels_sky"),
        (LABELS, "1\n-1130179\n0\n", r"got '-1130179' in line 2"),
        ("ImageList/TrainImagelist.txt", "a\\1_2.jpg\n\nb\\1_3.jpg\n", "line 2 of"),
    ],
)
def test_hostile_files_are_named_with_the_line(copy, file, text, message):
    (copy / file).write_text(text)
    with pytest.raises(ValueError, match=message):
        load_nus_wide(copy, split="train")


def test_missing_files_and_folders_are_named(copy):
    (copy / LABELS).unlink()
    with pytest.raises(
        FileNotFoundError, match=r"the labels of 'sky'; .* Groundtruth/"
    ):
        load_nus_wide(copy, split="train")
    with pytest.raises(NotADirectoryError, match="`path` must be a folder"):
        load_nus_wide(copy / "absent", split="train")
    with pytest.raises(ValueError, match="'split' parameter"):
        load_nus_wide(copy, split="valid")


def test_images_and_concepts_are_listed_once(copy):
    images = copy / "ImageList" / "TrainImagelist.txt"
    lines = images.read_text().splitlines()
    images.write_text("\n".join([*lines[:2], lines[0]]) + "\n")
    with pytest.raises(
        ValueError, match=r"every image once; got .* in lines 1 and 3 of"
    ):
        load_nus_wide(copy, split="train")


def test_a_line_has_one_label(copy):
    (copy / LABELS).write_text("1 0\n\n1\n")
    with pytest.raises(
        ValueError, match=r"0 or 1 in every line .* got '1 0' in line 1"
    ):
        load_nus_wide(copy, split="train")
