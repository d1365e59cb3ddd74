"""The genetic solver: DEAP's parts, the published operators, and its promises."""

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from deap import tools
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.metrics import f1_score, roc_auc_score

from cftlearn.metrics._objectives import make_objective
from cftlearn.solvers import GeneticSolver
from cftlearn.solvers._genetic._solver import (
    _Evolution,
    _Individual,
    _uniform_crossover,
)
from cftlearn.solvers._protocol import CategoryProblem, KnownRows


def make_problem(
    objective="average_precision", *, n=120, d=6, seed=0, scale=1.0, validation=True
):
    """One category whose initial weights point half-way."""
    rng = np.random.default_rng(seed)
    Z = scale * rng.standard_normal((2 * n, d))
    direction = rng.standard_normal(d)
    logits = Z @ direction / scale
    y = logits + rng.standard_normal(2 * n) > 1.0
    coef = (direction + 2 * rng.standard_normal(d)) / scale
    return CategoryProblem(
        train=KnownRows(Z[:n], y[:n]),
        validation=KnownRows(Z[n:], y[n:]) if validation else None,
        coef=coef,
        intercept=0.3,
        objective=make_objective(objective),
        feature_mean=Z.mean(axis=0),
        feature_scale=Z.std(axis=0),
        random_state=seed,
        n_iter=None if validation else 15,
    )


def score(problem, fit, rows="validation"):
    known = getattr(problem, rows)
    return problem.objective.single(known.y, known.Z @ fit.coef + fit.intercept)


@pytest.mark.parametrize("solver", [GeneticSolver(), GeneticSolver.published()])
@given(seed=st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_best_fitness_never_falls(solver, seed):
    solver = clone(solver).set_params(n_generations=25)
    history = solver.fit_row(make_problem(seed=seed)).history
    fitness = [record["fitness_best"] for record in history]
    assert len(fitness) == 25
    assert np.all(np.diff(fitness) >= 0)


@pytest.mark.parametrize("objective", ["roc_auc", "average_precision"])
def test_answer_scores_on_validation_as_its_history_says(objective):
    problem = make_problem(objective)
    fit = GeneticSolver(n_generations=60).fit_row(problem)
    assert fit.n_iter > 0
    best = max(record["score_val"] for record in fit.history)
    assert score(problem, fit) == pytest.approx(best, abs=1e-6)
    assert fit.history[fit.n_iter - 1]["score_val"] == best


def test_never_worse_than_the_initial_weights_on_validation():
    for seed in range(5):
        problem = make_problem(seed=seed)
        fit = GeneticSolver(n_generations=5).fit_row(problem)
        trained = replace(fit, coef=problem.coef, intercept=problem.intercept)
        assert score(problem, fit) >= score(problem, trained) - 1e-9


def test_initial_weights_come_back_where_nothing_is_better():
    problem = make_problem()
    perfect = problem.validation.Z[:, 0] > 0
    coef = np.eye(6)[0] * 1e3
    validation = KnownRows(problem.validation.Z, perfect)
    problem = replace(problem, validation=validation, coef=coef, intercept=0.0)
    fit = GeneticSolver(patience=5).fit_row(problem)
    assert (fit.n_iter, fit.n_iter_run, fit.stopped_by) == (0, 5, "patience")
    np.testing.assert_allclose(fit.coef, coef, atol=1e-9)
    assert fit.intercept == pytest.approx(0.0, abs=1e-9)


def test_stops_by_patience_and_by_the_most_generations():
    problem = make_problem()
    long = GeneticSolver(n_generations=10_000, patience=7).fit_row(problem)
    assert long.stopped_by == "patience"
    assert long.n_iter_run == long.n_iter + 7
    short = GeneticSolver(n_generations=3).fit_row(problem)
    assert (short.stopped_by, short.n_iter_run) == ("max_iter", 3)


@pytest.mark.parametrize("solver", [GeneticSolver(), GeneticSolver.published()])
def test_row_goes_on_moving_where_fitness_is_perfect(solver):
    """The network memorised the fitted labels: held-out ones still tell rows apart."""
    problem = make_problem()
    separable = KnownRows(problem.train.Z, problem.train.Z @ problem.coef > 1.0)
    problem = replace(problem, train=separable)
    solver = clone(solver).set_params(n_generations=400, change_penalty=0.0)
    fit = solver.fit_row(problem)
    assert {record["fitness_best"] for record in fit.history} == {1.0}
    scores = [record["score_val"] for record in fit.history]
    assert len(set(scores)) > 10
    assert fit.n_iter > 1


def test_roulette_takes_anyone_where_no_row_has_any_fitness():
    problem = make_problem(lambda y_true, y_score: 0.0)
    fit = GeneticSolver.published().set_params(n_generations=5).fit_row(problem)
    assert fit.n_iter_run == 5


def test_given_number_of_generations_repeats_the_choice():
    problem = make_problem()
    chosen = GeneticSolver(n_generations=30).fit_row(problem)
    again = GeneticSolver(n_generations=30).fit_row(
        replace(problem, validation=None, n_iter=chosen.n_iter)
    )
    assert again.n_iter == chosen.n_iter
    assert again.stopped_by == "n_iter"
    np.testing.assert_array_equal(again.coef, chosen.coef)


def test_default_does_not_depend_on_the_scale_of_the_features():
    problem = make_problem()
    factors = np.logspace(-3, 3, 6)
    shifts = np.linspace(-50, 50, 6)

    def moved(known):
        return KnownRows(known.Z * factors + shifts, known.y)

    coef = problem.coef / factors
    other = replace(
        problem,
        train=moved(problem.train),
        validation=moved(problem.validation),
        coef=coef,
        intercept=problem.intercept - coef @ shifts,
        feature_mean=problem.feature_mean * factors + shifts,
        feature_scale=problem.feature_scale * factors,
    )
    solver = GeneticSolver(n_generations=20)
    fit, other_fit = solver.fit_row(problem), solver.fit_row(other)
    assert other_fit.n_iter == fit.n_iter
    np.testing.assert_allclose(other_fit.coef * factors, fit.coef, rtol=1e-6)
    logits = other.train.Z @ other_fit.coef + other_fit.intercept
    expected = problem.train.Z @ fit.coef + fit.intercept
    np.testing.assert_allclose(logits, expected, rtol=1e-6, atol=1e-6)


def test_constant_feature_is_not_mutated():
    problem = make_problem()

    def with_constant(known):
        return KnownRows(
            np.column_stack([known.Z, np.full(len(known.y), 7.0)]), known.y
        )

    problem = replace(
        problem,
        train=with_constant(problem.train),
        validation=with_constant(problem.validation),
        coef=np.append(problem.coef, 0.5),
        feature_mean=np.append(problem.feature_mean, 7.0),
        feature_scale=np.append(problem.feature_scale, 1.0),
    )
    fit = GeneticSolver(n_generations=20).fit_row(problem)
    assert fit.n_iter > 0
    assert fit.coef[-1] == 0.5


def test_zero_row_can_be_moved():
    problem = replace(make_problem(), coef=np.zeros(6), intercept=0.0)
    fit = GeneticSolver(n_generations=20).fit_row(problem)
    assert score(problem, fit) > 0.5
    assert np.abs(fit.coef).min() > 0


@pytest.mark.parametrize("objective", ["roc_auc", "average_precision"])
def test_bias_of_a_ranking_objective_makes_the_mean_probability_right(objective):
    problem = make_problem(objective)
    fit = GeneticSolver(n_generations=20).fit_row(problem)
    assert fit.n_iter > 0
    logits = problem.train.Z @ fit.coef + fit.intercept
    share = problem.train.y.mean()
    assert np.mean(1 / (1 + np.exp(-logits))) == pytest.approx(share, abs=1e-8)


@pytest.mark.parametrize(
    "solver",
    [GeneticSolver(), GeneticSolver.published().set_params(mutation_scale=0.05)],
    ids=["default", "published"],
)
def test_bias_moves_when_the_metric_needs_it(solver):
    """mlcpl's GA writes the best bias to itself and never to the head."""

    def f1(y_true, y_score):
        return f1_score(y_true, y_score > 0, zero_division=0)

    problem = replace(make_problem(f1), coef=make_problem().coef, intercept=-8.0)
    solver.set_params(n_generations=200)
    fit = solver.fit_row(problem)
    trained = replace(fit, coef=problem.coef, intercept=problem.intercept)
    assert score(problem, fit) > score(problem, trained)
    assert fit.intercept != problem.intercept


def test_callable_equals_its_named_twin():
    named = make_problem("roc_auc")
    free = make_problem(lambda y_true, y_score: roc_auc_score(y_true, y_score))
    solver = GeneticSolver(n_generations=5, intercept="evolve")
    fits = [solver.fit_row(problem) for problem in (named, free)]
    np.testing.assert_allclose(
        [record["fitness_best"] for record in fits[0].history],
        [record["fitness_best"] for record in fits[1].history],
        atol=1e-6,
    )


def test_same_seed_same_row_and_python_random_untouched():
    random.seed(5)
    expected = random.random()
    random.seed(5)
    problem = make_problem()
    solver = GeneticSolver(n_generations=10)
    first, second = solver.fit_row(problem), solver.fit_row(problem)
    other = solver.fit_row(replace(problem, random_state=1))
    assert random.random() == expected
    np.testing.assert_array_equal(first.coef, second.coef)
    assert not np.array_equal(first.coef, other.coef)


def test_threads_give_what_one_gives():
    problems = [make_problem(seed=seed) for seed in range(4)]
    solver = GeneticSolver(n_generations=15)
    alone = [solver.fit_row(problem).coef for problem in problems]
    with ThreadPoolExecutor(4) as pool:
        together = [fit.coef for fit in pool.map(solver.fit_row, problems)]
    np.testing.assert_array_equal(alone, together)


def test_float32_features_stay_float32_inside():
    problem = make_problem()
    known = KnownRows(problem.train.Z.astype(np.float32), problem.train.y)
    evolution = _Evolution(GeneticSolver(), replace(problem, train=known))
    assert evolution.start.dtype == np.float32
    assert evolution._mutate(evolution.start[np.newaxis]).dtype == np.float32


# The published operators, one by one


def published_evolution(**changes):
    problem = replace(make_problem(d=400, n=60), **changes)
    return _Evolution(GeneticSolver.published(), problem)


def test_published_parameters():
    assert GeneticSolver.published().get_params() == {
        "population_size": 50,
        "n_generations": 5000,
        "patience": 300,
        "selection": "roulette",
        "tournament_size": 5,
        "crossover_prob": 0.2,
        "mutation_prob": 0.5,
        "mutation_scale": 0.001,
        "mutation": "genes",
        "change_penalty": 0.0,
        "scale_free": False,
        "elite_size": 1,
        "intercept": "evolve",
        "pooled": False,
    }


def test_published_genome_is_the_raw_row_and_its_bias():
    problem = make_problem()
    evolution = _Evolution(GeneticSolver.published(), problem)
    np.testing.assert_array_equal(evolution.start, np.append(problem.coef, 0.3))
    np.testing.assert_array_equal(evolution.train.Z, problem.train.Z)


def test_published_first_generation_is_copies_of_the_initial_weights():
    fit = GeneticSolver.published().set_params(n_generations=1).fit_row(make_problem())
    record = fit.history[0]
    assert record["fitness_std"] == pytest.approx(0, abs=1e-12)
    assert record["fitness_best"] == pytest.approx(record["fitness_mean"])


def test_published_fitness_is_the_metric_of_raw_logits():
    evolution = published_evolution()
    rng = np.random.default_rng(1)
    genes = evolution.start + 0.1 * rng.standard_normal((50, len(evolution.start)))
    population = _Individual.population(genes)
    evolution.toolbox.evaluate(population)
    known = evolution.train
    expected = [
        evolution.objective.single(known.y, known.Z @ row[:-1] + row[-1])
        for row in genes
    ]
    got = [individual.fitness.values[0] for individual in population]
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_published_selection_is_proportional_to_fitness():
    evolution = published_evolution()
    population = _Individual.population(np.arange(4.0)[:, np.newaxis])
    fitness = np.array([0.1, 0.2, 0.3, 0.4])
    for individual, value in zip(population, fitness, strict=True):
        individual.fitness.values = (value,)
    random.seed(0)
    chosen = evolution.toolbox.select(population, 20_000)
    counts = np.bincount([int(row.genes[0]) for row in chosen], minlength=4)
    np.testing.assert_allclose(counts / 20_000, fitness, atol=0.015)


def test_published_crossover_takes_a_fifth_from_the_first_parent():
    evolution = published_evolution()
    shape = (200, 401)
    children = evolution.toolbox.mate(np.ones(shape), np.zeros(shape))
    assert set(np.unique(children)) == {0.0, 1.0}
    assert children.mean() == pytest.approx(0.2, abs=0.01)
    assert children.mean(axis=1).std() == pytest.approx(np.sqrt(0.16 / 401), rel=0.3)


def test_published_mutation_moves_all_genes_of_half_the_children():
    evolution = published_evolution()
    steps = evolution.toolbox.mutate(np.zeros((2000, 401)))
    moved = steps != 0
    assert set(moved.mean(axis=1)) == {0.0, 1.0}
    assert moved[:, 0].mean() == pytest.approx(0.5, abs=0.04)
    flat = steps[moved]
    assert -0.001 <= flat.min() < -0.00099 < 0.00099 < flat.max() <= 0.001
    assert flat.var() == pytest.approx(0.001**2 / 3, rel=0.02)


def test_published_elite_takes_the_first_place_unchanged():
    evolution = published_evolution()
    population = _Individual.population(
        np.repeat(evolution.start[np.newaxis], 50, axis=0)
    )
    evolution.toolbox.evaluate(population)
    best = _Individual.population(evolution.start[np.newaxis] + 1.0)[0]
    best.fitness.values = (1.0,)
    elite = tools.HallOfFame(1, similar=_Individual.same)
    elite.update([*population, best])
    generation = evolution._next_generation(population, elite)
    assert len(generation) == 50
    np.testing.assert_array_equal(generation[0].genes, best.genes)
    assert not generation[0].fitness.valid


def test_crossover_keeps_both_parents_as_they_are():
    first, second = np.zeros((3, 5)), np.ones((3, 5))
    _uniform_crossover(np.random.default_rng(0), 0.5, first, second)
    assert first.sum() == 0
    assert second.sum() == 15


# Bad input


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"population_size": 1}, "'population_size' parameter .* must be an int in"),
        ({"mutation_scale": 0.0}, "'mutation_scale' parameter"),
        ({"crossover_prob": 1.5}, "'crossover_prob' parameter"),
        ({"selection": "best"}, "'selection' parameter"),
        (
            {"elite_size": 50},
            "`elite_size` must be less than `population_size`; got 50",
        ),
    ],
)
def test_parameters_out_of_range(params, match):
    with pytest.raises(ValueError, match=match):
        GeneticSolver(**params).fit_row(make_problem())


def test_roulette_refuses_negative_fitness():
    problem = make_problem(lambda y_true, y_score: -1.0)
    with pytest.raises(ValueError, match="objective of 0 or more; <lambda> gave -1"):
        GeneticSolver.published().fit_row(problem)
    GeneticSolver(n_generations=2).fit_row(problem)  # tournaments take any sign


def test_higher_is_better_with_negative_values():
    """mlcpl crashes on objectives to be minimised: torch refuses negative weights."""

    def negative_log_loss(y_true, y_score):
        return -np.mean(np.logaddexp(0, np.where(y_true, -y_score, y_score)))

    problem = make_problem(negative_log_loss)
    fit = GeneticSolver(n_generations=30).fit_row(problem)
    fitness = [record["fitness_best"] for record in fit.history]
    assert fitness[-1] > fitness[0]
    assert fitness[0] < 0


# A path, a price for change, and steps by labels


def test_a_path_holds_powers_of_two_and_the_last_generation():
    problem = replace(make_problem(), validation=None, n_iter=11)
    fit = GeneticSolver().fit_row(problem)
    assert [own.n_iter for own in fit.path] == [1, 2, 4, 8, 11]
    np.testing.assert_array_equal(fit.path[-1].coef, fit.coef)
    assert fit.path[-1].intercept == fit.intercept
    shorter = GeneticSolver().fit_row(replace(problem, n_iter=8))
    np.testing.assert_array_equal(shorter.coef, fit.path[3].coef)
    assert not GeneticSolver(pooled=False).fit_row(problem).path
    assert GeneticSolver(n_generations=9).path_length(problem) == 9
    assert GeneticSolver(pooled=False).path_length(problem) is None


def test_the_answer_is_the_mean_of_elites_since_a_power_of_two():
    problem = replace(make_problem(), validation=None, n_iter=8)
    alone = clone(GeneticSolver(change_penalty=0.0)).set_params(pooled=False)
    elites = [alone.fit_row(replace(problem, n_iter=n)).coef for n in range(5, 9)]
    fit = GeneticSolver(change_penalty=0.0).fit_row(problem)
    np.testing.assert_allclose(fit.coef, np.mean(elites, axis=0), rtol=1e-9)


@pytest.mark.parametrize("scale_free", [True, False])
def test_a_change_costs_fitness_whatever_the_scale_of_features(scale_free):
    problem = replace(make_problem(), validation=None, n_iter=40)
    evolution = _Evolution(
        GeneticSolver(change_penalty=0.3, scale_free=scale_free), problem
    )
    moved = evolution.start + np.linspace(-0.1, 0.1, len(evolution.start))
    population = _Individual.population(np.stack([evolution.start, moved]))
    evolution._evaluate(population)
    Z, y = problem.train
    spread = np.std(evolution.train.Z @ evolution.start[:-1])
    unit = 1.0 if scale_free else problem.feature_scale
    change = (moved - evolution.start)[:-1] * unit
    expected = problem.objective.single(y, evolution.train.Z @ moved[:-1])
    expected -= 0.3 * np.sum(change**2) / spread**2
    assert population[1].fitness.values[0] == pytest.approx(expected)
    start = problem.objective.single(y, Z @ problem.coef)
    assert population[0].fitness.values[0] == pytest.approx(start)


def test_a_price_keeps_weights_near_the_initial_ones():
    problem = replace(make_problem(), validation=None, n_iter=60)
    change = [
        np.linalg.norm(
            (GeneticSolver(change_penalty=price).fit_row(problem).coef - problem.coef)
            * problem.feature_scale
        )
        for price in (0.0, 0.1, 10.0)
    ]
    assert change[0] > change[1] > change[2]


def test_roulette_takes_a_fitness_below_zero_for_zero():
    problem = replace(make_problem(), validation=None, n_iter=10)
    solver = GeneticSolver(selection="roulette", change_penalty=1e6)
    assert min(r["fitness_mean"] for r in solver.fit_row(problem).history) >= 0.0


@pytest.mark.parametrize("scale_free", [True, False])
def test_steps_go_from_negatives_to_positives(scale_free):
    problem = make_problem()
    solver = GeneticSolver(mutation_prob=1.0, scale_free=scale_free)
    evolution = _Evolution(solver, problem)
    genes = np.repeat(evolution.start[None], 4000, axis=0)
    steps = evolution._mutate(genes) - genes
    Z, y = evolution.train
    direction = Z[y].mean(axis=0) - Z[~y].mean(axis=0)
    mean = steps[:, :-1].mean(axis=0)
    cosine = mean @ direction / np.linalg.norm(mean) / np.linalg.norm(direction)
    assert cosine > 0.98
    np.testing.assert_array_equal(steps[:, -1], 0.0)
    if scale_free:
        size = solver.mutation_scale * np.std(Z @ evolution.start[:-1])
        lengths = np.linalg.norm(steps[:, :-1], axis=1)
    else:
        size = solver.mutation_scale
        lengths = np.abs(steps[:, :-1]).max(axis=1)
    assert np.sqrt(np.mean(lengths**2)) == pytest.approx(size, rel=0.05)
