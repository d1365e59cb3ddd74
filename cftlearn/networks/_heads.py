"""The classification layer of a network: find it, read its weights, write others."""

import copy
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

# Of the product of the norms of features and weights. Half precision loses less.
_TOLERANCE = 2e-2


def find_head(module: nn.Module, name: str | None, n_categories: int) -> str:
    """Find the classification layer, and check that it fits the categories.

    Parameters
    ----------
    module : nn.Module
        The network.
    name : str or None
        Dotted name of the layer: an ``nn.Linear``, or a layer with a ``weight`` of
        shape (n_categories, n_features) and a ``bias`` of shape (n_categories,) that
        multiplies a feature vector of its own for every category. None takes what the
        network calls its classifier (as timm's do), else the last registered
        ``nn.Linear``.
    n_categories : int
        Number of outputs that it must have.

    Returns
    -------
    name : str
        Dotted name of the layer; empty if the network is the layer.

    Raises
    ------
    ValueError
        If there is no such layer, it is of neither kind, or has another size.
    """
    name = last_linear(module) if name is None else _named(module, name)
    n_outputs = _size(module.get_submodule(name))
    if n_outputs != n_categories:
        fitting = [
            key for key, layer in _linear(module) if _size(layer) == n_categories
        ]
        others = ", ".join(map(repr, fitting[-10:]))
        raise ValueError(
            f"The classification layer {name!r} must have one output per category of "
            f"`y`; got {n_outputs} outputs for {n_categories} categories. Change the "
            "layer, or name another one with `head`"
            + (
                f" (with {n_categories} outputs there are: {others})."
                if others
                else "."
            )
        )
    return name


def last_linear(module: nn.Module) -> str:
    """Name the layer that a network calls its classifier, else its last linear one.

    Parameters
    ----------
    module : nn.Module
        The network.

    Returns
    -------
    name : str
        Dotted name of an ``nn.Linear``.

    Raises
    ------
    ValueError
        If there is none, or the network has several classifiers.
    """
    classifier = None
    if any(kind.__module__.partition(".")[0] == "timm" for kind in type(module).mro()):
        classifier = module.get_classifier()  # type: ignore[operator]
    if isinstance(classifier, (tuple, list)):
        raise ValueError(
            f"`module` must have one classification layer; a {type(module).__name__} "
            f"has {len(classifier)} and averages them. Wrap it in a module that ends "
            "in one nn.Linear on its features (reset_classifier(0) leaves these)."
        )
    linear = dict(_linear(module))
    for name, layer in linear.items():
        if layer is classifier:
            return name
    if not linear:
        raise ValueError(
            "`module` must have an nn.Linear as its classification layer; got a "
            f"{type(module).__name__} without any. {_remedy(module)}"
        )
    return list(linear)[-1]


def head_weights(
    module: nn.Module, head: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Read weights and biases of the classification layer.

    Parameters
    ----------
    module : nn.Module
        The network.
    head : str
        Dotted name of the layer.

    Returns
    -------
    coef : ndarray of shape (n_categories, n_features)
        A copy of the weights.
    intercept : ndarray of shape (n_categories,)
        A copy of the biases; zeros if the layer has none.
    """
    layer = module.get_submodule(head)
    coef = _weight(layer).detach().cpu().double().numpy().copy()
    if layer.bias is None:
        return coef, np.zeros(len(coef))
    bias: Tensor = layer.bias  # type: ignore[assignment]
    return coef, bias.detach().cpu().double().numpy().copy()


def with_head_weights(
    module: nn.Module,
    head: str,
    coef: NDArray[np.float64],
    intercept: NDArray[np.float64],
) -> nn.Module:
    """Copy a network with other weights and biases in its classification layer.

    Parameters
    ----------
    module : nn.Module
        The network; it is not changed.
    head : str
        Dotted name of the layer.
    coef : ndarray of shape (n_categories, n_features)
        New weights.
    intercept : ndarray of shape (n_categories,)
        New biases; a layer without biases gets some.

    Returns
    -------
    network : nn.Module
        The copy, in the mode and precision of the network.
    """
    network = copy.deepcopy(module)
    layer = network.get_submodule(head)
    if not isinstance(layer, nn.Linear):
        with torch.no_grad():
            _weight(layer).copy_(torch.from_numpy(coef))
            layer.bias.copy_(torch.from_numpy(intercept))  # type: ignore[operator]
        return network
    new = nn.Linear(coef.shape[1], coef.shape[0]).to(layer.weight)
    with torch.no_grad():
        new.weight.copy_(torch.from_numpy(coef))
        new.bias.copy_(torch.from_numpy(intercept))
    new.train(layer.training)
    return with_layer(network, head, new)


def with_layer(network: nn.Module, name: str, new: nn.Module) -> nn.Module:
    """Replace a layer by another one, under all of its names.

    Parameters
    ----------
    network : nn.Module
        It is changed in place.
    name : str
        Dotted name of the layer to replace; empty if the network is the layer.
    new : nn.Module
        Its replacement.

    Returns
    -------
    network : nn.Module
        The same network, or ``new``.
    """
    if not name:
        return new
    layer = network.get_submodule(name)
    for parent in list(network.modules()):
        # `named_children` would name a layer once that has two names.
        for own_name, child in list(parent._modules.items()):
            if child is layer:
                setattr(parent, own_name, new)
    return network


def check_head_inputs(
    layer: nn.Module, head: str, features: Tensor, logits: Tensor, n_rows: int
) -> None:
    """Check that the layer got one vector per row, and multiplied it by its weights.

    Parameters
    ----------
    layer : nn.Module
        The classification layer.
    head : str
        Its name.
    features, logits : Tensor
        Its input and its output.
    n_rows : int
        Rows of the batch.

    Raises
    ------
    ValueError
        If features are not one vector per row (for a layer that is no ``nn.Linear``,
        one per row and category), or logits are not their products with the weights.
    """
    weight = _weight(layer)
    required = (n_rows, weight.shape[1])
    if not isinstance(layer, nn.Linear):
        required = (n_rows, *weight.shape)
    if features.shape != required:
        each = "row" if len(required) == 2 else "row and category"
        raise ValueError(
            f"The classification layer {head!r} must see one vector per {each}; it "
            f"sees an array of shape {tuple(features.shape)} for {n_rows} rows. Pool "
            "or flatten before it."
        )
    x, w = features.detach().float(), weight.detach().float()
    equation = "ncd,cd->nc" if x.ndim == 3 else "nd,cd->nc"
    expected = torch.einsum(equation, x, w)
    # |x.w| <= |x| |w|, so rounding errors grow with the product of the norms, not with
    # the logit, which may be near zero.
    scale = x.norm(dim=-1).reshape(n_rows, -1) * w.norm(dim=1)
    if layer.bias is not None:
        bias: Tensor = layer.bias.detach().float()  # type: ignore[operator]
        expected, scale = expected + bias, scale + bias.abs()
    differs = (logits.shape != expected.shape) or bool(
        ((logits.float() - expected).abs() > _TOLERANCE * scale + 1e-5).any()
    )
    if differs:
        raise ValueError(
            f"The classification layer {head!r} must give the products of features and "
            f"weights, plus biases; this {type(layer).__name__} computes something "
            "else (a cosine layer does). Put an nn.Linear in its place, after what "
            "normalises the features."
        )


def _named(module: nn.Module, name: str) -> str:
    layers = dict(module.named_modules())
    linear = dict(_linear(module))
    if name in linear or (name in layers and _is_category_wise(layers[name])):
        return name
    raise ValueError(
        f"`head` must name an nn.Linear of the network, or a layer whose `weight` and "
        f"`bias` hold one vector and one number per category; got {name!r}. It has: "
        f"{', '.join(repr(key) for key in list(linear)[-10:]) or 'no nn.Linear'}."
    )


def _is_category_wise(layer: nn.Module) -> bool:
    # Not attributes: those of a parametrization are computed, and cannot be written to.
    parameters = dict(layer.named_parameters(recurse=False))
    weight, bias = parameters.get("weight"), parameters.get("bias")
    if weight is None or bias is None:
        return False
    return weight.ndim == 2 and bias.shape == weight.shape[:1]


def _linear(module: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Linear):
            yield name, layer


def _size(layer: nn.Module) -> int:
    if isinstance(layer, nn.Linear):  # a lazy one has no weights yet
        return layer.out_features
    return len(_weight(layer))


def _weight(layer: nn.Module) -> Tensor:
    return layer.weight  # type: ignore[return-value]


def _remedy(module: nn.Module) -> str:
    """Advise what to do with a network without any ``nn.Linear``."""
    if isinstance(module, (torch.jit.ScriptModule, torch.fx.GraphModule)):
        return "Pass it through cftlearn.networks.load_network, which splits it."
    convolutions = [
        (name, layer)
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Conv2d)
    ]
    if not convolutions:
        return "Let it end in one."
    name, layer = convolutions[-1]
    return (
        f"Its last convolution is {name!r}: put nn.Sequential(nn.AdaptiveAvgPool2d(1), "
        f"nn.Flatten(), nn.Linear({layer.in_channels}, n_categories)) in its place, "
        "remove what follows it, and train that."
    )
