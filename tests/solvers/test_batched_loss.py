"""Losses and gradients of many regressions at once."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from path_problems import make_problems
from scipy.optimize import check_grad

from cftlearn.solvers import _batched_loss
from cftlearn.solvers._batched_lbfgs import BatchedLBFGS
from cftlearn.solvers._batched_loss import BatchedLoss


def some_members(problems):
    """Return the loss, weights of rows, some members of every path, and vectors."""
    loss = BatchedLoss(problems)
    weight = np.stack([problem.weight for problem in problems], axis=1)
    members = np.array([1, 4, 8])
    size = loss.stiffness.shape[1]
    return loss, weight, members, np.random.default_rng(1).standard_normal((3, size))


def test_batches_of_rows_add_up(monkeypatch):
    problems = make_problems()
    loss, weight, members, point = some_members(problems)
    whole = loss.evaluate(members, point.copy(), weight)
    monkeypatch.setattr(_batched_loss, "_BATCH_ROWS", 7)
    for one, other in zip(
        loss.evaluate(members, point.copy(), weight), whole, strict=True
    ):
        assert_allclose(one, other, rtol=1e-9, atol=1e-9)


def test_loss_and_gradient_belong_together():
    loss, weight, members, point = some_members(make_problems(rotated=True))
    for row in range(3):

        def at(x, row=row):
            moved = point.copy()
            moved[row] = x
            value, gradient = loss.evaluate(members, moved, weight)
            return value[row], gradient[row]

        error = check_grad(
            lambda x, at=at: at(x)[0], lambda x, at=at: at(x)[1], point[row]
        )
        assert error < 1e-3


def test_what_a_member_lacks_stays_zero():
    problems = make_problems()
    together = BatchedLBFGS(problems)
    found = together.minimise([problem.weight for problem in problems])
    assert together.loss.n_lead == 2
    assert_array_equal(found[:3, 1], 0.0)
    assert (found[3:6, 1] != 0.0).all()
    assert_array_equal(found[:6, 2 + 7 :], 0.0)


@pytest.mark.parametrize("rotated", [False, True])
def test_losses_are_those_that_are_stated(rotated):
    problems = make_problems(rotated=rotated)
    loss, weight, members, point = some_members(problems)
    found, _ = loss.evaluate(members, point, weight)
    for k, member in enumerate(members):
        problem = problems[loss.owner[member]]
        n_lead, n_axes = problem.lead.shape[1], problem.rows.n_axes
        lead, weights = point[k, :n_lead], point[k, 2 : 2 + n_axes]
        logits = problem.lead @ lead + problem.rows.take() @ weights
        each = np.logaddexp(0, logits) - problem.y * logits
        penalty = problem.penalties[member % 3] @ weights**2
        penalty += _batched_loss.LEAD_PENALTY * lead @ lead
        penalty += np.sum(point[k, 2 + n_axes :] ** 2)  # of what is not its own
        expected = problem.weight @ each + 0.5 * penalty
        assert found[k] == pytest.approx(expected, rel=1e-9)
        assert_array_equal(point[k, n_lead:2], 0.0)


def test_logits_of_any_size_are_finite():
    loss, weight, members, point = some_members(make_problems())
    value, gradient = loss.evaluate(members, 1e4 * point, weight)
    assert np.isfinite(value).all()
    assert np.isfinite(gradient).all()


def test_each_problem_gets_its_own_vectors_back():
    problems = make_problems()
    loss = BatchedLoss(problems)
    vectors = np.arange(float(loss.stiffness.size)).reshape(loss.stiffness.shape)
    first, second, third = loss.split(vectors)
    assert_array_equal(first, np.delete(vectors[:3, : 2 + 7], 1, axis=1))
    assert_array_equal(second, vectors[3:6, : 2 + 7])
    assert_array_equal(third, np.delete(vectors[6:], 1, axis=1))
