"""Weights from a file into a network whose classification layer may differ."""

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from cftlearn.exceptions import ModelFormatError, PartialWeightsWarning, list_some
from cftlearn.networks._heads import last_linear, with_layer

_WRAPPERS = ("state_dict", "model_state_dict", "model")
_PREFIXES = ("module.", "_orig_mod.", "model.")  # of DataParallel, compile, Lightning
_SHOWN = 5


def resized(network: Any, n_outputs: int) -> nn.Module:
    """Give a network so many outputs, by a new classification layer if needed."""
    if not isinstance(network, nn.Module):
        raise TypeError(
            "An architecture must be a callable that makes a torch.nn.Module; got "
            f"{type(network).__name__}."
        )
    name = last_linear(network)
    layer = network.get_submodule(name)
    if not isinstance(layer, nn.Linear) or layer.out_features == n_outputs:
        return network
    new = nn.Linear(layer.in_features, n_outputs).to(layer.weight)
    return with_layer(network, name, new)


def load_weights(network: Any, path: Any, n_outputs: int) -> nn.Module:
    """Load a state dict, and give the network so many outputs.

    Parameters
    ----------
    network : nn.Module
        Is changed in place.
    path : str or path
        File of a state dict.
    n_outputs : int
        Outputs that the network is to have.

    Returns
    -------
    network : nn.Module
        With the weights of the file. A classification layer of another size there is
        replaced by a new one with random weights.

    Raises
    ------
    ModelFormatError
        If the file cannot be read, or has not all weights but the classification
        layer's, in their shapes.

    Warns
    -----
    PartialWeightsWarning
        Once, if weights of the file are not used, or the classification layer is new.
    """
    state = _unprefixed(read_state(path), network)
    name = last_linear(network)
    own = {f"{name}.weight".lstrip("."), f"{name}.bias".lstrip(".")}
    told = []
    rows = state.get(f"{name}.weight".lstrip("."), torch.empty(0))
    if len(rows) != n_outputs:
        told.append(
            f"the classification layer {name!r} is new, with random weights, since "
            f"the file has {len(rows) or 'no'} rows for it, not {n_outputs}"
        )
        state = {key: value for key, value in state.items() if key not in own}
    network = resized(network, n_outputs)
    _check_complete(state, network.state_dict(), own if told else set(), path)
    outcome = network.load_state_dict(state, strict=False)
    if outcome.unexpected_keys:
        told.append(_listed("the network does not have", outcome.unexpected_keys))
    if told:
        warnings.warn(
            f"{os.fspath(path)} is used in part: {'; '.join(told)}.",
            PartialWeightsWarning,
            stacklevel=3,
        )
    return network


def read_state(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read a state dict without executing anything in its file.

    Parameters
    ----------
    path : str or path
        A safetensors file, or one of ``torch.save``.

    Returns
    -------
    state : dict of str to Tensor
        On the CPU.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModelFormatError
        If it holds no state dict, or more than tensors and plain values.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"`weights` must be a file; there is no {file}.")
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        loaded = torch.load(file, map_location="cpu", weights_only=True)
    except (
        EOFError,
        LookupError,  # torch's reader of pickles, on bytes that are none
        OSError,
        RuntimeError,
        SafetensorError,
        UnpicklingError,
        ValueError,
    ) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelFormatError(
            f"`weights` must be a state dict, of tensors alone; {file} cannot be read "
            f"as one ({first}). If you trust the file, load it yourself and save "
            "model.state_dict(); a TorchScript or exported program goes through "
            "cftlearn.networks.load_network."
        ) from error
    for wrapper in _WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(wrapper), Mapping):
            loaded = loaded[wrapper]
    tensors = isinstance(loaded, Mapping) and {
        str(key): value for key, value in loaded.items() if isinstance(value, Tensor)
    }
    if not tensors:
        raise ModelFormatError(
            f"`weights` must be a state dict; {file} holds a {type(loaded).__name__} "
            f"without tensors, or with entries other than {', '.join(_WRAPPERS)}."
        )
    return tensors


def _unprefixed(state: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Take off what wrappers put before every name, unless it is the network's."""
    own = set(network.state_dict())
    while not own & set(state):
        prefix = next((p for p in _PREFIXES if any(k.startswith(p) for k in state)), "")
        if not prefix:
            break
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def _check_complete(
    state: dict[str, Tensor], wanted: dict[str, Tensor], new: set[str], path: Any
) -> None:
    """Refuse a file that leaves any weight random but those that are new."""
    missing = [
        key
        for key in wanted
        if key not in state and key not in new
        if not key.endswith("num_batches_tracked")  # which nothing is computed from
    ]
    differing = [
        f"{key} {tuple(state[key].shape)} for {tuple(wanted[key].shape)}"
        for key in wanted
        if key in state and state[key].shape != wanted[key].shape
    ]
    if not missing and not differing:
        return
    wrong = {
        "lacks": missing,
        "has another shape in": differing,
        "has beside them": [key for key in state if key not in wanted],
    }
    raise ModelFormatError(
        f"`weights` must hold all weights of the network; {os.fspath(path)} "
        + "; ".join(_listed(verb, keys) for verb, keys in wrong.items() if keys)
        + ". Name the architecture that was trained, with its options."
    )


def _listed(verb: str, names: list[str]) -> str:
    return f"{verb} {list_some(names, _SHOWN)}"
