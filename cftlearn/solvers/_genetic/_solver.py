"""Refit a category by a genetic algorithm that maximises the metric itself."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
from deap import base, tools
from numpy.typing import NDArray

from cftlearn._dependencies import Interval, StrOptions
from cftlearn._features._stored import logits_of
from cftlearn.metrics._objectives import Objective
from cftlearn.solvers._genetic._deap_random import seeded_deap
from cftlearn.solvers._genetic._donors import MOST_DONORS, draw_donors
from cftlearn.solvers._intercept import likeliest_intercept
from cftlearn.solvers._problem_batch import ProblemBatch
from cftlearn.solvers._protocol import (
    CategoryProblem,
    CategorySolver,
    Checkpoint,
    RowFit,
    is_checkpoint,
    starts_mean,
)
from cftlearn.solvers._weight_space import WeightSpace

_GENE_BYTES = 16  # on a device, for each byte of genes, to make the next generation


class _Fitness(base.Fitness):
    """One value, to be maximised."""

    weights = (1.0,)


@dataclass
class _Individual:
    """Weights (the last gene is the bias) with their fitness."""

    genes: NDArray[np.floating[Any]]
    fitness: _Fitness

    @classmethod
    def population(cls, genes: NDArray[np.floating[Any]]) -> "list[_Individual]":
        return [cls(own, _Fitness()) for own in genes]

    @staticmethod
    def matrix(individuals: "list[_Individual]") -> NDArray[np.floating[Any]]:
        return np.stack([individual.genes for individual in individuals])

    @staticmethod
    def same(one: "_Individual", other: "_Individual") -> bool:
        return np.array_equal(one.genes, other.genes)


class GeneticSolver(CategorySolver):
    """Refit a category by a genetic algorithm on AUC, AP or any metric.

    A population of weight vectors starts as copies of the initial weights. Every
    generation selects parents by the metric on the known labels, crosses and mutates
    them, and keeps the best individual as it is, so the best fitness never falls;
    among equally fit individuals the newest is the best [1]_. DEAP runs the
    evolution [2]_.

    The paper takes the generation whose best individual scores best on a category's
    own held-out labels. These are few, so that generation is mostly luck. The defaults
    differ from the paper in four ways, and :meth:`published` has none of them. A change
    of the weights costs fitness. Mutations are steps toward known positives and
    away from known negatives. The answer is the mean of the elites since the last
    power of two among the generations. And
    :class:`~cftlearn.CategoryWiseFineTuner` weighs generations by held-out labels of
    all categories, see the :ref:`User Guide <pooled_choice>`.

    The defaults do not depend on the scale of the features: weights live in
    standardised coordinates, and a mutation changes the logits by a given share of
    their own spread.

    A generation costs O(population_size * n_known * (n_features + log n_known)). This
    solver refits one category on the CPU; on a CUDA GPU
    :class:`~cftlearn.CategoryWiseFineTuner` refits all of them at once, by the
    same operators and other random numbers.

    Parameters
    ----------
    population_size : int, default=50
        Individuals in a generation, 2 or more.
    n_generations : int, default=64
        Most generations to run.
    patience : int, default=50
        Stop after so many generations without a gain on the validation labels. Has no
        effect where all categories together choose, with ``pooled``.
    selection : {"tournament", "roulette"}, default="tournament"
        How parents are chosen: best of ``tournament_size`` random ones, or with
        probability proportional to fitness (which must then not be negative).
    tournament_size : int, default=5
        Raising it favours the best individuals more.
    crossover_prob : float, default=0.5
        Probability in [0, 1] that a gene comes from the first parent rather than
        from the second.
    mutation_prob : float, default=0.9
        Probability in [0, 1] that a child is mutated, in all its genes.
    mutation_scale : float, default=0.05
        Size of a mutation, above 0: with ``scale_free`` the standard deviation it
        causes in the logits of uncorrelated features, in units of the initial logits'
        own; without, the greatest change of a gene. With ``mutation="labels"`` it is
        multiplied by the absolute value of a normal number.
    mutation : {"labels", "genes"}, default="labels"
        ``"labels"`` moves along the mean of some known positives minus the mean of some
        known negatives, both with random weights; ``"genes"`` moves every gene by a
        step of its own.
    change_penalty : float, default=0.02
        What fitness loses, 0 or more, per squared change of the weights: that of
        standardised features, in units of the initial logits' variance. 0 is off.
        Roulette selection takes a fitness below 0 for 0.
    scale_free : bool, default=True
        Standardise the features internally, and mutate by normal steps in units of
        the logits' spread. False: raw features and uniform steps of absolute size.
    elite_size : int, default=1
        Best individuals that go on unchanged.
    intercept : {"likelihood", "evolve"}, default="likelihood"
        Where the objective ignores the bias (AUC, AP), ``"likelihood"`` sets it so
        that the mean probability of the known labels is their share of positives;
        ``"evolve"`` lets it drift as a gene. For other objectives the bias always
        evolves.
    pooled : bool, default=True
        Whether generations of all categories are weighed together, and the answer is a
        mean of elites. False: each category alone takes one individual of one
        generation.

    See Also
    --------
    GradientSolver : Refit a category by gradient descent on a loss.

    References
    ----------
    .. [1] Chong et al., "Category-Wise Fine-Tuning for Image Multi-label
       Classification with Partial Labels", ICONIP 2023; arXiv 2401.16991.
    .. [2] Fortin et al., "DEAP: Evolutionary Algorithms Made Easy", JMLR 13, 2012.

    Examples
    --------
    >>> from cftlearn import CategoryWiseFineTuner
    >>> from cftlearn.datasets import make_partial_multilabel
    >>> from cftlearn.solvers import GeneticSolver
    >>> Z, y, _ = make_partial_multilabel(known=0.5, random_state=0)
    >>> solver = GeneticSolver(n_generations=20)
    >>> tuner = CategoryWiseFineTuner(solver, random_state=0).fit(Z, y)
    >>> tuner.coef_.shape
    (5, 20)
    """

    accepts_sample_weight = True

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "population_size": [Interval(Integral, 2, 100_000, closed="both")],
        "n_generations": [Interval(Integral, 1, None, closed="left")],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "selection": [StrOptions({"tournament", "roulette"})],
        "tournament_size": [Interval(Integral, 1, 100_000, closed="both")],
        "crossover_prob": [Interval(Real, 0, 1, closed="both")],
        "mutation_prob": [Interval(Real, 0, 1, closed="both")],
        "mutation_scale": [Interval(Real, 0, None, closed="neither")],
        "mutation": [StrOptions({"labels", "genes"})],
        "change_penalty": [Interval(Real, 0, None, closed="left")],
        "scale_free": ["boolean"],
        "elite_size": [Interval(Integral, 1, None, closed="left")],
        "intercept": [StrOptions({"likelihood", "evolve"})],
        "pooled": ["boolean"],
    }

    def __init__(
        self,
        *,
        population_size: int = 50,
        n_generations: int = 64,
        patience: int = 50,
        selection: Literal["tournament", "roulette"] = "tournament",
        tournament_size: int = 5,
        crossover_prob: float = 0.5,
        mutation_prob: float = 0.9,
        mutation_scale: float = 0.05,
        mutation: Literal["labels", "genes"] = "labels",
        change_penalty: float = 0.02,
        scale_free: bool = True,
        elite_size: int = 1,
        intercept: Literal["likelihood", "evolve"] = "likelihood",
        pooled: bool = True,
    ) -> None:
        self.population_size = population_size
        self.n_generations = n_generations
        self.patience = patience
        self.selection = selection
        self.tournament_size = tournament_size
        self.crossover_prob = crossover_prob
        self.mutation_prob = mutation_prob
        self.mutation_scale = mutation_scale
        self.mutation = mutation
        self.change_penalty = change_penalty
        self.scale_free = scale_free
        self.elite_size = elite_size
        self.intercept = intercept
        self.pooled = pooled

    @classmethod
    def published(cls) -> Self:
        """Return the published setting, operator by operator.

        Population 50, all copies of the initial weights; fitness on raw logits; parents
        by roulette; uniform crossover taking a gene from the first parent with
        probability 0.2; with probability 0.5 every gene of a child moves by a
        uniform step of at most 0.001; the best one survives; at most 5000
        generations, 300 without gain; the generation that each category's own held-out
        labels prefer. The authors' code never writes the evolved
        bias back, this does; and which of equally fit ones survives is left to an
        unstable sort there, to the newest here.

        Returns
        -------
        solver : GeneticSolver
            With the parameters of the paper.
        """
        return cls(
            population_size=50,
            n_generations=5000,
            patience=300,
            selection="roulette",
            crossover_prob=0.2,
            mutation_prob=0.5,
            mutation_scale=0.001,
            mutation="genes",
            change_penalty=0.0,
            scale_free=False,
            elite_size=1,
            intercept="evolve",
            pooled=False,
        )

    @property
    def name(self) -> str:
        """Short name for reports."""
        return "ga"

    def fit_row(self, problem: CategoryProblem) -> RowFit:
        """Refit one category.

        Parameters
        ----------
        problem : CategoryProblem
            Features, known labels, the initial weights and the objective.

        Returns
        -------
        fit : RowFit
            The best weights by the validation labels, or those of generation
            ``n_iter``; these with a path, if ``pooled``.

        Raises
        ------
        ValueError
            If a parameter is out of its range, or roulette selection meets a
            negative fitness.
        """
        self.check_parameters()
        return _Evolution(self, problem).run()

    def fit_many(
        self, problems: Sequence[CategoryProblem], *, device: str
    ) -> list[RowFit]:
        """Refit several categories at once, on a torch device.

        The operators are those of :meth:`fit_row`, on tensors; random numbers differ.

        Parameters
        ----------
        problems : sequence of CategoryProblem
            All of them with validation labels, or all with ``n_iter``.
        device : str
            Torch device. An objective that is a function of Python, and labels with
            weights, are evaluated on the CPU, one category after the other.

        Returns
        -------
        fits : list of RowFit
            In the order of the problems.

        Raises
        ------
        ValueError
            If a parameter is out of its range, or some problems have validation
            labels and others ``n_iter``.
        """
        self.check_parameters()
        if not all(map(_runs_on_a_device, problems)):
            return super().fit_many(problems, device=device)
        from cftlearn.solvers._genetic._batched import fit_batch

        return fit_batch(self, ProblemBatch.of(problems), device)

    def path_length(self, problem: CategoryProblem) -> int | None:
        """Say how many generations a whole path has.

        Parameters
        ----------
        problem : CategoryProblem
            Any.

        Returns
        -------
        n_iter : int or None
            ``n_generations``. None without ``pooled``.
        """
        return self.n_generations if self.pooled else None

    def batch_device(self, objective: Objective, device: str) -> str | None:
        """Choose the GPU on which :meth:`fit_many` refits all categories.

        Parameters
        ----------
        objective : Objective
            What to maximise.
        device : str
            As in :class:`~cftlearn.CategoryWiseFineTuner`. ``"auto"`` takes the CPU
            where a GPU cannot evaluate the objective.

        Returns
        -------
        device : str or None
            A CUDA device of torch. None refits each category on the CPU.

        Raises
        ------
        ValueError
            If torch cannot use the device, or a GPU is asked for by name and the
            objective is a function of Python.
        """
        if device == "cpu":  # needs no torch
            return None
        from cftlearn._devices import resolve_device

        resolved = resolve_device(device)
        if not resolved.startswith("cuda"):
            return None
        if objective.is_ranking:
            return resolved
        if device == "auto":
            return None
        raise ValueError(
            "`objective` must be 'roc_auc' or 'average_precision' for the genetic "
            f"algorithm on a GPU; got {objective.name!r} with device={device!r}. Pass "
            'device="cpu".'
        )

    def batch_bytes(self, n_rows: int, row_bytes: int) -> int:
        """Count the bytes of a category on the device: its rows and its population.

        Parameters
        ----------
        n_rows : int
            Known rows.
        row_bytes : int
            Bytes of each, and of each individual.

        Returns
        -------
        n_bytes : int
            While a generation is made, donors of mutations included.
        """
        n_donors = min(n_rows, MOST_DONORS) if self.mutation == "labels" else 0
        n_vectors = n_rows + n_donors + self.population_size * _GENE_BYTES
        return row_bytes * n_vectors

    def check_parameters(self) -> None:
        """Check the parameters, as a fit does first.

        Raises
        ------
        ValueError
            If a parameter is out of its range.
        """
        self._validate_params()
        if self.elite_size >= self.population_size:
            raise ValueError(
                "`elite_size` must be less than `population_size`; got "
                f"{self.elite_size} and {self.population_size}."
            )


class _Evolution:
    """One run for one category: DEAP's parts and the arrays they work on."""

    def __init__(self, solver: GeneticSolver, problem: CategoryProblem) -> None:
        self.solver = solver
        self.problem = problem
        self.objective = problem.objective
        make_space = WeightSpace.standard if solver.scale_free else WeightSpace.raw
        self.space = make_space(problem)
        self.train = self.space.rows(problem.train, order="F")
        self.validation = problem.validation and self.space.rows(problem.validation)
        coef, bias = self.space.enter(problem.coef, problem.intercept)
        self.start = np.append(coef, bias).astype(self.train.Z.dtype)
        self.fixed_bias = self.objective.is_ranking and solver.intercept == "likelihood"
        self.spread = float(np.std(self.train.Z @ self.start[:-1])) or 1.0
        self.moving = np.ptp(self.train.Z, axis=0) > 0
        self.step = self._step_sizes()
        self.price = self._prices()
        self.donors = draw_donors(self.train.y, problem.random_state)
        self.donor_rows = np.ascontiguousarray(self.train.Z[self.donors.rows])
        self.rng = np.random.default_rng(problem.random_state)
        self.deap_random = random.Random(problem.random_state)
        self.toolbox = self._make_toolbox()

    def run(self) -> RowFit:
        """Evolve, and watch the answer of each generation on the validation labels."""
        solver, problem = self.solver, self.problem
        population = _Individual.population(
            np.repeat(self.start[np.newaxis], solver.population_size, axis=0)
        )
        elite = tools.HallOfFame(solver.elite_size, similar=_Individual.same)
        statistics = tools.Statistics(key=lambda own: own.fitness.values[0])
        statistics.register("fitness_best", np.max)
        statistics.register("fitness_mean", np.mean)
        statistics.register("fitness_std", np.std)
        logbook = tools.Logbook()
        best_score, best_iter = self._score(self.start), 0
        answer = self.start
        last = solver.n_generations if problem.n_iter is None else problem.n_iter
        stopped_by = "max_iter" if problem.n_iter is None else "n_iter"
        generation = 0
        path = []
        for generation in range(1, last + 1):
            self.toolbox.evaluate(population)
            # Survivors come first in a generation, so among equals a newcomer wins:
            # where many fit the labels perfectly, the best one goes on moving.
            elite.clear()
            elite.update(population[::-1])
            current = self._answer(elite, generation)
            score = self._score(current)
            record = {"score_val": score} if problem.n_iter is None else {}
            logbook.record(
                iteration=generation, **statistics.compile(population), **record
            )
            if problem.n_iter is not None:
                answer, best_iter = current, generation
                if solver.pooled and is_checkpoint(generation, last):
                    path.append(Checkpoint(generation, *self._leave(current)))
            elif score > best_score:
                answer, best_score, best_iter = current, score, generation
            elif generation - best_iter >= solver.patience:
                stopped_by = "patience"
                break
            if generation < last:
                population = self._next_generation(population, elite)
        coef, bias = self._leave(answer, is_start=best_iter == 0)
        history = [_plain(record) for record in logbook]
        return RowFit(coef, bias, best_iter, generation, stopped_by, history, path)

    def _answer(
        self, elite: tools.HallOfFame, generation: int
    ) -> NDArray[np.floating[Any]]:
        """Return the best individual, or the mean of elites over some generations."""
        if not self.solver.pooled:
            best: NDArray[np.floating[Any]] = elite[0].genes
            return best
        if starts_mean(generation):
            self.elites = np.zeros(len(self.start))
            self.n_elites = 0
        self.elites += _Individual.matrix(list(elite)).mean(axis=0)
        self.n_elites += 1
        return (self.elites / self.n_elites).astype(self.start.dtype)

    def _leave(
        self, genes: NDArray[np.floating[Any]], *, is_start: bool = False
    ) -> tuple[NDArray[np.float64], float]:
        """Express an individual in the scale of the features; the start has a bias."""
        coef, bias = self.space.leave(genes[:-1], float(genes[-1]))
        if self.fixed_bias and not is_start:
            logits = logits_of(self.problem.train.Z, coef)
            train = self.problem.train
            bias = likeliest_intercept(logits, train.y, train.weight)
        return coef, bias

    def _make_toolbox(self) -> base.Toolbox:
        solver, toolbox = self.solver, base.Toolbox()
        if solver.selection == "tournament":
            toolbox.register(
                "select", tools.selTournament, tournsize=solver.tournament_size
            )
        else:
            toolbox.register("select", _roulette)
        toolbox.register("mate", _uniform_crossover, self.rng, solver.crossover_prob)
        toolbox.register("mutate", self._mutate)
        toolbox.register("evaluate", self._evaluate)
        return toolbox

    def _next_generation(
        self, population: list[_Individual], elite: tools.HallOfFame
    ) -> list[_Individual]:
        n_children = self.solver.population_size - len(elite)
        with seeded_deap(self.deap_random):
            parents = self.toolbox.select(population, 2 * n_children)
        genes = _Individual.matrix(parents)
        children = self.toolbox.mate(genes[:n_children], genes[n_children:])
        survivors = _Individual.matrix(list(elite))
        return _Individual.population(
            np.concatenate([survivors, self.toolbox.mutate(children)])
        )

    def _evaluate(self, population: list[_Individual]) -> None:
        genes = _Individual.matrix(population)
        logits = self._logits(genes, self.train.Z)
        values = self.objective(self.train.y, logits, self.train.weight)
        if self.solver.selection == "roulette" and values.min() < 0:
            raise ValueError(
                "Roulette selection needs an objective of 0 or more; "
                f"{self.objective.name} gave {values.min():.4g}. Pass "
                'selection="tournament".'
            )
        if self.solver.change_penalty:
            values = values - (genes[:, :-1] - self.start[:-1]) ** 2 @ self.price
            if self.solver.selection == "roulette":
                values = np.maximum(values, 0.0)
        for individual, value in zip(population, values, strict=True):
            individual.fitness.values = (float(value),)

    def _logits(
        self, genes: NDArray[np.floating[Any]], Z: NDArray[np.floating[Any]]
    ) -> NDArray[np.floating[Any]]:
        logits = genes[:, :-1] @ Z.T
        if not self.fixed_bias:
            logits += genes[:, -1:]
        return logits

    def _score(self, genes: NDArray[np.floating[Any]]) -> float:
        if self.validation is None:
            return float("nan")
        logits = self._logits(genes[np.newaxis], self.validation.Z)
        held_out = self.validation
        return float(self.objective(held_out.y, logits, held_out.weight)[0])

    def _step_sizes(self) -> NDArray[np.floating[Any]] | float:
        """Compute the size of a mutation for every gene.

        A normal step of size s on d standardised features moves the logits by
        s * sqrt(d) in standard deviation; the spread of the initial logits is the
        unit, or 1 where they are constant.
        """
        solver = self.solver
        if not solver.scale_free:
            return float(solver.mutation_scale)
        size = solver.mutation_scale * self.spread
        n_moving = max(int(np.count_nonzero(self.moving)), 1)
        sizes = np.where(self.moving, size / np.sqrt(n_moving), 0.0)
        bias_size = 0.0 if self.fixed_bias else size
        return np.append(sizes, bias_size).astype(self.train.Z.dtype)

    def _prices(self) -> NDArray[np.floating[Any]]:
        """Compute what a squared change of each weight costs, free of any scale."""
        unit = self.problem.feature_scale**2
        unit = np.ones_like(unit) if self.solver.scale_free else unit
        price = unit * (self.solver.change_penalty / self.spread**2)
        return price.astype(self.train.Z.dtype)

    def _mutate(self, genes: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        """Move all genes of some children."""
        dtype = genes.dtype.type
        if self.solver.mutation == "labels":
            steps = self._label_steps(len(genes))
        elif self.solver.scale_free:
            steps = self.rng.standard_normal(genes.shape, dtype=dtype) * self.step
        else:
            steps = (2 * self.rng.random(genes.shape, dtype=dtype) - 1) * self.step
        chosen = self.rng.random(len(genes)) < self.solver.mutation_prob
        return genes + np.where(chosen[:, np.newaxis], steps, 0).astype(dtype)

    def _label_steps(self, n_children: int) -> NDArray[np.floating[Any]]:
        """Draw steps toward positives and away from negatives, as long as others.

        The bias, where it evolves, takes a step of its own.
        """
        dtype, y = self.train.Z.dtype, self.donors.y
        shares = self.rng.standard_exponential((n_children, len(y)), dtype=dtype.type)
        shares[:, y] /= shares[:, y].sum(axis=1, keepdims=True)
        shares[:, ~y] /= -shares[:, ~y].sum(axis=1, keepdims=True)
        steps = shares @ self.donor_rows
        steps[:, ~self.moving] = 0.0
        length = np.abs(self.rng.standard_normal((n_children, 1), dtype=dtype.type))
        if self.solver.scale_free:
            unit = np.linalg.norm(steps, axis=1, keepdims=True)
            size = self.solver.mutation_scale * self.spread
        else:
            unit = np.abs(steps).max(axis=1, keepdims=True)
            size = self.solver.mutation_scale
        steps *= size * length / np.where(unit > 0, unit, 1.0)
        bias = np.zeros((n_children, 1), dtype)
        if not self.fixed_bias:
            bias = size * self.rng.standard_normal((n_children, 1), dtype=dtype.type)
        return np.concatenate([steps, bias], axis=1)


def _roulette(population: list[_Individual], k: int) -> list[_Individual]:
    """Choose in proportion to fitness; anyone where nobody has any."""
    if any(own.fitness.values[0] > 0 for own in population):
        return tools.selRoulette(population, k)
    return tools.selRandom(population, k)


def _uniform_crossover(
    rng: np.random.Generator,
    prob: float,
    first: NDArray[np.floating[Any]],
    second: NDArray[np.floating[Any]],
) -> NDArray[np.floating[Any]]:
    """Take each gene from the first parent with the given probability."""
    from_first = rng.random(first.shape, dtype=np.float32) < prob
    return np.where(from_first, first, second)


def _runs_on_a_device(problem: CategoryProblem) -> bool:
    """Return whether the kernels of torch can compute the fitness."""
    return problem.objective.is_ranking and problem.train.weight is None


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    """Replace numpy's numbers by Python's."""
    return {
        key: value if isinstance(value, int) else float(value)
        for key, value in record.items()
    }
