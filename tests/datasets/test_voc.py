"""PASCAL VOC: lists and annotations agree, and difficult objects count for nothing."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from cftlearn.datasets import load_voc
from cftlearn.labels import LabelState

DEVKIT = Path(__file__).parents[1] / "data" / "VOCdevkit"


@pytest.fixture
def devkit(tmp_path):
    """Return a copy to change."""
    return Path(shutil.copytree(DEVKIT, tmp_path / "VOCdevkit"))


def test_lists_and_annotations_agree():
    lists = load_voc(DEVKIT)
    annotations = load_voc(DEVKIT, source="annotations")
    np.testing.assert_array_equal(lists.states, annotations.states)
    assert list(lists.paths) == list(annotations.paths)
    assert len(lists.categories) == 20
    assert lists.categories.tolist() == sorted(lists.categories)


@pytest.mark.parametrize("source", ["lists", "annotations"])
def test_categories_with_difficult_objects_only_are_uncertain(source):
    table = load_voc(DEVKIT, source=source, categories=["chair", "sofa", "dog", "cat"])
    nan = np.nan
    expected = [[1, nan, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, nan, 1]]
    np.testing.assert_array_equal(table.labels(), expected)
    np.testing.assert_array_equal(table.labels(blank="negative"), expected)
    as_mlcpl = table.labels(uncertain="positive")
    np.testing.assert_array_equal(as_mlcpl, np.nan_to_num(expected, nan=1))


def test_parts_of_a_person_are_no_objects():
    table = load_voc(DEVKIT, source="annotations")
    assert table.summary()[14] == {
        "category": "person",
        "n_positive": 1,
        "n_negative": 3,
        "n_uncertain": 0,
        "n_blank": 0,
    }


@pytest.mark.parametrize(
    ("folder", "start"),
    [
        (DEVKIT.parent, "VOCdevkit/VOC2007/"),
        (DEVKIT, "VOC2007/"),
        (DEVKIT / "VOC2007", ""),
    ],
)
@pytest.mark.parametrize("year", [None, 2007])
def test_the_year_is_found_and_paths_start_at_the_folder(folder, start, year):
    table = load_voc(str(folder), year=year)
    assert table.paths[0] == f"{start}JPEGImages/000005.jpg"
    assert list(table.info["image_id"]) == ["000005", "000007", "000009", "000012"]


def test_a_split_has_its_own_images():
    table = load_voc(DEVKIT, split="train")
    assert list(table.info["image_id"]) == ["000012"]
    np.testing.assert_array_equal(
        table.states, load_voc(DEVKIT, split="trainval").states[3:]
    )


def test_several_years_need_a_choice(devkit):
    shutil.copytree(devkit / "VOC2007", devkit / "VOC2012")
    with pytest.raises(
        ValueError, match=r"`year` must choose .* holds VOC2007, VOC2012"
    ):
        load_voc(devkit)
    assert load_voc(devkit, year=2012).paths[0].startswith("VOC2012/")


@pytest.mark.parametrize("other", ["VOC2012/JPEGImages", "mine/ImageSets", "VOC12.txt"])
def test_other_folders_are_no_years(devkit, other):
    (devkit / other).mkdir(parents=True)
    assert load_voc(devkit).paths[0].startswith("VOC2007/")


@pytest.mark.parametrize(
    ("folder", "options", "match"),
    [
        (DEVKIT, {"year": 2012}, "must hold VOC2012 .* which holds VOC2007"),
        (DEVKIT / "none", {}, "must hold a folder VOC<year> .* holds no such folder"),
        (DEVKIT / "VOC2007", {"year": 2012}, "must hold VOC2012"),
        (DEVKIT, {"split": "all"}, "got 'all'. There are: 'test', 'train', 'trainval'"),
        (DEVKIT, {"split": "test"}, "without 'ImageSets/Main/aeroplane_test.txt'. VOC"),
        (
            DEVKIT,
            {"split": "test", "source": "annotations"},
            r"without '000001\.xml' \(1 of 1 images are missing\)",
        ),
    ],
)
def test_missing_parts_are_named(folder, options, match):
    with pytest.raises(FileNotFoundError, match=match):
        load_voc(folder, **options)


@pytest.mark.parametrize(
    ("file", "content", "match"),
    [
        ("trainval.txt", "000005\n000005\n", "got '000005' in line 2 of"),
        ("trainval.txt", "000005 1\n", "got '000005 1' in line 1"),
        ("trainval.txt", "", "which is empty"),
        ("dog_trainval.txt", "000005  2\n", "1, -1 or 0; got '000005  2' in line 1"),
        ("dog_trainval.txt", "000005\n", "got '000005' in line 1"),
        ("dog_trainval.txt", "000005 1\n000005 1\n", "got '000005 1' in line 2"),
        ("dog_trainval.txt", "123456 1\n", "an image of the split.*got '123456 1'"),
        (
            "dog_trainval.txt",
            "000005 1\n",
            r"without '000007' \(3 of 4 images are miss",
        ),
    ],
)
def test_wrong_lists_are_refused(devkit, file, content, match):
    (devkit / "VOC2007" / "ImageSets" / "Main" / file).write_text(content)
    with pytest.raises(ValueError, match=match):
        load_voc(devkit)


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("<name>car</name>", "<name>lorry</name>", "got 'lorry' in '.*000007.xml'"),
        ("<name>car</name>", "", "must name every object; got '' at"),
        (
            "<difficult>0",
            "<difficult>no",
            "0 or 1 as 'difficult'.* got 'no' for an obj",
        ),
        ("</annotation>\n", "", r"in XML; '.*000007.xml' is not in line 32, col"),
    ],
)
def test_wrong_annotations_are_refused(devkit, old, new, match):
    path = devkit / "VOC2007" / "Annotations" / "000007.xml"
    text = path.read_text()
    assert old in text
    path.write_text(text[::-1].replace(old[::-1], new[::-1], 1)[::-1])
    assert (load_voc(devkit).states == load_voc(DEVKIT).states).all()
    with pytest.raises(ValueError, match=match):
        load_voc(devkit, source="annotations")


def test_objects_without_a_mark_are_not_difficult(devkit):
    path = devkit / "VOC2007" / "Annotations" / "000012.xml"
    path.write_text(path.read_text().replace("<difficult>1</difficult>", ""))
    table = load_voc(devkit, source="annotations", categories=["dog"])
    assert table.states[3, 0] == LabelState.POSITIVE


def test_wrong_options_are_refused():
    with pytest.raises(
        ValueError, match="'source' parameter of load_voc must be a str"
    ):
        load_voc(DEVKIT, source="xml")
    with pytest.raises(ValueError, match=r"`categories` must name .* got 'unicorn'"):
        load_voc(DEVKIT, categories=["unicorn"])
