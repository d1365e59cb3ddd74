"""How often positives and negatives become known: estimated, where labels can tell."""

import math
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import rankdata

# Of how many known labels a category's own separation counts half.
_SEPARATION_NEEDS = 5.0
# No estimate says that positives are always known: an unknown cell may be positive.
_HIGHEST_RATE = 0.9
_HIGHEST_LOG_RATIO = 8.0


class KnownRates(NamedTuple):
    """How often labels of each class are known.

    Attributes
    ----------
    positive, negative : ndarray of shape (n_categories,), float64
        Probability in [0, 1) that a positive, or a negative, is known.
    log_ratio : float
        Logarithm of ``positive / negative``, the same for all categories that have a
        known negative; 0 where the classes are known equally often.
    z : float
        By how many standard errors known cells rank above unknown ones, more than by
        chance; NaN where no label can tell.
    """

    positive: NDArray[np.float64]
    negative: NDArray[np.float64]
    log_ratio: float
    z: float

    @classmethod
    def equal(cls, n_categories: int) -> Self:
        """Return equal rates: unknown cells then say nothing of their label."""
        rates = np.zeros(n_categories)
        return cls(rates, rates.copy(), 0.0, float("nan"))

    @property
    def say_something(self) -> bool:
        """Whether unknown cells say anything of their labels."""
        return bool((self.positive != self.negative).any())


class LabelTotals(NamedTuple):
    """Known labels of all rows.

    Attributes
    ----------
    n_rows : int, or ndarray of shape (n_categories,)
        All rows; of each category where not all have a cell of it.
    n_positive, n_negative : ndarray of shape (n_categories,), float64
        Known labels of each category.
    """

    n_rows: int | NDArray[np.integer]
    n_positive: NDArray[np.float64]
    n_negative: NDArray[np.float64]

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Self:
        """Count labels of which NaN are unknown."""
        positive, negative = (
            np.count_nonzero(values == kind, axis=0).astype(np.float64)
            for kind in (1.0, 0.0)
        )
        return cls(len(values), positive, negative)

    def unknown_share(self, log_ratio: float) -> NDArray[np.float64]:
        """Return the share of positives among unknown labels, if rates differ so."""
        return _unknown_share(log_ratio, self)

    def positive_share(self, rates: KnownRates) -> NDArray[np.float64]:
        """Return the share of positives among all rows, by estimated rates.

        In a category without a known negative it follows from how often a positive is
        known; elsewhere from how much more often than a negative.
        """
        share = _positive_share(rates.log_ratio, self)
        only_positive = (self.n_negative == 0) & (self.n_positive > 0)
        known = self.n_positive / np.maximum(self.n_rows, 1)
        by_rate = known / np.where(rates.positive > 0, rates.positive, 1.0)
        return np.where(only_positive, np.minimum(by_rate, 1.0), share)


class ScoredCells(NamedTuple):
    """Cells of one category that a network was not trained on, and its scores of them.

    Attributes
    ----------
    known : ndarray of shape (n_known,), float64
        Scores of cells whose label is known.
    y : ndarray of shape (n_known,), bool
        Their labels.
    unknown : ndarray of shape (n_unknown,), float64
        Scores of cells whose label is unknown.
    """

    known: NDArray[np.floating]
    y: NDArray[np.bool_]
    unknown: NDArray[np.floating]


def estimate_known_rates(cells: list[ScoredCells], totals: LabelTotals) -> KnownRates:
    r"""Estimate how much more often positives are known than negatives.

    Parameters
    ----------
    cells : list of ScoredCells
        One per category, of cells that the scores were not fitted to.
    totals : LabelTotals
        Known labels of all rows.

    Returns
    -------
    rates : KnownRates
        Equal ones where nothing says otherwise. In a category without a known negative,
        negatives are never known.

    Notes
    -----
    Let whether a label is known depend on the label, and on nothing else. Let
    :math:`A` be the ROC AUC by which scores separate positives from negatives. A known
    cell, positive with the share :math:`\pi_k`, then ranks above an unknown one,
    positive with the share :math:`\pi_u`, with the probability

    .. math:: S = \tfrac12 + (\pi_k - \pi_u) (A - \tfrac12).

    If a positive is known :math:`q` times as often as a negative, then of all rows
    :math:`\pi = n_1 / (n_1 + q n_0)` are positive, where :math:`n_1` positives and
    :math:`n_0` negatives are known, which gives :math:`\pi_u`. One :math:`q` for all
    categories solves the mean of this equation, weighted by held-out labels and by
    :math:`A - \tfrac12`. Below one standard error it is taken to be 1, and it is
    shrunk by :math:`1 - 1 / z^2` above. Known labels that rank below unknown ones say
    that rows were chosen by something else, so :math:`q` is never below 1.

    The same mixture is used to estimate the share of positives among unlabelled rows
    from two classifiers' scores; see Lipton, Wang and Smola, "Detecting and Correcting
    for Label Shift with Black Box Predictors", ICML 2018. That known labels may depend
    on the label is the selection model of Little and Rubin, "Statistical Analysis with
    Missing Data".
    """
    n_categories = len(cells)
    estimate = _pooled_ratio(cells, totals)
    never = (totals.n_negative == 0) & (totals.n_positive > 0)
    log_ratio, z = estimate
    if log_ratio == 0.0:
        rates = KnownRates.equal(n_categories)._replace(z=z)
    else:
        positive, negative = _rates(log_ratio, totals)
        rates = KnownRates(positive, negative, log_ratio, z)
    rates.positive[never], rates.negative[never] = _HIGHEST_RATE, 0.0
    return rates


def _pooled_ratio(cells: list[ScoredCells], totals: LabelTotals) -> tuple[float, float]:
    """Return the shrunk log ratio over all categories, and its z."""
    usable = [j for j, own in enumerate(cells) if len(own.known) and len(own.unknown)]
    own = [cells[j] for j in usable]
    separation = _separations(own) - 0.5
    if not len(own) or np.isnan(separation).any():
        return 0.0, float("nan")
    n_known = np.array([len(each.known) for each in own], dtype=np.float64)
    n_unknown = np.array([len(each.unknown) for each in own], dtype=np.float64)
    weight = n_known * np.maximum(separation, 0.0)
    excess = np.array([_auc(each.known, each.unknown) for each in own]) - 0.5
    variance = float(weight**2 @ ((1 / n_known + 1 / n_unknown) / 12))
    if variance == 0.0:
        return 0.0, float("nan")
    observed = float(weight @ excess)
    # A plain number: states and histories with it are read without running code.
    z = observed / math.sqrt(variance)
    if z <= 1.0:
        return 0.0, z
    share = np.array([each.y.mean() for each in own])
    part = LabelTotals(
        totals.n_rows, totals.n_positive[usable], totals.n_negative[usable]
    )

    def lacking(log_ratio: float) -> float:
        difference = share - _unknown_share(log_ratio, part)
        return float(weight @ (difference * separation)) - observed

    if lacking(0.0) >= 0.0:  # already explained by which labels were held out
        return 0.0, z
    if lacking(_HIGHEST_LOG_RATIO) <= 0.0:
        log_ratio = _HIGHEST_LOG_RATIO
    else:
        log_ratio = float(brentq(lacking, 0.0, _HIGHEST_LOG_RATIO, xtol=1e-6))
    return log_ratio * (1.0 - 1.0 / z**2), z


def _separations(cells: list[ScoredCells]) -> NDArray[np.float64]:
    """Return each category's AUC on known labels, shrunk toward that of all.

    NaN where no category has known labels of both classes.
    """
    auc, labels = np.full(len(cells), 0.5), np.zeros(len(cells))
    for j, own in enumerate(cells):
        n_positive = np.count_nonzero(own.y)
        n_negative = len(own.y) - n_positive
        if n_positive and n_negative:
            labels[j] = n_positive * n_negative / len(own.y)
            auc[j] = _auc(own.known[own.y], own.known[~own.y])
    if not labels.any():
        return np.full(len(cells), np.nan)
    pooled = float(labels @ auc) / float(labels.sum())
    return np.asarray(
        (labels * auc + _SEPARATION_NEEDS * pooled) / (labels + _SEPARATION_NEEDS)
    )


def _positive_share(log_ratio: float, totals: LabelTotals) -> NDArray[np.float64]:
    """Return the share of positives among all rows, smoothed by half a label each."""
    positive, negative = totals.n_positive + 0.5, totals.n_negative + 0.5
    share = positive / (positive + np.exp(log_ratio) * negative)
    # Known labels are a part of the rows.
    lowest = totals.n_positive / totals.n_rows
    highest = 1.0 - totals.n_negative / totals.n_rows
    return np.clip(share, lowest, highest)


def _unknown_share(log_ratio: float, totals: LabelTotals) -> NDArray[np.float64]:
    """Return the share of positives among rows with unknown label."""
    n_unknown = totals.n_rows - totals.n_positive - totals.n_negative
    n_positive = totals.n_rows * _positive_share(log_ratio, totals) - totals.n_positive
    return np.asarray(n_positive / np.maximum(n_unknown, 1.0))


def _rates(
    log_ratio: float, totals: LabelTotals
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return rates of positives and negatives that together give the known labels."""
    share, ratio = _positive_share(log_ratio, totals), np.exp(log_ratio)
    known = (totals.n_positive + totals.n_negative) / totals.n_rows
    negative = np.minimum(known / (share * ratio + 1.0 - share), _HIGHEST_RATE)
    return np.minimum(ratio * negative, _HIGHEST_RATE), negative


def _auc(higher: NDArray[np.floating], lower: NDArray[np.floating]) -> float:
    """Return how often scores of the first kind rank above those of the second."""
    ranks = rankdata(np.concatenate([higher, lower]))
    n = len(higher)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * len(lower)))
