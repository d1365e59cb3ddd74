"""Categories that a model cannot score, since it was fitted without a label of them."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cftlearn.exceptions import UndefinedCategoryWarning, list_some
from cftlearn.labels import PartialLabels
from cftlearn.labels._encoding import UNKNOWN


def leave_out_unscored(
    labels: PartialLabels, scores: NDArray[Any], *, are_decisions: bool
) -> tuple[PartialLabels, NDArray[Any]]:
    """Make labels unknown in categories whose known labels have no score at all.

    A metric is then undefined there, as without labels.

    Parameters
    ----------
    labels : PartialLabels
        Labels.
    scores : ndarray of shape (n_samples, n_categories)
        NaN, or -1 among decisions, is no score. A category in which only
        some known labels have none is left as it is, and so are scores without any
        number: that is an error.
    are_decisions : bool
        Whether the scores are decisions.

    Returns
    -------
    labels : PartialLabels
        Fewer are known.
    scores : ndarray of the shape of ``scores``
        0 in these categories.

    Warns
    -----
    UndefinedCategoryWarning
        Naming them.
    """
    if scores.dtype.kind not in "fi":
        return labels, scores
    absent = np.isnan(scores)
    if are_decisions:
        absent |= scores == UNKNOWN
    unscored = absent.any(axis=0) & (absent | ~labels.known).all(axis=0)
    if not unscored.any() or unscored.all():
        return labels, scores
    names = [repr(str(name)) for name in labels.categories[unscored]]
    warnings.warn(
        f"{len(names)} of {len(unscored)} categories have no scores: "
        f"{list_some(names, 10)}. A model returns none of a category if it was fitted "
        "without a label of it. Their labels are left out.",
        UndefinedCategoryWarning,
        stacklevel=6,  # the caller of a metric
    )
    filled = np.where(unscored & absent, np.zeros((), scores.dtype), scores)
    return labels.restricted_to(labels.known & ~unscored), filled
