"""Files that end with a fingerprint of their content, so that damage is noticed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cftlearn._files._digests import BlockDigests, blocks_of, digest
from cftlearn._files._places import check_is_file
from cftlearn._files._writing import open_atomically

_LENGTH = len(digest())


class _Sealed:
    """A file for bytes in order, which are counted for the fingerprint."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.digests = BlockDigests()

    def write(self, data: bytes) -> int:
        self.digests.update(data)
        return int(self._file.write(data))

    def flush(self) -> None:
        self._file.flush()


@contextmanager
def open_sealed(path: Path, *owner: object) -> Iterator[Any]:
    """Open a file for bytes that appears whole, with a fingerprint at its end.

    Parameters
    ----------
    path : Path
        The file.
    *owner : object
        What the content belongs to; it counts for the fingerprint.

    Yields
    ------
    file : object
        With a method ``write`` for bytes.

    Raises
    ------
    OSError
        As :func:`open_atomically`.
    """
    with open_atomically(path, "wb") as file:
        sealed = _Sealed(file)
        yield sealed
        file.write(digest(owner, sealed.digests.digests()).encode())


def check_sealed(path: Path, *owner: object) -> int:
    """Check that a file is what :func:`open_sealed` wrote for the same owner.

    Parameters
    ----------
    path : Path
        The file.
    *owner : object
        As when it was written.

    Returns
    -------
    n_bytes : int
        Length of the content, without the fingerprint.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it was changed, or written for something else.
    """
    check_is_file(path)
    n_bytes = path.stat().st_size - _LENGTH
    with path.open("rb") as file:
        file.seek(max(n_bytes, 0))
        found = file.read()
    if found != digest(owner, blocks_of(path, 0, n_bytes)).encode():
        raise ValueError("it was changed, or written for something else")
    return n_bytes
