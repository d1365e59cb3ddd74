"""How many positives there are where labels are unknown, estimated from scores."""

import math
import warnings
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, ndtri
from scipy.stats import rankdata
from sklearn.isotonic import IsotonicRegression
from sklearn.utils import check_random_state

from cftlearn._dependencies import Interval, StrOptions, validate_params
from cftlearn.exceptions import UndefinedCategoryWarning, list_some
from cftlearn.labels._encoding import PartialLabels
from cftlearn.labels._known_rates import (
    LabelTotals,
    ScoredCells,
    estimate_known_rates,
)
from cftlearn.labels._rank_tests import rank_auc
from cftlearn.labels._scored_labels import CategoryScores, read_scored_labels

PrevalenceMethod = Literal["best_bin", "elkan_noto", "label_shift", "known_rates"]
Floats = NDArray[np.float64]

_N_FOLDS = 5
_DELTA, _GAMMA = 0.1, 0.01  # of the best bin, as its authors set them
_FEWEST = 2  # labels of a class
_LEAST_VARIANCE = 1e-3  # of normal scores within the classes
_CLEAR = 2.0  # standard errors by which one kind of scores must be above another
_NEEDS_NEGATIVES = ("label_shift", "known_rates")
_METHODS = {"best_bin", "elkan_noto", *_NEEDS_NEGATIVES}
_CONSTRAINTS: dict[str, list[Any]] = {
    "method": [StrOptions(_METHODS)],
    "confidence": [Interval(Real, 0, 1, closed="neither")],
    "n_resamples": [Interval(Integral, 2, None, closed="left")],
    "random_state": ["random_state"],
}


@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
def estimate_prevalence(
    scores: ArrayLike,
    y: ArrayLike,
    *,
    method: PrevalenceMethod = "best_bin",
    confidence: float = 0.95,
    n_resamples: int = 200,
    random_state: int | np.random.RandomState | None = None,
) -> list[dict[str, Any]]:
    """Estimate the share of positives in every category, unknown labels included.

    Known labels alone do not say it where positives are known more often than
    negatives. The scores of unknown rows do: they are a mixture of scores of positives
    and of negatives. Every method assumes that known positives score as unknown ones
    do; what else it assumes is in the notes. Only the ranks of the scores matter.

    Parameters
    ----------
    scores : array-like of shape (n_samples, n_categories)
        Higher for positives, of every cell, of a model that was **not** fitted to these
        labels: out-of-fold scores, or those of other rows. Scores of labels that were
        fitted are too high, and estimates too low. NaN is accepted only in a whole
        category, which then has no estimate.
    y : array-like of shape (n_samples, n_categories)
        1 positive, 0 negative, NaN unknown, in any form that
        :func:`check_partial_labels` accepts.
    method : {"best_bin", "elkan_noto", "label_shift", "known_rates"}, \
default="best_bin"
        The estimator, see the notes. The last two need known negatives.
    confidence : float, default=0.95
        Share in (0, 1) of such intervals that should hold the true share.
    n_resamples : int, default=200
        Draws of rows for the interval, at least 2: so many times the cost of the
        estimate. ``"best_bin"`` needs none.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws, and of the folds of ``"elkan_noto"``.

    Returns
    -------
    estimates : list of dict, one per category
        Keys ``category``, ``method``, ``estimate`` (share of positives among all rows),
        ``low``, ``high`` (its interval), ``unknown_share`` (share of positives among
        the unknown labels), ``n_positive``, ``n_negative``, ``n_unknown``, and
        ``reason``, empty unless the first four numbers are NaN or all labels are known.
        ``pandas.DataFrame(estimates)`` is the table.

    Raises
    ------
    TypeError, ValueError
        If labels or scores are not accepted, shapes, names of columns or row labels
        differ, or a parameter is out of its range.

    Warns
    -----
    UndefinedCategoryWarning
        Once, naming the categories that have no estimate, and why.

    See Also
    --------
    check_missing_at_random : Whether known rows score as unknown ones do.
    label_summary : Counts, and the share of positives among known labels.

    Notes
    -----
    Let ``P``, ``N`` and ``U`` be the scores of known positives, known negatives and
    unknown labels.

    ``best_bin`` [1]_
        The least of ``share_U(c) / share_P(c)``, with the share of scores that are
        ``c`` or more. It assumes that the highest scores are of positives only, and is
        too high if not. The threshold ``c`` minimises an upper bound; its constants are
        those of the paper. The interval is by the bound of Dvoretzky, Kiefer and
        Wolfowitz: ``high`` holds whether or not the assumption is true, ``low`` only if
        it is.
    ``elkan_noto`` [2]_
        All positives are ``n_P / mean(g)``, with the mean over ``P`` of the probability
        ``g`` of being known, from isotonic regressions out of fold. It assumes that no
        score is shared by positives and negatives, and is too high if some are.
    ``label_shift`` [3]_
        ``(mean_U - mean_N) / (mean_P - mean_N)`` of ``h``, the probability of a
        positive by linear discriminant analysis of the known labels, on normal scores
        of the ranks and with classes of equal weight. It assumes that known negatives
        score as unknown ones do. ``h`` need not be calibrated.
    ``known_rates``
        One ratio, of how often positives and negatives are known, for all categories:
        what ``unknown="auto"`` of the classifier uses. It assumes what ``label_shift``
        does, and that one ratio serves all categories; below one standard error the
        ratio is 1.

    The last three intervals are quantiles of estimates on rows drawn with replacement.
    They hold how much an estimate varies, not that an assumption is wrong.

    There is no estimate where scores of known positives are not above those of the
    unknown rows (for ``label_shift``, of the known negatives) by two standard errors.

    References
    ----------
    .. [1] Garg et al., "Mixture Proportion Estimation and PU Learning: A Modern
       Approach", NeurIPS 2021.
    .. [2] Elkan and Noto, "Learning Classifiers from Only Positive and Unlabeled Data",
       KDD 2008.
    .. [3] Lipton, Wang and Smola, "Detecting and Correcting for Label Shift with Black
       Box Predictors", ICML 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from cftlearn.labels import estimate_prevalence
    >>> rng = np.random.RandomState(0)
    >>> truth = rng.rand(2000, 1) < 0.2
    >>> scores = rng.randn(2000, 1) + 3 * truth
    >>> known = rng.rand(2000, 1) < np.where(truth, 0.5, 0.1)  # positives more often
    >>> y = np.where(known, truth, np.nan)
    >>> round(float(np.nanmean(y)), 2)  # what known labels say
    0.57
    >>> line = estimate_prevalence(scores, y, method="label_shift", random_state=0)[0]
    >>> round(line["estimate"], 2), round(line["low"], 2), round(line["high"], 2)
    (0.22, 0.18, 0.26)
    """
    table, labels = read_scored_labels(scores, y)
    rng = check_random_state(random_state)
    lacks = _lacks(table, labels, method)
    rows = _Rows.of(table, labels, rng)
    shares = _estimate(rows, method, lacks)
    if method == "best_bin":
        bounds = _best_bin_bounds(rows, confidence, lacks)
    else:
        bounds = _drawn_bounds(rows, method, confidence, n_resamples, rng, lacks)
    lines = []
    for j, name in enumerate(labels.categories):
        counts = _Counts.of(labels.values[:, j])
        low, high = bounds[j]
        lines.append(_line(str(name), method, counts, shares[j], low, high, lacks[j]))
    _warn_undefined(lines)
    return lines


class _Counts(NamedTuple):
    """Labels of one category."""

    n_positive: int
    n_negative: int
    n_unknown: int

    @classmethod
    def of(cls, values: Floats) -> "_Counts":
        n_unknown = int(np.count_nonzero(np.isnan(values)))
        n_positive = int(np.count_nonzero(values == 1.0))
        return cls(n_positive, len(values) - n_unknown - n_positive, n_unknown)

    def prevalence(self, unknown_share: float) -> float:
        """Return the share of positives among all rows."""
        return (self.n_positive + unknown_share * self.n_unknown) / sum(self)


class _Rows(NamedTuple):
    """Normal scores of all ranks, labels, and the fold of every row."""

    table: Floats
    values: Floats
    folds: NDArray[np.intp]

    @classmethod
    def of(
        cls, table: Floats, labels: PartialLabels, rng: np.random.RandomState
    ) -> "_Rows":
        """Put normal scores of ranks in place of scores; draw a fold for every row."""
        normal = ndtri((rankdata(table, axis=0) - 0.5) / len(table))
        folds = rng.permutation(len(table)) % _N_FOLDS
        return cls(normal, labels.values, np.asarray(folds, dtype=np.intp))

    def drawn(self, rng: np.random.RandomState) -> "_Rows":
        """Draw rows with replacement; copies of a row stay in one fold."""
        rows = rng.randint(len(self.table), size=len(self.table))
        return _Rows(self.table[rows], self.values[rows], self.folds[rows])


def _line(
    name: str,
    method: str,
    counts: _Counts,
    share: float,
    low: float,
    high: float,
    lack: str,
) -> dict[str, Any]:
    """Return the line of a category; where all labels are known, they tell."""
    reason, estimate = lack, counts.prevalence(share)
    if not counts.n_unknown:
        estimate = counts.n_positive / sum(counts)
        share, low, high, reason = math.nan, estimate, estimate, "all labels are known"
    return {
        "category": name,
        "method": method,
        "estimate": float(estimate),
        "low": float(low),
        "high": float(high),
        "unknown_share": float(share),
        **counts._asdict(),
        "reason": reason,
    }


def _warn_undefined(lines: list[dict[str, Any]]) -> None:
    lacking = [line for line in lines if math.isnan(line["estimate"])]
    if not lacking:
        return
    named = [f"{line['category']!r} ({line['reason']})" for line in lacking]
    verb = "has" if len(lacking) == 1 else "have"
    warnings.warn(
        f"{len(lacking)} of {len(lines)} categories {verb} no estimated prevalence: "
        f"{list_some(named, 10, separator='; ')}.",
        UndefinedCategoryWarning,
        stacklevel=4,  # the caller, above validate_params
    )


def _lacks(table: Floats, labels: PartialLabels, method: str) -> list[str]:
    """Return why each category has no estimate; empty where it has one."""
    columns = [
        CategoryScores.of(table[:, j], labels.values[:, j])
        for j in range(table.shape[1])
    ]
    return [_lack(column, method) for column in columns]


def _lack(column: CategoryScores, method: str) -> str:
    kinds = {"positive": column.positive}
    other, other_name = column.unknown, "unknown labels"
    if method in _NEEDS_NEGATIVES:
        kinds["negative"] = column.negative
        other, other_name = column.negative, "known negatives"
    if not len(column.unknown):
        return ""
    if not column.is_scored:
        return "it has no scores"
    for kind, own in kinds.items():
        if len(own) < _FEWEST:
            return f"it has {len(own) or 'no'} known {kind}, and {_FEWEST} are needed"
    if method == "known_rates":  # judges by all categories
        return ""
    auc = rank_auc(column.positive, other)
    n, m = len(column.positive), len(other)
    if auc - 0.5 <= _CLEAR * math.sqrt((n + m + 1) / (12 * n * m)):
        return (
            "scores of its known positives are not clearly above those of its "
            f"{other_name}, AUC {auc:.3f}"
        )
    return ""


def unknown_shares(
    table: Floats, labels: PartialLabels, method: str, rng: np.random.RandomState
) -> Floats:
    """Estimate the share of positives among the unknown labels of every category.

    Parameters
    ----------
    table : ndarray of shape (n_samples, n_categories), float64
        Scores, as :func:`read_scored_labels` returns them.
    labels : PartialLabels
        Labels.
    method : str
        As :func:`estimate_prevalence`.
    rng : RandomState
        Draws folds.

    Returns
    -------
    shares : ndarray of shape (n_categories,), float64
        In [0, 1]; NaN without an estimate, or without an unknown label.
    """
    rows = _Rows.of(table, labels, rng)
    return _estimate(rows, method, _lacks(table, labels, method))


def _estimate(rows: _Rows, method: str, lacks: list[str]) -> Floats:
    usable = [
        j
        for j, lack in enumerate(lacks)
        if not lack and np.isnan(rows.values[:, j]).any()
    ]
    shares = np.full(len(lacks), np.nan)
    if method == "known_rates":
        shares[usable] = _known_rates(rows, usable)
    else:
        estimator = _ESTIMATORS[method]
        for j in usable:
            shares[j] = estimator(rows.table[:, j], rows.values[:, j], rows.folds)
    return np.clip(shares, 0.0, 1.0)


def _best_bin(scores: Floats, values: Floats, folds: object = None) -> float:
    column = CategoryScores.of(scores, values)
    if not len(column.positive):
        return math.nan
    tails = _Tails.of(column, _DELTA)
    return float((tails.unknown / tails.positive)[tails.best])


class _Tails(NamedTuple):
    """Shares of scores at or above every threshold, and how far off they may be."""

    positive: Floats
    unknown: Floats
    positive_error: float
    unknown_error: float

    @classmethod
    def of(cls, column: CategoryScores, delta: float) -> "_Tails":
        # between two positives the ratio only falls as the threshold rises
        thresholds = np.unique(column.positive)
        shares = [_share_from(part, thresholds) for part in (column[0], column[2])]
        errors = [
            math.sqrt(math.log(4 / delta) / (2 * len(part)))
            for part in (column.positive, column.unknown)
        ]
        return cls(shares[0], shares[1], errors[0], errors[1])

    @property
    def best(self) -> int:
        """Place of the threshold with the least upper bound."""
        error = (1.0 + _GAMMA) * (self.positive_error + self.unknown_error)
        return int(((self.unknown + error) / self.positive).argmin())


def _share_from(scores: Floats, thresholds: Floats) -> Floats:
    below = np.searchsorted(np.sort(scores), thresholds, side="left")
    return np.asarray(1.0 - below / len(scores))


def _best_bin_bounds(
    rows: _Rows, confidence: float, lacks: list[str]
) -> list[tuple[float, float]]:
    bounds = []
    for j, lack in enumerate(lacks):
        counts = _Counts.of(rows.values[:, j])
        low = high = math.nan
        if not lack and counts.n_unknown:
            column = CategoryScores.of(rows.table[:, j], rows.values[:, j])
            best = _Tails.of(column, _DELTA).best
            tails = _Tails.of(column, 1.0 - confidence)
            low_share = max(tails.unknown[best] - tails.unknown_error, 0.0)
            low_share /= tails.positive[best] + tails.positive_error
            lowest = tails.positive - tails.positive_error
            highest = tails.unknown + tails.unknown_error
            certain = lowest > 0
            ratios = highest[certain] / lowest[certain]
            high_share = min(float(ratios.min(initial=1.0)), 1.0)
            low, high = counts.prevalence(low_share), counts.prevalence(high_share)
        bounds.append((low, high))
    return bounds


def _elkan_noto(scores: Floats, values: Floats, folds: NDArray[np.intp]) -> float:
    used = values != 0.0
    scores, folds = scores[used], folds[used]
    is_known = (values[used] == 1.0).astype(np.float64)
    n_positive, n_rows = float(is_known.sum()), len(is_known)
    if not n_positive:
        return math.nan
    known_proba = np.empty(n_rows)
    for fold in np.unique(folds):
        own = folds == fold
        if own.all():  # drawn rows of one fold
            return math.nan
        fitted = IsotonicRegression(out_of_bounds="clip")
        fitted.fit(scores[~own], is_known[~own])
        known_proba[own] = fitted.predict(scores[own])
    rate = float(known_proba[is_known == 1.0].mean())
    all_positives = n_positive / rate if rate > 0.0 else math.inf
    return min(all_positives - n_positive, n_rows - n_positive) / (n_rows - n_positive)


def _label_shift(scores: Floats, values: Floats, folds: object = None) -> float:
    own = CategoryScores.of(scores, values)
    if not len(own.positive) or not len(own.negative):
        return math.nan
    means = own.positive.mean(), own.negative.mean()
    variance = (own.positive.var() + own.negative.var()) / 2
    slope = (means[0] - means[1]) / max(variance, _LEAST_VARIANCE)
    proba = CategoryScores.of(expit(slope * (scores - sum(means) / 2)), values)
    negative = proba.negative.mean()
    difference = proba.positive.mean() - negative
    if difference <= 0.0:
        return math.nan
    return float((proba.unknown.mean() - negative) / difference)


def _known_rates(rows: _Rows, usable: list[int]) -> Floats:
    cells = []
    for j in usable:
        scores, values = rows.table[:, j], rows.values[:, j]
        known = ~np.isnan(values)
        cells.append(ScoredCells(scores[known], values[known] == 1.0, scores[~known]))
    totals = LabelTotals.of(rows.values[:, usable])
    if not usable:
        return np.empty(0)
    rates = estimate_known_rates(cells, totals)
    if math.isnan(rates.z):
        return np.full(len(usable), np.nan)
    return totals.unknown_share(rates.log_ratio)


_ESTIMATORS: dict[str, Callable[[Floats, Floats, NDArray[np.intp]], float]] = {
    "best_bin": _best_bin,
    "elkan_noto": _elkan_noto,
    "label_shift": _label_shift,
}


def _drawn_bounds(
    rows: _Rows,
    method: str,
    confidence: float,
    n_resamples: int,
    rng: np.random.RandomState,
    lacks: list[str],
) -> list[tuple[float, float]]:
    """Return quantiles of the prevalence in drawn rows.

    NaN if more than half of the draws have no estimate.
    """
    draws = np.full((n_resamples, len(lacks)), np.nan)
    for i in range(n_resamples):
        drawn = rows.drawn(rng)
        shares = _estimate(drawn, method, lacks)
        for j in np.flatnonzero(~np.isnan(shares)):
            draws[i, j] = _Counts.of(drawn.values[:, j]).prevalence(shares[j])
    ends = (1.0 - confidence) / 2, (1.0 + confidence) / 2
    bounds = []
    for own in draws.T:
        defined = own[~np.isnan(own)]
        low = high = math.nan
        if len(defined) * 2 > n_resamples:
            low, high = np.quantile(defined, ends)
        bounds.append((float(low), float(high)))
    return bounds
