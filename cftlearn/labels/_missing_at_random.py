"""Whether known labels look like a random part of all labels."""

import math
from numbers import Real
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from cftlearn._dependencies import Interval, StrOptions, validate_params
from cftlearn.labels._prevalence import PrevalenceMethod, unknown_shares
from cftlearn.labels._rank_tests import RankTest, adjust_p_values, compare_by_rank
from cftlearn.labels._scored_labels import CategoryScores, read_scored_labels

Adjustment = Literal["holm", "benjamini_hochberg"]
_METHODS = {"best_bin", "elkan_noto", "label_shift", "known_rates"}
_CONSTRAINTS: dict[str, list[Any]] = {
    "adjustment": [StrOptions({"holm", "benjamini_hochberg"})],
    "prevalence": [StrOptions(_METHODS)],
    "confidence": [Interval(Real, 0, 1, closed="neither")],
    "random_state": ["random_state"],
}


@validate_params(_CONSTRAINTS, prefer_skip_nested_validation=True)
def check_missing_at_random(
    scores: ArrayLike,
    y: ArrayLike,
    *,
    adjustment: Adjustment = "holm",
    prevalence: PrevalenceMethod = "label_shift",
    confidence: float = 0.95,
    random_state: int | np.random.RandomState | None = None,
) -> list[dict[str, Any]]:
    """Check whether rows with a known label score as rows with an unknown one do.

    If labels are missing at random, both kinds of rows are alike, and so are their
    scores. If positives are known more often, known rows score higher. The opposite is
    not true: rows can be chosen by what no score shows. Nothing in the library uses the
    answer by itself.

    Parameters
    ----------
    scores : array-like of shape (n_samples, n_categories)
        Higher for positives, of every cell, of a model that was **not** fitted to these
        labels, such as out-of-fold scores. A model that was fitted to them scores known
        rows further apart. NaN is accepted only in a whole category.
    y : array-like of shape (n_samples, n_categories)
        1 positive, 0 negative, NaN unknown, in any form that
        :func:`check_partial_labels` accepts.
    adjustment : {"holm", "benjamini_hochberg"}, default="holm"
        How p-values are adjusted for the number of categories: Holm's keeps the chance
        of any false finding, that of Benjamini and Hochberg the expected share of false
        ones among the findings.
    prevalence : {"best_bin", "elkan_noto", "label_shift", "known_rates"}, \
default="label_shift"
        Estimator of ``estimated_share``, as in :func:`estimate_prevalence`.
    confidence : float, default=0.95
        Of the intervals, in (0, 1). An adjusted p-value below ``1 - confidence`` is a
        finding.
    random_state : int, RandomState instance or None, default=None
        Seed of the folds of ``prevalence="elkan_noto"``.

    Returns
    -------
    checks : list of dict, one per category
        Keys ``category``, ``n_known``, ``n_unknown``; ``known_auc``, the probability
        that a known row scores above an unknown one, with ``known_auc_low`` and
        ``known_auc_high``; ``p_value`` of Mann and Whitney's test, ``p_adjusted``;
        ``positive_share`` among known labels, ``estimated_share`` among all;
        ``at_random``: False if the test finds a difference, True if it finds none,
        None if it cannot be made; and ``reason``, the same in words.
        ``pandas.DataFrame(checks)`` is the table.

    Raises
    ------
    TypeError, ValueError
        If labels or scores are not accepted, shapes, names of columns or row labels
        differ, or a parameter is out of its range.

    See Also
    --------
    estimate_prevalence : The share of positives, with its interval.

    Notes
    -----
    Rows count as independent. If several belong to one patient, p-values are too small:
    pass one row of each. With few rows a difference is easily missed, and with very
    many rows a small one is found: look at ``known_auc`` too.

    Examples
    --------
    >>> import numpy as np
    >>> from cftlearn.labels import check_missing_at_random
    >>> rng = np.random.RandomState(0)
    >>> truth = rng.rand(2000, 2) < 0.2
    >>> scores = rng.randn(2000, 2) + 3 * truth
    >>> rate = np.where(truth, [0.2, 0.6], [0.2, 0.1])  # at random, then not
    >>> y = np.where(rng.rand(2000, 2) < rate, truth, np.nan)
    >>> for line in check_missing_at_random(scores, y):
    ...     print(line["category"], line["at_random"], line["reason"])
    0 True no difference was found: AUC 0.481, adjusted p 0.235
    1 False known rows score higher than unknown ones: AUC 0.739, adjusted p 7.62e-51
    """
    table, labels = read_scored_labels(scores, y)
    values = labels.values
    rng = check_random_state(random_state)
    shares = unknown_shares(table, labels, prevalence, rng)
    columns = [
        CategoryScores.of(table[:, j], values[:, j]) for j in range(table.shape[1])
    ]
    tests = [_compare(column, confidence) for column in columns]
    p_values = np.array([test.p_value for test in tests])
    adjusted = adjust_p_values(p_values, adjustment)
    return [
        {
            "category": str(labels.categories[j]),
            "n_known": len(columns[j].known),
            "n_unknown": len(columns[j].unknown),
            **_test_columns(tests[j], float(adjusted[j])),
            **_share_columns(columns[j], float(shares[j])),
            **_verdict(columns[j], tests[j], float(adjusted[j]), 1.0 - confidence),
        }
        for j in range(len(columns))
    ]


def _compare(column: CategoryScores, confidence: float) -> RankTest:
    if not column.is_scored:
        return RankTest.undefined()
    return compare_by_rank(column.known, column.unknown, confidence)


def _test_columns(test: RankTest, adjusted: float) -> dict[str, float]:
    return {
        "known_auc": test.auc,
        "known_auc_low": test.low,
        "known_auc_high": test.high,
        "p_value": test.p_value,
        "p_adjusted": adjusted,
    }


def _share_columns(column: CategoryScores, unknown_share: float) -> dict[str, float]:
    n_positive, n_known = len(column.positive), len(column.known)
    n_unknown = len(column.unknown)
    estimated = n_positive + unknown_share * n_unknown
    if not n_unknown:
        estimated = float(n_positive)
    return {
        "positive_share": n_positive / n_known if n_known else math.nan,
        "estimated_share": estimated / (n_known + n_unknown),
    }


def _verdict(
    column: CategoryScores, test: RankTest, adjusted: float, level: float
) -> dict[str, Any]:
    """Say in words what the test found."""
    if math.isnan(test.auc):
        return {"at_random": None, "reason": _missing_part(column)}
    numbers = f"AUC {test.auc:.3f}, adjusted p {adjusted:.3g}"
    if adjusted >= level:
        return {"at_random": True, "reason": f"no difference was found: {numbers}"}
    direction = "higher" if test.auc > 0.5 else "lower"
    found = f"known rows score {direction} than unknown ones: {numbers}"
    if test.auc == 0.5:
        found = f"known rows score differently from unknown ones: {numbers}"
    return {"at_random": False, "reason": found}


def _missing_part(column: CategoryScores) -> str:
    if not column.is_scored:
        return "it has no scores"
    kinds: dict[str, NDArray[Any]] = {
        "known": column.known,
        "unknown": column.unknown,
    }
    few = [f"{len(own)} {kind}" for kind, own in kinds.items() if len(own) < 2]
    return f"the test needs two rows of each kind; there are {' and '.join(few)}"
