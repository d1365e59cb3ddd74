"""What a path names, before anything opens it."""

import os
import socket
from pathlib import Path

import pytest

from cftlearn._files import check_regular

posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")


class OwnError(ValueError):
    """What a caller raises."""


def test_a_file_and_a_link_to_it_have_a_size(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    assert check_regular(tmp_path / "file", "It") == 3
    if os.name == "posix":
        (tmp_path / "link").symlink_to("file")
        assert check_regular(tmp_path / "link", "It") == 3


def test_what_is_not_there(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for path in (tmp_path / "absent", tmp_path / "file" / "below"):
        with pytest.raises(FileNotFoundError, match=r"^It does not exist\. Check"):
            check_regular(path, "It", OwnError)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"^It does not exist in /"):
        check_regular(Path("absent"), "It")


def test_a_folder_says_what_to_do(tmp_path):
    with pytest.raises(OwnError, match=r"^It is a folder\. Name a file in it\.$"):
        check_regular(tmp_path, "It", OwnError)
    with pytest.raises(ValueError, match=r"^It is a folder\. Leave it\.$"):
        check_regular(tmp_path, "It", folder="Leave it.")


@posix
def test_what_may_never_end(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as made:
        monkeypatch.chdir(tmp_path)  # its name must be short
        made.bind("socket")
    for name in ("pipe", "device", "socket"):
        with pytest.raises(OwnError, match=f"^It is a {name}, which may never end"):
            check_regular(tmp_path / name, "It", OwnError)


@posix
def test_names_that_lead_nowhere(tmp_path):
    (tmp_path / "circle").symlink_to("circle")
    for path in (tmp_path / "circle", tmp_path / ("a" * 300)):
        with pytest.raises(OSError, match=r"^It cannot be opened \(.+\)\. Check its"):
            check_regular(path, "It")
    with pytest.raises(OwnError, match=r"^It holds a NUL character"):
        check_regular(Path("a\0b"), "It", OwnError)
