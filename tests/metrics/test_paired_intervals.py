"""Intervals of two scores on the same labels: brute force, scipy, and coverage."""

import numpy as np
import pytest
from scipy.stats import bootstrap, t
from sklearn.metrics import average_precision_score, roc_auc_score

from cftlearn.metrics import _paired_intervals
from cftlearn.metrics._effective_sample import unbiased_spread, wilson_interval
from cftlearn.metrics._objectives import make_objective
from cftlearn.metrics._paired_intervals import HeldOutPair, paired_intervals

ORACLES = {"roc_auc": roc_auc_score, "average_precision": average_precision_score}
metrics = pytest.mark.parametrize("metric", list(ORACLES))


def a_pair(n_positive=20, n_negative=60, seed=0, gain=0.5):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n_positive + n_negative) < n_positive)
    common = rng.standard_normal(len(y))
    before, after = (
        np.round(common + 0.5 * rng.standard_normal(len(y)) + shift * y, 1)
        for shift in (1.0, 1.0 + gain)
    )
    return HeldOutPair(y, before, after)


def scores_of(pair, metric):
    own = ORACLES[metric]
    return own(pair.y, pair.before), own(pair.y, pair.after)


def find(pair, metric, seed=0):
    objective = make_objective(metric)
    return paired_intervals([pair], scores_of(pair, metric), objective, seed)


def brute_force(pair, metric, n_draws=400):
    """Draw labels, and score by scikit-learn."""
    rng = np.random.default_rng(7)
    values = []
    for _ in range(n_draws):
        rows = rng.integers(len(pair.y), size=len(pair.y))
        drawn = HeldOutPair(*(each[rows] for each in pair[:3]))
        values.append(scores_of(drawn, metric))
    return np.array(values).T


@metrics
def test_the_spread_is_that_of_brute_force(metric):
    pair = a_pair()
    draws = brute_force(pair, metric)
    found = find(pair, metric)
    for k, score in enumerate(scores_of(pair, metric)):
        spread = unbiased_spread(draws[k], 20)
        expected = wilson_interval(score, spread, 20, 0.95)
        assert found[2 * k : 2 * k + 2] == pytest.approx(expected, abs=0.03)
    gain = np.subtract(*scores_of(pair, metric)[::-1])
    spread = np.hypot(unbiased_spread(draws[1] - draws[0], 20), 0.5 * 20**-1.5)
    reach = t.ppf(0.975, 38) * spread
    assert found[4:] == pytest.approx((gain - reach, gain + reach), abs=0.025)


def test_the_gain_of_many_labels_is_scipys():
    pair = a_pair(200, 400)

    def gain(rows):
        drawn = HeldOutPair(*(each[rows] for each in pair[:3]))
        return np.subtract(*scores_of(drawn, "roc_auc")[::-1])

    expected = bootstrap(
        (np.arange(len(pair.y)),),
        gain,
        vectorized=False,
        n_resamples=300,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    found = find(pair, "roc_auc")
    assert (found.gain_low, found.gain_high) == pytest.approx(expected, abs=0.012)


def test_the_difference_is_surer_than_its_parts():
    found = find(a_pair(100, 100, gain=0.0), "roc_auc")
    apart = np.hypot(
        found.before_high - found.before_low, found.after_high - found.after_low
    )
    assert found.gain_high - found.gain_low < 0.6 * apart


@metrics
def test_intervals_hold_the_true_score_of_few_positives(metric):
    """Between 90 and 99.5 % of 200, of scores whose truth many rows tell."""
    many = a_pair(40_000, 160_000, gain=0.8)
    truth = scores_of(many, metric)
    held = []
    for seed in range(200):
        found = find(a_pair(8, 32, seed=seed + 1, gain=0.8), metric)
        held.append(
            [
                found.before_low <= truth[0] <= found.before_high,
                found.after_low <= truth[1] <= found.after_high,
                found.gain_low <= truth[1] - truth[0] <= found.gain_high,
            ]
        )
    coverage = np.mean(held, axis=0)
    assert ((coverage > 0.9) & (coverage < 0.995)).all(), coverage


def test_equal_logits_differ_by_nothing():
    pair = a_pair()
    found = find(pair._replace(after=pair.before), "roc_auc")
    assert (found.gain_low, found.gain_high) == (0.0, 0.0)
    assert found[:2] == found[2:4]


def test_perfect_scores_of_few_labels_are_not_sure():
    y = np.arange(20) < 4
    found = find(HeldOutPair(y, y * 1.0, y * 2.0 + np.arange(20) / 99), "roc_auc")
    assert found.before_low < 0.7
    assert found.before_high == 1.0
    assert found.gain_low < -0.1
    assert found.gain_high > 0.1


@pytest.mark.parametrize("n_positive", [0, 1, 19, 20])
def test_a_label_of_a_class_has_no_interval(n_positive):
    y = np.arange(20) < n_positive
    pair = HeldOutPair(y, np.arange(20.0), -np.arange(20.0))
    found = paired_intervals([pair], (0.5, 0.5), make_objective("roc_auc"), 0)
    assert np.isnan(found).all()
    assert np.isnan(
        paired_intervals([], (0.5, 0.5), make_objective("roc_auc"), 0)
    ).all()


def test_a_seed_has_its_draws():
    pair = a_pair()
    assert find(pair, "roc_auc", seed=1) == find(pair, "roc_auc", seed=1)
    assert find(pair, "roc_auc", seed=1) != find(pair, "roc_auc", seed=2)


@metrics
def test_blocks_and_levels_of_many_labels_change_little(metric, monkeypatch):
    pair = a_pair(900, 900, seed=3)
    expected = np.array(find(pair, metric))
    monkeypatch.setattr(_paired_intervals, "_MOST_UNITS", 300)
    monkeypatch.setattr(_paired_intervals, "_MOST_LEVELS", 25)
    monkeypatch.setattr(_paired_intervals, "_MOST_WEIGHED", 1000)
    found = np.array(find(pair, metric))
    assert not np.array_equal(found, expected)
    for ends in (slice(0, 2), slice(2, 4), slice(4, 6)):
        ratio = np.diff(found[ends]) / np.diff(expected[ends])
        assert 0.8 < ratio[0] < 1.25


def test_parts_are_scored_apart():
    """Two parts of which one has all logits moved: pairs across would be ranked."""
    pair = a_pair(100, 100)
    parts = [HeldOutPair(*(each[k::2] for each in pair[:3])) for k in (0, 1)]
    moved = [parts[0], parts[1]._replace(before=parts[1].before + 100)]
    scores = [
        np.mean([scores_of(part, "roc_auc")[k] for part in parts]) for k in (0, 1)
    ]
    objective = make_objective("roc_auc")
    found = paired_intervals(moved, tuple(scores), objective, 0)
    assert found == paired_intervals(parts, tuple(scores), objective, 0)
    whole = find(pair, "roc_auc")
    width = found.after_high - found.after_low
    assert width == pytest.approx(whole.after_high - whole.after_low, rel=0.15)


# ---------------------------------------------------------------------------- callables
def balanced(y_true, y_score):
    return np.mean(y_score[y_true == 1] > 0) + np.mean(y_score[y_true == 0] <= 0)


def test_a_callable_has_students_interval():
    pair = a_pair(60, 60)
    scores = tuple(balanced(pair.y, each) for each in pair[1:3])
    found = paired_intervals([pair], scores, make_objective(balanced), 0)
    shares = [pair.before[pair.y] > 0, pair.before[~pair.y] <= 0]
    spread = np.sqrt(sum(np.var(own, ddof=1) / 60 for own in shares))
    reach = t.ppf(0.975, 118) * spread
    assert found.before_high - scores[0] == pytest.approx(reach, rel=0.25)
    assert scores[0] - found.before_low == pytest.approx(reach, rel=0.25)
    assert found.gain_low < scores[1] - scores[0] < found.gain_high


def test_a_callable_is_called_a_hundred_times_for_each_score():
    calls = []

    def counted(y_true, y_score):
        calls.append(len(y_true))
        return float(np.mean(y_score[y_true == 1]))

    paired_intervals([a_pair()], (0.5, 0.5), make_objective(counted), 0)
    assert calls == [80] * 200


def test_a_callable_of_very_many_labels_has_no_interval():
    pair = a_pair(5000, 5001)
    objective = make_objective(balanced)
    assert np.isnan(paired_intervals([pair], (0.5, 0.6), objective, 0)).all()


def test_a_callable_that_is_not_finite_for_a_draw_has_no_interval():
    def fragile(y_true, y_score):
        return 0.5 if len(np.unique(y_score)) == len(y_score) else np.nan

    y = np.arange(20) % 2 == 0
    pair = HeldOutPair(y, np.arange(20.0), -np.arange(20.0))
    found = paired_intervals([pair], (0.5, 0.5), make_objective(fragile), 0)
    assert np.isnan(found).all()


def test_a_constant_callable_shows_no_error():
    objective = make_objective(lambda y_true, y_score: 0.5)
    found = paired_intervals([a_pair()], (0.5, 0.5), objective, 0)
    assert np.isnan(found).all()
