"""Policies that turn tables with four label states into ``y``."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cftlearn.labels._encoding import read_table, refuse_other_values

Policy = Literal["unknown", "positive", "negative"]
_STATES = {"unknown": np.nan, "positive": 1.0, "negative": 0.0}


def resolve_labels(
    table: ArrayLike,
    *,
    uncertain: Policy | Mapping[str, Policy] = "unknown",
    blank: Policy | Mapping[str, Policy] = "unknown",
) -> Any:
    """Turn positive, negative, uncertain and blank cells into ``y``.

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
    is_uncertain, is_blank = values == -1.0, np.isnan(values)
    for j, name in enumerate(names):
        values[is_uncertain[:, j], j] = _state(uncertain, name, names, "uncertain")
        values[is_blank[:, j], j] = _state(blank, name, names, "blank")
    refuse_other_values(values, names, "table")
    frame: Any = table
    if hasattr(frame, "iloc"):
        return type(frame)(values, index=frame.index, columns=frame.columns)
    return values


def _state(
    policy: str | Mapping[str, Policy],
    category: str,
    names: NDArray[Any],
    parameter: str,
) -> float:
    if isinstance(policy, Mapping):
        strangers = [key for key in policy if key not in set(names)]
        if strangers:
            raise ValueError(
                f"`{parameter}` must name categories of the table; got "
                f"{strangers[0]!r}. The table has: {', '.join(map(repr, names))}."
            )
        policy = policy.get(category, "unknown")
    if not isinstance(policy, str) or policy not in _STATES:
        raise ValueError(
            f"`{parameter}` must be 'unknown', 'positive' or 'negative'; got "
            f"{policy!r} for category {category!r}."
        )
    return _STATES[policy]
