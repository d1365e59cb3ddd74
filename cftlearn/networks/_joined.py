"""One network whose last layer is linear on the features of several."""

import copy
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cftlearn.networks._blocks import (
    CategoryWiseLinear,
    InputFeatures,
    Layer,
    LayerFeatures,
    side_by_side,
)
from cftlearn.networks._heads import head_weights

Part = LayerFeatures | InputFeatures
HEAD = "head"


class JoinedNetwork(nn.Module):
    """Blocks of features side by side, and one linear layer on all of them.

    Parameters
    ----------
    parts : sequence of nn.Module
        Each maps inputs to features of shape (n, d), or (n, C, d) for a head that gets
        a vector for every category.
    head : nn.Module
        The classification layer: an ``nn.Linear`` or a ``CategoryWiseLinear``; an
        ``nn.Identity`` for the features themselves.

    Attributes
    ----------
    parts : nn.ModuleList
        The parts.
    head : nn.Module
        The classification layer.
    """

    def __init__(self, parts: Sequence[Part], head: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits."""
        *others, last = self.parts
        # A network may change its input in place; the next one must not see that.
        blocks = [*(part(x.clone()) for part in others), last(x)]
        return self.head(side_by_side(blocks))

    @property
    def own_parts(self) -> list[Part]:
        """Return the parts, with their type."""
        return list(self.parts)  # type: ignore[arg-type]

    @property
    def block_widths(self) -> list[int]:
        """Return the number of features of every block, in their order."""
        return [width for part in self.own_parts for width in part.widths]

    def describe(self) -> dict[str, Any]:
        """Describe the structure without any weights, as JSON can hold it.

        Returns
        -------
        description : dict
            What :func:`rebuild_joined` reads.
        """
        return {
            "category_wise": isinstance(self.head, CategoryWiseLinear),
            "n_outputs": len(self.head.bias),  # type: ignore[arg-type]
            "parts": [part.describe() for part in self.own_parts],
        }


def join_networks(
    networks: Sequence[tuple[nn.Module, str]],
) -> tuple[JoinedNetwork, str]:
    """Join trained networks to one that returns the mean of their logits.

    Parameters
    ----------
    networks : sequence of (nn.Module, str)
        Networks, each with the dotted name of its classification layer, which must be
        its last step. They are copied. Of a network that is joined already, the parts
        are taken; the input of networks, as a block of features, stands there once.

    Returns
    -------
    joined : JoinedNetwork
        On the device of the first network.
    head : str
        The name of its classification layer.

    Raises
    ------
    ValueError
        If there is no network, or their numbers of outputs differ.
    """
    if not networks:
        raise ValueError("`networks` must hold at least one network; got none.")
    layers = [module.get_submodule(head) for module, head in networks]
    weights = [head_weights(module, head) for module, head in networks]
    _check_outputs([len(bias) for _, bias in weights])
    parts: list[Part] = []
    columns: list[Tensor] = []
    for (module, head), (coef, _) in zip(networks, weights, strict=True):
        own = _parts_of(module, head, coef.shape[1])
        own_columns = torch.from_numpy(coef / len(networks)).split(
            [sum(part.widths) for part in own], dim=1
        )
        for part, weight in zip(own, own_columns, strict=True):
            _append(parts, columns, part, weight)
    bias = torch.stack([torch.from_numpy(bias) for _, bias in weights]).mean(dim=0)
    is_linear = all(isinstance(layer, nn.Linear) for layer in layers)
    kind = nn.Linear if is_linear else CategoryWiseLinear
    dtypes = [layer.weight.dtype for layer in layers]
    first: Tensor = layers[0].weight  # type: ignore[assignment]
    joined = JoinedNetwork(
        parts,
        linear_head(kind, torch.cat(columns, dim=1), bias).to(
            first.device,
            reduce(torch.promote_types, dtypes),  # type: ignore[arg-type]
        ),
    ).to(first.device)
    # Only of what is new: parts of a network may have modes of their own.
    for new in (joined, joined.parts, joined.head):
        new.training = _is_training(networks[0][0])
    return joined, HEAD


def join_coef(
    networks: Sequence[tuple[nn.Module, str]], coefs: Sequence[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Arrange weights on the features of networks as the joined network needs them.

    Parameters
    ----------
    networks : sequence of (nn.Module, str)
        As in :func:`join_networks`.
    coefs : sequence of ndarray of shape (n_categories, n_features)
        Weights on the features of each network.

    Returns
    -------
    coef : ndarray of shape (n_categories, n_joined_features)
        Weights by which the joined features have the sum of the logits.
    """
    parts: list[Any] = []
    columns: list[NDArray[np.float64]] = []
    for (module, head), coef in zip(networks, coefs, strict=True):
        own_parts: list[Any] = [module]
        blocks = [coef]
        if isinstance(module, JoinedNetwork) and head == HEAD:
            own_parts = list(module.own_parts)
            ends = np.cumsum([sum(part.widths) for part in own_parts])
            blocks = np.split(coef, ends[:-1], axis=1)
        for part, block in zip(own_parts, blocks, strict=True):
            _append(parts, columns, part, block)
    return np.concatenate(columns, axis=1)


def linear_head(
    kind: type[nn.Module], weight: Tensor, bias: Tensor
) -> nn.Linear | CategoryWiseLinear:
    """Build a classification layer from its weights.

    Parameters
    ----------
    kind : type
        ``nn.Linear`` or ``CategoryWiseLinear``.
    weight : Tensor of shape (n_outputs, n_features)
        Weights; the layer has their type.
    bias : Tensor of shape (n_outputs,)
        Biases.

    Returns
    -------
    head : nn.Module
        The layer.
    """
    # Without memory of its own a layer draws no initial weights: the generator stays.
    with torch.device("meta"):
        head = kind(weight.shape[1], weight.shape[0])
    head = head.to_empty(device=weight.device).to(weight)
    with torch.no_grad():
        head.weight.copy_(weight)  # type: ignore[operator]
        head.bias.copy_(bias)  # type: ignore[operator]
    return head  # type: ignore[return-value]


def rebuild_joined(
    description: dict[str, Any], make_network: Callable[[], nn.Module]
) -> JoinedNetwork:
    """Build a joined network as it was described; its weights are to be loaded.

    Parameters
    ----------
    description : dict
        As :meth:`JoinedNetwork.describe` returned it.
    make_network : callable
        Returns a new copy of the network that every part has.

    Returns
    -------
    joined : JoinedNetwork
        On the CPU.

    Raises
    ------
    AttributeError
        If the network has no such layers.
    KeyError, TypeError, ValueError
        If the description makes no sense.
    """
    parts: list[Part] = []
    for own in description["parts"]:
        if "layers" in own:
            network = make_network()
            layers = [Layer(**layer) for layer in own["layers"]]
            for name in (own["head"], *(layer.name for layer in layers)):
                network.get_submodule(name)
            parts.append(LayerFeatures(network, own["head"], own["width"], layers))
        else:
            parts.append(InputFeatures(own["width"]))
    kind = CategoryWiseLinear if description["category_wise"] else nn.Linear
    n_features = sum(sum(part.widths) for part in parts)
    return JoinedNetwork(parts, kind(n_features, description["n_outputs"]))


def _check_outputs(n_outputs: list[int]) -> None:
    if len(set(n_outputs)) > 1:
        raise ValueError(
            "`networks` must have the same number of outputs to be joined; got "
            f"{n_outputs}. Join networks of the same categories."
        )


def _parts_of(module: nn.Module, head: str, width: int) -> list[Part]:
    """Copy the parts of a joined network, or make a part of another one."""
    if isinstance(module, JoinedNetwork) and head == HEAD:
        return [copy.deepcopy(part) for part in module.own_parts]
    part = LayerFeatures(copy.deepcopy(module), head, width)
    layer = module.get_submodule(head)
    part.scale = part.scale.to(layer.weight)  # type: ignore[arg-type]
    part.training = _is_training(module)
    return [part]


def _append(parts: list[Any], columns: list[Any], part: Any, weight: Any) -> None:
    """Append a part with its weights; or, for a second input, add its weights."""
    for i, earlier in enumerate(parts):
        if isinstance(part, InputFeatures) and isinstance(earlier, InputFeatures):
            factor = part.scale.double().cpu() / earlier.scale.double().cpu()
            is_tensor = isinstance(weight, Tensor)
            columns[i] = columns[i] + weight * (factor if is_tensor else factor.numpy())
            return
    parts.append(part)
    columns.append(weight)


def _is_training(module: nn.Module) -> bool:
    return getattr(module, "training", False)  # a frozen TorchScript module has none
