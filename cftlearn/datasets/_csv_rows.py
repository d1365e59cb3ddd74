"""Rows of CSV text, by the standard library's reader, without its limit of a cell.

Notes
-----
The standard library refuses cells of more than 131,072 characters, and a report may be
longer. Only a setting of the whole process changes this: it is raised while a longer
row is read. A line and a cell may have ``LONGEST_CELL`` characters here, a limit that
is reached before the memory ends.
"""

import csv
import re
from collections.abc import Iterator
from threading import Lock
from typing import TextIO

from cftlearn.datasets._paths import PathText

LONGEST_CELL = 1 << 24  # characters; of a line as well
_MOST_BLANKS = 100_000  # blank lines, which are left out
_SEPARATORS = ",;\t|"
_raising_limit = Lock()  # the limit is one for all threads


class CsvRows:
    """Rows of a text, read one after the other.

    Parameters
    ----------
    stream : text stream
        The text.
    path : str or path-like
        The file, for errors.
    separator : str, default=None
        The character between cells; by default the one of comma, semicolon, tab and
        bar that the first line has most of.
    parameter : str, default="path"
        What errors call the file.

    Attributes
    ----------
    line : int
        Number of the line that was read last.
    """

    def __init__(
        self,
        stream: TextIO,
        path: PathText,
        separator: str | None = None,
        parameter: str = "path",
    ) -> None:
        self._stream, self._path, self._parameter = stream, path, parameter
        self.line = 0
        self._first = self._next_line()
        self._begun = 1  # line of the row that is read
        self._length = 0  # characters of that row
        self._limit: int | None = None  # of a cell, before it was raised
        self._reader = csv.reader(
            self._lines(),
            delimiter=separator or _separator_of(self._first),
            skipinitialspace=True,
            strict=True,
        )

    def __iter__(self) -> Iterator[list[str]]:
        """Return the rows, each a list of cells; a blank line has none.

        Cells still have blanks at their ends.
        """
        n_blanks = 0
        while (cells := self._next_row()) is not None:
            if len(cells) < 2 and not "".join(cells).strip():
                n_blanks += 1
                cells = []
            if n_blanks > _MOST_BLANKS:
                raise ValueError(
                    f"`{self._parameter}` must not have over {_MOST_BLANKS:,} blank "
                    f"lines; '{self._path}' does in line {self.line}. Delete them."
                )
            yield cells

    def _next_row(self) -> list[str] | None:
        """Return the next row, or None behind the last one."""
        try:
            return next(self._reader, None)
        except csv.Error as error:
            raise ValueError(
                f"`{self._parameter}` must be a CSV file; the row of line "
                f"{self._begun} of '{self._path}' is not ({error}). Is a quote left "
                "open, or the file cut short?"
            ) from error
        finally:
            self._begun, self._length = self.line + 1, 0
            if self._limit is not None:
                csv.field_size_limit(self._limit)
                self._limit = None
                _raising_limit.release()

    def _lines(self) -> Iterator[str]:
        """Return lines as the reader asks for them, and let it read long cells."""
        line = self._first
        while line:
            self._length += len(line)
            if self._limit is None and self._length > csv.field_size_limit():
                _raising_limit.acquire()
                self._limit = csv.field_size_limit(LONGEST_CELL)
            yield line
            line = self._next_line()

    def _next_line(self) -> str:
        """Return the next line with its end; "" behind the last one."""
        line = self._stream.readline(LONGEST_CELL + 1)
        self.line += 1 if line else 0
        if len(line) > LONGEST_CELL:
            raise ValueError(
                f"`{self._parameter}` must have lines of at most {LONGEST_CELL:,} "
                f"characters; line {self.line} of '{self._path}' is longer. Check that "
                "this is a file of labels."
            )
        if "\0" in line:
            raise ValueError(
                f"`{self._parameter}` must be text without NUL characters; line "
                f"{self.line} of '{self._path}' has one. Delete it. If every second "
                "character is one, save the file as UTF-8, or pass "
                'encoding="utf-16-le" where the loader takes an encoding.'
            )
        return line


def _separator_of(line: str) -> str:
    plain = re.sub(r'"[^"]*"', "", line)
    return max(_SEPARATORS, key=plain.count)
