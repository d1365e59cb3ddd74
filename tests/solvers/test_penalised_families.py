"""The families of penalised regressions: the regressions that they state."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from proximal_problems import make_problem

from cftlearn._features._principal_axes import make_coordinates
from cftlearn.solvers._candidates import CandidateGrid, LabelsToFit
from cftlearn.solvers._penalised_families import (
    TowardInitialWeights,
    TowardZero,
    prior_precision,
)
from cftlearn.solvers._protocol import KnownRows

SCALINGS = ["standard", "tempered", "decorrelated"]
GRID = CandidateGrid(SCALINGS, [0.0, 0.03, 0.3], [0.4, 1.0, 2.5, 6.0])


class Recorder:
    """Takes regressions and fits none."""

    def __init__(self):
        self.problems = []

    def add(self, problem):
        self.problems.append(problem)
        return len(self.problems) - 1


def stated(family, scaling, unknown_weight, *, problem, weight=None, spreads=(1.0,)):
    """Return the regression that a family states, and the space of its weights."""
    grid = CandidateGrid([scaling], [unknown_weight], list(spreads))
    space = problem.spaces["tempered" if scaling == "tempered" else "standard"]
    known, recorder = problem.train, Recorder()
    weight = np.ones(len(known.y)) if weight is None else weight
    mean = problem.feature_mean if problem.unknown is None else problem.unknown.mean
    spaces = problem.spaces
    rows = make_coordinates([known.Z, mean[np.newaxis]], spaces)
    (path,) = family.paths(problem, grid)
    family.start(path, LabelsToFit(problem, known, weight, spaces, rows, recorder))
    return recorder.problems[0], space


@pytest.mark.parametrize("scaling", SCALINGS)
def test_the_background_is_a_row_and_a_penalty_on_the_variance_of_logits(scaling):
    problem, _ = make_problem(n_unknown=50)
    weight = np.where(problem.train.y, 2.0, 0.5)
    plain, space = stated(TowardZero(), scaling, 0.0, problem=problem, weight=weight)
    found, _ = stated(TowardZero(), scaling, 0.3, problem=problem, weight=weight)
    total = 0.3 * 50
    rate = (weight[problem.train.y].sum() + 0.5) / (weight.sum() + total + 1)
    assert 0.1 < rate < 0.9  # or the next line would not tell 1 - rate from 1
    extra = total * rate * (1 - rate) * space.variances
    assert_allclose(found.penalties - plain.penalties, extra[np.newaxis], rtol=1e-9)
    assert_array_equal(plain.weight, np.append(weight, 0.0))
    assert_allclose(found.weight, np.append(weight, total))
    for own in (plain, found):
        assert_array_equal(own.y, np.append(problem.train.y, 0))
        assert_array_equal(own.lead, np.ones((61, 1)))
    expected = space.coordinates(problem.unknown.mean[np.newaxis])
    assert_allclose(found.rows.take([60]), expected, atol=1e-9)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_penalties_fall_with_the_square_of_the_spread(scaling):
    problem, _ = make_problem()
    found, space = stated(
        TowardZero(), scaling, 0.0, problem=problem, spreads=(0.5, 2.0)
    )
    precision = prior_precision(space, scaling)
    assert_allclose(found.penalties, [4 * precision, precision / 4])
    # weights drawn from the prior give logits a variance of 1
    assert np.sum(space.variances / precision) == pytest.approx(1.0)
    falls = precision[1:] < precision[:-1]
    assert falls.all() == (scaling == "decorrelated")


def test_initial_weights_are_a_lead_column_of_spread_1():
    problem, Z = make_problem()
    found, space = stated(TowardInitialWeights(), "standard", 0.0, problem=problem)
    plain, _ = stated(TowardZero(), "standard", 0.0, problem=problem)
    assert_array_equal(found.penalties, plain.penalties)
    assert_array_equal(found.weight, plain.weight)
    logits = (Z - Z.mean(axis=0)) @ problem.coef
    assert found.lead.shape == (61, 2)
    assert_allclose(found.lead[:60, 1], logits[:60] / logits.std(), rtol=1e-6)
    offset = TowardInitialWeights().offset(space, problem)
    assert space.spread(offset) == pytest.approx(1.0)
    assert_array_equal(
        TowardInitialWeights().offset(space, replace(problem, coef=np.zeros(6))), 0.0
    )


@pytest.mark.parametrize(
    ("labels", "has_unknown", "weights"),
    [
        ("both", True, {0.0, 0.03, 0.3}),
        ("both", False, {0.0}),
        ("positives", True, {0.03, 0.3}),
        ("positives", False, set()),
        ("negatives", True, set()),
        ("none", True, set()),
    ],
)
def test_what_can_be_fitted_to_which_labels(labels, has_unknown, weights):
    problem, _ = make_problem(n_unknown=300 if has_unknown else 0)
    Z, y = problem.train
    rows = {"both": y | ~y, "positives": y, "negatives": ~y, "none": y & ~y}[labels]
    problem = replace(problem, train=KnownRows(Z[rows], y[rows]))
    paths = TowardZero().paths(problem, GRID)
    assert {path[0].unknown_weight for path in paths} == weights
    assert len(paths) == 3 * len(weights)
    toward_initial = TowardInitialWeights().paths(problem, GRID)
    assert len(toward_initial) == (labels == "both")


def test_the_initial_weights_are_for_standardised_features():
    problem, _ = make_problem()
    assert (
        TowardInitialWeights().paths(problem, GRID._replace(scalings=SCALINGS[1:]))
        == []
    )
    ((first, *_),) = TowardInitialWeights().paths(problem, GRID)
    assert (first.scaling, first.unknown_weight) == ("standard", 0.0)
    assert not first.independent
    some_zero = replace(problem, coef=np.where(np.arange(6) == 2, 0.0, problem.coef))
    assert len(TowardInitialWeights().paths(some_zero, GRID)) == 1


def test_priors_are_those_that_were_learned():
    """Golden values: `auto` decides by them where labels are few."""
    problem, _ = make_problem()
    grid = GRID._replace(
        unknown_weights=[0.0, 0.03, 0.3, 0.1], spreads=[0.4, 1.0, 2.5, 6.0, 3.0]
    )
    of_scalings = {"standard": 0, "tempered": -1, "decorrelated": -2}
    of_weights = {0.0: -1, 0.03: 0, 0.3: -1, 0.1: 0}  # 0 for those that nobody tried
    of_spreads = [-2, 0, 0, -3, 0]
    paths = TowardZero().paths(problem, grid)
    assert len(paths) == 12
    for path in paths:
        level = of_scalings[path[0].scaling] + of_weights[path[0].unknown_weight]
        assert [c.log_prior for c in path] == [level + own for own in of_spreads]
        assert all(candidate.independent for candidate in path)
    (path,) = TowardInitialWeights().paths(problem, grid)
    assert [c.log_prior for c in path] == [-3 + own for own in of_spreads]
