"""Regressions minimised in lockstep: as if alone, whatever keeps them company."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import check_grad
from scipy.special import expit

from cftlearn._features._principal_axes import Coordinates
from cftlearn.solvers import _batched_lbfgs
from cftlearn.solvers._batched_lbfgs import LEAD_PENALTY, Lockstep, PathProblem

by_type = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["f4", "f8"])


def make_problems(n=90, dtype=np.float64, seed=0, *, turned=False):
    """Draw three paths on the same rows, of two spaces, with different leads."""
    rng = np.random.default_rng(seed)
    base = rng.standard_normal((n, 12)).astype(dtype) * np.linspace(2, 0.3, 12)
    signal = base[:, :3].sum(axis=1)
    y = (signal + rng.standard_normal(n) > 0.5).astype(np.float64)
    y[:2] = [0, 1]
    ones = np.ones((n, 1))
    turns = [
        np.linalg.qr(rng.standard_normal((12, k)))[0].astype(dtype) for k in (7, 9)
    ]
    spaces = [Coordinates(base.astype(dtype), turn) for turn in turns]
    if not turned:
        spaces = [Coordinates(rows.take()) for rows in spaces]
    settings_of_paths = [(0, 1, 1.0), (0, 2, 3.0), (1, 1, 0.3)]
    return [
        PathProblem(
            rows=spaces[space],
            lead=np.column_stack([ones, signal])[:, :n_lead],
            y=y,
            weight=rng.uniform(0.5, 1.5, n),
            penalties=np.logspace(0.5, -1, 3)[:, None]
            * rng.uniform(size, 2 * size, spaces[space].n_axes),
        )
        for space, n_lead, size in settings_of_paths
    ]


def fit(problems, starts=None):
    together = Lockstep(problems)
    found = together.minimise([problem.weight for problem in problems], starts)
    return together.split(found)


def slope(problem, k, found):
    """Give the derivative of what member k of a path minimises."""
    n_lead = problem.lead.shape[1]
    design = np.hstack([problem.lead, problem.rows.take().astype(np.float64)])
    stiffness = np.append(np.full(n_lead, LEAD_PENALTY), problem.penalties[k])
    pull = problem.weight * (expit(design @ found) - problem.y)
    return design.T @ pull + stiffness * found


@by_type
@pytest.mark.parametrize("turned", [False, True])
def test_every_member_arrives(dtype, turned):
    problems = make_problems(dtype=dtype, turned=turned)
    for problem, path in zip(problems, fit(problems), strict=True):
        for k, found in enumerate(path):
            start = np.linalg.norm(slope(problem, k, np.zeros_like(found)))
            assert np.linalg.norm(slope(problem, k, found)) < 0.01 * start


@settings(max_examples=10)
@given(seed=st.integers(0, 1000), turned=st.booleans())
def test_company_does_not_matter(seed, turned):
    problems = make_problems(40, seed=seed, turned=turned)
    together = fit(problems)
    for problem, path in zip(problems, together, strict=True):
        assert_allclose(fit([problem])[0], path, atol=0.02)


def test_turning_rows_or_weights_is_the_same():
    turned, plain = (fit(make_problems(turned=flag)) for flag in (True, False))
    for one, other in zip(turned, plain, strict=True):
        assert_allclose(one, other, atol=1e-6)


def test_batches_of_rows_add_up(monkeypatch):
    problems = make_problems()
    whole = fit(problems)
    monkeypatch.setattr(_batched_lbfgs, "_BATCH_ROWS", 7)
    for one, other in zip(fit(problems), whole, strict=True):
        assert_allclose(one, other, atol=1e-6)


def test_loss_and_gradient_belong_together():
    problems = make_problems(turned=True)
    together = Lockstep(problems)
    weight = np.stack([problem.weight for problem in problems], axis=1)
    members = np.array([1, 4, 8])
    root = np.random.default_rng(0).uniform(0.5, 2, together.stiffness.shape)
    point = np.random.default_rng(1).standard_normal((3, root.shape[1]))
    for row in range(3):

        def at(x, row=row):
            moved = point.copy()
            moved[row] = x
            value, gradient = together._evaluate(members, moved, root, weight)
            return value[row], gradient[row]

        error = check_grad(
            lambda x, at=at: at(x)[0], lambda x, at=at: at(x)[1], point[row]
        )
        assert error < 1e-3


def test_what_a_member_lacks_stays_zero():
    problems = make_problems()
    together = Lockstep(problems)
    found = together.minimise([problem.weight for problem in problems])
    assert together.n_lead == 2
    assert_array_equal(found[:3, 1], 0.0)
    assert (found[3:6, 1] != 0.0).all()
    assert_array_equal(found[:6, 2 + 7 :], 0.0)


def test_a_start_at_the_answer_stays_there(monkeypatch):
    problems = make_problems()
    together = Lockstep(problems)
    weights = [problem.weight for problem in problems]
    found = together.minimise(weights)
    evaluate, calls = Lockstep._evaluate, []

    def count(self, members, *rest):
        calls.append(len(members))
        return evaluate(self, members, *rest)

    monkeypatch.setattr(Lockstep, "_evaluate", count)
    again = together.minimise(weights, found)
    assert sum(calls) < 4 * len(found)
    assert_allclose(again, found, atol=0.02)


def test_a_step_too_far_is_shortened():
    """Full steps from here would land where the loss is far greater."""
    problems = make_problems()
    together = Lockstep(problems)
    weights = [problem.weight for problem in problems]
    away = np.random.default_rng(0).normal(0, 30, together.stiffness.shape)
    away[:3, 1] = away[6:, 1] = away[:6, 2 + 7 :] = 0.0
    for one, other in zip(
        together.split(together.minimise(weights, away)), fit(problems), strict=True
    ):
        assert_allclose(one, other, atol=0.05)
