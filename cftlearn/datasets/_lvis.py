"""LVIS: thousands of categories, of which each image was checked for some."""

import os
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cftlearn._dependencies import validate_params
from cftlearn.datasets._annotation_file import (
    AnnotationFile,
    field,
    read_annotation_file,
)
from cftlearn.datasets._label_table import LabelTable
from cftlearn.labels import LabelState

_FOLDER_AND_FILE = re.compile(r"[^/]+/[^/]+$")


@validate_params({"path": [str, os.PathLike]}, prefer_skip_nested_validation=True)
def load_lvis(
    path: str | os.PathLike[str], *, categories: Iterable[str] | None = None
) -> LabelTable:
    """Read which categories LVIS's images show, and which they surely do not.

    Every image was checked for a few of the 1,203 categories of version 1. A category
    is **positive** with at least one annotation, or if it is in
    ``not_exhaustive_category_ids``: it is there, only not every object was outlined.
    It is **negative** if it is in ``neg_category_ids``: annotators looked and found
    none. All others are blank. A category that is both is uncertain.

    Parameters
    ----------
    path : str or path
        ``lvis_v1_train.json`` or ``lvis_v1_val.json``, gzip or not. Read in a stream:
        outlines are dropped at once.
    categories : iterable of str, default=None
        Names of the categories to keep, in this order; all, sorted by their id, by
        default.

    Returns
    -------
    table : LabelTable
        Sparse. One row per image, in the file's order; ``paths`` are the folder and
        file of ``coco_url``, as ``train2017/000000391895.jpg``, for images of one
        split of LVIS lie in two folders of MS-COCO. ``info`` has ``image_id``,
        ``width`` and ``height``.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If it is not JSON of this form, is cut off, has an id twice, or names images
        or categories that it does not list; if ``categories`` names one that it does
        not have.

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
    content = read_annotation_file(path, keep=_path_and_lists)
    rows, columns = [content.rows], [content.columns]
    states = [np.full(len(content.rows), LabelState.POSITIVE, dtype=np.uint8)]
    for part, key, state in (
        (1, "not_exhaustive_category_ids", LabelState.POSITIVE),
        (2, "neg_category_ids", LabelState.NEGATIVE),
    ):
        listed_rows, listed_columns = _listed(content, part, key, path)
        rows.append(listed_rows)
        columns.append(listed_columns)
        states.append(np.full(len(listed_rows), state, dtype=np.uint8))
    table = LabelTable.from_cells(
        [image[0] for image in content.images],
        content.categories,
        rows=np.concatenate(rows),
        columns=np.concatenate(columns),
        states=np.concatenate(states),
        info=content.info,
    )
    return table if categories is None else table.select(categories)


def _path_and_lists(
    place: str, image: dict[str, Any]
) -> tuple[str, list[Any], list[Any]]:
    url = field(image, "coco_url", str, place)
    match = _FOLDER_AND_FILE.search(url)
    if match is None:
        raise ValueError(
            f"`path` must have addresses that end in folder/file as 'coco_url'; got "
            f"{url!r} at {place}. Check that this is a file of LVIS."
        )
    return (
        match.group(),
        field(image, "not_exhaustive_category_ids", list, place),
        field(image, "neg_category_ids", list, place),
    )


def _listed(
    content: AnnotationFile, part: int, key: str, path: str | os.PathLike[str]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Give the cells that a list of every image names."""
    column_of = {int(item): j for j, item in enumerate(content.category_ids)}
    rows, columns = [], []
    for row, image in enumerate(content.images):
        for item in image[part]:
            column = column_of.get(item) if type(item) is int else None
            if column is None:
                raise ValueError(
                    f"`path` must name its own categories in {key!r}; got {item!r} at "
                    f"images[{row}] of '{path}', which is no id of a category there. "
                    "Remove it, or add the missing category."
                )
            rows.append(row)
            columns.append(column)
    return np.array(rows, dtype=np.intp), np.array(columns, dtype=np.intp)
