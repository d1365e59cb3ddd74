"""The images that arguments name."""

import pytest

from cftlearn.cli._image_paths import expand_paths
from cftlearn.cli._settings import SettingsError
from cftlearn.exceptions import ImageFileError


@pytest.fixture
def folder(tmp_path):
    for name in ("b.png", "a.png", "c/d.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_a_folder_stands_for_its_images(folder):
    pytest.importorskip("PIL", reason="the images extra")
    paths = expand_paths([folder / "b.png", folder], skips=False)
    assert paths == [str(folder / n) for n in ("b.png", "a.png", "b.png", "c/d.png")]


def test_files_that_do_not_exist(folder):
    missing = [folder / "x.png", folder / "a.png", folder / "y.png"]
    with pytest.raises(SettingsError, match=r"2 of 3 do not exist, the first is .*x"):
        expand_paths(missing, skips=False)
    assert expand_paths(missing, skips=True) == [str(path) for path in missing]


def test_a_folder_without_images(tmp_path):
    pytest.importorskip("PIL", reason="the images extra")
    with pytest.raises(ImageFileError, match="must hold images"):
        expand_paths([tmp_path], skips=True)
