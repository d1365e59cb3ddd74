"""The genetic algorithm of many categories at once, on a torch device.

Populations of all categories are one tensor. A generation multiplies it with the
features in one batched product and ranks the logits in one sort; then one transfer
tells the host how fit everyone is.

DEAP steers what it can steer in one call for all: its Toolbox holds the operators,
which take whole tensors, its Statistics and Logbook keep an array of one number per
category. Its Fitness, HallOfFame and selections look at one individual at a time, so
that C categories of P individuals would cost C * P calls a generation; tensors stand
for them. As in DEAP, who has a fitness is not evaluated again.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from deap import base, tools
from numpy.typing import NDArray
from sklearn.utils import gen_batches
from torch import Tensor

from cftlearn.solvers._genetic._counter_random import CounterRandom, Purpose
from cftlearn.solvers._genetic._elite_paths import ElitePaths
from cftlearn.solvers._genetic._solver import GeneticSolver
from cftlearn.solvers._genetic._step_units import StepUnits
from cftlearn.solvers._genetic._weak_methods import weak
from cftlearn.solvers._intercept import likeliest_intercept
from cftlearn.solvers._loaded_problems import RANKING_METRICS, LoadedProblems
from cftlearn.solvers._padded_rows import (
    KnownTensors,
    PaddedRows,
    RowsInSlots,
    first_slots,
)
from cftlearn.solvers._problem_batch import ProblemBatch
from cftlearn.solvers._protocol import Checkpoint, RowFit
from cftlearn.solvers._weight_space import WeightSpace

_RANKING_BYTES = 32  # for each byte of logits, at most, while they are ranked


class Categories(NamedTuple):
    """What the algorithm needs to know of its categories beside their rows.

    Attributes
    ----------
    starts : ndarray of shape (n_categories, n_genes), float64
        The initial weights in the coordinates of the features, with their biases.
    spaces : list of WeightSpace
        These coordinates.
    seeds : ndarray of shape (n_categories,), int64
        A category's draws depend on its own seed alone.
    scales : list of ndarray of shape (n_features,)
        Standard deviations of the features, before they are expressed.
    """

    starts: NDArray[np.float64]
    spaces: list[WeightSpace]
    seeds: NDArray[np.int64]
    scales: list[NDArray[np.float64]]

    @classmethod
    def of(cls, loaded: LoadedProblems) -> "Categories":
        """Collect it from problems whose rows are on a device."""
        seeds = [problem.random_state for problem in loaded.problems]
        scales = [problem.feature_scale for problem in loaded.problems]
        return cls(
            loaded.starts(), loaded.spaces, np.array(seeds, dtype=np.int64), scales
        )


@dataclass
class _Population:
    """Individuals of each category that goes on; the first ones have their fitness."""

    genes: Tensor  # (n_going, n_individuals, n_genes)
    fitness: Tensor  # (n_going, n_evaluated)

    def of(self, slots: Tensor) -> "_Population":
        return _Population(self.genes[slots], self.fitness[slots])


def fit_batch(solver: GeneticSolver, batch: ProblemBatch, device: str) -> list[RowFit]:
    """Refit the problems of a batch; see :meth:`GeneticSolver.fit_many`."""
    if not len(batch):
        return []
    chooses = _chooses_iterations(batch)
    with torch.inference_mode():
        make_space = WeightSpace.standard if solver.scale_free else WeightSpace.raw
        loaded = batch.load(device, make_space, solver.batch_bytes)
        evolution = BatchedEvolution(
            solver,
            batch[0].objective.name,
            loaded.rows,
            Categories.of(loaded),
            workspace=loaded.workspace,
            n_iter=None if chooses else _generations(batch, len(loaded.problems)),
        )
        fits = evolution.run()
    return [fits[member] for member in batch.members]


def _chooses_iterations(batch: ProblemBatch) -> bool:
    """Return whether validation labels choose, rather than a given ``n_iter``."""
    n_judged = sum(problem.validation is not None for problem in batch)
    n_given = sum(problem.n_iter is not None for problem in batch)
    if (n_judged, n_given) not in ((len(batch), 0), (0, len(batch))):
        raise ValueError(
            "`problems` must all have `validation`, or all have `n_iter` and no "
            f"`validation`; got {n_judged} with `validation` and {n_given} with "
            f"`n_iter` of {len(batch)}."
        )
    return n_judged > 0


def _generations(batch: ProblemBatch, n_loaded: int) -> NDArray[np.intp]:
    """Return how long each loaded category runs, 0 for those not in the batch."""
    n_iter = np.zeros(n_loaded, dtype=np.intp)
    n_iter[batch.members] = [problem.n_iter or 0 for problem in batch]
    return n_iter


class BatchedEvolution:
    """One run for many categories: DEAP's parts and the tensors they work on.

    Categories that have run out of patience leave, and cost nothing more.

    Parameters
    ----------
    solver : GeneticSolver
        Its parameters.
    objective : {"roc_auc", "average_precision"}
        What to maximise.
    rows : RowsInSlots
        Known rows; their order is changed.
    categories : Categories
        In the order of ``rows.order``.
    workspace : int
        Bytes to rank logits in; at least those of one score vector are taken.
    n_iter : ndarray of shape (n_categories,), int, or None
        None fits the rows to fit, and chooses by the held-out ones. Else all rows are
        fitted, for exactly so many generations; a category with 0 takes no part.
    """

    def __init__(
        self,
        solver: GeneticSolver,
        objective: str,
        rows: RowsInSlots,
        categories: Categories,
        *,
        workspace: int,
        n_iter: NDArray[np.intp] | None = None,
    ) -> None:
        self.solver, self.rows, self.categories = solver, rows, categories
        self.metric = RANKING_METRICS[objective]
        self.workspace = workspace
        self.n_iter = n_iter
        self.validation = rows.held_out if n_iter is None else None
        self.fitted = [rows.train] if n_iter is None else rows.parts
        n = len(categories.seeds)
        self.best_iter = np.zeros(n, dtype=np.intp)
        self.n_run = np.zeros(n, dtype=np.intp)
        self.stopped_by = np.full(n, "n_iter", dtype=object)
        # a copy: on the CPU the tensor would be the given array, and is written to
        self.final = torch.from_numpy(categories.starts).to(rows.train.Z, copy=True)
        self.paths = ElitePaths(n) if solver.pooled else None
        self.statistics = tools.Statistics()
        self.statistics.register("fitness_best", np.max, axis=0)
        self.statistics.register("fitness_mean", np.mean, axis=0)
        self.statistics.register("fitness_std", np.std, axis=0)
        self.logbook = tools.Logbook()
        self.toolbox = self._make_toolbox()

    def run(self) -> list[RowFit]:
        """Evolve all categories until the last one has left.

        Returns
        -------
        fits : list of RowFit
            In the order of the categories.
        """
        self._begin()
        population = self._founders()
        generation = 0
        while len(self.going):
            generation += 1
            self.toolbox.evaluate(population)
            elite = self._elite(population)
            current = elite.genes[:, 0]
            if self.paths is not None:
                current = self.paths.mean(elite.genes, generation)
            score = None
            if self.validation is not None:
                score = self._score(current[:, None], self.validation)
            self._watch(current, score)
            self._record(generation, population.fitness, score)
            stays = self._stays(generation)
            if self.paths is not None and self.n_iter is not None:
                self.paths.keep(current, generation, self.going, stays)
            if not stays.all():
                slots = self._leave(stays)
                population, elite = population.of(slots), elite.of(slots)
            if len(self.going):
                self.random.generation = generation
                population = self._next_generation(population, elite)
        return self._fits()

    # --- before the first generation, and after the last ------------------------------

    def _begin(self) -> None:
        """Let categories that take part go to the first slots, and the others wait."""
        part = np.arange(len(self.n_run))
        if self.n_iter is not None:
            part = np.flatnonzero(self.n_iter > 0)
        self.rows.bring_forward(part)
        self.going = self.rows.order[: len(part)].copy()
        going = torch.from_numpy(self.going).to(self.final.device)
        self.answer = self.final[going]
        seeds = torch.from_numpy(self.categories.seeds[self.going])
        self.random = CounterRandom(seeds.to(self.final.device))
        if not len(part):
            return
        evolves = self.solver.intercept == "evolve"
        if evolves:
            self.rows.append_ones()
        self.units = StepUnits.measure(
            self.solver,
            self.fitted,
            self.answer,
            [self.categories.scales[c] for c in self.going],
            [int(self.categories.seeds[c]) for c in self.going],
        )
        if self.validation is not None:
            self.best_score = self._score(self.answer[:, None], self.validation)
            self.best_known = self._for_all(self.best_score.cpu().numpy())

    def _founders(self) -> _Population:
        """Copy the initial weights of each category; nobody has been evaluated."""
        copies = self.answer[:, None].expand(-1, self.solver.population_size, -1)
        return _Population(copies, copies.new_empty(len(copies), 0, dtype=torch.double))

    def _fits(self) -> list[RowFit]:
        weights = self._leave_space(self.final)
        paths: list[list[Checkpoint]] = [[] for _ in weights]
        if self.paths is not None:
            paths = self.paths.express(self.final, self._leave_space)
        return [
            RowFit(
                *own,
                int(self.best_iter[c]),
                int(self.n_run[c]),
                str(self.stopped_by[c]),
                self._history(c),
                paths[c],
            )
            for c, own in enumerate(weights)
        ]

    def _leave_space(self, vectors: Tensor) -> list[tuple[NDArray[np.float64], float]]:
        """Express vectors of all categories in the scale of their features."""
        genes = vectors.double().cpu().numpy()
        n_features = self.rows.train.n_features
        biases = self._biases(vectors, genes[:, n_features])
        return [
            space.leave(own[:n_features], float(bias))
            for space, own, bias in zip(
                self.categories.spaces, genes, biases, strict=True
            )
        ]

    def _biases(
        self, vectors: Tensor, evolved: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return evolved biases, or the likeliest ones where weights have changed."""
        if self.solver.intercept == "evolve":
            return evolved
        genes = vectors[self.rows.order].double()
        parts = [
            (part, part.exact_logits(genes, self.workspace).cpu().numpy())
            for part in self.fitted
        ]
        biases = evolved.copy()
        for slot, c in enumerate(self.rows.order):
            if self.best_iter[c] > 0:
                biases[c] = likeliest_intercept(
                    np.concatenate(
                        [values[slot, : part.lengths[slot]] for part, values in parts]
                    ),
                    np.concatenate([part.labels(slot) for part, _ in parts]),
                )
        return biases

    def _history(self, c: int) -> list[dict[str, Any]]:
        return [
            {
                key: value if key == "iteration" else float(value[c])
                for key, value in record.items()
            }
            for record in self.logbook[: self.n_run[c]]
        ]

    # --- a generation -----------------------------------------------------------------

    def _make_toolbox(self) -> base.Toolbox:
        """Register the operators, weakly: a circle would hold the features' memory."""
        solver, toolbox = self.solver, base.Toolbox()
        if solver.selection == "tournament":
            size = solver.tournament_size
            toolbox.register("select", weak(self._tournament), tournsize=size)
        else:
            toolbox.register("select", weak(self._roulette))
        toolbox.register("mate", weak(self._mate))
        toolbox.register("mutate", weak(self._mutate))
        toolbox.register("evaluate", weak(self._evaluate))
        return toolbox

    def _next_generation(
        self, population: _Population, elite: _Population
    ) -> _Population:
        n_children = self.solver.population_size - elite.genes.shape[1]
        parents = self.toolbox.select(population, 2 * n_children)
        children = self.toolbox.mate(parents[:, :n_children], parents[:, n_children:])
        children = self.toolbox.mutate(children)
        return _Population(torch.cat([elite.genes, children], dim=1), elite.fitness)

    def _evaluate(self, population: _Population) -> None:
        """Evaluate those who have no fitness."""
        newcomers = population.genes[:, population.fitness.shape[1] :]
        fitness = self._values(newcomers, first_slots(self.fitted, len(newcomers)))
        if self.solver.change_penalty:
            fitness = fitness - self.units.price_of(newcomers)
            if self.solver.selection == "roulette":
                fitness = fitness.clamp(min=0.0)
        population.fitness = torch.cat([population.fitness, fitness], dim=1)

    def _elite(self, population: _Population) -> _Population:
        """Take the best individuals, the newest first among equals."""
        newest_first = population.fitness.flip(1)
        order = torch.sort(newest_first, dim=1, descending=True, stable=True).indices
        indices = population.fitness.shape[1] - 1 - order[:, : self.solver.elite_size]
        return _Population(
            _take(population.genes, indices), population.fitness.gather(1, indices)
        )

    def _tournament(self, population: _Population, k: int, *, tournsize: int) -> Tensor:
        """Choose the best of some random ones, k times; the first among equals."""
        fitness = population.fitness
        drawn = self.random.indices(Purpose.SELECT, k * tournsize, fitness.shape[1])
        values = fitness.gather(1, drawn).view(len(drawn), k, tournsize)
        drawn = drawn.view(values.shape)
        winners = drawn.gather(2, values.argmax(dim=2, keepdim=True))
        return _take(population.genes, winners[..., 0])

    def _roulette(self, population: _Population, k: int) -> Tensor:
        """Choose in proportion to fitness; anyone where nobody has any."""
        fitness = population.fitness
        anyone = (fitness <= 0).all(dim=1, keepdim=True)
        ends = torch.where(anyone, 1.0, fitness).cumsum(dim=1)
        pointers = self.random.uniforms(Purpose.SELECT, k, torch.float64)
        pointers = pointers * ends[:, -1:]
        indices = torch.searchsorted(ends, pointers, right=True)
        return _take(population.genes, indices.clamp_(max=fitness.shape[1] - 1))

    def _mate(self, first: Tensor, second: Tensor) -> Tensor:
        """Take each gene from the first parent with the given probability."""
        n = first[0].numel()
        from_first = self.random.happens(Purpose.MATE, n, self.solver.crossover_prob)
        return torch.where(from_first.view(first.shape), first, second)

    def _mutate(self, genes: Tensor) -> Tensor:
        """Move all genes of some children."""
        n_children = genes.shape[1]
        if self.solver.mutation == "labels":
            steps = self.units.draw_by_labels(self.solver, self.random, n_children)
        else:
            draw = self.random.normals if self.solver.scale_free else self._symmetric
            steps = draw(Purpose.STEP, genes[0].numel(), genes.dtype).view(genes.shape)
            steps = steps.mul_(self.units.step[:, None])
        chosen = self.random.happens(
            Purpose.MUTATE, n_children, self.solver.mutation_prob
        )
        return genes + steps.mul_(chosen[..., None])

    def _symmetric(self, purpose: Purpose, n: int, dtype: torch.dtype) -> Tensor:
        return self.random.uniforms(purpose, n, dtype).mul_(2).sub_(1)

    def _score(self, genes: Tensor, held_out: PaddedRows) -> Tensor:
        """Evaluate one individual of each category that goes on, (n_going,)."""
        return self._values(genes, first_slots([held_out], len(genes)))[:, 0]

    def _values(self, genes: Tensor, known: KnownTensors) -> Tensor:
        """Evaluate individuals, (n_going, n_individuals), as many at once as fit."""
        n_categories, n_individuals = genes.shape[:2]
        vector = _RANKING_BYTES * genes.element_size() * known.y.shape[1]
        at_once = max(self.workspace // vector, 1)
        values = genes.new_empty(n_categories, n_individuals, dtype=torch.float64)
        for some in gen_batches(n_categories, max(at_once // n_individuals, 1)):
            own = known[some]
            for part in gen_batches(n_individuals, min(at_once, n_individuals)):
                logits = own.logits(genes[some, part])
                values[some, part] = self.metric(logits, own.y, own.known, exact=False)
        return values

    def _watch(self, best: Tensor, score: Tensor | None) -> None:
        """Keep the best individual of each category so far, without asking the host."""
        if score is None:
            self.answer = best
            return
        better = score > self.best_score
        self.answer = torch.where(better[:, None], best, self.answer)
        self.best_score = torch.where(better, score, self.best_score)

    def _record(self, generation: int, fitness: Tensor, score: Tensor | None) -> None:
        """Bring fitness and scores to the host, in the one transfer of a generation."""
        columns = [fitness] if score is None else [fitness, score[:, None]]
        values = torch.cat(columns, dim=1).cpu().numpy().T
        n_individuals = fitness.shape[1]
        record = self.statistics.compile(values[:n_individuals])
        if score is not None:
            record["score_val"] = values[n_individuals]
        self.logbook.record(
            iteration=generation,
            **{name: self._for_all(own) for name, own in record.items()},
        )

    def _for_all(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        everyone = np.full(len(self.best_iter), np.nan)
        everyone[self.going] = values
        return everyone

    def _stays(self, generation: int) -> NDArray[np.bool_]:
        """Decide who goes on, by the rules for one category alone."""
        going = self.going
        self.n_run[going] = generation
        if self.n_iter is not None:
            self.best_iter[going] = generation
            return generation < self.n_iter[going]
        score = self.logbook[-1]["score_val"][going]
        better = score > self.best_known[going]
        self.best_known[going[better]] = score[better]
        self.best_iter[going[better]] = generation
        impatient = generation - self.best_iter[going] >= self.solver.patience
        self.stopped_by[going] = np.where(impatient, "patience", "max_iter")
        return ~impatient & (generation < self.solver.n_generations)

    def _leave(self, stays: NDArray[np.bool_]) -> Tensor:
        """Let categories leave with their answer; return the slots of the others."""
        device = self.final.device
        left = torch.from_numpy(np.flatnonzero(~stays)).to(device)
        self.final[torch.from_numpy(self.going[~stays]).to(device)] = self.answer[left]
        before = np.empty(len(self.best_iter), dtype=np.intp)
        before[self.going] = np.arange(len(self.going))
        self.rows.bring_forward(self.going[stays])
        self.going = self.rows.order[: np.count_nonzero(stays)].copy()
        slots = torch.from_numpy(before[self.going]).to(device)
        self.answer, self.units = self.answer[slots], self.units.of(slots)
        if self.paths is not None:
            self.paths.stay(slots)
        self.random = self.random.of(slots)
        if self.validation is not None:
            self.best_score = self.best_score[slots]
        return slots


def _take(genes: Tensor, indices: Tensor) -> Tensor:
    """Gather individuals by their index in their category's population."""
    n_categories, n_individuals, n_genes = genes.shape
    first = torch.arange(n_categories, device=genes.device)[:, None] * n_individuals
    flat = genes.reshape(-1, n_genes).index_select(0, (indices + first).flatten())
    return flat.view(*indices.shape, n_genes)
