"""Groups of rows (patients, studies): how they are read, and what is theirs."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cftlearn.labels._plain_arrays import refuse_masked, refuse_without_rows


def read_groups(groups: Any, n_samples: int) -> NDArray[np.intp] | None:
    """Read the groups that a user passed with ``y``.

    Parameters
    ----------
    groups : array-like of shape (n_samples,), or None
        The group of every row; None, or rows without groups.
    n_samples : int
        How many rows ``y`` has.

    Returns
    -------
    number_of_row : ndarray of shape (n_samples,), int, or None
        As of :func:`number_groups`; None without groups.

    Raises
    ------
    TypeError, ValueError
        As :func:`number_groups`, or if there is another number of rows.
    """
    if groups is None:
        return None
    number_of_row, _ = number_groups(groups)
    if len(number_of_row) != n_samples:
        raise ValueError(
            "`groups` and `y` must have one row per sample; found input variables with "
            f"inconsistent numbers of samples: [{len(number_of_row)}, {n_samples}]. "
            "Pass one group per row of `y`."
        )
    return number_of_row


def spread_over_groups(
    cells: NDArray[np.bool_], groups: NDArray[np.intp] | None
) -> NDArray[np.bool_]:
    """Mark, with every marked cell, those of its group in the same category.

    Parameters
    ----------
    cells : ndarray of shape (n_samples, n_categories), bool
        Marked cells.
    groups : ndarray of shape (n_samples,), int, or None
        Number of each row's group; None if every row is one of its own.

    Returns
    -------
    spread : ndarray of shape (n_samples, n_categories), bool
        ``cells``, and more.
    """
    if groups is None:
        return cells
    rows, columns = np.nonzero(cells)
    of_group = np.zeros((int(groups.max(initial=-1)) + 1, cells.shape[1]), dtype=bool)
    of_group[groups[rows], columns] = True
    return of_group[groups]


def number_groups(groups: Any) -> tuple[NDArray[np.intp], list[Any]]:
    """Assign a number to each group of rows.

    Parameters
    ----------
    groups : array-like of shape (n_samples,)
        The group of every row; anything that can be a key of a dict.

    Returns
    -------
    number_of_row : ndarray of shape (n_samples,), int
        From 0, in the order in which groups first occur.
    names : list of length n_groups
        The groups in that order.

    Raises
    ------
    TypeError
        If ``groups`` has no rows, is a masked array, or a group cannot be the key of a
        dict.
    ValueError
        If ``groups`` is not 1-D, or a row has none.
    """
    refuse_without_rows(groups, "groups")
    own = "Give each masked row a group of its own."
    refuse_masked(groups, "groups", remedy=own)
    shape = _shape_of(groups)
    if len(shape) != 1:
        raise ValueError(
            "`groups` must be 1-D, one group per row; got shape "
            f"{shape}. Pass one column."
        )
    # an array of all items of a list would make texts of numbers
    is_list = isinstance(groups, (list, tuple))
    names = list(groups) if is_list else np.asarray(groups).tolist()
    for row, name in enumerate(names):
        if not _is_hashable(name):
            raise TypeError(
                "`groups` must hold names that can be compared, such as texts or "
                f"numbers; got {type(name).__name__} in row {row}. Pass one text or "
                "number per row."
            )
    unnamed = [
        row
        for row, name in enumerate(names)
        if type(name).__name__ in ("NoneType", "NAType") or name != name
    ]
    if unnamed:
        raise ValueError(
            "`groups` must name the group of every row; got "
            f"{names[unnamed[0]]} in row {unnamed[0]} ({len(unnamed)} such rows). Give "
            "each of these rows a group of its own."
        )
    numbers: dict[Any, int] = {}
    number_of_row = [numbers.setdefault(name, len(numbers)) for name in names]
    return np.array(number_of_row, dtype=np.intp), list(numbers)


def _shape_of(groups: Any) -> tuple[int, ...]:
    """Return the shape; the items of a list may be of any kind but lists."""
    if isinstance(groups, (list, tuple)):
        of_items = {np.shape(item) for item in groups if isinstance(item, list)}
        return (len(groups), *of_items.pop()) if len(of_items) == 1 else (len(groups),)
    return np.shape(groups)


def _is_hashable(name: Any) -> bool:
    try:
        hash(name)
    except TypeError:
        return False
    return True
