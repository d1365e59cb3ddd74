"""Counts of the label states, per category."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cftlearn.labels._encoding import check_partial_labels


def label_summary(y: ArrayLike) -> list[dict[str, Any]]:
    """Count positive, negative and unknown labels of every category.

    Parameters
    ----------
    y : array-like or DataFrame of shape (n_samples, n_categories)
        Labels in any form that :func:`check_partial_labels` accepts.

    Returns
    -------
    summary : list of dict, one per category
        Keys ``category``, ``n_positive``, ``n_negative``, ``n_unknown``,
        ``known_share`` in [0, 1], and ``positive_share`` among the known labels
        (NaN where none is known). ``pandas.DataFrame(summary)`` is the table.

    Raises
    ------
    TypeError, ValueError
        As :func:`check_partial_labels`.

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
    return [
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
