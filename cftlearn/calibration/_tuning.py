"""The threshold of every category that scores best on known labels."""

import re
import warnings
from collections.abc import Callable
from functools import partial
from inspect import signature
from numbers import Integral, Real
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cftlearn._dependencies import Interval, StrOptions, validate_params
from cftlearn.exceptions import UndefinedCategoryWarning, list_some
from cftlearn.labels import check_partial_labels
from cftlearn.labels._encoding import is_one_dimensional
from cftlearn.labels._names import check_same_rows
from cftlearn.labels._plain_arrays import read_numbers
from cftlearn.labels._weights import (
    effective_count,
    joined_weights,
    taken,
    weigh_labels,
)
from cftlearn.metrics._partial import check_score_names, read_pair

Floats = NDArray[np.float64]
Metric = str | Callable[[NDArray[np.int64], NDArray[np.int64]], float]

_FBETA = re.compile(r"f(\d+(?:\.\d+)?)")
_ROUNDING = 1e-12  # by which equal scores, and a bound that is met, may differ
_AT_LEAST = re.compile(r"(recall|precision|specificity)\s*>=\s*(\d*\.?\d+)")


@validate_params(
    {
        "metric": [str, callable],
        "min_labels": [Interval(Integral, 1, None, closed="left")],
        "rare": [StrOptions({"pooled", "default"})],
        "default": [Interval(Real, 0, 1, closed="both")],
        "return_report": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def tune_thresholds(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    metric: Metric = "f1",
    sample_weight: ArrayLike | None = None,
    min_labels: int = 10,
    rare: str = "pooled",
    default: float = 0.5,
    return_report: bool = False,
) -> Floats | tuple[Floats, list[dict[str, Any]]]:
    """Choose the threshold of every category by its known labels.

    Every way to cut the scores of a category in two is tried, at the cost of one sort.
    Thresholds lie midway between scores. Do not choose them on labels that fitted the
    model, whose scores are too good: pass :func:`held_out_predictions`, or out-of-fold
    predictions.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, n_categories) or (n_samples,)
        1 positive, 0 negative, NaN unknown, in any form that
        :func:`cftlearn.labels.check_partial_labels` accepts. 1-D: two classes of any
        kind, all known; the greater one is positive.
    y_proba : array-like of the shape of ``y_true``
        Probabilities of the positive class in [0, 1]; raw logits are not accepted. May
        be NaN where the label is unknown.
    metric : str or callable, default="f1"
        What to maximise: ``"f1"``, ``"f2"``, ``"f0.5"`` and so on, F-beta;
        ``"youden"``, recall and specificity together; ``"recall>=0.9"``, the precision
        where the recall is at least that; ``"specificity>=0.9"`` and
        ``"precision>=0.9"``, the recall where these are. Or
        ``metric(y_true, y_pred) -> float``, higher for better, which is called with 1
        and 0 for every cut and category, and therefore slow for many rows.
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_categories), \
default=None
        How much each label counts in the metric, see the
        :ref:`User Guide <weighted_labels>`: 0 or more where a label is known. A label
        of weight 0 is unknown. A callable ``metric`` must take ``sample_weight`` then.
    min_labels : int, default=10
        With fewer known labels of its rarer class, a category gets no threshold of its
        own: that would depend on chance. With weights these are effective labels: the
        square of the sum of weights over the sum of their squares.
    rare : {"pooled", "default"}, default="pooled"
        What such a category takes: the threshold that scores best over the labels of
        all categories together, or ``default``.
    default : float, default=0.5
        Threshold where there is no other, in [0, 1]: no label of one class, or no cut
        that meets the metric's condition. Of several cuts with the same score, the
        nearest to it is taken.
    return_report : bool, default=False
        Also return what was found for each category.

    Returns
    -------
    thresholds : ndarray of shape (n_categories,), float64
        Probabilities from which a category is positive; the ``threshold`` of
        :class:`cftlearn.CFTClassifier`.
    report : list of dict, one per category
        With ``return_report=True``: ``category``, ``n_positive``, ``n_negative``,
        ``threshold``, its ``source`` ("own", "pooled" or "default") with a ``reason``,
        and ``score``, what it reaches on these labels: more than it will on others.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range, labels, probabilities or weights are not
        accepted, shapes, names of columns or row labels differ, or ``metric`` gives no
        finite number, or takes no weights that there are.

    Warns
    -----
    UndefinedCategoryWarning
        Once, naming the categories that have no threshold of their own.

    See Also
    --------
    held_out_predictions : Predictions of labels that were held out of the refits.
    sklearn.model_selection.TunedThresholdClassifierCV : For one target, all known.

    Examples
    --------
    >>> from cftlearn.calibration import tune_thresholds
    >>> y_true = [[1.0], [1.0], [0.0], [0.0], [float("nan")]]
    >>> y_proba = [[0.4], [0.3], [0.2], [0.1], [0.9]]
    >>> tune_thresholds(y_true, y_proba, min_labels=1)
    array([0.25])
    """
    score = _make_score(metric)
    names, columns = _read_columns(y_true, y_proba, sample_weight)
    if callable(metric) and any(own.weight is not None for own in columns):
        _check_takes_weights(metric)
    pooled = _best(_joined(columns), score, default) if rare == "pooled" else None
    report = []
    for name, column in zip(names, columns, strict=True):
        choice = _choose(column, score, pooled, min_labels, default)
        n_positive = int(np.count_nonzero(column.y))
        counts = {"n_positive": n_positive, "n_negative": len(column.y) - n_positive}
        report.append({"category": str(name)} | counts | choice)
    _warn_of_rare(report)
    thresholds = np.array([line["threshold"] for line in report])
    return (thresholds, report) if return_report else thresholds


class _Column(NamedTuple):
    """The known labels of a category, their probabilities and weights."""

    y: NDArray[np.bool_]
    proba: Floats
    weight: Floats | None


class _Cuts(NamedTuple):
    """Every way to call the highest scores of a category positive.

    Attributes
    ----------
    y : ndarray of shape (n_known,), bool
        Labels, in the order of falling scores.
    thresholds : ndarray of shape (n_cuts,), float64
        Falling.
    n_called : ndarray of shape (n_cuts,), int
        How many samples are then called positive.
    weight : ndarray of shape (n_known,), or None
        Weights, in the order of the labels; None if all count alike.
    """

    y: NDArray[np.bool_]
    thresholds: Floats
    n_called: NDArray[np.intp]
    weight: Floats | None = None

    @classmethod
    def of(cls, column: _Column) -> Self:
        """Sort once, and cut between scores that differ."""
        y, proba, weight = column
        order = np.argsort(-proba, kind="stable")
        ordered = proba[order]
        n_called = np.append(np.flatnonzero(np.diff(ordered)) + 1, len(ordered))
        above, below = ordered[n_called - 1], np.append(ordered[n_called[:-1]], 0.0)
        middle = below + (above - below) / 2
        # of neighbouring floats the middle is one of the two
        thresholds = np.where(middle > below, middle, above)
        if ordered[0] < 1.0:  # a cut above all scores, where nothing is positive
            highest = ordered[0] + (1.0 - ordered[0]) / 2
            highest = highest if highest > ordered[0] else 1.0
            thresholds = np.append(highest, thresholds)
            n_called = np.append(0, n_called)
        return cls(y[order], thresholds, n_called, taken(weight, order))

    def counts(self) -> tuple[Floats, Floats]:
        """Count right and wrong ones among the samples called positive, by weight.

        The cut that calls all of them positive is the last one.
        """
        weight = np.ones(len(self.y)) if self.weight is None else self.weight
        both = (np.where(kind, weight, 0.0) for kind in (self.y, ~self.y))
        right, wrong = (np.append(0.0, np.cumsum(own))[self.n_called] for own in both)
        return right, wrong

    def rates(self) -> tuple[Floats, Floats, Floats]:
        """Compute precision (0 where nothing is positive), recall and specificity."""
        right, wrong = self.counts()
        called = right + wrong
        precision = right / np.where(called > 0, called, 1.0)
        return precision, right / right[-1], 1.0 - wrong / wrong[-1]


Score = Callable[[_Cuts], Floats]


def _make_score(metric: Metric) -> Score:
    """Build a function of cuts from ``metric``; -inf where its condition is not met."""
    if callable(metric):
        return partial(_score_by_calls, metric)
    if metric == "youden":
        return _youden
    beta = _FBETA.fullmatch(metric)
    if beta and float(beta[1]) > 0:
        return partial(_f_beta, float(beta[1]))
    bound = _AT_LEAST.fullmatch(metric)
    if bound and 0 < float(bound[2]) <= 1:
        return partial(_at_least, bound[1], float(bound[2]))
    raise ValueError(
        "`metric` must be 'f1' or another F-beta, 'youden', 'recall>=0.9' (or "
        "specificity, precision, and another number in (0, 1]), or a callable "
        f"metric(y_true, y_pred); got {metric!r}."
    )


def _f_beta(beta: float, cuts: _Cuts) -> Floats:
    right, wrong = cuts.counts()
    called = right + wrong
    weighed: Floats = (1 + beta**2) * right / (beta**2 * right[-1] + called)
    return weighed


def _youden(cuts: _Cuts) -> Floats:
    _, recall, specificity = cuts.rates()
    return recall + specificity - 1.0


def _at_least(what: str, bound: float, cuts: _Cuts) -> Floats:
    precision, recall, specificity = cuts.rates()
    held = {"recall": recall, "precision": precision, "specificity": specificity}[what]
    free = precision if what == "recall" else recall
    met: Floats = np.where(held >= bound - _ROUNDING, free, -np.inf)
    return met


def _score_by_calls(metric: Callable[..., float], cuts: _Cuts) -> Floats:
    y = cuts.y.astype(np.int64)
    rank = np.arange(len(y))
    extra = {} if cuts.weight is None else {"sample_weight": cuts.weight}
    values = np.array(
        [metric(y, (rank < n).astype(np.int64), **extra) for n in cuts.n_called],
        dtype=np.float64,
    )
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError(
            "`metric` must return one finite number for every pair of labels and "
            f"decisions; got shape {values.shape[1:]} and "
            f"{np.count_nonzero(~np.isfinite(values))} that are not finite, of "
            f"{len(values)}."
        )
    return values


def _check_takes_weights(metric: Callable[..., float]) -> None:
    """Refuse a callable that would score labels as if they had no weights."""
    try:
        signature(metric).bind(None, None, sample_weight=None)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "`metric` must take the weights of labels where `sample_weight` is given, "
            "as metric(y_true, y_pred, *, sample_weight=None); got "
            f"{getattr(metric, '__name__', type(metric).__name__)!r}, which does not. "
            "Add the argument, or pass sample_weight=None."
        ) from error


def _joined(columns: list[_Column]) -> _Column:
    """Put the labels of all categories together."""
    return _Column(
        np.concatenate([own.y for own in columns]),
        np.concatenate([own.proba for own in columns]),
        joined_weights(
            [own.weight for own in columns], [len(own.y) for own in columns]
        ),
    )


def _best(column: _Column, score: Score, default: float) -> tuple[float, float] | None:
    """Return the best threshold and its score; None where there is none."""
    if not column.y.any() or column.y.all():
        return None
    cuts = _Cuts.of(column)
    values = score(cuts)
    best = float(values.max())
    if best == -np.inf:
        return None
    equal = cuts.thresholds[values >= best - _ROUNDING * max(abs(best), 1.0)]
    return float(equal[np.argmin(np.abs(equal - default))]), best


def _choose(
    column: _Column,
    score: Score,
    pooled: tuple[float, float] | None,
    min_labels: int,
    default: float,
) -> dict[str, Any]:
    """Choose the threshold of a category: its own, that of all, or the default."""
    n_rarer = min(effective_count(column.weight, own) for own in (column.y, ~column.y))
    kind = "known" if column.weight is None else "effective"
    reason = f"{n_rarer:.4g} {kind} labels of the rarer class"
    if n_rarer >= min_labels:
        found = _best(column, score, default)
        if found is not None:
            return _line("own", reason, *found)
        return _line("default", "no cut meets the condition", default)
    reason += f", fewer than {min_labels}"
    if pooled is None:
        return _line("default", reason, default)
    return _line("pooled", reason, pooled[0])


def _line(
    source: str, reason: str, threshold: float, score: float = np.nan
) -> dict[str, Any]:
    return {
        "threshold": threshold,
        "source": source,
        "reason": reason,
        "score": score,
    }


def _read_columns(
    y_true: ArrayLike, y_proba: ArrayLike, sample_weight: ArrayLike | None
) -> tuple[NDArray[Any], list[_Column]]:
    """Read the known labels of every category, their probabilities and weights."""
    check_same_rows(y_true=y_true, y_proba=y_proba, sample_weight=sample_weight)
    proba: Any = read_numbers(y_proba, "y_proba")
    if not is_one_dimensional(y_true):
        labels = check_partial_labels(y_true, input_name="y_true")
        check_score_names(y_true, y_proba, "y_proba")
        if proba.shape == labels.values.shape:
            never_read = ~labels.known & np.isnan(proba)
            proba = np.where(never_read, proba.dtype.type(0), proba)
    labels, scores = read_pair(y_true, proba, "probability")
    labels, weights = weigh_labels(labels, sample_weight, y_true, y_name="y_true")
    columns = []
    for j, own in enumerate(scores.T):
        rows, y = labels.of_category(j)[:2]
        columns.append(
            _Column(y, own[rows].astype(np.float64), taken(weights, (rows, j)))
        )
    return labels.categories, columns


def _warn_of_rare(report: list[dict[str, Any]]) -> None:
    others = [
        f"{record['category']!r} ({record['source']}: {record['reason']})"
        for record in report
        if record["source"] != "own"
    ]
    if not others:
        return
    warnings.warn(
        f"{len(others)} of {len(report)} categories have no threshold of their own: "
        f"{list_some(others, 10, separator='; ')}.",
        UndefinedCategoryWarning,
        stacklevel=4,  # past the decorator of the public function
    )
