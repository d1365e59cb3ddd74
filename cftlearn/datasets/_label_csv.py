"""Labels from any CSV file: a column per category, or a row per label."""

from collections.abc import Iterable, Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cftlearn.datasets._cell_states import (
    NO_STATE,
    STANDARD_VALUES,
    CellStates,
    encode_columns,
)
from cftlearn.datasets._delimited import DelimitedTable, read_delimited
from cftlearn.datasets._label_table import LabelTable, as_objects
from cftlearn.datasets._paths import PathText
from cftlearn.labels import LabelState

State = Literal["positive", "negative", "uncertain", "blank"]

_REMEDY = "Correct the cell, name other `categories`, or give it a state in `values`."


def load_label_csv(
    path: PathText,
    *,
    path_column: str | None = None,
    categories: Iterable[str] | None = None,
    values: Mapping[float | str, State] | None = None,
    label_column: str | None = None,
    value_column: str | None = None,
    separator: str | None = None,
    encoding: str | None = None,
) -> LabelTable:
    r"""Load labels from a CSV file of your own.

    Two forms are read. *Wide*: one row per image, one column per category. *Long*,
    with ``label_column``: one row per label, ``image,label`` or ``image,label,value``;
    a label that no row names is blank. Cells that are empty or spell NaN are blank,
    unless ``values`` says otherwise. A cell that cannot be read is an error; nothing
    is left out silently.

    Parameters
    ----------
    path : str or path-like
        The file, compressed by gzip or not; its first line names the columns.
        Columns without a name, such as the index that pandas writes, are left out.
    path_column : str, default=None
        The column of image paths; by default the first that has a name.
    categories : iterable of str, default=None
        Wide: the columns that are categories, in this order; by default all that hold
        nothing but states and blanks. If at least half of a column's filled cells are
        states, but not all, the file is refused: name the categories then.
        Long: the labels to keep, also labels that do not occur (all blank); by
        default all that occur, sorted.
    values : dict, default=None
        State, ``"positive"``, ``"negative"``, ``"uncertain"`` or ``"blank"``, by the
        value that means it. By default 1 and true are positive, 0 and false negative,
        -1 is uncertain. For a file in which -1 is negative and 0 unknown:
        ``{1: "positive", -1: "negative", 0: "blank"}``. Numbers are compared by value
        (``1.0`` is 1), texts without capitals.
    label_column : str, default=None
        Long: the column of labels. A row whose label is empty adds an image without
        labels.
    value_column : str, default=None
        Long: the column of values; by default every row is a positive label.
    separator : str, default=None
        One character; by default the one of ``,``, ``;``, tab and ``|`` that the first
        line has most of.
    encoding : str, default=None
        Name of the encoding; by default UTF-8, or what a byte order mark says.

    Returns
    -------
    table : LabelTable
        Wide: a row per row of the file, ``info`` the other columns as text. Long: a
        sparse table, a row per image in the order of the file, ``info`` empty; a label
        given twice with different states is uncertain.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If ``encoding`` is unknown or the file cannot be decoded, a row has too few or
        too many cells, a column is missing or ambiguous, an image has no path or (wide)
        two rows, or a cell is not a state. The message names file, line and column.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from cftlearn.datasets import load_label_csv
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder, "labels.csv")
    ...     _ = file.write_text("image,site,cat,dog\na.jpg,x,1,-1\nb.jpg,y,0,\n")
    ...     table = load_label_csv(file)
    >>> table
    LabelTable: 2 samples, 2 categories, 1 positive, 1 negative, 1 uncertain, 1 blank
    >>> table.info["site"].tolist()
    ['x', 'y']
    """
    codes = CellStates(STANDARD_VALUES if values is None else values)
    table = read_delimited(path, separator=separator, encoding=encoding)
    image_column = _image_column(table, path_column)
    _refuse_empty(table, image_column)
    names = _as_names(categories)
    if label_column is None:
        if value_column is not None:
            raise ValueError(
                "`value_column` must be None without `label_column`; got "
                f"{value_column!r}. Name the column of labels too."
            )
        return _read_wide(table, image_column, names, codes)
    return _read_long(table, image_column, names, codes, label_column, value_column)


def _as_names(categories: Iterable[str] | None) -> list[str] | None:
    if categories is None:
        return None
    names = [categories] if isinstance(categories, str) else list(categories)
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"`categories` must name at least one category, each once; got {names}."
        )
    return names


def _index_of(table: DelimitedTable, name: str, parameter: str) -> int:
    if name not in table.header:
        raise ValueError(
            f"`{parameter}` must name a column of '{table.file}'; got {name!r}. It "
            f"has: {table.column_names()}."
        )
    return table.header.index(name)


def _image_column(table: DelimitedTable, path_column: str | None) -> int:
    if path_column is not None:
        return _index_of(table, path_column, "path_column")
    return next(column for column, name in enumerate(table.header) if name)


def _refuse_empty(table: DelimitedTable, image_column: int) -> None:
    paths = table.columns[image_column]
    if "" in paths:
        raise ValueError(
            f"`path` must name an image in every row; column "
            f"{table.header[image_column]!r} is empty in "
            f"{table.where(paths.index(''))}. Fill it in, or choose another column by "
            "`path_column`."
        )


def _read_wide(
    table: DelimitedTable,
    image_column: int,
    names: list[str] | None,
    codes: CellStates,
) -> LabelTable:
    others = [j for j, name in enumerate(table.header) if name and j != image_column]
    if names is None:
        chosen = [j for j in others if _is_category(table, j, codes)]
        if not chosen:
            raise ValueError(
                f"`path` must have columns of labels; none of '{table.file}' holds "
                f"nothing but {codes.description()}. It has: {table.column_names()}. "
                "For a row per label pass `label_column`."
            )
    else:
        chosen = [_index_of(table, name, "categories") for name in names]
    table.refuse_repeated(
        image_column, "Merge the rows, or choose another column by `path_column`."
    )
    return LabelTable(
        as_objects(table.columns[image_column]),
        encode_columns(table, chosen, codes, _REMEDY),
        as_objects(table.header[j] for j in chosen),
        {table.header[j]: table.texts(j) for j in sorted(set(others) - set(chosen))},
    )


def _is_category(table: DelimitedTable, column: int, codes: CellStates) -> bool:
    states = codes.encode(table.columns[column])
    wrong = np.flatnonzero(states == NO_STATE)
    if 2 * len(wrong) > np.count_nonzero(states != LabelState.BLANK):
        # A column of something else, such as ages, that has a 1 here and there.
        return False
    if len(wrong):
        raise ValueError(
            f"`categories` must be given where a column may be a category or not: "
            f"{table.header[column]!r} holds {table.columns[column][wrong[0]]!r} in "
            f"{table.where(wrong[0])}, but elsewhere {codes.description()}. Correct "
            "the cell, or name the categories."
        )
    return True


def _read_long(
    table: DelimitedTable,
    image_column: int,
    names: list[str] | None,
    codes: CellStates,
    label_column: str,
    value_column: str | None,
) -> LabelTable:
    labels = table.columns[_index_of(table, label_column, "label_column")]
    states = _states_of_rows(table, codes, value_column)
    names = sorted(set(labels) - {""}) if names is None else names
    row_of: dict[str, int] = {}
    images = table.columns[image_column]
    rows = [row_of.setdefault(image, len(row_of)) for image in images]
    column_of = {name: j for j, name in enumerate(names)}
    columns = np.fromiter((column_of.get(name, -1) for name in labels), np.int64)
    kept = (columns >= 0) & (states != LabelState.BLANK)
    return LabelTable.from_cells(
        row_of,
        names,
        rows=np.array(rows, dtype=np.int64)[kept],
        columns=columns[kept],
        states=states[kept],
    )


def _states_of_rows(
    table: DelimitedTable, codes: CellStates, value_column: str | None
) -> NDArray[np.uint8]:
    if value_column is None:
        return np.full(len(table), LabelState.POSITIVE, dtype=np.uint8)
    column = _index_of(table, value_column, "value_column")
    return encode_columns(table, [column], codes, _REMEDY)[:, 0]
