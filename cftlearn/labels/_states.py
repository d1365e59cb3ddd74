"""The four states of a label in a table, before a policy makes ``y`` of them."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Policy = Literal["unknown", "positive", "negative"]
Policies = Policy | Mapping[str, Policy]

_VALUES = {"unknown": np.nan, "positive": 1.0, "negative": 0.0}
_SOFT_HINT = (
    " A label is 1, 0 or unknown. Leave these cells unknown, and pass numbers between "
    "0 and 1 to `fit` as `pseudo_labels`: those of cftlearn.labels.soft_labels, or of "
    "LabelTable.soft_labels."
)


class LabelState(IntEnum):
    """What a label table says of one category of one sample.

    Attributes
    ----------
    BLANK
        Nothing. 0, so that a sparse table need not store it.
    NEGATIVE
        The category is absent.
    POSITIVE
        The category is present.
    UNCERTAIN
        It says something, but not which: a hedge in a report, or sources at odds.
    """

    BLANK = 0
    NEGATIVE = 1
    POSITIVE = 2
    UNCERTAIN = 3


def policy_values(
    policy: Policies, names: NDArray[np.object_], parameter: str
) -> NDArray[np.float64]:
    """Compute the value that a policy assigns to each category.

    Parameters
    ----------
    policy : {"unknown", "positive", "negative"} or dict
        A dict maps names of categories to policies; others become unknown.
    names : ndarray of shape (n_categories,), object
        Names of the categories.
    parameter : str
        What errors call the policy.

    Returns
    -------
    values : ndarray of shape (n_categories,), float64
        1, 0 or NaN.

    Raises
    ------
    ValueError
        If a policy is not one of the three (``"soft"`` is one of a function of its
        own), or a dict names no category of these.
    """
    if isinstance(policy, Mapping):
        unexpected = [key for key in policy if key not in set(names)]
        if unexpected:
            raise ValueError(
                f"`{parameter}` must name categories of the table; got "
                f"{unexpected[0]!r}. The table has: {', '.join(map(repr, names))}."
            )
        chosen = [policy.get(name, "unknown") for name in names]
    else:
        chosen = [policy] * len(names)
    for name, one in zip(names, chosen, strict=True):
        if not isinstance(one, str) or one not in _VALUES:
            is_soft = one == "soft" and parameter == "uncertain"
            raise ValueError(
                f"`{parameter}` must be 'unknown', 'positive' or 'negative'; got "
                f"{one!r} for category {name!r}.{_SOFT_HINT if is_soft else ''}"
            )
    return np.array([_VALUES[one] for one in chosen], dtype=np.float64)


def resolve_states(
    states: NDArray[np.uint8],
    names: NDArray[np.object_],
    *,
    uncertain: Policies = "unknown",
    blank: Policies = "unknown",
) -> NDArray[np.float64]:
    """Convert states to 1, 0 and NaN by the policies.

    Parameters
    ----------
    states : ndarray of shape (n_samples, n_categories), uint8
        Codes of :class:`LabelState`.
    names : ndarray of shape (n_categories,), object
        Names of the categories.
    uncertain, blank : {"unknown", "positive", "negative"} or dict, default="unknown"
        As :func:`resolve_labels` takes them.

    Returns
    -------
    y : ndarray of shape (n_samples, n_categories), float64
        1 positive, 0 negative, NaN unknown.

    Raises
    ------
    ValueError
        As :func:`policy_values`.
    """
    values = np.empty((len(LabelState), len(names)))
    values[LabelState.BLANK] = policy_values(blank, names, "blank")
    values[LabelState.NEGATIVE] = 0.0
    values[LabelState.POSITIVE] = 1.0
    values[LabelState.UNCERTAIN] = policy_values(uncertain, names, "uncertain")
    return values[states, np.arange(len(names))]
