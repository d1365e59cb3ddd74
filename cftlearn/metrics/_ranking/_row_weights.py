"""ROC AUC and average precision of many score vectors, of rows with weights.

All vectors are sorted at once. Sums of weights over the sorted rows, up to where each
group of equal scores starts and ends, are all that both metrics need.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_BLOCK = 2**20  # scores that are sorted at a time


class _Sorted(NamedTuple):
    """Rows in the order of falling scores, one line per vector.

    Attributes
    ----------
    positive, negative : ndarray of shape (n_vectors, n_samples)
        Weight of each row in its own class, 0 in the other.
    above, through : ndarray of shape (n_vectors, n_samples)
        Weight of the positives with higher scores, and with those as high.
    negative_through : ndarray of shape (n_vectors, n_samples)
        Weight of the negatives with scores at least as high.
    """

    positive: Floats
    negative: Floats
    above: Floats
    through: Floats
    negative_through: Floats


def roc_auc(scores: NDArray[Any], y: NDArray[np.bool_], weight: Floats) -> Floats:
    """Compute the area under the ROC curve of each score vector.

    Parameters
    ----------
    scores : ndarray of shape (n_vectors, n_samples)
        Without NaN, higher for positives.
    y : ndarray of shape (n_samples,), bool
        True labels.
    weight : ndarray of shape (n_samples,)
        0 or more.

    Returns
    -------
    score : ndarray of shape (n_vectors,)
        Pairs count by the product of their weights; ties count one half. NaN where all
        positives or all negatives weigh nothing.
    """
    n_pairs = float(weight[y].sum()) * float(weight[~y].sum())
    if not n_pairs > 0:
        return np.full(len(scores), np.nan)
    values = np.empty(len(scores))
    for block in _blocks(scores):
        own = _sort(scores[block], y, weight)
        ranked = np.einsum("mn,mn->m", own.negative, own.above + own.through)
        values[block] = ranked / (2.0 * n_pairs)
    return values


def average_precision(
    scores: NDArray[Any], y: NDArray[np.bool_], weight: Floats
) -> Floats:
    """Compute the average precision of each score vector.

    Parameters
    ----------
    scores, y, weight
        As for :func:`roc_auc`.

    Returns
    -------
    score : ndarray of shape (n_vectors,)
        Tied scores are one threshold. NaN where all positives or all negatives weigh
        nothing.
    """
    n_positive = float(weight[y].sum())
    if not (n_positive > 0 and float(weight[~y].sum()) > 0):
        return np.full(len(scores), np.nan)
    values = np.empty(len(scores))
    for block in _blocks(scores):
        own = _sort(scores[block], y, weight)
        called = own.through + own.negative_through
        tiny = np.finfo(np.float64).tiny  # 0 / 0 weighs 0
        precision = own.through / np.maximum(called, tiny)
        values[block] = np.einsum("mn,mn->m", own.positive, precision) / n_positive
    return values


def _blocks(scores: NDArray[Any]) -> list[slice]:
    size = max(_BLOCK // max(scores.shape[1], 1), 1)
    return [slice(start, start + size) for start in range(0, len(scores), size)]


def _sort(scores: NDArray[Any], y: NDArray[np.bool_], weight: Floats) -> _Sorted:
    order = np.argsort(-scores, axis=1, kind="stable")
    ordered = np.take_along_axis(scores, order, axis=1)
    positive = np.where(y, weight, 0.0)[order]
    negative = np.where(y, 0.0, weight)[order]
    n = ordered.shape[1]
    index = np.arange(n)
    starts = np.ones(ordered.shape, dtype=bool)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    ends = np.ones(ordered.shape, dtype=bool)
    ends[:, :-1] = starts[:, 1:]
    first = np.maximum.accumulate(np.where(starts, index, 0), axis=1)
    last = np.where(ends, index, n)[:, ::-1]
    last = np.minimum.accumulate(last, axis=1)[:, ::-1]
    found, mistaken = _sums_before(positive), _sums_before(negative)
    return _Sorted(
        positive,
        negative,
        np.take_along_axis(found, first, axis=1),
        np.take_along_axis(found, last + 1, axis=1),
        np.take_along_axis(mistaken, last + 1, axis=1),
    )


def _sums_before(values: Floats) -> Floats:
    """Sum what stands before each place, and at last all: one column more."""
    sums = np.zeros((len(values), values.shape[1] + 1))
    np.cumsum(values, axis=1, out=sums[:, 1:])
    return sums
