"""Weights of labels: how they are read, and what they mean.

A weight says how much the label of a cell counts. Only weights of known labels matter.
A weight of 0 makes a label unknown, so nothing below this module has to know of it.
"""

from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cftlearn.labels._encoding import PartialLabels
from cftlearn.labels._names import check_columns, check_same_rows, order_of
from cftlearn.labels._plain_arrays import read_numbers

Weights = NDArray[np.float64]
Number = TypeVar("Number", bound=np.generic)

_ROW_HINT = "Pass one weight per row, or one per row and category."


class WeightedLabels(NamedTuple):
    """Labels and their weights.

    Attributes
    ----------
    labels : PartialLabels
        Known where the weight is above 0.
    weights : ndarray of shape (n_samples, n_categories), float64, or None
        Weights, 1 where the label is unknown. None if all are 1.
    """

    labels: PartialLabels
    weights: Weights | None


def weigh_labels(
    labels: PartialLabels,
    sample_weight: ArrayLike | None,
    y: Any = None,
    *,
    name: str = "sample_weight",
    y_name: str = "y",
) -> WeightedLabels:
    """Read the weights of labels, and make labels of weight 0 unknown.

    Parameters
    ----------
    labels : PartialLabels
        The labels.
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_categories)
        How much each label counts: finite and 0 or more where a label is known,
        anything elsewhere. One weight per row counts in all categories. None weighs
        all labels equally.
    y : object, default=None
        What the labels were read from, whose names of rows and columns the weights must
        have, if both have names.
    name, y_name : str
        What errors call the weights and the labels.

    Returns
    -------
    weighted : WeightedLabels
        Without weights where all known labels have the weight 1: that is the same.

    Raises
    ------
    TypeError, ValueError
        If they are not such numbers, have another shape, other names of rows or
        columns, or are 0 for every known label.
    """
    if sample_weight is None:
        return WeightedLabels(labels, None)
    check_same_rows(**{y_name: y, name: sample_weight})
    check_columns(
        sample_weight,
        labels.categories,
        name=name,
        owner=f"the categories of `{y_name}`",
        order="model.categories_" if y is None else order_of(y, y_name),
        numbers_are_names=False,
    )
    given = read_numbers(sample_weight, name, hint=_ROW_HINT).astype(np.float64)
    n_samples, n_categories = labels.values.shape
    if given.shape not in ((n_samples,), (n_samples, n_categories)):
        raise ValueError(
            f"`{name}` must have one weight per row of `{y_name}`, shape "
            f"{(n_samples,)}, or one per label, shape {(n_samples, n_categories)}; got "
            f"shape {given.shape}. {_ROW_HINT}"
        )
    table = np.broadcast_to(given.reshape(n_samples, -1), labels.values.shape)
    weights = np.where(labels.known, table, 1.0)
    _refuse_other_values(weights, labels, name, one_per_row=given.ndim == 1)
    if labels.known.any() and not weights[labels.known].any():
        raise ValueError(
            f"`{name}` must be above zero for some known label; got a weight of zero "
            f"for all {int(labels.known.sum())} of them. Pass {name}=None to weigh all "
            "labels equally."
        )
    counts = weights > 0
    if not counts.all():
        labels, weights = labels.restricted_to(counts), np.where(counts, weights, 1.0)
    return WeightedLabels(labels, None if (weights == 1.0).all() else weights)


def relative_weights(weight: Weights | None) -> Weights | None:
    """Divide weights by their mean, so that the labels together count as ever.

    Parameters
    ----------
    weight : ndarray of shape (n_known,), or None
        Weights of the known labels of one category, above 0.

    Returns
    -------
    relative : ndarray of shape (n_known,), or None
        With the mean 1. None if all are equal: that is the same as no weights.
    """
    if weight is None or not len(weight) or weight.min() == weight.max():
        return None
    return weight / weight.mean()


def effective_count(weight: Weights | None, chosen: NDArray[np.bool_]) -> float:
    r"""Compute how many labels of equal weight say as much as some labels.

    Parameters
    ----------
    weight : ndarray of shape (n_known,), or None
        Weights of labels; None weighs them equally.
    chosen : ndarray of shape (n_known,), bool
        The labels to count.

    Returns
    -------
    count : float
        :math:`(\sum_i w_i)^2 / \sum_i w_i^2` [1]_: their number if weights are equal,
        less if they are not.

    References
    ----------
    .. [1] Kish, "Survey Sampling", 1965.
    """
    if weight is None:
        return float(np.count_nonzero(chosen))
    own = weight[chosen]
    total = float(own.sum())
    return total * total / float(own @ own) if total else 0.0


def total_weight(weight: Weights | None, chosen: NDArray[np.bool_]) -> float:
    """Sum the weights of some labels; count them if they have none."""
    if weight is None:
        return float(np.count_nonzero(chosen))
    return float(weight[chosen].sum())


def taken(values: NDArray[Number] | None, chosen: Any) -> NDArray[Number] | None:
    """Return the weights, or the groups, of some labels; None stays None."""
    return None if values is None else values[chosen]


def joined_weights(
    parts: list[NDArray[Number] | None], lengths: list[int]
) -> NDArray[Number] | None:
    """Join weights of several sets of labels; None if none of them has any.

    Parameters
    ----------
    parts : list of ndarray or None
        Weights, along the first axis; None stands for weights of 1.
    lengths : list of int
        How many rows each part has.

    Returns
    -------
    weights : ndarray or None
        One part after the other.
    """
    given = [part for part in parts if part is not None]
    if not given:
        return None
    shape = given[0].shape[1:]
    return np.concatenate(
        [
            np.ones((n, *shape), dtype=given[0].dtype) if part is None else part
            for part, n in zip(parts, lengths, strict=True)
        ]
    )


def _refuse_other_values(
    weights: Weights, labels: PartialLabels, name: str, *, one_per_row: bool
) -> None:
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    if not wrong.any():
        return
    row, column = (int(i) for i in np.argwhere(wrong)[0])
    n_wrong = int(wrong.any(axis=1).sum() if one_per_row else wrong.sum())
    where = f"in row {row}"
    if not one_per_row:
        where += f", category {str(labels.categories[column])!r}"
    noun = "weight" if n_wrong == 1 else "weights"
    raise ValueError(
        f"`{name}` must be finite numbers of 0 or more where a label is known; got "
        f"{weights[row, column]} {where} ({n_wrong} such {noun}). Pass 0 for a label "
        "that must not count."
    )
