"""Visual Genome's 200 categories, as the literature on partial labels uses them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cftlearn._dependencies import StrOptions, validate_params
from cftlearn.datasets._label_table import LabelTable, as_objects
from cftlearn.datasets._names import (
    as_name,
    first_pair,
    path_key,
    refuse_alike,
    shown,
    shown_apart,
)
from cftlearn.datasets._paths import PathText, first_existing
from cftlearn.datasets._text_files import read_json, read_lines
from cftlearn.labels import LabelState

_N_CATEGORIES = 200
_MOST_DIGITS = 18  # so that ids fit into int64
# The 200 are the first of the 500, so either file of indices will do.
_INDEX_FILES = {
    "vg_category_200_labels_index.json": 200,
    "vg_category_500_labels_index.json": 500,
}


@validate_params(
    {
        "path": "no_validation",
        "split": [StrOptions({"train", "test"})],
        "categories": "no_validation",
    },
    prefer_skip_nested_validation=True,
)
def load_vg200(
    path: PathText,
    *,
    split: Literal["train", "test"],
    categories: Iterable[str] | None = None,
) -> LabelTable:
    r"""Load the labels of Visual Genome's 200 most frequent categories (VG-200).

    Reads the files that SSGRL published for 500 categories and HCP-MLR-PL cut to 200:
    ``train_list_500.txt``, ``test_list_500.txt`` (an image in every line) and
    ``vg_category_200_labels_index.json`` or ``vg_category_500_labels_index.json``
    (indices of the categories by image). As in their work, a category that is not
    listed for an image is negative; hide labels with
    :func:`cftlearn.labels.hide_labels`. Visual Genome was not annotated exhaustively,
    so some of these negatives are wrong.

    Parameters
    ----------
    path : str or path-like
        The folder of these files.
    split : {"train", "test"}
        Which list of images.
    categories : iterable of str, default=None
        Names of the 200 categories in order. The files have none; by default they
        are ``"0"`` to ``"199"``.

    Returns
    -------
    table : LabelTable
        ``paths`` are the lines of the list, such as ``2328403.jpg``; Visual Genome
        keeps them in two folders, ``VG_100K`` and ``VG_100K_2``. ``info`` has
        ``image_id``.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If the folder or a file in it does not exist.
    ValueError
        If an image is listed twice or has no indices, or an index is out of range.

    References
    ----------
    .. [1] Chen et al., "Learning Semantic-Specific Graph Representation for
       Multi-Label Image Recognition", ICCV 2019;
       https://github.com/HCPLab-SYSU/SSGRL.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from cftlearn.datasets import load_vg200
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "test_list_500.txt").write_text("2328403.jpg\n")
    ...     file = Path(folder, "vg_category_200_labels_index.json")
    ...     _ = file.write_text('{"2328403.jpg": [3, 199]}')
    ...     load_vg200(folder, split="test")
    LabelTable: 1 samples, 200 categories, 2 positive, 198 negative, ...
    """
    list_file = first_existing(path, [f"{split}_list_500.txt"], "the list of images")
    index_file = first_existing(path, list(_INDEX_FILES), "the indices of categories")
    paths = _read_list(list_file)
    names = _category_names(categories)
    index = read_json(index_file)
    if not isinstance(index, dict):
        raise ValueError(
            f"`path` must have a JSON object of indices by image; '{index_file}' "
            f"holds a {type(index).__name__}."
        )
    n_indexed = _INDEX_FILES[index_file.name.casefold()]
    states = np.full((len(paths), len(names)), LabelState.NEGATIVE, dtype=np.uint8)
    for row, image in enumerate(paths):
        listed = _indices_of(image, index, n_indexed, index_file)
        states[row, [j for j in listed if j < _N_CATEGORIES]] = LabelState.POSITIVE
    info = {"image_id": _image_ids(paths, list_file)}
    return LabelTable(as_objects(paths), states, as_objects(names), info)


def _category_names(categories: Iterable[str] | None) -> list[str]:
    if categories is None:
        return [str(index) for index in range(_N_CATEGORIES)]
    given = [categories] if isinstance(categories, str) else list(categories)
    names = [
        as_name(name, "a category", "`categories`", "categories")
        for name in given
        if isinstance(name, str)
    ]
    if len(names) != _N_CATEGORIES or len(set(names)) < len(names):
        raise ValueError(
            f"`categories` must be {_N_CATEGORIES} different names in the order of the "
            f"indices; got {len(names)}, {len(set(names))} of them different. Choose "
            "some from the table by its `select`."
        )
    refuse_alike(names, "category", "`categories`", "categories")
    return names


def _read_list(file: Path) -> list[str]:
    paths = read_lines(file)
    pair = first_pair(paths, path_key)
    if pair is not None:
        texts = shown_apart(paths[pair[0]], paths[pair[1]])
        raise ValueError(
            f"`path` must list every image once; got {texts[0]} and {texts[1]} in "
            f"lines {pair[0] + 1} and {pair[1] + 1} of "
            f"'{file}'. Copy or download it again."
        )
    return paths


def _indices_of(
    image: str, index: dict[str, Any], n_indexed: int, file: Path
) -> list[int]:
    listed = index.get(image)
    if listed is None:
        raise ValueError(
            f"`path` must have the indices of every image; '{file}' has none for "
            f"{shown(image)}. Are the files of one copy?"
        )
    if not isinstance(listed, list) or not all(
        type(item) is int and 0 <= item < n_indexed for item in listed
    ):
        raise ValueError(
            f"`path` must have lists of indices from 0 to {n_indexed - 1}; got "
            f"{shown(listed)} for {shown(image)} in '{file}'. Copy or download it "
            "again."
        )
    return listed


def _image_ids(paths: list[str], file: Path) -> NDArray[np.int64]:
    numbers = [image.rsplit(".", 1)[0] for image in paths]
    for row, number in enumerate(numbers):
        if not number.isdecimal() or len(number) > _MOST_DIGITS:
            raise ValueError(
                f"`path` must list images of Visual Genome, a number of at most "
                f"{_MOST_DIGITS} digits each, such as 2328403.jpg; got "
                f"{shown(paths[row])} in line {row + 1} of '{file}'. Copy or download "
                "it again."
            )
    return np.array(numbers, dtype=np.int64)
