"""Cells that hold labels: one label, or several with something between them."""

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable

from cftlearn.datasets._names import (
    first_pair,
    is_missing,
    label_key,
    shown,
    shown_apart,
)

LIST = "list"
# What is looked for where no separator is given. Some stand in names as well: then all
# parts must be labels.
_BETWEEN = ("|", ";", "\n", "\t", ",", "/", "+", "&")
_IN_NAMES = frozenset((",", "/", "+", "&"))
_BRACKETS = ("[]", "()", "{}")
_SINGLE, _DOUBLE = r"'((?:[^'\\]|\\.)*)'", r'"((?:[^"\\]|\\.)*)"'
_ITEM = re.compile(
    rf"\s*(?:{_SINGLE}|({_DOUBLE})|(nan|NaN|None|null))\s*(?:,|(?=['\"])|$)", re.DOTALL
)
_QUOTES, _NESTED = re.compile(r"['\"]"), re.compile(r"[\[\]{}()]")
_ESCAPES = re.compile(r"\\(['\"\\])")


def labels_of_cells(
    cells: Iterable[str],
    separator: str | None,
    categories: Collection[str] | None,
    where: Callable[[str], str],
) -> dict[str, list[str]]:
    """Return the labels in each of some cells.

    Parameters
    ----------
    cells : iterable of str
        The different cells of a column.
    separator : str or None
        What stands between labels, ``"list"`` for lists as Python writes them, or None
        where each cell is one label.
    categories : collection of str or None
        Names that are labels whatever they look like.
    where : callable
        Returns column, line and file of a cell, for errors.

    Returns
    -------
    labels : dict of str to list of str
        By cell. A cell that is missing has none.

    Raises
    ------
    ValueError
        If a cell cannot be split; if cells that are not split hold other labels; or if
        two labels differ only in capitals or in spelling and ``categories`` does not
        name both.
    """
    named = frozenset(categories or ())
    labels = {cell: _split(cell, separator, named, where) for cell in cells}
    cell_of: dict[str, str] = {}
    for cell, parts in labels.items():
        for part in parts:
            cell_of.setdefault(part, cell)

    def where_label(label: str) -> str:
        return where(cell_of[label])

    _refuse_several(cell_of, separator, named, where_label)
    _refuse_spellings(cell_of, named, where_label)
    return labels


def _split(
    cell: str,
    separator: str | None,
    named: Collection[str],
    where: Callable[[str], str],
) -> list[str]:
    if cell in named or is_missing(cell):
        return [cell] if cell in named else []
    if separator is None:
        return [cell]
    if separator != LIST:
        parts: list[str] | None = cell.split(separator)
    else:
        parts = parsed_list(cell)
    if parts is None:
        raise ValueError(
            f"`label_separator` must be 'list' only where cells are lists such as "
            f"\"['cat', 'dog']\"; got {shown(cell)} in {where(cell)}. Correct the "
            "cell, "
            "or pass the text that stands between labels."
        )
    stripped = (part.strip() for part in parts)
    return [part for part in stripped if part in named or not is_missing(part)]


def parsed_list(cell: str) -> list[str] | None:
    """Return the texts in a list as Python, numpy or JSON write it; None if it is none.

    Tuples and sets are lists here. NaN and None are left out.
    """
    if cell[:1] + cell[-1:] not in _BRACKETS or len(cell) < 2:
        return None
    inside, at, items = cell[1:-1].strip(), 0, []
    if cell[0] == "[" and not _QUOTES.search(inside):  # as YAML writes them
        bare = [item.strip() for item in inside.split(",")]
        is_flat = not _NESTED.search(inside)
        return [item for item in bare if not is_missing(item)] if is_flat else None
    while at < len(inside):
        found = _ITEM.match(inside, at)
        if found is None:
            return None
        single, quoted, double, _ = found.groups()
        text = single if quoted is None else double
        if quoted is not None and "\\" in double:
            text = _unescaped(quoted)
        elif text is not None and "\\" in text:
            text = _ESCAPES.sub(r"\1", text)
        if text is not None:
            items.append(text)
        at = found.end()
    return items


def _unescaped(quoted: str) -> str:
    try:
        return json.loads(quoted)
    except ValueError:  # Python's own escapes
        return _ESCAPES.sub(r"\1", quoted[1:-1])


def _refuse_several(
    labels: Collection[str],
    separator: str | None,
    named: Collection[str],
    where: Callable[[str], str],
) -> None:
    """Check that no label is several labels that stand elsewhere alone."""
    for label in labels:
        if label not in named and parsed_list(label) is not None:
            raise ValueError(
                "`label_separator` must be given where a cell has several labels; got "
                f"the list {shown(label)} in {where(label)}. Pass "
                "label_separator='list'. If it is one label, name it in `categories`."
            )
    known = {label_key(label) for label in (*labels, *named)}
    for between in _BETWEEN:
        parts_of = {
            label: [part for part in map(str.strip, label.split(between)) if part]
            for label in labels
            if between in label and label not in named
        }
        n_of = Counter(
            key for parts in parts_of.values() for key in set(map(label_key, parts))
        )
        for label, parts in parts_of.items():
            others = [
                part
                for part in parts
                if (key := label_key(part)) in known or n_of[key] > 1
            ]
            # "Edema,Mass" is a list, "apple, red" may be a name.
            may_be_name = between in _IN_NAMES and (between != "," or ", " in label)
            if others and (not may_be_name or len(others) == len(parts)):
                instead = "" if separator is None else f" in place of {separator!r}"
                raise ValueError(
                    "`label_separator` must be given where a cell has several labels; "
                    f"got {shown(label)} in {where(label)}, and {shown(others[0])} "
                    f"stands elsewhere too. Pass label_separator={between!r}{instead}. "
                    "If it is one label, name it in `categories`."
                )
    if separator is None:
        _refuse_blanks(labels, named, known, where)


def _refuse_blanks(
    labels: Collection[str],
    named: Collection[str],
    known: Collection[str],
    where: Callable[[str], str],
) -> None:
    """Check that no label is others with blanks between; most names have blanks, too.

    One word that stands elsewhere says nothing ("Pleural Effusion"), all of them do.
    """
    for label in labels:
        parts = [part for part in label.split(" ") if part]
        is_list = len(parts) > 1 and all(label_key(part) in known for part in parts)
        if is_list and label not in named:
            raise ValueError(
                "`label_separator` must be given where a cell has several labels; got "
                f"{shown(label)} in {where(label)}, and all of its words stand "
                "elsewhere alone. Pass label_separator=' ' if no label has a blank of "
                "its own, else write '|' between labels. If it is one label, name it "
                "in `categories`."
            )


def _refuse_spellings(
    labels: Collection[str], named: Collection[str], where: Callable[[str], str]
) -> None:
    """Check that no label is written in two ways."""
    listed = [*named, *(label for label in labels if label not in named)]
    if len(named) == len(listed):
        return
    by_key = {label_key(name): name for name in named}
    others = listed[len(named) :]
    pair = first_pair(others, label_key)
    if pair is not None and not named:
        one, other = (others[place] for place in pair)
        texts = shown_apart(one, other)
        raise ValueError(
            f"`path` must spell every label in one way; got {texts[0]} in "
            f"{where(one)}, and {texts[1]} in {where(other)}. Correct the cells, "
            "or "
            "name the labels in `categories`."
        )
    for label in others:
        if label_key(label) in by_key:
            raise ValueError(
                f"`path` must spell every label as `categories` does; got "
                f"{shown(label)} in {where(label)}, and "
                f"{shown(by_key[label_key(label)])}"
                " in `categories`. Correct the cell, or name it in `categories` too."
            )
