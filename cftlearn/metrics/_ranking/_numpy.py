"""The ranking kernels on the CPU, with numpy's vectorised integer sort."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32] | NDArray[np.float64]
Keys = NDArray[np.signedinteger[Any]]

_BLOCK = 2**17  # scores that are ranked at a time


def _in_blocks(evaluate: Callable[..., NDArray[np.float64]]) -> Callable[..., Any]:
    """Evaluate some score vectors at a time, in memory that is warm and stays small."""

    @wraps(evaluate)
    def evaluate_all(
        scores: Scores, y: NDArray[np.bool_], *, exact: bool
    ) -> NDArray[np.float64]:
        values = np.empty(len(scores))
        size = max(_BLOCK // max(len(y), 1), 1)
        for start in range(0, len(scores), size):
            block = slice(start, start + size)
            values[block] = evaluate(scores[block], y, exact=exact)
        return values

    return evaluate_all


@_in_blocks
def roc_auc(
    scores: Scores, y: NDArray[np.bool_], *, exact: bool
) -> NDArray[np.float64]:
    """See :func:`cftlearn.metrics._ranking.batch_roc_auc`."""
    n_positive = int(np.count_nonzero(y))
    n_pairs = n_positive * (len(y) - n_positive)
    if n_pairs == 0:
        return np.full(len(scores), np.nan)
    keys = _sorted_keys(scores, y, exact)
    # rank - index = number of negatives at or above each positive
    ranks = _positive_ranks(keys, n_positive)
    n_misranked = ranks.sum(axis=1, dtype=np.float64)
    n_misranked -= n_positive * (n_positive - 1) / 2
    n_misranked -= _tied_pairs(keys, ranks) / 2
    return 1.0 - n_misranked / n_pairs


@_in_blocks
def average_precision(
    scores: Scores, y: NDArray[np.bool_], *, exact: bool
) -> NDArray[np.float64]:
    """See :func:`cftlearn.metrics._ranking.batch_average_precision`."""
    n_positive = int(np.count_nonzero(y))
    if n_positive in (0, len(y)):
        return np.full(len(scores), np.nan)
    keys = _sorted_keys(scores, y, exact)
    ranks = _positive_ranks(keys, n_positive)
    index = np.arange(n_positive)
    precision = (index + 1) / (ranks + 1)
    codes = np.take_along_axis(keys, ranks, axis=1)
    tied_with_next = codes[:, 1:] == codes[:, :-1]
    if tied_with_next.any():
        last = np.full(ranks.shape, n_positive - 1)
        last[:, :-1] = np.where(tied_with_next, n_positive - 1, index[:-1])
        last = np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]
        precision = np.take_along_axis(precision, last, axis=1)
    return precision.mean(axis=1)


def _tied_pairs(keys: Keys, ranks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Count pairs of a positive and a negative with one score, in each row.

    Such a negative stands right before the first positive of that score.
    """
    here = np.take_along_axis(keys, ranks, axis=1)
    before = np.take_along_axis(keys, np.maximum(ranks - 1, 0), axis=1)
    is_first = before == here - 1
    pairs = np.zeros(len(keys))
    for row in np.flatnonzero(is_first.any(axis=1)):
        code, rank = here[row, is_first[row]], ranks[row, is_first[row]]
        start = np.searchsorted(keys[row], code - 1)
        stop = np.searchsorted(keys[row], code, side="right")
        pairs[row] = np.sum((rank - start) * (stop - rank), dtype=np.float64)
    return pairs


def _sorted_keys(scores: Scores, y: NDArray[np.bool_], exact: bool) -> Keys:
    """Pack scores and labels into integers, best first and negatives first in ties."""
    scores = scores + scores.dtype.type(0)  # -0.0 becomes 0.0; also our own copy
    keys: Keys
    if scores.dtype == np.float64:
        keys = _dense_ranks(scores, y)
    else:
        bits = scores.view(np.int32)
        bits ^= (bits >> 31) & 0x7FFFFFFF  # order-preserving: negatives flipped
        np.invert(bits, out=bits)  # descending
        if exact:
            keys = bits.astype(np.int64)
            keys <<= 1
        else:
            keys = bits
            keys &= ~1
        keys |= y
    keys.sort(axis=1)
    return keys


def _dense_ranks(scores: Scores, y: NDArray[np.bool_]) -> Keys:
    """Replace 64-bit scores by their rank, so that a bit is free for the label."""
    order = np.argsort(scores, axis=1)[:, ::-1]
    ordered = np.take_along_axis(scores, order, axis=1)
    keys = np.zeros(scores.shape, dtype=np.int64)
    np.cumsum(ordered[:, 1:] != ordered[:, :-1], axis=1, out=keys[:, 1:])
    keys <<= 1
    keys |= y[order]
    return keys


def _positive_ranks(keys: Keys, n_positive: int) -> NDArray[np.int64]:
    """Positions of the positives in each row of sorted keys."""
    flat = np.flatnonzero((keys & 1).astype(bool))
    ranks = flat.reshape(len(keys), n_positive)
    return ranks - np.arange(len(keys))[:, np.newaxis] * keys.shape[1]
