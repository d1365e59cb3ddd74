"""Files of a folder: none that hangs, none outside, and always of the same folder."""

import io
import os
import socket
from pathlib import Path

import pytest

from cftlearn.persistence._document import Stamp
from cftlearn.persistence._faults import Fault
from cftlearn.persistence._open_folder import (
    check_stamp,
    open_folder,
    read_bytes,
    stamp_of,
)

posix = pytest.mark.skipif(os.name != "posix", reason="needs pipes and handles")


def read(path, name="file"):
    with open_folder(path) as folder, folder.file(name) as file:
        return file.read()


def test_files_and_folders(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file").write_bytes(b"abc")
    with (
        open_folder(tmp_path) as folder,
        folder.subfolder("sub", "sub") as sub,
        sub.file("file") as file,
    ):
        assert file.read() == b"abc"
        assert sub.has("file")
        assert not sub.has("other")
        with pytest.raises(FileNotFoundError, match="other"), sub.file("other"):
            pass
        with pytest.raises(FileNotFoundError, match="x"), sub.subfolder("x", "x"):
            pass


@posix
def test_what_is_no_file(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")  # to open it would wait for a writer
    (tmp_path / "folder").mkdir()
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "circle").symlink_to("circle")
    with socket.socket(socket.AF_UNIX) as made:
        monkeypatch.chdir(tmp_path)  # its name must be short
        made.bind("socket")
    for name, kind in {
        "pipe": "a pipe",
        "folder": "a folder",
        "device": "a device",
        "socket": "a socket",
        "circle": "links in a circle",
    }.items():
        with pytest.raises(Fault, match=f"{name} must be a file; got {kind}"):
            read(tmp_path, name)


@posix
def test_links(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_bytes(b"abc")
    (tmp_path / "current").symlink_to("real")
    (tmp_path / "real" / "link").symlink_to("file")
    assert read(tmp_path / "current") == b"abc"  # the folder itself may be one
    assert read(tmp_path / "real", "link") == b"abc"  # as stores of models make them
    with (
        open_folder(tmp_path) as folder,
        pytest.raises(Fault, match="members/0 must be a folder; got a link"),
        folder.subfolder("current", "members/0"),
    ):
        pass


@posix
def test_a_folder_stays_the_same_when_another_gets_its_name(tmp_path):
    for name, content in {"model": b"old", "new": b"new"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(content)
    with open_folder(tmp_path / "model") as folder:
        (tmp_path / "model").rename(tmp_path / "earlier")
        (tmp_path / "new").rename(tmp_path / "model")
        with folder.file("file") as file:
            assert file.read() == b"old"
    assert read(tmp_path / "model") == b"new"


def test_without_handles(tmp_path, monkeypatch):
    monkeypatch.setattr("cftlearn.persistence._open_folder._HAS_HANDLES", False)
    test_files_and_folders(tmp_path)


def test_handles_are_closed(tmp_path):
    handles = Path("/proc/self/fd")
    if not handles.is_dir():
        pytest.skip("needs /proc")
    before = len(list(handles.iterdir()))
    test_files_and_folders(tmp_path)
    assert len(list(handles.iterdir())) == before


def test_long_files(tmp_path):
    with (tmp_path / "file").open("wb") as file:
        file.truncate(2**40)
    with open_folder(tmp_path) as folder, folder.file("file") as opened:
        with pytest.raises(
            Fault, match="must have at most 10 bytes; got 1099511627776"
        ):
            read_bytes(opened, 10, "file")
        with pytest.raises(Fault, match=r"the 3 bytes that model\.json says; got 109"):
            check_stamp(opened, Stamp(3, ""), "file")


def test_short_files(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    for most in (3, 10):
        with path.open("rb") as file:
            assert read_bytes(file, most, "file") == b"abc"


class Growing(io.FileIO):
    """A file to which another process appends."""

    def read(self, size=-1):
        return super().read(size) + b"more"


def test_a_file_that_grows(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    with (
        Growing(tmp_path / "file") as file,
        pytest.raises(Fault, match="must not grow while it is read"),
    ):
        read_bytes(file, 10, "file")


@posix
def test_what_may_not_be_read(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    with open_folder(tmp_path) as folder:
        monkeypatch.setattr(os, "stat", refuse)
        with pytest.raises(PermissionError, match="denied"):
            folder.has("file")


def test_stamps(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc" * 10**6)
    stamp = stamp_of(path)
    assert stamp == Stamp.of(path.read_bytes())
    with path.open("rb") as file:
        check_stamp(file, stamp, "file")
        assert file.tell() == 0
        with pytest.raises(Fault, match=r"must have the SHA-256 that model\.json"):
            check_stamp(file, Stamp(stamp.n_bytes, "0" * 64), "file")
