"""Weights of models by held-out labels: the best one, or a greedy mean."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import average_precision_score, roc_auc_score

from cftlearn.ensemble import select_members
from cftlearn.exceptions import UndefinedCategoryWarning

NAN = np.nan


ORACLES = {"roc_auc": roc_auc_score, "average_precision": average_precision_score}


def held_out(seed, n_rows=30, n_members=3, n_categories=2):
    rng = np.random.default_rng(seed)
    y = (rng.random((n_rows, n_categories)) < 0.4).astype(float)
    y[0], y[1] = 0, 1
    scores = y + 1.5 * rng.standard_normal((n_members, *y.shape))
    y[2:][rng.random((n_rows - 2, n_categories)) < 0.3] = NAN
    return y, scores


@pytest.mark.parametrize("objective", list(ORACLES))
def test_best_is_the_best_alone(objective):
    y, scores = held_out(0)
    weights = select_members(y, scores, how="best", objective=objective)
    for j in range(2):
        known = ~np.isnan(y[:, j])
        alone = [ORACLES[objective](y[known, j], s[known, j]) for s in scores]
        assert_array_equal(weights[:, j], np.eye(3)[np.argmax(alone)])


def brute_force_greedy(y, scores, metric, n_rounds):
    """Try every addition by hand, on lists of members."""

    def value(members):
        return round(metric(y, np.sum(scores[members], axis=0)), 10)

    everyone = range(len(scores))
    chosen = [max(everyone, key=lambda m: value([m]))]
    best = list(chosen)
    while len(chosen) < n_rounds:
        values = [value([*chosen, m]) for m in everyone]
        equal = [m for m in everyone if values[m] == max(values)]
        chosen.append(next((m for m in equal if m in chosen), equal[0]))
        if value(chosen) > value(best):
            best = list(chosen)
    return np.bincount(best, minlength=len(scores)) / len(best)


@pytest.mark.parametrize("objective", list(ORACLES))
@settings(max_examples=8)
@given(seed=st.integers(0, 2**16))
def test_greedy_is_the_greedy_of_a_loop_and_never_worse(objective, seed):
    y, scores = held_out(seed)
    weights = select_members(y, scores, objective=objective, n_rounds=5)
    assert_allclose(weights.sum(axis=0), 1)
    metric = ORACLES[objective]
    for j in range(2):
        known = ~np.isnan(y[:, j])
        truth, own = y[known, j], scores[:, known, j]
        assert_allclose(weights[:, j], brute_force_greedy(truth, own, metric, 5))
        alone = max(metric(truth, one) for one in own)
        assert metric(truth, weights[:, j] @ own) >= alone - 1e-12


def test_ties_go_to_the_simplest():
    y = np.array([[1.0], [0.0]] * 5)
    weights = select_members(y, [y, y, -y])
    assert_array_equal(weights, [[1], [0], [0]])


def test_of_equal_means_the_one_of_fewest_parts_is_kept():
    y = np.array([[1.0], [1.0], [0.0], [0.0]])
    one = np.array([[0.9], [0.3], [0.4], [0.1]])
    other = np.array([[0.1], [0.8], [0.2], [0.3]])
    weights = select_members(y, [one, other, other], n_rounds=10)
    assert_array_equal(weights, [[0.5], [0.5], [0]])


def test_permuted_categories_have_permuted_weights():
    y, scores = held_out(3, n_categories=4)
    order = [2, 0, 3, 1]
    weights = select_members(y, scores)
    assert_array_equal(
        select_members(y[:, order], scores[:, :, order]), weights[:, order]
    )


def test_categories_that_cannot_judge_have_equal_weights():
    y, scores = held_out(0)
    y[:, 1] = np.where(y[:, 1] == 1, 1, NAN)
    with pytest.warns(UndefinedCategoryWarning, match=r"1 of 2 .*'1'.*weigh the same"):
        weights = select_members(y, scores)
    assert_allclose(weights[:, 1], 1 / 3)
    y[:, 1] = NAN
    with pytest.warns(UndefinedCategoryWarning, match="'1'"):
        assert_allclose(select_members(y, scores), weights)


def test_a_callable_is_maximised():
    y, scores = held_out(0)

    def minus_distance(y_true, y_score):
        return -np.mean((y_true - y_score) ** 2)

    weights = select_members(y, scores, objective=minus_distance)
    for j in range(2):
        known = ~np.isnan(y[:, j])
        errors = ((y[known, j] - scores[:, known, j]) ** 2).mean(axis=1)
        mixed = ((y[known, j] - weights[:, j] @ scores[:, known, j]) ** 2).mean()
        assert mixed < errors.min()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": np.zeros((3, 30, 1))}, r"\(30, 2\); got \(30, 1\)"),
        ({"scores": np.full((3, 30, 2), NAN)}, "NaN in all cells of model 0"),
        ({"how": "worst"}, "'how' parameter of select_members"),
        ({"n_rounds": 0}, "'n_rounds' parameter of select_members"),
        ({"objective": "f1"}, "`objective` must be 'roc_auc'"),
        ({"y_true": np.full((30, 2), 3.0)}, "`y_true` must hold 0"),
    ],
)
def test_what_select_members_refuses(changes, message):
    y, scores = held_out(0)
    with pytest.raises(ValueError, match=message):
        select_members(**{"y_true": y, "scores": scores} | changes)


def test_a_model_that_cannot_score_a_category_has_no_weight_there():
    y, scores = held_out(0)
    expected = select_members(y, scores[1:])
    scores[0, :, 1] = NAN
    weights = select_members(y, scores)
    assert weights[0, 1] == 0
    assert_array_equal(weights[1:, 1], expected[:, 1])
    scores[:, :, 1] = NAN
    with pytest.warns(UndefinedCategoryWarning, match="1 of 2 categories .*'1'"):
        weights = select_members(y, scores)
    assert_allclose(weights[:, 1], 1 / 3)
