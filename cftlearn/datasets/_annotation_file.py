"""Annotation files of COCO's form: images, categories, and annotations of boxes."""

import os
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cftlearn.datasets._json_members import read_members
from cftlearn.datasets._label_table import as_objects

_WORDS = {int: "an integer", str: "text", list: "a list"}


@dataclass(frozen=True)
class AnnotationFile:
    """What an annotation file says of whole images.

    Attributes
    ----------
    images : list of tuple
        What was kept of each image, in the file's order.
    info : dict of str to ndarray of shape (n_images,), int64
        ``image_id``; ``width`` and ``height`` where every image has them.
    categories : ndarray of shape (n_categories,), object
        Their names, sorted by id.
    category_ids : ndarray of shape (n_categories,), int64
        Their ids, ascending.
    rows, columns : ndarray of shape (n_annotations,), intp
        Place of each annotation's image and category.
    """

    images: list[Any]
    info: dict[str, NDArray[np.int64]]
    categories: NDArray[np.object_]
    category_ids: NDArray[np.int64]
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]


def read_annotation_file(
    path: str | os.PathLike[str], keep: Callable[[str, dict[str, Any]], Any]
) -> AnnotationFile:
    """Read an annotation file without its boxes and outlines.

    Parameters
    ----------
    path : str or path
        JSON, gzip or not.
    keep : callable
        Called with an image's place, for errors, and the image; what it returns is
        kept in ``images``.

    Returns
    -------
    content : AnnotationFile
        What the file says of whole images.

    Raises
    ------
    FileNotFoundError, ValueError
        If the file cannot be read, lacks a list or a key, has a value of a wrong
        type, an id or a name twice, or annotations of unknown images or categories.
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
    for name in ("images", "categories", "annotations"):
        if name not in present:
            raise ValueError(
                f"`path` must be an annotation file with lists 'images', 'annotations' "
                f"and 'categories'; got '{path}' without {name!r}. Files of captions, "
                "and of test images, whose labels are not public, do not have them all."
            )
    return reader.content()


def field(item: dict[str, Any], key: str, kind: type, place: str) -> Any:
    """Give a value of an item, of the type that it must have.

    Parameters
    ----------
    item : dict
        The item.
    key : str
        Which value.
    kind : {int, str, list}
        Its type.
    place : str
        Where the item stands: its list, place and file.

    Returns
    -------
    value : object
        The value.

    Raises
    ------
    ValueError
        If the item is no object, has no such key, or has another type there.
    """
    if not isinstance(item, dict):
        raise ValueError(
            f"`path` must hold objects in its lists; got {item!r:.40} at {place}. "
            "Check that this is the right file."
        )
    if key not in item:
        raise ValueError(
            f"`path` must have {key!r} in every object of this list; it is missing at "
            f"{place}, which has: {', '.join(map(str, item))}. Check that this is the "
            "right file."
        )
    value = item[key]
    if type(value) is not kind or (type(value) is int and abs(value) >= 2**63):
        raise ValueError(
            f"`path` must have {_WORDS[kind]} as {key!r}; got {value!r:.40} at "
            f"{place}. Correct the file, or get it again."
        )
    return value


class _Reader:
    def __init__(
        self,
        path: str | os.PathLike[str],
        keep: Callable[[str, dict[str, Any]], Any],
    ) -> None:
        self._path, self._keep = path, keep
        self._images: list[Any] = []
        self._sizes: dict[str, list[int]] = {"width": [], "height": []}
        self._row_of: dict[int, int] = {}
        self._names: dict[int, str] = {}
        self._image_ids, self._category_ids = array("q"), array("q")

    def read_image(self, place: int, image: Any) -> None:
        where = self._where("images", place)
        image_id = field(image, "id", int, where)
        if image_id in self._row_of:
            raise ValueError(
                f"`path` must have every image once; got id {image_id} at "
                f"images[{self._row_of[image_id]}] and again at {where}. Remove one."
            )
        self._row_of[image_id] = place
        for key, sizes in self._sizes.items():
            if key in image:
                sizes.append(field(image, key, int, where))
        self._images.append(self._keep(where, image))

    def read_category(self, place: int, category: Any) -> None:
        where = self._where("categories", place)
        category_id = field(category, "id", int, where)
        name = field(category, "name", str, where)
        for what, value, known in (
            ("id", category_id, self._names),
            ("name", name, self._names.values()),
        ):
            if value in known:
                raise ValueError(
                    f"`path` must have every category once; got {what} {value!r} "
                    f"again at {where}. Remove or rename one."
                )
        self._names[category_id] = name

    def read_annotation(self, place: int, annotation: Any) -> None:
        where = self._where("annotations", place)
        image_id = field(annotation, "image_id", int, where)
        self._category_ids.append(field(annotation, "category_id", int, where))
        self._image_ids.append(image_id)

    def content(self) -> AnnotationFile:
        category_ids = sorted(self._names)
        sizes = {
            key: np.array(values, dtype=np.int64)
            for key, values in self._sizes.items()
            if len(values) == len(self._images)
        }
        image_ids = np.array(list(self._row_of), dtype=np.int64)
        return AnnotationFile(
            images=self._images,
            info={"image_id": image_ids, **sizes},
            categories=as_objects(self._names[key] for key in category_ids),
            category_ids=np.array(category_ids, dtype=np.int64),
            rows=self._places(self._image_ids, self._row_of, "image"),
            columns=self._places(
                self._category_ids,
                {key: j for j, key in enumerate(category_ids)},
                "category",
            ),
        )

    def _places(self, ids: array, place_of: dict[int, int], what: str) -> NDArray:
        places = np.array([place_of.get(key, -1) for key in ids], dtype=np.intp)
        strange = np.flatnonzero(places < 0)
        if strange.size:
            first = int(strange[0])
            raise ValueError(
                f"`path` must have annotations of its own images and categories; got "
                f"{what}_id {ids[first]}, which it does not list, at "
                f"{self._where('annotations', first)} ({strange.size:,} annotations "
                f"are like this). Remove them, or add the missing {what}."
            )
        return places

    def _where(self, name: str, place: int) -> str:
        return f"{name}[{place}] of '{self._path}'"
