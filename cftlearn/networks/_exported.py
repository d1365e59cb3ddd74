"""Programs of torch.export, split at their classification layer."""

from typing import Any

import torch
from torch import Tensor, fx, nn

from cftlearn.networks._errors import split_error
from cftlearn.networks._split import SplitNetwork, log_removed_sigmoid

_ATEN = torch.ops.aten
_SAME_VALUES = (_ATEN.alias, _ATEN.clone, _ATEN.contiguous, _ATEN.detach)
_TRANSPOSES = (_ATEN.t, _ATEN.transpose, _ATEN.permute)
_AGAIN = (
    "Export it again: torch.export.export(model.eval(), (x,), "
    "dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)) with two rows or more in x."
)


def split_program(program: torch.export.ExportedProgram, source: str) -> SplitNetwork:
    """Split an exported program at its classification layer.

    Parameters
    ----------
    program : torch.export.ExportedProgram
        Takes one tensor and returns one tensor, for any number of rows.
    source : str
        How messages name it.

    Returns
    -------
    network : SplitNetwork
        Computes what the program does, without a sigmoid at its end, in evaluation
        mode always.

    Raises
    ------
    ValueError
        If the program does not end in a linear layer, fixes the number of rows, or was
        exported in training mode.
    """
    module = program.module()
    graph: fx.Graph = module.graph
    _check_program(graph, source)
    last, has_sigmoid = _before_sigmoid(_output(graph, source))
    features, weight, bias = _linear_parts(module, last, source)
    network = SplitNetwork(backbone_of(module, features), weight, bias)
    if has_sigmoid:
        log_removed_sigmoid(source)
    return network


def backbone_of(module: nn.Module, features: fx.Node | None = None) -> fx.GraphModule:
    """Convert an exported module to a plain one, up to some node.

    Parameters
    ----------
    module : nn.Module
        ``ExportedProgram.module()``, which cannot change its mode or its device.
    features : fx.Node, default=None
        What the new module returns. None: what the exported one returns.

    Returns
    -------
    backbone : fx.GraphModule
        With the parameters that it needs; it can be pickled and moved.
    """
    graph: fx.Graph = module.graph  # type: ignore[assignment]
    if features is None:
        features = _output(graph, "the program")
    graph.output_node().args = (features,)
    for node in list(graph.nodes):
        is_check = node.op == "call_module" and node.target == "_guards_fn"
        if is_check or _operator(node) is _ATEN._assert_tensor_metadata:
            graph.erase_node(node)
        elif _operator(node) in (_ATEN.to, _ATEN._to_copy):
            _forget_device(node)
    graph.eliminate_dead_code()
    plain = fx.Graph()  # which knows nothing of the export, and can be pickled
    plain.output(plain.graph_copy(graph, {}))
    return fx.GraphModule(module, plain)


def _forget_device(node: fx.Node) -> None:
    """Remove the device of the export from a conversion, which then only casts."""
    node.kwargs = {key: arg for key, arg in node.kwargs.items() if key != "device"}
    if node.target is _ATEN.to.device:
        source, _, *others = node.args
        node.target, node.args = _ATEN.to.dtype, (source, *others)


def _check_program(graph: fx.Graph, source: str) -> None:
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    if len(inputs) != 1:
        raise split_error(
            source, f"takes {len(inputs)} inputs, not one", "Wrap it before."
        )
    value = inputs[0].meta.get("val")
    if (
        not isinstance(value, Tensor)
        or not value.ndim
        or isinstance(value.shape[0], int)
    ):
        rows = value.shape[0] if isinstance(value, Tensor) and value.ndim else "no"
        raise split_error(source, f"accepts batches of {rows} rows alone", _AGAIN)
    for node in graph.nodes:
        if _trains(node):
            raise split_error(
                source, f"was exported in training mode ({node.target} trains)", _AGAIN
            )


def _output(graph: fx.Graph, source: str) -> fx.Node:
    results, _ = torch.utils._pytree.tree_flatten(graph.output_node().args)
    if len(results) != 1 or not isinstance(results[0], fx.Node):
        raise split_error(
            source,
            f"gives {len(results)} outputs, not one",
            "Wrap it before exporting.",
        )
    return results[0]


def _before_sigmoid(node: fx.Node) -> tuple[fx.Node, bool]:
    """Go back past one sigmoid and what changes no value; return if there is one."""
    has_sigmoid = False
    while node.args and isinstance(node.args[0], fx.Node):
        is_sigmoid = _operator(node) is _ATEN.sigmoid and not has_sigmoid
        if not is_sigmoid and _operator(node) not in _SAME_VALUES:
            break
        has_sigmoid |= is_sigmoid
        node = node.args[0]
    return node, has_sigmoid


def _linear_parts(
    module: nn.Module, node: fx.Node, source: str
) -> tuple[fx.Node, Tensor, Tensor | None]:
    """Return the input of a linear node, its weights and its biases."""
    arguments: list[Any] = list(node.args)
    bias = None
    if _operator(node) is _ATEN.linear:
        features, weight, *biases = arguments
        bias = biases[0] if biases else None
    elif _operator(node) is _ATEN.addmm and not node.kwargs:
        bias, features, weight = arguments
        if _operator(weight) not in _TRANSPOSES:
            raise split_error(source, "computes the weights of its last layer", _AGAIN)
        weight = weight.args[0]
    else:
        raise split_error(
            source,
            f"ends in {node.target}",
            "Export the network that gives logits, whose last step is an nn.Linear.",
        )
    if any(part is not None and part.op != "get_attr" for part in (weight, bias)):
        raise split_error(
            source, "computes the weights or biases of its last layer", _AGAIN
        )
    return (
        features,
        _attribute(module, weight.target),
        None if bias is None else _attribute(module, bias.target),
    )


def _attribute(module: nn.Module, name: str) -> Tensor:
    owner, _, own = name.rpartition(".")
    tensor: Tensor = getattr(module.get_submodule(owner), own)
    return tensor.detach()


def _operator(node: Any) -> Any:
    """Return the operator of a node, the same for all of its overloads."""
    return getattr(getattr(node, "target", None), "overloadpacket", None)


def _trains(node: fx.Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return False
    given = dict(zip((a.name for a in schema.arguments), node.args, strict=False))
    given |= node.kwargs
    return any(given.get(name) is True for name in ("train", "training"))
