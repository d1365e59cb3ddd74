"""Tables of text: CSV as it comes, every row where its line says."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from cftlearn.datasets._text_files import existing_file, open_text

_SEPARATORS = ",;\t|"
_ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class DelimitedTable:
    """Cells of a CSV file as text.

    Parameters
    ----------
    file : Path
        The file.
    header : list of str
        Names of the columns, without blanks around them.
    columns : list of list of str
        Cells of every column.
    lines : list of int
        Line in which each row ends, for errors.
    """

    file: Path
    header: list[str]
    columns: list[list[str]]
    lines: list[int]

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.lines)

    def where(self, row: int) -> str:
        """Name the place of a row."""
        return f"line {self.lines[row]} of '{self.file}'"

    def named(self) -> str:
        """List the names of the columns."""
        return ", ".join(map(repr, self.header))


def read_delimited(
    path: Any, *, separator: str | None = None, encoding: str | None = None
) -> DelimitedTable:
    """Read a CSV file whose first line names its columns.

    Parameters
    ----------
    path : str or path-like
        The file, compressed by gzip or not.
    separator : str, default=None
        What stands between cells; by default the one of comma, semicolon, tab and
        bar that the first line has most of.
    encoding : str, default=None
        As :func:`open_text`.

    Returns
    -------
    table : DelimitedTable
        Its cells. Blank lines are left out.

    Raises
    ------
    ValueError
        If the file has no rows or is not text, has a column twice, a row with more or
        fewer cells than the header, or a quote that does not end.
    """
    file = existing_file(path)
    if separator is not None and len(separator) != 1:
        raise ValueError(
            f"`separator` must be one character or None; got {separator!r}."
        )
    with open_text(file, encoding) as stream:
        first = stream.readline()
        reader = csv.reader(
            chain([first], stream),
            delimiter=separator or _separator_of(first),
            strict=True,
        )
        try:
            header = _read_header(reader, file)
            columns, lines = _read_rows(reader, len(header), file)
        except csv.Error as error:
            raise ValueError(
                f"`path` must be a CSV file; '{file}' is not in line "
                f"{reader.line_num} ({error}). Is a quote left open, or the file cut "
                "short?"
            ) from error
    if not lines:
        raise ValueError(
            f"`path` must have rows; '{file}' has a header and nothing below. Copy or "
            "download it again."
        )
    return DelimitedTable(file, header, columns, lines)


def _separator_of(line: str) -> str:
    plain = re.sub(r'"[^"]*"', "", line)
    return max(_SEPARATORS, key=plain.count)


def _read_header(reader: Iterator[list[str]], file: Path) -> list[str]:
    header = [name.strip() for name in next(reader, [])]
    if not any(header):
        raise ValueError(
            f"`path` must be a CSV file whose first line names its columns; the first "
            f"line of '{file}' is empty."
        )
    repeated = [name for name in header if name and header.count(name) > 1]
    if repeated:
        raise ValueError(
            f"`path` must have every column once; '{file}' has {repeated[0]!r} "
            f"{header.count(repeated[0])} times. Rename or delete one."
        )
    return header


def _read_rows(
    reader: Any, n_columns: int, file: Path
) -> tuple[list[list[str]], list[int]]:
    columns: list[list[str]] = [[] for _ in range(n_columns)]
    lines: list[int] = []
    rows: list[list[str]] = []
    seen: dict[str, str] = {}
    for row in reader:
        if len(row) != n_columns:
            if not row:
                continue
            raise ValueError(
                f"`path` must have as many cells in every row as its header, "
                f"{n_columns}; got {len(row)} in line {reader.line_num} of '{file}'. "
                "Was the file cut short? A cell that holds the separator needs quotes."
            )
        rows.append(row)
        lines.append(reader.line_num)
        if len(rows) == _ROWS_AT_ONCE:  # so that lists of rows do not pile up
            _append(columns, rows, seen)
            rows = []
    _append(columns, rows, seen)
    return columns, lines


def _append(
    columns: list[list[str]], rows: list[list[str]], seen: dict[str, str]
) -> None:
    """Add cells to their columns, short ones as one object per text, which is less."""
    for column, cells in zip(columns, zip(*rows, strict=True), strict=False):
        short = len(cells[0]) < 9
        column.extend(map(seen.setdefault, cells, cells) if short else cells)
