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


ANNOTATION = """<annotation>
 <folder>images</folder><filename>{image}</filename><path>C:\\images\\{image}</path>
 <source><database>Unknown</database></source><segmented>0</segmented>
 <object><name>{name}</name><pose>Unspecified</pose><truncated>Unspecified</truncated>
  <difficult>{mark}</difficult><bndbox><xmin>1</xmin></bndbox></object>
</annotation>"""


@pytest.fixture
def own(tmp_path):
    """Return annotations as a labelling tool writes them, without lists."""
    (tmp_path / "Annotations").mkdir()
    for image, name, mark in (
        ("a.png", "helmet", "Unspecified"),
        ("b.PNG", "no helmet", "1"),
        ("c.png", "helmet", "0"),
    ):
        text = ANNOTATION.format(image=image, name=name, mark=mark)
        (tmp_path / "Annotations" / f"{image[0]}.xml").write_text(text)
    return tmp_path


OWN = {"source": "annotations", "split": "all"}


def test_annotations_of_labelling_tools_are_read(own):
    table = load_voc(own, **OWN, categories="found")
    assert table.categories.tolist() == ["helmet", "no helmet"]
    assert table.states.tolist() == [[2, 1], [1, 3], [2, 1]]
    names = [f"JPEGImages/{name}" for name in ("a.png", "b.PNG", "c.png")]
    assert table.paths.tolist() == names
    named = load_voc(own, **OWN, categories=["no helmet"])
    assert named.states.tolist() == [[1], [3], [1]]
    with pytest.raises(
        ValueError, match='own, pass categories="found", or their names'
    ):
        load_voc(own, **OWN)


def test_an_annotation_of_another_image_is_refused(own):
    file = own / "Annotations" / "c.xml"
    file.write_text(file.read_text().replace("c.png", "d.png"))
    with pytest.raises(ValueError, match=r"'c' says it is of 'd\.png'.*Rename the"):
        load_voc(own, **OWN, categories="found")
    (own / "JPEGImages").mkdir()
    (own / "JPEGImages" / "c.png").touch()
    table = load_voc(own, **OWN, categories="found")
    assert table.paths.tolist()[2] == "JPEGImages/c.png"


def test_own_categories_are_those_of_all_splits(own):
    lists = own / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("a\nc\n")
    for categories in ("found", ["helmet", "no helmet"]):
        table = load_voc(own, source="annotations", split="val", categories=categories)
        assert table.categories.tolist() == ["helmet", "no helmet"]
        assert table.states.tolist() == [[2, 1], [2, 1]]
    (lists / "helmet_val.txt").write_text("a 1\nc -1\n")
    (lists / "no helmet_val.txt").write_text("a 0\nc 1\n")
    table = load_voc(own, split="val", categories="found")
    assert table.categories.tolist() == ["helmet", "no helmet"]
    assert table.states.tolist() == [[2, 3], [1, 2]]


def test_images_have_the_name_that_is_there(own):
    folder = own / "JPEGImages"
    folder.mkdir()
    for name in ("a.jpeg", "b.PNG", "b.jpg"):
        (folder / name).touch()
    table = load_voc(own, **OWN, categories="found")
    names = [f"JPEGImages/{name}" for name in ("a.jpeg", "b.PNG", "c.png")]
    assert table.paths.tolist() == names
    (folder / "b.PNG").rename(folder / "b.bmp")
    with pytest.raises(
        ValueError, match=r"one file of each image; .* has b\.bmp, b\.j"
    ):
        load_voc(own, **OWN, categories="found")


@pytest.mark.parametrize("mark", ["", "0", "false", "Unspecified", "1", "True"])
def test_marks_are_read_as_tools_write_them(own, mark):
    text = ANNOTATION.format(image="a.png", name="cat", mark=mark)
    (own / "Annotations" / "a.xml").write_text(text)
    table = load_voc(own, **OWN, categories="found").select(["cat"]).take([0])
    is_difficult = mark in ("1", "True")
    assert table.states[0, 0] == (3 if is_difficult else 2)


def test_a_misspelt_category_of_voc_is_refused_whatever_is_kept(devkit):
    path = devkit / "VOC2007" / "Annotations" / "000007.xml"
    path.write_text(path.read_text().replace(">car<", ">cars<"))
    with pytest.raises(ValueError, match=r"VOC's twenty .* got 'cars'"):
        load_voc(devkit, source="annotations", categories=["dog"])
