"""Families of candidates: their list, their order, and a family of one's own."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from proximal_problems import make_problem
from sklearn.metrics import roc_auc_score

import cftlearn.fine_tuning._auto
from cftlearn import CategoryWiseFineTuner
from cftlearn.datasets import make_partial_multilabel
from cftlearn.solvers import ProximalSolver
from cftlearn.solvers._candidates import (
    Candidate,
    CandidateFamily,
    CandidateGrid,
    FittedPath,
)
from cftlearn.solvers._families import (
    FAMILIES,
    fit_families,
    independent_families,
    list_paths,
    space_of,
)
from cftlearn.solvers._left_out import LeftOutEvidence

GRID = CandidateGrid(["tempered", "decorrelated", "standard"], [0.0, 0.3], [1.0, 2.5])


class WithoutEach(LeftOutEvidence):
    """Differences of class means, found again without each row."""

    def __init__(self, Z, y):
        self.Z, self.y = Z, y

    def left_out(self, rows):
        logits = []
        for row in rows:
            stays = np.arange(len(self.y)) != row
            logits.append(self.Z[row] @ difference(self.Z[stays], self.y[stays]))
        return np.array([logits])


def difference(Z, y):
    return Z[y].mean(axis=0) - Z[~y].mean(axis=0)


class ClassMeans(CandidateFamily):
    """From the mean of the negatives to that of the positives."""

    name = "by class means"
    independent = True

    def paths(self, problem, grid):
        if problem.train.y.all() or not problem.train.y.any():
            return []
        return [[Candidate(self.name, "standard", 0.0, 1.0, 3.0, self.independent)]]

    def start(self, path, labels):
        Z, y = labels.known
        coef = difference(Z, y)[np.newaxis].astype(np.float64)
        space = space_of(labels.problem, "standard")
        spread = space.spread(np.stack([space.enter(own) for own in coef]))
        fitted = FittedPath(path, coef, np.zeros(1), spread, WithoutEach(Z, y))
        return lambda: fitted


@pytest.fixture
def with_class_means(monkeypatch):
    """Add the family's line to the list."""
    monkeypatch.setitem(FAMILIES, "means", ClassMeans())
    monkeypatch.setattr(
        cftlearn.fine_tuning._auto,
        "ProximalSolver",
        partial(ProximalSolver, toward=tuple(FAMILIES)),
    )


def test_the_solver_reads_the_list():
    assert ProximalSolver().toward == tuple(FAMILIES)
    assert independent_families() == ("zero",)


@pytest.mark.parametrize("names", [("zero", "row"), ("row", "zero")])
def test_paths_on_one_matrix_are_neighbours(names):
    problem, _ = make_problem()
    paths = [path for _, path in list_paths(names, problem, GRID)]
    assert [(path[0].scaling, path[0].family) for path in paths] == [
        ("decorrelated", "toward zero"),
        ("decorrelated", "toward zero"),
        ("standard", "toward zero"),
        ("standard", "toward zero"),
        ("standard", "toward the initial weights"),
        ("tempered", "toward zero"),
        ("tempered", "toward zero"),
    ]


def test_nothing_to_fit_is_nothing_fitted():
    problem, _ = make_problem()
    assert list(fit_families([], problem, problem.train, np.ones(60))) == []


def test_spaces_are_needed():
    problem, _ = make_problem(spaces={})
    with pytest.raises(ValueError, match=r"`problem.spaces` must hold 'tempered'"):
        space_of(problem, "tempered")


@pytest.mark.usefixtures("with_class_means")
def test_a_family_of_ones_own_is_fitted_beside_the_others():
    problem, _ = make_problem()
    solver = ProximalSolver(spreads=(1.0,), toward=("zero", "means"))
    fitted = {
        one.candidates[0]: one for one in solver.fit_paths(problem, problem.train)
    }
    assert list(fitted) == solver.candidates(problem)
    (own,) = [one for candidate, one in fitted.items() if "means" in str(candidate)]
    assert_allclose(own.coef[0], difference(*problem.train))
    assert independent_families() == ("zero", "means")
    # the others are what they are without it
    for one in ProximalSolver(spreads=(1.0,), toward=("zero",)).fit_paths(
        problem, problem.train
    ):
        assert_array_equal(fitted[one.candidates[0]].coef, one.coef)
    fit = solver.fit_row(problem)
    texts = [record["candidate"] for record in fit.history]
    assert "standard features by class means, unknown weight 0, spread 1" in texts
    number = 1 + [c.family for c in solver.candidates(problem)].index("by class means")
    again = solver.fit_row(replace(problem, validation=None, n_iter=number))
    assert_array_equal(again.coef, own.coef[0])
    assert ProximalSolver(toward=("means",), scalings=("standard",)).fit_row(problem)


@pytest.mark.usefixtures("with_class_means")
@pytest.mark.parametrize("cross_fit", [None, 3])
def test_a_family_of_ones_own_takes_part_in_auto(cross_fit):
    Z, y, y_full = make_partial_multilabel(
        300, n_features=8, n_categories=4, known=0.3, random_state=0
    )
    tuner = CategoryWiseFineTuner(random_state=0, cross_fit=cross_fit).fit(Z, y)
    weights = {
        record["candidate"]: record["weight"]
        for record in tuner.history_
        if record["category"] == "0"
    }
    (own,) = [text for text in weights if "by class means" in text]
    assert weights[own] > 0.01  # its prior is greater than that of the others
    assert any("initial weights" in text for text in weights) == (cross_fit is None)
    logits = tuner.transform(Z)
    auc = [roc_auc_score(y_full[:, j], logits[:, j]) for j in range(4)]
    assert np.mean(auc) > 0.7
