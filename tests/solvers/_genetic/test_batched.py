"""The genetic algorithm of all categories at once: same promises as one by one."""

import gc
import warnings
import weakref
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from torch._subclasses import FakeTensorMode

from cftlearn.metrics._objectives import make_objective
from cftlearn.solvers import GeneticSolver
from cftlearn.solvers._genetic._batched import BatchedEvolution, Categories
from cftlearn.solvers._genetic._solver import _Evolution, _Individual
from cftlearn.solvers._padded_rows import PaddedRows, RowsInSlots, fill
from cftlearn.solvers._protocol import CategoryProblem, KnownRows
from cftlearn.solvers._weight_space import WeightSpace

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
SOLVERS = [GeneticSolver(), GeneticSolver.published().set_params(mutation_scale=0.05)]
by_solver = pytest.mark.parametrize("solver", SOLVERS, ids=["default", "published"])
by_objective = pytest.mark.parametrize("objective", ["roc_auc", "average_precision"])
WORKSPACE = 2**24


class Problems:
    """Categories of different sizes on the same features, initial weights half-way."""

    def __init__(self, sizes=(60, 90, 40, 75), *, d=6, seed=0, dtype=np.float64):
        rng = np.random.default_rng(seed)
        n, c = 2 * max(sizes), len(sizes)
        self.Z = (3.0 + 2.0 * rng.standard_normal((n, d))).astype(dtype)
        rules = rng.standard_normal((c, d))
        logits = (self.Z - 3.0) @ rules.T / 2 + rng.standard_normal((n, c))
        self.labels = logits > 0.5
        order = [rng.permutation(n) for _ in sizes]
        self.rows = [own[:k] for own, k in zip(order, sizes, strict=True)]
        self.rows_val = [
            own[k : k + k // 2] for own, k in zip(order, sizes, strict=True)
        ]
        self.coef = rules + 1.5 * rng.standard_normal((c, d))
        self.intercept = rng.standard_normal(c)
        self.seeds = rng.integers(2**31, size=c)

    def take(self, chosen):
        taken = Problems.__new__(Problems)
        taken.Z, taken.labels = self.Z, self.labels[:, chosen]
        for name in ("rows", "rows_val"):
            setattr(taken, name, [getattr(self, name)[j] for j in chosen])
        for name in ("coef", "intercept", "seeds"):
            setattr(taken, name, getattr(self, name)[chosen])
        return taken

    def scale(self):
        scale = self.Z.std(axis=0)
        return np.where(scale > 0, scale, 1.0)

    def known(self, j, name):
        rows = getattr(self, name)[j]
        return KnownRows(self.Z[rows], self.labels[rows, j])

    def alone(self, j, objective):
        """The same category as a problem for the solver on the CPU."""
        return CategoryProblem(
            train=self.known(j, "rows"),
            validation=self.known(j, "rows_val"),
            coef=self.coef[j],
            intercept=self.intercept[j],
            objective=make_objective(objective),
            feature_mean=self.Z.mean(axis=0),
            feature_scale=self.scale(),
            random_state=int(self.seeds[j]),
        )

    def evolution(
        self, solver, objective="roc_auc", *, device="cpu", n_iter=None, **options
    ):
        n, d = len(self.coef), self.Z.shape[1]
        space = WeightSpace(np.zeros(d), np.ones(d))
        if solver.scale_free:
            space = WeightSpace(self.Z.mean(axis=0), self.scale())
        dtype = torch.from_numpy(self.Z).dtype
        parts = [
            PaddedRows(
                rows,
                [self.labels[own, j] for j, own in enumerate(rows)],
                d,
                dtype,
                device,
            )
            for rows in (self.rows, self.rows_val)
        ]
        fill([(self.Z, space)] * n, parts)
        starts = np.zeros((n, parts[0].Z.shape[2]))
        for j in range(n):
            starts[j, :d], starts[j, d] = space.enter(self.coef[j], self.intercept[j])
        return BatchedEvolution(
            solver,
            objective,
            RowsInSlots(*parts),
            Categories(starts, [space] * n, self.seeds, [self.scale()] * n),
            workspace=options.get("workspace", WORKSPACE),
            n_iter=None if n_iter is None else np.array(n_iter, dtype=np.intp),
        )

    def run(self, solver, objective="roc_auc", **options):
        with torch.inference_mode():
            return self.evolution(solver, objective, **options).run()

    def score(self, j, fit, objective, name="rows_val"):
        known = self.known(j, name)
        logits = known.Z @ fit.coef + fit.intercept
        return make_objective(objective).single(known.y, logits)


def assert_same_fits(fits, others, *, rtol=1e-9):
    for fit, other in zip(fits, others, strict=True):
        np.testing.assert_allclose(fit.coef, other.coef, rtol=rtol, atol=1e-9)
        assert fit.intercept == pytest.approx(other.intercept, rel=1e-7, abs=1e-9)
        for name in ("n_iter", "n_iter_run", "stopped_by"):
            assert getattr(fit, name) == getattr(other, name)
        assert len(fit.history) == len(other.history)
        for record, twin in zip(fit.history, other.history, strict=True):
            assert record == pytest.approx(twin, abs=1e-9)


# What is promised of one category


@by_solver
@given(seed=st.integers(0, 10_000))
@settings(max_examples=6)
def test_best_fitness_never_falls(solver, seed):
    solver = clone(solver).set_params(n_generations=20)
    for fit in Problems(seed=seed, dtype=np.float32).run(solver):
        fitness = [record["fitness_best"] for record in fit.history]
        assert len(fitness) == 20
        assert np.all(np.diff(fitness) >= 0)


@by_objective
@by_solver
def test_answer_scores_on_validation_as_its_history_says(solver, objective):
    problems = Problems()
    fits = problems.run(clone(solver).set_params(n_generations=40), objective)
    for j, fit in enumerate(fits):
        scores = [record["score_val"] for record in fit.history]
        trained = make_objective(objective).single(
            problems.known(j, "rows_val").y,
            problems.known(j, "rows_val").Z @ problems.coef[j],
        )
        expected = max([trained, *scores])
        assert problems.score(j, fit, objective) == pytest.approx(expected, abs=1e-9)
        if fit.n_iter:
            assert fit.history[fit.n_iter - 1]["score_val"] == max(scores)
            assert fit.n_iter == 1 + int(np.argmax(scores))
    assert max(fit.n_iter for fit in fits) > 1


@by_solver
def test_patience_lets_categories_leave_one_by_one(solver):
    problems = Problems(sizes=(60, 90, 40, 75, 50, 88))
    solver = clone(solver).set_params(n_generations=10_000, patience=7)
    fits = problems.run(solver)
    assert {fit.stopped_by for fit in fits} == {"patience"}
    for fit in fits:
        assert fit.n_iter_run == fit.n_iter + 7 == len(fit.history)
    assert len({fit.n_iter_run for fit in fits}) > 2
    short = problems.run(clone(solver).set_params(n_generations=3))
    assert {(fit.stopped_by, fit.n_iter_run) for fit in short} == {("max_iter", 3)}


def test_initial_weights_come_back_where_nothing_is_better():
    problems = Problems()
    problems.coef = np.tile(np.eye(6)[0] * 1e3, (4, 1))
    problems.labels[:] = (problems.Z[:, 0] > 3.0)[:, None]
    for j, fit in enumerate(problems.run(GeneticSolver(patience=5))):
        assert (fit.n_iter, fit.n_iter_run, fit.stopped_by) == (0, 5, "patience")
        np.testing.assert_allclose(fit.coef, problems.coef[j], atol=1e-9)
        assert fit.intercept == pytest.approx(problems.intercept[j], abs=1e-9)


@by_solver
def test_row_goes_on_moving_where_fitness_is_perfect(solver):
    problems = Problems()
    for j, rows in enumerate(problems.rows):
        logits = problems.Z[rows] @ problems.coef[j]
        problems.labels[rows, j] = logits > np.median(logits)
    solver = clone(solver).set_params(n_generations=60, patience=60, change_penalty=0.0)
    for fit in problems.run(solver):
        assert {record["fitness_best"] for record in fit.history} == {1.0}
        assert len({record["score_val"] for record in fit.history}) > 3


@by_solver
def test_a_refit_runs_exactly_as_long_as_it_is_told(solver):
    problems = Problems()
    fits = problems.run(solver, n_iter=[3, 0, 11, 1])
    assert [fit.n_iter for fit in fits] == [3, 0, 11, 1]
    assert [len(fit.history) for fit in fits] == [3, 0, 11, 1]
    assert {fit.stopped_by for fit in fits} == {"n_iter"}
    assert "score_val" not in fits[0].history[0]
    np.testing.assert_allclose(fits[1].coef, problems.coef[1])
    assert problems.run(solver, n_iter=[0, 0, 0, 0])[2].n_iter_run == 0


@by_objective
def test_a_refit_is_fitted_to_held_out_labels_too(objective):
    problems = Problems()
    solver = GeneticSolver(pooled=False, change_penalty=0.0)
    fits = problems.run(solver, objective, n_iter=[30] * 4)
    for j, fit in enumerate(fits):
        both = [problems.known(j, name) for name in ("rows", "rows_val")]
        logits = np.concatenate([known.Z @ fit.coef for known in both])
        y = np.concatenate([known.y for known in both])
        expected = make_objective(objective).single(y, logits)
        assert fit.history[-1]["fitness_best"] == pytest.approx(expected, abs=1e-9)
        share = 1 / (1 + np.exp(-logits - fit.intercept))
        assert share.mean() == pytest.approx(y.mean(), abs=1e-8)


def test_bias_makes_the_mean_probability_right_or_drifts():
    problems = Problems()
    for j, fit in enumerate(problems.run(GeneticSolver(n_generations=20))):
        assert fit.n_iter > 0
        known = problems.known(j, "rows")
        chance = 1 / (1 + np.exp(-known.Z @ fit.coef - fit.intercept))
        assert chance.mean() == pytest.approx(known.y.mean(), abs=1e-8)
    fits = problems.run(clone(SOLVERS[1]).set_params(n_generations=30))
    for fit, before in zip(fits, problems.intercept, strict=True):
        steps = abs(fit.intercept - before)
        assert (steps > 0) == (fit.n_iter > 1)
        assert steps <= 0.05 * fit.n_iter_run


def test_constant_feature_is_not_mutated():
    problems = Problems()
    problems.Z[:, 2] = 3.0
    problems.Z[problems.rows[0], 4] = 5.0  # of the first category alone
    for j, fit in enumerate(problems.run(GeneticSolver(n_generations=20))):
        constant = [2, 4] if j == 0 else [2]
        assert fit.n_iter > 0
        np.testing.assert_allclose(fit.coef[constant], problems.coef[j, constant])
        assert np.all(np.delete(fit.coef != problems.coef[j], constant))


def test_zero_row_can_be_moved():
    problems = Problems()
    problems.coef[:] = 0.0
    for j, fit in enumerate(problems.run(GeneticSolver(n_generations=20))):
        assert problems.score(j, fit, "roc_auc") > 0.5
        assert np.abs(fit.coef).min() > 0


def test_features_keep_their_precision():
    for dtype, expected in ((np.float32, torch.float32), (np.float64, torch.float64)):
        evolution = Problems(dtype=dtype).evolution(GeneticSolver(n_generations=2))
        evolution.run()
        assert evolution.rows.train.Z.dtype == evolution.final.dtype == expected
        assert evolution.units.step.dtype == expected


def test_a_run_leaves_its_starts_alone():
    evolution = Problems().evolution(GeneticSolver(n_generations=3))
    starts = evolution.categories.starts.copy()
    evolution.run()
    np.testing.assert_array_equal(evolution.categories.starts, starts)


# Problems in a list, as `fit_many` gets them


def test_fit_many_takes_problems_in_memory():
    problems, solver = Problems(), GeneticSolver(n_generations=12)
    given = [problems.alone(j, "roc_auc") for j in range(4)]
    assert_same_fits(solver.fit_many(given, device="cpu"), problems.run(solver))
    assert solver.fit_many([], device="cpu") == []


def test_fit_many_runs_given_numbers_of_generations():
    problems, solver = Problems(), GeneticSolver()
    given = []
    for j, n_iter in enumerate([4, 2, 7, 1]):
        both = [problems.known(j, name) for name in ("rows", "rows_val")]
        every = KnownRows(*map(np.concatenate, zip(*both, strict=True)))
        given.append(
            replace(
                problems.alone(j, "roc_auc"),
                train=every,
                validation=None,
                n_iter=n_iter,
            )
        )
    fits = solver.fit_many(given, device="cpu")
    assert_same_fits(fits, problems.run(solver, n_iter=[4, 2, 7, 1]))


def test_fit_many_refuses_problems_of_both_kinds():
    problem = Problems().alone(0, "roc_auc")
    other = replace(problem, validation=None, n_iter=3)
    match = (
        r"`problems` must all have `validation`, or all have "
        r"`n_iter` .*; got \d with `validation` and \d with `n_iter` of 2"
    )
    neither = replace(other, n_iter=None)
    for wrong in ([problem, other], [neither, other], [replace(problem, n_iter=3)] * 2):
        with pytest.raises(ValueError, match=match):
            GeneticSolver().fit_many(wrong, device="cpu")


def test_fit_many_evaluates_a_function_category_by_category():
    solver = GeneticSolver(n_generations=3)
    accuracy = make_objective(lambda y, scores: float(np.mean(y == (scores > 0))))
    given = [
        replace(Problems().alone(j, "roc_auc"), objective=accuracy) for j in range(2)
    ]
    for fit, problem in zip(solver.fit_many(given, device="cpu"), given, strict=True):
        np.testing.assert_array_equal(fit.coef, solver.fit_row(problem).coef)


# As one category alone does


@by_objective
@by_solver
def test_scores_are_those_of_the_solver_on_the_cpu_within_noise(solver, objective):
    solver = clone(solver).set_params(n_generations=40, patience=40)
    problems = Problems(sizes=(80, 120, 60, 100) * 2, seed=5)
    together = problems.run(solver, objective)
    gains = []
    for j, fit in enumerate(together):
        alone = solver.fit_row(problems.alone(j, objective))
        assert set(alone.history[0]) == set(fit.history[0])
        own = [
            [f.history[-1]["fitness_best"], problems.score(j, f, objective)]
            for f in (fit, alone)
        ]
        gains.append(np.subtract(*own))
    mean, deviation = np.mean(gains, axis=0), np.std(gains, axis=0)
    assert np.all(np.abs(mean) < 3 * deviation / np.sqrt(len(gains)) + 1e-3)
    assert np.all(np.abs(mean) < 0.01)


@by_solver
def test_first_generation_is_copies_of_the_initial_weights(solver):
    problems, solver = Problems(), clone(solver).set_params(n_generations=1)
    fits = problems.run(solver, "average_precision")
    for j, fit in enumerate(fits):
        trained = solver.fit_row(problems.alone(j, "average_precision")).history[0]
        assert fit.history[0] == pytest.approx(trained, abs=1e-9)
        assert fit.history[0]["fitness_std"] == pytest.approx(0, abs=1e-12)


@by_solver
def test_steps_have_the_sizes_of_the_solver_on_the_cpu(solver):
    from cftlearn.solvers._genetic._solver import _Evolution

    problems = Problems()
    evolution = problems.evolution(solver)
    evolution._begin()
    for j, own in enumerate(evolution.units.step[:, :7].numpy()):
        alone = _Evolution(solver, problems.alone(j, "roc_auc"))
        np.testing.assert_allclose(own, alone.step * np.ones(7), rtol=1e-9)
    assert not evolution.units.step[:, 7:].any()


# Independent of what is computed beside


@by_objective
@by_solver
def test_a_category_gets_the_same_in_any_company(solver, objective):
    problems = Problems()
    solver = clone(solver).set_params(n_generations=25, patience=6)
    together = problems.run(solver, objective)
    for chosen in ([2], [3, 1], [3, 2, 1, 0]):
        fits = problems.take(chosen).run(solver, objective)
        assert_same_fits(fits, [together[j] for j in chosen])


@pytest.mark.parametrize("workspace", [1, 40_000, 300_000])
def test_memory_to_rank_in_does_not_matter(workspace):
    problems = Problems()
    solver = GeneticSolver(n_generations=15, elite_size=3, population_size=20)
    assert_same_fits(problems.run(solver, workspace=workspace), problems.run(solver))


def test_same_seed_same_rows_other_seed_other_rows():
    problems = Problems()
    solver = GeneticSolver(n_generations=10)
    fits = problems.run(solver)
    for fit, again in zip(fits, problems.run(solver), strict=True):
        np.testing.assert_array_equal(fit.coef, again.coef)
    problems.seeds = problems.seeds + 1
    others = problems.run(solver)
    assert all(np.any(a.coef != b.coef) for a, b in zip(fits, others, strict=True))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_starts_are_left_as_they_were(dtype):
    """A second run, on all known rows, begins with them."""
    evolution = Problems(dtype=dtype).evolution(GeneticSolver(n_generations=5))
    before = evolution.categories.starts.copy()
    with torch.inference_mode():
        evolution.run()
    np.testing.assert_array_equal(evolution.categories.starts, before)
    assert np.any(evolution.final.numpy() != before)


@by_solver
def test_features_are_freed_with_the_evolution(solver):
    """Not when Python's collector runs: the next group needs their memory."""
    evolution = Problems().evolution(clone(solver).set_params(n_generations=3))
    features = weakref.ref(evolution.rows.train)
    gc.disable()
    try:
        with torch.inference_mode():
            evolution.run()
        del evolution
        assert features() is None
    finally:
        gc.enable()


def test_a_toolbox_alone_says_what_is_gone():
    toolbox = Problems().evolution(GeneticSolver()).toolbox
    with pytest.raises(ReferenceError, match="this toolbox is of has gone"):
        toolbox.mate(None, None)


@pytest.mark.gpu
@by_objective
@by_solver
def test_a_gpu_gives_what_the_cpu_gives(solver, objective):
    """In double precision, where rounding hardly ever turns two scores round."""
    problems = Problems()
    solver = clone(solver).set_params(n_generations=25, patience=25)
    on_gpu = problems.run(solver, objective, device="cuda")
    assert_same_fits(on_gpu, problems.run(solver, objective), rtol=1e-6)


@pytest.mark.gpu
def test_a_generation_waits_for_the_gpu_once():
    def waits(n_generations):
        """Count how often each line waited."""
        solver = GeneticSolver(n_generations=n_generations, patience=99)
        with torch.inference_mode(), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            evolution = Problems(dtype=np.float32).evolution(solver, device="cuda")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                evolution.run()
            finally:
                torch.cuda.set_sync_debug_mode("default")
        found = [w for w in caught if "synchroniz" in str(w.message)]
        return Counter(f"{w.filename}:{w.lineno}" for w in found)

    waits(2)  # what is only done once in a process
    more = waits(30) - waits(10)
    assert list(more.values()) == [20], more


class OnTheHost:
    """What a transfer from a pretended GPU brings: noise of the right shape."""

    def __init__(self, tensor):
        self.array = np.random.default_rng(0).random(tuple(tensor.shape))
        self.array = (
            self.array.astype(bool) if tensor.dtype == torch.bool else self.array
        )

    def numpy(self):
        return self.array


@pytest.fixture
def _pretended_gpu():
    """Skip where torch can make no fake tensor on a GPU that is not there."""
    if not torch.backends.cuda.is_built():
        pytest.skip("a build of torch for the CPU alone")
    try:
        with FakeTensorMode() as mode:
            mode.from_tensor(torch.zeros(1)).to("cuda")
    except RuntimeError as error:  # torch 2.9 asks for a driver
        pytest.skip(f"needs a GPU to pretend one: {error}".splitlines()[0])


@pytest.mark.usefixtures("_pretended_gpu")
@by_objective
@by_solver
def test_on_a_pretended_gpu_a_generation_asks_the_host_once(
    solver, objective, monkeypatch
):
    """Fake tensors refuse mixed devices, and whatever needs a value to go on."""
    transfers = []

    def to_host(tensor):
        transfers.append(tensor.device.type)
        return OnTheHost(tensor)

    from_numpy = torch.from_numpy
    solver = clone(solver).set_params(n_generations=6, patience=6)
    with FakeTensorMode() as mode, monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "cpu", to_host)
        patch.setattr(
            torch, "from_numpy", lambda array: mode.from_tensor(from_numpy(array))
        )
        patch.setattr(
            "cftlearn.solvers._genetic._batched.likeliest_intercept", lambda *_: 0.0
        )
        evolution = Problems().evolution(solver, objective, device="cuda")
        evolution._fits = lambda: None
        evolution.run()
        assert transfers == ["cuda"] * (1 + 6)  # at the start, and each generation
        evolution = Problems().evolution(
            solver, objective, device="cuda", n_iter=[3, 0, 2, 5]
        )
        fits = evolution.run()
        assert evolution.units.step.device.type == "cuda"
        assert [fit.n_iter_run for fit in fits] == [3, 0, 2, 5]
        with pytest.raises(RuntimeError):  # the pretence notices what it should
            bool((evolution.units.step > 0).any())


# The operators, one by one


def begun(solver, **changes):
    evolution = Problems(**({"d": 401} | changes)).evolution(solver)
    evolution._begin()
    evolution.random.generation = 1
    return evolution


def population_of(evolution, fitness):
    population = evolution._founders()
    genes = torch.arange(float(fitness.shape[1]), dtype=torch.float64)
    population.genes = genes[None, :, None].expand(4, -1, population.genes.shape[2])
    population.fitness = fitness
    return population


def test_roulette_is_proportional_to_fitness():
    evolution = begun(GeneticSolver.published(), d=3)
    fitness = torch.tensor([[0.1, 0.2, 0.3, 0.4]] * 3 + [[0.0] * 4]).double()
    population = population_of(evolution, fitness)
    chosen = evolution.toolbox.select(population, 20_000)
    assert chosen.shape == (4, 20_000, 4)
    for own, expected in zip(chosen, [fitness[0]] * 3 + [[0.25] * 4], strict=True):
        counts = np.bincount(own[:, 0].long().numpy(), minlength=4)
        np.testing.assert_allclose(counts / 20_000, expected, atol=0.015)


def test_roulette_never_chooses_a_row_without_fitness():
    evolution = begun(GeneticSolver.published(), d=3)
    population = population_of(
        evolution, torch.tensor([[0.0, 0.5, 0.0, 0.5]] * 4).double()
    )
    chosen = evolution.toolbox.select(population, 5000)
    assert set(chosen[..., 0].unique().tolist()) == {1.0, 3.0}


def test_tournament_takes_the_best_of_those_drawn():
    evolution = begun(GeneticSolver(tournament_size=3), d=3)
    ranks = torch.arange(10).double().expand(4, -1)
    chosen = evolution.toolbox.select(population_of(evolution, ranks), 20_000)
    share = np.bincount(chosen[0, :, 0].long().numpy(), minlength=10) / 20_000
    k = np.arange(10)
    np.testing.assert_allclose(share, ((k + 1) ** 3 - k**3) / 1000, atol=0.012)
    tied = population_of(evolution, torch.zeros(4, 10).double())
    chosen = evolution.toolbox.select(tied, 20_000)[0, :, 0]
    counts = np.bincount(chosen.long().numpy(), minlength=10)
    np.testing.assert_allclose(counts / 20_000, 0.1, atol=0.012)


def test_crossover_takes_a_fifth_from_the_first_parent():
    evolution = begun(GeneticSolver.published())
    shape = (4, 100, 404)
    ones = torch.ones(shape, dtype=torch.float64)
    children = evolution.toolbox.mate(ones, 0 * ones)
    assert set(children.unique().tolist()) == {0.0, 1.0}
    np.testing.assert_allclose(children.mean(dim=(1, 2)), 0.2, atol=0.01)
    own = children.mean(dim=2).std(dim=1)
    np.testing.assert_allclose(own, np.sqrt(0.16 / 404), rtol=0.3)


def test_published_mutation_moves_all_genes_of_half_the_children():
    evolution = begun(GeneticSolver.published())
    steps = evolution.toolbox.mutate(torch.zeros(4, 1000, 404, dtype=torch.float64))
    assert not steps[..., 402:].any()
    moved = (steps[..., :402] != 0).double()
    assert set(moved.mean(dim=2).unique().tolist()) == {0.0, 1.0}
    np.testing.assert_allclose(moved[..., 0].mean(dim=1), 0.5, atol=0.05)
    flat = steps[steps != 0]
    assert -0.001 <= flat.min() < -0.00099 < 0.00099 < flat.max() <= 0.001
    assert float(flat.var()) == pytest.approx(0.001**2 / 3, rel=0.02)


def test_scale_free_mutation_moves_logits_by_its_share_of_their_spread():
    evolution = begun(
        GeneticSolver(mutation_scale=0.1, mutation_prob=1.0, mutation="genes")
    )
    start = evolution.answer[:, None].expand(-1, 400, -1)
    steps = evolution.toolbox.mutate(start) - start
    for c, rows in enumerate(evolution.rows.train.lengths):
        Z = evolution.rows.train.Z[c, :rows]
        spread = (Z @ evolution.answer[c]).std(unbiased=False)
        moved = Z @ steps[c].T
        assert float(moved.std() / spread) == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize("size", [1, 3])
def test_elite_is_the_best_and_the_newest_of_equals(size):
    evolution = begun(GeneticSolver(elite_size=size, population_size=5), d=3)
    fitness = torch.tensor([[1.0, 3, 3, 2, 3], [5, 1, 1, 1, 1], [1, 2, 3, 4, 5]] * 2)
    population = population_of(evolution, fitness[:4].double())
    elite = evolution._elite(population)
    expected = [[4, 2, 1], [0, 4, 3], [4, 3, 2], [4, 2, 1]]
    assert elite.genes[..., 0].tolist() == [own[:size] for own in expected]
    following = evolution._next_generation(population, elite)
    assert following.genes.shape == population.genes.shape
    assert torch.equal(following.genes[:, :size], elite.genes)
    assert torch.equal(following.fitness, elite.fitness)  # children have none yet


def test_deap_steers():
    """What its toolbox holds is what runs; its logbook is the history."""
    evolution = Problems().evolution(GeneticSolver(n_generations=5))
    evolution.toolbox.register("mutate", lambda genes: genes)
    fits = evolution.run()
    assert {fit.n_iter for fit in fits} == {0}
    assert evolution.logbook.select("iteration") == [1, 2, 3, 4, 5]
    best = np.array(evolution.logbook.select("fitness_best"))
    assert best.shape == (5, 4)
    assert np.ptp(best, axis=0).max() < 1e-12


# A path, a price for change, and steps by labels: as one category at a time


def test_paths_are_those_of_the_solver_on_the_cpu():
    problems = Problems()
    fits = problems.run(GeneticSolver(), n_iter=[11, 0, 8, 3])
    assert [[own.n_iter for own in fit.path] for fit in fits] == [
        [1, 2, 4, 8, 11],
        [],
        [1, 2, 4, 8],
        [1, 2, 3],
    ]
    for j, fit in enumerate(fits):
        if fit.path:
            np.testing.assert_allclose(fit.path[-1].coef, fit.coef)
            assert fit.path[-1].intercept == pytest.approx(fit.intercept)
            first = fit.path[0]  # copies of the initial weights, with a bias
            np.testing.assert_allclose(first.coef, problems.coef[j], rtol=1e-9)
    shorter = problems.run(GeneticSolver(), n_iter=[8, 8, 8, 8])
    np.testing.assert_allclose(shorter[0].coef, fits[0].path[3].coef, rtol=1e-9)
    assert not problems.run(GeneticSolver(pooled=False), n_iter=[2] * 4)[0].path


def test_the_mean_of_elites_starts_after_each_power_of_two():
    problems = Problems()
    alone = GeneticSolver(pooled=False)
    elites = [problems.run(alone, n_iter=[n] * 4) for n in range(5, 9)]
    fits = problems.run(GeneticSolver(), n_iter=[8] * 4)
    for j, fit in enumerate(fits):
        mean = np.mean([own[j].coef for own in elites], axis=0)
        np.testing.assert_allclose(fit.coef, mean, rtol=1e-9)


@pytest.mark.parametrize("scale_free", [True, False])
def test_fitness_is_that_of_the_solver_on_the_cpu(scale_free):
    problems = Problems()
    solver = GeneticSolver(
        change_penalty=0.3, scale_free=scale_free, intercept="evolve"
    )
    evolution = problems.evolution(solver)
    evolution._begin()
    founders = evolution._founders()
    shift = torch.linspace(-0.2, 0.2, founders.genes.shape[2], dtype=torch.float64)
    shift[problems.Z.shape[1] + 1 :] = 0.0
    founders.genes = founders.genes + torch.arange(50.0)[None, :, None] / 50 * shift
    evolution.toolbox.evaluate(founders)
    for j in range(4):
        alone = _Evolution(solver, problems.alone(j, "roc_auc"))
        genes = founders.genes[j, :, : problems.Z.shape[1] + 1].numpy()
        population = _Individual.population(genes)
        alone._evaluate(population)
        values = [own.fitness.values[0] for own in population]
        np.testing.assert_allclose(founders.fitness[j].numpy(), values, atol=1e-9)


@pytest.mark.parametrize("scale_free", [True, False])
def test_steps_by_labels_are_those_of_the_solver_on_the_cpu(scale_free):
    """Their mean and their length; draws differ."""
    solver = GeneticSolver(
        mutation_prob=1.0, population_size=3000, scale_free=scale_free
    )
    problems = Problems()
    evolution = problems.evolution(solver)
    evolution._begin()
    evolution.random.generation = 1
    start = evolution.answer[:, None].expand(-1, 3000, -1)
    together = (evolution.toolbox.mutate(start) - start).numpy()
    d = problems.Z.shape[1]
    np.testing.assert_array_equal(together[:, :, d:], 0.0)
    for j in range(4):
        alone = _Evolution(solver, problems.alone(j, "roc_auc"))
        genes = np.repeat(alone.start[None], 3000, axis=0)
        steps = (alone._mutate(genes) - genes)[:, :d]
        size = np.sqrt(np.mean(np.sum(steps**2, axis=1)))
        other = np.sqrt(np.mean(np.sum(together[j, :, :d] ** 2, axis=1)))
        assert other == pytest.approx(size, rel=0.08)
        difference = together[j, :, :d].mean(axis=0) - steps.mean(axis=0)
        assert np.abs(difference).max() < 0.08 * size
