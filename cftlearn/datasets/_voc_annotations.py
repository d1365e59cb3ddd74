"""Annotations of PASCAL VOC's form: an XML file per image, also of labelling tools."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cftlearn.datasets._names import (
    as_name,
    combined_name,
    first_pair,
    label_key,
    shown,
)
from cftlearn.datasets._text_files import read_bytes
from cftlearn.exceptions import list_some
from cftlearn.labels import LabelState

_LARGEST = 1 << 26  # bytes of an annotation
# Tools write what nobody filled in as Unspecified, and yes and no as words.
_MARKS = {
    "": False,
    "0": False,
    "false": False,
    "unspecified": False,
    "1": True,
    "true": True,
}
_MOST_NAMED = 20  # names in an error


@dataclass(frozen=True)
class Annotation:
    """What an annotation says of its image.

    Attributes
    ----------
    image : str
        Name of the image's file; "" if it is not there.
    objects : list of (str, bool)
        Name and difficulty of each object, without its parts.
    """

    image: str
    objects: list[tuple[str, bool]]


def read_annotation(file: Path) -> Annotation:
    """Read the annotation of one image.

    Raises
    ------
    ValueError
        If the file is not an annotation, or an object has no name or an unknown mark.
    """
    root = _root_of(file)
    found = root.findall("object")
    if root.tag != "annotation" or len(found) < sum(1 for _ in root.iter("object")):
        raise ValueError(
            "`path` must have annotations with objects right below <annotation>; got "
            f"<{root.tag[:_MOST_NAMED]}> in '{file}'. Export the labels in the form of "
            "PASCAL VOC."
        )
    objects = []
    for item in found:
        name = as_name(_text_of(item, "name", file), "every object", f"'{file}'")
        mark = _text_of(item, "difficult", file)
        if mark.casefold() not in _MARKS:
            raise ValueError(
                f"`path` must have 0 or 1 as 'difficult' in its annotations; got "
                f"{shown(mark)} for an object {shown(name)} in '{file}'. Correct it."
            )
        objects.append((name, _MARKS[mark.casefold()]))
    image = _text_of(root, "filename", file).replace("\\", "/").rsplit("/", 1)[-1]
    return Annotation(image, objects)


def _root_of(file: Path) -> ElementTree.Element:
    content = read_bytes(file, most=_LARGEST)
    # No annotation defines entities, which may be made to fill the memory.
    if b"<!ENTITY" in content or "<!ENTITY".encode("utf-16-le") in content:
        raise ValueError(
            f"`path` must have annotations without definitions of entities; '{file}' "
            "has some. Delete them, or get the file again."
        )
    try:
        return ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        line, column = error.position
        raise ValueError(
            f"`path` must have annotations in XML; '{file}' is not in line {line}, "
            f"column {column + 1}. Unpack VOC's archive, or export the labels, again."
        ) from error
    except (LookupError, ValueError) as error:  # an encoding that it names
        raise ValueError(
            f"`path` must have annotations in XML, in an encoding that Python knows; "
            f"'{file}' names another. Save it as UTF-8."
        ) from error


def _text_of(item: ElementTree.Element, tag: str, file: Path) -> str:
    """Return the text of a tag that is there at most once."""
    texts = [(child.text or "").strip() for child in item.findall(tag)]
    if len(set(texts)) > 1:
        raise ValueError(
            f"`path` must have one '{tag}' of each thing in its annotations; got "
            f"{shown(texts[0])} and {shown(texts[1])} in '{file}'. Delete one."
        )
    # As in VOC's own reader, an object without the mark is not difficult.
    return texts[0] if texts else ""


def categories_found(annotations: Mapping[Path, Annotation]) -> list[str]:
    """Return all names of objects, sorted.

    Raises
    ------
    ValueError
        If there are none, or two differ only in capitals or in spelling, or one is
        several others.
    """
    file_of: dict[str, Path] = {}
    for file, annotation in annotations.items():
        for name, _ in annotation.objects:
            file_of.setdefault(name, file)
    names = sorted(file_of)
    if not names:
        raise ValueError(
            "`categories` must name the categories where no annotation has an object; "
            'got "found".'
        )
    pair = first_pair(names, label_key)
    if pair is not None:
        one, other = (names[place] for place in pair)
        raise ValueError(
            f"`path` must spell every category in one way; got {shown(one)} in "
            f"'{file_of[one]}' and {shown(other)} in '{file_of[other]}'. Rename one, "
            "or "
            "name the categories in `categories`."
        )
    several = combined_name(names)
    if several is not None:
        raise ValueError(
            f"`path` must have one name in every object; got {shown(several)} in "
            f"'{file_of[several]}', and its parts are names of other objects. Make "
            "an object of each, or name the categories in `categories`."
        )
    return names


def states_of(
    annotations: Mapping[Path, Annotation],
    categories: Sequence[str],
    *,
    known: Iterable[str] | None,
) -> NDArray[np.uint8]:
    """Return the states of categories, a row per annotation.

    Parameters
    ----------
    annotations : mapping of Path to Annotation
        By file, in the order of the rows.
    categories : sequence of str
        The columns.
    known : iterable of str or None
        All names that objects may have; None allows other names, which are left out,
        unless they are another spelling of a category.

    Returns
    -------
    states : ndarray of shape (n_images, n_categories), uint8
        Positive with an object that is not difficult, uncertain with difficult ones
        only, else negative.

    Raises
    ------
    ValueError
        If an object has a name that it may not have.
    """
    column_of = {name: j for j, name in enumerate(categories)}
    by_key = {label_key(name): name for name in categories}
    allowed = None if known is None else set(known)
    shape = len(annotations), len(categories)
    states = np.full(shape, LabelState.NEGATIVE, dtype=np.uint8)
    for row, (file, annotation) in enumerate(annotations.items()):
        for name, is_difficult in annotation.objects:
            column = column_of.get(name)
            if column is None:
                if allowed is not None and name not in allowed:
                    _refuse_unknown(name, file, annotations, allowed)
                if label_key(name) in by_key:
                    raise ValueError(
                        f"`path` must spell every category as `categories` does; got "
                        f"{shown(name)} in '{file}', and "
                        f"{shown(by_key[label_key(name)])}"
                        " in `categories`. Rename the object, or name it in "
                        "`categories` too."
                    )
            elif not is_difficult:
                states[row, column] = LabelState.POSITIVE
            elif states[row, column] == LabelState.NEGATIVE:
                states[row, column] = LabelState.UNCERTAIN
    return states


def _refuse_unknown(
    name: str, file: Path, annotations: Mapping[Path, Annotation], allowed: set[str]
) -> None:
    others = {other for item in annotations.values() for other, _ in item.objects}
    own = sorted(others - allowed)
    raise ValueError(
        "`path` must have objects of VOC's twenty categories in its annotations; got "
        f"{shown(name)} in '{file}'. Rename or remove it. If the categories are your "
        'own, pass categories="found", or their names. Names here that are not VOC\'s: '
        f"{list_some(list(map(shown, own)), _MOST_NAMED)}."
    )
