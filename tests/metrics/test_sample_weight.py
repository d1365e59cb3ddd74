"""Weights of labels in the metrics, their intervals, scorers and objectives."""

import numpy as np
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    log_loss,
    roc_auc_score,
)
from sklearn.model_selection import GridSearchCV, cross_validate

from cftlearn.metrics import (
    bootstrap_intervals,
    compare_scores,
    neg_partial_log_loss_scorer,
    partial_average_precision_score,
    partial_average_precision_scorer,
    partial_f1_score,
    partial_f1_scorer,
    partial_log_loss,
    partial_roc_auc_score,
    partial_roc_auc_scorer,
)
from cftlearn.metrics._objectives import make_objective, try_objective
from cftlearn.metrics._paired_intervals import HeldOutPair, paired_intervals

METRICS = {
    "roc_auc": (partial_roc_auc_score, roc_auc_score),
    "average_precision": (partial_average_precision_score, average_precision_score),
    "log_loss": (partial_log_loss, log_loss),
    "f1": (partial_f1_score, f1_score),
}
metrics = pytest.mark.parametrize("name", METRICS)
ranked = pytest.mark.parametrize("metric", ["roc_auc", "average_precision"])


def a_problem(seed=0, n=120, n_categories=3):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, (n, n_categories)).astype(float)
    score = np.round(0.7 * rng.random(y.shape) + 0.3 * y, 2)
    y[rng.random(y.shape) < 0.4] = np.nan
    weight = rng.integers(0, 4, y.shape).astype(float)
    return y, score, weight


def as_given(name, score):
    return (score > 0.5).astype(float) if name == "f1" else score


@metrics
def test_every_category_has_the_score_of_scikit_learn(name):
    ours, oracle = METRICS[name]
    y, score, weight = a_problem()
    given = as_given(name, score)
    found = ours(y, given, average=None, sample_weight=weight)
    for j, value in enumerate(found):
        rows = ~np.isnan(y[:, j])
        expected = oracle(y[rows, j], given[rows, j], sample_weight=weight[rows, j])
        assert value == pytest.approx(expected, rel=1e-9)
    macro = ours(y, given, sample_weight=weight)
    assert macro == pytest.approx(found.mean())


@metrics
def test_micro_pools_all_known_labels(name):
    ours, oracle = METRICS[name]
    y, score, weight = a_problem()
    given, known = as_given(name, score), ~np.isnan(y)
    found = ours(y, given, average="micro", sample_weight=weight)
    expected = oracle(y[known], given[known], sample_weight=weight[known])
    assert found == pytest.approx(expected)


@metrics
def test_weighted_weighs_categories_by_the_weight_of_their_positives(name):
    ours, _ = METRICS[name]
    y, score, weight = a_problem()
    given = as_given(name, score)
    each = ours(y, given, average=None, sample_weight=weight)
    shares = np.where(y == 1, weight, 0.0).sum(axis=0)
    found = ours(y, given, average="weighted", sample_weight=weight)
    assert found == pytest.approx(np.average(each, weights=shares))


@metrics
@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_a_weight_of_zero_is_an_unknown_label(name, seed):
    ours, _ = METRICS[name]
    y, score, weight = a_problem(seed)
    given = as_given(name, score)
    hidden = np.where(weight > 0, y, np.nan)
    assert_array_equal(
        ours(y, given, average=None, sample_weight=weight),
        ours(hidden, given, average=None, sample_weight=weight),
    )
    only = (weight > 0).astype(float)
    assert_array_equal(
        ours(y, given, average=None, sample_weight=only),
        ours(hidden, given, average=None),
    )


@metrics
def test_integer_weights_are_repeated_rows(name):
    ours, _ = METRICS[name]
    y, score, weight = a_problem()
    given, own = as_given(name, score), weight[:, 0].astype(int)
    found = ours(y, given, average=None, sample_weight=own)
    rows = np.repeat(np.arange(len(y)), own)
    assert_allclose(found, ours(y[rows], given[rows], average=None), rtol=1e-12)


@metrics
def test_weights_of_one_change_nothing(name):
    ours, _ = METRICS[name]
    y, score, _ = a_problem()
    given = as_given(name, score)
    assert ours(y, given, sample_weight=np.ones(len(y))) == ours(y, given)


@metrics
def test_a_binary_target_has_weights_of_its_rows(name):
    ours, oracle = METRICS[name]
    y, score, weight = a_problem()
    y, score, weight = np.nan_to_num(y[:, 0]), score[:, 0], weight[:, 0]
    given = as_given(name, score)
    expected = oracle(y, given, sample_weight=weight)
    assert ours(y, given, sample_weight=weight) == pytest.approx(expected)


# --------------------------------------------------------------------------- intervals
@ranked
def test_intervals_have_the_estimates_of_the_metric(metric):
    y, score, weight = a_problem()
    found = bootstrap_intervals(
        y, score, metric=metric, sample_weight=weight, n_resamples=50, random_state=0
    )
    expected = METRICS[metric][0](y, score, average=None, sample_weight=weight)
    assert_allclose([each["estimate"] for each in found[:-1]], expected)
    assert all(each["low"] < each["estimate"] < each["high"] for each in found)


@pytest.mark.parametrize("method", ["wilson", "bca", "percentile"])
def test_intervals_know_zeros_as_unknown_and_ones_as_none(method):
    y, score, weight = a_problem()
    extra = {"n_resamples": 40, "random_state": 0, "method": method}
    hidden = np.where(weight > 0, y, np.nan)
    assert bootstrap_intervals(
        y, score, sample_weight=weight, **extra
    ) == bootstrap_intervals(hidden, score, sample_weight=weight, **extra)
    ones = np.ones(len(y))
    assert bootstrap_intervals(
        y, score, sample_weight=ones, **extra
    ) == bootstrap_intervals(y, score, **extra)


def test_unequal_weights_make_intervals_longer():
    y, score, _ = a_problem(n=400)
    weight = np.where(np.arange(400) % 10 == 0, 30.0, 1.0)
    plain, weighted = (
        bootstrap_intervals(y, score, sample_weight=own, random_state=0)[-1]
        for own in (None, weight)
    )
    assert weighted["high"] - weighted["low"] > plain["high"] - plain["low"]


def test_an_interval_is_that_of_brute_force():
    """The spread of scores of resampled rows, each with its weight."""
    y, score, weight = a_problem(n=300, n_categories=1)
    y, weight = np.nan_to_num(y), weight + 0.5
    found = bootstrap_intervals(
        y, score, sample_weight=weight, method="percentile", random_state=0
    )[0]
    rng = np.random.default_rng(1)
    draws = []
    for _ in range(2000):
        rows = rng.integers(300, size=300)
        draws.append(
            roc_auc_score(y[rows, 0], score[rows, 0], sample_weight=weight[rows, 0])
        )
    low, high = np.quantile(draws, [0.025, 0.975])
    assert found["low"] == pytest.approx(low, abs=0.006)
    assert found["high"] == pytest.approx(high, abs=0.006)


def test_groups_with_weights_are_drawn_as_a_whole():
    y, score, weight = a_problem()
    groups = np.arange(len(y)) // 3
    compared = compare_scores(
        y, score, -score, sample_weight=weight, groups=groups, random_state=0
    )
    each = partial_roc_auc_score(y, score, average=None, sample_weight=weight)
    assert_allclose([line["score_a"] for line in compared[:-1]], each)
    assert compared[-1]["p_value"] < 0.01


@ranked
def test_paired_intervals_of_weighted_labels(metric):
    rng = np.random.default_rng(0)
    y = np.arange(80) % 2 == 0
    before, after = (rng.standard_normal(80) + k * y for k in (0.5, 1.5))
    objective, weight = make_objective(metric), rng.uniform(0.5, 2.0, 80)

    def find(weight):
        pair = HeldOutPair(y, before, after, weight)
        scores = tuple(objective.single(y, own, weight) for own in (before, after))
        return np.array(paired_intervals([pair], scores, objective, 0))

    assert_array_equal(find(np.ones(80)), find(None))
    assert_allclose(find(3 * weight), find(weight), rtol=1e-9)
    assert not np.allclose(find(weight), find(None), rtol=1e-3)


def test_paired_intervals_of_a_callable_are_drawn_with_its_weights():
    y = np.arange(40) % 2 == 0
    logits = np.random.default_rng(0).standard_normal(40) + y
    objective = make_objective(roc_auc_score)
    weight = np.where(y, 1.0, 2.0)
    pair = HeldOutPair(y, logits, 2 * logits - 1, weight)
    score = objective.single(y, logits, weight)
    found = paired_intervals([pair], (score, score), objective, 0)
    assert found.before_low < score < found.before_high


# -------------------------------------------------------------------------- objectives
def test_an_objective_is_scikit_learns():
    y, score, weight = a_problem()
    known = ~np.isnan(y[:, 0])
    own = y[known, 0] == 1, score[known, 0], weight[known, 0]
    for name, oracle in (
        ("roc_auc", roc_auc_score),
        ("average_precision", average_precision_score),
        (roc_auc_score, roc_auc_score),
    ):
        found = make_objective(name).single(*own)
        assert found == pytest.approx(oracle(own[0], own[1], sample_weight=own[2]))


def test_a_callable_without_weights_is_refused_where_there_are_some():
    def plain(y_true, y_score):
        return 0.5

    objective = make_objective(plain)
    assert not objective.takes_weights
    try_objective(objective)
    with pytest.raises(ValueError, match="got 'plain', which does not"):
        try_objective(objective, weighted=True)
    try_objective(make_objective(roc_auc_score), weighted=True)


# ----------------------------------------------------------------------------- scorers
SCORERS = {
    "roc_auc": partial_roc_auc_scorer,
    "average_precision": partial_average_precision_scorer,
    "log_loss": neg_partial_log_loss_scorer,
    "f1": partial_f1_scorer,
}


@metrics
def test_a_scorer_passes_weights_on(name):
    y, score, weight = a_problem()
    y, weight = np.nan_to_num(y[:, 0]), weight[:, 0]
    model = LogisticRegression().fit(score, y)
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = SCORERS[name].set_score_request(sample_weight=True)
        found = scorer(model, score, y, sample_weight=weight)
    other = {"f1": model.predict, "log_loss": lambda X: model.predict_proba(X)[:, 1]}
    given = other.get(name, model.decision_function)(score)
    sign = -1 if name == "log_loss" else 1
    assert sign * found == pytest.approx(
        METRICS[name][0](y, given, sample_weight=weight)
    )


def test_searches_slice_weights_by_folds():
    y, score, weight = a_problem()
    y, weight = np.nan_to_num(y[:, 0]), weight[:, 0]
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = partial_roc_auc_scorer.set_score_request(sample_weight=True)
        model = LogisticRegression().set_fit_request(sample_weight=True)
        done = cross_validate(
            model, score, y, scoring=scorer, cv=3, params={"sample_weight": weight},
            return_indices=True, return_estimator=True,
        )  # fmt: skip
        for k, fitted in enumerate(done["estimator"]):
            rows = done["indices"]["test"][k]
            expected = roc_auc_score(
                y[rows],
                fitted.decision_function(score[rows]),
                sample_weight=weight[rows],
            )
            assert done["test_score"][k] == pytest.approx(expected)
        search = GridSearchCV(model, {"C": [0.1, 1.0]}, scoring=scorer, cv=3)
        assert 0 < search.fit(score, y, sample_weight=weight).best_score_ < 1
