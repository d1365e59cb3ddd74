"""Labels from any CSV file: a column per category, or a row per label."""

import re
import unicodedata
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
from cftlearn.datasets._label_cells import labels_of_cells
from cftlearn.datasets._label_table import LabelTable, as_objects
from cftlearn.datasets._names import (
    as_name,
    is_missing,
    refuse_alike,
    refuse_hidden,
    shown,
)
from cftlearn.datasets._paths import PathText
from cftlearn.labels import LabelState

State = Literal["positive", "negative", "uncertain", "blank"]

_BETWEEN_LABELS = re.compile(r"[\t\r\n]")
_PATH_REMEDY = "Fill it in, or choose another column by `path_column`."
_REMEDY = "Correct the cell, name other `categories`, or give it a state in `values`."


def load_label_csv(
    path: PathText,
    *,
    path_column: str | None = None,
    categories: Iterable[str] | None = None,
    values: Mapping[float | str, State] | None = None,
    label_column: str | None = None,
    value_column: str | None = None,
    label_separator: str | None = None,
    separator: str | None = None,
    encoding: str | None = None,
) -> LabelTable:
    r"""Load labels from a CSV file of your own.

    Two forms are read. *Wide*: one row per image, one column per category. *Long*,
    with ``label_column``: one row per label, ``image,label`` or ``image,label,value``;
    a label that no row names is blank. Cells that are empty or spell NaN are blank,
    unless ``values`` says otherwise. A cell that cannot be read is an error; nothing
    is left out silently. Blanks around cells do not count.

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
        Long: the column of labels. A row whose label is empty or spells NaN (``nan``,
        ``NA``, ``None``, ``null``) adds an image without labels; name such a word in
        ``categories`` if it is a label.
    value_column : str, default=None
        Long: the column of values; by default every row is a positive label.
    label_separator : str, default=None
        Long: what stands between several labels in one cell, ``"|"`` for
        ``Edema|Mass``; ``"list"`` for lists as Python writes them,
        ``['Edema', 'Mass']``; ``" "`` for blanks, where no label has one. By default
        every cell is one label; a file whose cells hold other labels is refused, with
        the value to pass.
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
        two rows, or a cell is not a state; if (long) a cell has several labels and
        ``label_separator`` is not given, or a label is spelled in two ways; if a path
        or a label has characters that nobody sees. The message names file, line and
        column.

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

    Labels of one image in one cell, as in NIH ChestX-ray14:

    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder, "labels.csv")
    ...     _ = file.write_text("image,findings\na.png,Edema|Mass\nb.png,Mass\n")
    ...     table = load_label_csv(
    ...         file, label_column="findings", label_separator="|"
    ...     )
    >>> table.labels(blank="negative")
    array([[1., 1.],
           [0., 1.]])
    """
    codes = CellStates(STANDARD_VALUES if values is None else values)
    names = _as_names(categories)
    _check_parameters(label_column, value_column, label_separator)
    table = read_delimited(path, separator=separator, encoding=encoding)
    image_column = _image_column(table, path_column)
    if label_column is None:
        return _read_wide(table, image_column, names, codes)
    columns = [
        _index_of(table, name, parameter)
        for name, parameter in (
            (label_column, "label_column"),
            (value_column, "value_column"),
        )
        if name is not None
    ]
    if len({image_column, *columns}) < 1 + len(columns):
        raise ValueError(
            "`path_column`, `label_column` and `value_column` must be different columns"
            f" of '{table.file}'; got {shown(table.header[image_column])}, "
            f"{label_column!r} "
            "and "
            f"{value_column!r}. Name another one."
        )
    return _read_long(table, image_column, names, codes, columns, label_separator)


def _as_names(categories: Iterable[str] | None) -> list[str] | None:
    if categories is None:
        return None
    given = [categories] if isinstance(categories, str) else list(categories)
    names = [
        as_name(name, "a category", "`categories`", "categories")
        for name in given
        if isinstance(name, str)
    ]
    if not names or len(names) < len(given) or len(set(names)) < len(names):
        raise ValueError(
            f"`categories` must name at least one category, each once, as text; got "
            f"{shown(given)}."
        )
    refuse_alike(names, "category", "`categories`", "categories")
    return names


def _check_parameters(
    label_column: str | None, value_column: str | None, label_separator: str | None
) -> None:
    for parameter, value in (
        ("value_column", value_column),
        ("label_separator", label_separator),
    ):
        if value is not None and label_column is None:
            raise ValueError(
                f"`{parameter}` must be None without `label_column`; got {value!r}. "
                "Name the column of labels too."
            )
    if label_separator is not None and (
        not isinstance(label_separator, str) or not label_separator
    ):
        raise ValueError(
            "`label_separator` must be the text between two labels, such as '|', or "
            f"'list', or None; got {shown(label_separator)}."
        )


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
                "For a row per label, or a column with labels as text, pass "
                "`label_column`, and `label_separator` if a cell has several."
            )
        for column in chosen:
            if is_missing(table.header[column]):
                raise ValueError(
                    f"`categories` must be given where a column of labels is called "
                    f"{shown(table.header[column])}, as tables call what has no name; "
                    f"'{table.file}' has one. Rename it, or name the categories."
                )
    else:
        chosen = [_index_of(table, name, "categories") for name in names]
        if image_column in chosen:
            raise ValueError(
                "`categories` must not name the column of images; got "
                f"{shown(table.header[image_column])}. Name the images by "
                "`path_column`."
            )
    paths = table.paths(image_column, _PATH_REMEDY)
    table.refuse_repeated(
        image_column, "Merge the rows, or choose another column by `path_column`."
    )
    return LabelTable(
        as_objects(paths),
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
            f"{shown(table.header[column])} holds "
            f"{shown(table.columns[column][wrong[0]])} "
            "in "
            f"{table.where(wrong[0])}, but elsewhere {codes.description()}. Correct "
            "the cell, or name the categories."
        )
    return True


def _read_long(
    table: DelimitedTable,
    image_column: int,
    names: list[str] | None,
    codes: CellStates,
    columns: list[int],
    label_separator: str | None,
) -> LabelTable:
    """Read a row per label; ``columns`` are those of labels and, if any, values."""
    cells = _in_nfc(table, columns[0], label_separator)
    states = _states_of_rows(table, codes, columns[1:])

    def where(cell: str) -> str:
        row = cells.index(cell)
        return f"column {shown(table.header[columns[0]])} in {table.where(row)}"

    labels_of = labels_of_cells(dict.fromkeys(cells), label_separator, names, where)
    _refuse_values_without_label(table, columns, states, cells, labels_of)
    if names is None:
        names = sorted({label for found in labels_of.values() for label in found})
    column_of = {name: j for j, name in enumerate(names)}
    indices_of = {
        cell: [column_of[label] for label in found if label in column_of]
        for cell, found in labels_of.items()
    }
    row_of: dict[str, int] = {}
    images = table.paths(image_column, _PATH_REMEDY)
    rows = [row_of.setdefault(image, len(row_of)) for image in images]
    n_labels = [
        len(indices_of[cell]) if state != LabelState.BLANK else 0
        for cell, state in zip(cells, states.tolist(), strict=True)
    ]
    indices = [
        index
        for cell, n in zip(cells, n_labels, strict=True)
        for index in indices_of[cell][:n]
    ]
    return LabelTable.from_cells(
        row_of,
        names,
        rows=np.repeat(np.array(rows, dtype=np.int64), n_labels),
        columns=np.array(indices, dtype=np.int64),
        states=np.repeat(states, n_labels),
    )


def _in_nfc(
    table: DelimitedTable, column: int, label_separator: str | None
) -> list[str]:
    """Return the cells of a column of labels as names are read."""
    cells = table.columns[column]
    name_of = {
        cell: unicodedata.normalize("NFC", cell) for cell in dict.fromkeys(cells)
    }
    for cell, name in name_of.items():
        if not name.isprintable():
            where = f"column {shown(table.header[column])} in "
            where += table.where(cells.index(cell))
            # Line ends and tabs may stand between labels.
            refuse_hidden(_BETWEEN_LABELS.sub(" ", name), "a label", where)
            if label_separator is None and _BETWEEN_LABELS.search(name):
                raise ValueError(
                    "`label_separator` must be given where a label has line ends or "
                    f"tabs; got {shown(name)} in {where}. Pass label_separator='\\n' "
                    "or '\\t', or write it in one line."
                )
    return [name_of[cell] for cell in cells]


def _states_of_rows(
    table: DelimitedTable, codes: CellStates, columns: list[int]
) -> NDArray[np.uint8]:
    if not columns:
        return np.full(len(table), LabelState.POSITIVE, dtype=np.uint8)
    return encode_columns(table, columns, codes, _REMEDY)[:, 0]


def _refuse_values_without_label(
    table: DelimitedTable,
    columns: list[int],
    states: NDArray[np.uint8],
    cells: list[str],
    labels_of: Mapping[str, list[str]],
) -> None:
    """Check that no row says yes or no to nothing."""
    if len(columns) < 2:
        return
    for row, cell in enumerate(cells):
        if not labels_of[cell] and states[row] != LabelState.BLANK:
            raise ValueError(
                f"`path` must name a label in every row with a value; got "
                f"{shown(table.columns[columns[1]][row])} in column "
                f"{shown(table.header[columns[1]])} and {shown(cell)} in column "
                f"{shown(table.header[columns[0]])} in {table.where(row)}. Fill in the "
                "label, or delete the row; if this word is a label, name it in "
                "`categories`."
            )
