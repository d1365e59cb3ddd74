"""Fingerprints of values and files, the same in every process."""

import hashlib
import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

# Of an array read at once, and of a file with one fingerprint: notes of features on
# disk depend on it.
_BLOCK_BYTES = 2**26
_PART_BYTES = 2**20  # of a block, read at once
_MOST_THREADS = 4


def digest(*parts: object) -> str:
    """Compute a fingerprint of values, the same in every process.

    Parameters
    ----------
    *parts : object
        Arrays, and matrices on disk with ``dtype``, ``shape`` and slices of rows, count
        by type, shape and values. Bytes count as they are; tuples, lists and dicts by
        their parts. The parts of an iterator count as if they were passed one by one,
        and need not be in memory together. Anything else counts by its ``repr``, which
        must not depend on the process.

    Returns
    -------
    digest : str
        64 hexadecimal digits.
    """
    total = hashlib.sha256()
    for part in parts:
        _add(total, part)
    return total.hexdigest()


def _add(total: Any, part: Any) -> None:
    if _is_array(part):
        _add_array(total, part)
    elif isinstance(part, Iterator):
        for one in part:
            _add(total, one)
    elif isinstance(part, (tuple, list)):
        total.update(digest(*part).encode())
    elif isinstance(part, dict):
        total.update(digest(*part.items()).encode())
    elif isinstance(part, bytes):  # with its length, so that parts stay apart
        total.update(len(part).to_bytes(8, "big"))
        total.update(part)
    else:
        total.update(repr(part).encode())


def _is_array(part: Any) -> bool:
    if isinstance(part, np.ndarray):
        return True
    has_type = isinstance(getattr(part, "dtype", None), np.dtype)
    return has_type and len(getattr(part, "shape", ())) > 0  # no number of numpy


def _add_array(total: Any, array: Any) -> None:
    """Add the type, the shape and some rows at a time, whatever the order in memory."""
    total.update(f"{array.dtype.str} {array.shape}".encode())
    rows = array if len(array.shape) else array.reshape(1)
    n_bytes = rows.dtype.itemsize * math.prod(rows.shape[1:])
    size = max(_BLOCK_BYTES // max(n_bytes, 1), 1)
    for start in range(0, rows.shape[0], size):
        total.update(np.ascontiguousarray(rows[start : start + size]).data)


class BlockDigests:
    """Fingerprints of bytes that come one after the other, one for each block.

    Parameters
    ----------
    path : Path, default=None
        A file whose bytes come first.
    start, stop : int
        Where these bytes begin and end in the file.
    """

    def __init__(self, path: Path | None = None, start: int = 0, stop: int = 0) -> None:
        self._full: list[str] = []
        self._last, self._n_last = hashlib.sha256(), 0
        if path is None:
            return
        n_full = (stop - start) // _BLOCK_BYTES
        end = start + n_full * _BLOCK_BYTES
        self._full = blocks_of(path, start, end)
        with path.open("rb") as file:
            file.seek(end)
            self.update(file.read(stop - end))

    def update(self, data: bytes | memoryview) -> None:
        """Add bytes after those before."""
        view = memoryview(data).cast("B")
        while len(view):
            part = view[: _BLOCK_BYTES - self._n_last]
            self._last.update(part)
            self._n_last += len(part)
            view = view[len(part) :]
            if self._n_last == _BLOCK_BYTES:
                self._full.append(self._last.hexdigest())
                self._last, self._n_last = hashlib.sha256(), 0

    def digests(self) -> list[str]:
        """Return the fingerprints so far, that of the block under way at the end."""
        return self._full + ([self._last.hexdigest()] if self._n_last else [])


def blocks_of(path: Path, start: int, stop: int) -> list[str]:
    """Compute the fingerprints of bytes in a file, as :class:`BlockDigests` does.

    Blocks are read by several threads; the disk is the limit.

    Parameters
    ----------
    path : Path
        The file.
    start, stop : int
        Where the bytes begin and end.

    Returns
    -------
    digests : list of str
        One for each block.
    """

    def of_block(first: int) -> str:
        total = hashlib.sha256()
        with path.open("rb") as file:
            file.seek(first)
            left = min(_BLOCK_BYTES, stop - first)
            while left > 0 and (part := file.read(min(left, _PART_BYTES))):
                total.update(part)
                left -= len(part)
        return total.hexdigest()

    if stop - start <= _BLOCK_BYTES:
        return [of_block(start)] if stop > start else []
    with ThreadPoolExecutor(min(os.cpu_count() or 1, _MOST_THREADS)) as threads:
        return list(threads.map(of_block, range(start, stop, _BLOCK_BYTES)))
