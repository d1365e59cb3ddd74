"""Regressions minimised at once: as if alone, whatever is minimised beside them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from path_problems import make_problems
from scipy.special import expit

from cftlearn.solvers._batched_lbfgs import BatchedLBFGS
from cftlearn.solvers._batched_loss import LEAD_PENALTY, BatchedLoss

by_type = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["f4", "f8"])


def fit(problems, starts=None):
    together = BatchedLBFGS(problems)
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
@pytest.mark.parametrize("rotated", [False, True])
def test_every_member_arrives(dtype, rotated):
    problems = make_problems(dtype=dtype, rotated=rotated)
    for problem, path in zip(problems, fit(problems), strict=True):
        for k, found in enumerate(path):
            start = np.linalg.norm(slope(problem, k, np.zeros_like(found)))
            assert np.linalg.norm(slope(problem, k, found)) < 0.01 * start


@settings(max_examples=10)
@given(seed=st.integers(0, 1000), rotated=st.booleans())
def test_company_does_not_matter(seed, rotated):
    problems = make_problems(40, seed=seed, rotated=rotated)
    together = fit(problems)
    for problem, path in zip(problems, together, strict=True):
        assert_allclose(fit([problem])[0], path, atol=0.02)


def test_rotating_rows_or_weights_is_the_same():
    rotated, plain = (fit(make_problems(rotated=flag)) for flag in (True, False))
    for one, other in zip(rotated, plain, strict=True):
        assert_allclose(one, other, atol=1e-6)


def test_a_start_at_the_answer_stays_there(monkeypatch):
    problems = make_problems()
    together = BatchedLBFGS(problems)
    weights = [problem.weight for problem in problems]
    found = together.minimise(weights)
    evaluate, calls = BatchedLoss.evaluate, []

    def count(self, members, *rest):
        calls.append(len(members))
        return evaluate(self, members, *rest)

    monkeypatch.setattr(BatchedLoss, "evaluate", count)
    again = together.minimise(weights, found)
    assert sum(calls) < 4 * len(found)
    assert_allclose(again, found, atol=0.02)


def test_a_step_too_far_is_shortened():
    """Full steps from here would land where the loss is far greater."""
    problems = make_problems()
    together = BatchedLBFGS(problems)
    weights = [problem.weight for problem in problems]
    away = np.random.default_rng(0).normal(0, 30, together.loss.stiffness.shape)
    away[:3, 1] = away[6:, 1] = away[:6, 2 + 7 :] = 0.0
    for one, other in zip(
        together.split(together.minimise(weights, away)), fit(problems), strict=True
    ):
        assert_allclose(one, other, atol=0.05)
