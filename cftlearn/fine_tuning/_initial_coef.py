"""Logistic regressions to start from, where no network brings its rows."""

from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from cftlearn._features._moments import feature_moments
from cftlearn._features._per_category import StoredCategoryFeatures, features_of
from cftlearn._features._stored import StoredFeatures

_MAX_ITER = 300


def logistic_rows(
    Z: NDArray[np.floating[Any]] | StoredFeatures | StoredCategoryFeatures,
    targets: NDArray[np.float64],
    *,
    n_jobs: int | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit one L2-penalised logistic regression per category.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_features)
        Features; they are standardised internally. (n_samples, n_categories,
        n_features) if every category has its own.
    targets : ndarray of shape (n_samples, n_categories)
        1, 0, or NaN for cells to leave out. Where one class is absent the row is
        zero and its bias the smoothed log-odds of the share of positives.
    n_jobs : int or None
        Workers over categories.

    Returns
    -------
    coef : ndarray of shape (n_categories, n_features)
        Rows in the scale of ``Z``.
    intercept : ndarray of shape (n_categories,)
        Biases.

    Raises
    ------
    ValueError
        If the features are stored.
    """
    if isinstance(Z, (StoredFeatures, StoredCategoryFeatures)):
        raise ValueError(
            "`coef_init` and `intercept_init` must be given with features that are not "
            "in memory: no rows can be fitted to start from. Pass the classification "
            "layer of the network that made the features."
        )
    shared = feature_moments(Z) if Z.ndim == 2 else None
    matrices = [features_of(Z, j) for j in range(targets.shape[1])]
    rows = Parallel(n_jobs=n_jobs)(
        delayed(_logistic_row)(own, targets[:, j], *(shared or feature_moments(own)))
        for j, own in enumerate(matrices)
    )
    return np.stack([row for row, _ in rows]), np.array([bias for _, bias in rows])


def _logistic_row(
    Z: NDArray[np.floating[Any]],
    target: NDArray[np.float64],
    mean: NDArray[np.float64],
    scale: NDArray[np.float64],
) -> tuple[NDArray[np.float64], float]:
    used = ~np.isnan(target)
    y = target[used]
    n_positive = float(y.sum())
    if n_positive in (0.0, float(len(y))):
        odds = (n_positive + 0.5) / (len(y) - n_positive + 0.5)
        return np.zeros(Z.shape[1]), float(np.log(odds))
    standard = np.empty((len(y), Z.shape[1]), dtype=Z.dtype)
    np.take(Z, np.flatnonzero(used), axis=0, out=standard, mode="clip")
    standard -= mean.astype(Z.dtype)
    standard /= scale.astype(Z.dtype)
    with threadpool_limits(limits=1):  # the same sums whatever the number of workers
        model = LogisticRegression(max_iter=_MAX_ITER, tol=1e-3).fit(standard, y)
    row = model.coef_[0].astype(np.float64) / scale
    return row, float(model.intercept_[0]) - float(row @ mean)
