"""Probabilities from which a category counts as positive."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def check_threshold(threshold: ArrayLike, n_categories: int) -> NDArray[np.float64]:
    """Check one threshold, or one per category.

    Parameters
    ----------
    threshold : float or array-like of shape (n_categories,)
        Probabilities in [0, 1].
    n_categories : int
        How many categories there are.

    Returns
    -------
    threshold : ndarray of shape () or (n_categories,), float64
        The same.

    Raises
    ------
    ValueError
        If the shape or a value is another.
    """
    thresholds = np.asarray(threshold, dtype=np.float64)
    if thresholds.ndim and thresholds.shape != (n_categories,):
        raise ValueError(
            "`threshold` must be one number or one per category, shape "
            f"{(n_categories,)}; got shape {thresholds.shape}."
        )
    if not ((thresholds >= 0) & (thresholds <= 1)).all():
        low, high = thresholds.min(), thresholds.max()
        raise ValueError(f"`threshold` must lie in [0, 1]; got {low} to {high}.")
    return thresholds
