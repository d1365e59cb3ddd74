"""Rows of large tables in CSV, parsed many at a time with numpy.

Only for tables without commas or line breaks inside their fields.
"""

import itertools
import os
from collections.abc import Iterator, Sequence
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from cftlearn.datasets._byte_blocks import read_blocks

_BLOCK = 4 << 20  # bytes: large enough for numpy, small enough for the cache
_LONGEST_LINE = 1 << 20  # bytes
_WIDTH = 32  # bytes that a word may have
_COMMA, _LINE_END = ord(","), ord("\n")
_DIGITS = np.full(256, 255, dtype=np.uint8)
_DIGITS[list(b"0123456789abcdef")] = np.arange(16)
_MULTIPLIERS = np.array(
    [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93],
    dtype=np.uint64,
)


def read_rows(path: str | os.PathLike[str], columns: Sequence[str]) -> Iterator["Rows"]:
    """Read a table in CSV, some ten thousands of rows at a time.

    Parameters
    ----------
    path : str or path
        The file, gzip or not, whose first line names its columns.
    columns : sequence of str
        Names of the columns that it must have, in any order.

    Yields
    ------
    rows : Rows
        The next rows. At least one.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file cannot be read, lacks a column, or has a row of another length.
        Numbers of lines in errors leave out blank lines.
    """
    blocks = _whole_lines(path)
    header, _, rest = next(blocks).partition(b"\n")
    names = header.decode("utf-8", "replace").split(",")
    for name in columns:
        if names.count(name) != 1:
            raise ValueError(
                f"`path` must be a table in CSV with a column {name!r}; got "
                f"'{path}', whose first line is {header[:80]!r}. Check that this is "
                "the right file."
            )
    line = 2
    for block in itertools.chain([rest], blocks):
        if block:
            rows = Rows(path, names, block, line)
            line += len(rows)
            yield rows


def _whole_lines(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """Give blocks that end with a line, without quotes and blank lines."""
    rest = b""
    for block in read_blocks(path, size=_BLOCK):
        lines, end, tail = block.rpartition(b"\n")
        if end:
            yield _plain(rest + lines + end)
            rest = tail
        else:
            rest += tail
        if len(rest) > _LONGEST_LINE:
            raise ValueError(
                f"`path` must be a table in CSV; got '{path}' with a line of more than "
                f"{_LONGEST_LINE:,} bytes. Check that this is the right file."
            )
    yield _plain(rest + b"\n")


def _plain(block: bytes) -> bytes:
    for mark in (b'"', b"\r"):
        if mark in block:
            block = block.replace(mark, b"")
    while b"\n\n" in block:
        block = block.replace(b"\n\n", b"\n")
    return block.removeprefix(b"\n")


class Rows:
    """Some rows of a table.

    Parameters
    ----------
    path : str or path
        The table, for errors.
    names : list of str
        Its columns.
    block : bytes
        Whole lines.
    line : int
        Number of the first one.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        names: list[str],
        block: bytes,
        line: int,
    ) -> None:
        self._path, self._names, self._line = path, names, line
        self._bytes = np.frombuffer(block + bytes(_WIDTH), dtype=np.uint8)
        text = self._bytes[: len(block)]
        ends = np.flatnonzero((text == _COMMA) | (text == _LINE_END))
        is_line_end = text[ends] == _LINE_END
        whole = len(ends) % len(names) == 0
        if whole:
            by_row = is_line_end.reshape(-1, len(names))
            whole = by_row[:, -1].all() and not by_row[:, :-1].any()
        if not whole:
            self._fail_on_length(block)
        self._ends = ends.reshape(-1, len(names))
        starts = np.append(0, ends[:-1] + 1)
        self._starts = starts.reshape(-1, len(names))
        if b"\0" in block:
            row = block.count(b"\n", 0, block.index(b"\0"))
            self._fail_on_row(row, "without bytes of zero", names[0])

    def __len__(self) -> int:
        """Count the rows."""
        return len(self._ends)

    def hexadecimal(self, name: str) -> NDArray[np.uint64]:
        """Read a column of numbers of sixteen hexadecimal digits.

        Parameters
        ----------
        name : str
            The column.

        Returns
        -------
        numbers : ndarray of shape (n_rows,), uint64
            The numbers.

        Raises
        ------
        ValueError
            If a field is something else.
        """
        starts, lengths = self._fields(name)
        digits = _DIGITS[self._windows(16)[starts]]
        wrong = np.flatnonzero((lengths != 16) | (digits > 15).any(axis=1))
        if wrong.size:
            row = int(wrong[0])
            self._fail_on_row(row, f"of 16 hexadecimal digits as {name}", name)
        pairs = (digits[:, 0::2] << 4) | digits[:, 1::2]
        return np.ascontiguousarray(pairs).view(">u8").ravel().astype(np.uint64)

    def words(self, name: str) -> tuple[list[str], NDArray[np.intp]]:
        """Read a column of short words that repeat.

        Parameters
        ----------
        name : str
            The column.

        Returns
        -------
        words : list of str
            The different words, in no special order.
        place : ndarray of shape (n_rows,), intp
            Which word each row has.

        Raises
        ------
        ValueError
            If a word is empty, longer than 32 bytes, or not ASCII.
        """
        starts, lengths = self._fields(name)
        wrong = np.flatnonzero((lengths > _WIDTH) | (lengths < 1))
        if wrong.size:
            self._fail_on_row(int(wrong[0]), f"of 1 to {_WIDTH} bytes as {name}", name)
        width = 8 * -(-int(lengths.max()) // 8)
        letters = self._windows(width)[starts]
        letters *= np.arange(width) < lengths[:, np.newaxis]
        first, place = _different(letters)
        found = letters[first].view(f"S{width}").ravel().tolist()
        for row, word in zip(first, found, strict=True):
            if not word.isascii():
                self._fail_on_row(int(row), f"in ASCII as {name}", name)
        return [word.decode("ascii") for word in found], place

    def fail(self, name: str, word: str, rule: str) -> NoReturn:
        """Say what a column must hold, and where its first wrong word stands.

        Parameters
        ----------
        name : str
            The column.
        word : str
            The wrong word.
        rule : str
            What stands after "must have rows"; the remedy may follow.

        Raises
        ------
        ValueError
            Always.
        """
        words, place = self.words(name)
        self._fail_on_row(
            int(np.flatnonzero(place == words.index(word))[0]), rule, name
        )

    def _fields(self, name: str) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        column = self._names.index(name)
        starts = self._starts[:, column]
        return starts, self._ends[:, column] - starts

    def _windows(self, width: int) -> NDArray[np.uint8]:
        return np.lib.stride_tricks.sliding_window_view(self._bytes, width)

    def _fail_on_row(self, row: int, rule: str, name: str) -> NoReturn:
        column = self._names.index(name)
        start, end = self._starts[row, column], self._ends[row, column]
        text = bytes(self._bytes[start : min(end, start + 60)]).decode(
            "utf-8", "replace"
        )
        raise ValueError(
            f"`path` must have rows {rule}; got {text!r} in line {self._line + row:,} "
            f"of '{self._path}'."
        )

    def _fail_on_length(self, block: bytes) -> NoReturn:
        lines = block.split(b"\n")[:-1]
        row = next(
            k
            for k, line in enumerate(lines)
            if line.count(b",") != len(self._names) - 1
        )
        raise ValueError(
            f"`path` must have {len(self._names)} fields in every row; got "
            f"{lines[row].count(b',') + 1} in line {self._line + row:,} of "
            f"'{self._path}': {lines[row][:80].decode('utf-8', 'replace')!r}. Its "
            "download or its writing may have been interrupted: get it again."
        )


def _different(letters: NDArray[np.uint8]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Find the first row of each different word, and the word of each row."""
    pieces = np.ascontiguousarray(letters).view("<u8")
    # Sorting one number a row is far faster than sorting text; that no two words
    # share a number is checked.
    mixed = (pieces * _MULTIPLIERS[: pieces.shape[1]]).sum(axis=1, dtype=np.uint64)
    mixed ^= mixed >> np.uint64(29)
    _, first, place = np.unique(mixed, return_index=True, return_inverse=True)
    if (pieces[first][place] != pieces).any():
        text = np.ascontiguousarray(letters).view(f"S{letters.shape[1]}").ravel()
        _, first, place = np.unique(text, return_index=True, return_inverse=True)
    return first, place
