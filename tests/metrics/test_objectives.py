"""What a refit maximises: the two rankings, and any callable."""

import pickle
import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    roc_auc_score,
)

from cftlearn.metrics._objectives import Objective, make_objective, try_objective

RANKINGS = {"roc_auc": roc_auc_score, "average_precision": average_precision_score}


@pytest.fixture
def problem(rng):
    y = rng.random(80) < 0.3
    return y, rng.standard_normal((6, 80)).astype(np.float32) + y


def accuracy_at_zero(y_true, y_score):
    return balanced_accuracy_score(y_true, y_score > 0)


class Margin:
    """A callable without a ``__name__``."""

    def __call__(self, y_true, y_score):
        return y_score[y_true == 1].mean() - y_score[y_true == 0].mean()


MARGIN = Margin()
NAMES = [*RANKINGS, "function", "object"]


@pytest.mark.parametrize("name", RANKINGS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["f4", "f8"])
def test_rankings_are_evaluated_for_every_row(name, dtype, problem):
    y, scores = problem
    scores = scores.astype(dtype)
    objective = make_objective(name)
    expected = [RANKINGS[name](y, row) for row in scores]
    assert (objective.name, objective.is_ranking) == (name, True)
    assert_allclose(objective(y, scores), expected, rtol=0, atol=1e-6)
    assert_allclose(objective(y, scores[2]), expected[2:3], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", RANKINGS)
def test_a_ranking_does_not_see_the_intercept(name, problem):
    y, scores = problem
    objective = make_objective(name)
    ranks = np.round(8 * scores).astype(np.float64)
    assert_array_equal(objective(y, ranks + 5.0), objective(y, ranks))


@pytest.mark.parametrize(
    ("metric", "name"),
    [(accuracy_at_zero, "accuracy_at_zero"), (MARGIN, "Margin")],
    ids=["function", "object"],
)
def test_callables_are_evaluated_for_every_row(metric, name, problem):
    y, scores = problem
    objective = make_objective(metric)
    expected = [metric(y, row) for row in scores]
    assert (objective.name, objective.is_ranking) == (name, False)
    values = objective(y, scores)
    assert values.dtype == np.float64
    assert_allclose(values, expected)
    assert_allclose(objective(y, scores[1]), expected[1:2])


@pytest.mark.parametrize(
    "given", ["roc_auc", accuracy_at_zero], ids=["name", "callable"]
)
def test_single_is_one_number(given, problem):
    y, scores = problem
    objective = make_objective(given)
    value = objective.single(y, scores[3])
    assert isinstance(value, float)
    assert value == objective(y, scores)[3]


def test_a_callable_gets_labels_before_scores(problem):
    y, scores = problem
    seen = []
    objective = make_objective(lambda *args: seen.append(args) or 1.0)
    objective(y, scores)
    assert len(seen) == len(scores)
    for row, (labels, logits) in zip(scores, seen, strict=True):
        assert_array_equal(labels, y)
        assert_array_equal(logits, row)


@pytest.mark.parametrize(
    "number", [1, True, np.float32(1), np.int8(1), np.array(1.0)], ids=repr
)
def test_any_kind_of_number_is_taken(number, problem):
    y, scores = problem
    assert_array_equal(make_objective(lambda *_: number)(y, scores), np.ones(6))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf], ids=str)
def test_numbers_that_are_not_finite_are_refused(value, problem):
    y, scores = problem
    values = iter([0.5, value, 0.7, 0.1, 0.2, 0.3])
    message = (
        rf"`objective` must return finite numbers; got {value} for 80 known labels "
        rf"with {y.sum()} positives"
    )
    with pytest.raises(ValueError, match=message):
        make_objective(lambda *_: next(values))(y, scores)


@pytest.mark.parametrize("value", [None, "0.5", [0.5], np.zeros(2), {}], ids=repr)
def test_anything_but_a_number_is_refused(value, problem):
    message = f"must return one number per call; got {type(value).__name__} "
    with pytest.raises(TypeError, match=re.escape(message)):
        make_objective(lambda *_: value)(*problem)


@pytest.mark.parametrize(
    "objective", ["auc", "ROC_AUC", "", None, 1, ["roc_auc"], {"roc_auc"}], ids=repr
)
def test_unknown_names_are_refused(objective):
    message = (
        "must be 'roc_auc', 'average_precision' or a callable metric(y_true, y_sco"
    )
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        make_objective(objective)
    assert repr(objective) in str(error.value)


@pytest.mark.parametrize("given", [*RANKINGS, accuracy_at_zero, MARGIN], ids=NAMES)
def test_objectives_travel_to_other_processes(given, problem):
    objective = make_objective(given)
    copy = pickle.loads(pickle.dumps(objective))
    assert isinstance(copy, Objective)
    assert_array_equal(copy(*problem), objective(*problem))


def one_argument(scores):
    return 1.0


@pytest.mark.parametrize(
    ("metric", "shown"),
    [
        (one_argument, "one_argument(scores)"),
        (lambda estimator, X, y: 1.0, "<lambda>(estimator, X, y)"),
        (lambda *, y_true, y_score: 1.0, "<lambda>(*, y_true, y_score)"),
        (lambda: 1.0, "<lambda>()"),
    ],
)
def test_a_callable_of_other_arguments_is_refused_at_once(metric, shown):
    rule = "must take two arguments, metric(y_true, y_score) -> float; got"
    with pytest.raises(TypeError, match=re.escape(f"{rule} {shown}. Write")):
        make_objective(metric)


@pytest.mark.parametrize(
    "metric",
    [lambda *both: 1.0, lambda y, s, eps=1.0: eps, lambda y, s, /: 1.0, max],
    ids=["any", "default", "by place", "in C"],
)
def test_a_callable_that_can_take_two_arguments_passes(metric):
    assert make_objective(metric).name == getattr(metric, "__name__", "")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (np.ones(3), r"ndarray of shape \(3,\)\. Write it as metric"),
        ([1, [2]], r"list \[1, \[2\]\]\. Write it"),
        ([1.0], r"list of shape \(1,\)"),
        (None, r"NoneType None\."),
        ("high", r"str 'high'\."),
        (np.nan, r"finite numbers; got nan for 40 known labels with 20 positives"),
        (-np.inf, "finite numbers; got -inf for 40"),
    ],
    ids=str,
)
def test_a_wrong_result_is_found_by_a_trial(value, shown):
    with pytest.raises((TypeError, ValueError), match=shown):
        try_objective(make_objective(lambda y_true, y_score: value))


def test_a_trial_is_one_call_with_labels_of_both_classes():
    calls = []

    def metric(y_true, y_score):
        calls.append((y_true, y_score))
        return np.float32(0.5)

    try_objective(make_objective(metric))
    ((y_true, y_score),) = calls
    assert np.bincount(y_true).tolist() == [20, 20]
    assert roc_auc_score(y_true, y_score) > 0.6
