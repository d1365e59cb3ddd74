"""Rows of CSV text: cells between separators, some of them in double quotes.

Notes
-----
The standard library's reader has a limit of 131,072 characters per cell, which only a
setting of the whole process changes, and a report may be longer. Here a cell may have
``LONGEST_CELL`` characters, a limit that is reached before the memory ends. Both
readers read the same cells, except that this one leaves out blanks before a quote.
"""

import re
from collections.abc import Iterator
from typing import NoReturn, TextIO

from cftlearn.datasets._paths import PathText

LONGEST_CELL = 1 << 24  # characters; of a line as well
_MOST_BLANKS = 100_000  # blank lines, which are left out
_SEPARATORS = ",;\t|"


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
        self._text = self._first = self._next_line()
        self._separator = separator or _separator_of(self._first)
        self._at = 0

    def __iter__(self) -> Iterator[list[str]]:
        """Return the rows, each a list of cells; a blank line has none.

        Cells still have the blanks around them.
        """
        separator, text, n_blanks = self._separator, self._first, 0
        while text:
            if '"' in text:
                cells = _plainly_quoted(text.rstrip("\r\n"), separator)
                if cells is None:
                    self._text, self._at = text, 0
                    cells = self._quoted_row()
                yield cells
            else:
                cells = text.rstrip("\r\n").split(separator)
                if len(cells) == 1 and not text.strip():
                    n_blanks += 1
                    cells = []
                yield cells
            if n_blanks > _MOST_BLANKS:
                raise ValueError(
                    f"`{self._parameter}` must not have over {_MOST_BLANKS:,} blank "
                    f"lines; '{self._path}' does in line {self.line}. Delete them."
                )
            text = self._next_line()

    def _next_line(self) -> str:
        """Return the next line with its end; "" behind the last one."""
        line = self._stream.readline(LONGEST_CELL + 1)
        self.line += 1 if line else 0
        if len(line) > LONGEST_CELL:
            raise ValueError(
                f"`{self._parameter}` must have lines of at most {LONGEST_CELL:,} "
                "characters; line "
                f"{self.line} of '{self._path}' is longer. Check that this is a file "
                "of labels."
            )
        if "\0" in line:
            raise ValueError(
                f"`{self._parameter}` must be text without NUL characters; line "
                f"{self.line} of '{self._path}' has one. Delete it. If every second "
                "character is one, save the file as UTF-8, or pass "
                'encoding="utf-16-le" where the loader takes an encoding.'
            )
        return line

    def _quoted_row(self) -> list[str]:
        """Return the cells of a row that has quotes, which may have several lines."""
        cells = []
        while True:
            # Blanks before a quote are left out; a quote inside a cell is text.
            start = self._behind_blanks()
            if self._text[start : start + 1] == '"':
                self._at = start + 1
                cells.append(self._quoted_cell())
                end = self._end_of_quoted()
            else:
                end = self._text.find(self._separator, self._at)
                end = len(self._text) if end < 0 else end
                cells.append(self._text[self._at : end].rstrip("\r\n"))
            if end >= len(self._text):
                return cells
            self._at = end + 1

    def _quoted_cell(self) -> str:
        """Move past the closing quote, and return what the quotes hold."""
        opened, length, pieces = self.line, 0, []
        while True:
            end = self._text.find('"', self._at)
            piece = self._text[self._at : None if end < 0 else end]
            pieces.append(piece)
            length += len(piece)
            if length > LONGEST_CELL:
                self._fail(
                    opened,
                    f"the quote opened there holds over {LONGEST_CELL:,} characters",
                )
            if end < 0:
                self._text, self._at = self._next_line(), 0
                if not self._text:
                    self._fail(opened, "the quote opened there is never closed")
            elif self._text[end + 1 : end + 2] == '"':
                pieces.append('"')
                self._at = end + 2
            else:
                self._at = end + 1
                return "".join(pieces)

    def _end_of_quoted(self) -> int:
        """Return where the separator is, or the end of the line."""
        rest = self._behind_blanks()
        found = self._text[rest : rest + 1]
        if found == self._separator:
            return rest
        if found in ("", "\r", "\n"):
            return len(self._text)
        self._fail(self.line, f"{found!r} stands right after a closing quote")

    def _behind_blanks(self) -> int:
        place = self._at
        while self._text[place : place + 1] == " " != self._separator:
            place += 1
        return place

    def _fail(self, line: int, reason: str) -> NoReturn:
        raise ValueError(
            f"`{self._parameter}` must be a CSV file; '{self._path}' is not in line "
            f"{line} "
            f"({reason}). Is a quote left open, or the file cut short?"
        )


def _plainly_quoted(text: str, separator: str) -> list[str] | None:
    """Return the cells of a line with whole cells in quotes; None if it has others."""
    parts = text.split('"')
    if len(parts) % 2 == 0:  # a quote is left open here
        return None
    first, *between, last = parts[0::2]
    if (
        (first and first[-1] != separator)
        or (last and last[0] != separator)
        or any(part[:1] != separator or part[-1] != separator for part in between)
    ):
        return None
    cells = first[:-1].split(separator) if first else []
    for inside, outside in zip(parts[1::2], [*between, ""], strict=True):
        cells.append(inside)
        if len(outside) > 1:
            cells += outside[1:-1].split(separator)
    return cells + last[1:].split(separator) if last else cells


def _separator_of(line: str) -> str:
    plain = re.sub(r'"[^"]*"', "", line)
    return max(_SEPARATORS, key=plain.count)
