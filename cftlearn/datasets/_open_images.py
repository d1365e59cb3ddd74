"""Open Images: millions of images, each checked by people for a few categories."""

import csv
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cftlearn._dependencies import validate_params
from cftlearn.datasets._byte_blocks import read_lines
from cftlearn.datasets._label_table import LabelTable, as_objects, merge_cells
from cftlearn.datasets._table_rows import Rows, read_rows
from cftlearn.labels import LabelState

_COLUMNS = ("ImageID", "Source", "LabelName", "Confidence")
_MID = re.compile(r"/[a-z]/[0-9a-z_]+")
_NAMES_AT_A_TIME = 1 << 16


@validate_params(
    {
        "path": [str, os.PathLike],
        "classes": [str, os.PathLike, None],
        "descriptions": [str, os.PathLike, None],
    },
    prefer_skip_nested_validation=True,
)
def load_open_images(
    path: str | os.PathLike[str],
    *,
    categories: Iterable[str] | None = None,
    classes: str | os.PathLike[str] | None = None,
    descriptions: str | os.PathLike[str] | None = None,
) -> LabelTable:
    """Read which categories people saw, or did not see, in Open Images.

    People checked every image for a few of thousands of categories. Confidence 1 is
    positive, 0 negative; all other cells are blank, and a cell with both is uncertain.
    Read in a stream: the training images have some twenty million labels.

    Parameters
    ----------
    path : str or path
        Human image-level labels, gzip or not: ``train/annotations-human.csv`` of
        version 3, ``oidv6-train-annotations-human-imagelabels.csv`` of version 6,
        with columns ImageID, Source, LabelName, Confidence. Labels that a machine
        guessed (``annotations-machine.csv``) are refused: they are no ground truth.
    categories : iterable of str, default=None
        LabelNames to keep (``"/m/011k07"``), in this order; all that the file has,
        sorted, by default. Rows of others are dropped, images are kept.
    classes : str or path, default=None
        Instead of ``categories``, a file that lists them one a line, as
        ``classes-trainable.txt``.
    descriptions : str or path, default=None
        ``class-descriptions.csv``: what the LabelNames mean, for the table's
        ``descriptions``. Those names are not unique, so they are no categories.

    Returns
    -------
    table : LabelTable
        Sparse. One row per image of the file, sorted by id; ``paths`` are
        ``<ImageID>.jpg``, below the folder of the split's images.

    Raises
    ------
    FileNotFoundError
        If a file does not exist.
    TypeError, ValueError
        If both ``categories`` and ``classes`` are given; if a file lacks a column, is
        cut off, or has a value that it must not have, a fractional confidence above
        all.

    References
    ----------
    .. [1] A. Kuznetsova et al., "The Open Images Dataset V4", International Journal
       of Computer Vision 128, 2020.

    Examples
    --------
    >>> from cftlearn.datasets import load_open_images
    >>> table = load_open_images(
    ...     "train/annotations-human.csv", classes="classes-trainable.txt",
    ...     descriptions="class-descriptions.csv",
    ... )  # doctest: +SKIP
    >>> y = table.select(["/m/0bt9lr"]).labels()  # doctest: +SKIP
    """
    wanted = _wanted(categories, classes)
    meanings = None if descriptions is None else _read_descriptions(descriptions)
    cells = _Cells(path)
    for rows in read_rows(path, _COLUMNS):
        cells.add(rows)
    names = sorted(cells.column_of) if wanted is None else wanted
    image_ids, row_of_cell = _group(_joined(cells.ids, np.uint64))
    columns = _columns_of(cells, names)
    states = _joined(cells.states, np.uint8)
    if wanted is not None:
        kept = columns >= 0
        row_of_cell, columns, states = row_of_cell[kept], columns[kept], states[kept]
    matrix = merge_cells((len(image_ids), len(names)), row_of_cell, columns, states)
    del row_of_cell, columns, states  # before the paths, which need as much
    return LabelTable(
        paths=_paths_of(image_ids),
        states=matrix,
        categories=as_objects(names),
        info={},
        descriptions=meanings
        and {name: meanings[name] for name in names if name in meanings},
    )


@dataclass
class _Cells:
    """The file's rows so far, in few bytes each."""

    path: str | os.PathLike[str]
    ids: list[NDArray[np.uint64]] = field(default_factory=list)
    columns: list[NDArray[np.int32]] = field(default_factory=list)
    states: list[NDArray[np.uint8]] = field(default_factory=list)
    column_of: dict[str, int] = field(default_factory=dict)

    def add(self, rows: Rows) -> None:
        self.ids.append(rows.hexadecimal("ImageID"))
        _check_people(rows)
        names, place = rows.words("LabelName")
        for name in names:
            if name not in self.column_of and not _MID.fullmatch(name):
                rows.fail("LabelName", name, "like '/m/011k07' as LabelName")
        codes = [self.column_of.setdefault(name, len(self.column_of)) for name in names]
        self.columns.append(np.array(codes, dtype=np.int32)[place])
        values, place = rows.words("Confidence")
        states = [_state_of(value, rows) for value in values]
        self.states.append(np.array(states, dtype=np.uint8)[place])


def _check_people(rows: Rows) -> None:
    sources, _ = rows.words("Source")
    if "machine" in sources:
        rows.fail(
            "Source",
            "machine",
            "of people: a machine's guesses are no ground truth. Read the file "
            "annotations-human.csv or ...-annotations-human-imagelabels.csv",
        )


def _state_of(value: str, rows: Rows) -> LabelState:
    try:
        confidence = float(value)
    except ValueError:
        confidence = np.nan
    if confidence not in (0.0, 1.0):
        rows.fail(
            "Confidence",
            value,
            "with Confidence 0 or 1, as people give it; fractions are a machine's "
            "guesses, which are no ground truth. Read the file annotations-human.csv "
            "or ...-annotations-human-imagelabels.csv",
        )
    return LabelState.POSITIVE if confidence else LabelState.NEGATIVE


def _group(
    ids: NDArray[np.uint64],
) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """Sort the images, and tell which one each cell belongs to."""
    # Rows of an image stand together in the published files: sort runs, not rows.
    starts = np.flatnonzero(np.append(True, ids[1:] != ids[:-1])[: len(ids)])
    lengths = np.diff(starts, append=len(ids)).astype(np.int32)
    runs = ids[starts]
    del ids, starts  # twenty million of them may stand in any order
    image_ids, place = np.unique(runs, return_inverse=True)
    return image_ids, np.repeat(place.astype(np.int32), lengths)


def _columns_of(cells: _Cells, names: list[str]) -> NDArray[np.int32]:
    """Give each cell its column; -1 where nobody asked for its category."""
    place = {name: j for j, name in enumerate(names)}
    columns = np.array([place.get(name, -1) for name in cells.column_of], np.int32)
    for block in cells.columns:
        block[:] = columns[block]
    return _joined(cells.columns, np.int32)


def _joined(blocks: list[NDArray], dtype: type) -> NDArray:
    """Make one array of blocks, and let go of them."""
    joined = np.concatenate(blocks) if blocks else np.zeros(0, dtype=dtype)
    blocks.clear()
    return joined


def _paths_of(image_ids: NDArray[np.uint64]) -> NDArray[np.object_]:
    paths = np.empty(len(image_ids), dtype=object)
    for start in range(0, len(image_ids), _NAMES_AT_A_TIME):
        part = image_ids[start : start + _NAMES_AT_A_TIME]
        digits = part.astype(">u8").tobytes().hex()
        paths[start : start + len(part)] = [
            digits[k : k + 16] + ".jpg" for k in range(0, len(digits), 16)
        ]
    return paths


def _wanted(
    categories: Iterable[str] | None, classes: str | os.PathLike[str] | None
) -> list[str] | None:
    if categories is not None and classes is not None:
        raise TypeError(
            "`categories` must be None if `classes` is given; got both. Give one."
        )
    if classes is not None:
        source = f"lines of '{classes}'"
        names = [line for _, line in read_lines(classes, parameter="classes")]
    elif categories is not None:
        source = "names"
        names = [categories] if isinstance(categories, str) else list(categories)
    else:
        return None
    parameter = "categories" if classes is None else "classes"
    seen: set[str] = set()
    for place, name in enumerate(names):
        if not isinstance(name, str) or not _MID.fullmatch(name) or name in seen:
            raise ValueError(
                f"`{parameter}` must hold LabelNames like '/m/011k07', each once; got "
                f"{name!r} as number {place + 1} of {len(names):,} {source}. "
                "class-descriptions.csv tells the LabelName of a word."
            )
        seen.add(name)
    return names


def _read_descriptions(path: str | os.PathLike[str]) -> dict[str, str]:
    meanings = {}
    for number, line in read_lines(path, parameter="descriptions"):
        entry = next(csv.reader([line]))
        if number == 1 and entry == ["LabelName", "DisplayName"]:
            continue
        if len(entry) != 2 or not _MID.fullmatch(entry[0]):
            raise ValueError(
                "`descriptions` must have lines of a LabelName and its meaning, as "
                f"'/m/011k07,Tortoise'; got {line!r} in line {number} of '{path}'. "
                "It is class-descriptions.csv that has them."
            )
        meanings[entry[0]] = entry[1]
    return meanings
