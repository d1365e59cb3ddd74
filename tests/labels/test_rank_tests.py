import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, mannwhitneyu, norm
from sklearn.metrics import roc_auc_score

from cftlearn.labels._rank_tests import adjust_p_values, compare_by_rank, rank_auc

SCORES = st.lists(st.integers(-3, 3), min_size=2, max_size=12)


@given(SCORES, SCORES)
def test_the_auc_is_that_of_scikit_learn(first, second):
    is_first = np.repeat([1, 0], [len(first), len(second)])
    expected = roc_auc_score(is_first, np.concatenate([first, second]))
    test = compare_by_rank(np.array(first), np.array(second), 0.9)
    assert test.auc == pytest.approx(expected)
    assert rank_auc(np.array(first), np.array(second)) == pytest.approx(expected)


@given(SCORES, SCORES)
def test_the_other_side_is_the_mirror_image(first, second):
    one = compare_by_rank(np.array(first), np.array(second), 0.9)
    other = compare_by_rank(np.array(second), np.array(first), 0.9)
    assert (1 - one.auc, 1 - one.high, 1 - one.low) == pytest.approx(other[:3])
    assert one.p_value == pytest.approx(other.p_value)


@given(SCORES, SCORES)
def test_the_interval_holds_the_auc_and_stays_in_range(first, second):
    test = compare_by_rank(np.array(first), np.array(second), 0.9)
    assert 0.0 <= test.low <= test.auc <= test.high <= 1.0
    wider = compare_by_rank(np.array(first), np.array(second), 0.99)
    assert wider.low <= test.low
    assert wider.high >= test.high


def test_the_standard_error_is_that_of_delong(rng):
    first, second = rng.standard_normal(40) + 1, rng.standard_normal(60)
    test = compare_by_rank(first, second, 0.95)
    wins = np.sign(first[:, None] - second) / 2 + 0.5
    variance = wins.mean(1).var(ddof=1) / 40 + wins.mean(0).var(ddof=1) / 60
    auc = wins.mean()
    spread = norm.ppf(0.975) * np.sqrt(variance) / (auc * (1 - auc))
    logits = np.log(auc / (1 - auc)) + np.array([-spread, spread])
    assert (test.low, test.high) == pytest.approx(1 / (1 + np.exp(-logits)))


def test_few_scores_get_the_exact_p_value(rng):
    first, second = rng.standard_normal(4), rng.standard_normal(30)
    expected = mannwhitneyu(first, second, method="exact").pvalue
    assert compare_by_rank(first, second, 0.95).p_value == expected


def test_scores_that_are_apart_are_not_certain():
    test = compare_by_rank(np.array([2.0, 3.0]), np.array([0.0, 1.0]), 0.95)
    assert test.auc == 1.0
    assert test.low < 0.6


def test_one_score_cannot_be_compared():
    assert np.isnan(compare_by_rank(np.ones(1), np.zeros(5), 0.95)).all()


def test_p_values_are_adjusted_by_holm():
    adjusted = adjust_p_values(np.array([0.01, np.nan, 0.04, 0.03]), "holm")
    np.testing.assert_allclose(adjusted, [0.03, np.nan, 0.06, 0.06])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_p_values_are_adjusted_as_scipy_does(p_values):
    given = np.array(p_values)
    adjusted = adjust_p_values(given, "benjamini_hochberg")
    np.testing.assert_allclose(adjusted, false_discovery_control(given), atol=1e-12)


@pytest.mark.parametrize("method", ["holm", "benjamini_hochberg"])
def test_adjusting_nothing(method):
    assert np.isnan(adjust_p_values(np.array([np.nan, np.nan]), method)).all()
