"""Whether a network has values, and what to do if it fails on a batch."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from cftlearn.exceptions import first_line, list_some


def check_parameters(network: nn.Module) -> None:
    """Check that a network has values that can be computed with.

    Parameters
    ----------
    network : nn.Module
        The network.

    Raises
    ------
    ValueError
        If a parameter or buffer is on the device "meta", or is sparse.
    """
    named = [*network.named_parameters(), *network.named_buffers()]
    tensors = {name: each for name, each in named if not is_lazy(each)}
    _refuse(
        [name for name, tensor in tensors.items() if tensor.is_meta],
        "values; they are on the device 'meta', which keeps only shapes",
        "Make the network on the CPU and load its weights, or call "
        "network.to_empty(device='cpu') before load_state_dict",
    )
    _refuse(
        [name for name, tensor in tensors.items() if tensor.layout != torch.strided],
        "dense tensors; they are sparse",
        "Store parameter.to_dense() in their place",
    )


def _refuse(names: list[str], rule: str, remedy: str) -> None:
    if names:
        raise ValueError(
            f"`module` must have parameters that hold {rule}: {list_some(names)}. "
            f"{remedy}."
        )


def other_precision(network: nn.Module, batch: Tensor) -> torch.dtype | None:
    """Return the type in which a network computes, if it is not that of a batch.

    Parameters
    ----------
    network : nn.Module
        The network.
    batch : Tensor
        What it got.

    Returns
    -------
    dtype : torch.dtype or None
        None if some of its parameters have the type of the batch, it has none, or the
        batch holds whole numbers.
    """
    types = {
        parameter.dtype
        for parameter in network.parameters()
        if parameter.is_floating_point()
    }
    if not types or batch.dtype in types or not batch.is_floating_point():
        return None
    return min(types, key=str)


def failure_of(network: Any, batch: Tensor, error: Exception) -> str:
    """Say on what a network failed, and how.

    Parameters
    ----------
    network : nn.Module
        The network.
    batch : Tensor
        What it got.
    error : Exception
        What it raised.

    Returns
    -------
    sentence : str
        Such as ``"it failed on a batch of shape (2, 3) and type torch.float32: ..."``;
        it ends with what to do if the network's precision is the cause.
    """
    sentence = (
        f"it failed on a batch of shape {tuple(batch.shape)} and type {batch.dtype}: "
        f"{first_line(error).rstrip('.')}."
    )
    dtype = other_precision(network, batch)
    if dtype is None:
        return sentence
    return (
        f"{sentence} Its weights are {dtype}, and rows come in {batch.dtype}: convert "
        "it by module.float()."
    )
