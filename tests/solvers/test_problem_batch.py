"""Problems to fit together: what is loaded once, and how weights are judged."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cftlearn.base import CategoryProblem, KnownRows, RowFit
from cftlearn.metrics._objectives import make_objective
from cftlearn.solvers import GeneticSolver
from cftlearn.solvers._problem_batch import (
    ProblemBatch,
    device_memory,
)
from cftlearn.solvers._protocol import RowPart, StoredRows, parts_of
from cftlearn.solvers._weight_space import WeightSpace, padded_width


def make_problems(objective="roc_auc", n=60, d=5):
    """Make three problems of different sizes on shared features, and the features."""
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((n, d)) + 2.0
    y = rng.random((n, 3)) < 0.4
    problems = []
    for j, size in enumerate((30, 20, 40)):
        rows = rng.permutation(n)[: size + 10]
        train, held_out = (RowPart(Z, own, y[own, j]) for own in (rows[10:], rows[:10]))
        held_out.y[:2] = [True, False]
        train.y[:2] = [True, False]
        problems.append(
            CategoryProblem(
                train=StoredRows((train,)),
                validation=StoredRows((held_out,)),
                coef=rng.standard_normal(d),
                intercept=float(j),
                objective=make_objective(objective),
                feature_mean=Z.mean(axis=0),
                feature_scale=Z.std(axis=0),
                random_state=j,
            )
        )
    return problems


def no_bytes(n_rows, row_bytes):
    return 0


def load(batch, batch_bytes=no_bytes):
    return batch.load("cpu", WeightSpace.standard, batch_bytes)


def weights_of(problems):
    return [RowFit(p.coef, p.intercept, 0, 0, "n_iter") for p in problems]


def test_a_batch_is_a_sequence():
    problems = make_problems()
    batch = ProblemBatch(problems)
    assert len(batch) == 3
    assert list(batch) == problems
    assert batch[1] is problems[1]
    assert batch[1:] == problems[1:]
    assert ProblemBatch.of(batch) is batch
    assert list(ProblemBatch.of(problems)) == problems


@pytest.mark.parametrize(
    "objective",
    ["roc_auc", "average_precision", lambda y, z: float(np.mean(y == (z > 1)))],
    ids=["auc", "ap", "function"],
)
def test_weights_are_judged_alike_on_host_and_device(objective):
    problems = make_problems(objective)
    there = ProblemBatch(problems)
    load(there).rows.bring_forward(np.array([2]))  # slots are not in order
    for (score, logits), (twin, others), problem in zip(
        there.judge(weights_of(problems)),
        ProblemBatch(problems).judge(weights_of(problems)),
        problems,
        strict=True,
    ):
        Z, y = problem.validation
        assert_allclose(logits, Z @ problem.coef + problem.intercept, rtol=1e-9)
        assert_allclose(others, logits, rtol=1e-9)
        assert isinstance(score, float)
        assert score == pytest.approx(problem.objective.single(y, logits), abs=1e-12)
        assert twin == pytest.approx(score, abs=1e-12)


def test_rows_are_loaded_once():
    batch = ProblemBatch(make_problems(), memory=30_000)
    loaded = load(batch, GeneticSolver(population_size=2).batch_bytes)
    assert load(batch) is loaded
    row_bytes = 8 * 8  # five features and the bias, padded to eight, in doubles
    n_donors = 40 + 10  # of mutations
    assert loaded.workspace == 30_000 - 3 * row_bytes * (40 + 10 + n_donors + 2 * 16)
    some = batch.with_all_labels({2: 7, 0: 4})
    assert load(some) is loaded
    assert_array_equal(some.members, [2, 0])
    assert [problem.n_iter for problem in some] == [7, 4]


def test_with_all_labels_fits_validation_rows_too():
    problems = make_problems()
    (some,) = ProblemBatch(problems).with_all_labels({1: 3})
    assert some.validation is None
    both = [problems[1].train, problems[1].validation]
    assert_array_equal(some.train.Z, np.concatenate([rows.Z for rows in both]))
    assert_array_equal(some.train.y, np.concatenate([rows.y for rows in both]))
    # without anything loaded, the problems of the new batch are loaded alone
    rows = load(ProblemBatch(problems).with_all_labels({1: 3})).rows
    assert [part.lengths.tolist() for part in rows.parts] == [[20], [10]]


def test_problems_in_memory_are_their_own_matrix():
    problem = make_problems()[0].in_memory()
    train, held_out = parts_of(problem)
    assert train.features is problem.train.Z
    assert_array_equal(train.rows, np.arange(30))
    assert_array_equal(held_out.y, problem.validation.y)
    loaded = load(ProblemBatch([problem]))
    stored = load(ProblemBatch(make_problems()[:1]))
    for own, other in zip(loaded.rows.parts, stored.rows.parts, strict=True):
        assert_array_equal(own.Z, other.Z)
        assert_array_equal(own.y, other.y)


@pytest.mark.parametrize("loads", [True, False])
def test_nothing_is_judged_without_validation_rows(loads):
    problems = [replace(p, validation=None) for p in make_problems()]
    batch = ProblemBatch(problems)
    if loads:
        load(batch)
    with pytest.raises(ValueError, match=r"`problem.validation` must be given to"):
        batch.judge(weights_of(problems))


def test_a_single_part_is_enough():
    problem = replace(make_problems()[0], validation=None)
    rows = load(ProblemBatch([problem])).rows
    assert rows.held_out is None
    assert len(rows.parts) == 1
    assert rows.n_longest == 30
    single = replace(problem, train=KnownRows(*problem.train))
    assert_array_equal(load(ProblemBatch([single])).rows.train.Z, rows.train.Z)


def test_memory_of_devices(monkeypatch):
    assert device_memory("cpu") == device_memory("mps") == 2**31

    class Properties:
        total_memory = 1000

    monkeypatch.setattr("torch.cuda.get_device_properties", lambda _: Properties)
    assert device_memory("cuda:1") == 800


@pytest.mark.parametrize(("n", "width"), [(1, 4), (3, 4), (4, 8), (7, 8), (8, 12)])
def test_padded_width_has_room_for_the_bias(n, width):
    assert padded_width(n) == width
