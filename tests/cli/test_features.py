"""The folder of features: finding rows, and files that do not belong together."""

import numpy as np
import pytest

from cftlearn.cli import _features
from cftlearn.cli._features import (
    FEATURES,
    find_rows,
    fingerprint,
    is_extracted,
    read_extracted,
    sign,
    write_head,
    write_paths,
)
from cftlearn.cli._settings import SettingsError

STORED = ["photos/a/1.jpg", "photos/b/1.jpg", "photos/b/2.jpg", "3.jpg"]


@pytest.mark.parametrize(
    ("paths", "rows"),
    [
        (["photos/b/2.jpg", "photos/a/1.jpg"], [2, 0]),
        (["b/1.jpg", "2.jpg"], [1, 2]),
        (["./3.jpg", "b//2.jpg"], [3, 2]),
        (["3.jpg", "3.jpg"], [3, 3]),
        ([], []),
    ],
    ids=["whole", "ends", "written differently", "twice", "none"],
)
def test_images_are_found_by_their_ends(paths, rows):
    assert find_rows(STORED, paths, "features").tolist() == rows


def test_a_whole_path_comes_before_an_end():
    assert find_rows(["a/1.jpg", "1.jpg"], ["1.jpg"], "features").tolist() == [1]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("1.jpg", r"2 images of 4 end with '1.jpg'"),
        ("4.jpg", r"one row of features; no image of 4 end with '4.jpg'"),
        ("c/photos/a/1.jpg", r"no image"),
    ],
)
def test_images_that_are_not_found(path, message):
    with pytest.raises(SettingsError, match=message):
        find_rows(STORED, [path], "features")


def fill(folder, n_rows=3, paths=("a", "b", "c")):
    np.save(folder / FEATURES, np.ones((n_rows, 2), dtype=np.float32))
    write_paths(folder, paths)


def test_names_come_back(tmp_path):
    paths = ["ä, ö.png", 'a "b"\nc.png', "\udcff.png"]  # the last is no UTF-8
    fill(tmp_path, paths=paths)
    stored = read_extracted(tmp_path)
    assert stored.paths == paths
    assert stored.coef is stored.categories is None


@pytest.mark.parametrize("names", [None, ["ä, ö", "b"]])
def test_rows_come_back(tmp_path, names):
    fill(tmp_path)
    write_head(tmp_path, np.eye(2), np.ones(2), names)
    stored = read_extracted(tmp_path)
    np.testing.assert_array_equal(stored.coef, np.eye(2))
    np.testing.assert_array_equal(stored.intercept, np.ones(2))
    assert stored.categories == names


def test_a_folder_of_something_else(tmp_path):
    assert not is_extracted(tmp_path)
    with pytest.raises(SettingsError, match=r"written by `cftlearn extract`; feat"):
        read_extracted(tmp_path)


def test_files_that_do_not_belong_together(tmp_path):
    fill(tmp_path, n_rows=2)
    with pytest.raises(SettingsError, match=r"got shape \(2, 2\) for 3 paths"):
        read_extracted(tmp_path)


@pytest.mark.parametrize("paths", [["a", "c", "b"], ["a", "b", "d"], ["a\0b", "c", ""]])
def test_paths_are_those_of_the_extraction(tmp_path, paths):
    sign(tmp_path, {"images": fingerprint(["a", "b", "c"])})
    fill(tmp_path, paths=["a", "b", "c"])
    assert read_extracted(tmp_path).paths == ["a", "b", "c"]
    write_paths(tmp_path, paths)
    with pytest.raises(SettingsError, match=r"paths\.csv must be as .* wrote it"):
        read_extracted(tmp_path)
    (tmp_path / _features._NOTE).write_text("{}")
    with pytest.raises(SettingsError, match=r"extraction\.json must be as .* wrote it"):
        read_extracted(tmp_path)
    (tmp_path / _features._NOTE).unlink()  # a folder of one's own making
    assert read_extracted(tmp_path).paths == paths


def test_a_folder_belongs_to_one_extraction(tmp_path):
    folder = tmp_path / "new" / "features"
    first = {"images": "3, abc", "network": "x", "layer": None}
    sign(folder, first)
    sign(folder, first | {"network": "y"})  # nothing was computed yet
    sign(folder, first)
    (folder / f"{FEATURES}.json").touch()
    sign(folder, first)
    with pytest.raises(
        ValueError, match=r"holds one that differs in: images, layer\. Name"
    ):
        sign(folder, first | {"images": "2, abc", "layer": "z"})
    (folder / _features._NOTE).write_text("[")
    with pytest.raises(ValueError, match="must name a folder that cftlearn wrote"):
        sign(folder, first)
