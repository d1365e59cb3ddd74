"""Write a folder that appears whole, or not at all."""

import errno
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from cftlearn._files._exchange import exchange
from cftlearn._files._hidden import (
    hidden_beside,
    hidden_inside,
    is_being_written,
    is_hidden,
    own_folder,
    settle,
)
from cftlearn._files._locks import locked_folder
from cftlearn._files._places import (
    DISK_FAILED,
    force_file,
    force_files,
    force_folder,
    real_place,
    write_error,
)

# Returns the files of a folder, relative to it, that may be replaced. It raises an
# error if the folder holds anything else.
Check = Callable[[Path], Collection[str]]

_NEW, _WHOLE, _EARLIER = "new", "whole", "earlier"
_NEXT, _STALE, _DONE = "next", "stale.json", "done"
_MOST_TRIES = 20  # while other processes write the same path
# The folder itself cannot be moved: a mount point, or a layer of a container.
_FIXED = {errno.EBUSY, errno.EXDEV, errno.EACCES, errno.EPERM}
_FASTER = {errno.EEXIST, errno.ENOTEMPTY, errno.ENOENT}  # another process was


@contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """Create an empty folder beside a path, and delete it in the end.

    It is on the same file system, so what was written there can be moved to ``path``
    in one step. What a killed process left is deleted.

    Parameters
    ----------
    path : Path
        A file or folder; its parents are created.

    Yields
    ------
    folder : Path
        The empty folder.

    Raises
    ------
    OSError
        If the folder cannot be created.
    """
    target = Path(os.path.realpath(path))
    with ExitStack() as stack:
        with _errors_of(path):
            target.parent.mkdir(parents=True, exist_ok=True)
            settle(hidden_beside(target), _finish_nothing)
            places = hidden_beside(target)
            hidden = stack.enter_context(own_folder(places, _finish_nothing))
            (hidden / _NEW).mkdir()
        with _errors_of(path, only=DISK_FAILED):
            yield hidden / _NEW


@contextmanager
def replace_folder(path: Path, check: Check | None = None) -> Iterator[Path]:
    """Write a folder that appears under its name only when all of it is written.

    The earlier folder stays until then, and for good if writing fails. A link stays a
    link: the folder that it names is replaced. At every moment, also after a kill,
    :func:`find_folder` finds one whole folder, the earlier or the new one:

    - Linux exchanges both in one step.
    - Where the system cannot, there are two renames. A kill between them leaves the
      new folder beside the path.
    - An empty folder, a mount point, the current folder and a folder in one that cannot
      be written stay where they are. Files are moved into them one by one, and until
      all are there, the hidden folder in them counts.

    Parameters
    ----------
    path : Path
        The folder.
    check : callable, default=None
        Called with a folder that is to be replaced. It returns the files that may be
        deleted, and raises an error if there is anything else. None deletes all files.

    Yields
    ------
    new : Path
        An empty folder to fill.

    Raises
    ------
    OSError
        If the folder cannot be written, in plain words.
    """
    check = _all_files if check is None else check
    target = real_place(path, "a folder")
    with ExitStack() as stack:
        with _errors_of(path):
            target.parent.mkdir(parents=True, exist_ok=True)
            _settle(target)
            places = hidden_inside(target) if _stays(target) else hidden_beside(target)
            own = own_folder(places, partial(_finish, target=target))
            hidden = stack.enter_context(own)
            (hidden / _NEW).mkdir()
        with _errors_of(path, only=DISK_FAILED):
            yield hidden / _NEW
        with _errors_of(path):
            force_files(hidden / _NEW)
            _publish(hidden, target, check)


def find_folder(path: Path) -> Path:
    """Return where the folder of a path is, also after a kill in the middle of a save.

    Parameters
    ----------
    path : Path
        The path that was given to :func:`replace_folder`.

    Returns
    -------
    folder : Path
        The path itself, or a whole folder in a hidden one that should replace it.
    """
    try:
        target = Path(os.path.realpath(path))
    except ValueError:  # no path at all
        return path
    places = hidden_inside(target) if target.is_dir() else hidden_beside(target)
    for hidden in places:
        if (hidden / _WHOLE).is_dir():
            return hidden / _WHOLE
    return path


def is_being_replaced(path: Path) -> bool:
    """Return whether a living process seems to replace a folder just now.

    Parameters
    ----------
    path : Path
        As for :func:`replace_folder`.
    """
    return is_being_written(Path(os.path.realpath(path)))


def check_writable_folder(path: Path, check: Check | None = None) -> None:
    """Check, before work of hours, that a folder can be written in the end.

    Nothing changes; but what ended processes left beside or in the folder is finished
    or deleted.

    Parameters
    ----------
    path : Path
        As for :func:`replace_folder`. Its parents need not exist.
    check : callable, default=None
        As for :func:`replace_folder`.

    Raises
    ------
    OSError
        If the folder cannot be written, in plain words.
    """
    target = real_place(path, "a folder")
    with _errors_of(path):
        _settle(target)
        if target.is_dir():
            _try(hidden_inside(target))
            if not _stays(target):
                _try(hidden_beside(target))
        else:
            _check_missing(target)
    if check is not None and target.is_dir():
        _check_as_it_is(target, check)


def _check_missing(target: Path) -> None:
    """Check that a folder and its missing parents can be made."""
    there = target.parent
    while not there.exists():
        there = there.parent
    for name in target.relative_to(there).parts:
        (there / name).exists()  # raises if the name is too long
    _try(hidden_beside(there / target.name))


def _try(places: list[Path]) -> None:
    """Make a hidden folder, and delete it."""
    for is_last in [False] * (_MOST_TRIES - 1) + [True]:
        try:
            with own_folder(places, _finish_nothing):
                return
        except FileNotFoundError:  # another process has just replaced the folder
            if is_last or not places[0].parent.is_dir():
                raise


def _stays(target: Path) -> bool:
    """Return whether a folder must stay where it is, so that its files are replaced."""
    if not target.is_dir():
        return False
    return (
        os.path.ismount(target)
        or not os.access(target.parent, os.W_OK | os.X_OK)
        or _is_empty(target)
        or _is_in(target)
    )


def _is_empty(target: Path) -> bool:
    """Return whether a folder is empty, though another process may replace it now."""
    for _ in range(_MOST_TRIES):
        before = target.stat()
        is_empty = all(is_hidden(part.name) for part in target.iterdir())
        # What was listed may be the earlier folder, whose files are being deleted.
        if not is_empty or os.path.samestat(before, target.stat()):
            return is_empty
    return False


def _is_in(target: Path) -> bool:
    """Return whether this process is in a folder: others may stand there as well."""
    try:
        return Path.cwd().is_relative_to(target)
    except FileNotFoundError:  # it is in a folder that was deleted
        return False


def _settle(target: Path) -> None:
    """Finish or delete what ended processes left beside a folder and in it."""
    finish = partial(_finish, target=target)
    settle(hidden_beside(target), finish)
    if target.is_dir():
        settle(hidden_inside(target), finish)


def _finish(hidden: Path, target: Path) -> None:
    """Give a whole folder, which has not got it yet, its name."""
    whole = hidden / _WHOLE
    if not whole.is_dir():
        return
    if hidden.parent == target:
        with locked_folder(target):
            _pour(hidden, target)
    elif not os.path.lexists(target):
        whole.rename(target)


def _finish_nothing(hidden: Path) -> None:
    """Do nothing: what is in this hidden folder gets no name."""


def _publish(hidden: Path, target: Path, check: Check) -> None:
    """Give a written folder its name; again if another process does so just now."""
    for _ in range(_MOST_TRIES):
        if hidden.parent == target:
            _move_files(hidden, target, check)
            return
        try:
            if os.path.lexists(target):
                _check_as_it_is(target, check)
            is_done = _move_folder(hidden, target, check)
        except OSError as error:
            if error.errno not in _FASTER:
                raise
            continue
        if is_done:
            force_folder(target.parent)
        else:
            _move_into(hidden / _NEW, target, check)
        return
    raise OSError(
        f"{str(target)!r} cannot be written: other processes write it all the time. "
        "Name another place."
    )


def _check_as_it_is(target: Path, check: Check) -> None:
    """Check a folder, again if another process has just replaced it.

    What was looked at may be the earlier folder, whose files are being deleted.
    """
    for is_last in [False] * (_MOST_TRIES - 1) + [True]:
        before = target.stat()
        try:
            check(target)
            return
        except OSError:
            if is_last or os.path.samestat(before, target.stat()):
                raise


def _move_folder(hidden: Path, target: Path, check: Check) -> bool:
    """Put the new folder in the place of the earlier one; False if that must stay."""
    new = hidden / _NEW
    if not os.path.lexists(target):
        new.rename(target)
        return True
    shutil.copymode(target, new)
    try:
        if not exchange(new, target):
            _rename_twice(hidden, target)
            return True
    except OSError as error:
        if error.errno in _FIXED:
            return False
        raise
    try:
        check(new)  # the earlier folder, where nobody writes any more
    except BaseException:
        exchange(new, target)
        raise
    return True


def _rename_twice(hidden: Path, target: Path) -> None:
    """Move the earlier folder away, and the new one there."""
    new, whole, earlier = (hidden / name for name in (_NEW, _WHOLE, _EARLIER))
    new.rename(whole)
    try:
        _put(target, earlier)
        _put(whole, target)
    except BaseException:  # Ctrl-C too
        _restore(hidden, target)
        raise


def _put(folder: Path, place: Path) -> None:
    folder.rename(place)


def _restore(hidden: Path, target: Path) -> None:
    """Undo two renames of which not both were made."""
    new, whole, earlier = (hidden / name for name in (_NEW, _WHOLE, _EARLIER))
    if earlier.exists() and not os.path.lexists(target):
        earlier.rename(target)
    if whole.exists():
        whole.rename(new)


def _move_into(new: Path, target: Path, check: Check) -> None:
    """Copy a new folder into one that stays, and move its files there."""
    places = hidden_inside(target)
    with own_folder(places, partial(_finish, target=target)) as hidden:
        shutil.copytree(new, hidden / _NEW)
        force_files(hidden / _NEW)
        _move_files(hidden, target, check)


def _move_files(hidden: Path, target: Path, check: Check) -> None:
    """Replace the files of a folder by those of a new one in it."""
    with locked_folder(target):
        stale = set(check(target)) - set(_all_files(hidden / _NEW))
        (hidden / _STALE).write_text(json.dumps(sorted(stale)))
        force_files(hidden)
        (hidden / _NEW).rename(hidden / _WHOLE)
        _pour(hidden, target)


def _pour(hidden: Path, target: Path) -> None:
    """Move whole files to their places; it may be done again at any moment."""
    whole = hidden / _WHOLE
    names = _all_files(whole)
    for name in names:
        _place(whole / name, target / name, hidden / _NEXT)
    _sweep(target, json.loads((hidden / _STALE).read_text()))
    for folder in {target, *((target / name).parent for name in names)}:
        force_folder(folder)
    whole.rename(hidden / _DONE)


def _place(file: Path, place: Path, waiting: Path) -> None:
    """Give a file a second name, by way of a third one beside it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    waiting.unlink(missing_ok=True)
    try:
        os.link(file, waiting)
    except OSError:  # a file system without links
        shutil.copyfile(file, waiting)
        force_file(waiting)
    waiting.replace(place)


def _sweep(target: Path, stale: list[str]) -> None:
    """Delete files of the earlier folder, and folders that are empty without them."""
    for name in stale:
        (target / name).unlink(missing_ok=True)
        for parent in (target / name).parents:
            if parent == target or not parent.is_dir() or any(parent.iterdir()):
                break
            parent.rmdir()


def _all_files(folder: Path) -> list[str]:
    """List the files of a folder, relative to it, without those of hidden folders."""
    files = []
    for root, folders, names in os.walk(folder):
        if Path(root) == folder:  # others may delete theirs just now
            folders[:] = [name for name in folders if not is_hidden(name)]
        links = [name for name in folders if Path(root, name).is_symlink()]
        files += [Path(root, name).relative_to(folder) for name in names + links]
    return sorted(file.as_posix() for file in files)


@contextmanager
def _errors_of(path: Path, *, only: Collection[int] | None = None) -> Iterator[None]:
    """Say of a path, in plain words, what the system says of hidden folders."""
    try:
        yield
    except OSError as error:
        is_of_system = error.strerror is not None
        if error.errno in only if only is not None else is_of_system:
            raise write_error(error, path) from error
        raise
