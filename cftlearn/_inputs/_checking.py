"""Check a network's inputs, numbers in memory as scikit-learn does."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data
from torch import Tensor

from cftlearn._inputs._rows import Inputs
from cftlearn._inputs._sources import is_array_like, read_inputs
from cftlearn.labels._plain_arrays import refuse_unlike_numbers, refuse_without_rows


def read_network_inputs(
    estimator: BaseEstimator,
    X: Any,
    transform: Callable[[Any], Any] | None,
    row_shape: tuple[int, ...] | None,
    *,
    name: str = "X",
) -> Inputs:
    """Check what a user passed, and build inputs from it.

    scikit-learn checks numbers in memory; other inputs are checked when they are read.

    Parameters
    ----------
    estimator : BaseEstimator
        ``fit`` sets its number and names of features; later calls compare with them.
    X : array-like, Tensor, paths, folder, images or Dataset
        What a user passed.
    transform : callable or None
        Turns one item into a row of the network's input.
    row_shape : tuple of int or None
        None in ``fit``. Later the shape of a row in ``fit``, () where that was unknown.
    name : str, default="X"
        How errors name the inputs.

    Returns
    -------
    inputs : Inputs
        The rows, none of them read yet.

    Raises
    ------
    TypeError, ValueError
        If `X` is none of these, or its rows have another shape than those of ``fit``.
    """
    reset = row_shape is None
    names: dict[str, Any] = {"name": name, "transform_name": "input_transform"}
    refuse_without_rows(X, name, takes_dataset=True)
    if not is_array_like(X):
        if reset:
            _forget_features(estimator)
        return read_inputs(X, transform, **names)
    if not isinstance(X, Tensor):
        X = refuse_unlike_numbers(X, name)
    first = X[0] if isinstance(X, (list, tuple)) and X else X
    array = read_inputs(X, name=name).items if isinstance(first, Tensor) else X
    shape = np.shape(array)
    if shape[:1] == (0,):
        raise ValueError(f"`{name}` must hold at least one row; got none.")
    wanted = shape[1:] if reset or not row_shape else row_shape
    if len(shape) != len(wanted) + 1 or (len(shape) > 2 and shape[1] != wanted[0]):
        raise ValueError(
            f"`{name}` must hold rows of shape {wanted} as in `fit`, rows first; got "
            f"shape {shape}. Pass x[np.newaxis] for a single row x."
        )
    checked = validate_data(
        estimator, array, dtype="numeric", allow_nd=True, reset=reset
    )
    return read_inputs(checked, transform, **names)


def _forget_features(estimator: BaseEstimator) -> None:
    """Delete the number and names of columns of an earlier fit on a matrix."""
    for name in ("n_features_in_", "feature_names_in_"):
        vars(estimator).pop(name, None)
