"""Locks that end with the process that holds them."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def try_lock(descriptor: int) -> bool | None:
    """Lock an open file, if no other process has locked it.

    Parameters
    ----------
    descriptor : int
        The file. The lock ends when it is closed, or its process ends.

    Returns
    -------
    is_locked : bool or None
        False if somebody else has the lock; None where there are no locks.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some network file systems
        return None
    return True


def is_locked(path: Path) -> bool | None:
    """Return whether a living process has locked a file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    is_locked : bool or None
        None where there are no locks; False if there is no such file.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path, flags)
    except PermissionError:
        return None
    except OSError:
        return False
    try:
        got = try_lock(descriptor)
    finally:
        os.close(descriptor)
    return None if got is None else not got


def open_own(path: Path) -> int | None:
    """Create or open a file that no living process has open by this function.

    Parameters
    ----------
    path : Path
        The file. What is left of an ended process is emptied.

    Returns
    -------
    descriptor : int or None
        The locked file, open for writing. None if it belongs to somebody else, or
        there are no locks.

    Raises
    ------
    OSError
        If the file cannot be created.
    """
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0)
    is_new = True
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        is_new = False
        try:
            descriptor = os.open(path, flags)
        except OSError:  # a link, the file of another user, or renamed just now
            return None
    is_locked: bool | None = False
    try:
        is_locked = _lock_if_alone(descriptor, path)
        if is_locked:
            os.ftruncate(descriptor, 0)
        elif is_locked is None and is_new:
            path.unlink()
    finally:
        if not is_locked:
            os.close(descriptor)
    return descriptor if is_locked else None


def _lock_if_alone(descriptor: int, path: Path) -> bool | None:
    """Lock a file, and check that it still has its name, and no second one."""
    is_locked = try_lock(descriptor)
    if not is_locked:
        return is_locked
    own = os.fstat(descriptor)
    if not stat.S_ISREG(own.st_mode):
        return False
    if own.st_nlink > 1 and is_still(descriptor, path):
        path.unlink()  # its content has another name by now, and must stay
        return False
    return is_still(descriptor, path)


def is_still(descriptor: int, path: Path) -> bool:
    """Return whether a path names an open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Wait until no other process works in a folder, where folders can be locked."""
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems have no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
