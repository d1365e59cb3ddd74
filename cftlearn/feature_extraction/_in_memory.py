"""Features of all rows as one array in memory."""

from collections.abc import Generator
from contextlib import closing
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from cftlearn._inputs import ArrayInputs, Inputs
from cftlearn.feature_extraction._forward_hooks import Tap, feature_batches

FeatureBatches = Generator[tuple[NDArray[np.intp], NDArray[np.float32]], None, None]


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
        Features; of shape (n_samples, n_categories, n_features) if the layer has a
        vector of its own for every category.

    Raises
    ------
    ValueError
        If there is no row, the layer is not the last one of the forward pass, does not
        run exactly once, gets anything but one vector per row, or is not linear; or
        features are not finite.
    """
    inputs = X if isinstance(X, Inputs) else ArrayInputs(X)
    batches = feature_batches(
        module,
        Tap(head, "input", parameter="head"),
        inputs,
        inputs.in_order(batch_size),
        device=device,
        num_workers=num_workers,
    )
    return collect_features(batches, inputs)


def collect_features(batches: FeatureBatches, inputs: Inputs) -> NDArray[np.float32]:
    """Join batches of features in one array, and close their generator.

    Parameters
    ----------
    batches : generator of (rows, features)
        In the order of the rows; rows may be left out.
    inputs : Inputs
        The rows.

    Returns
    -------
    Z : ndarray of shape (n_rows, ...), float32
        One row of features per row that was not left out.

    Raises
    ------
    ValueError
        If there is no batch.
    """
    Z: NDArray[np.float32] | None = None
    n_filled = 0
    with closing(batches):
        for _, features in batches:
            if Z is None:
                Z = np.empty((len(inputs), *features.shape[1:]), dtype=np.float32)
            Z[n_filled : n_filled + len(features)] = features
            n_filled += len(features)
    if Z is None:
        raise ValueError(f"`{inputs.name}` must hold at least one row; got none.")
    return Z[:n_filled]
