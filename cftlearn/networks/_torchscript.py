"""TorchScript modules, cut at their classification layer."""

import copy
import io
import warnings
from typing import Any

import torch
from torch import Tensor

from cftlearn.networks._split import SplitNetwork, refuse, tell_sigmoid

_REMEDY = (
    "Where the model's code is at hand, save model.state_dict() and pass the module "
    "itself, or export it by torch.export."
)
_SAME = ("aten::alias", "aten::contiguous", "aten::detach")


def split_script(script: torch.jit.ScriptModule, what: str) -> SplitNetwork:
    """Cut a TorchScript module at its classification layer.

    Its graph is written out without calls, and returns what the last linear operator
    is given. Whatever comes between the two is not looked at.

    Parameters
    ----------
    script : torch.jit.ScriptModule
        Takes one tensor, gives one tensor. It is not changed.
    what : str
        How messages call it.

    Returns
    -------
    network : SplitNetwork
        Computes what the module does in evaluation mode, without a sigmoid at its end.

    Raises
    ------
    ValueError
        If the module does not end in a linear layer.
    """
    backbone = _copied(script).eval()
    for parameter in backbone.parameters():  # copies would not be leaves any more
        parameter.requires_grad_(False)
    graph = backbone.graph
    torch._C._jit_pass_inline(graph)
    outputs = list(graph.outputs())
    if len(outputs) != 1 or str(outputs[0].type()) != "Tensor":
        raise refuse(what, f"returns {outputs[0].type()}, not a Tensor", _REMEDY)
    node, removed = outputs[0].node(), False
    while node.kind() in _SAME or (node.kind() == "aten::sigmoid" and not removed):
        removed |= node.kind() == "aten::sigmoid"
        node = next(node.inputs()).node()
    features, weight, bias = _linear_parts(backbone, node, what)
    graph.eraseOutput(0)
    graph.registerOutput(features)
    torch._C._jit_pass_dce(graph)
    tell_sigmoid(what, removed)
    return SplitNetwork(backbone, weight, bias)


def _copied(script: torch.jit.ScriptModule) -> torch.jit.ScriptModule:
    """Copy a module with its code; a deep copy would share that."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`torch\.jit", category=FutureWarning)
        warnings.filterwarnings("ignore", r"`torch\.jit", category=DeprecationWarning)
        torch.jit.save(script, buffer)
        buffer.seek(0)
        return torch.jit.load(buffer, map_location="cpu")


def _linear_parts(
    script: torch.jit.ScriptModule, node: Any, what: str
) -> tuple[Any, Tensor, Tensor | None]:
    values = list(node.inputs())
    if node.kind() == "aten::linear":
        features, weight, bias = values
        rows = _constant(script, weight)
    elif node.kind() == "aten::addmm":
        bias, features, weight, *_ = values
        turned = weight.node()
        rows = None
        if turned.kind() in ("aten::t", "aten::transpose"):
            rows = _constant(script, next(turned.inputs()))
    else:
        raise refuse(what, f"ends in {node.kind()}", _REMEDY)
    if rows is None:
        raise refuse(what, "computes the rows of its last layer", _REMEDY)
    return features, rows, _constant(script, bias)


def _constant(script: torch.jit.ScriptModule, value: Any) -> Tensor | None:
    """Read a tensor that a graph names by attributes of its module, or holds."""
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
