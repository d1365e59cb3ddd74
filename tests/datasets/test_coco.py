"""MS-COCO: states as a loop over annotations gives them; files of other forms."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from cftlearn.datasets import load_coco
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
