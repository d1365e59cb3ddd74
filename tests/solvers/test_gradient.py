"""The gradient solver against closed forms and scikit-learn."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from cftlearn.metrics._objectives import make_objective
from cftlearn.solvers import GradientSolver
from cftlearn.solvers._protocol import CategoryProblem, KnownRows


def make_problem(*, n=150, d=5, seed=0, n_iter=None):
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((2 * n, d)) * np.logspace(-1, 1, d) + 3.0
    direction = rng.standard_normal(d) / np.logspace(-1, 1, d)
    y = (Z - 3.0) @ direction + 1.5 * rng.standard_normal(2 * n) > 0.5
    validation = KnownRows(Z[n:], y[n:]) if n_iter is None else None
    return CategoryProblem(
        train=KnownRows(Z[:n], y[:n]),
        validation=validation,
        coef=np.zeros(d),
        intercept=0.0,
        objective=make_objective("roc_auc"),
        feature_mean=Z.mean(axis=0),
        feature_scale=Z.std(axis=0),
        random_state=seed,
        n_iter=n_iter,
    )


def test_converges_to_the_maximum_of_the_likelihood():
    problem = make_problem(n_iter=3000)
    fit = GradientSolver(learning_rate=0.1).fit_row(problem)
    oracle = LogisticRegression(C=np.inf, tol=1e-8, max_iter=10_000)
    oracle.fit(problem.train.Z, problem.train.y)
    np.testing.assert_allclose(fit.coef, oracle.coef_[0], rtol=0.02, atol=0.005)
    assert fit.intercept == pytest.approx(oracle.intercept_[0], rel=0.02)


def test_one_step_of_adam_on_raw_features():
    """Adam's first step has the size of the learning rate in every weight."""
    problem = make_problem(n_iter=1)
    fit = GradientSolver.published("bce").fit_row(problem)
    np.testing.assert_allclose(np.abs(fit.coef), 1e-4, rtol=1e-3)
    residual = problem.train.y - 0.5
    np.testing.assert_array_equal(
        np.sign(fit.coef), np.sign(residual @ problem.train.Z)
    )


def test_published_parameters():
    assert GradientSolver.published().get_params() == {
        "loss": "asl",
        "learning_rate": 1e-4,
        "max_epochs": 5000,
        "patience": 300,
        "standardize": False,
        "pooled": False,
        "device": "cpu",
    }


@pytest.mark.parametrize("loss", ["bce", "asl"])
def test_standardised_descent_ignores_the_scale_of_features(loss):
    problem = make_problem()
    factors = np.logspace(2, -2, 5)
    scaled = replace(
        problem,
        train=KnownRows(problem.train.Z * factors, problem.train.y),
        validation=KnownRows(problem.validation.Z * factors, problem.validation.y),
        feature_mean=problem.feature_mean * factors,
        feature_scale=problem.feature_scale * factors,
    )
    solver = GradientSolver(loss=loss, max_epochs=40)
    fit, other = solver.fit_row(problem), solver.fit_row(scaled)
    assert fit.n_iter == other.n_iter > 0
    np.testing.assert_allclose(other.coef * factors, fit.coef, rtol=1e-6)
    assert other.intercept == pytest.approx(fit.intercept, rel=1e-6)


@pytest.mark.parametrize("loss", ["bce", "asl"])
def test_keeps_the_epoch_that_scores_best_on_validation(loss):
    problem = make_problem()
    fit = GradientSolver(loss=loss, max_epochs=60).fit_row(problem)
    scores = [record["score_val"] for record in fit.history]
    assert scores[fit.n_iter - 1] == max(scores)
    validation = problem.validation
    got = problem.objective.single(
        validation.y, validation.Z @ fit.coef + fit.intercept
    )
    assert got == pytest.approx(max(scores), abs=1e-6)
    losses = [record["loss"] for record in fit.history]
    assert losses[-1] < losses[0]


def test_given_number_of_epochs_repeats_the_choice():
    problem = make_problem()
    chosen = GradientSolver().fit_row(problem)
    again = GradientSolver().fit_row(
        replace(problem, validation=None, n_iter=chosen.n_iter)
    )
    np.testing.assert_array_equal(again.coef, chosen.coef)
    assert (again.n_iter_run, again.stopped_by) == (chosen.n_iter, "n_iter")


def test_stops_by_patience():
    fit = GradientSolver(patience=6).fit_row(make_problem())
    assert fit.stopped_by == "patience"
    assert fit.n_iter_run == fit.n_iter + 6


def test_number_of_torch_threads_is_restored():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        GradientSolver(max_epochs=1).fit_row(make_problem())
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"loss": "mse"}, "'loss' parameter"),
        ({"learning_rate": 0}, "'learning_rate' parameter"),
        ({"patience": 0}, "'patience' parameter"),
    ],
)
def test_parameters_out_of_range(params, match):
    with pytest.raises(ValueError, match=match):
        GradientSolver(**params).fit_row(make_problem())
