"""Open Images: millions of images, each checked by people for a few categories."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cftlearn.datasets._csv_rows import CsvRows
from cftlearn.datasets._label_table import LabelTable, as_objects, merge_cells
from cftlearn.datasets._names import as_name, shown
from cftlearn.datasets._paths import PathText
from cftlearn.datasets._table_rows import Rows, read_rows
from cftlearn.datasets._text_files import numbered_lines, open_text
from cftlearn.labels import LabelState

_WORDS = ("Source", "LabelName", "Confidence")  # columns
_MID = re.compile(r"/[a-z]/[0-9a-z_]+")
_GUESSES = (
    "a machine's guesses and their fractions are not ground truth. Read the file "
    "annotations-human.csv or ...-annotations-human-imagelabels.csv"
)
_NAMES_AT_A_TIME = 1 << 16


def load_open_images(
    path: PathText,
    *,
    categories: Iterable[str] | None = None,
    classes: PathText | None = None,
    descriptions: PathText | None = None,
) -> LabelTable:
    """Load the labels of Open Images that people gave.

    People checked every image for a few of thousands of categories. Confidence 1 is
    positive, 0 negative; all other cells are blank, and a cell with both is uncertain.
    Read in a stream: the training images have about twenty million labels. Needs
    pyarrow (``pip install "cftlearn[arrow]"``).

    Parameters
    ----------
    path : str or path-like
        Human image-level labels, gzip or not: ``train/annotations-human.csv`` of
        version 3, ``oidv6-train-annotations-human-imagelabels.csv`` of version 6,
        with columns ImageID, Source, LabelName, Confidence. Labels that a machine
        guessed (``annotations-machine.csv``) are refused: they are not ground truth.
    categories : iterable of str, default=None
        LabelNames to keep (``"/m/011k07"``), in this order; all that the file has,
        sorted, by default. Rows of others are dropped, images are kept.
    classes : str or path-like, default=None
        Instead of ``categories``, a file with one of them per line, such as
        ``classes-trainable.txt``.
    descriptions : str or path-like, default=None
        ``class-descriptions.csv``: what the LabelNames mean, for the table's
        ``descriptions``. These words are not unique, so they are not the categories.

    Returns
    -------
    table : LabelTable
        Sparse. One row per image of the file, sorted by id; ``paths`` are
        ``<ImageID>.jpg``, below the folder of the split's images.

    Raises
    ------
    FileNotFoundError
        If a file does not exist.
    ImportError
        If pyarrow is not installed.
    TypeError, ValueError
        If both ``categories`` and ``classes`` are given; if a file does not have a
        column, is cut off, or has a value that it must not have, such as a fractional
        confidence.

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
    requested = _requested(categories, classes)
    meanings = None if descriptions is None else _read_descriptions(descriptions)
    cells = _Cells()
    for rows in read_rows(
        path, numbers=["ImageID"], words=_WORDS, feature="load_open_images"
    ):
        cells.add(rows)
    names = sorted(cells.code_of) if requested is None else requested
    image_ids, row_of_cell = _group(_joined(cells.ids, np.uint64))
    columns = _columns_of(cells, names)
    states = _joined(cells.states, np.uint8)
    if requested is not None:
        kept = columns >= 0
        row_of_cell, columns, states = row_of_cell[kept], columns[kept], states[kept]
    matrix = merge_cells((len(image_ids), len(names)), row_of_cell, columns, states)
    del row_of_cell, columns, states  # before the paths, which need as much
    return LabelTable(
        paths=_paths_of(image_ids),
        states=matrix,
        categories=as_objects(names),
        info={},
        descriptions=None
        if meanings is None
        else {name: meanings[name] for name in names if name in meanings},
    )


@dataclass
class _Cells:
    """The file's rows so far, in few bytes each."""

    ids: list[NDArray[np.uint64]] = field(default_factory=list)
    codes: list[NDArray[np.int32]] = field(default_factory=list)
    states: list[NDArray[np.uint8]] = field(default_factory=list)
    code_of: dict[str, int] = field(default_factory=dict)  # by LabelName

    def add(self, rows: Rows) -> None:
        self.ids.append(rows.hexadecimal("ImageID"))
        _check_people(rows)
        names, index = rows.words("LabelName")
        for name in names:
            if name not in self.code_of and not _MID.fullmatch(name):
                rows.fail("LabelName", name, "like '/m/011k07' as LabelName")
        codes = [self.code_of.setdefault(name, len(self.code_of)) for name in names]
        self.codes.append(np.array(codes, dtype=np.int32)[index])
        values, index = rows.words("Confidence")
        states = [_state_of(value, rows) for value in values]
        self.states.append(np.array(states, dtype=np.uint8)[index])


def _check_people(rows: Rows) -> None:
    sources, _ = rows.words("Source")
    if "machine" in sources:
        rows.fail("Source", "machine", f"of people: {_GUESSES}")


def _state_of(value: str, rows: Rows) -> LabelState:
    try:
        confidence = (
            float(value) if value.isprintable() and "_" not in value else np.nan
        )
    except ValueError:
        confidence = np.nan
    if confidence not in (0.0, 1.0):
        rows.fail("Confidence", value, f"with Confidence 0 or 1 by people: {_GUESSES}")
    return LabelState.POSITIVE if confidence else LabelState.NEGATIVE


def _group(
    ids: NDArray[np.uint64],
) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """Return the sorted images, and the index of each cell's image."""
    # Published files have the rows of an image side by side: sort runs, not rows.
    starts = np.flatnonzero(np.append(True, ids[1:] != ids[:-1])[: len(ids)])
    lengths = np.diff(starts, append=len(ids)).astype(np.int32)
    runs = ids[starts]
    del ids, starts  # a file in random order has as many runs as rows
    image_ids, index = np.unique(runs, return_inverse=True)
    return image_ids, np.repeat(index.astype(np.int32), lengths)


def _columns_of(cells: _Cells, names: list[str]) -> NDArray[np.int32]:
    """Return the column of each cell; -1 where its category is not requested."""
    column_of = {name: j for j, name in enumerate(names)}
    columns = np.array([column_of.get(name, -1) for name in cells.code_of], np.int32)
    for block in cells.codes:
        block[:] = columns[block]  # in place: all cells twice may be too much
    return _joined(cells.codes, np.int32)


def _joined(blocks: list[NDArray], dtype: type) -> NDArray:
    """Return blocks as one array, and free them."""
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


def _requested(
    categories: Iterable[str] | None, classes: PathText | None
) -> list[str] | None:
    if categories is not None and classes is not None:
        raise TypeError(
            "`categories` must be None if `classes` is given; got both. Pass one."
        )
    if classes is not None:
        source = f"lines of '{classes}'"
        names = [line for _, line in numbered_lines(classes, "classes")]
    elif categories is not None:
        source = "names"
        names = [categories] if isinstance(categories, str) else list(categories)
    else:
        return None
    parameter = "categories" if classes is None else "classes"
    seen: set[str] = set()
    for number, name in enumerate(names, start=1):
        if not isinstance(name, str) or not _MID.fullmatch(name) or name in seen:
            raise ValueError(
                f"`{parameter}` must hold LabelNames like '/m/011k07', each once; got "
                f"{shown(name)} as number {number} of {len(names):,} {source}. "
                "class-descriptions.csv has the LabelName of each word."
            )
        seen.add(name)
    return names


def _read_descriptions(path: PathText) -> dict[str, str]:
    meanings: dict[str, str] = {}
    with open_text(path, parameter="descriptions") as stream:
        rows = CsvRows(stream, path, ",", "descriptions")
        entries = [(rows.line, [cell.strip() for cell in row]) for row in rows if row]
    for number, entry in entries:
        if number == 1 and entry == ["LabelName", "DisplayName"]:
            continue
        if len(entry) != 2 or not _MID.fullmatch(entry[0]):
            raise ValueError(
                "`descriptions` must have lines of a LabelName and its meaning, as "
                f"'/m/011k07,Tortoise'; got {shown(','.join(entry))} in line {number} "
                f"of '{path}'. "
                "Pass class-descriptions.csv."
            )
        where = f"line {number} of '{path}'"
        entry[1] = as_name(entry[1], "what it means", where, "descriptions")
        if meanings.setdefault(entry[0], entry[1]) != entry[1]:
            raise ValueError(
                "`descriptions` must give every LabelName one meaning; got "
                f"{shown(meanings[entry[0]])} and then {shown(entry[1])} for "
                f"{shown(entry[0])} in line {number} of '{path}'. Delete one of the "
                "lines."
            )
    return meanings
