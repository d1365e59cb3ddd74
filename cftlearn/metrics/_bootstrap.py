"""Confidence intervals of scores, and tests of two models, by the bootstrap."""

import warnings
from collections.abc import Callable, Iterator
from numbers import Integral, Real
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri
from sklearn.utils import check_random_state

from cftlearn._dependencies import Interval, StrOptions, validate_params
from cftlearn.exceptions import UndefinedCategoryWarning, list_some
from cftlearn.labels._groups import number_groups
from cftlearn.labels._names import check_same_rows
from cftlearn.labels._weights import Weights, effective_count, taken, weigh_labels
from cftlearn.metrics._effective_sample import (
    FEWEST,
    unbiased_spread,
    wilson_interval,
)
from cftlearn.metrics._partial import Scores, check_score_tables, read_pair
from cftlearn.metrics._ranking._weighted import (
    RankedRows,
    rank_rows,
    weighted_average_precision,
    weighted_roc_auc,
)

Floats = NDArray[np.float64]
Metric = Literal["roc_auc", "average_precision"]
RandomStateLike = int | np.random.RandomState | None

_METRICS: dict[str, Callable[[RankedRows, Floats], Floats]] = {
    "roc_auc": weighted_roc_auc,
    "average_precision": weighted_average_precision,
}
_CONSTRAINTS: dict[str, list[Any]] = {
    "metric": [StrOptions(set(_METRICS))],
    "n_resamples": [Interval(Integral, 2, None, closed="left")],
    "confidence": [Interval(Real, 0, 1, closed="neither")],
    "random_state": ["random_state"],
}
_MOST_WEIGHTS = 2**20  # at a time: 8 MiB
_MOST_BLOCKS = 1000  # of the jackknife


class _Evaluation(NamedTuple):
    """Scores of every category, and at last their mean, under some weightings."""

    names: list[str | None]
    n_positive: NDArray[np.int64]
    n_negative: NDArray[np.int64]
    defined: NDArray[np.bool_]
    ranked: list[list[RankedRows]]  # of every model, its defined categories
    n_units: int
    n_rarer: Floats  # units that have the class which fewer of them have


@validate_params(
    _CONSTRAINTS | {"method": [StrOptions({"wilson", "bca", "percentile"})]},
    prefer_skip_nested_validation=True,
)
def bootstrap_intervals(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    metric: Metric = "roc_auc",
    sample_weight: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    n_resamples: int = 2000,
    confidence: float = 0.95,
    method: Literal["wilson", "bca", "percentile"] = "wilson",
    random_state: RandomStateLike = None,
) -> list[dict[str, Any]]:
    """Score every category and their mean with bootstrap confidence intervals.

    Rows, or whole groups of them, are drawn with replacement; all categories are
    scored on the same draws, over known labels only. Scores are sorted once, so a draw
    costs O(n_samples) per category.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, n_categories) or (n_samples,)
        1 positive, 0 negative, NaN unknown, in any form that
        :func:`cftlearn.labels.check_partial_labels` accepts. 1-D: two classes of any
        kind, all known; the greater one is positive.
    y_score : array-like of the shape of ``y_true``
        Probabilities or raw logits, higher for positives, of a model that was not
        fitted, chosen or calibrated on these labels. NaN and infinities are not
        accepted.
    metric : {"roc_auc", "average_precision"}, default="roc_auc"
        What to score by. Ties are treated as scikit-learn does.
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_categories), \
default=None
        How much each label counts, see the :ref:`User Guide <weighted_labels>`: 0 or
        more where a label is known. A label of weight 0 is unknown.
    groups : array-like of shape (n_samples,), default=None
        What is drawn as a whole: the patient or study of every row. Rows of one
        group resemble each other; drawn one by one, their intervals are too short.
    n_resamples : int, default=2000
        How many draws, at least 2. The ends of an interval rest on the share
        ``(1 - confidence) / 2`` of them.
    confidence : float, default=0.95
        Share in (0, 1) of such intervals that should hold the true score.
    method : {"wilson", "bca", "percentile"}, default="wilson"
        How draws become an interval: by their standard deviation, see the notes; or by
        their quantiles, at levels corrected for bias and skewness [1]_ or as they are.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws.

    Returns
    -------
    intervals : list of dict, one per category and one for their mean
        Keys ``category`` (None for the mean, which is last), ``estimate``, ``low``,
        ``high``, ``n_positive`` and ``n_negative`` (known labels), ``n_undefined``
        (draws left out because they lack a class). ``pandas.DataFrame(intervals)`` is
        the table. NaN for a category without a known positive or a known negative; such
        categories are left out of the mean. With ``"wilson"``, ``low`` and ``high`` are
        also NaN where a class has one label, or one group.

    Raises
    ------
    TypeError, ValueError
        If labels, scores or weights are not accepted, shapes, names of columns or row
        labels differ, or a parameter is out of its range.

    Warns
    -----
    UndefinedCategoryWarning
        Once, naming all categories that are NaN.

    See Also
    --------
    compare_scores : Whether two models differ, on the same rows.
    partial_roc_auc_score : The estimate alone.

    Notes
    -----
    The mean of a draw is over the categories that have both classes in it, as
    ``average="macro"`` does; it is left out where none has.

    A score :math:`p` whose draws have the standard deviation :math:`s` tells as much as
    :math:`n = p (1 - p) / s^2` Bernoulli trials [2]_; ``"wilson"`` is Wilson's
    interval of so many trials, by Student's t. It has a length where the score is 0 or
    1, and is the only one that holds the true score about as often as it says with
    under 30 labels of a class; the :ref:`User Guide <how_sure>` has the figures. With
    30 positives quantiles tend to be too short, uncorrected ones more than corrected;
    with under ten, or where the score is 0 or 1, take none of them for a bound. The
    acceleration of ``"bca"`` is a jackknife's, of at most 1,000 blocks of rows or
    groups.

    Weights are not drawn: a row that is drawn twice counts twice its weight. Where a
    number of labels enters an interval, it is Kish's effective number: the square of
    the sum of weights of rows, or of groups, over the sum of their squares.

    References
    ----------
    .. [1] Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 14.
    .. [2] Korn and Graubard, "Confidence Intervals for Proportions with Small Expected
       Number of Positive Counts Estimated from Survey Data", Survey Methodology 24,
       1998.

    Examples
    --------
    >>> from cftlearn.metrics import bootstrap_intervals
    >>> y_true = [[1], [1], [1], [0], [0], [None], [0], [0]]
    >>> y_score = [[0.9], [0.8], [0.4], [0.5], [0.3], [0.9], [0.2], [0.1]]
    >>> first, mean = bootstrap_intervals(y_true, y_score, random_state=0)
    >>> first["category"], first["n_positive"], first["n_negative"]
    ('0', 3, 4)
    >>> bool(first["low"] < first["estimate"] < first["high"])
    True
    """
    check_same_rows(
        y_true=y_true, y_score=y_score, sample_weight=sample_weight, groups=groups
    )
    evaluation = _prepare(y_true, {"y_score": y_score}, groups, sample_weight)
    n_units = evaluation.n_units
    estimates = _evaluate(evaluation, metric, iter([np.ones((n_units, 1))]))[0, :, 0]
    draws = _draws(n_units, n_resamples, random_state)
    values = _evaluate(evaluation, metric, draws)[0]
    left_out = np.full((len(estimates), 1), np.nan)
    if method == "bca":
        left_out = _evaluate(evaluation, metric, _blocks_left_out(n_units))[0]
    intervals = []
    for j, record in enumerate(_records(evaluation, values)):
        levels = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
        if method == "bca":
            levels = _corrected(levels, estimates[j], values[j], left_out[j])
        low, high = _quantiles(values[j], levels)
        if method == "wilson":
            n_rarer = float(evaluation.n_rarer[j])
            low, high = _by_spread(estimates[j], values[j], n_rarer, confidence)
        ends = {"estimate": float(estimates[j]), "low": low, "high": high}
        intervals.append({"category": record.pop("category"), **ends, **record})
    return intervals


@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
def compare_scores(
    y_true: ArrayLike,
    score_a: ArrayLike,
    score_b: ArrayLike,
    *,
    metric: Metric = "roc_auc",
    sample_weight: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    n_resamples: int = 2000,
    confidence: float = 0.95,
    random_state: RandomStateLike = None,
) -> list[dict[str, Any]]:
    """Test whether two models score differently on the same rows.

    Both are scored on the same draws of rows, or of whole groups, over known labels
    only: what is easy or hard for both then cancels out of their difference.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, n_categories) or (n_samples,)
        1 positive, 0 negative, NaN unknown, in any form that
        :func:`cftlearn.labels.check_partial_labels` accepts. 1-D: two classes of any
        kind, all known; the greater one is positive.
    score_a, score_b : array-like of the shape of ``y_true``
        Probabilities or raw logits of the two models, not necessarily on one scale.
        NaN and infinities are not accepted.
    metric : {"roc_auc", "average_precision"}, default="roc_auc"
        What to score by. Ties are treated as scikit-learn does.
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_categories), \
default=None
        How much each label counts, see the :ref:`User Guide <weighted_labels>`: 0 or
        more where a label is known. A label of weight 0 is unknown.
    groups : array-like of shape (n_samples,), default=None
        What is drawn as a whole: the patient or study of every row.
    n_resamples : int, default=2000
        How many draws, at least 2. No p-value is below ``2 / (n_resamples + 1)``.
    confidence : float, default=0.95
        Share in (0, 1) of such intervals that should hold the true difference.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws.

    Returns
    -------
    differences : list of dict, one per category and one for their mean
        Keys ``category`` (None for the mean, which is last), ``score_a``,
        ``score_b``, ``difference`` (a minus b), ``low``, ``high`` (of the
        difference, quantiles of the draws), ``p_value`` in (0, 1], ``n_positive`` and
        ``n_negative`` (known labels), ``n_undefined`` (draws left out because they
        lack a class). ``pandas.DataFrame(differences)`` is the table. NaN for a
        category without a known positive or a known negative; such categories are left
        out of the mean.

    Raises
    ------
    TypeError, ValueError
        If labels, scores or weights are not accepted, shapes, names of columns or row
        labels differ, or a parameter is out of its range.

    Warns
    -----
    UndefinedCategoryWarning
        Once, naming all categories that are NaN.

    See Also
    --------
    bootstrap_intervals : How sure one model's scores are.

    Notes
    -----
    The p-value is two-sided and the interval's own: twice the smaller share of draws in
    which the difference is not above, or not below, zero, the estimate itself
    counted as one draw more on that side, and at most 1 [1]_. It is below ``1 -
    confidence`` where the interval excludes zero, up to the steps of the draws. For ROC
    AUC it estimates what DeLong's test [2]_ computes from a normal approximation. With
    many categories some p-values are small by chance: trust the mean, or correct
    them (Holm) first.

    References
    ----------
    .. [1] Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 15
       and 16.
    .. [2] DeLong et al., "Comparing the Areas under Two or More Correlated Receiver
       Operating Characteristic Curves: A Nonparametric Approach", Biometrics 44, 1988.

    Examples
    --------
    >>> import numpy as np
    >>> from cftlearn.metrics import compare_scores
    >>> rng = np.random.default_rng(0)
    >>> y_true = rng.integers(0, 2, size=(300, 2))
    >>> good = y_true + rng.standard_normal(y_true.shape)
    >>> bad = y_true + 3 * rng.standard_normal(y_true.shape)
    >>> mean = compare_scores(y_true, good, bad, random_state=0)[-1]
    >>> bool(mean["difference"] > 0.1), bool(mean["p_value"] < 0.01)
    (True, True)
    """
    check_score_tables(score_a=score_a, score_b=score_b)
    check_same_rows(y_true=y_true, score_a=score_a, groups=groups)
    both = {"score_a": score_a, "score_b": score_b}
    evaluation = _prepare(y_true, both, groups, sample_weight)
    n_units = evaluation.n_units
    a, b = _evaluate(evaluation, metric, iter([np.ones((n_units, 1))]))[:, :, 0]
    draws = _draws(n_units, n_resamples, random_state)
    of_a, of_b = _evaluate(evaluation, metric, draws)
    values = of_a - of_b
    levels = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    differences = []
    for j, record in enumerate(_records(evaluation, values)):
        low, high = _quantiles(values[j], levels)
        tested = {
            "score_a": float(a[j]),
            "score_b": float(b[j]),
            "difference": float(a[j] - b[j]),
            "low": low,
            "high": high,
            "p_value": _two_sided(values[j]),
        }
        differences.append({"category": record.pop("category"), **tested, **record})
    return differences


def _prepare(
    y_true: ArrayLike,
    all_scores: dict[str, ArrayLike],
    groups: ArrayLike | None,
    sample_weight: ArrayLike | None,
) -> _Evaluation:
    """Check labels and scores, and sort the known rows of every category."""
    pairs = [
        read_pair(y_true, scores, "score", name) for name, scores in all_scores.items()
    ]
    known = np.logical_and.reduce([own.known for own, _ in pairs])
    labels, weights = weigh_labels(
        pairs[0][0].restricted_to(known), sample_weight, y_true, y_name="y_true"
    )
    known = labels.known
    y = labels.values == 1.0
    n_positive = (y & known).sum(axis=0)
    n_negative = (~y & known).sum(axis=0)
    defined = (n_positive > 0) & (n_negative > 0)
    if not defined.all():
        _warn_undefined(labels.categories[~defined], len(defined))
    unit_of_row, n_units = _read_units(groups, len(y))

    n_rarer = np.array(
        [
            min(
                _count_units(unit_of_row, own & known[:, j], taken(weights, (..., j)))
                for own in (y[:, j], ~y[:, j])
            )
            for j in range(y.shape[1])
        ]
    )

    def rank(scores: Scores, j: np.intp) -> RankedRows:
        rows = known[:, j]
        own = taken(weights, (rows, j))
        return rank_rows(scores[rows, j], y[rows, j], unit_of_row[rows], n_units, own)

    return _Evaluation(
        [*map(str, labels.categories), None],
        np.append(n_positive, n_positive[defined].sum()),
        np.append(n_negative, n_negative[defined].sum()),
        defined,
        [[rank(scores, j) for j in np.flatnonzero(defined)] for _, scores in pairs],
        n_units,
        np.append(n_rarer, min(n_rarer[defined].sum(), n_units)),
    )


def _count_units(
    unit_of_row: NDArray[np.intp], rows: NDArray[np.bool_], weight: Weights | None
) -> float:
    """Count the units that have some rows; effectively, if these have weights."""
    own = unit_of_row[rows]
    if weight is None:
        return float(len(np.unique(own)))
    total = np.bincount(own, weights=weight[rows]).astype(np.float64)
    return effective_count(total, total > 0)


def _read_units(
    groups: ArrayLike | None, n_samples: int
) -> tuple[NDArray[np.intp], int]:
    if groups is None:
        return np.arange(n_samples), n_samples
    unit_of_row, names = number_groups(groups)
    if len(unit_of_row) != n_samples:
        raise ValueError(
            "`groups` must name the group of every row of `y_true`; got "
            f"{len(unit_of_row)} for {n_samples} rows."
        )
    if len(names) < 2:
        raise ValueError(
            f"`groups` must name at least two groups to draw from; got {names[0]!r} "
            "in every row. Pass groups=None to draw rows."
        )
    return unit_of_row, len(names)


def _evaluate(
    evaluation: _Evaluation, metric: Metric, weightings: Iterator[Floats]
) -> Floats:
    """Score every model under every weighting: (n_models, n_categories + 1, ...)."""
    weigh = _METRICS[metric]
    n_models, n_categories = len(evaluation.ranked), len(evaluation.defined)
    parts = []
    for weights in weightings:
        values = np.full((n_models, n_categories + 1, weights.shape[1]), np.nan)
        for model, all_ranked in enumerate(evaluation.ranked):
            columns = np.flatnonzero(evaluation.defined)
            for j, ranked in zip(columns, all_ranked, strict=True):
                values[model, j] = weigh(ranked, weights)
        values[:, -1] = _mean_of_defined(values[:, :-1])
        parts.append(values)
    return np.concatenate(parts, axis=2)


def _mean_of_defined(values: Floats) -> Floats:
    is_defined = ~np.isnan(values)
    n_defined = is_defined.sum(axis=1)
    total = np.where(is_defined, values, 0.0).sum(axis=1)
    return np.where(n_defined > 0, total / np.maximum(n_defined, 1), np.nan)


def _draws(
    n_units: int, n_resamples: int, random_state: RandomStateLike
) -> Iterator[Floats]:
    """Count how often each draw takes each unit, some draws at a time."""
    seed = check_random_state(random_state).randint(2**31 - 1)
    rng = np.random.default_rng(seed)
    size = max(_MOST_WEIGHTS // n_units, 1)
    for start in range(0, n_resamples, size):
        weights = np.empty((n_units, min(size, n_resamples - start)))
        for draw in range(weights.shape[1]):
            taken = rng.integers(n_units, size=n_units)
            weights[:, draw] = np.bincount(taken, minlength=n_units)
        yield weights


def _blocks_left_out(n_units: int) -> Iterator[Floats]:
    """Weigh every unit by 1, but the units of one block after another by 0."""
    n_blocks = min(n_units, _MOST_BLOCKS)
    block_of_unit = np.random.default_rng(0).permutation(n_units) % n_blocks
    size = max(_MOST_WEIGHTS // n_units, 1)
    for start in range(0, n_blocks, size):
        blocks = np.arange(start, min(start + size, n_blocks))
        yield (block_of_unit[:, np.newaxis] != blocks).astype(np.float64)


def _corrected(
    levels: Floats, estimate: float, values: Floats, left_out: Floats
) -> Floats:
    r"""Correct the levels of quantiles for bias and for skewness.

    Notes
    -----
    Level :math:`\alpha` becomes

    .. math:: \Phi\left(z_0 + \frac{z_0 + z_\alpha}{1 - a (z_0 + z_\alpha)}\right)

    with the normal quantile :math:`z_\alpha`, the bias :math:`z_0` (the quantile of the
    share of draws below the estimate, ties counted half) and the acceleration
    :math:`a = \sum_i u_i^3 / (6 (\sum_i u_i^2)^{3/2})`, where :math:`u_i` is by how
    much the score without block :math:`i` falls short of the mean of these scores.
    """
    values = values[~np.isnan(values)]
    left_out = left_out[~np.isnan(left_out)]
    if not len(values) or not len(left_out):
        return levels
    below = (np.mean(values < estimate) + np.mean(values <= estimate)) / 2
    step = 1 / (len(values) + 1)
    bias = ndtri(np.clip(below, step, 1 - step))
    influence = left_out.mean() - left_out
    spread = np.sum(influence**2) ** 1.5
    skewness = np.sum(influence**3) / (6 * spread) if spread > 0 else 0.0
    shifted = bias + ndtri(levels)
    room = np.maximum(1 - skewness * shifted, np.finfo(np.float64).tiny)
    corrected: Floats = ndtr(bias + np.clip(shifted / room, -100, 100))
    return corrected


def _quantiles(values: Floats, levels: Floats) -> tuple[float, float]:
    values = values[~np.isnan(values)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values, levels)
    return float(low), float(high)


def _by_spread(
    estimate: float, values: Floats, n_rarer: float, confidence: float
) -> tuple[float, float]:
    if n_rarer < FEWEST:
        return float("nan"), float("nan")
    spread = unbiased_spread(values, n_rarer)
    return wilson_interval(float(estimate), spread, n_rarer, confidence)


def _two_sided(differences: Floats) -> float:
    """Compute the p-value of no difference, by how many draws lie on either side."""
    differences = differences[~np.isnan(differences)]
    if not len(differences):
        return float("nan")
    fewer = min(np.sum(differences <= 0), np.sum(differences >= 0))
    return min(float(2 * (fewer + 1) / (len(differences) + 1)), 1.0)


def _records(evaluation: _Evaluation, values: Floats) -> Iterator[dict[str, Any]]:
    """Describe every category and their mean, but for the scores."""
    for j, name in enumerate(evaluation.names):
        yield {
            "category": name,
            "n_positive": int(evaluation.n_positive[j]),
            "n_negative": int(evaluation.n_negative[j]),
            "n_undefined": int(np.isnan(values[j]).sum()),
        }


def _warn_undefined(categories: NDArray[Any], n_categories: int) -> None:
    shown = list_some([repr(str(name)) for name in categories], 10)
    warnings.warn(
        f"{len(categories)} of {n_categories} categories have no score, because they "
        f"have no known positive or no known negative: {shown}. Their scores and "
        "intervals are NaN and they are left out of the mean.",
        UndefinedCategoryWarning,
        stacklevel=4,  # past the decorator of the public function
    )
