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
from cftlearn.datasets._text_files import PathText
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
    what no row names is blank. Cells that are empty or spell NaN are blank, unless
    ``values`` says otherwise. Nothing that cannot be read is left out in silence.

    Parameters
    ----------
    path : str or path-like
        The file, compressed by gzip or not; its first line names the columns.
        Columns without a name, such as the index that pandas writes, are left out.
    path_column : str, default=None
        The column of image paths; by default the first that has a name.
    categories : iterable of str, default=None
        Wide: the columns that are categories, in the order wanted; by default all
        that hold nothing but states and blanks. A column of which half or more of
        the filled cells are states, but not all, is refused: name the categories then.
        Long: the labels to keep, also such as never occur (all blank); by default all
        that occur, sorted.
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
        If there is no such file.
    ValueError
        If ``encoding`` is unknown or the file cannot be decoded, a row has too few or
        too many cells, a column is missing or ambiguous, an image has no path or (wide)
        two rows, or a cell is no state. The message names file, line and column.

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
    place = _path_place(table, path_column)
    _refuse_empty(table, place)
    wanted = _as_names(categories)
    if label_column is None:
        if value_column is not None:
            raise ValueError(
                "`value_column` must be None without `label_column`; got "
                f"{value_column!r}. Name the column of labels too."
            )
        return _read_wide(table, place, wanted, codes)
    return _read_long(table, place, wanted, codes, label_column, value_column)


def _as_names(categories: Iterable[str] | None) -> list[str] | None:
    if categories is None:
        return None
    names = [categories] if isinstance(categories, str) else list(categories)
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"`categories` must name at least one category, each once; got {names}."
        )
    return names


def _place_of(table: DelimitedTable, name: str, parameter: str) -> int:
    if name not in table.header:
        raise ValueError(
            f"`{parameter}` must name a column of '{table.file}'; got {name!r}. It "
            f"has: {table.named()}."
        )
    return table.header.index(name)


def _path_place(table: DelimitedTable, path_column: str | None) -> int:
    if path_column is not None:
        return _place_of(table, path_column, "path_column")
    return next(place for place, name in enumerate(table.header) if name)


def _refuse_empty(table: DelimitedTable, place: int) -> None:
    paths = table.columns[place]
    if "" in paths:
        raise ValueError(
            f"`path` must name an image in every row; column {table.header[place]!r} "
            f"is empty in {table.where(paths.index(''))}. Fill it in, or choose "
            "another column by `path_column`."
        )


def _read_wide(
    table: DelimitedTable, place: int, wanted: list[str] | None, codes: CellStates
) -> LabelTable:
    paths = table.columns[place]
    others = [j for j, name in enumerate(table.header) if name and j != place]
    if wanted is None:
        chosen = [j for j in others if _is_category(table, j, codes)]
        if not chosen:
            raise ValueError(
                f"`path` must have columns of labels; none of '{table.file}' holds "
                f"nothing but {codes.said()}. It has: {table.named()}. For a row per "
                "label pass `label_column`."
            )
    else:
        chosen = [_place_of(table, name, "categories") for name in wanted]
    _refuse_repeated(table, place)
    states = encode_columns(table, chosen, codes, _REMEDY)
    info = {
        table.header[j]: np.array(table.columns[j], dtype=str)
        for j in sorted(set(others) - set(chosen))
    }
    names = as_objects(table.header[j] for j in chosen)
    return LabelTable(as_objects(paths), states, names, info)


def _is_category(table: DelimitedTable, place: int, codes: CellStates) -> bool:
    states = codes.encode(table.columns[place])
    wrong = np.flatnonzero(states == NO_STATE)
    if 2 * len(wrong) > np.count_nonzero(states != LabelState.BLANK):
        return (
            False  # a column of something else, such as ages, with a 1 here and there
        )
    if len(wrong):
        raise ValueError(
            f"`categories` must be given where a column may be a category or not: "
            f"{table.header[place]!r} holds {table.columns[place][wrong[0]]!r} in "
            f"{table.where(wrong[0])}, but elsewhere {codes.said()}. Correct the cell, "
            "or name the categories."
        )
    return True


def _refuse_repeated(table: DelimitedTable, place: int) -> None:
    first: dict[str, int] = {}
    for row, path in enumerate(table.columns[place]):
        other = first.setdefault(path, row)
        if other != row:
            raise ValueError(
                f"`path` must have every image once; {path!r} stands in column "
                f"{table.header[place]!r} in line {table.lines[other]} and in "
                f"{table.where(row)}. Merge the rows, or choose another column by "
                "`path_column`."
            )


def _read_long(
    table: DelimitedTable,
    place: int,
    wanted: list[str] | None,
    codes: CellStates,
    label_column: str,
    value_column: str | None,
) -> LabelTable:
    labels = table.columns[_place_of(table, label_column, "label_column")]
    states = _states_of_rows(table, codes, value_column)
    names = sorted(set(labels) - {""}) if wanted is None else wanted
    rows_of: dict[str, int] = {}
    rows = [rows_of.setdefault(path, len(rows_of)) for path in table.columns[place]]
    column_of = {name: j for j, name in enumerate(names)}
    columns = np.fromiter((column_of.get(name, -1) for name in labels), np.int64)
    kept = (columns >= 0) & (states != LabelState.BLANK)
    return LabelTable.from_cells(
        rows_of,
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
    place = _place_of(table, value_column, "value_column")
    return encode_columns(table, [place], codes, _REMEDY)[:, 0]
