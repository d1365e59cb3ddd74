"""Reading the lists of a large JSON object item by item, in little memory.

Notes
-----
``ijson`` was measured and not taken. ``load_coco`` of 600,000 annotations (0.50 GB,
``benchmarks/loaders_scale.py``) takes 13.8 s of processor time and 48 MiB with this
module. With ijson 3.6 and its fastest backend, ``yajl2_c``, it took 26.0 s (one pass
per list with ``items``, 23.3 s of them in ijson itself), 35.3 s (one pass with
``parse``) or 57.6 s (one pass that feeds ``items_coro`` of each list), and 54 to
60 MiB. ``ijson.items`` also gives no error for a member that is missing, that is there
twice or that is not a list.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TextIO

from cftlearn.datasets._names import shown
from cftlearn.datasets._paths import PathText
from cftlearn.datasets._text_files import open_text, unique_keys, why_no_json

_BLANKS = re.compile(r"[ \t\n\r]*")
_NUMBER_CHARACTERS = re.compile(r"[-+.\deE]+")
_BLOCK = 1 << 20  # characters
LONGEST_ITEM = 1 << 27  # characters
# A value that the window cuts off ends in an error at most this far from its end: the
# longest piece that the decoder looks at as one is a number, which it may cut short.
_NEAR_END = 400


def read_members(
    path: PathText, handlers: Mapping[str, Callable[[int, Any], None]]
) -> set[str]:
    """Pass the items of a JSON object's lists to handlers, one at a time.

    The file is never in memory as a whole: an item is dropped when its handler
    returns. Members without a handler are skipped.

    Parameters
    ----------
    path : str or path-like
        A JSON file with one object, gzip or not.
    handlers : dict of str to callable
        By the name of a member, which must be a list: called with the index of an
        item in that list, from 0 on, and the item.

    Returns
    -------
    names : set of str
        The members that the object has.

    Raises
    ------
    TypeError, FileNotFoundError, IsADirectoryError
        If the path is not that of a file.
    ValueError
        If the file cannot be read, is not JSON, is cut off, has a member or a key
        twice, an item of more than 134,217,728 characters, or something other than a
        list for which there is a handler.
    """
    with open_text(path) as stream:
        return _read_object(_Window(path, stream), handlers)


def _read_object(
    window: "_Window", handlers: Mapping[str, Callable[[int, Any], None]]
) -> set[str]:
    names: set[str] = set()
    window.take("{", "an object, which starts with '{'")
    if window.peek() == "}":
        return names
    while True:
        if window.peek() != '"':
            window.fail("the name of a member in double quotes")
        name = window.value()
        if name in names:
            window.fail(f"one member {shown(name)}; this is the second")
        names.add(name)
        window.take(":", "':'")
        if name in handlers:
            _read_list(window, name, handlers[name])
        else:
            _skip(window)
        if window.take(",}", "',' or '}'") == "}":
            break
    if window.peek():
        window.fail("nothing after the object")
    return names


def _read_list(
    window: "_Window", name: str, handler: Callable[[int, Any], None]
) -> None:
    window.take("[", f"a list as the value of {name!r}")
    if window.peek() == "]":
        window.take("]", "']'")
        return
    index = 0
    while True:
        handler(index, window.value())
        index += 1
        if window.take(",]", "',' or ']'") == "]":
            return


def _skip(window: "_Window") -> None:
    # A list may be most of the file, so its items are dropped one by one.
    if window.peek() == "[":
        _read_list(window, "", lambda index, item: None)
    else:
        window.value()


class _Window:
    """The part of a JSON file that is being read."""

    def __init__(self, path: PathText, stream: TextIO) -> None:
        self._path, self._stream = path, stream
        self._json = json.JSONDecoder(object_pairs_hook=unique_keys)
        self._text, self._at, self._n_dropped = "", 0, 0

    def peek(self) -> str:
        """Return the next character that is not blank; "" at the end of the file."""
        while True:
            blanks = _BLANKS.match(self._text, self._at)
            self._at = blanks.end() if blanks else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._read_more():
                return ""

    def take(self, wanted: str, rule: str) -> str:
        """Move past one of the wanted characters and return it."""
        found = self.peek()
        if not found or found not in wanted:
            self.fail(rule)
        self._at += 1
        return found

    def value(self) -> Any:
        """Move past a JSON value and return it."""
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
                reason, remedy = why_no_json(error)
                raise ValueError(
                    f"`path` must be a JSON file with values that can be read; got "
                    f"{reason} near {self._position()} of '{self._path}'. {remedy}"
                ) from error
            # A number at the end of the window may go on behind it: "0" in "0." does.
            is_inside = end + _NEAR_END < len(self._text)
            if is_inside or not self._goes_on(end) or not self._read_more():
                self._at = end
                return value

    def _goes_on(self, end: int) -> bool:
        """Return whether all that is left behind a value may be part of a number."""
        return not _NUMBER_CHARACTERS.sub("", self._text[end : end + _NEAR_END])

    def fail(self, rule: str, cause: Exception | None = None) -> NoReturn:
        """Raise an error that says what must be here, and what is here."""
        position = self._position()
        if not self.peek():
            raise ValueError(
                f"`path` must be a whole JSON file; got '{self._path}', which ends at "
                f"{position}, where it needs {rule}. Its download or its writing may "
                "have been interrupted: get it again."
            ) from cause
        here = self._text[self._at : self._at + 20]
        raise ValueError(
            f"`path` must be a JSON file with {rule} at {position}; got {here!r} in "
            f"'{self._path}'. Check that this is the right file, or get it again."
        ) from cause

    def _position(self) -> str:
        return f"character {self._n_dropped + self._at:,}"

    def _may_be_cut(self, error: json.JSONDecodeError) -> bool:
        near_end = error.pos >= len(self._text) - _NEAR_END
        return near_end or error.msg.startswith("Unterminated string")

    def _read_more(self) -> bool:
        """Drop what was read and at least double the rest; False at the file's end."""
        rest = self._text[self._at :]
        if len(rest) > LONGEST_ITEM:
            raise ValueError(
                f"`path` must be a JSON file with items of at most {LONGEST_ITEM:,} "
                f"characters; the one at {self._position()} of '{self._path}' is "
                "longer."
                " Check that this is the right file."
            )
        self._n_dropped += self._at
        self._at = 0
        # Doubling keeps the work linear where one value is larger than many blocks.
        fresh = self._stream.read(max(_BLOCK, len(rest)))
        self._text = rest + fresh
        return bool(fresh)
