"""Probabilities from which a category counts as positive."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cftlearn.labels._names import Names, align_by_category
from cftlearn.labels._plain_arrays import read_numbers


def check_threshold(threshold: ArrayLike, categories: Names) -> NDArray[np.float64]:
    """Check one threshold, or one per category.

    Parameters
    ----------
    threshold : float or array-like of shape (n_categories,)
        Probabilities in [0, 1]. A Series labelled by categories goes by these.
    categories : sequence of str
        Names of the categories.

    Returns
    -------
    threshold : ndarray of shape () or (n_categories,), float64
        In the order of the categories.

    Raises
    ------
    TypeError
        If it holds anything but numbers.
    ValueError
        If the shape, a name or a value is another.
    """
    aligned = align_by_category(threshold, categories, "threshold")
    thresholds = read_numbers(aligned, "threshold").astype(np.float64)
    shape = (len(categories),)
    if thresholds.ndim and thresholds.shape != shape:
        raise ValueError(
            f"`threshold` must be one number or one per category, shape {shape}; got "
            f"shape {thresholds.shape}."
        )
    if not ((thresholds >= 0) & (thresholds <= 1)).all():
        low, high = thresholds.min(), thresholds.max()
        raise ValueError(f"`threshold` must lie in [0, 1]; got {low} to {high}.")
    return thresholds
