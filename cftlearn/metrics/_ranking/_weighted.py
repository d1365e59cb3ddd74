"""Exact ROC AUC and average precision of one score vector under many weightings.

A bootstrap resample of rows is a vector of integer weights, and weights do not change
the order of scores. So scores are sorted once. What both metrics need of a weighting
is the weight of the positives of each score that a positive has, and the weight of the
negatives tied with it and between it and the next: two sums over rows, which a product
with a sparse matrix of ones gives for many weightings at once.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float64]


class RankedRows(NamedTuple):
    """Rows sorted by score, ready to be weighted.

    Attributes
    ----------
    positives : sparse array of shape (n_levels, n_units)
        Positives of each unit at each score that a positive has, best first; 1, or the
        weight of the row.
    negatives : sparse array of shape (2 * n_levels + 1, n_units)
        Negatives of each unit: above level 0, tied with it, between levels 0 and 1,
        tied with level 1, and so on, at last those below every positive.
    """

    positives: sparse.csr_array
    negatives: sparse.csr_array


def rank_rows(
    scores: NDArray[np.floating[Any]],
    y: NDArray[np.bool_],
    unit_of_row: NDArray[np.integer],
    n_units: int,
    row_weight: Floats | None = None,
) -> RankedRows:
    """Sort rows by score.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        Without NaN, higher for positives.
    y : ndarray of shape (n_samples,), bool
        True labels.
    unit_of_row : ndarray of shape (n_samples,), int
        What has the weight of a row: the row itself, or its group.
    n_units : int
        How many of these there are.
    row_weight : ndarray of shape (n_samples,), default=None
        What the weight of its unit is multiplied by in each row; None is 1.

    Returns
    -------
    ranked : RankedRows
        To be weighted by :func:`weighted_roc_auc` and the like.
    """
    levels, level = np.unique(-scores[y], return_inverse=True)
    below = np.searchsorted(levels, -scores[~y], side="left")
    through = np.searchsorted(levels, -scores[~y], side="right")
    n_levels = len(levels)
    factors = np.ones(len(y)) if row_weight is None else row_weight
    return RankedRows(
        _sums(level, unit_of_row[y], factors[y], (n_levels, n_units)),
        _sums(
            below + through, unit_of_row[~y], factors[~y], (2 * n_levels + 1, n_units)
        ),
    )


def weighted_roc_auc(ranked: RankedRows, weights: Floats) -> Floats:
    """Compute the area under the ROC curve of each weighting.

    Parameters
    ----------
    ranked : RankedRows
        Of :func:`rank_rows`.
    weights : ndarray of shape (n_units, n_weightings), C order, float64
        Weights of units, 0 or more.

    Returns
    -------
    score : ndarray of shape (n_weightings,)
        Ties count one half. NaN where all positives or all negatives weigh nothing.
    """
    positive, tied_from, tied_to, n_negative = _weigh(ranked, weights)
    n_pairs = positive.sum(axis=0) * n_negative
    misranked = np.einsum("lw,lw->w", positive, tied_from + tied_to) / 2
    defined = n_pairs > 0
    return np.where(defined, 1 - misranked / np.where(defined, n_pairs, 1), np.nan)


def weighted_average_precision(ranked: RankedRows, weights: Floats) -> Floats:
    """Compute the average precision of each weighting.

    Parameters
    ----------
    ranked : RankedRows
        Of :func:`rank_rows`.
    weights : ndarray of shape (n_units, n_weightings), C order, float64
        Weights of units, 0 or more.

    Returns
    -------
    score : ndarray of shape (n_weightings,)
        Tied scores are one threshold. NaN where all positives or all negatives weigh
        nothing.
    """
    positive, _, tied_to, n_negative = _weigh(ranked, weights)
    found = np.cumsum(positive, axis=0)
    n_positive = found[-1].copy() if len(found) else np.zeros(weights.shape[1])
    tied_to += found
    np.maximum(tied_to, np.finfo(np.float64).tiny, out=tied_to)  # 0 / 0 weighs 0
    found /= tied_to
    total = np.einsum("lw,lw->w", positive, found)
    defined = (n_positive > 0) & (n_negative > 0)
    return np.where(defined, total / np.where(defined, n_positive, 1), np.nan)


def _sums(
    place: NDArray[np.integer],
    unit: NDArray[np.integer],
    factors: Floats,
    shape: tuple[int, int],
) -> sparse.csr_array:
    """Build the matrix that sums the weights of the units at each place."""
    order = np.argsort(place, kind="stable")
    starts = np.zeros(shape[0] + 1, dtype=np.int64)
    np.cumsum(np.bincount(place, minlength=shape[0]), out=starts[1:])
    return sparse.csr_array((factors[order], unit[order], starts), shape=shape)


def _weigh(
    ranked: RankedRows, weights: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """Weigh positives per level, negatives above it and through it, all negatives."""
    positive = ranked.positives @ weights
    negatives = ranked.negatives @ weights
    np.cumsum(negatives, axis=0, out=negatives)
    return positive, negatives[:-1:2], negatives[1::2], negatives[-1]
