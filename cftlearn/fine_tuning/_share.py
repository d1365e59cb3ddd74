"""How much refits count beside the initial weights: what a change must gain."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cftlearn.metrics._ranking import batch_roc_auc
from cftlearn.solvers._left_out import round_logits

Floats = NDArray[np.floating[Any]]

# Shares of the refits that are compared.
SHARES = np.linspace(0.0, 1.0, 21)
# By how much the AUC must rise before all of the initial weights are given up. On small
# test sets most changes of single categories are noise, and so is half of the harm.
COST = 0.01
# What refits are expected to gain, in AUC, before any label is seen: so much per AUC by
# which the initial weights rank the positives that they were fitted to above others.
# Weights that memorised less than _FAIR_MEMORY were trained on better labels elsewhere,
# and a loss is expected. It counts like so many effective labels of all categories.
_GAIN_PER_MEMORY = 0.2
_FAIR_MEMORY = 0.6
_EXPECTED_NEEDS = 40.0
# What the mean over categories is worth in each of them, in effective labels.
_POOL_WORTH = 40.0


class Trial(NamedTuple):
    """Labels of one category, ranked by weights that were not fitted to them.

    Attributes
    ----------
    logits : ndarray of shape (n_candidates + 1, n_labels)
        Of the candidates and, in the last line, of the initial weights; each divided
        by the standard deviation that these logits have over all rows.
    y : ndarray of shape (n_labels,), bool
        Labels, of both classes.
    labels : float
        How many effective labels they count for.
    """

    logits: Floats
    y: NDArray[np.bool_]
    labels: float


class Share(NamedTuple):
    """How much the refits of one category count.

    Attributes
    ----------
    refits : float
        In [0, 1]; the rest is left to the initial weights.
    gain : float
        Their gain in held-out AUC in this category; 0 where no label can tell.
    pooled_gain : float
        The mean of it over all categories, shrunk toward what is expected.
    """

    refits: float
    gain: float
    pooled_gain: float


def choose_shares(
    trials: list[list[Trial]], weights: Floats, memory: float
) -> list[Share]:
    r"""Choose for every category how much the average of its candidates counts.

    Parameters
    ----------
    trials : list of list of Trial
        Those of every category, maybe none; over the same candidates everywhere, with
        NaN where a category lacks one.
    weights : ndarray of shape (n_categories, n_candidates)
        Weights of the candidates, which sum to 1 in every category.
    memory : float
        ROC AUC by which the initial weights rank positives to which they were fitted
        above those that they never saw: 0.5 if they memorised nothing.

    Returns
    -------
    shares : list of Share
        One per category.

    Notes
    -----
    For the share :math:`t`, weights are :math:`t` times the average of candidates plus
    :math:`1 - t` times the initial weights, both of unit spread. Let :math:`g_c(t)` be
    their gain in AUC on the held-out labels of category :math:`c`, and :math:`m_c` the
    number of effective labels. Pooled over categories, and shrunk toward the gain that
    is expected from initial weights which memorised their labels, it is

    .. math:: \bar g(t) = \frac{\sum_c m_c g_c(t) + n_0 a t (2 - t)}
                               {\sum_c m_c + n_0},

    and category :math:`c` takes the :math:`t` that maximises

    .. math:: \frac{m_c g_c(t) + w \bar g(t)}{m_c + w} - \kappa t .

    So a category with few labels follows the others. Two rules guard it. The cost
    :math:`\kappa` leaves weights as they are where a change gains nothing. And no
    share is taken at which the category's own AUC falls by more than
    :math:`1 / (2 \sqrt{m_c})`, the greatest standard error that an AUC of so many
    labels can have.
    """
    labels = np.array([sum(trial.labels for trial in own) for own in trials])
    curves = np.array(
        [_gain_curve(own, each) for own, each in zip(trials, weights, strict=True)]
    ).reshape(len(trials), len(SHARES))
    expected = _GAIN_PER_MEMORY * (memory - _FAIR_MEMORY) * SHARES * (2.0 - SHARES)
    # exact sums do not depend on the order of categories
    total = [math.fsum(column) for column in (labels[:, None] * curves).T]
    pooled = np.array(total) + _EXPECTED_NEEDS * expected
    pooled /= math.fsum(labels) + _EXPECTED_NEEDS
    own = labels[:, None]
    judged = (own * curves + _POOL_WORTH * pooled) / (own + _POOL_WORTH) - COST * SHARES
    harmed = curves * np.sqrt(own) < -0.5
    chosen = np.argmax(np.where(harmed, -np.inf, judged), axis=1)
    return [
        Share(float(SHARES[k]), float(curve[k]), float(pooled[k]))
        for k, curve in zip(chosen, curves, strict=True)
    ]


def _gain_curve(trials: list[Trial], weights: Floats) -> NDArray[np.float64]:
    """Compute the gain in AUC at every share; 0 where no label can tell."""
    total, gains = 0.0, np.zeros(len(SHARES))
    used = weights > 0.0
    for logits, y, labels in trials:
        refits, initial = weights[used] @ logits[:-1][used], logits[-1]
        mixed = initial + SHARES[:, None] * (refits - initial)
        auc = batch_roc_auc(round_logits(mixed), y, exact=False)
        gains += labels * (auc - auc[0])
        total += labels
    return gains / total if total else gains
