"""Wilson's interval of as many trials as a score's standard error tells."""

import numpy as np
import pytest
from scipy.stats import binomtest, t

from cftlearn.metrics._effective_sample import (
    t_quantile,
    unbiased_spread,
    wilson_interval,
)


def test_of_many_trials_it_is_scipys():
    successes, n = 1840, 2000
    p = successes / n
    expected = binomtest(successes, n).proportion_ci(0.95, method="wilson")
    found = wilson_interval(p, np.sqrt(p * (1 - p) / n), n, 0.95)
    assert found == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("n", [2, 5, 20])
def test_the_quantile_is_students(n):
    assert t_quantile(n, 0.9) == pytest.approx(t.ppf(0.95, 2 * n - 2))


def test_no_label_counts_for_more_than_four_trials():
    assert wilson_interval(0.9, 1e-9, 5, 0.95) == pytest.approx(
        wilson_interval(0.9, np.sqrt(0.09 / 20), 5, 0.95)
    )


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_a_score_at_the_end_has_a_length(score):
    low, high = wilson_interval(score, 0.0, 10, 0.95)
    q = t.ppf(0.975, 18) ** 2
    assert (low, high) == pytest.approx(
        (10 / (10 + q), 1.0) if score else (0.0, q / (10 + q))
    )


@pytest.mark.parametrize(
    "arguments", [(0.5, 0.1, 1), (np.nan, 0.1, 9), (0.5, np.nan, 9)]
)
def test_what_is_undefined(arguments):
    assert np.isnan(wilson_interval(*arguments, 0.95)).all()


def test_the_spread_of_draws_is_that_of_another_sample():
    """The mean of n values has the variance s^2 / n; a bootstrap finds n - 1 of n."""
    rng = np.random.default_rng(0)
    values = rng.standard_normal(5)
    draws = values[rng.integers(5, size=(200_000, 5))].mean(axis=1)
    expected = np.std(values, ddof=1) / np.sqrt(5)
    assert unbiased_spread(np.append(draws, np.nan), 5) == pytest.approx(
        expected, rel=0.01
    )
    assert np.isnan(unbiased_spread(np.array([0.5, np.nan]), 5))
