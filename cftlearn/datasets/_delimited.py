"""Tables of text: CSV files in their many spellings, with the line of every row."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cftlearn.datasets._paths import PathText
from cftlearn.datasets._text_files import open_text

_SEPARATORS = ",;\t|"
_ROWS_AT_ONCE = 256
_SHORT = 9  # characters


@dataclass(frozen=True)
class DelimitedTable:
    """Cells of a CSV file as text.

    Parameters
    ----------
    file : str or path-like
        The file.
    header : list of str
        Names of the columns, without blanks around them.
    columns : list of list of str
        Cells of every column.
    lines : list of int
        Line in which each row ends, for errors.
    """

    file: PathText
    header: list[str]
    columns: list[list[str]]
    lines: list[int]

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.lines)

    def where(self, row: int) -> str:
        """Return the line and file of a row, for errors."""
        return f"line {self.lines[row]} of '{self.file}'"

    def column_names(self) -> str:
        """Return the names of the columns, for errors."""
        return ", ".join(map(repr, self.header))

    def texts(self, column: int) -> NDArray[np.str_]:
        """Return the cells of a column as an array."""
        return np.array(self.columns[column], dtype=str)

    def refuse_repeated(self, column: int, remedy: str) -> None:
        """Check that a column of images has each of them once.

        Raises
        ------
        ValueError
            If an image is there twice.
        """
        cells = self.columns[column]
        if len(set(cells)) == len(cells):
            return
        first_row: dict[str, int] = {}
        for row, cell in enumerate(cells):
            earlier = first_row.setdefault(cell, row)
            if earlier != row:
                raise ValueError(
                    f"`path` must have every image once; got {cell!r} in column "
                    f"{self.header[column]!r} in line {self.lines[earlier]} and in "
                    f"{self.where(row)}. {remedy}"
                )


def read_delimited(
    path: PathText, *, separator: str | None = None, encoding: str | None = None
) -> DelimitedTable:
    """Read a CSV file whose first line names its columns.

    Parameters
    ----------
    path : str or path-like
        The file, compressed by gzip or not.
    separator : str, default=None
        The character between cells; by default the one of comma, semicolon, tab and
        bar that the first line has most of.
    encoding : str, default=None
        As :func:`open_text`.

    Returns
    -------
    table : DelimitedTable
        Its cells. Blank lines are left out.

    Raises
    ------
    TypeError, FileNotFoundError, IsADirectoryError
        If the path is not that of a file.
    ValueError
        If the file has no rows or is not text, has a column twice, a row with more or
        fewer cells than the header, or a quote that does not end.
    """
    if separator is not None and len(separator) != 1:
        raise ValueError(
            f"`separator` must be one character or None; got {separator!r}."
        )
    with open_text(path, encoding) as stream:
        first = stream.readline()
        reader = csv.reader(
            chain([first], stream),
            delimiter=separator or _separator_of(first),
            strict=True,
        )
        try:
            header = _read_header(reader, path)
            columns, lines = _read_rows(reader, len(header), path)
        except csv.Error as error:
            raise ValueError(
                f"`path` must be a CSV file; '{path}' is not in line "
                f"{reader.line_num} ({error}). Is a quote left open, or the file cut "
                "short?"
            ) from error
    if not lines:
        raise ValueError(
            f"`path` must have rows; '{path}' has a header and nothing below. Copy or "
            "download it again."
        )
    return DelimitedTable(path, header, columns, lines)


def _separator_of(line: str) -> str:
    plain = re.sub(r'"[^"]*"', "", line)
    return max(_SEPARATORS, key=plain.count)


def _read_header(reader: Iterator[list[str]], path: PathText) -> list[str]:
    header = [name.strip() for name in next(reader, [])]
    if not any(header):
        raise ValueError(
            f"`path` must be a CSV file whose first line names its columns; the first "
            f"line of '{path}' is empty."
        )
    repeated = [name for name in header if name and header.count(name) > 1]
    if repeated:
        raise ValueError(
            f"`path` must have every column once; '{path}' has {repeated[0]!r} "
            f"{header.count(repeated[0])} times. Rename or delete one."
        )
    return header


def _read_rows(
    reader: Any, n_columns: int, path: PathText
) -> tuple[list[list[str]], list[int]]:
    columns: list[list[str]] = [[] for _ in range(n_columns)]
    lines: list[int] = []
    rows: list[list[str]] = []
    texts: dict[str, str] = {}
    for row in reader:
        if len(row) != n_columns:
            if not row:
                continue
            raise ValueError(
                f"`path` must have as many cells in every row as its header, "
                f"{n_columns}; got {len(row)} in line {reader.line_num} of '{path}'. "
                "Was the file cut short? A cell that holds the separator needs quotes."
            )
        rows.append(row)
        lines.append(reader.line_num)
        if len(rows) == _ROWS_AT_ONCE:  # so that lists of rows do not pile up
            _append(columns, rows, texts)
            rows = []
    _append(columns, rows, texts)
    return columns, lines


def _append(
    columns: list[list[str]], rows: list[list[str]], texts: dict[str, str]
) -> None:
    """Add cells to their columns; equal short cells share one object."""
    for column, cells in zip(columns, zip(*rows, strict=True), strict=False):
        is_short = len(cells[0]) < _SHORT  # the first cell speaks for its column
        column.extend(map(texts.setdefault, cells, cells) if is_short else cells)
