"""What was chosen on some features is fitted again, on others."""

import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cftlearn.datasets import make_partial_multilabel
from cftlearn.fine_tuning._auto import AutoRefit
from cftlearn.fine_tuning._batched_refit import BatchedPooledRefit, BatchedRefit
from cftlearn.fine_tuning._best_solver import BestSolverRefit, chosen_iterations
from cftlearn.fine_tuning._category_task import make_tasks
from cftlearn.fine_tuning._initial_coef import InitialWeights
from cftlearn.fine_tuning._pooled_refit import PooledRefit
from cftlearn.fine_tuning._report import CategoryResult, Recipe
from cftlearn.fine_tuning._workers import CategoryWorkers
from cftlearn.labels import check_partial_labels
from cftlearn.labels._label_split import LabelSplit, split_labels
from cftlearn.metrics._objectives import make_objective
from cftlearn.solvers import GeneticSolver, GradientSolver, ProximalSolver

AUC = make_objective("roc_auc")
ALONE = CategoryWorkers(None, 0, {}, busy_with_products=False)
QUICK = GeneticSolver(n_generations=15, population_size=20)
STEPS = GradientSolver(max_epochs=30, patience=30)


@pytest.fixture
def problem():
    Z, y, _ = make_partial_multilabel(
        300, n_features=8, n_categories=5, known=0.4, random_state=3
    )
    y[:, 4] = np.nan  # skipped
    return Z, y


def make_some_tasks(Z, y, solvers, *, n_val=0, seed=0):
    """Make tasks whose initial weights are noise."""
    rng = np.random.default_rng(seed)
    seeds = np.arange(y.shape[1])
    initial = InitialWeights(
        rng.standard_normal((y.shape[1], Z.shape[-1])), rng.standard_normal(y.shape[1])
    )
    labels = check_partial_labels(y)
    if n_val:
        own, others = check_partial_labels(y[:-n_val]), check_partial_labels(y[-n_val:])
        split = LabelSplit(own, others, same_rows=False)
        return make_tasks(Z[:-n_val], Z[-n_val:], split, initial, solvers, seeds)
    split = split_labels(labels, 0.25, seeds)
    return make_tasks(Z, Z, split, initial, solvers, seeds)


def make_methods():
    return {
        "auto": AutoRefit(AUC, refit=True),
        "ga": BestSolverRefit([QUICK], AUC, refit=True),
        "bce": BestSolverRefit([STEPS], AUC, refit=True),
        "several": BestSolverRefit([STEPS, QUICK, ProximalSolver()], AUC, refit=True),
        "pooled": PooledRefit([STEPS, QUICK, ProximalSolver()], AUC, refit=True),
        "pooled and batched": BatchedPooledRefit(
            QUICK, AUC, refit=True, device="cpu", memory=2**30
        ),
        "batched": BatchedRefit(QUICK, AUC, refit=True, device="cpu", memory=2**30),
    }


by_method = pytest.mark.parametrize("name", sorted(make_methods()))


# ----------------------------------------------------------------- the same features
@by_method
@pytest.mark.parametrize("n_val", [0, 100])
def test_on_the_same_features_nothing_changes(problem, name, n_val):
    method = make_methods()[name]
    tasks = make_some_tasks(*problem, method.solvers, n_val=n_val)
    results = method(tasks, ALONE)
    assert [result.report["status"] for result in results].count("refitted") >= 3
    repeated = method.repeat(tasks, results, ALONE)
    assert len(repeated) == len(tasks) == 5
    # Candidates are kept in single precision.
    tolerance = 1e-5 if name == "auto" else 1e-12
    for result, own in zip(results, repeated, strict=True):
        if result.report["status"] == "refitted":
            scale = np.abs(result.coef).max()
            assert_allclose(own.coef, result.coef, atol=tolerance * scale)
            assert own.intercept == pytest.approx(result.intercept, rel=10 * tolerance)
        else:
            assert own is None


@by_method
def test_what_was_chosen_does_not_depend_on_refit(problem, name):
    """Without a refit of held-out labels the choice is the same, and so is a repeat."""
    method = make_methods()[name]
    tasks = make_some_tasks(*problem, method.solvers)
    expected = method.repeat(tasks, method(tasks, ALONE), ALONE)
    method.refit = False
    repeated = method.repeat(tasks, method(tasks, ALONE), ALONE)
    for own, other in zip(repeated, expected, strict=True):
        assert (own is None) == (other is None)
        if own is not None and not method.pooled:  # others judge by other fits
            assert_array_equal(own.coef, other.coef)
            assert own.intercept == other.intercept


# ---------------------------------------------------------------------- other features
@by_method
def test_other_features_have_weights_of_their_own(problem, name):
    Z, y = problem
    method = make_methods()[name]
    results = method(make_some_tasks(Z, y, method.solvers), ALONE)
    other = np.column_stack([Z[:, ::-1], np.random.default_rng(1).random(len(Z))])
    tasks = make_some_tasks(other, y, method.solvers, seed=1)
    repeated = method.repeat(tasks, results, ALONE)
    assert [own is None for own in repeated] == [
        result.report["status"] != "refitted" for result in results
    ]
    for task, own in zip(tasks, repeated, strict=True):
        if own is not None:
            assert own.coef.shape == (9,)
            known = task.known().everything
            logits = known.Z @ own.coef + own.intercept
            before = AUC.single(known.y, known.Z @ task.coef)
            assert AUC.single(known.y, logits) > before


@by_method
def test_nothing_is_repeated_where_all_was_kept(problem, name):
    method = make_methods()[name]
    tasks = make_some_tasks(*problem, method.solvers)
    kept = [
        replace(
            result, report=result.report | {"solver": None}, recipe=None, shares=None
        )
        for result in method(tasks, ALONE)
    ]
    assert method.repeat(tasks, kept, ALONE) == [None] * 5


@by_method
def test_order_and_workers_change_nothing(problem, name):
    method = make_methods()[name]
    tasks = make_some_tasks(*problem, method.solvers)
    results = method(tasks, ALONE)
    expected = method.repeat(tasks, results, ALONE)
    turned = method.repeat(tasks[::-1], results[::-1], ALONE)[::-1]
    others = [turned]
    if name == "ga":  # to start processes takes seconds
        two = CategoryWorkers(2, 0, {}, busy_with_products=method.busy_with_products)
        others.append(method.repeat(tasks, results, two))
    for other in others:
        for one, own in zip(expected, other, strict=True):
            assert (one is None) == (own is None)
            if one is not None:
                assert_array_equal(one.coef, own.coef)
                assert one.intercept == own.intercept


def test_the_chosen_solver_is_fitted_for_the_chosen_iterations(problem):
    method = make_methods()["several"]
    tasks = make_some_tasks(*problem, method.solvers)
    results = method(tasks, ALONE)
    chosen = chosen_iterations(tasks, results)
    assert {task.name for task in tasks} - set(chosen)
    for task, result in zip(tasks, results, strict=True):
        if task.name in chosen:
            line = result.report
            assert chosen[task.name] == (line["solver"], line["n_iter"])


# ------------------------------------------------------------------------------ recipes
def test_initial_weights_that_count_are_those_of_the_new_task(problem):
    """Oracle: only the initial weights count, so they are the result, but for scale."""
    method = make_methods()["auto"]
    tasks = make_some_tasks(*problem, method.solvers)
    results = method(tasks, ALONE)
    recipe = results[0].recipe
    only = Recipe(recipe.candidates, np.zeros_like(recipe.weights), 1.0)
    results[0] = replace(results[0], recipe=only)
    own = method.repeat(tasks, results, ALONE)[0]
    assert_allclose(own.coef, tasks[0].coef, rtol=1e-6)


def test_candidates_that_cannot_be_fitted_leave_their_weight_to_others(problem):
    """Without initial weights there is nothing to pull toward."""
    method = make_methods()["auto"]
    tasks = make_some_tasks(*problem, method.solvers)
    results = method(tasks, ALONE)
    recipe = results[0].recipe
    dependent = np.array([each.family == "row" for each in recipe.candidates])
    if not dependent.any():
        dependent = ~np.array([each.independent for each in recipe.candidates])
    assert dependent.any()
    zero = replace(tasks[0], coef=np.zeros_like(tasks[0].coef))
    halved = np.where(dependent, 0.0, recipe.weights)
    expected_recipe = recipe._replace(weights=halved / halved.sum(), initial=0.0)
    made = []
    for each in (recipe._replace(initial=0.0), expected_recipe):
        own = [replace(results[0], recipe=each), *results[1:]]
        made.append(method.repeat([zero, *tasks[1:]], own, ALONE)[0])
    assert_allclose(made[0].coef, made[1].coef)
    assert np.abs(made[0].coef).max() > 0


def test_without_any_candidate_the_initial_weights_stay(problem):
    """All weight is on candidates that the new features cannot have."""
    method = make_methods()["auto"]
    tasks = make_some_tasks(*problem, method.solvers)
    results = method(tasks, ALONE)
    recipe = results[0].recipe
    dependent = ~np.array([each.independent for each in recipe.candidates])
    weights = dependent / dependent.sum()
    results[0] = replace(
        results[0], recipe=recipe._replace(weights=weights, initial=0.0)
    )
    zero = replace(tasks[0], coef=np.zeros_like(tasks[0].coef))
    own = method.repeat([zero, *tasks[1:]], results, ALONE)[0]
    assert_array_equal(own.coef, zero.coef)
    assert own.intercept == zero.intercept


@pytest.mark.parametrize("name", ["auto", "bce"])
def test_results_survive_a_checkpoint(problem, name):
    method = make_methods()[name]
    tasks = make_some_tasks(*problem, method.solvers)
    results = method(tasks, ALONE)
    for result in results:
        arrays, plain = result.pack()
        plain = json.loads(json.dumps(plain))  # what is stored
        loaded = CategoryResult.unpack(arrays, plain)
        assert_array_equal(loaded.coef, result.coef)
        assert loaded.report == pytest.approx(result.report, nan_ok=True)
        if result.recipe is None:
            assert loaded.recipe is None
        else:
            assert loaded.recipe.candidates == result.recipe.candidates
            assert_array_equal(loaded.recipe.weights, result.recipe.weights)
            assert loaded.recipe.initial == result.recipe.initial
            total = result.recipe.weights.sum() + result.recipe.initial
            assert total == pytest.approx(1)
    loaded = [
        CategoryResult.unpack(arrays, json.loads(json.dumps(plain)))
        for arrays, plain in (result.pack() for result in results)
    ]
    expected, repeated = (method.repeat(tasks, own, ALONE) for own in (results, loaded))
    for one, own in zip(expected, repeated, strict=True):
        assert one is own is None or np.array_equal(one.coef, own.coef)
