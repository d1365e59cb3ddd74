"""Generations of many categories on a torch device, and those of the peer there."""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from _mlcpl import import_mlcpl
from _peers import MLCPL_GA, OBJECTIVES, mlcpl_metric
from torch import Tensor, nn

from cftlearn.solvers import GeneticSolver
from cftlearn.solvers._genetic._batched import BatchedEvolution, Categories
from cftlearn.solvers._padded_rows import PaddedRows, RowsInSlots
from cftlearn.solvers._weight_space import WeightSpace

_SHARE_TO_RANK = 0.25  # of the device's memory
_MEMORY_OF_CPU = 2**31


_NEEDED_SHARE = 1.35  # of the features, with populations and ranking


class Shape(NamedTuple):
    """Categories, known labels to fit in each (a quarter more judge), features."""

    n_categories: int
    n_known: int
    n_features: int

    @property
    def n_bytes(self) -> int:
        """Features of all categories, to fit and held out."""
        return 5 * self.n_categories * self.n_known * self.n_features


SHAPES = (Shape(80, 8_000, 2048), Shape(14, 200_000, 1024))
SMALL_SHAPES = (Shape(6, 800, 128), Shape(3, 4_000, 64))


def make_rows(shape: Shape, device: str) -> tuple[RowsInSlots, Tensor]:
    """Draw features on the device, labels by noisy rules, and rough rows."""
    torch.manual_seed(0)
    c, d = shape.n_categories, shape.n_features
    rules = torch.randn(c, d, device=device) / d**0.5
    parts = []
    for n in (shape.n_known, shape.n_known // 4):
        places, nothing = np.arange(n), np.zeros(n, dtype=bool)
        part = PaddedRows([places] * c, [nothing] * c, d, torch.float32, device)
        part.Z[..., :d].normal_()
        logits = torch.bmm(part.Z[..., :d], rules[:, :, None])[..., 0]
        part.y[:] = logits + torch.randn_like(logits) > 1.5
        parts.append(part)
    return RowsInSlots(*parts), rules + torch.randn_like(rules) / d**0.5


def ours(rows: RowsInSlots, start: Tensor, objective: str, count: int) -> float:
    """Time some generations of the published operators, all categories together."""
    c, d = start.shape
    starts = np.zeros((c, rows.train.Z.shape[2]))
    starts[:, :d] = start.double().cpu().numpy()
    space = WeightSpace(np.zeros(d), np.ones(d))
    device = rows.train.Z.device
    memory = _MEMORY_OF_CPU
    if device.type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory
    evolution = BatchedEvolution(
        GeneticSolver.published().set_params(n_generations=count, patience=9999),
        objective,
        rows,
        Categories(starts, [space] * c, np.arange(c)),
        workspace=int(_SHARE_TO_RANK * memory),
    )
    _wait(device)
    started = time.perf_counter()
    with torch.inference_mode():
        evolution.run()
    _wait(device)
    return time.perf_counter() - started


def peer(rows: RowsInSlots, start: Tensor, objective: str, count: int) -> float:
    """Time the authors' steps and validation scores of one category."""
    metric = mlcpl_metric(objective)
    device = rows.train.Z.device
    solver: Any = import_mlcpl().GAForLinear(
        device=str(device), metric=metric, **MLCPL_GA
    )
    head = nn.Linear(start.shape[1], 1, device=device)
    with torch.no_grad():
        head.weight.copy_(start[:1])
        head.bias.zero_()
    solver.set_head(head)
    Z, y, Z_val, y_val = (
        tensor.contiguous()
        for part in (rows.train, rows.held_out)
        for tensor in (part.Z[0, :, : start.shape[1]], part.y[0][:, None].float())
    )
    _wait(device)
    started = time.perf_counter()
    for _ in range(count):
        solver.step(Z, y)
        with torch.no_grad():
            float(metric(solver.head(Z_val), y_val))
    _wait(device)
    return time.perf_counter() - started


def fits_on(shape: Shape, device: str) -> bool:
    """Check that the memory of a GPU is enough for a shape."""
    if torch.device(device).type != "cuda":
        return True
    total = torch.cuda.get_device_properties(device).total_memory
    return _NEEDED_SHARE * shape.n_bytes < (1 - _SHARE_TO_RANK) * total


def compare(
    shape: Shape, device: str, repeats: int, *, with_peer: bool
) -> Iterator[dict[str, Any]]:
    """Time generations of all categories, ours and the authors', by both objectives.

    Yields
    ------
    figure : dict
        ``objective``; ``seconds`` of a generation of all categories, one number a
        repeat; ``peer_seconds``, the authors' for one category times their number, or
        None; ``peak_bytes`` that ours took on a GPU beside the features.
    """
    rows, start = make_rows(shape, device)
    for objective in OBJECTIVES:
        held = _reset_peak(device)
        seconds = _repeated(
            lambda name=objective: _generation(rows, start, name), repeats
        )
        peak = _reset_peak(device, peak=True) - held
        alone = None
        if with_peer:
            alone = _repeated(
                lambda name=objective: peer(rows, start, name, 5) / 5, repeats
            )
            alone = [shape.n_categories * own for own in alone]
        yield {
            "objective": objective,
            "seconds": seconds,
            "peer_seconds": alone,
            "peak_bytes": peak,
        }


def _generation(rows: RowsInSlots, start: Tensor, objective: str) -> float:
    """Time one of many generations, without what comes before the first."""
    few, many = (ours(rows, start, objective, count) for count in (2, 32))
    return (many - few) / 30


def _repeated(measure: Callable[[], float], repeats: int) -> list[float]:
    measure()
    return [measure() for _ in range(repeats)]


def _reset_peak(device: str, *, peak: bool = False) -> int:
    """Count the bytes that tensors take now, or took at most since the last call."""
    if torch.device(device).type != "cuda":
        return 0
    read = torch.cuda.max_memory_allocated if peak else torch.cuda.memory_allocated
    n_bytes = read(device)
    torch.cuda.reset_peak_memory_stats(device)
    return n_bytes


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
