"""Cross-fitting: every known label judges, by weights fitted without its fold."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cftlearn._features._per_category import features_of
from cftlearn.fine_tuning._category_task import UnseenLogits
from cftlearn.fine_tuning._initial_coef import fit_initial_weights
from cftlearn.labels._label_split import LabelSplit, deal_labels


def cross_fit(
    Z: NDArray[np.floating[Any]],
    split: LabelSplit,
    n_folds: int,
    seeds: NDArray[np.integer],
    *,
    n_jobs: int | None,
) -> UnseenLogits:
    """Compute logits of known labels by logistic regressions without their fold.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_features)
        Features.
    split : LabelSplit
        All labels as labels to fit, and none held out.
    n_folds : int
        How many regressions per category.
    seeds : ndarray of shape (n_categories,), int
        One seed per category.
    n_jobs : int or None
        Workers over categories.

    Returns
    -------
    unseen : UnseenLogits
        Logits of every known label.
    """
    targets = split.targets()
    folds = deal_labels(split.fitted, n_folds, seeds)
    logits = np.full(targets.shape, np.nan)
    for fold in range(n_folds):
        in_fold = folds == fold
        rest = np.where(in_fold, np.nan, targets)
        coef, intercept = fit_initial_weights(Z, rest, n_jobs=n_jobs)
        for j in np.flatnonzero(in_fold.any(axis=0)):
            rows = features_of(Z, int(j))[in_fold[:, j]]
            logits[in_fold[:, j], j] = rows @ coef[j] + intercept[j]
    return UnseenLogits(logits, folds)
