"""Blocks of features: of a network's layers, and of its input."""

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


class Layer(NamedTuple):
    """A layer whose output is a block of features.

    Attributes
    ----------
    name : str
        Its dotted name in the network.
    width : int
        Number of features.
    channel_axis : int or None
        The axis of its output that holds the features: 1 or -1; the mean is taken over
        the others but the rows. None: the output is a vector per row.
    """

    name: str
    width: int
    channel_axis: int | None


class LayerFeatures(nn.Module):
    """Compute what a layer of a network gets, beside the outputs of other layers.

    The layers are watched by hooks while the network runs, and only then. So the
    network keeps its code, its names and its state dict, and this module can be
    copied, pickled and exported.

    Parameters
    ----------
    network : nn.Module
        The network. It keeps its classification layer: code after that layer, or code
        that reads its weights, works as before.
    head : str or None
        Dotted name of the layer whose input is the first block, the classification
        layer. None: the first block is what the network returns.
    width : int
        Number of features of the first block.
    layers : sequence of Layer, default=()
        The other blocks.

    Attributes
    ----------
    scale : Tensor of shape (n_features,)
        A buffer that the features are multiplied by, the same for all of a block.
    """

    scale: Tensor

    def __init__(
        self,
        network: nn.Module,
        head: str | None,
        width: int,
        layers: Sequence[Layer] = (),
    ) -> None:
        super().__init__()
        self.network = network
        self.head = head
        self.layers = tuple(layers)
        self.widths = [width, *(layer.width for layer in layers)]
        self.register_buffer("scale", torch.ones(sum(self.widths)))

    def forward(self, x: Tensor) -> Tensor:
        """Compute features of shape (n, d), or (n, C, d) if the head gets these."""
        first: list[Tensor] = []
        others: list[list[Tensor]] = [[] for _ in self.layers]
        with ExitStack() as hooks:
            if self.head is not None:
                layer = self.network.get_submodule(self.head)
                hooks.enter_context(
                    layer.register_forward_hook(
                        lambda _, inputs, output: first.append(inputs[0])
                    )
                )
            for (name, _, axis), found in zip(self.layers, others, strict=True):
                layer = self.network.get_submodule(name)
                hook = partial(_record, found, axis)
                hooks.enter_context(layer.register_forward_hook(hook))
            output = self.network(x)
        if self.head is None:
            first = [output]
        for name, found in zip(self._names(), [first, *others], strict=True):
            if len(found) != 1:
                raise ValueError(
                    f"The layer {name!r} must run once in a forward pass; it ran "
                    f"{len(found)} times. Name another layer."
                )
        return side_by_side([*first, *(found[0] for found in others)]) * self.scale

    def _names(self) -> list[str]:
        return [self.head or "", *(layer.name for layer in self.layers)]

    def extra_repr(self) -> str:
        """Describe where the features are taken."""
        return f"head={self.head!r}, layers={[layer.name for layer in self.layers]}"

    def describe(self) -> dict[str, Any]:
        """Describe all but the network, as JSON can hold it."""
        return {
            "head": self.head,
            "width": self.widths[0],
            "layers": [layer._asdict() for layer in self.layers],
        }


class InputFeatures(nn.Module):
    """Take the network's input itself, one vector per row, as a block of features.

    Parameters
    ----------
    width : int
        Number of features.

    Attributes
    ----------
    scale : Tensor of shape (n_features,)
        A buffer that the features are multiplied by.
    """

    scale: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.widths = [width]
        self.register_buffer("scale", torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Compute features of shape (n, d)."""
        return x * self.scale

    def describe(self) -> dict[str, Any]:
        """Describe the block, as JSON can hold it."""
        return {"width": self.widths[0]}


class CategoryWiseLinear(nn.Module):
    """A linear layer that gets a feature vector of its own for every category.

    Parameters
    ----------
    n_features : int
        Length of every vector.
    n_categories : int
        Number of categories.
    """

    def __init__(self, n_features: int, n_categories: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_categories, n_features))
        self.bias = nn.Parameter(torch.zeros(n_categories))

    def forward(self, z: Tensor) -> Tensor:
        """Compute logits of features of shape (n, C, d)."""
        return (z * self.weight).sum(dim=-1) + self.bias


def pooled(output: Tensor, channel_axis: int | None) -> Tensor:
    """Compute the mean of a layer's output over all axes but rows and channels.

    Parameters
    ----------
    output : Tensor of shape (n, ...)
        The output.
    channel_axis : int or None
        1 or -1; None for one vector per row.

    Returns
    -------
    features : Tensor of shape (n, d)
        A new tensor: the network may change the output in place afterwards.
    """
    if channel_axis is None:
        return output.clone()
    axes = range(2, output.ndim) if channel_axis == 1 else range(1, output.ndim - 1)
    return output.mean(dim=tuple(axes))


def side_by_side(blocks: Sequence[Tensor]) -> Tensor:
    """Join blocks of features; vectors per row are repeated beside those per category.

    Parameters
    ----------
    blocks : sequence of Tensor of shape (n, d) or (n, C, d)
        The blocks.

    Returns
    -------
    features : Tensor of shape (n, D) or (n, C, D)
        All of them.
    """
    per_category = [block for block in blocks if block.ndim == 3]
    if per_category:
        n_categories = per_category[0].shape[1]
        blocks = [
            block
            if block.ndim == 3
            else block.unsqueeze(1).expand(-1, n_categories, -1)
            for block in blocks
        ]
    return torch.cat(list(blocks), dim=-1)


def _record(
    found: list[Tensor], axis: int | None, _: nn.Module, inputs: Any, output: Tensor
) -> None:
    found.append(pooled(output, axis))
