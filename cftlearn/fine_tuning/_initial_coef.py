"""Initial weights: logistic regressions, where no network brings its own."""

from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from cftlearn._features._moments import feature_moments
from cftlearn._features._per_category import StoredCategoryFeatures, features_of
from cftlearn._features._stored import StoredFeatures

_MAX_ITER = 300


class InitialWeights(NamedTuple):
    """The weights that refits start from.

    Attributes
    ----------
    coef : ndarray of shape (n_categories, n_features), float64
        One vector per category, in the scale of the features.
    intercept : ndarray of shape (n_categories,), float64
        Their biases.
    """

    coef: NDArray[np.float64]
    intercept: NDArray[np.float64]


def fit_initial_weights(
    Z: NDArray[np.floating[Any]] | StoredFeatures | StoredCategoryFeatures,
    targets: NDArray[np.float64],
    *,
    n_jobs: int | None,
) -> InitialWeights:
    """Fit one L2-penalised logistic regression per category.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_features)
        Features; they are standardised internally. (n_samples, n_categories,
        n_features) if every category has its own.
    targets : ndarray of shape (n_samples, n_categories)
        1, 0, or NaN for cells to leave out. Where one class is absent, the weights are
        zero and the bias is the smoothed log-odds of the positives' share.
    n_jobs : int or None
        Workers over categories.

    Returns
    -------
    initial : InitialWeights
        Weights in the scale of ``Z``.

    Raises
    ------
    ValueError
        If the features are stored.
    """
    if isinstance(Z, (StoredFeatures, StoredCategoryFeatures)):
        raise ValueError(
            "`coef_init` and `intercept_init` must be given with features that are not "
            "in memory: no initial weights can be fitted on them. Pass the "
            "classification layer of the network that made the features."
        )
    shared = feature_moments(Z) if Z.ndim == 2 else None
    matrices = [features_of(Z, j) for j in range(targets.shape[1])]
    fits = Parallel(n_jobs=n_jobs)(
        delayed(_fit_category)(own, targets[:, j], *(shared or feature_moments(own)))
        for j, own in enumerate(matrices)
    )
    return InitialWeights(
        np.stack([coef for coef, _ in fits]), np.array([bias for _, bias in fits])
    )


def _fit_category(
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
    # One copy of the rows, standardised in place: they may be most of the memory.
    standard = np.empty((len(y), Z.shape[1]), dtype=Z.dtype)
    np.take(Z, np.flatnonzero(used), axis=0, out=standard, mode="clip")
    standard -= mean.astype(Z.dtype)
    standard /= scale.astype(Z.dtype)
    with threadpool_limits(limits=1):  # the same sums whatever the number of workers
        model = LogisticRegression(max_iter=_MAX_ITER, tol=1e-3).fit(standard, y)
    coef = model.coef_[0].astype(np.float64) / scale
    return coef, float(model.intercept_[0]) - float(coef @ mean)
