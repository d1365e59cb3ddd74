"""Names of rows and columns: what belongs together is paired by them.

Plain arrays have no names, and go by place. So do tables whose names are their numbers
(0, 1, 2 and so on in this order), unless the other side has the same names in another
order.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cftlearn.exceptions import list_some

Names = Sequence[Any] | NDArray[Any]


def column_names(table: Any) -> list[str] | None:
    """Return the names of a table's columns; None for what has none.

    Parameters
    ----------
    table : object
        A frame of pandas or polars, a table of pyarrow, or PartialLabels that were read
        from one; anything else has no names.

    Returns
    -------
    names : list of str or None
        As text.
    """
    names: Any
    if _is_read(table):
        names = list(map(str, table.categories))
        return None if names == [str(j) for j in range(len(names))] else names
    if hasattr(table, "iloc"):  # a frame may have a column called "column_names"
        names = table.columns if table.ndim == 2 else None
    else:  # of pyarrow's tables, `columns` are the cells
        names = getattr(table, "column_names", getattr(table, "columns", None))
    return None if names is None else [str(name) for name in names]


def order_of(table: Any, name: str) -> str:
    """Return an expression of the names of a table's columns, for a remedy."""
    if _is_read(table):
        return f"{name}.categories"
    is_arrow = not hasattr(table, "iloc") and hasattr(table, "column_names")
    return f"{name}.column_names" if is_arrow else f"{name}.columns"


def check_columns(
    table: Any,
    expected: Names,
    *,
    name: str,
    owner: str,
    order: str,
    numbers_are_names: bool = True,
) -> None:
    """Check that columns have the names that they must have, in the same order.

    Parameters
    ----------
    table : object
        What has the columns. What has no names is accepted.
    expected : sequence of str
        Names that they must have.
    name, owner : str
        What errors call the table, and the names, such as ``"the columns of `y`"``.
    order : str
        An expression of the names in their order, for the remedy.
    numbers_are_names : bool, default=True
        False if ``expected`` may stem from an array: then the names 0, 1, 2 and so on
        accept any others.

    Raises
    ------
    ValueError
        If there are other names, or they stand in another order.
    """
    given, expected = column_names(table), [str(one) for one in expected]
    if given is None or given == expected:
        return
    if Counter(given) == Counter(expected):
        place = next(j for j, one in enumerate(given) if one != expected[j])
        raise ValueError(
            f"`{name}` must have {owner} in the same order; got "
            f"{given[place : place + 5]} for {expected[place : place + 5]}"
            f"{f' from column {place} on' if place else ''}. Reorder its columns: pass "
            f"{_reordered(table, name, order)}."
        )
    if not numbers_are_names and expected == [str(j) for j in range(len(given))]:
        return
    raise ValueError(
        f"`{name}` must have {owner}; "
        f"{_difference(given, expected)}. Rename its columns; or, if they are those "
        f"columns in the same order, pass numpy.asarray({name}), without names."
    )


def check_new_names(given: Names, own: Names | None, name: str) -> None:
    """Check that new names are not a frame's own names in another order.

    Parameters
    ----------
    given : sequence of str
        What the user calls the columns.
    own : sequence of str or None
        What the frame calls them; None for an array.
    name : str
        What errors call the frame.

    Raises
    ------
    ValueError
        If names would move from one column to another.
    """
    given = [str(one) for one in given]
    if own is None or given == list(own) or Counter(given) != Counter(own):
        return
    place = next(j for j, one in enumerate(given) if one != own[j])
    raise ValueError(
        "`categories` must not give columns the names of other ones; got "
        f"{given[place]!r} for column {own[place]!r} of `{name}`. To reorder, pass "
        f"{name}[categories] and categories=None."
    )


def align_by_category(
    values: Any, categories: Names, name: str, *, noun: str = "category"
) -> Any:
    """Put one value per category in the order of the categories.

    Parameters
    ----------
    values : object
        A pandas Series, or the rows of a frame, whose labels are names of categories
        is brought into their order. Anything else, and what is labelled 0, 1, 2 and so
        on, is returned as it is.
    categories : sequence of str
        Names of the categories.
    name : str
        What errors call the values.
    noun : str, default="category"
        What errors call that which has the names.

    Returns
    -------
    values : object
        In the order of ``categories``.

    Raises
    ------
    ValueError
        If names are missing, unexpected or repeated.
    """
    index = _index_of(values)
    if index is None:
        return values
    given, expected = [str(label) for label in index], [str(c) for c in categories]
    if given == expected:
        return values
    if Counter(given) != Counter(expected):
        if _is_numbered(index):
            return values
        raise ValueError(
            f"`{name}` must name every {noun} once; {_difference(given, expected)}. "
            f"Correct its index; or pass {name}.to_numpy(), with its values in this "
            f"order: {list_some(list(map(repr, expected)))}."
        )
    place = {label: at for at, label in enumerate(given)}
    return values.iloc[[place[one] for one in expected]]


def check_same_rows(**tables: Any) -> None:
    """Check that tables with row labels have them in the same order.

    Parameters
    ----------
    **tables : object
        By the name of the argument. What is no pandas object has no row labels, and is
        paired by place; so are rows labelled 0, 1, 2 and so on, unless the other table
        has the same labels in another order.

    Raises
    ------
    ValueError
        If two tables of the same length have other labels, or another order of them.
    """
    labelled = [(name, _index_of(table)) for name, table in tables.items()]
    known = [(name, index) for name, index in labelled if index is not None]
    for (name, index), (other_name, other) in combinations(known, 2):
        if len(index) == len(other) and not index.equals(other):
            _check_labels(name, index, other_name, other)


def fitted_categories(estimator: Any) -> list[str] | None:
    """Return the names of the categories of a fitted model.

    Parameters
    ----------
    estimator : estimator
        Also a search or pipeline that ends in the model.

    Returns
    -------
    names : list of str or None
        None if the model does not know them, or was fitted to a 1-D target.
    """
    model = getattr(estimator, "best_estimator_", estimator)
    if hasattr(model, "steps"):
        return fitted_categories(model.steps[-1][1])
    names = getattr(model, "categories_", None)
    is_table = np.ndim(getattr(model, "classes_", ())) == 2  # else a 1-D target
    if not isinstance(names, np.ndarray) or not is_table:
        return None
    return [str(name) for name in names]


def _is_read(table: Any) -> bool:
    """Return whether a table is PartialLabels."""
    has_parts = hasattr(table, "known") and hasattr(table, "categories")
    return has_parts and not hasattr(table, "iloc")  # whose columns may be called so


def _reordered(table: Any, name: str, order: str) -> str:
    """Write how a table gets its columns in another order."""
    if _is_read(table):
        return f"check_partial_labels(table[{order}])"
    if not hasattr(table, "iloc"):
        return f"{name}.select(list({order}))"
    has_text = all(isinstance(label, str) for label in table.columns)
    if has_text or order.endswith(".columns"):
        return f"{name}[{order}]"
    return f"{name}.rename(columns=str)[{order}]"


def _index_of(table: Any) -> Any:
    """Return the row labels of a pandas object; None for anything else."""
    index = getattr(table, "index", None)
    has_labels = hasattr(table, "iloc") and hasattr(index, "equals")
    return index if has_labels else None


def _is_numbered(index: Any) -> bool:
    """Return whether labels are 0, 1, 2 and so on in this order: they say nothing."""
    if type(index).__name__ == "RangeIndex":
        return bool(index.start == 0 and (index.step == 1 or len(index) < 2))
    values = _numbers_in(index)
    return values is not None and np.array_equal(values, np.arange(len(index)))


def _numbers_in(index: Any) -> NDArray[Any] | None:
    is_number = getattr(getattr(index, "dtype", None), "kind", "O") in "iuf"
    return np.asarray(index) if is_number else None


def _same_labels(index: Any, other: Any) -> bool:
    """Return whether two indexes hold the same labels, in any order."""
    one, two = _numbers_in(index), _numbers_in(other)
    if one is None and two is None:
        return Counter(index.tolist()) == Counter(other.tolist())
    if one is None or two is None:
        return False
    if not len(one) or one.min() != two.min() or one.max() != two.max():
        return False  # without a sort of millions
    return np.array_equal(np.sort(one), np.sort(two))


def _check_labels(name: str, index: Any, other_name: str, other: Any) -> None:
    by_place = f"pass {other_name}.set_axis({name}.index)"
    if _same_labels(index, other):
        pairs = list(zip(index.tolist(), other.tolist(), strict=True))
        row = next(i for i, (one, two) in enumerate(pairs) if one != two)
        mend = f"Pass {other_name}.loc[{name}.index]"
        if not index.is_unique:
            mend = "Labels repeat, so sort both by a column that tells rows apart"
        raise ValueError(
            f"`{name}` and `{other_name}` must have their rows in the same order; got "
            f"the same row labels in another one: {pairs[row][0]!r} and "
            f"{pairs[row][1]!r} in row {row}. {mend}; or, if they belong together by "
            f"place, {by_place}."
        )
    if _is_numbered(index) or _is_numbered(other):
        return
    lacking = other[~other.isin(index)].tolist()
    example = "labels that repeat differently"
    if len(lacking):
        noun = "label" if len(lacking) == 1 else "labels"
        example = (
            f"{len(lacking)} {noun} in `{other_name}` that `{name}` does not have, the "
            f"first {lacking[0]!r}"
        )
    raise ValueError(
        f"`{name}` and `{other_name}` must have the same row labels; got {example}. "
        f"Take the rows of `{other_name}` by table.loc[{name}.index]; or, if they "
        f"belong together by place, {by_place}."
    )


def _difference(given: Sequence[str], expected: Sequence[str]) -> str:
    """Write which names are missing, unexpected or repeated."""
    have, want = Counter(given), Counter(expected)
    parts = {
        "missing": [n for n in want if n not in have],
        "unexpected": [n for n in have if n not in want],
        "repeated": [n for n, count in have.items() if count > 1],
    }
    return "; ".join(
        f"{word}: {list_some([repr(name) for name in names])}"
        for word, names in parts.items()
        if names
    )
