"""Split a network into backbone and classification layer, and put it together again."""

import copy
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cftlearn._feature_batches import Tap, feature_batches, non_finite_error
from cftlearn._inputs import ArrayInputs, Inputs


def copy_or_make(module: Any, seed: int) -> nn.Module:
    """Give a network that is ours to change, with seeded initial weights.

    Parameters
    ----------
    module : nn.Module or callable
        A module, which is copied, or a class or function that makes one.
    seed : int
        Seed of torch's generator while a factory runs.

    Raises
    ------
    TypeError
        If it is neither, or the factory makes no module.
    """
    if isinstance(module, nn.Module):
        return copy.deepcopy(module)
    if not callable(module):
        raise TypeError(
            "`module` must be a torch.nn.Module or a callable that makes one; got "
            f"{type(module).__name__}."
        )
    with seeded_torch(seed):
        try:
            made = module()
        except TypeError as error:
            raise TypeError(
                f"A callable `module` must make a network without arguments; {error}. "
                "Bind them first: module=lambda: Network(...)."
            ) from error
    if not isinstance(made, nn.Module):
        raise TypeError(
            "A callable `module` must return a torch.nn.Module; got "
            f"{type(made).__name__}."
        )
    return made


@contextmanager
def seeded_torch(seed: int) -> Iterator[None]:
    """Seed torch's global generators, and restore them afterwards."""
    devices = range(torch.cuda.device_count()) or None  # named, or torch warns
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield


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


def to_tensor(X: NDArray[Any], device: str) -> Tensor:
    """Hand a batch to torch; floats become float32."""
    tensor = torch.from_numpy(np.ascontiguousarray(X)).to(device)
    return tensor.float() if tensor.is_floating_point() else tensor
