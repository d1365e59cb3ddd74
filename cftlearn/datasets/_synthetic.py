"""Synthetic multi-label data with unknown labels."""

from numbers import Integral, Real

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from cftlearn._dependencies import Interval, StrOptions, validate_params
from cftlearn.labels import hide_labels


@validate_params(
    {
        "n_samples": [Interval(Integral, 1, None, closed="left")],
        "n_features": [Interval(Integral, 1, None, closed="left")],
        "n_categories": [Interval(Integral, 1, None, closed="left")],
        "prevalence": [Interval(Real, 0, 1, closed="neither")],
        "noise": [Interval(Real, 0, None, closed="left")],
        "scheme": [
            StrOptions(
                {"uniform", "single_positive", "fixed_per_category", "report_like"}
            )
        ],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_partial_multilabel(
    n_samples: int = 500,
    *,
    n_features: int = 20,
    n_categories: int = 5,
    prevalence: float = 0.25,
    noise: float = 1.0,
    known: float | int | None = 0.3,
    scheme: str = "uniform",
    random_state: int | np.random.RandomState | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return features, partially known labels, and the full labels before hiding.

    Every category is a linear function of standard normal features plus noise. Its
    threshold makes the fraction ``prevalence`` of the rows positive.

    Parameters
    ----------
    n_samples : int, default=500
        Number of rows.
    n_features : int, default=20
        Number of features, all informative.
    n_categories : int, default=5
        Number of categories.
    prevalence : float, default=0.25
        Fraction of positives in every category, in (0, 1).
    noise : float, default=1.0
        Standard deviation of the noise, in units of the signal's.
    known : float or int, default=0.3
        How much stays known; see :func:`cftlearn.labels.hide_labels`.
    scheme : {"uniform", "single_positive", "fixed_per_category", "report_like"}, \
default="uniform"
        How labels are hidden; see :func:`cftlearn.labels.hide_labels`.
    random_state : int, RandomState instance or None, default=None
        Seed.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features), float64
        Features.
    y : ndarray of shape (n_samples, n_categories), float64
        1, 0 or NaN (hidden).
    y_full : ndarray of shape (n_samples, n_categories), float64
        The labels before hiding, 1 or 0.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> from cftlearn.datasets import make_partial_multilabel
    >>> X, y, y_full = make_partial_multilabel(100, known=0.5, random_state=0)
    >>> X.shape, y.shape
    ((100, 20), (100, 5))
    """
    rng = check_random_state(random_state)
    X = rng.standard_normal((n_samples, n_features))
    directions = rng.standard_normal((n_features, n_categories))
    directions /= np.linalg.norm(directions, axis=0)
    signal = X @ directions + noise * rng.standard_normal((n_samples, n_categories))
    y_full = (signal > np.quantile(signal, 1 - prevalence, axis=0)).astype(np.float64)
    y = hide_labels(y_full, known=known, scheme=scheme, random_state=rng)  # type: ignore[arg-type]
    return X, y, y_full
