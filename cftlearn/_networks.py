"""Split a network into backbone and classification layer, and put it together again."""

import copy
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, cast

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


def find_head(module: nn.Module, name: str | None, n_categories: int) -> str:
    """Find the classification layer, and check that it fits the categories.

    Parameters
    ----------
    module : nn.Module
        The network.
    name : str or None
        Dotted name of the layer; None takes the last ``nn.Linear`` registered.
    n_categories : int
        How many outputs it must have.

    Returns
    -------
    name : str
        Dotted name of the layer; empty if the network is the layer.

    Raises
    ------
    ValueError
        If there is no such layer, it is no ``nn.Linear``, or has another size.
    """
    linear = [
        key for key, layer in module.named_modules() if isinstance(layer, nn.Linear)
    ]
    if not linear:
        raise ValueError(
            "`module` must have an nn.Linear as its classification layer; got a "
            f"{type(module).__name__} without any."
        )
    name = linear[-1] if name is None else name
    if name not in linear:
        raise ValueError(
            f"`head` must name an nn.Linear of the network; got {name!r}. It has: "
            f"{', '.join(repr(key) for key in linear[-10:])}."
        )
    n_outputs = _linear(module, name).out_features
    if n_outputs != n_categories:
        raise ValueError(
            f"The classification layer {name!r} must have one output per category of "
            f"`y`; got {n_outputs} outputs for {n_categories} categories. Change the "
            "layer, or name another one with `head`."
        )
    return name


def head_rows(
    module: nn.Module, head: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Read the rows and biases of the classification layer."""
    layer = _linear(module, head)
    coef = layer.weight.detach().cpu().double().numpy().copy()
    if layer.bias is None:
        return coef, np.zeros(len(coef))
    return coef, layer.bias.detach().cpu().double().numpy().copy()


def with_rows(
    module: nn.Module,
    head: str,
    coef: NDArray[np.float64],
    intercept: NDArray[np.float64],
) -> nn.Module:
    """Copy a network and write rows and biases into its classification layer."""
    network = copy.deepcopy(module)
    layer = _linear(network, head)
    new = nn.Linear(coef.shape[1], coef.shape[0]).to(layer.weight)
    with torch.no_grad():
        new.weight.copy_(torch.from_numpy(coef))
        new.bias.copy_(torch.from_numpy(intercept))
    new.train(layer.training)
    if not head:
        return new
    for parent in list(network.modules()):
        for name, child in parent._modules.items():
            if child is layer:  # a network may know it by more than one name
                setattr(parent, name, new)
    return network


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
        Features.

    Raises
    ------
    ValueError
        If the layer is not the last one of the forward pass, is not reached exactly
        once, or sees anything but one vector per row; or features are not finite.
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
                Z = np.empty((len(inputs), batch.shape[1]), dtype=np.float32)
            Z[rows] = batch
    if Z is None:
        raise ValueError(f"`{inputs.name}` must hold at least one row; got none.")
    wrong = np.flatnonzero(~np.isfinite(Z).all(axis=1))
    if len(wrong):
        raise non_finite_error(wrong, inputs)
    return Z


def to_tensor(X: NDArray[Any], device: str) -> Tensor:
    """Hand a batch to torch; floats become float32."""
    tensor = torch.from_numpy(np.ascontiguousarray(X)).to(device)
    return tensor.float() if tensor.is_floating_point() else tensor


def _linear(module: nn.Module, name: str) -> nn.Linear:
    return cast(nn.Linear, module.get_submodule(name))
