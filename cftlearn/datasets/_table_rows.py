"""Rows of very large tables in CSV, some ten thousands at a time, by pyarrow.

Notes
-----
pyarrow was chosen by measurement. For 20,000,000 labels in the form of Open Images
(0.85 GB, ``benchmarks/loaders_scale.py``), ``load_open_images`` took 15 to 17 s of
processor time and 1,390 to 1,430 MiB with rows parsed by numpy (this module's first
form), 14.4 s and 1,400 MiB with pandas 3.1 (``read_csv`` in chunks), and 9.6 s and
1,500 MiB with pyarrow 26 on one thread. pandas fills rows that are too short with
blanks, without an error. pyarrow names the row, its text and its number of fields, so
no error becomes worse. More threads do not make it faster, and then its errors have no
number of the row.
"""

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from cftlearn._dependencies import import_optional
from cftlearn.datasets._csv_rows import CsvRows
from cftlearn.datasets._names import shown
from cftlearn.datasets._paths import PathText, as_path
from cftlearn.datasets._text_files import open_binary

_BLOCK = 4 << 20  # bytes that are parsed at a time
_DIGITS = np.full(256, 255, dtype=np.uint8)
_DIGITS[list(b"0123456789abcdef")] = np.arange(16)
_N_DIGITS = 16
# How pyarrow says that a row is too short or too long, and that there is no row.
_MISFIT = re.compile(r"Row #(\d+): Expected (\d+) columns, got (\d+): (.*)", re.DOTALL)
_NO_ROWS = "Empty CSV"
_LONGEST_HEADER = 1 << 16  # bytes
_TOO_LONG = "straddling"  # how pyarrow says that a row is longer than a block


class Rows:
    """Some rows of a table.

    Parameters
    ----------
    path : str or path-like
        The table, for errors.
    batch : pyarrow.RecordBatch
        Columns of bytes; those of words have a dictionary.
    line : int
        Number of the first row's line.
    """

    def __init__(self, path: PathText, batch: Any, line: int) -> None:
        self._path, self._batch, self._line = path, batch, line

    def __len__(self) -> int:
        """Count the rows."""
        return self._batch.num_rows

    def hexadecimal(self, name: str) -> NDArray[np.uint64]:
        """Return a column of numbers that have sixteen hexadecimal digits.

        Blanks around them do not count.

        Raises
        ------
        ValueError
            If a field is something else.
        """
        column = self._batch.column(name)
        _, bounds_buffer, text_buffer = column.buffers()
        # Each field ends where the next one starts.
        bounds = np.frombuffer(bounds_buffer, dtype=np.int32)
        bounds = bounds[column.offset : column.offset + len(self) + 1]
        wrong = np.flatnonzero(np.diff(bounds) != _N_DIGITS)
        text = np.frombuffer(text_buffer, dtype=np.uint8)[bounds[0] : bounds[-1]]
        if wrong.size:  # of another length, unless it is for blanks around them
            fields = [field.strip() for field in column.to_pylist()]
            wrong = np.flatnonzero([len(field) != _N_DIGITS for field in fields])
            text = np.frombuffer(b"".join(fields), dtype=np.uint8)
        if not wrong.size:
            digits = _DIGITS[text].reshape(-1, _N_DIGITS)
            wrong = np.flatnonzero((digits > 15).any(axis=1))
        if wrong.size:
            row = int(wrong[0])
            rule = f"of {_N_DIGITS} hexadecimal digits as {name}"
            self._fail(row, column[row].as_py(), rule)
        pairs = (digits[:, 0::2] << 4) | digits[:, 1::2]
        return np.ascontiguousarray(pairs).view(">u8").ravel().astype(np.uint64)

    def words(self, name: str) -> tuple[list[str], NDArray[np.int32]]:
        """Return the words of a column, and the index of each row's word.

        Blanks around words do not count, so that a word may be there twice.

        Raises
        ------
        ValueError
            If a field is blank.
        """
        column = self._batch.column(name)
        words = [_decoded(word) for word in column.dictionary.to_pylist()]
        if "" in words:
            self.fail(name, "", f"without a blank {name}")
        return words, column.indices.to_numpy()

    def fail(self, name: str, word: str, rule: str) -> NoReturn:
        """Raise an error for a wrong word of a column.

        Parameters
        ----------
        name : str
            The column.
        word : str
            The wrong word.
        rule : str
            What follows "must have rows"; the remedy may end it.
        """
        fields = self._batch.column(name).to_pylist()
        row = next(k for k, field in enumerate(fields) if _decoded(field) == word)
        self._fail(row, fields[row], rule)

    def _fail(self, row: int, field: bytes, rule: str) -> NoReturn:
        raise ValueError(
            f"`path` must have rows {rule}; got {shown(_decoded(field))} in line "
            f"{self._line + row:,} of '{self._path}'. Correct the row, or download the "
            "file again."
        )


def read_rows(
    path: PathText, *, numbers: Sequence[str], words: Sequence[str], feature: str
) -> Iterator[Rows]:
    """Read a table in CSV, some ten thousands of rows at a time.

    Parameters
    ----------
    path : str or path-like
        The file, gzip or not, whose first line names its columns.
    numbers : sequence of str
        Names of columns that are read as hexadecimal numbers.
    words : sequence of str
        Names of columns that are read as words.
    feature : str
        What needs pyarrow, for the error.

    Yields
    ------
    rows : Rows
        The next rows, in the order of the file.

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    TypeError, FileNotFoundError, IsADirectoryError
        If the path is not that of a file.
    ValueError
        If the file cannot be read, does not have a column, or has a row of another
        length. Numbers of lines in errors leave out blank lines.
    """
    path = as_path(path)
    arrow = import_optional("pyarrow", feature=feature, extra="arrow")
    arrow_csv = import_optional("pyarrow.csv", feature=feature, extra="arrow")
    dictionary = arrow.dictionary(arrow.int32(), arrow.binary())
    kinds = dict.fromkeys(numbers, arrow.binary()) | dict.fromkeys(words, dictionary)
    with open_binary(path) as stream:
        names = _read_header(path, stream.readline(_LONGEST_HEADER), kinds)
        line = 2
        try:
            for batch in arrow_csv.open_csv(
                stream,
                arrow_csv.ReadOptions(
                    use_threads=False, block_size=_BLOCK, column_names=names
                ),
                convert_options=arrow_csv.ConvertOptions(
                    include_columns=list(kinds),
                    column_types=kinds,
                    strings_can_be_null=False,
                ),
            ):
                if batch.num_rows:
                    yield Rows(path, batch, line)
                line += batch.num_rows
        except arrow.ArrowInvalid as error:
            if _NO_ROWS not in str(error):
                raise ValueError(_in_our_words(path, str(error))) from error


def _read_header(path: PathText, line: bytes, required: Iterable[str]) -> list[str]:
    line = line.rstrip(b"\r\n")
    rows = CsvRows(io.StringIO(_decoded(line)), path, ",")
    names = [name.strip() for row in rows for name in row]
    for name in required:
        if names.count(name) != 1:
            raise ValueError(
                f"`path` must be a table in CSV with a column {name!r}; got '{path}', "
                f"whose first line is {shown(_decoded(line))}. Check that this is the "
                "right file."
            )
    return names


def _in_our_words(path: PathText, message: str) -> str:
    found = _MISFIT.search(message)
    if found is None:
        reason = "cells that cannot be read, or a quote that does not end"
        if _TOO_LONG in message:
            reason = (
                f"a row of more than {_BLOCK:,} bytes, or a quote that does not end"
            )
        return (
            f"`path` must be a table in CSV; got '{path}' with {reason}. Check that "
            "this is the right file."
        )
    row, n_expected, n_found, text = found.groups()
    return (
        f"`path` must have {n_expected} fields in every row; got {n_found} in line "
        f"{int(row) + 1:,} of '{path}': {shown(text)}. Its download or its "
        "writing may have been interrupted: get it again."
    )


def _decoded(field: bytes) -> str:
    return field.decode("utf-8", "replace").strip()
