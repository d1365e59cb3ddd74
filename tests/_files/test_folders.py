"""Folders are replaced whole: links, mounts, kills, other processes, full disks."""

import errno
import multiprocessing
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from cftlearn._files import (
    _folders,
    _hidden,
    _locks,
    find_folder,
    is_being_replaced,
    replace_folder,
)
from cftlearn._files._folders import check_writable_folder
from cftlearn._files._hidden import hidden_beside, hidden_inside, is_hidden, own_folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write(path, *files, **options):
    with replace_folder(path, **options) as new:
        for name in files:
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            (new / name).write_text(name)


def files_in(path):
    return _folders._all_files(find_folder(path))


@pytest.fixture
def model(tmp_path):
    write(tmp_path / "model", "a", "members/0/b", "members/1/c")
    return tmp_path / "model"


def without_exchange(monkeypatch):
    monkeypatch.setattr(_folders, "exchange", lambda *_: False)


def staying(monkeypatch):
    monkeypatch.setattr(_folders, "_stays", Path.is_dir)


def staying_without_links(monkeypatch):
    staying(monkeypatch)

    def refuse(*_):
        raise OSError(errno.EPERM, "no links")

    monkeypatch.setattr(os, "link", refuse)


def busy(monkeypatch):
    def refuse(*_):
        raise OSError(errno.EBUSY, "busy")

    monkeypatch.setattr(_folders, "exchange", refuse)


def without_locks(monkeypatch):
    for module in (_locks, _hidden):
        monkeypatch.setattr(module, "fcntl", None)


WAYS = [
    lambda _: None,
    without_exchange,
    staying,
    staying_without_links,
    busy,
    without_locks,
]
ways = pytest.mark.parametrize(
    "way", WAYS, ids=["exchange", "renames", "stays", "no links", "busy", "no locks"]
)


@ways
def test_a_folder_is_replaced_with_all_that_is_in_it(model, monkeypatch, way):
    way(monkeypatch)
    write(model, "a", "members/1/d")
    assert files_in(model) == ["a", "members/1/d"]
    assert not (model / "members" / "0").exists()
    assert names(model) == ["a", "members"]
    assert names(model.parent) == ["model"]


@ways
def test_what_interrupts_writing_leaves_the_earlier_folder(model, monkeypatch, way):
    way(monkeypatch)

    def interrupted():
        with replace_folder(model) as new:
            (new / "x").touch()
            raise KeyboardInterrupt("ctrl-C")

    with pytest.raises(KeyboardInterrupt, match="ctrl-C"):
        interrupted()
    assert files_in(model) == ["a", "members/0/b", "members/1/c"]
    assert names(model.parent) == ["model"]


# ------------------------------------------------------------ what is at the path
def test_an_empty_folder_is_written_into(tmp_path):
    path = tmp_path / "empty"
    path.mkdir(mode=0o750)
    before = path.stat()
    write(path, "a", "members/0/b")
    assert path.stat().st_ino == before.st_ino
    assert path.stat().st_mode == before.st_mode
    assert names(path) == ["a", "members"]
    assert names(tmp_path) == ["empty"]


def test_the_rights_of_a_replaced_folder_stay(model):
    model.chmod(0o700)
    write(model, "x")
    assert stat.S_IMODE(model.stat().st_mode) == 0o700


def test_the_current_folder_stays(model, monkeypatch):
    monkeypatch.chdir(model)
    before = model.stat().st_ino
    write(Path(), "x")
    assert model.stat().st_ino == before
    assert names(Path()) == ["x"]


def test_a_link_stays_a_link(tmp_path):
    write(tmp_path / "v1", "a")
    link = tmp_path / "current"
    link.symlink_to("v1")
    write(link, "x")
    assert link.readlink() == Path("v1")
    assert names(tmp_path / "v1") == ["x"]
    link.unlink()
    link.symlink_to("v2")  # which does not exist yet
    write(link, "y")
    assert names(tmp_path / "v2") == ["y"]
    assert names(tmp_path) == ["current", "v1", "v2"]


def a_file(path):
    path.write_text("precious")


def a_pipe(path):
    os.mkfifo(path)


def a_socket(path):
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))


def a_device(path):
    try:
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    except (AttributeError, PermissionError):
        pytest.skip("may not make devices")


@pytest.mark.parametrize("through_a_link", [False, True])
@pytest.mark.parametrize("occupy", [a_file, a_pipe, a_socket, a_device])
def test_what_is_no_folder_is_never_replaced(occupy, through_a_link):
    with tempfile.TemporaryDirectory() as made:  # a socket needs a short path
        path = place = Path(made) / "place"
        occupy(place)
        if through_a_link:
            path = Path(made) / "link"
            path.symlink_to("place")
        before = place.lstat()
        words = f"must be a folder, or free; it is {occupy.__name__[2:]}"
        for call in (write, check_writable_folder):
            with pytest.raises(FileExistsError, match=words.replace("it is ", ".* ")):
                call(path)
        assert place.lstat() == before
        assert names(Path(made)) == sorted({"place", path.name})


def test_paths_that_lead_nowhere(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    for path, words in [
        (tmp_path / "loop", "its links lead back to themselves"),
        (tmp_path / "file" / "model", "a part of the path is a file"),
        (tmp_path / "new" / ("n" * 300), "the name is too long"),
    ]:
        for call in (write, check_writable_folder):
            with pytest.raises(OSError, match=words):
                call(path)
    assert "model" not in names(tmp_path)


# ------------------------------------------------------------------------- mounts
def mount(folder, *options):
    if not hasattr(os, "geteuid") or os.geteuid() or shutil.which("mount") is None:
        pytest.skip("only root may mount")
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        ["mount", *options, str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("may not mount here")
    return folder


@pytest.fixture
def mounted(tmp_path):
    """Return a folder in memory, mounted."""
    folder = mount(tmp_path / "disk", "-t", "tmpfs", "-o", "size=1m", "none")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_mount_point_is_written_into(mounted):
    check_writable_folder(mounted)
    write(mounted, "a", "members/0/b")
    write(mounted, "a", "c")
    assert names(mounted) == ["a", "c"]
    assert names(mounted.parent) == ["disk"]


def test_a_folder_bound_elsewhere_is_written_into(tmp_path):
    """It is on the same disk, so only moving it tells that it is mounted."""
    (tmp_path / "source").mkdir()
    folder = mount(tmp_path / "bound", "--bind", str(tmp_path / "source"))
    try:
        check_writable_folder(folder)
        write(folder, "a", "members/0/b")
        write(folder, "c")
        assert names(folder) == ["c"]
    finally:
        subprocess.run(["umount", str(folder)], check=True)
    assert names(tmp_path / "source") == ["c"]
    assert names(tmp_path) == ["bound", "source"]


def test_a_disk_that_can_only_be_read_is_told_before(mounted):
    write(mounted / "model", "a")
    subprocess.run(["mount", "-o", "remount,ro", str(mounted)], check=True)
    for path in (mounted / "model", mounted / "new", mounted / "new" / "model"):
        for call in (check_writable_folder, write):
            with pytest.raises(OSError, match="the disk can only be read") as caught:
                call(path)
            assert str(path) in str(caught.value)
            assert caught.value.errno == errno.EROFS


def test_a_full_disk_leaves_the_earlier_folder(mounted):
    model = mounted / "model"
    write(model, "a")
    words = (
        r"model' cannot be written: the disk is full\. What was there before has not"
    )

    def fill():
        with replace_folder(model) as new:
            (new / "big").write_bytes(bytes(2**21))

    with pytest.raises(OSError, match=words) as caught:
        fill()
    assert caught.value.errno == errno.ENOSPC
    assert files_in(model) == ["a"]
    assert names(mounted) == ["model"]


# ------------------------------------------------------------------------- rights
def as_nobody(function, *arguments):
    """Call a function in a process without the rights of root; return its error."""
    if not hasattr(os, "fork"):
        pytest.skip("needs fork")
    read, write_end = os.pipe()
    child = os.fork()
    if not child:
        try:
            if os.geteuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            function(*arguments)
            answer = ""
        except BaseException as error:
            answer = f"{type(error).__name__}: {error}"
        os.write(write_end, answer.encode())
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return answer


@pytest.fixture
def open_folder():
    """Return a folder that everybody can reach."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o755)
        yield folder
        for path in [folder, *folder.rglob("*")]:
            if path.is_dir():
                path.chmod(0o777)


def test_a_folder_without_rights_is_told_before(open_folder):
    closed = open_folder / "closed"
    closed.mkdir()
    closed.chmod(0o555)
    for path in (closed, closed / "model", closed / "new" / "model"):
        for call in (check_writable_folder, write):
            answer = as_nobody(call, path)
            assert answer == (
                f"PermissionError: {str(path)!r} cannot be written: permission is "
                "missing. Change the rights, or name another place."
            )


def test_a_folder_in_one_that_cannot_be_written(open_folder):
    model = open_folder / "model"
    model.mkdir()
    model.chmod(0o777)
    open_folder.chmod(0o555)
    for files in (["a", "members/0/b"], ["c"]):
        assert as_nobody(check_writable_folder, model) == ""
        assert as_nobody(write, model, *files) == ""
    assert names(model) == ["c"]


# ------------------------------------------------------------- files of somebody else
def only_ours(folder):
    return [name for name in _folders._all_files(folder) if name != "notes"]


@ways
def test_files_that_are_not_named_are_never_deleted(model, monkeypatch, way):
    """The check may be passed, and then somebody writes a file there."""
    way(monkeypatch)

    def check(folder):
        files = only_ours(folder)
        (model / "members" / "notes").write_text("mine")
        return files

    if way in (staying, staying_without_links):
        write(model, "x", check=check)
        assert files_in(model) == ["members/notes", "x"]
        return
    n_calls = 0

    def refuse_later(folder):
        nonlocal n_calls
        n_calls += 1
        if n_calls > 1:
            raise FileExistsError("somebody's notes")
        return only_ours(folder)

    if way in (lambda: None, WAYS[0], without_locks):
        with pytest.raises(FileExistsError, match="somebody's notes"):
            write(model, "x", check=refuse_later)
        assert files_in(model) == ["a", "members/0/b", "members/1/c"]
        assert names(model.parent) == ["model"]


# -------------------------------------------------------------------------- leftovers
def kill_at(monkeypatch, model, function, owner, *, n_before=0):
    """Stop for ever when a function is called, as SIGKILL does."""
    real = getattr(owner, function)
    n_calls = 0

    class Killed(BaseException):
        pass

    def stop(*arguments, **options):
        nonlocal n_calls
        n_calls += 1
        if n_calls > n_before:
            raise Killed
        return real(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(owner, function, stop)
        patch.setattr(_hidden, "_give_up", lambda _, lock, __: os.close(lock))
        patch.setattr(_folders, "_restore", lambda *_: None)
        with pytest.raises(Killed):
            write(model, "a", "x", "members/0/y")


STATES = {
    "written": (lambda _: None, "_publish", _folders, 0, "earlier"),
    "one rename": (without_exchange, "_put", _folders, 1, "new"),
    "nothing moved": (staying, "_pour", _folders, 0, "new"),
    "one moved": (staying, "_place", _folders, 1, "new"),
    "two copied": (staying_without_links, "_place", _folders, 2, "new"),
    "moved": (staying, "_sweep", _folders, 0, "new"),
}


@pytest.mark.parametrize(
    ("way", "function", "owner", "n_before", "expected"), STATES.values(), ids=STATES
)
def test_a_killed_save_leaves_a_whole_folder(
    model, monkeypatch, way, function, owner, n_before, expected
):
    folders = {
        "earlier": ["a", "members/0/b", "members/1/c"],
        "new": ["a", "members/0/y", "x"],
    }
    with monkeypatch.context() as patch:
        way(patch)
        kill_at(patch, model, function, owner, n_before=n_before)
        assert files_in(model) == folders[expected]
    check_writable_folder(model)  # the next one finishes, and leaves nothing
    assert find_folder(model) == model
    assert files_in(model) == folders[expected]
    assert names(model.parent) == ["model"]
    assert not [name for name in names(model) if is_hidden(name)]


@pytest.mark.parametrize("has_locks", [True, False])
def test_who_writes_a_folder_is_seen(model, monkeypatch, has_locks):
    if not has_locks:
        without_locks(monkeypatch)
    assert not is_being_replaced(model)
    with replace_folder(model) as new:
        (new / "a").touch()
        assert is_being_replaced(model)
        (model.parent / "link").symlink_to("model")
        assert is_being_replaced(model.parent / "link")
        assert not is_being_replaced(model.parent / "other")
    assert not is_being_replaced(model)
    kill_at(monkeypatch, model, "_publish", _folders)
    assert is_being_replaced(model) == (not has_locks)
    for folder in hidden_beside(model):
        if folder.exists():
            os.utime(folder, (0, 0))
    assert not is_being_replaced(model)


def test_leftovers_do_not_pile_up(model, monkeypatch):
    for _ in range(3):
        kill_at(monkeypatch, model, "_publish", _folders)
    assert len(names(model.parent)) == 2
    write(model, "x")
    assert names(model.parent) == ["model"]


def test_what_a_living_process_writes_is_left_to_it(model):
    with replace_folder(model) as slow:
        (slow / "slow").touch()
        write(model, "fast")
        assert names(model) == ["fast"]
        assert (slow / "slow").exists()
    assert names(model) == ["slow"]
    assert names(model.parent) == ["model"]


def test_folders_of_others_that_look_alike_stay(model):
    for name in (".saving-photos", ".saving-12", ".saving-0"):
        (model.parent / name).mkdir()
        (model.parent / name / "photo").touch()
    elsewhere = hidden_beside(model.with_name("other"))[0]
    elsewhere.mkdir()
    before = names(model.parent)
    write(model, "x")
    assert names(model.parent) == before


def test_hidden_folders_are_limited(model):
    for folder in hidden_beside(model):
        folder.symlink_to(model)
    with pytest.raises(OSError, match=r"has 32 hidden folders like '\.saving-.*Delete"):
        write(model, "x")
    assert files_in(model) == ["a", "members/0/b", "members/1/c"]


def test_names_of_hidden_folders():
    model = Path("/models/m")
    for folder in [*hidden_beside(model), *hidden_inside(model)]:
        assert is_hidden(folder.name)
    assert {folder.parent for folder in hidden_beside(model)} == {model.parent}
    assert {folder.parent for folder in hidden_inside(model)} == {model}
    for name in ("saving-0", ".saving-", ".saving-x", ".saving-0x"):
        assert not is_hidden(name)


def test_a_hidden_folder_taken_for_a_leftover_is_made_again(tmp_path, monkeypatch):
    """Another process may delete it between its making and its lock."""
    places = hidden_beside(tmp_path / "model")
    real = os.open

    def deleted(path, *arguments, **options):
        if Path(path).parent == places[0]:
            places[0].rmdir()
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "open", deleted)
    with own_folder(places, lambda _: None) as folder:
        assert folder == places[1]
    assert names(tmp_path) == []


# ------------------------------------------------------------------- other processes
def test_of_several_first_saves_all_are_whole(tmp_path):
    path = tmp_path / "model"
    barrier = threading.Barrier(6)
    errors = []

    def save(number):
        barrier.wait()
        try:
            for _ in range(10):
                write(path, *(f"{number}-{k}" for k in range(3)))
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=save, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    number = names(path)[0][0]
    assert names(path) == [f"{number}-{k}" for k in range(3)]
    assert names(tmp_path) == ["model"]


def save_often(path, number):
    for _ in range(15):
        write(Path(path), *(f"{number}-{k}" for k in range(3)))


@pytest.mark.slow
def test_processes_that_write_into_one_folder_do_not_mix(tmp_path, monkeypatch):
    path = tmp_path / "model"
    write(path, "a")
    staying(monkeypatch)  # the children are forks
    try:
        context = multiprocessing.get_context("fork")
    except ValueError:
        pytest.skip("needs fork")
    children = [context.Process(target=save_often, args=(path, n)) for n in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
        assert child.exitcode == 0
    number = names(path)[0][0]
    assert names(path) == [f"{number}-{k}" for k in range(3)]
    assert names(tmp_path) == ["model"]


def test_a_system_without_the_exchange(monkeypatch):
    from cftlearn._files._exchange import _renameat2, exchange

    _renameat2.cache_clear()
    monkeypatch.setattr(sys, "platform", "win32")
    assert not exchange(Path("a"), Path("b"))
    _renameat2.cache_clear()


def test_a_folder_may_be_replaced_while_it_is_checked(model, monkeypatch):
    real, n_calls = _hidden._empty, 0

    def replaced(folder):
        nonlocal n_calls
        n_calls += 1
        if n_calls == 1:
            shutil.rmtree(folder)
        real(folder)

    monkeypatch.setattr(_hidden, "_empty", replaced)
    check_writable_folder(model)
    assert n_calls > 1
    assert names(model) == ["a", "members"]


def test_a_folder_that_is_replaced_while_it_is_looked_at_is_looked_at_again(model):
    seen = []

    def check(folder):
        seen.append(names(folder))
        if len(seen) == 1:  # another process
            write(folder, "later")
            raise FileExistsError("half of its files are deleted")
        return _folders._all_files(folder)

    check_writable_folder(model, check)
    assert seen == [["a", "members"], ["later"]]
    with pytest.raises(FileExistsError, match="mine"):
        check_writable_folder(
            model, lambda _: (_ for _ in ()).throw(FileExistsError("mine"))
        )
