"""Coordinates in which weights are moved."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from proximal_problems import make_problem

from cftlearn.solvers._weight_space import WeightSpace

by_space = pytest.mark.parametrize("make", [WeightSpace.standard, WeightSpace.raw])


@by_space
def test_logits_are_those_of_the_user(make):
    problem, _ = make_problem()
    space = make(problem)
    coef, bias = space.enter(problem.coef, problem.intercept)
    known = space.rows(problem.train)
    expected = problem.train.Z @ problem.coef + problem.intercept
    assert_allclose(known.Z @ coef + bias, expected, rtol=1e-9, atol=1e-9)
    back = space.leave(coef, bias)
    assert_allclose(back[0], problem.coef, rtol=1e-12)
    assert back[1] == pytest.approx(problem.intercept, rel=1e-9)


@by_space
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_features_are_copied_in_their_own_precision(make, dtype, order):
    problem, _ = make_problem(dtype=dtype)
    before = problem.train.Z.copy()
    known = make(problem).rows(problem.train, order=order)
    assert known.Z.dtype == dtype
    assert known.Z.flags[f"{order}_CONTIGUOUS"]
    assert_array_equal(problem.train.Z, before)
    own = before.copy()
    assert make(problem).express(own) is own  # in place
    assert_array_equal(own, known.Z)


def test_standard_features_have_mean_0_and_deviation_1():
    problem, Z = make_problem()
    scaled = WeightSpace.standard(problem).express(Z.copy())
    assert_allclose(scaled.mean(axis=0), 0, atol=1e-9)
    assert_allclose(scaled.std(axis=0), 1)
    assert_array_equal(WeightSpace.raw(problem).express(Z.copy()), Z)
