"""Reading the lists of a large JSON object item by item, in little memory."""

import codecs
import json
import os
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from cftlearn.datasets._byte_blocks import read_blocks

_BLANKS = re.compile(r"[ \t\n\r]*")
# A value that the window cuts off ends in an error at most this far from its end: the
# longest piece that the decoder looks at as one is a number, which it may cut short.
_NEAR_END = 400


def read_members(
    path: str | os.PathLike[str], handlers: Mapping[str, Callable[[int, Any], None]]
) -> set[str]:
    """Hand the items of a JSON object's lists to handlers, one at a time.

    The file is never in memory as a whole: an item is dropped when its handler
    returns. Members without a handler are read past.

    Parameters
    ----------
    path : str or path
        A JSON file in UTF-8, gzip or not, of one object.
    handlers : dict of str to callable
        By the name of a member, which must be a list: called with the place of an
        item in that list, from 0 on, and the item.

    Returns
    -------
    names : set of str
        The members that the object has.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file cannot be read, is not JSON, is cut off, has a member twice, or
        has something else than a list where a handler waits for one.
    """
    window = _Window(path)
    names: set[str] = set()
    window.take("{", "an object, which starts with '{'")
    if window.peek() == "}":
        return names
    while True:
        if window.peek() != '"':
            window.fail("the name of a member in double quotes")
        name = window.value()
        if name in names:
            window.fail(f"one member {name!r}; this is the second")
        names.add(name)
        window.take(":", "':'")
        if name in handlers:
            _hand_over(window, name, handlers[name])
        else:
            _read_past(window)
        if window.take(",}", "',' or '}'") == "}":
            break
    if window.peek():
        window.fail("nothing after the object")
    return names


def _hand_over(
    window: "_Window", name: str, handler: Callable[[int, Any], None]
) -> None:
    window.take("[", f"a list as the value of {name!r}")
    if window.peek() == "]":
        window.take("]", "']'")
        return
    place = 0
    while True:
        handler(place, window.value())
        place += 1
        if window.take(",]", "',' or ']'") == "]":
            return


def _read_past(window: "_Window") -> None:
    if window.peek() == "[":
        _hand_over(window, "", lambda place, item: None)
    else:
        window.value()


class _Window:
    """The part of a JSON file that is being read."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path
        self._blocks = read_blocks(path)
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._json = json.JSONDecoder()
        self._text, self._at, self._passed = "", 0, 0

    def peek(self) -> str:
        """Give the next character that is not blank; "" at the end of the file."""
        while True:
            blanks = _BLANKS.match(self._text, self._at)
            self._at = blanks.end() if blanks else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read_more():
                return ""

    def take(self, wanted: str, rule: str) -> str:
        """Move past one of the wanted characters."""
        found = self.peek()
        if not found or found not in wanted:
            self.fail(rule)
        self._at += 1
        return found

    def value(self) -> Any:
        """Move past a JSON value and give it."""
        self.peek()
        while True:
            try:
                value, end = self._json.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                ahead = error.pos - self._at
                if self._may_be_cut(error) and self._read_more():
                    continue
                self._at += ahead
                self.fail(f"JSON ({error.msg})", error)
            except (RecursionError, ValueError) as error:
                self.fail(f"JSON that Python can read ({error})", error)
            if end < len(self._text) or not self._read_more():
                self._at = end
                return value

    def fail(self, rule: str, cause: Exception | None = None) -> NoReturn:
        """Say what should stand here, and what stands here."""
        place = f"character {self._passed + self._at:,}"
        if not self.peek():
            raise ValueError(
                f"`path` must be a whole JSON file; got '{self._path}', which ends at "
                f"{place}, where it needs {rule}. Its download or its writing may "
                "have been interrupted: get it again."
            ) from cause
        here = self._text[self._at : self._at + 20]
        raise ValueError(
            f"`path` must be a JSON file with {rule} at {place}; got {here!r} in "
            f"'{self._path}'. Check that this is the right file, or get it again."
        ) from cause

    def _may_be_cut(self, error: json.JSONDecodeError) -> bool:
        near_end = error.pos >= len(self._text) - _NEAR_END
        return near_end or error.msg.startswith("Unterminated string")

    def _read_more(self) -> bool:
        """Drop what was read; at least double the rest. False at the file's end."""
        self._text = self._text[self._at :]
        self._passed += self._at
        self._at = 0
        fresh, wanted = [], max(len(self._text), 1)
        while wanted > 0:
            block = next(self._blocks, None)
            try:
                text = self._utf8.decode(block or b"", final=block is None)
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"`path` must be a JSON file in UTF-8; got {error} in "
                    f"'{self._path}'. Check that this is the right file, or get it "
                    "again."
                ) from error
            fresh.append(text)
            wanted -= len(text)
            if block is None:
                break
        self._text += "".join(fresh)
        return any(fresh)
