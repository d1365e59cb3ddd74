"""Annotation files: indices of images and categories, or the location of a mistake."""

import json
from pathlib import Path

import pytest

from cftlearn.datasets._annotation_file import as_id, field, read_annotation_file

PATH = Path(__file__).parents[1] / "data" / "coco" / "instances_val2014.json"


@pytest.fixture
def content():
    return json.loads(PATH.read_text())


@pytest.fixture
def read(tmp_path):
    """Write a content as a file of its own and read that."""

    def write_and_read(content):
        path = tmp_path / "instances.json"
        path.write_text(json.dumps(content))
        return read_annotation_file(path, keep=file_name)

    return write_and_read


def file_name(location, image):
    return field(image, "file_name", str, location), image


def test_annotations_are_indices_of_images_and_categories(read):
    content = {
        "annotations": [
            {"image_id": 7, "category_id": 30},
            {"image_id": -2, "category_id": 4},
        ],
        "categories": [{"id": 30, "name": "a"}, {"id": 4, "name": "b"}],
        "images": [
            {"id": -2, "file_name": "x", "width": 3, "height": 4},
            {"id": 7, "file_name": "y", "width": 5, "height": 6},
        ],
    }
    found = read(content)
    assert found.paths == ["x", "y"]
    assert found.images == content["images"]
    assert {key: column.tolist() for key, column in found.info.items()} == {
        "image_id": [-2, 7],
        "width": [3, 5],
        "height": [4, 6],
    }
    assert found.categories.tolist() == ["b", "a"]
    assert found.category_ids == [4, 30]
    assert found.rows.tolist() == [1, 0]
    assert found.columns.tolist() == [1, 0]


def test_images_are_kept_as_asked(content, tmp_path):
    seen = []
    found = read_annotation_file(
        PATH, keep=lambda location, image: (image["coco_url"], seen.append(location))
    )
    assert found.images == [None] * len(found.info["image_id"])
    assert found.paths[0].startswith("http")
    assert seen[1] == f"images[1] of '{PATH}'"


@pytest.mark.parametrize("value", [2**53, -(2**53), 640, 0])
def test_integers_fit_into_64_bits(value):
    assert as_id(value, "id", "here") == as_id(float(value), "id", "here") == value


@pytest.mark.parametrize("value", [2**63, -(2**63), 1e300, True, 1.5, [1], None])
def test_other_values_are_not_integers(value):
    with pytest.raises(
        ValueError, match=r"must have a whole number or text as 'id'; got .* at here"
    ):
        as_id(value, "id", "here")


def test_long_values_are_cut_in_errors():
    with pytest.raises(ValueError, match=r"text as 'name'; got .{1,80} at here"):
        field({"name": list(range(100))}, "name", str, "here")
    with pytest.raises(ValueError, match=r"objects in its lists; got .{1,80} at here"):
        field(list(range(100)), "name", str, "here")


def changed(content, name, place, /, **values):
    content[name][place].update(values)
    return content


def without(content, name, place, key):
    del content[name][place][key]
    return content


def repeated(content, name, place):
    content[name].append(content[name][place])
    return content


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            lambda c: changed(c, "annotations", 3, image_id=7),
            r"got image_id 7, which it does not list, at annotations\[3\] of '.*"
            r"json' \(1 annotations",
        ),
        (
            lambda c: changed(c, "annotations", 0, category_id=2),
            "got category_id 2, which it does not list",
        ),
        (
            lambda c: changed(c, "annotations", 1, image_id="391895"),
            r"image_id '391895', which it does not list, at annotations\[1\] of .* It "
            "lists the image 391895: write all ids as numbers, or all as text",
        ),
        (
            lambda c: changed(c, "annotations", 1, category_id=True),
            "a whole number or text as 'category_id'; got True",
        ),
        (
            lambda c: changed(c, "images", 1, id=2**63),
            "a whole number or text as 'id'; got 9223372036854775808",
        ),
        (
            lambda c: changed(c, "images", 1, file_name=None),
            r"text as 'file_name'; got None at images\[1\]",
        ),
        (
            lambda c: without(c, "images", 2, "file_name"),
            r"'file_name' in every object of this list; it is missing at images\[2\]",
        ),
        (
            lambda c: without(c, "annotations", 2, "category_id"),
            r"it is missing at annotations\[2\] of .*, which has: 'segmentation', "
            r"'area'",
        ),
        (
            lambda c: repeated(c, "images", 1),
            r"every image once; got id 522418 at images\[1\] and again at images\[4\]",
        ),
        (
            lambda c: repeated(c, "categories", 0),
            r"every category once; got id 1 at categories\[0\] and again at "
            r"categories\[4\]",
        ),
        (
            lambda c: changed(c, "categories", 1, name="person"),
            r"every category once; got name 'person' at categories\[0\] and again at "
            r"categories\[1\]",
        ),
        (
            lambda c: {**c, "annotations": [17]},
            r"objects in its lists; got 17 at annotations\[0\]",
        ),
        (
            lambda c: {**c, "annotations": {"1": 2}},
            "a list as the value of 'annotations'",
        ),
        (
            lambda c: {key: c[key] for key in ("info", "images", "categories")},
            "without 'annotations'. Files of captions, and of test images",
        ),
    ],
)
def test_files_that_contradict_themselves_are_refused(content, read, change, match):
    with pytest.raises(ValueError, match=match):
        read(change(content))
