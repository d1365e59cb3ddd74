"""Features of all rows as one array in memory."""

from contextlib import closing
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from cftlearn._inputs import ArrayInputs, Inputs
from cftlearn.feature_extraction._forward_hooks import (
    Tap,
    feature_batches,
    non_finite_error,
)


def extract_features(
    module: nn.Module,
    head: str,
    X: NDArray[Any] | Inputs,
    *,
    batch_size: int,
    device: str,
    num_workers: int = 0,
) -> NDArray[np.float32]:
    """Compute the inputs of the classification layer, in evaluation mode.

    Parameters
    ----------
    module : nn.Module
        The network; its mode and device are left as they were found.
    head : str
        Dotted name of the classification layer.
    X : ndarray of shape (n_samples, ...) or Inputs
        Inputs of the network.
    batch_size : int
        Rows at a time.
    device : str
        Torch device.
    num_workers : int, default=0
        Processes that read inputs which do not lie in memory.

    Returns
    -------
    Z : ndarray of shape (n_samples, n_features), float32
        Features; of shape (n_samples, n_categories, n_features) if the layer gives
        every category a vector of its own.

    Raises
    ------
    ValueError
        If the layer is not the last one of the forward pass, is not reached exactly
        once, sees anything but one vector per row, or is not linear; or features are
        not finite.
    """
    inputs = X if isinstance(X, Inputs) else ArrayInputs(X)
    features = feature_batches(
        module,
        Tap(head, "input", parameter="head"),
        inputs,
        inputs.in_order(batch_size),
        device=device,
        num_workers=num_workers,
    )
    Z: NDArray[np.float32] | None = None
    with closing(features):
        for rows, batch in features:
            if Z is None:
                Z = np.empty((len(inputs), *batch.shape[1:]), dtype=np.float32)
            Z[rows] = batch
    if Z is None:
        raise ValueError(f"`{inputs.name}` must hold at least one row; got none.")
    wrong = np.flatnonzero(~np.isfinite(Z.reshape(len(Z), -1)).all(axis=1))
    if len(wrong):
        raise non_finite_error(wrong, inputs)
    return Z
