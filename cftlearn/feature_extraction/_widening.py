"""Networks whose classification layer also gets the features of earlier layers."""

from collections.abc import Sequence
from contextlib import closing
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx, nn

from cftlearn._inputs import Inputs
from cftlearn.feature_extraction._forward_hooks import Tap, feature_batches
from cftlearn.feature_extraction._layer_trace import LayerRun, Trace, trace_layers
from cftlearn.feature_extraction._stages import choose_layers
from cftlearn.networks._block_scales import set_block_scales
from cftlearn.networks._blocks import InputFeatures, Layer, LayerFeatures
from cftlearn.networks._joined import HEAD, JoinedNetwork, join_networks, linear_head

Layers = Sequence[str] | Literal["auto"]


def widen_network(
    network: nn.Module, head: str, layers: Layers, row: Inputs, device: str
) -> tuple[JoinedNetwork, str]:
    """Put features of other layers beside those that the classification layer gets.

    The new weights are zero, so the logits stay those of the network.

    Parameters
    ----------
    network : nn.Module
        A trained network. It is copied.
    head : str
        Dotted name of its classification layer, which must be its last step.
    layers : sequence of str, or "auto"
        Dotted names of the layers. The mean of each output is taken over all axes but
        rows and channels. ``""`` is the input of the network, which must be a vector.
        "auto" chooses by the rule of :func:`choose_layers`.
    row : Inputs
        Rows, of which the first is tried.
    device : str
        Torch device to try it on.

    Returns
    -------
    wide : JoinedNetwork
        The wide network. All scales are 1; see :func:`scale_blocks`.
    head : str
        The name of its classification layer.

    Raises
    ------
    TypeError
        If a name is not a string.
    ValueError
        If a layer does not exist, does not run once, or does not end before the
        classification layer; if its output is no tensor with one row per row; if the
        input is no vector; or if the network is a joined one.
    """
    if isinstance(network, JoinedNetwork):
        raise ValueError(
            "`network` must be a plain network to be widened; got a JoinedNetwork. "
            "Widen the networks first, and join them then."
        )
    trace = trace_layers(network, head, row, device)
    named = _named_layers(network, head, layers, trace, "layers")
    wide, _ = join_networks([(network, head)])
    (part,) = wide.own_parts
    copied: nn.Module = part.network  # type: ignore[assignment]
    old: nn.Linear = wide.head  # type: ignore[assignment]
    n_old = old.weight.shape[1]
    parts = _parts_of(copied, head, n_old, named, trace)
    n_new = sum(sum(new.widths) for new in parts) - n_old
    weight = torch.cat(
        [old.weight.detach(), old.weight.new_zeros(len(old.weight), n_new)], dim=1
    )
    joined = JoinedNetwork(parts, linear_head(type(old), weight, old.bias.detach()))
    for new in parts:
        new.scale = new.scale.to(weight)
    # The copied network has its own modes.
    for module in (joined, joined.parts, joined.head, *parts):
        module.training = wide.training
    return joined, HEAD


def scale_blocks(
    network: JoinedNetwork,
    inputs: Inputs,
    *,
    batch_size: int,
    device: str,
    num_workers: int = 0,
) -> NDArray[np.float64]:
    """Scale the blocks of a network's features to equal total variances.

    Parameters
    ----------
    network : JoinedNetwork
        It is changed in place; its logits stay the same, but for rounding.
    inputs : Inputs
        Rows to train with.
    batch_size : int
        Rows at a time.
    device : str
        Torch device.
    num_workers : int, default=0
        Processes that read rows.

    Returns
    -------
    factors : ndarray of shape (n_features,)
        What the scales were multiplied by.

    See Also
    --------
    cftlearn.networks._block_scales.set_block_scales : The same from features.
    """
    batches = feature_batches(
        network,
        Tap(HEAD, "input", parameter="head"),
        inputs,
        inputs.in_order(batch_size),
        device=device,
        num_workers=num_workers,
    )
    with closing(batches):
        return set_block_scales(network, (features for _, features in batches))


def wide_features(
    network: nn.Module,
    tap: Tap,
    layers: Layers,
    row: Inputs,
    device: str,
) -> JoinedNetwork:
    """Build a network that returns features of several layers.

    Parameters
    ----------
    network : nn.Module
        The network. It is part of the new one, not copied.
    tap : Tap
        Where the first features are taken: the input of the last layer, or the output
        of the network.
    layers : sequence of str, or "auto"
        As in :func:`widen_network`.
    row : Inputs
        Rows, of which the first is tried.
    device : str
        Torch device to try it on.

    Returns
    -------
    features : JoinedNetwork
        It returns the first features, and those of the layers, all of them unscaled.

    Raises
    ------
    ValueError
        As :func:`widen_network`.
    """
    head = tap.layer if tap.side == "input" else None
    trace = trace_layers(network, head, row, device)
    first = trace.head_input
    if first.ndim != 2:
        raise ValueError(
            "The network must give one vector per row to put the features of `layer` "
            f"beside it; it gives an array of shape {tuple(first.shape)} for one row. "
            "Pool or flatten it."
        )
    names = _named_layers(network, head, layers, trace, "layer")
    return JoinedNetwork(
        _parts_of(network, head, first.shape[1], names, trace), nn.Identity()
    )


def _named_layers(
    network: nn.Module, head: str | None, layers: Layers, trace: Trace, parameter: str
) -> list[str]:
    """Check the names of layers to take features of, or choose some."""
    if isinstance(layers, str):
        if layers == "auto":
            return choose_layers(network, head, trace)
        raise ValueError(
            f"`{parameter}` must be a list of names, or 'auto'; got {layers!r}. Pass "
            f"[{layers!r}]."
        )
    names = list(layers)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(
                f"`{parameter}` must hold names of layers; got {name!r} of type "
                f"{type(name).__name__}. Pass names, as network.named_modules() lists "
                "them."
            )
        if names.count(name) > 1:
            raise ValueError(
                f"`{parameter}` must name every layer once; got {name!r} "
                f"{names.count(name)} times. Remove the others."
            )
        if name == "":
            _check_input(trace, parameter)
        else:
            _check_layer(network, head, name, trace, parameter)
    return names


def _parts_of(
    network: nn.Module, head: str | None, width: int, names: list[str], trace: Trace
) -> list[LayerFeatures | InputFeatures]:
    """Build the parts around a network, which is not copied; the input comes last."""
    layers = []
    for name in names:
        if name:
            run = _run(network, name, trace)
            n_features = run.features.shape[1]  # type: ignore[union-attr]
            layers.append(Layer(name, n_features, run.channel_axis))
    parts: list[LayerFeatures | InputFeatures] = [
        LayerFeatures(network, head, width, layers)
    ]
    if "" in names:
        parts.append(InputFeatures(trace.row.shape[1]))
    return parts


def _check_input(trace: Trace, parameter: str) -> None:
    row = trace.row
    if row.ndim != 2 or not row.is_floating_point():
        raise ValueError(
            f"`{parameter}` may hold '', the input of the network, where a row is a "
            f"vector of floats; got rows of shape {tuple(row.shape[1:])} and type "
            f"{row.dtype}. Name layers instead."
        )


def _check_layer(
    network: nn.Module, head: str | None, name: str, trace: Trace, parameter: str
) -> None:
    """Check that a layer runs once, before the head, and gives features."""
    program = _program_around(network, name)
    try:
        run = _run(network, name, trace)
    except AttributeError as error:
        if program is not None:
            raise _unreachable(name, program, parameter) from error
        known = [key for key, other in trace.runs.items() if key and other.n_runs == 1]
        raise ValueError(
            f"`{parameter}` must name layers of the network; got {name!r}. The last "
            f"ones that run are: {', '.join(map(repr, known[-10:]))}."
        ) from error
    if program is not None and run.n_runs == 0:
        raise _unreachable(name, program, parameter)
    if run.n_runs != 1:
        raise ValueError(
            f"`{parameter}` must name layers that run once in a forward pass; "
            f"{name!r} runs {run.n_runs} times. Name another layer, such as the one "
            "around it."
        )
    if head is not None and run.order >= _run(network, head, trace).order:
        raise ValueError(
            f"`{parameter}` must name layers that end before the classification layer "
            f"{head!r}; {name!r} does not. Name an earlier one."
        )
    if run.features is None:
        raise ValueError(
            f"`{parameter}` must name layers that return a tensor of floats of shape "
            f"(n_rows, ...); {name!r} returns {run.kind} for one row. Name another "
            "layer."
        )


def _run(network: nn.Module, name: str, trace: Trace) -> LayerRun:
    """Return what a layer did, which may have been noted under its other name."""
    if name in trace.runs:
        return trace.runs[name]
    layer = network.get_submodule(name)
    names = {id(other): key for key, other in network.named_modules()}
    return trace.runs[names[id(layer)]]


def _program_around(network: nn.Module, name: str) -> str | None:
    """Return the kind of the program that a name leads into, or None."""
    layers = dict(network.named_modules())
    parts = name.split(".")
    for n_parts in range(len(parts) + 1):
        layer = layers.get(".".join(parts[:n_parts]))
        if isinstance(layer, torch.jit.ScriptModule):
            return "TorchScript"
        if isinstance(layer, fx.GraphModule) and n_parts < len(parts):
            return "torch.export or torch.fx"
    return None


def _unreachable(name: str, program: str, parameter: str) -> ValueError:
    return ValueError(
        f"`{parameter}` must name layers that run as modules; {name!r} is part of a "
        f"program of {program}, whose layers cannot be reached. Pass the network's own "
        "code (an Architecture, say), or no layers."
    )
