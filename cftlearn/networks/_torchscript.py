"""TorchScript modules, split at their classification layer."""

import copy
import io
import warnings
from typing import IO, Any

import torch
from torch import Tensor

from cftlearn.exceptions import first_line
from cftlearn.networks._errors import split_error
from cftlearn.networks._split import SplitNetwork, log_removed_sigmoid

_REMEDY = (
    "Where the model's code is at hand, save model.state_dict() and pass the module "
    "itself, or export it by torch.export."
)
_SAME_VALUES = ("aten::alias", "aten::contiguous", "aten::detach")


def load_script(file: IO[bytes]) -> torch.jit.ScriptModule:
    """Load a TorchScript module, without the warnings that torch.jit is deprecated.

    Parameters
    ----------
    file : binary file
        Open for reading.

    Returns
    -------
    script : torch.jit.ScriptModule
        On the CPU.
    """
    with warnings.catch_warnings():
        _ignore_deprecation()
        return torch.jit.load(file, map_location="cpu")


def split_script(script: torch.jit.ScriptModule, source: str) -> SplitNetwork:
    """Split a TorchScript module at its classification layer.

    A copy of its graph returns the input of the last linear operator, instead of what
    is computed from it. No other operator is looked at.

    Parameters
    ----------
    script : torch.jit.ScriptModule
        Takes one tensor and returns one tensor. It is not changed.
    source : str
        How messages name it.

    Returns
    -------
    network : SplitNetwork
        Computes what the module does in evaluation mode, without a sigmoid at its end.

    Raises
    ------
    ValueError
        If the module does not end in a linear layer, or ``torch.jit.freeze`` refuses
        it, as it does where an inner module changes an attribute of its own.

    Notes
    -----
    TorchScript has no other public way to a part of a program. Python's hooks do not
    run inside of it. Identity weights in the last layer would make its output the
    features, but a sigmoid after it loses those of large size, and a frozen module has
    no weights to set.
    """
    backbone = _inlined(script, source)
    for parameter in backbone.parameters():  # copies would not be leaves any more
        parameter.requires_grad_(False)
    graph = backbone.graph
    outputs = list(graph.outputs())
    if len(outputs) != 1 or str(outputs[0].type()) != "Tensor":
        raise split_error(source, f"returns {outputs[0].type()}, not a Tensor", _REMEDY)
    node, has_sigmoid = outputs[0].node(), False
    while node.kind() in _SAME_VALUES or (
        node.kind() == "aten::sigmoid" and not has_sigmoid
    ):
        has_sigmoid |= node.kind() == "aten::sigmoid"
        node = next(node.inputs()).node()
    features, weight, bias = _linear_parts(backbone, node, source)
    graph.eraseOutput(0)
    graph.registerOutput(features)
    if has_sigmoid:
        log_removed_sigmoid(source)
    return SplitNetwork(backbone, weight, bias)


def _inlined(script: torch.jit.ScriptModule, source: str) -> torch.jit.ScriptModule:
    """Copy a module in evaluation mode, with a graph that calls no other graph."""
    copied = _copied(script)
    # Weights must stay attributes: constants cannot go to another device.
    members = [
        *copied.named_children(),
        *copied.named_parameters(recurse=False),
        *copied.named_buffers(recurse=False),
    ]
    preserved = [name for name, _ in members]
    if hasattr(copied, "training"):  # a module that was frozen before has none
        preserved.append("training")
    copied.eval()
    try:
        with warnings.catch_warnings():
            _ignore_deprecation()
            inlined = torch.jit.freeze(
                copied, preserved_attrs=preserved, optimize_numerics=False
            )
    except RuntimeError as error:
        raise split_error(
            source, f"cannot be frozen by torch.jit ({first_line(error)})", _REMEDY
        ) from error
    return _copied(inlined)  # lists its weights again, which `inlined` does not


def _copied(script: torch.jit.ScriptModule) -> torch.jit.ScriptModule:
    """Copy a module with its code; a deep copy would share the code."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        _ignore_deprecation()
        torch.jit.save(script, buffer)
    buffer.seek(0)
    return load_script(buffer)


def _ignore_deprecation() -> None:
    for category in (FutureWarning, DeprecationWarning):
        warnings.filterwarnings("ignore", r"`torch\.jit", category=category)


def _linear_parts(
    script: torch.jit.ScriptModule, node: Any, source: str
) -> tuple[Any, Tensor, Tensor | None]:
    """Return the input of a linear operator, its weights and its biases."""
    values = list(node.inputs())
    if node.kind() == "aten::linear":
        features, weight_value, bias_value = values
        weight = _constant(script, weight_value)
    elif node.kind() == "aten::addmm":
        bias_value, features, weight_value, *factors = values
        transpose = weight_value.node()
        weight = None
        is_plain = all(factor.toIValue() == 1 for factor in factors)
        if is_plain and transpose.kind() in ("aten::t", "aten::transpose"):
            weight = _constant(script, next(transpose.inputs()))
    else:
        raise split_error(source, f"ends in {node.kind()}", _REMEDY)
    bias = _constant(script, bias_value)
    has_bias = str(bias_value.type()) != "NoneType"
    if weight is None or (bias is None and has_bias):
        raise split_error(
            source, "computes the weights or biases of its last layer", _REMEDY
        )
    return features, weight, bias


def _constant(script: torch.jit.ScriptModule, value: Any) -> Tensor | None:
    """Read a tensor that is an attribute of a module, or a constant of its graph."""
    node, path = value.node(), []
    if node.kind() == "prim::Constant":
        found = value.toIValue()
        return found.detach() if isinstance(found, Tensor) else None
    while node.kind() == "prim::GetAttr":
        path.append(node.s("name"))
        node = next(node.inputs()).node()
    if not path or node.kind() != "prim::Param":
        return None
    owner: Any = script
    for name in reversed(path):
        owner = getattr(owner, name)
    return copy.deepcopy(owner.detach()) if isinstance(owner, Tensor) else None
