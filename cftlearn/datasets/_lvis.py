"""LVIS: thousands of categories, of which each image was checked for some."""

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cftlearn.datasets._annotation_file import (
    AnnotationFile,
    Id,
    as_id,
    field,
    read_annotation_file,
)
from cftlearn.datasets._label_table import LabelTable
from cftlearn.datasets._names import shown
from cftlearn.datasets._paths import PathText
from cftlearn.labels import LabelState

_FOLDER_AND_FILE = re.compile(r"[^/]+/[^/]+$")
_LISTS = {
    "not_exhaustive_category_ids": LabelState.POSITIVE,
    "neg_category_ids": LabelState.NEGATIVE,
}


def load_lvis(path: PathText, *, categories: Iterable[str] | None = None) -> LabelTable:
    """Load the labels of LVIS: categories that an image shows or surely does not show.

    Every image was checked for a few of the 1,203 categories of version 1. A category
    is **positive** with at least one annotation, or if it is in
    ``not_exhaustive_category_ids``: it is there, only not every object was outlined.
    It is **negative** if it is in ``neg_category_ids``: annotators looked and found
    none. All others are blank. A category that is both is uncertain.

    Parameters
    ----------
    path : str or path-like
        ``lvis_v1_train.json`` or ``lvis_v1_val.json``, gzip or not. Read in a stream:
        outlines are dropped at once.
    categories : iterable of str, default=None
        Names of the categories to keep, in this order; all, sorted by their id, by
        default.

    Returns
    -------
    table : LabelTable
        Sparse. One row per image, in the file's order; ``paths`` are the folder and
        file of ``coco_url``, such as ``train2017/000000391895.jpg``, because images
        of one split of LVIS are in two folders of MS-COCO. ``info`` has ``image_id``,
        and ``width`` and ``height`` where every image has them.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If it is not JSON of this form, is cut off, has an id, an image file, a category
        or a synset twice, or names images or categories that it does not list; if
        ``categories`` names one that it does not have.

    See Also
    --------
    load_coco : The same images with 80 categories, all labels known.

    References
    ----------
    .. [1] A. Gupta, P. Dollar, R. Girshick, "LVIS: A Dataset for Large Vocabulary
       Instance Segmentation", CVPR 2019.

    Examples
    --------
    >>> from cftlearn.datasets import load_lvis
    >>> table = load_lvis("annotations/lvis_v1_val.json")  # doctest: +SKIP
    >>> y = table.select(["zebra", "zucchini"]).labels()  # doctest: +SKIP
    """
    content = read_annotation_file(path, keep=_kept)
    column_of = {item: j for j, item in enumerate(content.category_ids)}
    cells = [(content.rows, content.columns, LabelState.POSITIVE)]
    for key, state in _LISTS.items():
        cells.append((*_listed_cells(content, key, column_of, path), state))
    table = LabelTable.from_cells(
        content.paths,
        content.categories,
        rows=np.concatenate([rows for rows, _, _ in cells]),
        columns=np.concatenate([columns for _, columns, _ in cells]),
        states=np.repeat(
            [state for _, _, state in cells], [len(rows) for rows, _, _ in cells]
        ),
        info=content.info,
    )
    return table if categories is None else table.select(categories)


def _kept(location: str, image: dict[str, Any]) -> tuple[str, dict[str, list[Any]]]:
    url = field(image, "coco_url", str, location)
    match = _FOLDER_AND_FILE.search(url)
    if match is None:
        raise ValueError(
            f"`path` must have addresses that end in folder/file as 'coco_url'; got "
            f"{shown(url)} at {location}. Check that this is a file of LVIS."
        )
    lists = {key: field(image, key, list, location) for key in _LISTS}
    return match.group(), lists


def _listed_cells(
    content: AnnotationFile, key: str, column_of: dict[Id, int], path: PathText
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows and columns of the categories that a list of each image names."""
    rows, columns = [], []
    for row, image in enumerate(content.images):
        for item in image[key]:
            location = f"images[{row}] of '{path}'"
            column = column_of.get(as_id(item, key, location))
            if column is None:
                raise ValueError(
                    f"`path` must name its own categories in {key!r}; got "
                    f"{shown(item)} at {location}, which is not the id of a category "
                    "there. Remove it, or add the missing category."
                )
            rows.append(row)
            columns.append(column)
    return np.array(rows, dtype=np.intp), np.array(columns, dtype=np.intp)
