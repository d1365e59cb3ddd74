"""What may be a name in a label file: one rule for categories, columns, paths and ids.

Notes
-----
Blanks around a name are left out. Categories, columns and ids are read in Unicode's
form NFC, so that two ways to write an accent are one name, and a line end inside them,
which Excel writes, is a blank; paths stay as they are, because a file is found by its
own bytes. Control characters (NUL) and characters that nobody sees (zero-width blanks,
byte order marks) are refused. Two names
that differ only in such spelling are refused as well, where each must be named once.
"""

import posixpath
import re
import reprlib
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any

# Cells that say that there is nothing: what pandas, R and databases write.
MISSING = frozenset(("", "nan", "na", "n/a", "#n/a", "<na>", "none", "null"))
# Of these, what nobody can mean as a name, also where names are listed as such.
_NO_NAMES = frozenset(("", "nan", "#n/a", "<na>"))
_LINE_ENDS = re.compile(r"[\t\r\n]+")
_JOINERS = "\u200c\u200d"  # invisible, but part of words in Persian and Hindi
_HIDDEN = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))  # kinds of characters
_LONGEST_SHOWN = 80  # characters of a value in an error

_reprs = reprlib.Repr()
_reprs.maxstring = _reprs.maxother = _reprs.maxlong = _LONGEST_SHOWN


def shown(value: Any) -> str:
    """Return a value as errors show it: quoted, and shortened if it is long."""
    if isinstance(value, str):
        text = repr(value[:_LONGEST_SHOWN])
        return text if len(value) <= _LONGEST_SHOWN else f"{text}..."
    return _reprs.repr(value)


def shown_apart(one: str, other: str) -> tuple[str, str]:
    """Return two names as errors show them, so that a reader sees a difference."""
    texts = shown(one), shown(other)
    if one != other and name_key(one) == name_key(other):
        texts = ascii(one[:_LONGEST_SHOWN]), ascii(other[:_LONGEST_SHOWN])
    return texts


def is_missing(cell: str) -> bool:
    """Return whether a cell of a table says that there is nothing.

    ``Na``, which is sodium, is a name; ``NA`` and ``na`` are not.
    """
    return cell.casefold() in MISSING and cell != "Na"


def hidden_character(text: str) -> str | None:
    """Return what errors call the first character that is not allowed in a name."""
    if text.isprintable():
        return None
    last = len(text) - 1
    for place, character in enumerate(text):
        if unicodedata.category(character) in _HIDDEN and not (
            character in _JOINERS and 0 < place < last
        ):
            called = unicodedata.name(character, "a control character")
            return f"U+{ord(character):04X} ({called})"
    return None


def as_name(text: str, what: str, where: str, parameter: str = "path") -> str:
    """Return a name of a category, column or such, as it is read.

    Parameters
    ----------
    text : str
        The name in the file.
    what : str
        What it names, for errors: ``"a category"``.
    where : str
        Where it is, for errors: ``"line 3 of 'a.csv'"``.
    parameter : str, default="path"
        What errors call the file.

    Returns
    -------
    name : str
        Without blanks around it, in NFC.

    Raises
    ------
    ValueError
        If it is blank or spells NaN, or has a hidden character.
    """
    if not text.isprintable():
        text = _LINE_ENDS.sub(" ", text)
    name = as_path_name(text, what, where, parameter)
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def as_path_name(text: str, what: str, where: str, parameter: str = "path") -> str:
    """Return a path or an id without blanks around it; else as :func:`as_name`."""
    name = text.strip()
    if name.casefold() in _NO_NAMES:
        raise ValueError(
            f"`{parameter}` must name {what}; got {shown(text)} at {where}. Write its "
            "name there, or remove it."
        )
    refuse_hidden(name, what, where, parameter)
    return name


def refuse_hidden(text: str, what: str, where: str, parameter: str = "path") -> None:
    """Check that a name has no character that nobody sees.

    Raises
    ------
    ValueError
        If it has one.
    """
    hidden = hidden_character(text)
    if hidden is not None:
        raise ValueError(
            f"`{parameter}` must name {what} without characters that nobody sees; got "
            f"{hidden} in {shown(text)} at {where}. Delete that character."
        )


def name_key(name: str) -> str:
    """Return what two spellings of one name have in common."""
    if name.isascii() and "  " not in name:
        return name
    for joiner in _JOINERS:
        name = name.replace(joiner, "")
    return " ".join(unicodedata.normalize("NFKC", name).split())


def label_key(name: str) -> str:
    """Return as :func:`name_key`, for labels typed by hand: without capitals."""
    return name_key(name).casefold()


def path_key(path: str) -> str:
    r"""Return what two spellings of one path have in common: ``a//b``, ``.\a\b``."""
    if not path.isascii():
        path = unicodedata.normalize("NFC", path)
    path = path.replace("\\", "/")
    return posixpath.normpath(path) if "./" in path or "//" in path else path


def first_pair(
    names: Iterable[str], key: Callable[[str], str]
) -> tuple[int, int] | None:
    """Return the places of the first two names with one key, or None."""
    listed = list(names)
    keys = list(map(key, listed))
    if len(set(keys)) == len(keys):
        return None
    place_of: dict[str, int] = {}
    for place, found in enumerate(keys):
        earlier = place_of.setdefault(found, place)
        if earlier != place:
            return earlier, place
    return None


def refuse_alike(
    names: Sequence[str], what: str, source: str, parameter: str = "path"
) -> None:
    """Check that names differ, and in more than their spelling.

    Parameters
    ----------
    names : sequence of str
        The names, in their order.
    what : str
        What they name, for errors: ``"category"``.
    source : str
        Where they are, for errors.
    parameter : str, default="path"
        What errors call the source.

    Raises
    ------
    ValueError
        If two of them are one.
    """
    pair = first_pair(names, name_key)
    if pair is None:
        return
    one, other = (names[place] for place in pair)
    got = f"{shown(one)} twice"
    if one != other:
        got = " and ".join(shown_apart(one, other))
        got = f"{got}, which differ only in their spelling,"
    raise ValueError(
        f"`{parameter}` must name every {what} once; got {got} as numbers "
        f"{pair[0] + 1} and {pair[1] + 1} of {source}. Remove or rename one."
    )


def combined_name(names: Iterable[str], separators: str = "|;") -> str | None:
    """Return a name that joins other names, such as ``Edema|Mass``, or None."""
    known = set(names)
    for name in known:
        for separator in separators:
            if separator in name:
                parts = [part.strip() for part in name.split(separator)]
                if all(part in known for part in parts):
                    return name
    return None
