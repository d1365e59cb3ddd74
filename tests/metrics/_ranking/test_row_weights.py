"""Rankings of weighted rows are scikit-learn's, and those of repeated rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from sklearn.metrics import average_precision_score, roc_auc_score

from cftlearn.metrics._ranking import batch_average_precision, batch_roc_auc
from cftlearn.metrics._ranking._row_weights import average_precision

METRICS = {
    "roc_auc": (batch_roc_auc, roc_auc_score),
    "average_precision": (batch_average_precision, average_precision_score),
}
metrics = pytest.mark.parametrize(("ours", "oracle"), METRICS.values(), ids=METRICS)
scores = arrays(np.float64, (3, 12), elements=st.integers(-3, 3).map(float))
counts = arrays(np.int64, 12, elements=st.integers(0, 3))
Y = np.arange(12) % 3 == 0


def both_classes(weight):
    weight[:2] = np.maximum(weight[:2], 1)  # a positive and a negative
    return weight


@metrics
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_is_scikit_learns(ours, oracle, dtype, rng):
    values = np.round(rng.random((4, 300)) + 0.2 * (np.arange(300) % 2), 2).astype(
        dtype
    )
    y, weight = np.arange(300) % 2 == 1, rng.uniform(0.1, 3.0, 300)
    found = ours(values, y, sample_weight=weight)
    expected = [oracle(y, own, sample_weight=weight) for own in values]
    assert_allclose(found, expected, rtol=1e-9)


@metrics
@settings(max_examples=50)
@given(scores, counts)
def test_integer_weights_are_repeated_rows(ours, oracle, values, weight):
    weight = both_classes(weight)
    found = ours(values, Y, sample_weight=weight.astype(float))
    rows = np.repeat(np.arange(12), weight)
    assert_allclose(found, ours(values[:, rows], Y[rows]), rtol=1e-12, atol=1e-15)


@metrics
@settings(max_examples=25)
@given(scores, counts, st.floats(1e-3, 1e3))
def test_a_factor_of_all_weights_changes_nothing(ours, oracle, values, weight, factor):
    weight = both_classes(weight).astype(float)
    found = ours(values, Y, sample_weight=factor * weight)
    assert_allclose(found, ours(values, Y, sample_weight=weight), rtol=1e-9)


@metrics
@pytest.mark.parametrize("weightless", [Y, ~Y], ids=["positives", "negatives"])
def test_it_is_undefined_where_a_class_weighs_nothing(ours, oracle, weightless):
    weight = np.where(weightless, 0.0, 1.0)
    assert np.isnan(ours(np.zeros((2, 12)), Y, sample_weight=weight)).all()


@metrics
def test_equal_weights_are_no_weights(ours, oracle, rng):
    values = rng.standard_normal((3, 12))
    found = ours(values, Y, sample_weight=np.full(12, 2.0))
    assert_allclose(found, ours(values, Y), rtol=1e-12)


def test_many_vectors_are_ranked_in_blocks(rng, monkeypatch):
    values, weight = rng.standard_normal((7, 12)), rng.random(12)
    whole = average_precision(values, Y, weight)
    monkeypatch.setattr("cftlearn.metrics._ranking._row_weights._BLOCK", 24)
    assert_allclose(average_precision(values, Y, weight), whole, rtol=0)
