"""How much to trust each of several rows: evidence of one category and of all."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
# How plausible it is a priori that the trained row is best, in nats.
TRAINED_LOG_PRIOR = -2.0


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
        ROC AUC on labels that stage one fitted, but not the candidate.
    fitted_labels : float
        Their effective number.
    trained_held_out, trained_against_unknown : float
        The same of the trained row.
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
    independent: NDArray[np.bool_]
    available: NDArray[np.bool_]

    @property
    def gain(self) -> NDArray[np.float64]:
        """Held-out AUC above the trained row's; 0 where there is none."""
        gain = self.held_out - self.trained_held_out
        return np.where(self.available & (self.held_out_labels > 0), gain, 0.0)


@dataclass(frozen=True)
class Verdict:
    """How much weight the rows of one category deserve.

    Attributes
    ----------
    trained : float
        Weight of the trained row, in [0, 1].
    candidates : ndarray of shape (n_candidates,)
        Weights of the candidates; they and ``trained`` sum to 1.
    pooled_gain : ndarray of shape (n_candidates,)
        Mean gain in held-out AUC over all categories, shrunk where labels are few.
    """

    trained: float
    candidates: NDArray[np.float64]
    pooled_gain: NDArray[np.float64]


def effective_labels(n_positive: float, n_negative: float) -> float:
    """Count labels by what they tell of a ranking: a half of their harmonic mean."""
    total = n_positive + n_negative
    return n_positive * n_negative / total if total else 0.0


def weigh(
    categories: list[Evidence], log_prior: NDArray[np.float64]
) -> list[Verdict] | list[None]:
    """Weigh the candidates of every category by its own evidence and by all.

    The weight of a candidate is the exponential of its score: the gain in AUC over the
    trained row, in nats per effective label, of the category's own labels; of the mean
    over all categories; and its log prior. That is a Gibbs posterior with a ranking
    loss. A gain within its own noise moves weights little, and the mean over categories
    stands in where a category has too few labels.

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
    gains = np.array([item.gain for item in categories])
    held_out = np.array([item.held_out_labels for item in categories])
    available = np.array([item.available for item in categories])
    unknown = np.array([_against_unknown(item) for item in categories])
    unknown_labels = np.array([item.against_unknown_labels for item in categories])
    fitted = np.array([_fitted(item) for item in categories])
    fitted_labels = np.array([item.fitted_labels for item in categories])
    if held_out.sum() + unknown_labels.sum() == 0.0:
        return [None] * len(categories)
    score = np.zeros(gains.shape)
    pooled_gain = _pool(gains, held_out, available)
    for own, labels in (
        (gains, held_out),
        (unknown, _UNKNOWN_LABEL * unknown_labels),
        (fitted, _FITTED_LABEL * fitted_labels),
    ):
        score += own * labels[:, None] + _POOL_WORTH * _pool(own, labels, available)
    score = np.where(available, _NATS * score + log_prior, -np.inf)
    return [_verdict(row, pooled_gain) for row in score]


def _verdict(score: NDArray[np.float64], pooled_gain: NDArray[np.float64]) -> Verdict:
    everything = np.append(score, TRAINED_LOG_PRIOR)  # whose gain over itself is 0
    weights = np.exp(everything - everything.max())
    weights /= weights.sum()
    return Verdict(float(weights[-1]), weights[:-1], pooled_gain)


def _pool(
    own: NDArray[np.float64],
    labels: NDArray[np.float64],
    available: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Average over categories, shrunk toward 0 as long as labels are few."""
    counts = labels @ available
    return (labels @ (own * available)) / (counts + _POOL_NEEDS)


def _against_unknown(item: Evidence) -> NDArray[np.float64]:
    gain = item.against_unknown - item.trained_against_unknown
    return np.where(item.available & (item.against_unknown_labels > 0), gain, 0.0)


def _fitted(item: Evidence) -> NDArray[np.float64]:
    """Compare independent candidates with each other, and leave the others aside."""
    usable = item.independent & item.available
    if item.fitted_labels == 0.0 or not usable.any():
        return np.zeros(len(usable))
    return np.where(usable, item.fitted - item.fitted[usable].mean(), 0.0)
