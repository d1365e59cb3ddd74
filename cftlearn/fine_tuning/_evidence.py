"""How much to trust each of several weights: evidence of one category and of all."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

# What a difference in AUC of 1 is worth, in nats, per effective label.
_NATS = 2.0
# Labels that stage one may have fitted say less than held-out ones: they count only
# among candidates that do not start from the initial weights, and with this weight.
_FITTED_LABEL = 0.3
# So do unknown labels that stand in for negatives, where no negative was held out.
_UNKNOWN_LABEL = 0.2
# What the mean over categories is worth in each of them, in effective labels, once the
# categories together have many more than _POOL_NEEDS of them.
_POOL_WORTH = 20.0
_POOL_NEEDS = 20.0
_MAJORITY = 0.5  # of the weight, that refits need to replace the initial weights
# A category keeps its initial weights if its own AUC falls by more than this, divided
# by the root of its effective labels: the greatest standard error of an AUC.
_REFUSED_FALL = 0.5
# How plausible it is a priori that refits rank better than the initial weights, in
# nats. The first is for initial weights that rank the positives which they were fitted
# to like positives that they never saw. The second is added per AUC between the two:
# weights that memorised their labels are easy to beat.
MODEST_LOG_ODDS = -1.0
LOG_ODDS_PER_MEMORY = 10.0
# Memory is shrunk toward this AUC, as long as fewer labels than these can tell.
_USUAL_MEMORY = 0.9
_MEMORY_NEEDS = 4.0


@dataclass(frozen=True)
class Evidence:
    """What the labels of one category say of its candidates; NaN where nothing.

    Attributes
    ----------
    held_out : ndarray of shape (n_candidates,)
        ROC AUC on labels that neither stage one nor the candidate saw.
    held_out_labels : float
        Their effective number, see :func:`effective_labels`; 0 if a class is missing.
    against_unknown : ndarray of shape (n_candidates,)
        ROC AUC of held-out positives against rows with unknown labels.
    against_unknown_labels : float
        Their effective number; 0 where held-out labels have both classes.
    fitted : ndarray of shape (n_candidates,)
        ROC AUC on labels that stage one fitted, but not the candidate. All NaN where
        there are so many other labels that it is not computed.
    fitted_labels : float
        Their effective number.
    initial_held_out, initial_against_unknown : float
        The same of the initial weights.
    memory : float
        ROC AUC by which the initial weights rank positives that they were fitted to
        above held-out positives; NaN where there are none.
    memory_labels : float
        Their effective number.
    independent : ndarray of shape (n_candidates,), bool
        Candidates that do not start from the initial weights.
    available : ndarray of shape (n_candidates,), bool
        Candidates that this category has.
    """

    held_out: NDArray[np.float64]
    held_out_labels: float
    against_unknown: NDArray[np.float64]
    against_unknown_labels: float
    fitted: NDArray[np.float64]
    fitted_labels: float
    initial_held_out: float
    initial_against_unknown: float
    memory: float
    memory_labels: float
    independent: NDArray[np.bool_]
    available: NDArray[np.bool_]


@dataclass(frozen=True)
class Verdict:
    """How much the candidates and the initial weights of one category count.

    Attributes
    ----------
    initial : float
        How much the initial weights count, in [0, 1].
    candidates : ndarray of shape (n_candidates,)
        How much the candidates count; they and ``initial`` sum to 1.
    gain : float
        By how much refits, averaged by weight, beat the initial weights in held-out
        AUC.
    pooled_gain : float
        The mean of it over all categories, shrunk where labels are few.
    is_refused : bool
        Whether the labels of this category are clearly against the refits, whatever
        others say.
    """

    initial: float
    candidates: NDArray[np.float64]
    gain: float
    pooled_gain: float
    is_refused: bool

    @property
    def outweighs(self) -> bool:
        """Whether refits together count more than the initial weights."""
        return self.initial < _MAJORITY

    @property
    def keeps_initial(self) -> bool:
        """Whether the initial weights are kept as they are."""
        return self.is_refused or not self.outweighs


def effective_labels(n_positive: float, n_negative: float) -> float:
    """Compute how many labels count for a ranking: half of the harmonic mean.

    The variance of an AUC falls about as ``1 / n_positive + 1 / n_negative``, whose
    inverse this is: many negatives do not make up for few positives.
    """
    total = n_positive + n_negative
    return n_positive * n_negative / total if total else 0.0


def weigh(
    categories: list[Evidence], log_prior: NDArray[np.float64]
) -> list[Verdict] | list[None]:
    r"""Weigh the candidates of every category by its own evidence and by all.

    A category alone has too few labels to choose by. What ranks better over all
    categories therefore counts more in each; and where even that says little, all
    candidates count alike.

    Parameters
    ----------
    categories : list of Evidence
        One per category.
    log_prior : ndarray of shape (n_candidates,)
        In nats, relative to a typical candidate.

    Returns
    -------
    verdicts : list of Verdict, or list of None
        None if no label of any category can tell candidates from the initial weights.

    Notes
    -----
    For every kind of evidence (held-out labels, held-out positives against unknown
    labels, labels to fit) let :math:`g_{ck}` be the gain in AUC of candidate
    :math:`k` in category :math:`c`, and :math:`m_c` the effective labels times what
    one such label is worth. The mean over categories, shrunk toward 0, is

    .. math:: \bar g_k = \frac{\sum_c m_c g_{ck}}{\sum_c m_c + n_0},

    and the weight of a candidate within its category is

    .. math:: p_{ck} \propto \exp\Big(\log \pi_k + \beta \sum_{kinds}
              (m_c g_{ck} + w \bar g_k)\Big),

    a Gibbs posterior with a ranking loss: :math:`\beta` is ``_NATS``, :math:`w` is
    ``_POOL_WORTH`` and :math:`n_0` is ``_POOL_NEEDS``. The average of the candidates,
    with the gain :math:`g_c = \sum_k p_{ck} g_{ck}`, then stands against the initial
    weights with the log odds

    .. math:: \ell + \beta (m_c g_c + w \bar g),

    where :math:`\ell` grows with what the initial weights memorised. So a gain within
    its own noise moves little. A category whose own gain is below
    :math:`-1 / (2 \sqrt{m_c})` is refused: no standard error of an AUC of so many
    labels is greater.
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
    # The largest is subtracted first, so that no exponential overflows.
    weights = np.exp(score - score.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    gains = np.sum(weights * (known + unknown), axis=1)  # a category has one of them
    pooled = float(labels @ gains) / float(labels.sum() + _POOL_NEEDS)
    odds = _NATS * (labels * gains + _POOL_WORTH * pooled) + _prior_odds(categories)
    refused = gains * np.sqrt(labels) < -_REFUSED_FALL
    return [
        Verdict(float(expit(-odd)), expit(odd) * own, float(gain), pooled, bool(no))
        for odd, own, gain, no in zip(odds, weights, gains, refused, strict=True)
    ]


def _prior_odds(categories: list[Evidence]) -> float:
    """Compute the log odds of refits before their gain is known."""
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
    counts = labels @ available  # of the categories that have the candidate
    return (labels @ (own * available)) / (counts + _POOL_NEEDS)


def _gain_on_known(item: Evidence) -> NDArray[np.float64]:
    gain = item.held_out - item.initial_held_out
    return np.where(item.available & (item.held_out_labels > 0), gain, 0.0)


def _gain_on_unknown(item: Evidence) -> NDArray[np.float64]:
    gain = item.against_unknown - item.initial_against_unknown
    return np.where(item.available & (item.against_unknown_labels > 0), gain, 0.0)


def _among_independent(item: Evidence) -> NDArray[np.float64]:
    """Compare independent candidates with each other, and leave the others aside."""
    usable = item.independent & item.available
    if item.fitted_labels == 0.0 or not usable.any() or np.isnan(item.fitted).all():
        return np.zeros(len(usable))
    return np.where(usable, item.fitted - item.fitted[usable].mean(), 0.0)
