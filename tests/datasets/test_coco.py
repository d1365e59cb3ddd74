"""MS-COCO: states as a loop over annotations gives them; files of other forms."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from cftlearn.datasets import _coco, load_coco
from cftlearn.labels import LabelState

PATH = Path(__file__).parents[1] / "data" / "coco" / "instances_val2014.json"


@pytest.fixture
def content():
    return json.loads(PATH.read_text())


@pytest.fixture
def load(tmp_path):
    """Write a content as a file of its own and load that."""

    def write_and_load(content, **options):
        path = tmp_path / "instances.json"
        path.write_text(json.dumps(content))
        return load_coco(path, **options)

    return write_and_load


def test_states_equal_a_loop_over_annotations(content):
    table = load_coco(PATH)
    images = [image["id"] for image in content["images"]]
    categories = sorted(content["categories"], key=lambda category: category["id"])
    ids = [category["id"] for category in categories]
    expected = np.full((len(images), len(ids)), LabelState.NEGATIVE)
    for annotation in content["annotations"]:
        cell = (
            images.index(annotation["image_id"]),
            ids.index(annotation["category_id"]),
        )
        expected[cell] = LabelState.POSITIVE
    np.testing.assert_array_equal(table.states, expected)
    assert list(table.categories) == ["person", "stop sign", "dog", "toothbrush"]
    assert table.states.dtype == np.uint8


def test_images_without_annotations_are_negative_and_crowds_positive():
    table = load_coco(PATH)
    labels = dict(zip(table.info["image_id"].tolist(), table.labels(), strict=True))
    np.testing.assert_array_equal(labels[522418], [0, 0, 0, 0])
    np.testing.assert_array_equal(labels[184613], [1, 0, 1, 0])  # a crowd of persons
    np.testing.assert_array_equal(labels[318219], [0, 0, 0, 1])


def test_paths_and_info_are_those_of_the_file():
    table = load_coco(str(PATH))
    assert table.paths[0] == "COCO_val2014_000000391895.jpg"
    assert table.info["image_id"].tolist() == [391895, 522418, 184613, 318219]
    assert table.info["width"].tolist() == [640, 480, 640, 640]
    assert table.info["height"].tolist() == [480, 640, 480, 480]


def test_sizes_that_some_images_lack_are_left_out(content, load):
    del content["images"][1]["width"]
    assert set(load(content).info) == {"image_id", "height"}


def test_categories_are_selected_by_name(content, load):
    table = load(content, categories=["toothbrush", "person"])
    np.testing.assert_array_equal(table.labels()[0], [1, 1])
    assert list(table.categories) == ["toothbrush", "person"]
    with pytest.raises(ValueError, match=r"`categories` must name .* got 'unicorn'"):
        load(content, categories=["unicorn"])


def test_packing_and_order_of_members_do_not_matter(content, load, tmp_path):
    expected = load_coco(PATH).states
    packed = tmp_path / "instances.json.gz"
    packed.write_bytes(gzip.compress(b"\xef\xbb\xbf" + PATH.read_bytes()))
    np.testing.assert_array_equal(load_coco(packed).states, expected)
    backward = dict(reversed(content.items()))
    np.testing.assert_array_equal(load(backward).states, expected)


def test_a_file_without_images_gives_an_empty_table(load):
    table = load({"images": [], "annotations": [], "categories": []})
    assert table.states.shape == (0, 0)


def test_a_file_that_is_cut_off_is_refused(tmp_path):
    path = tmp_path / "instances.json"
    path.write_bytes(PATH.read_bytes()[:1500])
    with pytest.raises(ValueError, match="get it again"):
        load_coco(path)


def same_labels(table, other):
    np.testing.assert_array_equal(table.states, other.states)
    assert table.paths.tolist() == other.paths.tolist()
    assert table.categories.tolist() == other.categories.tolist()


@pytest.mark.parametrize("size", [None, "640", 640.5, -1, [], 2**70])
def test_no_label_depends_on_a_size(content, load, size):
    content["images"][1]["width"] = size
    content["images"][2]["height"] = 480.0
    table = load(content)
    same_labels(table, load_coco(PATH))
    assert list(table.info) == ["image_id", "height"]
    np.testing.assert_array_equal(
        table.info["height"], load_coco(PATH).info["height"].astype(float)
    )


@pytest.mark.parametrize(
    "as_id", [str, float, lambda key: f"img_{key:012}"], ids=["text", "float", "names"]
)
def test_ids_may_be_text_or_floats(content, load, as_id):
    for image in content["images"]:
        image["id"] = as_id(image["id"])
    for annotation in content["annotations"]:
        annotation["image_id"] = as_id(annotation["image_id"])
    table = load(content)
    same_labels(table, load_coco(PATH))
    ids = [image["id"] for image in content["images"]]
    assert table.info["image_id"].tolist() == ids


def test_category_ids_may_be_text(content, load):
    names = {category["id"]: category["name"] for category in content["categories"]}
    for category in content["categories"]:
        category["id"] = category["name"]
    for annotation in content["annotations"]:
        annotation["category_id"] = names[annotation["category_id"]]
    table = load(content)
    assert table.categories.tolist() == sorted(names.values())
    same_labels(table, load_coco(PATH).select(sorted(names.values())))


@pytest.mark.parametrize("again", ["{}", "./{}", " {}"])
def test_an_image_file_has_one_id(content, load, again):
    twin = dict(content["images"][0], id=99)
    twin["file_name"] = again.format(twin["file_name"])
    content["images"].append(twin)
    with pytest.raises(ValueError, match=r"every image file once; got .* as id 99 at"):
        load(content)


def test_blanks_and_forms_of_names_do_not_count(content, load):
    content["categories"][0]["name"] = " cafe\u0301 "
    for name in ("café", "cafe\u0301"):
        assert load(content, categories=[name]).categories.tolist() == ["café"]


def test_a_table_that_fills_the_memory_is_refused(content, load, monkeypatch):
    monkeypatch.setattr(_coco, "_MOST_CELLS", 1000)
    monkeypatch.setattr(_coco, "_MOST_TIMES", 10)
    content["images"] = [{"id": k, "file_name": f"{k}.jpg"} for k in range(100)]
    content["categories"] = [{"id": k, "name": f"c{k}"} for k in range(100)]
    content["annotations"] = []
    with pytest.raises(
        ValueError, match=r"far more images and cat.* 100 images and 100"
    ):
        load(content)
    content["annotations"] = [{"image_id": 0, "category_id": 0}] * 800
    assert load(content).states.sum() == 100 * 100 * LabelState.NEGATIVE + 1
