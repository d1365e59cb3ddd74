"""The protocol of solvers: rows left in a file, and what subclasses inherit."""

import numpy as np
import pytest

from cftlearn import CategoryWiseFineTuner
from cftlearn._features._stored import StoredFeatures
from cftlearn.base import (
    CategoryProblem,
    CategorySolver,
    Checkpoint,
    KnownRows,
    RowFit,
)
from cftlearn.datasets import make_partial_multilabel
from cftlearn.metrics._objectives import make_objective
from cftlearn.solvers import GeneticSolver, GradientSolver, ProximalSolver
from cftlearn.solvers._protocol import RowPart, StoredRows, StoredUnknownRows


@pytest.fixture
def stored():
    """Rows of two matrices, by their numbers."""
    rng = np.random.default_rng(0)
    Z, Z_val = rng.standard_normal((20, 3)).astype(np.float32), np.ones((5, 3), "f4")
    first = RowPart(StoredFeatures(Z), np.array([7, 2, 9]), np.array([1, 0, 1]) == 1)
    second = RowPart(Z_val, np.array([4]), np.array([False]))
    return StoredRows((first, second)), np.concatenate([Z[[7, 2, 9]], Z_val[[4]]])


def make_problem(rows, **changes):
    return CategoryProblem(
        **{
            "train": rows,
            "validation": rows,
            "coef": np.zeros(3),
            "intercept": 0.0,
            "objective": make_objective("roc_auc"),
            "feature_mean": np.zeros(3),
            "feature_scale": np.ones(3),
            "random_state": 0,
        }
        | changes
    )


def test_stored_rows_read_like_known_rows(stored):
    rows, expected = stored
    Z, y = rows
    np.testing.assert_array_equal(Z, expected)
    assert Z.dtype == np.float32
    np.testing.assert_array_equal(y, [True, False, True, False])
    np.testing.assert_array_equal(rows.Z, Z)
    assert rows.Z is not rows.Z  # nothing is held


def test_a_problem_in_memory_has_its_rows_gathered(stored):
    rows, expected = stored
    asked = []
    unknown = StoredUnknownRows(4, lambda: asked.append(1) or np.arange(3.0))
    problem = make_problem(rows, unknown=unknown)
    assert asked == []
    gathered = problem.in_memory()
    for own in (gathered.train, gathered.validation):
        assert isinstance(own, KnownRows)
        np.testing.assert_array_equal(own.Z, expected)
    assert gathered.unknown.n_rows == 4
    np.testing.assert_array_equal(gathered.unknown.mean, np.arange(3.0))
    assert unknown.mean is unknown.mean
    assert asked == [1]
    without = make_problem(rows, validation=None).in_memory()
    assert without.validation is without.unknown is None


@pytest.mark.parametrize(
    "solver",
    [
        GeneticSolver(n_generations=2, population_size=4),
        GradientSolver(max_epochs=2),
    ],
    ids=["genetic", "gradient"],
)
def test_solvers_fit_stored_rows_as_those_in_memory(stored, solver):
    problem = make_problem(stored[0])
    fit, expected = solver.fit_row(problem), solver.fit_row(problem.in_memory())
    np.testing.assert_array_equal(fit.coef, expected.coef)
    many = GradientSolver(max_epochs=2).fit_many([problem] * 2, device="cpu")
    assert len(many) == 2


class Plain(CategorySolver):
    """The least that a solver has."""

    @property
    def name(self):
        return "plain"

    def fit_row(self, problem):
        return RowFit(problem.coef, problem.intercept, 0, 0, "path")


class OtherWay(GeneticSolver):
    def fit_row(self, problem):
        return super().fit_row(problem)


class OtherName(GeneticSolver):
    @property
    def name(self):
        return "other"


class OtherWayForBoth(GeneticSolver):
    def fit_row(self, problem):
        return super().fit_row(problem)

    def fit_many(self, problems, *, device):
        return super().fit_many(problems, device=device)


class OtherPlace(GeneticSolver):
    def fit_row(self, problem):
        return super().fit_row(problem)

    def batch_device(self, objective, device):
        return "elsewhere"


@pytest.mark.parametrize(
    ("solver", "expected"),
    [
        (Plain(), None),
        (ProximalSolver(), None),
        (GradientSolver(), None),
        (GeneticSolver(), "cuda"),
        (OtherName(), "cuda"),
        (OtherWay(), None),
        (OtherWayForBoth(), "cuda"),
        (OtherPlace(), "elsewhere"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_who_fits_in_another_way_inherits_no_batched_form(
    solver, expected, monkeypatch
):
    monkeypatch.setattr("cftlearn._devices.resolve_device", lambda device: device)
    assert solver.batch_device(make_objective("roc_auc"), "cuda") == expected
    is_default = type(solver).fit_many is CategorySolver.fit_many
    assert is_default == (expected in (None, "elsewhere"))


def test_bytes_of_a_category_are_those_of_its_rows():
    assert Plain().batch_bytes(100, 32) == 3200
    assert GeneticSolver(population_size=10).batch_bytes(100, 32) == 2 * 3200 + 5120
    assert OtherWay(population_size=10).batch_bytes(100, 32) == 3200


def test_solvers_without_parameters_have_nothing_to_check():
    Plain().check_parameters()


@pytest.mark.parametrize(
    ("solver", "match"),
    [
        (GeneticSolver(elite_size=0), "'elite_size' parameter"),
        (GradientSolver(patience=0), "'patience' parameter"),
        (ProximalSolver(spreads=()), "`spreads` must hold at least one"),
    ],
    ids=["genetic", "gradient", "proximal"],
)
def test_solvers_check_their_parameters(solver, match):
    with pytest.raises(ValueError, match=match):
        solver.check_parameters()


class Odd(CategorySolver):
    """Returns a path, and says its length."""

    name = "odd"

    def __init__(self, path=(), length=None):
        self.path, self.length = path, length

    def path_length(self, problem):
        return self.length

    def fit_row(self, problem):
        return RowFit(problem.coef, problem.intercept, 1, 1, "n_iter", path=self.path)


@pytest.mark.parametrize(
    ("path", "length", "error", "words"),
    [
        (3, 1, TypeError, "a list of Checkpoint; the solver 'odd' returned 3. Pass"),
        ([1, 2], 2, TypeError, "a list of Checkpoint; the solver 'odd' returned 1. "),
        ([Checkpoint(1, np.zeros(2), 0.0)], 1, ValueError, r"must have shape \(20,\)"),
        (
            [],
            "x",
            TypeError,
            "must return None or a number of iterations.*returned 'x'",
        ),
        ([], True, TypeError, "or a number of iterations.*returned True"),
        ([], 0, ValueError, "or a number of iterations, 1 or more.*returned 0"),
    ],
    ids=["number", "numbers", "shape", "text", "truth", "zero"],
)
def test_a_path_of_a_stranger_is_checked(path, length, error, words):
    Z, y, _ = make_partial_multilabel(120, known=0.6, random_state=0)
    with pytest.raises(error, match=words):
        CategoryWiseFineTuner(Odd(path, length)).fit(Z, y)
