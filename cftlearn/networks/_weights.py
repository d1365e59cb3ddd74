"""Load weights into a network whose classification layer may have another size."""

import os
import warnings
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn

from cftlearn.exceptions import ModelFormatError, PartialWeightsWarning, list_some
from cftlearn.networks._heads import last_linear, with_layer
from cftlearn.networks._state_files import read_state

_PREFIXES = {"module", "_orig_mod", "model"}  # of DataParallel, compile, Lightning
_SHOWN = 5
_TYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def resized(network: Any, n_outputs: int) -> nn.Module:
    """Replace the classification layer of a network if its size differs.

    Parameters
    ----------
    network : nn.Module
        It is changed in place.
    n_outputs : int
        Outputs that it must have.

    Returns
    -------
    network : nn.Module
        The same network, or the new layer if the network is the layer.

    Raises
    ------
    TypeError
        If it is no module.
    ValueError
        If it has no classification layer.
    """
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
    """Load a state dict into a network, and resize its classification layer.

    Parameters
    ----------
    network : nn.Module
        It is changed in place.
    path : str or path
        File of a state dict.
    n_outputs : int
        Outputs that the network must have.

    Returns
    -------
    network : nn.Module
        With the weights of the file. If its classification layer has another size
        there, the network gets a new one with random weights.

    Raises
    ------
    ModelFormatError
        If the file cannot be read, or any weight but those of the classification
        layer is missing, has another shape, or is no finite number.

    Warns
    -----
    PartialWeightsWarning
        Once, if weights of the file are not used, the classification layer is new, or
        the names of the file have a prefix that no wrapper of torch makes.
    """
    state, prefix = _unprefixed(read_state(path), network.state_dict())
    name = last_linear(network)
    weight_key, bias_key = (f"{name}.{key}".lstrip(".") for key in ("weight", "bias"))
    new_keys: set[str] = set()
    reasons = []
    if not set(prefix.split(".")[:-1]) <= _PREFIXES:
        reasons.append(f"its names are used without their prefix {prefix!r}")
    stored = state.get(weight_key)
    n_stored = len(stored) if stored is not None and stored.ndim else 0
    if n_stored != n_outputs:
        new_keys = {weight_key, bias_key}
        reasons.append(
            f"the classification layer {name!r} is new, with random weights, since "
            f"the file has {n_stored or 'no'} outputs for it, not {n_outputs}"
        )
        state = {key: value for key, value in state.items() if key not in new_keys}
    network = resized(network, n_outputs)
    _check_complete(state, network.state_dict(), new_keys, path)
    _check_values(state, dict(network.named_parameters()), path)
    outcome = network.load_state_dict(state, strict=False)
    if outcome.unexpected_keys:
        reasons.append(_listed("the network does not have", outcome.unexpected_keys))
    if reasons:
        warnings.warn(
            f"{os.fspath(path)} is used in part: {'; '.join(reasons)}.",
            PartialWeightsWarning,
            stacklevel=3,
        )
    return network


def _unprefixed(
    state: dict[str, Tensor], needed: dict[str, Tensor]
) -> tuple[dict[str, Tensor], str]:
    """Remove the prefix behind which most names of the network stand.

    Of prefixes that are equally good, only that of a wrapper of torch is removed.
    """
    found: Counter[str] = Counter()
    for key in state:
        ends = [0] + [i + 1 for i, letter in enumerate(key) if letter == "."]
        found.update(key[:end] for end in ends if key[end:] in needed)
    most = max(found.values(), default=0)
    best = [prefix for prefix, count in found.items() if count == most]
    if len(best) > 1:
        best = [each for each in best if set(each.split(".")[:-1]) <= _PREFIXES]
    if not best or "" in best:
        return state, ""
    prefix = best[0]
    inside = {
        key.removeprefix(prefix): value
        for key, value in state.items()
        if key.startswith(prefix)
    }
    outside = {
        f"(top).{key}" if key in inside else key: value
        for key, value in state.items()
        if not key.startswith(prefix)
    }
    return outside | inside, prefix


def _wrapper(names: set[str], needed: set[str]) -> str:
    """Return the prefix that the network has before the names of a file, or ""."""
    found: Counter[str] = Counter()
    for key in needed:
        ends = [i + 1 for i, letter in enumerate(key) if letter == "."]
        found.update(key[:end] for end in ends if key[end:] in names)
    if not found or names & needed:
        return ""
    prefix, count = found.most_common(1)[0]
    return prefix if 2 * count > len(names) else ""


def _check_complete(
    state: dict[str, Tensor], needed: dict[str, Tensor], new: set[str], path: Any
) -> None:
    """Check that a file has all weights in their shapes, except the new ones."""
    missing = [
        key
        for key in needed
        if key not in state and key not in new
        if not key.endswith("num_batches_tracked")  # a counter that no output needs
    ]
    differing = [
        f"{key} {tuple(state[key].shape)} for {tuple(needed[key].shape)}"
        for key in needed
        if key in state and state[key].shape != needed[key].shape
    ]
    if not missing and not differing:
        return
    hint = "Name the architecture that was trained, with its options"
    wrapper = _wrapper(set(state), set(needed))
    if wrapper:
        hint = (
            f"The network has these names behind {wrapper!r}: make the module without "
            "what wraps it, or save the state dict of the whole"
        )
    problems = {
        "lacks": missing,
        "has another shape in": differing,
        "has beside them": [key for key in state if key not in needed],
    }
    raise ModelFormatError(
        f"`weights` must hold all weights of the network; {os.fspath(path)} "
        + "; ".join(_listed(verb, keys) for verb, keys in problems.items() if keys)
        + f". {hint}."
    )


def _check_values(
    state: dict[str, Tensor], parameters: dict[str, nn.Parameter], path: Any
) -> None:
    """Check that weights are stored as finite numbers of a type that weights have."""
    for key, value in state.items():
        if key not in parameters or not parameters[key].is_floating_point():
            continue
        if value.dtype not in _TYPES:
            problem = f"{key} of type {value.dtype}"
            remedy = "Save the network in float32"
        elif not bool(torch.isfinite(value).all()):
            problem = f"NaN or infinity in {key}"
            remedy = "Save the weights of an epoch before its training failed"
        else:
            continue
        raise ModelFormatError(
            f"`weights` must hold finite numbers in floating point; "
            f"{os.fspath(path)} has {problem}. {remedy}."
        )


def _listed(verb: str, names: list[str]) -> str:
    return f"{verb} {list_some(names, _SHOWN)}"
