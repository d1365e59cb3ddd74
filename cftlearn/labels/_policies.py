"""Policies that turn tables with four label states into ``y``."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cftlearn.labels._encoding import read_table, refuse_other_values
from cftlearn.labels._states import Policies, policy_values


def resolve_labels(
    table: ArrayLike,
    *,
    uncertain: Policies = "unknown",
    blank: Policies = "unknown",
) -> Any:
    """Convert positive, negative, uncertain and blank cells to ``y``.

    The four states are those of CheXpert's tables. What *uncertain* and *blank*
    should count as is a choice that changes results, so it is made here, by name,
    per category if wanted.

    Parameters
    ----------
    table : array-like or DataFrame of shape (n_samples, n_categories)
        1 positive, 0 negative, **-1 uncertain in every dtype**, NaN or None blank.
    uncertain : {"unknown", "positive", "negative"} or dict, default="unknown"
        What an uncertain cell becomes. A dict maps category names to policies;
        the categories it leaves out become unknown.
    blank : {"unknown", "positive", "negative"} or dict, default="unknown"
        What a blank cell becomes; ``"negative"`` is *Negative mode*.

    Returns
    -------
    y : ndarray or DataFrame of shape (n_samples, n_categories), float64
        1 positive, 0 negative, NaN unknown. A frame if ``table`` is one, with its
        names of categories.

    Raises
    ------
    TypeError, ValueError
        If the table holds any other value, a policy is not one of the three, or a
        dict names a category that the table does not have.

    Examples
    --------
    >>> from cftlearn.labels import resolve_labels
    >>> resolve_labels([[1.0, -1.0], [None, 0.0]], uncertain="positive")
    array([[ 1.,  1.],
           [nan,  0.]])
    >>> resolve_labels([[1.0, -1.0], [None, 0.0]], blank="negative")
    array([[ 1., nan],
           [ 0.,  0.]])
    """
    cells, names = read_table(table, None, "table")
    values = cells.astype(np.float64)
    states = (
        (values == -1.0, policy_values(uncertain, names, "uncertain")),
        (np.isnan(values), policy_values(blank, names, "blank")),
    )
    for cells_in_state, becomes in states:
        np.copyto(values, becomes, where=cells_in_state)
    refuse_other_values(values, names, "table")
    frame: Any = table
    if hasattr(frame, "iloc"):
        return type(frame)(values, index=frame.index, columns=frame.columns)
    return values
