"""Groups of rows (patients, studies), numbered in the order of their first rows."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cftlearn.labels._plain_arrays import refuse_masked


def number_groups(groups: ArrayLike) -> tuple[NDArray[np.intp], list[Any]]:
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
        If ``groups`` is a masked array.
    ValueError
        If ``groups`` is not 1-D, or a row has none.
    """
    own = "Give each masked row a group of its own."
    refuse_masked(groups, "groups", remedy=own)
    if np.ndim(groups) != 1:
        raise ValueError(
            "`groups` must be 1-D, one group per row; got shape "
            f"{np.shape(groups)}. Pass one column."
        )
    names = np.asarray(groups).tolist()
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
