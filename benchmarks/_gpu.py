"""Generations of many categories on a torch device, and those of the peer there."""

import time
from typing import Any, NamedTuple

import numpy as np
import torch
from _mlcpl import import_mlcpl
from _peers import MLCPL_GA, mlcpl_metric
from torch import Tensor, nn

from cftlearn.solvers import GeneticSolver
from cftlearn.solvers._genetic._batched import BatchedEvolution, Categories
from cftlearn.solvers._padded_rows import PaddedRows, RowsInSlots
from cftlearn.solvers._weight_space import WeightSpace

_SHARE_TO_RANK = 0.25  # of the device's memory
_MEMORY_OF_CPU = 2**31


class Shape(NamedTuple):
    """Categories, known labels to fit in each (a quarter more judge), features."""

    n_categories: int
    n_known: int
    n_features: int


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


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
