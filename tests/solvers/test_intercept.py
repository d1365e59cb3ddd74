"""Biases found as roots."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from cftlearn.solvers._intercept import intercept_of_mean, likeliest_intercept


@given(
    logits=st.lists(st.floats(-50, 50), min_size=1, max_size=20),
    mean=st.floats(0.001, 0.999),
)
def test_mean_probability_is_the_given_one(logits, mean):
    logits = np.array(logits)
    bias = intercept_of_mean(logits, mean, float(logit(mean)))
    assert expit(logits + bias).mean() == pytest.approx(mean, abs=1e-9)


def test_likeliest_bias_has_the_least_loss():
    rng = np.random.default_rng(0)
    logits = rng.standard_normal(80)
    y = rng.random(80) < 0.2
    bias = likeliest_intercept(logits.astype(np.float32), y)
    assert expit(logits + bias).mean() == pytest.approx(y.mean(), abs=1e-6)
    # a fit with the bias alone finds nothing better
    losses = [
        np.mean(np.logaddexp(0, logits + b) - y * (logits + b))
        for b in (bias - 1e-3, bias, bias + 1e-3)
    ]
    assert min(losses) == losses[1]
    odds = logit(y.mean())
    assert likeliest_intercept(np.zeros(80), y) == pytest.approx(odds, abs=1e-9)
