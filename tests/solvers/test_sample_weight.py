"""Weights of known rows in the solvers: scikit-learn's fits, and repeated rows."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from proximal_problems import make_problem
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from cftlearn.solvers import GeneticSolver, GradientSolver, ProximalSolver
from cftlearn.solvers._intercept import likeliest_intercept
from cftlearn.solvers._left_out import placement_values
from cftlearn.solvers._problem_batch import ProblemBatch
from cftlearn.solvers._protocol import (
    CategoryProblem,
    CategorySolver,
    KnownRows,
    RowFit,
    RowPart,
    StoredRows,
    check_weights_accepted,
    gathered,
)

SOLVERS = {
    "proximal": ProximalSolver(spreads=(1.0, 3.0)),
    "bce": GradientSolver(max_epochs=20),
    "asl": GradientSolver(loss="asl", max_epochs=20),
    "ga": GeneticSolver(n_generations=5),
    "ga alone": GeneticSolver(n_generations=5, pooled=False),
}
solvers = pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)


def weighted(problem, weight=None, held_out=None):
    """Give weights to the rows of a problem."""
    rng = np.random.default_rng(5)
    n = len(problem.train.y)
    own = rng.uniform(0.2, 3.0, n) if weight is None else weight
    validation = problem.validation
    if validation is not None:
        others = rng.uniform(0.2, 3.0, len(validation.y))
        others = others if held_out is None else held_out
        validation = replace(validation, weight=others)
    return replace(
        problem, train=replace(problem.train, weight=own), validation=validation
    )


def repeated(problem, counts):
    rows = np.repeat(np.arange(len(counts)), counts)
    return replace(
        problem, train=KnownRows(problem.train.Z[rows], problem.train.y[rows])
    )


def without_validation(n_iter, **changes):
    problem, _ = make_problem(**changes)
    return replace(problem, validation=None, n_iter=n_iter)


# ------------------------------------------------------------------------- the protocol
def test_known_rows_unpack_into_features_and_labels():
    Z, y = np.zeros((2, 3)), np.array([True, False])
    rows = KnownRows(Z, y, np.array([1.0, 2.0]))
    features, labels = rows
    assert features is Z
    assert labels is y
    assert KnownRows(Z, y).weight is None


def test_stored_rows_have_the_weights_of_their_parts():
    Z, y = np.arange(6.0).reshape(3, 2), np.array([True, False, True])
    first = RowPart(Z, np.array([0, 2]), y[[0, 2]], np.array([0.5, 2.0]))
    second = RowPart(Z, np.array([1]), y[[1]])
    assert StoredRows((second,)).weight is None
    both = StoredRows((first, second))
    assert both.weight.tolist() == [0.5, 2.0, 1.0]
    assert gathered(both).weight.tolist() == [0.5, 2.0, 1.0]
    some = first.some(np.array([False, True]))
    assert some.rows.tolist() == [2]
    assert some.weight.tolist() == [2.0]


class OwnSolver(CategorySolver):
    name = "own"

    def fit_row(self, problem: CategoryProblem) -> RowFit:
        return RowFit(problem.coef, problem.intercept, 0, 0, "n_iter")


class Heir(GradientSolver):
    def fit_row(self, problem: CategoryProblem) -> RowFit:
        return RowFit(problem.coef, problem.intercept, 0, 0, "n_iter")


class Weighing(OwnSolver):
    accepts_sample_weight = True


@pytest.mark.parametrize("solver", [OwnSolver(), Heir()], ids=["own", "heir"])
def test_a_solver_that_does_not_weigh_is_refused(solver):
    with pytest.raises(ValueError, match=r"read problem\.train\.weight and set"):
        check_weights_accepted([GeneticSolver(), solver])


def test_a_solver_that_weighs_is_accepted():
    check_weights_accepted([Weighing(), *SOLVERS.values()])


# ----------------------------------------------------------------------------- the fits
@solvers
@pytest.mark.parametrize("n_iter", [None, 3])
def test_weights_of_one_change_nothing(solver, n_iter):
    problem, _ = make_problem()
    if n_iter is not None:
        problem = replace(problem, validation=None, n_iter=n_iter)
    n = len(problem.train.y)
    own = solver.fit_row(problem)
    ones = solver.fit_row(weighted(problem, np.ones(n), np.ones(n)))
    assert_allclose(ones.coef, own.coef, rtol=1e-6, atol=1e-9)
    assert ones.intercept == pytest.approx(own.intercept, rel=1e-6)


@solvers
def test_weights_change_the_fit(solver):
    problem = without_validation(4)
    own, other = solver.fit_row(problem), solver.fit_row(weighted(problem))
    assert not np.allclose(own.coef, other.coef, rtol=1e-3)


def test_a_proximal_fit_is_a_weighted_logistic_regression():
    problem, _ = make_problem(n_unknown=0)
    problem = weighted(problem)
    solver = ProximalSolver(
        spreads=(1.5,), unknown_weights=(0.0,), scalings=("standard",), toward=("zero",)
    )
    fit = solver.fit_row(problem)
    scaled = (problem.train.Z - problem.feature_mean) / problem.feature_scale
    oracle = LogisticRegression(C=1.5**2 / 6, solver="newton-cholesky", tol=1e-10)
    oracle.fit(scaled, problem.train.y, problem.train.weight)
    coef = oracle.coef_[0] / problem.feature_scale
    assert_allclose(fit.coef, coef, atol=0.01)
    plain = LogisticRegression(C=1.5**2 / 6).fit(scaled, problem.train.y)
    assert not np.allclose(oracle.coef_, plain.coef_, atol=0.1)


def test_a_proximal_fit_of_integer_weights_is_that_of_repeated_rows():
    problem = without_validation(10)
    counts = np.random.default_rng(1).integers(1, 4, len(problem.train.y))
    solver = ProximalSolver(spreads=(1.0, 3.0))
    one = solver.fit_row(weighted(problem, counts.astype(float)))
    other = solver.fit_row(repeated(problem, counts))
    for own, twin in zip(one.path, other.path, strict=True):
        assert_allclose(own.coef, twin.coef, rtol=0.02, atol=0.005)


def test_a_gradient_fit_is_a_weighted_logistic_regression():
    problem = without_validation(3000, n=200, n_unknown=0, d=3)
    rng = np.random.default_rng(2)
    noisy = rng.random(200) < expit(problem.train.Z @ problem.coef - 0.5)
    problem = weighted(replace(problem, train=replace(problem.train, y=noisy)))
    fit = GradientSolver().fit_row(problem)
    oracle = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000)
    oracle.fit(problem.train.Z, problem.train.y, problem.train.weight)
    assert_allclose(fit.coef, oracle.coef_[0], rtol=0.01, atol=0.005)
    assert fit.intercept == pytest.approx(oracle.intercept_[0], rel=0.02)


@pytest.mark.parametrize("loss", ["bce", "asl"])
def test_the_loss_of_integer_weights_is_that_of_repeated_rows(loss):
    problem = without_validation(5)
    counts = np.random.default_rng(1).integers(1, 4, len(problem.train.y))
    solver = GradientSolver(loss=loss)
    one = solver.fit_row(weighted(problem, counts.astype(float)))
    other = solver.fit_row(repeated(problem, counts))
    for own, twin in zip(one.history, other.history, strict=True):
        total = own["loss"] * len(counts)
        assert total == pytest.approx(twin["loss"] * counts.sum(), rel=1e-9)
    assert_allclose(one.coef, other.coef, rtol=1e-6)


def test_the_fitness_of_the_genetic_algorithm_is_weighted():
    problem = weighted(without_validation(1))
    fit = GeneticSolver(change_penalty=0.0).fit_row(problem)
    logits = problem.train.Z @ problem.coef
    expected = roc_auc_score(
        problem.train.y, logits, sample_weight=problem.train.weight
    )
    assert fit.history[0]["fitness_best"] == pytest.approx(expected)


@pytest.mark.parametrize("name", ["bce", "ga alone"])
def test_an_iteration_is_chosen_by_the_weights_of_held_out_labels(name):
    problem, _ = make_problem(n=100)
    problem = weighted(problem)
    fit = SOLVERS[name].fit_row(problem)
    held_out = problem.validation
    expected = roc_auc_score(
        held_out.y, held_out.Z @ fit.coef, sample_weight=held_out.weight
    )
    best = max(record["score_val"] for record in fit.history)
    if fit.n_iter:
        assert best == pytest.approx(expected, abs=1e-9)


def test_many_weighted_problems_are_fitted_one_by_one():
    problem = weighted(without_validation(3))
    solver = SOLVERS["ga"]
    batch = ProblemBatch([problem, problem])
    one, other = solver.fit_many(batch, device="cpu")
    assert_array_equal(one.coef, solver.fit_row(problem).coef)
    assert_array_equal(one.coef, other.coef)


def test_a_batch_judges_by_weights():
    problem, _ = make_problem()
    problem = weighted(problem)
    own = RowFit(problem.coef, 0.0, 0, 0, "n_iter")
    ((score, logits),) = ProblemBatch([problem]).judge([own])
    weight = problem.validation.weight
    assert score == pytest.approx(
        roc_auc_score(problem.validation.y, logits, sample_weight=weight)
    )


# ------------------------------------------------------------------------------- pieces
def test_the_likeliest_bias_is_that_of_repeated_rows(rng):
    logits, y = rng.standard_normal(30), rng.random(30) < 0.4
    counts = rng.integers(1, 5, 30)
    rows = np.repeat(np.arange(30), counts)
    found = likeliest_intercept(logits, y, counts.astype(float))
    assert found == pytest.approx(likeliest_intercept(logits[rows], y[rows]), abs=1e-9)
    mean = np.average(expit(logits + found), weights=counts)
    assert mean == pytest.approx(np.average(y, weights=counts))


def test_placements_among_weighted_negatives_are_those_of_repeated_ones(rng):
    positives = rng.integers(0, 5, (3, 7)).astype(float)
    negatives = rng.integers(0, 5, (3, 9)).astype(float)
    counts = rng.integers(1, 4, 9)
    found = placement_values(positives, negatives, counts.astype(float))
    expected = placement_values(positives, np.repeat(negatives, counts, axis=1))
    assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("n", [40, 700], ids=["pairs", "refits"])
def test_rows_left_out_are_ranked_among_weighted_negatives(n):
    problem, _ = make_problem(n=n)
    solver = ProximalSolver(
        spreads=(1.0,), unknown_weights=(0.0,), scalings=("standard",), toward=("zero",)
    )
    problem = weighted(problem)
    parts = None if n == 40 else np.arange(n) % 3
    path = next(iter(solver.fit_paths(problem, problem.train, None, parts))).evidence
    y = problem.train.y
    rows = np.flatnonzero(y)[:10], np.flatnonzero(~y)[:15]
    counts = np.random.default_rng(0).integers(1, 4, 15)
    found = path.placements(*rows, counts.astype(float))
    expected = path.placements(rows[0], np.repeat(rows[1], counts))
    assert_allclose(found, expected, rtol=1e-9)
