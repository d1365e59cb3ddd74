"""Annotation files of COCO's form: images, categories, and annotations of boxes."""

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cftlearn.datasets._json_members import read_members
from cftlearn.datasets._label_table import as_objects
from cftlearn.datasets._paths import PathText

_LISTS = ("images", "categories", "annotations")
_TYPE_NAMES = {int: "an integer", str: "text", list: "a list"}


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
        Indices of each annotation's image and category.
    """

    images: list[Any]
    info: dict[str, NDArray[np.int64]]
    categories: NDArray[np.object_]
    category_ids: NDArray[np.int64]
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]


def read_annotation_file(
    path: PathText, keep: Callable[[str, dict[str, Any]], Any]
) -> AnnotationFile:
    """Read an annotation file without its boxes and outlines.

    Parameters
    ----------
    path : str or path-like
        JSON, gzip or not.
    keep : callable
        Called with the location of an image in the file, for errors, and the image;
        ``images`` keeps what it returns.

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
        of a wrong type, an id or a name twice, or annotations of unknown images or
        categories.
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


def field(item: dict[str, Any], key: str, kind: type, location: str) -> Any:
    """Return a value of an item, which must have a certain type.

    Parameters
    ----------
    item : dict
        The item.
    key : str
        Which value.
    kind : {int, str, list}
        Its type.
    location : str
        Where the item is: its list, index and file.

    Returns
    -------
    value : object
        The value.

    Raises
    ------
    ValueError
        If the item is not an object, does not have the key, or has a value of another
        type.
    """
    if not isinstance(item, dict):
        raise ValueError(
            f"`path` must hold objects in its lists; got {item!r:.40} at {location}. "
            "Check that this is the right file."
        )
    if key not in item:
        raise ValueError(
            f"`path` must have {key!r} in every object of this list; it is missing at "
            f"{location}, which has: {', '.join(map(str, item))}. Check that this is "
            "the right file."
        )
    value = item[key]
    if type(value) is not kind or (type(value) is int and abs(value) >= 2**63):
        raise ValueError(
            f"`path` must have {_TYPE_NAMES[kind]} as {key!r}; got {value!r:.40} at "
            f"{location}. Correct the file, or download it again."
        )
    return value


class _Reader:
    """Handlers of the three lists, which may come in any order."""

    def __init__(
        self, path: PathText, keep: Callable[[str, dict[str, Any]], Any]
    ) -> None:
        self._path, self._keep = path, keep
        self._images: list[Any] = []
        self._sizes: dict[str, list[int]] = {"width": [], "height": []}
        self._row_of: dict[int, int] = {}
        self._names: dict[int, str] = {}
        # Annotations are many: eight bytes an id instead of an object.
        self._image_ids, self._category_ids = array("q"), array("q")

    def read_image(self, index: int, image: Any) -> None:
        location = self._location("images", index)
        image_id = field(image, "id", int, location)
        if image_id in self._row_of:
            raise ValueError(
                f"`path` must have every image once; got id {image_id} at "
                f"images[{self._row_of[image_id]}] and again at {location}. Remove one."
            )
        self._row_of[image_id] = index
        for key, sizes in self._sizes.items():
            if key in image:
                sizes.append(field(image, key, int, location))
        self._images.append(self._keep(location, image))

    def read_category(self, index: int, category: Any) -> None:
        location = self._location("categories", index)
        category_id = field(category, "id", int, location)
        name = field(category, "name", str, location)
        for key, value, earlier in (
            ("id", category_id, self._names),
            ("name", name, self._names.values()),
        ):
            if value in earlier:
                raise ValueError(
                    f"`path` must have every category once; got {key} {value!r} "
                    f"again at {location}. Remove or rename one."
                )
        self._names[category_id] = name

    def read_annotation(self, index: int, annotation: Any) -> None:
        location = self._location("annotations", index)
        image_id = field(annotation, "image_id", int, location)
        self._category_ids.append(field(annotation, "category_id", int, location))
        self._image_ids.append(image_id)

    def content(self) -> AnnotationFile:
        category_ids = sorted(self._names)
        column_of = {key: j for j, key in enumerate(category_ids)}
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
            rows=self._indices(self._image_ids, self._row_of, "image"),
            columns=self._indices(self._category_ids, column_of, "category"),
        )

    def _indices(self, ids: array, index_of: dict[int, int], what: str) -> NDArray:
        indices = np.array([index_of.get(key, -1) for key in ids], dtype=np.intp)
        unknown = np.flatnonzero(indices < 0)
        if unknown.size:
            first = int(unknown[0])
            raise ValueError(
                f"`path` must have annotations of its own images and categories; got "
                f"{what}_id {ids[first]}, which it does not list, at "
                f"{self._location('annotations', first)} ({unknown.size:,} annotations "
                f"are like this). Remove them, or add the missing {what}."
            )
        return indices

    def _location(self, name: str, index: int) -> str:
        return f"{name}[{index}] of '{self._path}'"
