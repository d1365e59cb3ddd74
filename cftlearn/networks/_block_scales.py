"""Scales of blocks of features, by which all of them vary equally."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler
from torch import nn

from cftlearn.networks._joined import JoinedNetwork

# Of the mean square: less variance is rounding in single precision.
_CONSTANT = 1e-10


def set_block_scales(
    network: JoinedNetwork, features: Iterable[NDArray[Any]]
) -> NDArray[np.float64]:
    """Scale the blocks of a network's features to equal total variances.

    The first block that varies keeps its scale. So does a block that does not vary.
    The weights of the classification layer are divided by what the features are
    multiplied by: the logits stay the same, but for rounding.

    Parameters
    ----------
    network : JoinedNetwork
        It is changed in place.
    features : iterable of ndarray of shape (n_rows, n_features)
        Batches of what the classification layer gets now, on rows to train with; of
        shape (n_rows, n_categories, n_features) for a vector per category.

    Returns
    -------
    factors : ndarray of shape (n_features,)
        What features that were computed before must be multiplied by, to be those of
        the network now.

    Raises
    ------
    ValueError
        If there are no features.
    """
    variance, mean_square = _moments(features, network)
    factors = np.ones(len(variance))
    reference: float | None = None
    start = 0
    for width in network.block_widths:
        block = slice(start, start + width)
        start += width
        total = float(variance[block].sum())
        if total <= _CONSTANT * float(mean_square[block].sum()):
            continue
        reference = total if reference is None else reference
        factors[block] = np.sqrt(reference / total)
    _multiply(network, torch.from_numpy(factors))
    return factors


def _moments(
    features: Iterable[NDArray[Any]], network: JoinedNetwork
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute variance and mean square of every feature."""
    scaler = StandardScaler()
    for batch in features:
        scaler.partial_fit(batch.reshape(-1, batch.shape[-1]).astype(np.float64))
    if not hasattr(scaler, "var_"):
        raise ValueError("`features` must hold at least one batch; got none.")
    n_features = sum(network.block_widths)
    if len(scaler.var_) != n_features:
        raise ValueError(
            f"`features` must have the {n_features} columns that the network's "
            f"classification layer gets; got {len(scaler.var_)}. Extract them from "
            "this network."
        )
    return scaler.var_, scaler.var_ + scaler.mean_**2


def _multiply(network: JoinedNetwork, factors: torch.Tensor) -> None:
    """Multiply the scales, and divide the weights."""
    parts = network.own_parts
    sizes = [sum(part.widths) for part in parts]
    with torch.no_grad():
        for part, factor in zip(parts, factors.split(sizes), strict=True):
            part.scale.mul_(factor.to(part.scale))
        if not isinstance(network.head, nn.Identity):
            weight: torch.Tensor = network.head.weight  # type: ignore[assignment]
            weight.div_(factors.to(weight))
