"""Ranking kernels for categories of different sizes at once, against scikit-learn."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score, roc_auc_score

from cftlearn.metrics._ranking import batch_average_precision, batch_roc_auc
from cftlearn.metrics._ranking._torch import padded_average_precision, padded_roc_auc

METRICS = {
    "roc_auc": (padded_roc_auc, batch_roc_auc, roc_auc_score),
    "average_precision": (
        padded_average_precision,
        batch_average_precision,
        average_precision_score,
    ),
}
by_metric = pytest.mark.parametrize("metric", METRICS)
by_type = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["f4", "f8"])
by_exact = pytest.mark.parametrize("exact", [True, False], ids=["exact", "rounded"])
needs_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
DEVICES = ["cpu", pytest.param("cuda", marks=needs_a_gpu)]


def make_ragged(rng, dtype, lengths, *, n_vectors=4, levels=None):
    """Draw categories of several lengths, padding at random places, garbage in it."""
    width = max(lengths) + 3
    shape = (len(lengths), n_vectors, width)
    scores = rng.standard_normal(shape)
    if levels is not None:
        scores = np.round(scores * levels) / levels
    scores = scores.astype(dtype)
    known = np.zeros((len(lengths), width), dtype=bool)
    for own, n in zip(known, lengths, strict=True):
        own[rng.choice(width, n, replace=False)] = True
    y = rng.random(known.shape) < 0.4
    garbage = rng.choice([np.inf, -np.inf, 0.0, 1e30], shape).astype(dtype)
    scores = np.where(known[:, None], scores, garbage)
    for own, own_known in zip(y, known, strict=True):  # both classes
        own[np.flatnonzero(own_known)[:2]] = [True, False]
    return scores, y, known


def evaluate(metric, scores, y, known, *, exact, device="cpu"):
    tensors = [torch.tensor(array, device=device) for array in (scores, y, known)]
    values = METRICS[metric][0](*tensors, exact=exact)
    assert values.dtype == torch.float64
    return values.cpu().numpy()


def oracle(metric, scores, y, known):
    return np.array(
        [
            [METRICS[metric][2](own_y[own], rankdata(row[own])) for row in rows]
            for rows, own_y, own in zip(scores, y, known, strict=True)
        ]
    )


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("levels", [None, 1, 30], ids=["free", "many ties", "ties"])
@by_exact
@by_type
@by_metric
def test_ragged_categories_agree_with_scikit_learn(
    metric, dtype, exact, levels, device, rng
):
    problem = make_ragged(rng, dtype, [2, 250, 31, 7, 120], levels=levels)
    values = evaluate(metric, *problem, exact=exact, device=device)
    assert_allclose(
        values, oracle(metric, *problem), rtol=0, atol=1e-12 if exact else 1e-6
    )


@by_exact
@by_type
@by_metric
def test_each_category_gets_what_it_gets_alone_on_the_cpu(metric, dtype, exact, rng):
    scores, y, known = make_ragged(rng, dtype, [40, 300, 5], levels=8)
    values = evaluate(metric, scores, y, known, exact=exact)
    for rows, own_y, own, expected in zip(scores, y, known, values, strict=True):
        alone = METRICS[metric][1](rows[:, own], own_y[own], exact=exact)
        assert_allclose(expected, alone, rtol=0, atol=1e-14)


@by_exact
@by_type
@by_metric
def test_padding_has_no_part_in_a_score(metric, dtype, exact, rng):
    """Least and greatest scores, which padding could tie with, are known here."""
    scores, y, known = make_ragged(rng, dtype, [9, 30, 17])
    extremes = rng.choice([-np.inf, np.finfo(dtype).min, np.inf], scores.shape)
    scores = np.where(rng.random(scores.shape) < 0.5, extremes, scores).astype(dtype)
    before = evaluate(metric, scores, y, known, exact=exact)
    other = np.where(known[:, None], scores, dtype(-np.inf))
    after = evaluate(metric, other, y | ~known, known, exact=exact)
    assert_array_equal(after, before)
    tolerance = 1e-12 if exact else 1e-6
    assert_allclose(before, oracle(metric, scores, y, known), rtol=0, atol=tolerance)


@settings(max_examples=40)
@by_type
@by_metric
@given(seed=st.integers(0, 10_000), levels=st.sampled_from([None, 1, 3]))
def test_any_ragged_categories_agree_with_scikit_learn(metric, dtype, seed, levels):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(2, 40, rng.integers(1, 6)).tolist()
    problem = make_ragged(rng, dtype, lengths, n_vectors=2, levels=levels)
    values = evaluate(metric, *problem, exact=True)
    assert_allclose(values, oracle(metric, *problem), rtol=0, atol=1e-12)


@by_metric
def test_a_category_of_one_class_is_undefined_and_leaves_others_alone(metric, rng):
    scores, y, known = make_ragged(rng, np.float32, [20, 30, 25])
    expected = evaluate(metric, scores, y, known, exact=True)
    y[0] = True
    y[2] = False
    values = evaluate(metric, scores, y, known, exact=True)
    assert np.isnan(values[[0, 2]]).all()
    assert_array_equal(values[1], expected[1])


@by_metric
@pytest.mark.parametrize("shape", [(0, 3, 5), (2, 0, 5), (2, 3, 0)], ids=str)
def test_nothing_to_rank(metric, shape):
    labels = np.zeros((shape[0], shape[2]), dtype=bool)
    values = evaluate(metric, np.zeros(shape), labels, labels, exact=True)
    assert values.shape == shape[:2]
    assert np.isnan(values).all()


@pytest.mark.parametrize("device", DEVICES)
@by_metric
def test_many_rows_lose_no_digit(metric, device, rng):
    """Sums of ranks need more than single precision holds."""
    lengths = [150_000, 90_000]
    scores, y, known = make_ragged(rng, np.float32, lengths, n_vectors=1, levels=500)
    values = evaluate(metric, scores, y, known, exact=True, device=device)
    expected = [
        [METRICS[metric][2](own_y[own], rows[0][own])]
        for rows, own_y, own in zip(scores, y, known, strict=True)
    ]
    assert_allclose(values, expected, rtol=0, atol=1e-12)
