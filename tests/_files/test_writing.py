"""Files appear whole or not at all: links, other kinds, leftovers, full disks."""

import errno
import gc
import os
import stat
import threading
from pathlib import Path

import numpy as np
import pytest

from cftlearn._files import (
    _locks,
    _writing,
    check_writable_file,
    open_atomically,
    open_new,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write(path, text="new", **options):
    with open_atomically(path, **options) as file:
        file.write(text)


@pytest.fixture
def size_limit():
    """Return a function that limits how long files may be."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "v1").write_text("earlier")
    link = tmp_path / "current"
    link.symlink_to("v1")
    write(link)
    assert link.readlink() == Path("v1")
    assert (tmp_path / "v1").read_text() == "new"
    link.unlink()
    link.symlink_to("v2")
    write(link)
    assert names(tmp_path) == ["current", "v1", "v2"]


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_file_is_never_replaced(tmp_path, kind):
    path = tmp_path / "place"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        try:
            os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
        except (AttributeError, PermissionError):
            pytest.skip("may not make devices")
    before = path.lstat()
    error = IsADirectoryError if kind == "folder" else FileExistsError
    for call in (write, check_writable_file):
        with pytest.raises(
            error, match=f"place' must be a file, or free; it is a {kind}"
        ):
            call(path)
    assert path.lstat() == before
    assert names(tmp_path) == ["place"]


def test_a_missing_folder_is_told_before(tmp_path):
    path = tmp_path / "missing" / "file"
    words = f"^{str(path)!r} cannot be written: its folder does not exist. Make the"
    for call in (write, check_writable_file):
        with pytest.raises(FileNotFoundError, match=words):
            call(path)


def test_a_check_changes_nothing(tmp_path):
    path = tmp_path / "file"
    path.write_text("earlier")
    before = path.stat()
    check_writable_file(path)
    assert path.stat() == before
    assert names(tmp_path) == ["file"]


# -------------------------------------------------------------------------- leftovers
def test_leftovers_of_killed_processes_are_used_again(tmp_path):
    (tmp_path / ".file.0.part").write_text("of a killed process, and much longer")
    write(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "new"
    assert names(tmp_path) == ["file"]


def test_what_a_living_process_writes_is_left_to_it(tmp_path):
    path = tmp_path / "file"
    with open_atomically(path) as slow:
        slow.write("slow")
        write(path, "fast")
        assert path.read_text() == "fast"
    assert path.read_text() == "slow"
    assert names(tmp_path) == ["file"]


def test_a_leftover_with_two_names_keeps_its_content(tmp_path):
    """A process that was killed after it linked its file to the path."""
    path = tmp_path / "file"
    path.write_text("whole")
    os.link(path, tmp_path / ".file.0.part")
    with open_atomically(path) as file:
        assert path.read_text() == "whole"
        file.write("new")
    assert path.read_text() == "new"
    write(path, "later", replace=False)
    assert path.read_text() == "new"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("trap", ["link", "pipe"])
def test_traps_beside_a_file_are_left_alone(tmp_path, trap):
    beside = tmp_path / ".file.0.part"
    victim = tmp_path / "victim"
    victim.write_text("precious")
    if trap == "link":
        beside.symlink_to("victim")
    else:
        os.mkfifo(beside)
    before = beside.lstat()
    write(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "new"
    assert victim.read_text() == "precious"
    assert beside.lstat() == before


def no_module(monkeypatch):
    for module in (_locks, _writing):
        monkeypatch.setattr(module, "fcntl", None)


def no_locks_there(monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refuse)


@pytest.mark.parametrize("system", [lambda _: None, no_module, no_locks_there])
def test_many_writers_leave_one_whole_file(tmp_path, monkeypatch, system):
    system(monkeypatch)
    path = tmp_path / "file"
    errors = []

    def save(number):
        try:
            for _ in range(20):
                write(path, str(number) * 1000)
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=save, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert path.read_text() in {str(number) * 1000 for number in range(6)}
    assert names(tmp_path) == ["file"]


def test_a_long_name(tmp_path):
    path = tmp_path / ("n" * 250)
    write(path)
    assert path.read_text() == "new"
    assert names(tmp_path) == ["n" * 250]


# ------------------------------------------------------------------------ full disks
def save_torch(file):
    import torch

    torch.save({"weights": torch.zeros(10_000)}, file)


def save_arrays(file):
    np.savez(file, a=np.zeros(10_000), b=np.zeros(10_000))


def save_bytes(file):
    file.write(bytes(100_000))


SAVES = [save_torch, save_arrays, save_bytes]


# numpy 2.0 leaves its archive open, which Python then finds when it cleans up
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("opener", [open_atomically, open_new])
@pytest.mark.parametrize("save", SAVES)
def test_a_full_disk_is_told_in_plain_words(tmp_path, size_limit, save, opener):
    path = tmp_path / "file"
    if opener is open_atomically:
        path.write_text("earlier")
    words = (
        rf"^{str(path)!r} cannot be written: the file would be larger than the disk or "
        r"a limit \(ulimit -f\) allows\. What was there before has not changed\. Raise "
        r"the limit, or name another disk\.$"
    )

    def fill():
        with opener(path, "wb") as file:
            save(file)

    size_limit(10_000)
    with pytest.raises(OSError, match=words) as caught:
        fill()
    assert caught.value.errno == errno.EFBIG
    if opener is open_atomically:
        assert path.read_text() == "earlier"
        assert names(tmp_path) == ["file"]
    del caught
    gc.collect()  # here, and not in another test


def test_a_full_disk_that_shows_at_the_end(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="file' cannot be written: the disk is full"):
        write(tmp_path / "file")
    assert names(tmp_path) == []


def test_errors_of_the_writer_stay_as_they_are(tmp_path):
    error = FileNotFoundError("an image is missing")

    def read():
        with open_atomically(tmp_path / "file"):
            raise error

    with pytest.raises(FileNotFoundError) as caught:
        read()
    assert caught.value is error
    assert names(tmp_path) == []
