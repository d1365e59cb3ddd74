"""What the layers of a network do with one row: which run, when, and what they give."""

from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from cftlearn._inputs import Inputs
from cftlearn.feature_extraction._forward_hooks import evaluating_on, run_batch
from cftlearn.networks._blocks import pooled


@dataclass
class LayerRun:
    """What a layer did in the forward pass of one row.

    Attributes
    ----------
    n_runs : int
        How often it ran.
    order : int
        How many layers had ended before it, at its last run.
    shape : tuple of int or None
        Of its output, with the row first; None if it is no tensor of numbers with one
        row and at least one more axis.
    kind : str
        How errors name the output.
    channel_axis : int or None
        The axis of the output that holds channels; None for a vector.
    features : Tensor of shape (1, n_features) or None
        Means of the output over its other axes.
    """

    n_runs: int = 0
    order: int = 0
    shape: tuple[int, ...] | None = None
    kind: str = ""
    channel_axis: int | None = None
    features: Tensor | None = None

    @property
    def n_positions(self) -> int:
        """Return the size of the map without channels; of a vector, its length."""
        shape = self.shape or ()
        if self.channel_axis is None:
            return prod(shape[1:])
        return prod(shape[2:] if self.channel_axis == 1 else shape[1:-1])


@dataclass
class Trace:
    """The forward pass of one row.

    Attributes
    ----------
    row : Tensor of shape (1, ...)
        The row, on the CPU.
    runs : dict of str to LayerRun
        By the dotted names of all layers; a layer with several names is there once.
    head_input : Tensor
        What the classification layer got, or the network returned.
    """

    row: Tensor
    runs: dict[str, LayerRun]
    head_input: Tensor


@dataclass
class _Watcher:
    """Follows a forward pass from layer to layer.

    A map of 3 or more axes has its channels on axis 1 after a convolution or batch
    norm, as in an image, and on the last axis after an ``nn.Linear``, attention or
    layer norm, as in a sequence of tokens. Where the last such layer has as many
    channels as the other axis has entries, the map was transposed since.
    """

    n_ended: int = 0
    n_channels: int | None = None  # of the last layer that fixes it
    default_axis: int = 1
    n_axes: int = 0
    head_inputs: list[Any] = field(default_factory=list)

    def end(
        self, run: LayerRun, layer: nn.Module, inputs: tuple[Any, ...], output: Any
    ) -> None:
        """Note what a layer has returned."""
        run.n_runs += 1
        run.order = self.n_ended
        self.n_ended += 1
        is_tensor = isinstance(output, Tensor)
        run.kind = (
            f"shape {tuple(output.shape)}" if is_tensor else type(output).__name__
        )
        channels = _channels(layer)
        if channels is not None and is_tensor:
            (self.n_channels, self.default_axis), self.n_axes = channels, output.ndim
        run.shape = None
        if is_tensor and output.is_floating_point() and _is_one_row(output):
            run.shape = tuple(output.shape)
            run.channel_axis = self._axis(run.shape)
            run.features = pooled(output, run.channel_axis)

    def _axis(self, shape: tuple[int, ...]) -> int | None:
        if len(shape) == 2:
            return None
        if self.default_axis == 1 and len(shape) == self.n_axes:
            return 1  # channels may have been joined, but nothing was flattened
        fits = [axis for axis in (1, -1) if shape[axis] == self.n_channels]
        return fits[0] if len(fits) == 1 else self.default_axis


def trace_layers(
    network: nn.Module, head: str | None, inputs: Inputs, device: str
) -> Trace:
    """Run a network on the first row of its inputs, and note what its layers do.

    Parameters
    ----------
    network : nn.Module
        The network; its mode and device are left as they were found.
    head : str or None
        Name of the classification layer; None for the network's output.
    inputs : Inputs
        Rows.
    device : str
        Torch device.

    Returns
    -------
    trace : Trace
        All that was noted.

    Raises
    ------
    ValueError
        If the network does not accept the row, or the head does not run once.
    """
    runs = {name: LayerRun() for name, _ in network.named_modules()}
    watcher = _Watcher()
    with ExitStack() as stack:
        for name, layer in network.named_modules():
            if not isinstance(layer, torch.jit.ScriptModule):  # it takes no hooks
                hook = partial(watcher.end, runs[name])
                stack.enter_context(layer.register_forward_hook(hook))
        if head is not None:
            stack.enter_context(
                network.get_submodule(head).register_forward_hook(
                    lambda _, given, output: watcher.head_inputs.append(given[0])
                )
            )
        stack.enter_context(evaluating_on(network, device))
        stack.enter_context(torch.inference_mode())
        _, batch = next(inputs.batches(inputs.in_order(1)))
        watcher.n_axes = batch.ndim
        output = run_batch(network, batch.clone(), device)
    found = [output] if head is None else watcher.head_inputs
    if len(found) != 1:
        raise ValueError(
            f"The classification layer {head!r} must run once in a forward pass; it "
            f"ran {len(found)} times. Name another layer with `head`."
        )
    return Trace(batch, runs, found[0])


def _is_one_row(output: Tensor) -> bool:
    return output.ndim >= 2 and len(output) == 1


def _channels(layer: nn.Module) -> tuple[int, int] | None:
    """Return a layer's number of channels and their axis, where its kind tells."""
    if isinstance(layer, _ConvNd):
        return layer.out_channels, 1
    if isinstance(layer, _NormBase):
        return layer.num_features, 1
    if isinstance(layer, nn.GroupNorm):
        return layer.num_channels, 1
    if isinstance(layer, nn.Linear):
        return layer.out_features, -1
    if isinstance(layer, (nn.Embedding, nn.EmbeddingBag)):
        return layer.embedding_dim, -1
    if isinstance(layer, nn.MultiheadAttention):
        return layer.embed_dim, -1
    # Subclasses of nn.LayerNorm often move the axis of channels before they call it.
    if type(layer) is nn.LayerNorm and len(layer.normalized_shape) == 1:
        return layer.normalized_shape[0], -1
    return None
