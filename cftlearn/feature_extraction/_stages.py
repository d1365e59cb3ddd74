"""The layers of a network whose outputs are worth standing beside its features."""

from collections.abc import Iterator
from math import ceil

import torch
from torch import Tensor, nn

from cftlearn.feature_extraction._layer_trace import LayerRun, Trace

_MOST_STAGES = 3
_MOST_FEATURES = 4096  # of a block
_BULK = 0.9  # of the layers: who has as many, is the trunk of the network
_SHARES = (0.5, 0.75, 1.0)  # of the depth, where no stage ends
_TOLERANCE = 1e-4  # of the largest feature


def choose_layers(network: nn.Module, head: str | None, trace: Trace) -> list[str]:
    """Choose the blocks of features to put beside those of the classification layer.

    If the input is a vector of at most 4,096 numbers, it is the only one: "". Else up
    to three layers are chosen, the last ones that are found by this rule:

    1. The trunk is the innermost module that has nine tenths of the layers that run
       outside of the classifier. Its children are the steps.
    2. Steps whose maps have the same number of positions (for vectors: features) are
       one stage, and the last of them is taken: after activation, norm and dropout. A
       stage has parameters; pooling alone makes none.
    3. Where there is only one stage, as in a transformer, its blocks at a half, three
       quarters and the end of the depth are taken. A block begins at each step with
       parameters.
    4. Steps that give a map are preferred to those that give a vector. What equals the
       features of the classification layer, or those of another step, is left out.

    Parameters
    ----------
    network : nn.Module
        The network.
    head : str or None
        Its classification layer.
    trace : Trace
        The forward pass of one row.

    Returns
    -------
    layers : list of str
        Dotted names, in the order in which they run; empty if there is nothing to add.
    """
    taken = [trace.head_input]
    row = trace.row
    if row.is_floating_point() and row.ndim == 2 and row.shape[1] <= _MOST_FEATURES:
        return [] if _is_among(row.to(trace.head_input.device), taken) else [""]
    chosen: list[str] = []
    for name in reversed(_stages(network, _steps_that_give(network, head, trace))):
        features = trace.runs[name].features
        if features is not None and not _is_among(features, taken):
            taken.append(features)
            chosen.append(name)
    return chosen[:_MOST_STAGES][::-1]


def _steps_that_give(
    network: nn.Module, head: str | None, trace: Trace
) -> list[tuple[str, LayerRun]]:
    """List steps of the trunk with features, in the order in which they end."""
    runs = trace.runs
    end = runs[head].order if head in runs else max(run.order for run in runs.values())
    steps = [
        (name, runs[name])
        for name, _ in _trunk(network, head, runs)
        if not _holds(name, head)
    ]
    fitting = [
        (name, run)
        for name, run in steps
        if run.n_runs == 1
        and run.order < end
        and run.features is not None
        and run.features.shape[1] <= _MOST_FEATURES
    ]
    maps = [(name, run) for name, run in fitting if run.channel_axis is not None]
    return sorted(maps or fitting, key=lambda step: step[1].order)


def _stages(network: nn.Module, steps: list[tuple[str, LayerRun]]) -> list[str]:
    """Return the last step of every stage, or some steps of the only one."""
    by_size: dict[int, list[str]] = {}
    for name, run in steps:
        by_size.setdefault(run.n_positions, []).append(name)
    # A size that only pooling has is no stage: it has no features of its own.
    stages = [
        names
        for names in by_size.values()
        if any(_has_parameters(network, name) for name in names)
    ]
    if len(stages) != 1:
        ends = {names[-1] for names in stages}
        return [name for name, _ in steps if name in ends]
    blocks: list[str] = []
    for name in stages[0]:
        if _has_parameters(network, name) or not blocks:
            blocks.append(name)
        else:  # an activation, which ends the block
            blocks[-1] = name
    places = sorted({ceil(share * len(blocks)) - 1 for share in _SHARES})
    return [blocks[place] for place in places]


def _has_parameters(network: nn.Module, name: str) -> bool:
    return any(True for _ in network.get_submodule(name).parameters())


def _trunk(
    network: nn.Module, head: str | None, runs: dict[str, LayerRun]
) -> list[tuple[str, nn.Module]]:
    """Descend to the module that has nearly all layers; return its steps."""
    steps = list(_steps(network, "", runs))
    while steps:
        sizes = {name: _n_layers(module, name, head, runs) for name, module in steps}
        name, module = max(steps, key=lambda step: sizes[step[0]])
        total = sum(
            size
            for other, size in sizes.items()
            if other == name or _holds(name, head) or not _holds(other, head)
        )
        inner = list(_steps(module, f"{name}.", runs))
        if not inner or sizes[name] < _BULK * total:
            break
        steps = inner
    return steps


def _steps(
    module: nn.Module, prefix: str, runs: dict[str, LayerRun]
) -> Iterator[tuple[str, nn.Module]]:
    """Yield the children that run; in place of a list of layers, its layers."""
    for own_name, child in module.named_children():
        name = prefix + own_name
        if name in runs and runs[name].n_runs:
            yield name, child
        else:
            yield from _steps(child, f"{name}.", runs)


def _n_layers(
    module: nn.Module, name: str, head: str | None, runs: dict[str, LayerRun]
) -> int:
    """Count layers without inner ones that run, but for the classification layer."""
    inner = [
        f"{name}.{own}" if own else name
        for own, part in module.named_modules()
        if not any(part.children())
    ]
    return sum(key in runs and runs[key].n_runs > 0 and key != head for key in inner)


def _holds(name: str, head: str | None) -> bool:
    """Return whether a layer is the classification layer, or holds it."""
    return head is not None and f"{head}.".startswith(f"{name}.")


def _is_among(features: Tensor, others: list[Tensor]) -> bool:
    return any(
        features.shape == other.shape
        and torch.allclose(
            features.float(),
            other.float(),
            rtol=0,
            atol=_TOLERANCE * float(other.abs().max()),
        )
        for other in others
    )
