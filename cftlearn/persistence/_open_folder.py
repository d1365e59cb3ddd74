"""The files of a folder, opened in a way that neither hangs nor leaves it."""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from cftlearn._files import kind_of_mode
from cftlearn.persistence._document import Stamp
from cftlearn.persistence._faults import Fault

_BLOCK_BYTES = 2**20
# Windows has neither; there, paths do.
_HAS_HANDLES = os.open in os.supports_dir_fd and os.stat in os.supports_dir_fd
_READ = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_FOLDER = _READ | getattr(os, "O_DIRECTORY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)


@dataclass(frozen=True)
class OpenFolder:
    """A folder that is held open: what is renamed meanwhile does not change it.

    Attributes
    ----------
    path : Path
        Its path, for errors; and for reading where there are no handles.
    handle : int or None
        Its handle.
    """

    path: Path
    handle: int | None

    @contextmanager
    def subfolder(self, name: str, label: str) -> Iterator["OpenFolder"]:
        """Open a folder in it, but not what a link points to.

        Parameters
        ----------
        name : str
            Its name.
        label : str
            What the fault calls it.

        Yields
        ------
        folder : OpenFolder
            The folder.

        Raises
        ------
        FileNotFoundError
            If there is none of this name.
        Fault
            If it is anything else.
        """
        found = self._stat(name, follow=False)
        if found is None:
            raise FileNotFoundError(name)
        if not stat.S_ISDIR(found.st_mode):
            raise Fault(f"{label} must be a folder; got {kind_of_mode(found.st_mode)}")
        with _opened(self.path / name, self.handle, name, _NO_LINK) as folder:
            yield folder

    @contextmanager
    def file(self, name: str) -> Iterator[BinaryIO]:
        """Open a file in it for reading.

        A link to a file is followed, as stores of models make them: digests say
        whether it is the right one.

        Parameters
        ----------
        name : str
            Its name.

        Yields
        ------
        file : binary file object
            A regular file, and at its beginning.

        Raises
        ------
        FileNotFoundError
            If there is none of this name.
        Fault
            If it is anything else, such as a pipe, which would wait for a writer.
        """
        found = self._stat(name, follow=True)
        if found is None:
            raise FileNotFoundError(name)
        if not stat.S_ISREG(found.st_mode):
            raise Fault(f"{name} must be a file; got {kind_of_mode(found.st_mode)}")
        where = name if self.handle is not None else self.path / name
        number = os.open(where, _READ | _NO_WAIT, dir_fd=self.handle)
        with os.fdopen(number, "rb") as file:
            now = os.fstat(number)
            if not stat.S_ISREG(now.st_mode):
                raise Fault(f"{name} must be a file; got {kind_of_mode(now.st_mode)}")
            yield cast("BinaryIO", file)

    def has(self, name: str) -> bool:
        """Check whether there is anything of a name."""
        return self._stat(name, follow=False) is not None

    def _stat(self, name: str, *, follow: bool) -> os.stat_result | None:
        where = name if self.handle is not None else self.path / name
        try:
            return os.stat(where, dir_fd=self.handle, follow_symlinks=follow)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            raise Fault(f"{name} must be a file; got links in a circle") from None


@contextmanager
def open_folder(path: Path) -> Iterator[OpenFolder]:
    """Open a folder, or the one that a link points to.

    Parameters
    ----------
    path : Path
        The folder.

    Yields
    ------
    folder : OpenFolder
        The folder.

    Raises
    ------
    OSError
        If there is no such folder, or it must not be read.
    """
    with _opened(path, None, path, 0) as folder:
        yield folder


def read_bytes(file: BinaryIO, most: int, name: str) -> bytes:
    """Read a whole file that must not be long.

    Parameters
    ----------
    file : binary file object
        At its beginning.
    most : int
        The most bytes that it may have.
    name : str
        Its name, for the fault.

    Returns
    -------
    data : bytes
        All of it.

    Raises
    ------
    Fault
        If it is longer.
    """
    n_bytes = os.fstat(file.fileno()).st_size
    if n_bytes > most:
        raise Fault(f"{name} must have at most {most} bytes; got {n_bytes}")
    data = file.read(n_bytes + 1)  # a buffer of what is allowed would be large
    if len(data) > n_bytes:
        raise Fault(f"{name} must not grow while it is read; it does")
    return data


def stamp_of(path: Path) -> Stamp:
    """Compute the length and the digest of a file, a part of it at a time.

    Parameters
    ----------
    path : Path
        A file.

    Returns
    -------
    stamp : Stamp
        Of its bytes.
    """
    with path.open("rb") as file:
        return _stamp(file)


def check_stamp(file: BinaryIO, stamp: Stamp, name: str) -> None:
    """Check length and digest of a file.

    Parameters
    ----------
    file : binary file object
        At its beginning, and there again afterwards.
    stamp : Stamp
        What it must have.
    name : str
        Its name, for the fault.

    Raises
    ------
    Fault
        If it has another length or digest.
    """
    n_bytes = os.fstat(file.fileno()).st_size
    if n_bytes != stamp.n_bytes:
        raise Fault(
            f"{name} must have the {stamp.n_bytes} bytes that model.json says; got "
            f"{n_bytes}"
        )
    found = _stamp(file).sha256
    file.seek(0)
    if found != stamp.sha256:
        raise Fault(
            f"{name} must have the SHA-256 that model.json says, "
            f"{stamp.sha256[:12]}...; got {found[:12]}..., so one of them was changed"
        )


def _stamp(file: BinaryIO) -> Stamp:
    total, n_bytes = hashlib.sha256(), 0
    while block := file.read(_BLOCK_BYTES):
        total.update(block)
        n_bytes += len(block)
    return Stamp(n_bytes, total.hexdigest())


@contextmanager
def _opened(
    path: Path, parent: int | None, name: str | Path, flags: int
) -> Iterator[OpenFolder]:
    if not _HAS_HANDLES:
        yield OpenFolder(path, None)
        return
    handle = os.open(name, _FOLDER | flags, dir_fd=parent)
    try:
        yield OpenFolder(path, handle)
    finally:
        os.close(handle)
