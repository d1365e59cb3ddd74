"""Which penalty suits each category: held-out labels of it, and of all, say so."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cftlearn._features._per_category import features_of
from cftlearn._features._stored import logits_of, row_batches
from cftlearn.fine_tuning._evidence import effective_labels
from cftlearn.fine_tuning._regression_paths import SPREADS, USUAL, RegressionPaths
from cftlearn.labels._weights import effective_count, taken
from cftlearn.metrics._ranking import batch_roc_auc
from cftlearn.solvers._left_out import round_logits

# As in `_evidence`: what a difference in AUC of 1 is worth per effective label, in
# nats; what the mean over categories is worth in each of them, in effective labels,
# once the categories together have many more than _POOL_NEEDS of them.
_NATS = 2.0
_POOL_WORTH = 20.0
_POOL_NEEDS = 20.0
# Spreads of 10 and of 0.1 are one standard deviation from 1 a priori.
_DECADES = 1.0


class PenaltyEvidence(NamedTuple):
    """What held-out labels say of each penalty.

    Attributes
    ----------
    gains : ndarray of shape (n_categories, n_penalties)
        Gain in ROC AUC over the usual penalty, times the effective labels.
    labels : ndarray of shape (n_categories,)
        Effective labels; 0 where a class is missing, among the labels that judge or
        among those that were fitted.
    """

    gains: NDArray[np.float64]
    labels: NDArray[np.float64]


def path_logits(
    paths: RegressionPaths, Z: Any, cells: NDArray[np.bool_]
) -> list[NDArray[np.float64]]:
    """Compute the logits of some cells, by every penalty.

    Parameters
    ----------
    paths : RegressionPaths
        Fits of all categories.
    Z : ndarray, StoredFeatures or StoredCategoryFeatures
        Features, of two axes or of three.
    cells : ndarray of shape (n_samples, n_categories), bool
        Which cells.

    Returns
    -------
    logits : list of ndarray of shape (n_penalties, n_cells)
        One per category.
    """
    logits = []
    for j, (coef, intercept) in enumerate(zip(*paths, strict=True)):
        own, rows = features_of(Z, j), np.flatnonzero(cells[:, j])
        parts = [np.empty((0, len(coef)))]
        for batch in row_batches(len(rows), own.shape[1]):
            parts.append(logits_of(own[rows[batch]], coef, intercept))
        logits.append(np.concatenate(parts).T)
    return logits


def judge_penalties(
    paths: RegressionPaths,
    logits: list[NDArray[np.float64]],
    held_out: NDArray[np.float64],
    weights: NDArray[np.float64] | None = None,
) -> PenaltyEvidence:
    """Judge every penalty by labels that its fits did not see.

    Parameters
    ----------
    paths : RegressionPaths
        Fits of all categories.
    logits : list of ndarray of shape (n_penalties, n_cells)
        Those of the known cells of ``held_out``, see :func:`path_logits`.
    held_out : ndarray of shape (n_samples, n_categories)
        Labels that judge; NaN elsewhere.
    weights : ndarray of shape (n_samples, n_categories), default=None
        How much each of them counts; None counts them alike.

    Returns
    -------
    evidence : PenaltyEvidence
        All 0 where no label can judge.
    """
    gains, labels = np.zeros((held_out.shape[1], len(SPREADS))), []
    for j, own in enumerate(logits):
        known = ~np.isnan(held_out[:, j])
        y, weight = held_out[known, j] == 1.0, taken(weights, (known, j))
        counts = (effective_count(weight, each) for each in (y, ~y))
        labels.append(effective_labels(*counts))
        if not paths.coef[j].any():  # a class was absent from the labels to fit
            labels[-1] = 0.0
        if labels[-1]:
            scores = np.ascontiguousarray(round_logits(own))
            auc = batch_roc_auc(scores, y, sample_weight=weight)
            gains[j] = labels[-1] * (auc - auc[USUAL])
    return PenaltyEvidence(gains, np.array(labels))


def combine_evidence(parts: Sequence[PenaltyEvidence]) -> PenaltyEvidence:
    """Add up what several disjoint sets of labels say of the same penalties."""
    return PenaltyEvidence(
        np.sum([part.gains for part in parts], axis=0),
        np.sum([part.labels for part in parts], axis=0),
    )


def choose_penalties(evidence: PenaltyEvidence) -> NDArray[np.intp]:
    r"""Choose a penalty for each category.

    Parameters
    ----------
    evidence : PenaltyEvidence
        Of all categories.

    Returns
    -------
    chosen : ndarray of shape (n_categories,), int
        Places in :data:`SPREADS`. The usual one where no label can judge.

    Notes
    -----
    Let :math:`g_{ck}` be the gain in AUC of penalty :math:`k` in category :math:`c`,
    and :math:`m_c` the effective labels. Category :math:`c` takes the greatest

    .. math:: \log \pi_k + \beta \Big(m_c g_{ck}
              + w \frac{\sum_c m_c g_{ck}}{\sum_c m_c + n_0}\Big),

    where :math:`\pi` is log-normal in the spread that the penalty stands for. So one
    category with few labels takes what suits all, and where all have few, the usual
    penalty.
    """
    # exact sums do not depend on the order of categories
    total = np.array([math.fsum(column) for column in evidence.gains.T])
    pooled = total / (math.fsum(evidence.labels) + _POOL_NEEDS)
    log_prior = -0.5 * (np.log10(SPREADS) / _DECADES) ** 2
    score = log_prior + _NATS * (evidence.gains + _POOL_WORTH * pooled)
    return np.argmax(score, axis=1)
