"""Write a file that appears whole, or not at all."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from cftlearn._files._digests import digest
from cftlearn._files._locks import fcntl, is_still, open_own
from cftlearn._files._places import force_folder, real_place, write_error

_MOST_WRITERS = 16  # of one file at the same time, whose leftovers are found again
_LONGEST = 200  # bytes of a name, with room for an ending


@contextmanager
def open_atomically(
    path: Path, mode: str = "w", *, replace: bool = True
) -> Iterator[Any]:
    """Open a file that appears under its name only when all of it is written.

    What was there before stays until then, and for good if writing fails. The file is
    written beside its path, forced to the disk and then renamed. A link stays a link:
    the file that it names is replaced. What a killed process left beside the path is
    used again.

    Parameters
    ----------
    path : Path
        The file.
    mode : {"w", "wb"}, default="w"
        Text in UTF-8, or bytes. Line ends are written as they are, and file names
        that are not valid UTF-8 keep their bytes.
    replace : bool, default=True
        Replace a file that is there. False keeps it: of several processes that write
        the same path, the first one wins.

    Yields
    ------
    file : file object
        Open for writing.

    Raises
    ------
    OSError
        If the file cannot be written, in plain words; also where what writes it, such
        as torch, raised something else because of it. Or if something else than a file
        is there.
    """
    target = real_place(path, "a file")
    with _said_of(path):
        beside, descriptor = _open_beside(target)
    # A second descriptor keeps the lock when the file is closed, as it must be before
    # Windows renames it; Windows has no locks.
    lock = None if fcntl is None else os.dup(descriptor)
    try:
        with _written(descriptor, mode, path) as file:
            yield file
        with _said_of(path):
            if replace:
                beside.replace(target)
            else:
                _link(beside, target)
            force_folder(target.parent)
    finally:  # after Ctrl-C too
        if lock is None:
            beside.unlink(missing_ok=True)
        else:
            if is_still(lock, beside):  # not renamed, and nobody else's by now
                beside.unlink()
            os.close(lock)


@contextmanager
def open_new(path: Path, mode: str = "w") -> Iterator[Any]:
    """Open a new file in a folder that is not under its name yet.

    Parameters
    ----------
    path : Path
        The file; nothing may be there.
    mode : {"w", "wb"}, default="w"
        As in :func:`open_atomically`.

    Yields
    ------
    file : file object
        Open for writing.

    Raises
    ------
    OSError
        As :func:`open_atomically`.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with _said_of(path):
        descriptor = os.open(path, flags, 0o666)
    with _written(descriptor, mode, path) as file:
        yield file


def check_writable_file(path: Path) -> None:
    """Check, before work of hours, that a file can be written in the end.

    Parameters
    ----------
    path : Path
        The file. Nothing there changes.

    Raises
    ------
    OSError
        If something else than a file is there, or no file can be written.
    """
    target = real_place(path, "a file")
    with _said_of(path):
        beside, descriptor = _open_beside(target)
        if fcntl is None:
            os.close(descriptor)
            beside.unlink()
        else:  # while it is locked
            beside.unlink()
            os.close(descriptor)


class _Watched(io.FileIO):
    """A file that remembers why it could not be written."""

    failure: OSError | None = None

    def write(self, data: Any) -> Any:
        try:
            return super().write(data)
        except OSError as error:
            self.failure = error
            raise


@contextmanager
def _written(descriptor: int, mode: str, path: Path) -> Iterator[Any]:
    """Open a file for writing, force it to the disk and close it."""
    raw = _Watched(descriptor, "w")
    file: Any = io.BufferedWriter(raw)
    if "b" not in mode:
        file = io.TextIOWrapper(
            file, encoding="utf-8", errors="surrogateescape", newline=""
        )
    try:
        try:
            yield file
            file.flush()
            with _said_of(path):
                os.fsync(descriptor)
        except Exception as error:  # torch has other words for a full disk
            if raw.failure is None:
                raise
            raise write_error(raw.failure, path) from error
    except BaseException:
        with suppress(OSError, ValueError):  # it is told already
            file.close()
        raise
    file.close()


@contextmanager
def _said_of(path: Path) -> Iterator[None]:
    """Say of a path, in plain words, what the system says of files beside it."""
    try:
        yield
    except OSError as error:
        raise write_error(error, path) from error


def _open_beside(target: Path) -> tuple[Path, int]:
    """Open a hidden file beside a path, the same one after every kill."""
    name = target.name
    if len(os.fsencode(name)) > _LONGEST:
        name = digest(name)[:16]
    # Without locks, as on Windows, every writer has a name of its own.
    for number in range(0 if fcntl is None else _MOST_WRITERS):
        beside = target.with_name(f".{name}.{number}.part")
        descriptor = open_own(beside)
        if descriptor is not None:
            return beside, descriptor
    beside = target.with_name(f".{name}.{uuid4().hex[:12]}.part")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    return beside, os.open(beside, flags, 0o666)


def _link(source: Path, path: Path) -> None:
    """Link a second name to a file, unless something already has that name."""
    try:
        os.link(source, path)
    except FileExistsError:
        pass  # another process was faster
    except OSError:
        source.replace(path)  # a file system without links
