"""MS-COCO: an annotated category is positive, every other one is negative."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from cftlearn.datasets._annotation_file import field, read_annotation_file
from cftlearn.datasets._label_table import LabelTable, as_objects
from cftlearn.datasets._paths import PathText
from cftlearn.labels import LabelState

# A table has a byte for every image and category. Data sets have fewer than 100 of
# them for everything that they list; a small file could ask for all memory.
_MOST_CELLS = 1 << 28
_MOST_TIMES = 1000


def load_coco(path: PathText, *, categories: Iterable[str] | None = None) -> LabelTable:
    """Load the labels of MS-COCO from its instance annotations.

    A category is positive in an image with at least one annotation of it, of a single
    object or of a crowd (``iscrowd``), and negative in all others: every cell is
    known. Images without any annotation are kept; all their labels are negative. Hide
    labels for experiments with :func:`cftlearn.labels.hide_labels`.

    Parameters
    ----------
    path : str or path-like
        ``annotations/instances_train2014.json``, another year's or split's, or a file
        of the same form; gzip or not. Read in a stream: outlines are dropped at once.
    categories : iterable of str, default=None
        Names of the categories to keep, in this order. All, sorted by their id, by
        default: MS-COCO's 80 ids have gaps, so an id is not a column.

    Returns
    -------
    table : LabelTable
        Dense. One row per image, in the file's order; ``paths`` are ``file_name``.
        ``info`` has ``image_id`` (whole numbers, or text where the file has text), and
        ``width`` and ``height`` in pixels where every image has them.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If it is not JSON of this form, is cut off, has an id, an image file or a
        category twice, or has annotations of images or categories that it does not
        list; if ``categories`` names one that it does not have.

    See Also
    --------
    load_lvis : The same images with 1,203 categories, most labels unknown.

    References
    ----------
    .. [1] T.-Y. Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014.

    Examples
    --------
    >>> from cftlearn.datasets import load_coco
    >>> table = load_coco("annotations/instances_val2014.json")  # doctest: +SKIP
    >>> y = table.labels()  # doctest: +SKIP
    """
    content = read_annotation_file(path, keep=_file_name)
    shape = len(content.images), len(content.categories)
    n_listed = sum(shape) + len(content.rows)
    if shape[0] * shape[1] > max(_MOST_CELLS, _MOST_TIMES * n_listed):
        raise ValueError(
            f"`path` must not list far more images and categories than annotations; "
            f"'{path}' has {shape[0]:,} images and {shape[1]:,} categories, whose "
            "table "
            f"needs {shape[0] * shape[1] / 1e9:.1f} GB, and {len(content.rows):,} "
            "annotations. Check that this is the right file, or split it."
        )
    states = np.full(shape, LabelState.NEGATIVE, dtype=np.uint8)
    states[content.rows, content.columns] = LabelState.POSITIVE
    paths = as_objects(content.paths)
    table = LabelTable(paths, states, content.categories, content.info)
    return table if categories is None else table.select(categories)


def _file_name(location: str, image: dict[str, Any]) -> tuple[str, None]:
    return field(image, "file_name", str, location), None
