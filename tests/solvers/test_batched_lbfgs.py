"""Regressions minimised at once: as if alone, whatever is minimised beside them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from path_problems import make_problems
from scipy.special import expit

from cftlearn.solvers._batched_lbfgs import BatchedLBFGS, _Descent
from cftlearn.solvers._batched_loss import LEAD_PENALTY, BatchedLoss

by_type = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["f4", "f8"])


def fit(problems, starts=None):
    together = BatchedLBFGS(problems)
    found = together.minimise([problem.weight for problem in problems], starts)
    return together.split(found)


def slope(problem, k, found):
    """Return the derivative of what member k of a path minimises."""
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


@pytest.fixture
def watched(monkeypatch):
    """Remember how losses change by each step, and how often members are evaluated."""
    changes, counts = [], []
    take, evaluate = _Descent._take, BatchedLoss.evaluate

    def watch(self, step, decrease):
        before = self._value.copy()
        take(self, step, decrease)
        changes.extend(self._value - before - 1e-5 * np.abs(before))

    def count(self, members, *rest):
        counts.append(len(members))
        return evaluate(self, members, *rest)

    monkeypatch.setattr(_Descent, "_take", watch)
    monkeypatch.setattr(BatchedLoss, "evaluate", count)
    return changes, counts


def test_losses_never_rise(watched):
    changes, _ = watched
    for seed in range(20):
        problems = make_problems(40, seed=seed)
        start = np.random.default_rng(seed).normal(0, 30, (9, 11))
        start[:3, 1] = start[6:, 1] = start[:6, 2 + 7 :] = 0.0
        together = BatchedLBFGS(problems)
        together.minimise([problem.weight for problem in problems], start)
    assert len(changes) > 1000
    assert max(changes) <= 0


def test_full_steps_in_scaled_coordinates_arrive_soon(watched):
    _, counts = watched
    for seed in range(20):
        fit(make_problems(seed=seed))
    # 12.5 evaluations of a member; 17 with a wrong scale, 49 with a wrong first step
    assert sum(counts) / (20 * 9) < 14
