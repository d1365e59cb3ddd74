"""Counts of the label states, per category."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cftlearn.labels._encoding import check_partial_labels
from cftlearn.labels._missing_at_random import check_missing_at_random

_OF_SCORES = (
    "known_auc",
    "known_auc_low",
    "known_auc_high",
    "p_adjusted",
    "at_random",
    "estimated_share",
)


def label_summary(
    y: ArrayLike, *, scores: ArrayLike | None = None
) -> list[dict[str, Any]]:
    """Count positive, negative and unknown labels of every category.

    Parameters
    ----------
    y : array-like or DataFrame of shape (n_samples, n_categories)
        Labels in any form that :func:`check_partial_labels` accepts.
    scores : array-like of shape (n_samples, n_categories), default=None
        Scores of a model that was not fitted to these labels: adds whether known rows
        score as unknown ones do, as :func:`check_missing_at_random` by its defaults.

    Returns
    -------
    summary : list of dict, one per category
        Keys ``category``, ``n_positive``, ``n_negative``, ``n_unknown``,
        ``known_share`` in [0, 1], and ``positive_share`` among the known labels
        (NaN where none is known). With ``scores`` also ``known_auc``,
        ``known_auc_low``, ``known_auc_high``, ``p_adjusted``, ``at_random`` and
        ``estimated_share`` of :func:`check_missing_at_random`.
        ``pandas.DataFrame(summary)`` is the table.

    Raises
    ------
    TypeError, ValueError
        As :func:`check_partial_labels`; with ``scores`` as
        :func:`check_missing_at_random`.

    See Also
    --------
    estimate_prevalence : The share of positives among all rows, with its interval.

    Examples
    --------
    >>> from cftlearn.labels import label_summary
    >>> label_summary([[1, None], [0, 1]])[1]["n_unknown"]
    1
    """
    values, known, names = check_partial_labels(y)
    n_samples = len(values)
    n_known = known.sum(axis=0)
    n_positive = np.nansum(values, axis=0).astype(int)
    counts = [
        {
            "category": str(names[j]),
            "n_positive": int(n_positive[j]),
            "n_negative": int(n_known[j] - n_positive[j]),
            "n_unknown": int(n_samples - n_known[j]),
            "known_share": float(n_known[j] / n_samples),
            "positive_share": (
                float(n_positive[j] / n_known[j]) if n_known[j] else float("nan")
            ),
        }
        for j in range(len(names))
    ]
    if scores is None:
        return counts
    checks = check_missing_at_random(scores, y)
    return [
        line | {key: check[key] for key in _OF_SCORES}
        for line, check in zip(counts, checks, strict=True)
    ]
