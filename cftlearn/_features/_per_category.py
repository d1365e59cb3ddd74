"""Features of which every category has a vector of its own, (n, C, d)."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array

from cftlearn._features._stored import (
    StoredFeatures,
    check_stored,
    is_stored,
    row_batches,
)


class StoredCategoryFeatures:
    """Such features on disk, which read like an array of single precision.

    Parameters
    ----------
    source : numpy.memmap, h5py.Dataset, zarr.Array, or alike
        Has ``shape``, ``dtype`` and slices.

    Attributes
    ----------
    source : object
        What was given.
    shape : tuple of int
        (n_samples, n_categories, n_features).
    dtype : numpy.dtype
        float32, whatever the stored type.
    """

    ndim = 3
    dtype = np.dtype(np.float32)

    def __init__(self, source: Any) -> None:
        self.source = source
        self.shape = tuple(map(int, source.shape))

    def __len__(self) -> int:
        """Count the rows."""
        return self.shape[0]

    def __getitem__(self, rows: slice) -> NDArray[np.float32]:
        """Read some rows."""
        return np.asarray(self.source[rows]).astype(np.float32)


class _OneOfMany:
    """The features of one category, for a source that reads by slices alone."""

    def __init__(self, source: Any, category: int) -> None:
        self._source, self._category = source, category
        self.shape = (source.shape[0], source.shape[2])
        self.dtype = source.dtype

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        return np.asarray(self._source[rows, self._category])


def is_per_category(Z: Any) -> bool:
    """Return whether features have shape (n_samples, n_categories, n_features)."""
    shape = getattr(Z, "shape", None)
    if shape is None and isinstance(Z, (list, tuple)):
        try:
            shape = np.shape(Z)
        except ValueError:  # rows of different lengths: refused when they are read
            return False
    return isinstance(shape, tuple) and len(shape) == 3


def read_category_features(
    Z: Any, estimator: Any, name: str = "Z", *, reset: bool
) -> Any:
    """Check features per category; those that are stored stay where they are.

    Parameters
    ----------
    Z : array-like or stored array of shape (n_samples, n_categories, n_features)
        Features.
    estimator : estimator
        Remembers the number of features.
    name : str, default="Z"
        How errors name the features.
    reset : bool
        Whether it does so now; else categories and features must be as many as then.

    Returns
    -------
    features : ndarray or StoredCategoryFeatures
        Finite.

    Raises
    ------
    ValueError
        If there are others, an axis is empty, or a value is not a finite real number.
    """
    shape = np.shape(Z)
    if not reset:
        wanted = (len(estimator.categories_), estimator.n_features_in_)
        if shape[1:] != wanted:
            raise ValueError(
                f"`{name}` must have shape (n_samples, {wanted[0]}, {wanted[1]}), "
                f"features of every category as in `fit`; got {shape}."
            )
    if 0 in shape:
        raise ValueError(
            f"`{name}` must hold at least one sample, category and feature; got shape "
            f"{shape}."
        )
    features: Any = Z
    if is_stored(Z) and not isinstance(Z, StoredCategoryFeatures):
        features = StoredCategoryFeatures(Z)
        check_stored(features, name)
    elif not isinstance(Z, StoredCategoryFeatures):
        types = [np.float64, np.float32]
        read = check_array(
            Z, dtype=types, allow_nd=True, input_name=name, estimator=estimator
        )
        features = Z if isinstance(Z, np.memmap) else read
    if reset:
        estimator.n_features_in_ = shape[2]
        if hasattr(estimator, "feature_names_in_"):
            del estimator.feature_names_in_
    return features


def check_categories(Z: Any, n_categories: int) -> None:
    """Refuse features of three axes that are not of so many categories."""
    if Z.ndim == 3 and Z.shape[1] != n_categories:
        raise ValueError(
            "`Z` of three axes must have features of every category of `y`; got shape "
            f"{Z.shape} for {n_categories} categories. Pass (n_samples, n_features) "
            "for features that all categories share."
        )


def features_of(Z: Any, category: int) -> Any:
    """Return the features of a category: a view of its own, or those of all.

    Parameters
    ----------
    Z : ndarray, StoredFeatures or StoredCategoryFeatures
        Of two axes, which all categories share, or three.
    category : int
        Its number.

    Returns
    -------
    matrix : ndarray or StoredFeatures of shape (n_samples, n_features)
        Nothing is copied.
    """
    if len(Z.shape) == 2:
        return Z
    if not isinstance(Z, StoredCategoryFeatures):
        return Z[:, category]
    if isinstance(Z.source, np.memmap):
        return StoredFeatures(Z.source[:, category])
    return StoredFeatures(_OneOfMany(Z.source, category))


def category_logits(
    Z: Any, coef: NDArray[np.float64], intercept: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Compute the logits of every category from its own features.

    Parameters
    ----------
    Z : ndarray or StoredCategoryFeatures of shape (n_samples, n_categories, n_features)
        Features.
    coef, intercept : ndarray of shape (n_categories, n_features), (n_categories,)
        One row and bias per category.

    Returns
    -------
    logits : ndarray of shape (n_samples, n_categories), float64
        One column per category.
    """
    logits = np.empty(Z.shape[:2])
    for batch in row_batches(len(Z), math.prod(Z.shape[1:])):
        rows = Z[batch].astype(np.float64, copy=False)
        logits[batch] = np.matmul(rows.transpose(1, 0, 2), coef[:, :, np.newaxis])[
            :, :, 0
        ].T
    logits += intercept
    return logits
