"""Multi-label metrics that skip unknown labels."""

import warnings
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cftlearn._dependencies import StrOptions, validate_params
from cftlearn.exceptions import UndefinedCategoryWarning, list_some
from cftlearn.labels import PartialLabels, check_partial_labels
from cftlearn.labels._encoding import (
    as_one_category,
    is_one_dimensional,
    read_classes,
)
from cftlearn.labels._names import (
    check_columns,
    check_same_rows,
    column_names,
    order_of,
)
from cftlearn.labels._plain_arrays import read_numbers, refuse_masked
from cftlearn.labels._weights import (
    Weights,
    taken,
    total_weight,
    weigh_labels,
)
from cftlearn.metrics._ranking import batch_average_precision, batch_roc_auc
from cftlearn.metrics._unscored import leave_out_unscored

Average = Literal["macro", "micro", "weighted"] | None
Kind = Literal["score", "probability", "decision"]
Scores = NDArray[np.floating[Any]]
Metric = Callable[[NDArray[np.bool_], Scores, Weights | None], float]
_NAMES: dict[Kind, str] = {
    "score": "y_score",
    "probability": "y_proba",
    "decision": "y_pred",
}
_TABLE_HINT = (
    "A list of arrays from predict_proba of a multi-output classifier becomes one "
    "table with np.column_stack([p[:, 1] for p in proba])."
)
_CONSTRAINTS: dict[str, list[Any]] = {
    "average": [StrOptions({"macro", "micro", "weighted"}), None]
}


@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
def partial_roc_auc_score(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    average: Average = "macro",
    sample_weight: ArrayLike | None = None,
) -> float | NDArray[np.float64]:
    """Compute the area under the ROC curve over known labels.

    Every category is scored on the rows where its label is known. Cost is
    O(n_samples log n_samples) per category.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, n_categories) or (n_samples,)
        1 positive, 0 negative, NaN unknown, in any form that
        :func:`cftlearn.labels.check_partial_labels` accepts. 1-D: two classes of any
        kind, all known; the greater one is positive.
    y_score : array-like of the shape of ``y_true``
        Probabilities or raw logits, higher for positives. NaN and infinities are
        not accepted, nor the list that scikit-learn's multi-output classifiers return.
    average : {"macro", "micro", "weighted"} or None, default="macro"
        ``"macro"`` is the mean over categories, ``"weighted"`` weighs them by known
        positives, ``"micro"`` pools all known labels, None returns every category.
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_categories), \
default=None
        How much each label counts, see the :ref:`User Guide <weighted_labels>`: 0 or
        more where a label is known. A label of weight 0 is unknown.

    Returns
    -------
    score : float, or ndarray of shape (n_categories,) if ``average=None``
        Between 0 and 1, higher is better. NaN for a category without a known
        positive or a known negative; such categories are left out of the average.

    Raises
    ------
    TypeError, ValueError
        If labels, scores or weights are not accepted, or shapes, names of columns or
        row labels differ.

    Warns
    -----
    UndefinedCategoryWarning
        Once, naming all categories that are NaN.

    See Also
    --------
    sklearn.metrics.roc_auc_score : The same where every label is known.

    Examples
    --------
    >>> import numpy as np
    >>> from cftlearn.metrics import partial_roc_auc_score
    >>> y_true = np.array([[1, 0], [0, np.nan], [1, 1], [0, 1]])
    >>> y_score = np.array([[0.9, 0.2], [0.1, 0.9], [0.3, 0.8], [0.4, 0.1]])
    >>> partial_roc_auc_score(y_true, y_score, average=None)
    array([0.75, 0.5 ])
    """
    return _averaged(
        _roc_auc, "ROC AUC", y_true, y_score, average, sample_weight, kind="score"
    )


@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
def partial_average_precision_score(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    average: Average = "macro",
    sample_weight: ArrayLike | None = None,
) -> float | NDArray[np.float64]:
    """Compute the average precision over known labels.

    With ``average="macro"`` this is the mAP of the multi-label literature. Cost is
    O(n_samples log n_samples) per category.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, n_categories) or (n_samples,)
        1 positive, 0 negative, NaN unknown, in any form that
        :func:`cftlearn.labels.check_partial_labels` accepts. 1-D: two classes of any
        kind, all known; the greater one is positive.
    y_score : array-like of the shape of ``y_true``
        Probabilities or raw logits, higher for positives. NaN and infinities are
        not accepted, nor the list that scikit-learn's multi-output classifiers return.
    average : {"macro", "micro", "weighted"} or None, default="macro"
        ``"macro"`` is the mean over categories, ``"weighted"`` weighs them by known
        positives, ``"micro"`` pools all known labels, None returns every category.
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_categories), \
default=None
        How much each label counts, see the :ref:`User Guide <weighted_labels>`: 0 or
        more where a label is known. A label of weight 0 is unknown.

    Returns
    -------
    score : float, or ndarray of shape (n_categories,) if ``average=None``
        Between 0 and 1, higher is better. NaN for a category without a known
        positive or a known negative; such categories are left out of the average.

    Raises
    ------
    TypeError, ValueError
        If labels, scores or weights are not accepted, or shapes, names of columns or
        row labels differ.

    Warns
    -----
    UndefinedCategoryWarning
        Once, naming all categories that are NaN.

    See Also
    --------
    sklearn.metrics.average_precision_score : The same where every label is known.

    Examples
    --------
    >>> import numpy as np
    >>> from cftlearn.metrics import partial_average_precision_score
    >>> y_true = np.array([[1, 0], [0, np.nan], [1, 1], [0, 1]])
    >>> y_score = np.array([[0.9, 0.2], [0.1, 0.9], [0.8, 0.8], [0.4, 0.1]])
    >>> partial_average_precision_score(y_true, y_score)
    0.916...
    """
    return _averaged(
        _average_precision,
        "Average precision",
        y_true,
        y_score,
        average,
        sample_weight,
        kind="score",
    )


@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
def partial_log_loss(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    average: Average = "macro",
    sample_weight: ArrayLike | None = None,
) -> float | NDArray[np.float64]:
    """Compute the log loss (binary cross-entropy) over known labels.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, n_categories) or (n_samples,)
        1 positive, 0 negative, NaN unknown, in any form that
        :func:`cftlearn.labels.check_partial_labels` accepts. 1-D: two classes of any
        kind, all known; the greater one is positive.
    y_proba : array-like of the shape of ``y_true``
        Probabilities of the positive class in [0, 1]; raw logits are not accepted.
        0 and 1 are clipped by the machine epsilon of their type, as scikit-learn
        does.
    average : {"macro", "micro", "weighted"} or None, default="macro"
        ``"macro"`` is the mean over categories, ``"weighted"`` weighs them by known
        positives, ``"micro"`` pools all known labels, None returns every category.
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_categories), \
default=None
        How much each label counts, see the :ref:`User Guide <weighted_labels>`: 0 or
        more where a label is known. A label of weight 0 is unknown.

    Returns
    -------
    loss : float, or ndarray of shape (n_categories,) if ``average=None``
        In nats per label, 0 or more, lower is better. NaN for a category without a
        known positive or a known negative; such categories are left out of the
        average.

    Raises
    ------
    TypeError, ValueError
        If labels, probabilities or weights are not accepted, or shapes, names of
        columns or row labels differ.

    Warns
    -----
    UndefinedCategoryWarning
        Once, naming all categories that are NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from cftlearn.metrics import partial_log_loss
    >>> partial_log_loss([[1.0], [0.0], [np.nan]], [[0.5], [0.5], [0.9]])
    0.693...
    """
    return _averaged(
        _log_loss,
        "Log loss",
        y_true,
        y_proba,
        average,
        sample_weight,
        kind="probability",
    )


@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
def partial_f1_score(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    average: Average = "macro",
    sample_weight: ArrayLike | None = None,
) -> float | NDArray[np.float64]:
    """Compute the F1 score over known labels.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, n_categories) or (n_samples,)
        1 positive, 0 negative, NaN unknown, in any form that
        :func:`cftlearn.labels.check_partial_labels` accepts. 1-D: two classes of any
        kind, all known; the greater one is positive.
    y_pred : array-like of the shape of ``y_true``
        Decisions 1 or 0 (in 1-D: the classes), not probabilities.
    average : {"macro", "micro", "weighted"} or None, default="macro"
        ``"macro"`` is the mean over categories, ``"weighted"`` weighs them by known
        positives, ``"micro"`` pools all known labels, None returns every category.
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_categories), \
default=None
        How much each label counts, see the :ref:`User Guide <weighted_labels>`: 0 or
        more where a label is known. A label of weight 0 is unknown.

    Returns
    -------
    score : float, or ndarray of shape (n_categories,) if ``average=None``
        Between 0 and 1, higher is better. NaN for a category without a known
        positive or a known negative; such categories are left out of the average.

    Raises
    ------
    TypeError, ValueError
        If labels, decisions or weights are not accepted, or shapes, names of columns
        or row labels differ.

    Warns
    -----
    UndefinedCategoryWarning
        Once, naming all categories that are NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from cftlearn.metrics import partial_f1_score
    >>> partial_f1_score([[1.0], [0.0], [np.nan], [1.0]], [[1], [0], [1], [0]])
    0.666...
    """
    return _averaged(_f1, "F1", y_true, y_pred, average, sample_weight, kind="decision")


def _roc_auc(y: NDArray[np.bool_], score: Scores, weight: Weights | None) -> float:
    return float(batch_roc_auc(score[np.newaxis], y, sample_weight=weight)[0])


def _average_precision(
    y: NDArray[np.bool_], score: Scores, weight: Weights | None
) -> float:
    return float(batch_average_precision(score[np.newaxis], y, sample_weight=weight)[0])


def _log_loss(y: NDArray[np.bool_], proba: Scores, weight: Weights | None) -> float:
    tiny = np.finfo(proba.dtype).eps
    right = np.clip(np.where(y, proba, 1 - proba), tiny, 1 - tiny)
    if weight is not None:
        return float(-np.average(np.log(right), weights=weight))
    return float(-np.mean(np.log(right), dtype=np.float64))


def _f1(y: NDArray[np.bool_], pred: Scores, weight: Weights | None) -> float:
    decided = pred == 1.0
    right, real, called = (
        total_weight(weight, each) for each in (y & decided, y, decided)
    )
    return 2 * right / (real + called)


def _averaged(
    metric: Metric,
    metric_name: str,
    y_true: ArrayLike,
    y_other: ArrayLike,
    average: Average,
    sample_weight: ArrayLike | None,
    *,
    kind: Kind,
) -> float | NDArray[np.float64]:
    """Evaluate a metric per category, or pooled, and average as asked."""
    labels, scores = read_pair(y_true, y_other, kind)
    labels, weights = weigh_labels(labels, sample_weight, y_true, y_name="y_true")
    y = labels.values == 1.0
    n_positive = (y & labels.known).sum(axis=0)
    n_negative = (~y & labels.known).sum(axis=0)
    defined = (n_positive > 0) & (n_negative > 0)
    if average == "micro":
        known = labels.known
        if not (n_positive.sum() and n_negative.sum()):
            _warn_undefined(metric_name, labels.categories, len(defined))
            return float("nan")
        return metric(y[known], scores[known], taken(weights, known))
    values = np.full(len(defined), np.nan)
    for j in np.flatnonzero(defined):
        rows = labels.known[:, j]
        values[j] = metric(y[rows, j], scores[rows, j], taken(weights, (rows, j)))
    if not defined.all():
        _warn_undefined(metric_name, labels.categories[~defined], len(defined))
    if average is None:
        return values
    if not defined.any():
        return float("nan")
    shares = None
    if average == "weighted":
        shares = _positives(labels, weights)[defined]
    return float(np.average(values[defined], weights=shares))


def _positives(labels: PartialLabels, weights: Weights | None) -> NDArray[Any]:
    """Count the known positives of every category, or sum their weights."""
    positive = labels.known & (labels.values == 1.0)
    counts: NDArray[Any] = positive.sum(axis=0)
    return counts if weights is None else np.where(positive, weights, 0.0).sum(axis=0)


def _warn_undefined(
    metric_name: str, categories: NDArray[Any], n_categories: int
) -> None:
    shown = list_some([repr(name) for name in categories], 10)
    warnings.warn(
        f"{metric_name} is undefined for {len(categories)} of {n_categories} "
        "categories, because they have no known positive or no known negative: "
        f"{shown}. Their score is NaN and they are left out of the average.",
        UndefinedCategoryWarning,
        stacklevel=5,  # past the decorator of the public function
    )


def read_pair(
    y_true: ArrayLike, y_other: ArrayLike, kind: Kind, name: str | None = None
) -> tuple[PartialLabels, Scores]:
    """Check labels, and scores of the same rows and categories.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, n_categories) or (n_samples,)
        Labels, NaN unknown; or a 1-D target of two classes, all known.
    y_other : array-like of the shape of ``y_true``
        Scores.
    kind : {"score", "probability", "decision"}
        What the scores must be: any numbers, numbers in [0, 1], or classes.
    name : str, default=None
        What errors call the scores; by default as the metrics of their kind do.

    Returns
    -------
    labels : PartialLabels
        One category for a 1-D target.
    scores : ndarray of shape (n_samples, n_categories)
        Finite, float32 or float64.

    Raises
    ------
    TypeError, ValueError
        If labels or scores are not accepted, or shapes, names of columns or row
        labels differ.
    """
    name = name or _NAMES[kind]
    check_same_rows(**{"y_true": y_true, name: y_other})
    if is_one_dimensional(y_true):
        labels, scores = _read_binary_pair(y_true, y_other, kind, name)
    else:
        labels = check_partial_labels(y_true, input_name="y_true")
        check_score_names(y_true, y_other, name)
        scores = _same_shape(_numbers(y_other, name), labels.values.shape)
    labels, scores = leave_out_unscored(
        labels, scores, are_decisions=kind == "decision"
    )
    scores = _finite(scores)
    if kind == "probability":
        _check_proba(scores)
    if kind == "decision":
        _check_decisions(scores)
    return labels, scores


def _read_binary_pair(
    y_true: ArrayLike, y_other: ArrayLike, kind: Kind, name: str
) -> tuple[PartialLabels, NDArray[Any]]:
    """Check a 1-D target, whose classes may be any two labels."""
    truth, classes = read_classes(y_true, "y_true")
    if kind != "decision":
        other = _same_shape(_numbers(y_other, name), truth.shape)
    else:  # classes of any kind, text too
        refuse_masked(y_other, name)
        other = _same_shape(np.asarray(y_other), truth.shape)
        expected = classes.tolist()
        unexpected = [c for c in dict.fromkeys(other.tolist()) if c not in expected]
        if len(expected) + len(unexpected) > 2:
            raise ValueError(
                "`y_pred` must hold the classes of `y_true`; got "
                f"{unexpected[0]!r}. Turn probabilities into decisions with "
                "y_proba >= threshold."
            )
        other = other == classes[-1]
    return as_one_category(truth == classes[-1]), other.reshape(-1, 1)


def _numbers(y_other: ArrayLike, name: str) -> Scores:
    return read_numbers(y_other, name, hint=_TABLE_HINT)


def _same_shape(scores: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    if scores.shape == shape:
        return scores
    if scores.ndim == 3:
        hint = _TABLE_HINT
    elif scores.shape == (shape[0], 2):
        columns = "1" if len(shape) == 1 else "1:"
        hint = f"Use y_score[:, {columns}], the probability of the positive class."
    else:
        hint = "Score the rows and categories of y_true, in their order."
    raise ValueError(
        f"Scores must have the shape of `y_true`, {shape}; got {scores.shape}. {hint}"
    )


def check_score_names(y_true: object, y_other: object, name: str) -> None:
    """Check that two frames have the same columns in the same order."""
    expected = column_names(y_true)
    if expected is not None:
        check_columns(
            y_other,
            expected,
            name=name,
            owner="the columns of `y_true`",
            order=order_of(y_true, "y_true"),
        )


def check_score_tables(**tables: ArrayLike) -> None:
    """Check that tables of scores of the same rows are ordered alike."""
    check_same_rows(**tables)
    (first, one), *others = tables.items()
    expected = column_names(one)
    if expected is None:
        return
    for name, other in others:
        check_columns(
            other,
            expected,
            name=name,
            owner=f"the columns of `{first}`",
            order=order_of(one, first),
        )


def _finite(scores: NDArray[Any]) -> Scores:
    """Check that scores are finite; float32 stays, all else becomes float64."""
    if scores.dtype != np.float32:
        scores = scores.astype(np.float64)
    wrong = ~np.isfinite(scores)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        n_wrong = np.count_nonzero(wrong)
        shown = "1 such cell" if n_wrong == 1 else f"{n_wrong} such cells"
        raise ValueError(
            f"Scores must be finite numbers; got {scores[row, column]} in row {row}, "
            f"column {column} ({shown}). Only `y_true` may hold "
            "NaN, for unknown labels; every cell needs a score."
        )
    return scores


def _check_proba(proba: Scores) -> None:
    if proba.min() < 0 or proba.max() > 1:
        raise ValueError(
            f"`y_proba` must hold probabilities in [0, 1]; got values from "
            f"{proba.min():.4g} to {proba.max():.4g}. Turn logits into probabilities "
            "with scipy.special.expit."
        )


def _check_decisions(pred: Scores) -> None:
    wrong = (pred != 0.0) & (pred != 1.0)
    if wrong.any():
        raise ValueError(
            f"`y_pred` must hold decisions 0 or 1; got {pred[wrong][0]:.4g}. Turn "
            "probabilities into decisions with y_proba >= threshold."
        )
