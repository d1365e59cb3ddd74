"""What mutations of many categories are measured by, on a torch device."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cftlearn.solvers._genetic._counter_random import CounterRandom, Purpose
from cftlearn.solvers._genetic._donors import draw_donors
from cftlearn.solvers._genetic._solver import GeneticSolver
from cftlearn.solvers._padded_rows import KnownTensors, PaddedRows, first_slots


@dataclass(frozen=True)
class StepUnits:
    """Sizes, prices and directions of steps; the first axis are categories that go on.

    Attributes
    ----------
    start : Tensor of shape (n_going, n_genes)
        The initial weights.
    spread : Tensor of shape (n_going,), float64
        Standard deviations of their logits.
    moving : Tensor of shape (n_going, n_genes), bool
        Weights whose feature is not constant.
    step : Tensor of shape (n_going, n_genes)
        Size of a step of each gene of its own.
    price : Tensor of shape (n_going, n_genes)
        What a squared change of each weight costs.
    bias_gene : Tensor of shape (n_going,), int64
        The gene that is the bias, and evolves; -1 where it does not.
    donors : Tensor of shape (n_going, n_donors, n_genes)
        Rows that steps by labels are made of; none for other steps.
    positive, negative : Tensor of shape (n_going, n_donors)
        1 for donors of that class, else 0; both are 0 for padding.
    """

    start: Tensor
    spread: Tensor
    moving: Tensor
    step: Tensor
    price: Tensor
    bias_gene: Tensor
    donors: Tensor
    positive: Tensor
    negative: Tensor

    @classmethod
    def measure(
        cls,
        solver: GeneticSolver,
        fitted: Sequence[PaddedRows],
        start: Tensor,
        scales: Sequence[NDArray[np.float64]],
        seeds: Sequence[int],
    ) -> Self:
        """Measure them on the rows to fit.

        Parameters
        ----------
        solver : GeneticSolver
            Its parameters.
        fitted : sequence of PaddedRows
            Rows to fit; categories that go on are in the first slots.
        start : Tensor of shape (n_going, n_genes)
            The initial weights in the coordinates of the rows.
        scales : sequence of ndarray of shape (n_features,)
            Standard deviations of the features before they were expressed so.
        seeds : sequence of int
            The categories' own.
        """
        n_features = fitted[0].n_features
        known = first_slots(fitted, len(start))
        weights = start.clone()
        weights[:, n_features:] = 0.0
        spread = _spread(known.logits(weights[:, None])[:, 0], known.known)
        moving = _moving(known, n_features)
        evolves = solver.intercept == "evolve"
        price = torch.zeros_like(start, dtype=torch.float64)
        for own, scale in zip(price, scales, strict=True):
            unit = np.ones_like(scale) if solver.scale_free else scale
            own[:n_features] = torch.from_numpy(unit**2).to(own)
        price *= solver.change_penalty / spread[:, None] ** 2
        bias_gene = torch.full_like(spread, n_features if evolves else -1)
        return cls(
            start,
            spread,
            moving,
            _step_sizes(solver, spread, moving, start, n_features if evolves else None),
            price.to(start),
            bias_gene.long(),
            *_gather_donors(solver, fitted, start, seeds),
        )

    def of(self, slots: Tensor) -> Self:
        """Take some of the categories."""
        own = [getattr(self, part.name)[slots] for part in fields(self)]
        return type(self)(*own)

    def price_of(self, genes: Tensor) -> Tensor:
        """Compute what the change of individuals costs, (n_going, n_individuals)."""
        change = genes - self.start[:, None]
        return torch.einsum("cij,cj->ci", change**2, self.price)

    def draw_by_labels(
        self, solver: GeneticSolver, random: CounterRandom, n_children: int
    ) -> Tensor:
        """Draw steps toward positives and away from negatives.

        Parameters
        ----------
        solver : GeneticSolver
            Its parameters.
        random : CounterRandom
            Draws for the same categories.
        n_children : int
            Steps of each category.

        Returns
        -------
        steps : Tensor of shape (n_going, n_children, n_genes)
            Their length is a normal one; the bias takes a step of its own.
        """
        dtype, (n_going, n_donors) = self.start.dtype, self.positive.shape
        draws = random.exponentials(Purpose.STEP, n_donors * n_children, dtype)
        draws = draws.view(n_going, n_donors, n_children).transpose(1, 2)
        shares = [draws * own[:, None] for own in (self.positive, self.negative)]
        positive, negative = (own / own.sum(dim=2, keepdim=True) for own in shares)
        steps = torch.bmm(positive - negative, self.donors)
        steps = torch.where(self.moving[:, None], steps, 0.0)
        if solver.scale_free:
            unit = steps.norm(dim=2, keepdim=True)
            size = solver.mutation_scale * self.spread.to(dtype)[:, None, None]
        else:
            unit = steps.abs().amax(dim=2, keepdim=True)
            size = torch.full_like(unit[:, :1], solver.mutation_scale)
        normal = random.normals(Purpose.LENGTH, 2 * n_children, dtype)
        length, bias = normal.view(n_going, n_children, 2).split(1, dim=2)
        steps = steps * (size * length.abs() / torch.where(unit > 0, unit, 1.0))
        if solver.intercept == "evolve":
            gene = self.bias_gene[:, None, None].expand(-1, n_children, 1)
            steps = steps.scatter(2, gene, size * bias)
        return steps


def _step_sizes(
    solver: GeneticSolver,
    spread: Tensor,
    moving: Tensor,
    start: Tensor,
    bias_gene: int | None,
) -> Tensor:
    """Compute the size of a step for every gene, as for one category alone."""
    sizes = torch.zeros_like(start)
    if not solver.scale_free:
        n_genes = start.shape[1] if bias_gene is None else bias_gene + 1
        sizes[:, :n_genes] = solver.mutation_scale
        return sizes
    size = solver.mutation_scale * spread
    n_moving = moving.sum(dim=1).clamp(min=1).double()
    sizes += torch.where(moving, (size / n_moving.sqrt())[:, None], 0.0)
    if bias_gene is not None:
        sizes[:, bias_gene] = size
    return sizes


def _moving(known: KnownTensors, n_features: int) -> Tensor:
    highest = torch.stack([Z.amax(dim=1) for Z in known.Z]).amax(dim=0)
    lowest = torch.stack([Z.amin(dim=1) for Z in known.Z]).amin(dim=0)
    moving = highest > lowest
    moving[:, n_features:] = False
    return moving


def _spread(logits: Tensor, known: Tensor) -> Tensor:
    """Compute standard deviations of known logits, 1 where they are constant."""
    count = known.sum(dim=1, keepdim=True)
    mean = torch.where(known, logits.double(), 0.0).sum(dim=1, keepdim=True) / count
    deviation = torch.where(known, logits - mean, 0.0)
    spread = (deviation**2).sum(dim=1).div(count[:, 0]).sqrt()
    return torch.where(spread > 0, spread, 1.0)


def _gather_donors(
    solver: GeneticSolver,
    fitted: Sequence[PaddedRows],
    start: Tensor,
    seeds: Sequence[int],
) -> tuple[Tensor, Tensor, Tensor]:
    """Gather donors once: the rows, and which of them are positive and negative."""
    drawn: list[Any] = []
    if solver.mutation == "labels":
        for slot, seed in enumerate(seeds):
            y = np.concatenate([part.labels(slot) for part in fitted])
            drawn.append(draw_donors(y, seed))
    n_longest = max((len(own.rows) for own in drawn), default=0)
    donors = start.new_zeros(len(start), n_longest, start.shape[1])
    positive, negative = donors.new_zeros(2, len(start), n_longest)
    for slot, own in enumerate(drawn):
        rows = torch.from_numpy(own.rows).to(start.device)
        known = [part.Z[slot, : part.lengths[slot]] for part in fitted]
        donors[slot, : len(rows)] = torch.cat(known)[rows]
        is_positive = torch.from_numpy(own.y).to(start.device)
        positive[slot, : len(rows)] = is_positive.to(start)
        negative[slot, : len(rows)] = (~is_positive).to(start)
    donors[..., fitted[0].n_features :] = 0.0  # the bias takes its own steps
    return donors, positive, negative
