"""Annotation files of COCO's form: images, categories, and annotations of boxes."""

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cftlearn.datasets._json_members import read_members
from cftlearn.datasets._label_table import as_objects
from cftlearn.datasets._names import (
    as_name,
    as_path_name,
    combined_name,
    path_key,
    refuse_alike,
    shown,
)
from cftlearn.datasets._paths import PathText
from cftlearn.exceptions import list_some

_LISTS = ("images", "categories", "annotations")
_TYPE_NAMES = {str: "text", list: "a list"}
_LARGEST_ID = 2**63  # beyond int64

_MOST_NAMED = 10  # keys in an error

Id = int | str
_Kind = TypeVar("_Kind", str, list)


@dataclass(frozen=True)
class AnnotationFile:
    """What an annotation file says of whole images.

    Attributes
    ----------
    paths : list of str
        Path of each image, in the file's order.
    images : list
        What else was kept of each image.
    info : dict of str to ndarray of shape (n_images,)
        ``image_id``, whole numbers (int64) or text (object); ``width`` and ``height``
        (int64) where every image has them.
    categories : ndarray of shape (n_categories,), object
        Their names, sorted by id.
    category_ids : list of int or str
        Their ids, ascending.
    rows, columns : ndarray of shape (n_annotations,), intp
        Indices of each annotation's image and category.
    """

    paths: list[str]
    images: list[Any]
    info: dict[str, NDArray[Any]]
    categories: NDArray[np.object_]
    category_ids: list[Id]
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]


def read_annotation_file(
    path: PathText, keep: Callable[[str, dict[str, Any]], tuple[str, Any]]
) -> AnnotationFile:
    """Read an annotation file without its boxes and outlines.

    Parameters
    ----------
    path : str or path-like
        JSON, gzip or not.
    keep : callable
        Called with the location of an image in the file, for errors, and the image.
        It returns the path of the image, and what ``images`` keeps.

    Returns
    -------
    content : AnnotationFile
        What the file says of whole images.

    Raises
    ------
    TypeError, FileNotFoundError, IsADirectoryError
        If the path is not that of a file.
    ValueError
        If the file cannot be read, has no list or key that it must have, has a value
        of a wrong type, an id, an image file, a name or a synset twice, or annotations
        of unknown images or categories.
    """
    reader = _Reader(path, keep)
    present = read_members(
        path,
        {
            "images": reader.read_image,
            "categories": reader.read_category,
            "annotations": reader.read_annotation,
        },
    )
    for name in _LISTS:
        if name not in present:
            raise ValueError(
                f"`path` must be an annotation file with lists 'images', 'annotations' "
                f"and 'categories'; got '{path}' without {name!r}. Files of captions, "
                "and of test images, whose labels are not public, do not have them all."
            )
    return reader.content()


def field(item: Any, key: str, kind: type[_Kind], location: str) -> _Kind:
    """Return a value of an item, which must have a certain type.

    Parameters
    ----------
    item : object
        The item, which must be a dict.
    key : str
        Which value.
    kind : {str, list}
        Its type.
    location : str
        Where the item is: its list, index and file.

    Returns
    -------
    value : str or list
        The value.

    Raises
    ------
    ValueError
        If the item is not an object, does not have the key, or has a value of another
        type.
    """
    value = _value(item, key, location)
    if type(value) is not kind:
        raise ValueError(
            f"`path` must have {_TYPE_NAMES[kind]} as {key!r}; got {shown(value)} at "
            f"{location}. Correct the file, or download it again."
        )
    return value


def as_id(value: Any, key: str, location: str) -> Id:
    """Return an id of an image or a category: a whole number, or text.

    Parameters
    ----------
    value : object
        The id in the file; 640.0 is 640.
    key : str
        What the file calls it.
    location : str
        Where it is: its list, index and file.

    Returns
    -------
    id : int or str
        The id.

    Raises
    ------
    ValueError
        If it is something else.
    """
    if type(value) is str:
        return as_name(value, f"something as {key!r}", location)
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int or abs(value) >= _LARGEST_ID:
        raise ValueError(
            f"`path` must have a whole number or text as {key!r}; got {shown(value)} "
            f"at {location}. Correct the file, or download it again."
        )
    return value


def _value(item: Any, key: str, location: str) -> Any:
    if not isinstance(item, dict):
        raise ValueError(
            f"`path` must hold objects in its lists; got {shown(item)} at {location}. "
            "Check that this is the right file."
        )
    if key not in item:
        has = list_some([shown(name) for name in item], _MOST_NAMED) or "nothing"
        raise ValueError(
            f"`path` must have {key!r} in every object of this list; it is missing at "
            f"{location}, which has: {has}. Check that this is the right file."
        )
    return item[key]


class _Ids:
    """Ids that other lists refer to, each with a number, eight bytes a reference.

    References may come before the list of what they refer to.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._code_of: dict[Id, int] = {}
        self._index_of: dict[Id, int] = {}
        self._references = array("q")

    def add(self, key: Id, location: str, name: str) -> None:
        """Add the next image or category."""
        if key in self._index_of:
            raise ValueError(
                f"`path` must have every {self._what} once; got id {shown(key)} at "
                f"{name}[{self._index_of[key]}] and again at {location}. Remove one."
            )
        self._index_of[key] = len(self._index_of)

    def refer(self, key: Id) -> None:
        """Add a reference."""
        code = self._code_of.setdefault(key, len(self._code_of))
        self._references.append(code)

    def listed(self) -> list[Id]:
        """Return the ids in the order of their list."""
        return list(self._index_of)

    def indices(
        self, index_of: dict[Id, int], location: Callable[[int], str]
    ) -> NDArray[np.intp]:
        """Return the index that each reference refers to."""
        index_of_code = np.array(
            [index_of.get(key, -1) for key in self._code_of], dtype=np.intp
        )
        references = np.array(self._references, dtype=np.intp)
        indices = index_of_code[references]
        unknown = np.flatnonzero(indices < 0)
        if unknown.size:
            first = int(unknown[0])
            key = list(self._code_of)[references[first]]
            raise ValueError(
                f"`path` must have annotations of its own images and categories; got "
                f"{self._what}_id {shown(key)}, which it does not list, at "
                f"{location(first)} ({unknown.size:,} annotations are like this). "
                f"{self._remedy(key)}"
            )
        return indices

    def _remedy(self, key: Id) -> str:
        other = str(key)
        if isinstance(key, str):
            is_number = key.lstrip("-").isdecimal() and len(key) < 20
            found = is_number and int(key) in self._index_of
        else:
            found = other in self._index_of
        if found:
            return (
                f"It lists the {self._what} "
                f"{int(other) if isinstance(key, str) else shown(other)}: write all "
                "ids as "
                "numbers, or all as text."
            )
        return f"Remove them, or add the missing {self._what}."


class _Reader:
    """Handlers of the three lists, which may come in any order."""

    def __init__(
        self, path: PathText, keep: Callable[[str, dict[str, Any]], tuple[str, Any]]
    ) -> None:
        self._path, self._keep = path, keep
        self._paths: list[str] = []
        self._images: list[Any] = []
        self._row_of_path: dict[str, int] = {}
        self._sizes: dict[str, list[int]] = {"width": [], "height": []}
        self._names: dict[str, int] = {}
        self._synsets: dict[str, int] = {}
        self._image_ids, self._category_ids = _Ids("image"), _Ids("category")

    def read_image(self, index: int, image: Any) -> None:
        location = self._location("images", index)
        image_id = as_id(_value(image, "id", location), "id", location)
        self._image_ids.add(image_id, location, "images")
        for key, sizes in self._sizes.items():
            # No label depends on a size: one that is not a number is left out.
            size = image.get(key)
            if isinstance(size, float) and size.is_integer():
                size = int(size)
            if type(size) is int and 0 < size < _LARGEST_ID:
                sizes.append(size)
        path, kept = self._keep(location, image)
        path = as_path_name(path, "an image", location)
        earlier = self._row_of_path.setdefault(path_key(path), index)
        if earlier != index:
            before = self._paths[earlier]
            also = "" if before == path else f", written {shown(before)},"
            raise ValueError(
                f"`path` must have every image file once; got {shown(path)} as id "
                f"{shown(image_id)} at {location}, and{also} as id "
                f"{shown(self._image_ids.listed()[earlier])} at images[{earlier}]: "
                "their rows may contradict each other. Give the annotations of both "
                "to one of them, and remove the other."
            )
        self._paths.append(path)
        self._images.append(kept)

    def read_category(self, index: int, category: Any) -> None:
        location = self._location("categories", index)
        category_id = as_id(_value(category, "id", location), "id", location)
        name = as_name(field(category, "name", str, location), "a category", location)
        self._category_ids.add(category_id, location, "categories")
        if name in self._names:
            raise ValueError(
                f"`path` must have every category once; got name {shown(name)} "
                f"at categories[{self._names[name]}] and again at {location}. Remove "
                "or rename one."
            )
        synset = category.get("synset")
        if isinstance(synset, str):
            earlier = self._synsets.setdefault(synset, index)
            if earlier != index:
                raise ValueError(
                    f"`path` must have every synset once; got {shown(synset)} of "
                    f"{shown(list(self._names)[earlier])} again as that of "
                    f"{shown(name)} at "
                    f"{location}. Merge the two, or correct one."
                )
        self._names[name] = index

    def read_annotation(self, index: int, annotation: Any) -> None:
        location = self._location("annotations", index)
        for ids, key in (
            (self._image_ids, "image_id"),
            (self._category_ids, "category_id"),
        ):
            value = _value(annotation, key, location)
            ids.refer(value if type(value) is int else as_id(value, key, location))

    def content(self) -> AnnotationFile:
        self._check_categories()
        name_of = dict(zip(self._category_ids.listed(), self._names, strict=True))
        category_ids = sorted(name_of, key=lambda key: (isinstance(key, str), key))
        column_of = {key: j for j, key in enumerate(category_ids)}
        ids = self._image_ids.listed()
        row_of = {key: row for row, key in enumerate(ids)}
        sizes = {
            key: np.array(values, dtype=np.int64)
            for key, values in self._sizes.items()
            if len(values) == len(self._images)
        }
        location = partial(self._location, "annotations")
        return AnnotationFile(
            paths=self._paths,
            images=self._images,
            info={"image_id": _id_array(ids), **sizes},
            categories=as_objects(name_of[key] for key in category_ids),
            category_ids=category_ids,
            rows=self._image_ids.indices(row_of, location),
            columns=self._category_ids.indices(column_of, location),
        )

    def _check_categories(self) -> None:
        source = f"the categories of '{self._path}'"
        refuse_alike(list(self._names), "category", source)
        several = combined_name(self._names)
        if several is not None:
            raise ValueError(
                f"`path` must have one name in each category; got {shown(several)}, "
                f"whose parts are other categories of '{self._path}'. Give its "
                "annotations to them, and remove it."
            )
        for ids, what in ((self._image_ids, "image"), (self._category_ids, "category")):
            kinds = {type(key) for key in ids.listed()}
            if len(kinds) > 1:
                raise ValueError(
                    f"`path` must have either numbers or text as the ids of its "
                    f"{what} list; '{self._path}' has both. Write all ids as numbers, "
                    "or all as text."
                )

    def _location(self, name: str, index: int) -> str:
        return f"{name}[{index}] of '{self._path}'"


def _id_array(ids: list[Id]) -> NDArray[Any]:
    if ids and isinstance(ids[0], str):
        return as_objects(ids)
    return np.array(ids, dtype=np.int64)
