"""Hidden folders where something is saved before it gets its name.

A hidden folder holds a ``lock`` of its process and, one after the other,

- ``new``: what is being written,
- ``whole``: all of it, on the disk, on its way to its name. From then on it counts,
- ``earlier``: what it replaced.

Names are the same in every process. So leftovers of ended processes are found again:
the next save finishes what was whole, and deletes the rest.
"""

import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cftlearn._files._digests import digest
from cftlearn._files._locks import fcntl, is_locked, is_still, try_lock

_LOCK = "lock"
_YOUNG = 5.0  # seconds
_MOST = 32  # processes that save to one path at the same time
_NAME = re.compile(r"\.saving-([0-9a-f]{12}-)?\d{1,2}")


def is_hidden(name: str) -> bool:
    """Return whether a name is that of a hidden folder."""
    return _NAME.fullmatch(name) is not None


def hidden_beside(target: Path) -> list[Path]:
    """Return the paths of hidden folders beside a path."""
    own = digest(target.name)[:12]
    return [target.with_name(f".saving-{own}-{k}") for k in range(_MOST)]


def hidden_inside(target: Path) -> list[Path]:
    """Return the paths of hidden folders in a folder."""
    return [target / f".saving-{k}" for k in range(_MOST)]


def is_being_written(target: Path) -> bool:
    """Return whether a living process seems to write a folder just now.

    Parameters
    ----------
    target : Path
        The folder, and no link.
    """
    return any(map(_is_in_use, hidden_inside(target) + hidden_beside(target)))


def _is_in_use(folder: Path) -> bool:
    locked = is_locked(folder / _LOCK)
    if locked is not None:
        return locked
    try:  # without locks, a folder that is not old
        return time.time() - folder.stat().st_mtime < _YOUNG
    except OSError:
        return False


@contextmanager
def own_folder(places: list[Path], finish: Callable[[Path], None]) -> Iterator[Path]:
    """Make a hidden folder of this process, and delete it in the end.

    Parameters
    ----------
    places : list of Path
        Where it may be.
    finish : callable
        Called with a hidden folder before it is deleted; it gives what is whole its
        name.

    Yields
    ------
    folder : Path
        Empty but for the lock.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    for folder in places:
        lock = _take(folder, make=True)
        if lock is not None:
            break
    else:
        raise OSError(
            f"{str(places[0].parent)!r} has {len(places)} hidden folders like "
            f"{places[0].name!r}. Delete those of processes that have ended."
        )
    try:
        _empty(folder)
        yield folder
    finally:
        _give_up(folder, lock, finish)


def settle(places: list[Path], finish: Callable[[Path], None]) -> None:
    """Finish or delete what ended processes left in hidden folders."""
    for folder in places:
        if folder.is_dir():
            lock = _take(folder, make=False)
            if lock is not None:
                _give_up(folder, lock, finish)


def _take(folder: Path, *, make: bool) -> int | None:
    """Lock a hidden folder. None if it is another process's, or no such folder."""
    is_new = False
    if make:
        try:
            folder.mkdir(mode=0o700)
            is_new = True
        except FileExistsError:
            pass
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    try:
        if not stat.S_ISDIR(folder.lstat().st_mode):
            return None
        lock = os.open(folder / _LOCK, flags, 0o600)
    except FileNotFoundError:  # another process took it for a leftover
        return None
    except OSError:
        if is_new:  # it cannot hold a file
            folder.rmdir()
            raise
        return None  # of another user
    is_locked = try_lock(lock)
    # Without locks nothing is known about who has an older folder.
    is_ours = is_new if is_locked is None else is_locked
    if is_ours and is_still(lock, folder / _LOCK):
        return lock
    os.close(lock)
    return None


def _give_up(folder: Path, lock: int, finish: Callable[[Path], None]) -> None:
    """Delete a locked hidden folder; what is whole gets its name before."""
    try:
        finish(folder)
        # What cannot be deleted, or was just taken by another process, is left to the
        # next save; it changes nothing.
        with suppress(OSError):
            _empty(folder)
            if fcntl is None:  # Windows deletes no open file
                os.close(lock)
            (folder / _LOCK).unlink()
            folder.rmdir()
    finally:
        if fcntl is not None:
            os.close(lock)


def _empty(folder: Path) -> None:
    for part in folder.iterdir():
        if part.name == _LOCK:
            continue
        if part.is_dir() and not part.is_symlink():
            shutil.rmtree(part)
        else:
            part.unlink()
