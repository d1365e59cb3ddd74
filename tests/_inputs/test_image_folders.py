"""Images of a folder, and what is said of its other files."""

import os
import warnings

import pytest

from cftlearn._inputs import image_files
from cftlearn.exceptions import ImageFileError, SkippedRowsWarning

pytest.importorskip("PIL.Image", reason="the images extra")


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()


def found_in(folder):
    return [os.path.relpath(path, folder) for path in image_files(folder, "X")]


def test_all_that_is_read_is_found(tmp_path):
    names = ["a.jpg", "b.JPE", "c.jfif", "d/e.jp2", "f.pbm", "g.TIFF", "h.mpo"]
    touch(tmp_path, *names)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert found_in(tmp_path) == sorted(names)


def test_avif_is_found_where_pillow_reads_it(tmp_path, monkeypatch):
    from PIL import Image

    touch(tmp_path, "a.avif", "b.png")
    Image.init()
    monkeypatch.setitem(Image.OPEN, "AVIF", (None, None))
    assert found_in(tmp_path) == ["a.avif", "b.png"]
    monkeypatch.delitem(Image.OPEN, "AVIF")
    with pytest.warns(SkippedRowsWarning, match=r"left out \(1 \.avif\)\. Convert"):
        assert found_in(tmp_path) == ["b.png"]


def test_what_is_left_out_is_said_once(tmp_path):
    touch(tmp_path, "a.png", "b.dcm", "c/d.dcm", "e.svg", "IMG0001", ".hidden")
    touch(tmp_path, "labels.csv", "notes.txt", "Z.npy", ".git/f.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "linked").symlink_to(tmp_path / "c")
    with pytest.warns(SkippedRowsWarning) as told:
        assert found_in(tmp_path) == ["a.png"]
    (only,) = told
    text = str(only.message)
    assert f"folder '{tmp_path}' with 1 images; other files in it are" in text
    for part in ("2 .dcm", "1 .svg", "1 no suffix", "1 .png", "1 linked folder"):
        assert part in text
    assert "csv" not in text
    assert "npy" not in text


def test_a_folder_of_other_files_says_which(tmp_path):
    touch(tmp_path, "a.dcm", "b.dcm")
    with pytest.raises(ImageFileError, match=r"\.webp\); it has 2 \.dcm\. Check"):
        image_files(tmp_path, "X")


def test_links_that_lead_back_end(tmp_path):
    touch(tmp_path, "a.png")
    (tmp_path / "up").symlink_to(tmp_path)
    with pytest.warns(SkippedRowsWarning, match="1 linked folder"):
        assert found_in(tmp_path) == ["a.png"]


def test_a_folder_that_cannot_be_listed_is_said(tmp_path, monkeypatch):
    touch(tmp_path, "a.png", "closed/b.png")
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ImageFileError, match=r"closed' cannot be listed \(Permission"):
        image_files(tmp_path, "X")
