"""How much to trust each of several rows: evidence of one category and of all."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

# What a difference in AUC of 1 is worth, in nats, per effective label.
_NATS = 2.0
# Labels that stage one may have fitted speak for less than held-out ones: only among
# rows that did not start from the trained one, and with this weight.
_FITTED_LABEL = 0.3
# So do unknown labels standing in for negatives, where no negative was held out.
_UNKNOWN_LABEL = 0.2
# What the mean over categories is worth in each, in effective labels, once the
# categories together have many more than _POOL_NEEDS of them.
_POOL_WORTH = 20.0
_POOL_NEEDS = 20.0
# How plausible it is a priori that refits rank better than trained rows, in nats, by
# what trained rows memorised: the first where they rank the positives that they were
# fitted to like those that they never saw, and so much more per AUC between the two.
MODEST_LOG_ODDS = -1.0
LOG_ODDS_PER_MEMORY = 10.0
_USUAL_MEMORY = 0.9  # AUC, as long as positives are few
_MEMORY_NEEDS = 4.0


@dataclass(frozen=True)
class Evidence:
    """What the labels of one category say of its candidates; NaN where nothing.

    Attributes
    ----------
    held_out : ndarray of shape (n_candidates,)
        ROC AUC on labels that neither stage one nor the candidate saw.
    held_out_labels : float
        Their effective number, see :func:`effective_labels`; 0 where a class lacks.
    against_unknown : ndarray of shape (n_candidates,)
        ROC AUC of held-out positives against rows with unknown labels.
    against_unknown_labels : float
        Their effective number; 0 where held-out labels have both classes.
    fitted : ndarray of shape (n_candidates,)
        ROC AUC on labels that stage one fitted, but not the candidate. All NaN where
        there are so many other labels that it is not asked for.
    fitted_labels : float
        Their effective number.
    trained_held_out, trained_against_unknown : float
        The same of the trained row.
    memory : float
        ROC AUC by which the trained row ranks positives that it was fitted to above
        held-out positives; NaN where there are none.
    memory_labels : float
        Their effective number.
    independent : ndarray of shape (n_candidates,), bool
        Candidates that do not start from the trained row.
    available : ndarray of shape (n_candidates,), bool
        Candidates that this category has.
    """

    held_out: NDArray[np.float64]
    held_out_labels: float
    against_unknown: NDArray[np.float64]
    against_unknown_labels: float
    fitted: NDArray[np.float64]
    fitted_labels: float
    trained_held_out: float
    trained_against_unknown: float
    memory: float
    memory_labels: float
    independent: NDArray[np.bool_]
    available: NDArray[np.bool_]


@dataclass(frozen=True)
class Verdict:
    """How much weight the rows of one category deserve.

    Attributes
    ----------
    trained : float
        Weight of the trained row, in [0, 1].
    candidates : ndarray of shape (n_candidates,)
        Weights of the candidates; they and ``trained`` sum to 1.
    gain : float
        By how much refits, averaged by weight, beat the trained row in held-out AUC.
    pooled_gain : float
        The mean of it over all categories, shrunk where labels are few.
    """

    trained: float
    candidates: NDArray[np.float64]
    gain: float
    pooled_gain: float


def effective_labels(n_positive: float, n_negative: float) -> float:
    """Count labels by what they tell of a ranking: a half of their harmonic mean."""
    total = n_positive + n_negative
    return n_positive * n_negative / total if total else 0.0


def weigh(
    categories: list[Evidence], log_prior: NDArray[np.float64]
) -> list[Verdict] | list[None]:
    """Weigh the candidates of every category by its own evidence and by all.

    Candidates first, among themselves: the weight of one is the exponential of its
    score, which is its AUC in nats per effective label of the category, the same of
    the mean over all categories, and its log prior; a Gibbs posterior with a ranking
    loss. Then their average against the trained row, by its gain in AUC in the same
    currency, and by prior odds: the more the trained rows memorised, the likelier is
    a refit to rank better. So a gain within its own noise moves little, and the other
    categories stand in where a category has too few labels.

    Parameters
    ----------
    categories : list of Evidence
        One per category.
    log_prior : ndarray of shape (n_candidates,)
        In nats, relative to a typical candidate.

    Returns
    -------
    verdicts : list of Verdict, or list of None
        None if no label of any category can tell candidates from the trained row.
    """
    if not categories:
        return []
    available = np.array([item.available for item in categories])
    known = np.array([_gain_on_known(item) for item in categories])
    known_labels = np.array([item.held_out_labels for item in categories])
    unknown = np.array([_gain_on_unknown(item) for item in categories])
    unknown_labels = np.array(
        [_UNKNOWN_LABEL * item.against_unknown_labels for item in categories]
    )
    fitted = np.array([_among_independent(item) for item in categories])
    fitted_labels = np.array(
        [_FITTED_LABEL * item.fitted_labels for item in categories]
    )
    labels = known_labels + unknown_labels
    if labels.sum() == 0.0:
        return [None] * len(categories)
    score = np.zeros(known.shape)
    for own, count in (
        (known, known_labels),
        (unknown, unknown_labels),
        (fitted, fitted_labels),
    ):
        score += own * count[:, None] + _POOL_WORTH * _pool(own, count, available)
    score = np.where(available, _NATS * score + log_prior, -np.inf)
    weights = np.exp(score - score.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    gains = np.sum(weights * (known + unknown), axis=1)  # a category has one of them
    pooled = float(labels @ gains) / float(labels.sum() + _POOL_NEEDS)
    odds = _NATS * (labels * gains + _POOL_WORTH * pooled) + _prior_odds(categories)
    return [
        Verdict(float(expit(-odd)), expit(odd) * row, float(gain), pooled)
        for odd, row, gain in zip(odds, weights, gains, strict=True)
    ]


def _prior_odds(categories: list[Evidence]) -> float:
    """Log odds of refits before their gain is known, by the memory of trained rows."""
    count = sum(item.memory_labels for item in categories)
    total = sum(
        item.memory_labels * item.memory for item in categories if item.memory_labels
    )
    memory = (total + _MEMORY_NEEDS * _USUAL_MEMORY) / (count + _MEMORY_NEEDS)
    return MODEST_LOG_ODDS + LOG_ODDS_PER_MEMORY * (memory - 0.5)


def _pool(
    own: NDArray[np.float64],
    labels: NDArray[np.float64],
    available: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Average over categories, shrunk toward 0 as long as labels are few."""
    counts = labels @ available
    return (labels @ (own * available)) / (counts + _POOL_NEEDS)


def _gain_on_known(item: Evidence) -> NDArray[np.float64]:
    gain = item.held_out - item.trained_held_out
    return np.where(item.available & (item.held_out_labels > 0), gain, 0.0)


def _gain_on_unknown(item: Evidence) -> NDArray[np.float64]:
    gain = item.against_unknown - item.trained_against_unknown
    return np.where(item.available & (item.against_unknown_labels > 0), gain, 0.0)


def _among_independent(item: Evidence) -> NDArray[np.float64]:
    """Compare independent candidates with each other, and leave the others aside."""
    usable = item.independent & item.available
    if item.fitted_labels == 0.0 or not usable.any() or np.isnan(item.fitted).all():
        return np.zeros(len(usable))
    return np.where(usable, item.fitted - item.fitted[usable].mean(), 0.0)
