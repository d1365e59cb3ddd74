"""Tables of text: CSV files in their many spellings, with the line of every row."""

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cftlearn.datasets._csv_rows import CsvRows
from cftlearn.datasets._names import (
    as_name,
    first_pair,
    is_missing,
    path_key,
    refuse_alike,
    refuse_hidden,
    shown,
    shown_apart,
)
from cftlearn.datasets._paths import PathText
from cftlearn.datasets._text_files import open_text
from cftlearn.exceptions import list_some

_ROWS_AT_ONCE = 256
_SHORT = 9  # characters
_MOST_COLUMNS = 100_000
_MOST_NAMED = 30  # columns in an error
# An array of text has room for the longest cell in every row.
_LONGEST_IN_ARRAY = 1000  # characters


@dataclass(frozen=True)
class DelimitedTable:
    """Cells of a CSV file as text.

    Parameters
    ----------
    file : str or path-like
        The file.
    header : list of str
        Names of the columns, in NFC.
    columns : list of list of str
        Cells of every column, without blanks around them.
    lines : sequence of int
        Line in which each row ends, for errors.
    """

    file: PathText
    header: list[str]
    columns: list[list[str]]
    lines: Sequence[int]

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.lines)

    def where(self, row: int) -> str:
        """Return the line and file of a row, for errors."""
        return f"line {self.lines[row]} of '{self.file}'"

    def column_names(self) -> str:
        """Return the names of the columns, for errors."""
        return list_some(list(map(shown, self.header)), _MOST_NAMED)

    def texts(self, column: int) -> NDArray[np.str_] | NDArray[np.object_]:
        """Return the cells of a column as an array; of objects if some are long."""
        cells = self.columns[column]
        is_long = max(map(len, cells)) > _LONGEST_IN_ARRAY
        return np.array(cells, dtype=object if is_long else str)

    def paths(self, column: int, remedy: str) -> list[str]:
        """Return a column of images, each of which has a name.

        Raises
        ------
        ValueError
            If a cell is blank or spells NaN, has a hidden character, or is another
            spelling of the path of another cell.
        """
        cells = self.columns[column]
        different = list(dict.fromkeys(cells))
        for cell in different:
            if is_missing(cell):
                row = cells.index(cell)
                raise ValueError(
                    f"`path` must name an image in every row; column "
                    f"{shown(self.header[column])} "
                    f"{f'has {cell!r}' if cell else 'is empty'}"
                    f" in {self.where(row)}. {remedy}"
                )
            if not cell.isprintable():
                refuse_hidden(cell, "an image", self.where(cells.index(cell)))
        pair = first_pair(different, path_key)
        if pair is not None:
            one, other = (different[place] for place in pair)
            texts = shown_apart(one, other)
            raise ValueError(
                f"`path` must spell the path of an image in one way; got {texts[0]} "
                f"in {self.where(cells.index(one))} and {texts[1]} in line "
                f"{self.lines[cells.index(other)]}, which are one file. Correct the "
                "cells."
            )
        return cells

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
                    f"`path` must have every image once; got {shown(cell)} in column "
                    f"{shown(self.header[column])} in line {self.lines[earlier]} and "
                    "in "
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
        fewer cells than the header, a quote that does not end, or a line or a cell of
        more than 16,777,216 characters.
    """
    if separator is not None and (
        not isinstance(separator, str) or len(separator) != 1 or separator in '"\r\n'
    ):
        raise ValueError(
            f"`separator` must be one character, no quote and no line end, or None; "
            f"got {separator!r}."
        )
    with open_text(path, encoding) as stream:
        rows = CsvRows(stream, path, separator)
        header, columns, lines = _read_rows(rows, path)
    if not lines:
        raise ValueError(
            f"`path` must have rows; '{path}' has a header and nothing below. Copy or "
            "download it again."
        )
    return DelimitedTable(path, header, columns, lines)


def _as_header(cells: list[str], path: PathText) -> list[str]:
    if not any(map(str.strip, cells)):
        raise ValueError(
            f"`path` must be a CSV file whose first line names its columns; the first "
            f"line of '{path}' is empty."
        )
    if len(cells) > _MOST_COLUMNS:
        raise ValueError(
            f"`path` must have at most {_MOST_COLUMNS:,} columns; '{path}' has "
            f"{len(cells):,}. Check that this is a file of labels."
        )
    header = [_as_column_name(cell.strip(), path) for cell in cells]
    names = [name for name in header if name]
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise ValueError(
            f"`path` must have every column once; '{path}' has {shown(name)} "
            f"{count} times. Rename or delete one."
        )
    refuse_alike(names, "column", f"the header of '{path}'")
    return header


def _as_column_name(cell: str, path: PathText) -> str:
    # NaN as the name of a column is no category by itself, but may be left out.
    if cell.isascii() and cell.isprintable():
        return cell
    return as_name(cell, "a column", f"line 1 of '{path}'")


def _read_rows(
    reader: CsvRows, path: PathText
) -> tuple[list[str], list[list[str]], Sequence[int]]:
    """Return the header, the columns, and the line in which every row ends."""
    header: list[str] | None = None
    columns: list[list[str]] = []
    lines = array("q")
    rows: list[list[str]] = []
    texts: dict[str, str] = {}
    for row in reader:
        if header is None:
            header = _as_header(row, path)
            columns = [[] for _ in header]
            continue
        if len(row) != len(header):
            if not row:
                continue
            raise ValueError(
                f"`path` must have as many cells in every row as its header, "
                f"{len(header)}; got {len(row)} in line {reader.line} of '{path}'. "
                "Was the file cut short? A cell that holds the separator needs quotes."
            )
        rows.append(row)
        lines.append(reader.line)
        if len(rows) == _ROWS_AT_ONCE:  # so that lists of rows do not pile up
            _append(columns, rows, texts)
            rows = []
    _append(columns, rows, texts)
    return header or [], columns, lines


def _append(
    columns: list[list[str]], rows: list[list[str]], texts: dict[str, str]
) -> None:
    """Add cells without blanks to columns; equal short cells share one object."""
    for column, cells in zip(columns, zip(*rows, strict=True), strict=False):
        plain = list(map(str.strip, cells))
        is_short = len(plain[0]) < _SHORT  # the first cell speaks for its column
        column.extend(map(texts.setdefault, plain, plain) if is_short else plain)
