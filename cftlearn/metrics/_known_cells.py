"""Any metric of one category, over known labels only."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cftlearn._dependencies import StrOptions, validate_params
from cftlearn.exceptions import UndefinedCategoryWarning, list_some
from cftlearn.metrics._partial import Average, Kind, read_pair

_CONSTRAINTS: dict[str, list[Any]] = {
    "metric": [callable],
    "kind": [StrOptions({"score", "probability", "decision"})],
    "average": [StrOptions({"macro", "micro", "weighted"}), None],
    "needs_both_classes": ["boolean"],
}


@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
def partial_score(
    y_true: ArrayLike,
    y_other: ArrayLike,
    metric: Callable[..., float],
    *,
    kind: Kind = "score",
    average: Average = "macro",
    needs_both_classes: bool = True,
) -> float | NDArray[np.float64]:
    """Compute any metric over known labels.

    The metric is called with the known labels of one category at a time, so that any
    function of scikit-learn for two classes can be used with unknown labels.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, n_categories) or (n_samples,)
        1 positive, 0 negative, NaN unknown, in any form that
        :func:`cftlearn.labels.check_partial_labels` accepts. 1-D: two classes of any
        kind, all known; the greater one is positive.
    y_other : array-like of the shape of ``y_true``
        Scores, probabilities or decisions, as ``kind`` says.
    metric : callable
        ``metric(y_true, y_other) -> float`` of two arrays of shape (n_known,): labels 1
        and 0, and what was given for them. Bind options with ``functools.partial``.
    kind : {"score", "probability", "decision"}, default="score"
        What ``y_other`` must be: any finite numbers, numbers in [0, 1], or decisions 1
        and 0. The metric gets decisions as integers.
    average : {"macro", "micro", "weighted"} or None, default="macro"
        ``"macro"`` is the mean over categories, ``"weighted"`` weighs them by known
        positives, ``"micro"`` pools all known labels, None returns every category.
    needs_both_classes : bool, default=True
        Whether a category without a known positive or without a known negative is NaN.
        If False, one known label is enough, which is right for a metric like accuracy.

    Returns
    -------
    score : float, or ndarray of shape (n_categories,) if ``average=None``
        What the metric returns, or the mean over categories that are not NaN.

    Raises
    ------
    TypeError, ValueError
        If labels or scores are not accepted, shapes, names of columns or row labels
        differ, or a parameter is out of its range. What the metric raises is passed on.

    Warns
    -----
    UndefinedCategoryWarning
        Once, naming all categories that are NaN.

    See Also
    --------
    partial_roc_auc_score, partial_average_precision_score, partial_f1_score
        The usual ones, which are faster.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.metrics import precision_score
    >>> from cftlearn.metrics import partial_score
    >>> y = [[1.0], [0.0], [np.nan], [1.0]]
    >>> partial_score(y, [[1], [1], [1], [0]], precision_score, kind="decision")
    0.5
    """
    labels, other = read_pair(y_true, y_other, kind)
    truth, known = (labels.values == 1.0).astype(int), labels.known
    given = other.astype(int) if kind == "decision" else other
    n_positive = (truth * known).sum(axis=0)
    n_known = known.sum(axis=0)
    counts = n_positive, n_known - n_positive
    if average == "micro":
        counts = tuple(count.sum(keepdims=True) for count in counts)
    defined = (counts[0] > 0) | (counts[1] > 0)
    if needs_both_classes:
        defined = (counts[0] > 0) & (counts[1] > 0)
    if average == "micro":
        if not defined[0]:
            _warn_undefined(labels.categories, len(n_known), needs_both_classes)
            return float("nan")
        return float(metric(truth[known], given[known]))
    values = np.full(len(defined), np.nan)
    for j in np.flatnonzero(defined):
        rows = known[:, j]
        values[j] = metric(truth[rows, j], given[rows, j])
    if not defined.all():
        names = labels.categories[~defined]
        _warn_undefined(names, len(defined), needs_both_classes)
    if average is None:
        return values
    return _mean(values, n_positive if average == "weighted" else None)


def _mean(values: NDArray[np.float64], weights: NDArray[np.int64] | None) -> float:
    """Return the mean of what is not NaN."""
    told = ~np.isnan(values)
    if weights is not None:
        told &= weights > 0
    if not told.any():
        return float("nan")
    own = None if weights is None else weights[told]
    return float(np.average(values[told], weights=own))


def _warn_undefined(
    categories: NDArray[Any], n_categories: int, needs_both_classes: bool
) -> None:
    shown = list_some([repr(str(name)) for name in categories], 10)
    lack = "known label"
    if needs_both_classes:
        lack = "known positive or no known negative"
    warnings.warn(
        f"The metric is undefined for {len(categories)} of {n_categories} categories, "
        f"because they have no {lack}: {shown}. Their score is NaN and they are left "
        "out of the average.",
        UndefinedCategoryWarning,
        stacklevel=4,  # past the decorator of the public function
    )
