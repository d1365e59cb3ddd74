"""Principal coordinates against scikit-learn's PCA, and what may not change them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from cftlearn._features import _principal_axes, _stored
from cftlearn._features._principal_axes import (
    make_coordinates,
    make_feature_spaces,
    multiply,
)

SHAPES = {"more rows": (60, 7), "more features": (12, 30)}
by_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
by_name = pytest.mark.parametrize("name", ["standard", "tempered"])
by_type = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["f4", "f8"])
few = settings(max_examples=40)


def make_features(shape, dtype=np.float64, seed=0):
    """Draw correlated features of different means and deviations."""
    rng = np.random.default_rng(seed)
    d = shape[1]
    mixed = rng.standard_normal(shape) @ (np.eye(d) + 0.5 * rng.standard_normal((d, d)))
    Z = mixed * np.logspace(-1, 1, d) + rng.normal(0, 5, d)
    return Z.astype(dtype)


def space_of(Z, name="standard"):
    moments = StandardScaler().fit(Z)
    return make_feature_spaces(Z, moments.mean_, moments.scale_, [name])[name]


def tolerance(dtype):
    return 1e-4 if dtype == np.float32 else 1e-9


@by_type
@by_name
@by_shape
def test_coordinates_are_centred_and_uncorrelated(shape, name, dtype):
    Z = make_features(shape, dtype)
    space = space_of(Z, name)
    found = space.coordinates(Z)
    rank = min(shape[0] - 1, shape[1])
    assert found.shape == (len(Z), rank)
    size = tolerance(dtype) * space.variances[0]
    assert_allclose(found.mean(axis=0), 0, atol=size)
    covariance = found.T.astype(np.float64) @ found / len(Z)
    assert_allclose(covariance, np.diag(space.variances), atol=size)
    assert (np.diff(space.variances) <= 0).all()
    assert_allclose(space.axes.T @ space.axes, np.eye(rank), atol=tolerance(dtype))


@by_type
@by_name
@by_shape
def test_agrees_with_principal_component_analysis(shape, name, dtype):
    Z = make_features(shape, dtype)
    space = space_of(Z, name)
    deviation = Z.std(axis=0, dtype=np.float64)
    if name == "tempered":
        deviation = np.sqrt(deviation * np.sqrt(np.mean(deviation**2)))
    assert_allclose(space.scale, deviation, rtol=tolerance(dtype))
    oracle = PCA(len(space.variances)).fit(Z.astype(np.float64) / deviation)
    variances = oracle.explained_variance_ * (len(Z) - 1) / len(Z)
    size = tolerance(dtype) * variances[0]
    assert_allclose(space.variances, variances, atol=size)
    apart = np.abs(np.diff(variances)).min()
    assert apart > 1e-3  # else axes would not be unique
    cosines = np.sum(space.axes * oracle.components_.T, axis=0)
    assert_allclose(np.abs(cosines), 1, atol=tolerance(dtype))


@by_type
@by_name
@by_shape
def test_precision_is_that_of_the_features(shape, name, dtype):
    Z = make_features(shape, dtype)
    space = space_of(Z, name)
    assert space.axes.dtype == space.coordinates(Z).dtype == dtype
    assert space.variances.dtype == space.mean.dtype == space.scale.dtype == np.float64


# --- rows -------------------------------------------------------------------------


@by_name
@by_shape
@few
@given(seed=st.integers(0, 100))
def test_rows_that_leave_give_the_same_logits(shape, name, seed):
    rng = np.random.default_rng(seed)
    Z = make_features(shape, seed=seed)
    space = space_of(Z, name)
    weights, bias = rng.standard_normal((3, len(space.variances))), rng.normal(size=3)
    coef, intercept = space.leave(weights, bias)
    assert coef.shape == (3, shape[1])
    for rows in (Z, make_features(shape, seed=seed + 1)):
        expected = space.coordinates(rows) @ weights.T + bias
        assert_allclose(rows @ coef.T + intercept, expected, rtol=1e-7, atol=1e-7)


@by_name
@by_shape
@few
@given(seed=st.integers(0, 100))
def test_entering_undoes_leaving(shape, name, seed):
    space = space_of(make_features(shape, seed=seed), name)
    weights = np.random.default_rng(seed).standard_normal((1, len(space.variances)))
    coef, _ = space.leave(weights, np.zeros(1))
    assert_allclose(space.enter(coef[0]), weights[0], atol=1e-9)


@by_name
@by_shape
@few
@given(seed=st.integers(0, 100))
def test_rows_that_enter_keep_their_logits_up_to_the_bias(shape, name, seed):
    Z = make_features(shape, seed=seed)
    space = space_of(Z, name)
    coef = np.random.default_rng(seed).standard_normal(shape[1])
    logits = Z @ coef
    inside = space.coordinates(Z) @ space.enter(coef)
    assert_allclose(inside, logits - logits.mean(), atol=1e-9 * np.abs(logits).max())
    back, bias = space.leave(space.enter(coef)[np.newaxis], np.array([logits.mean()]))
    assert_allclose(Z @ back[0] + bias[0], logits, atol=1e-9 * np.abs(logits).max())
    if shape[0] > shape[1]:
        assert_allclose(back[0], coef, atol=1e-9)


@by_type
@by_name
@by_shape
def test_spread_is_the_deviation_of_logits(shape, name, dtype, rng):
    Z = make_features(shape, dtype)
    space = space_of(Z, name)
    weights = rng.standard_normal((4, len(space.variances)))
    coef, bias = space.leave(weights, rng.standard_normal(4))
    logits = Z.astype(np.float64) @ coef.T + bias
    assert_allclose(space.spread(weights), np.std(logits, axis=0), rtol=1e-4)


# --- what may not matter ----------------------------------------------------------


def up_to_sign(found, expected):
    signs = np.sign(np.sum(found * expected, axis=0))
    return found * signs


@by_shape
@few
@given(factors=arrays(np.float64, 30, elements=st.floats(1e-3, 1e3)))
def test_standard_coordinates_ignore_the_scale_of_a_feature(shape, factors):
    Z = make_features(shape)
    expected = space_of(Z).coordinates(Z)
    scaled = Z * factors[: shape[1]]
    found = space_of(scaled).coordinates(scaled)
    assert_allclose(up_to_sign(found, expected), expected, atol=1e-6)


@by_name
@by_shape
@few
@given(factor=st.floats(1e-3, 1e3), shift=st.floats(-10, 10))
def test_coordinates_ignore_one_scale_and_shift_of_all_features(
    shape, name, factor, shift
):
    Z = make_features(shape)
    expected = space_of(Z, name).coordinates(Z)
    moved = factor * (Z + shift)
    found = space_of(moved, name).coordinates(moved)
    assert_allclose(up_to_sign(found, expected), expected, atol=1e-6)


def test_tempered_coordinates_do_see_the_scale_of_a_feature():
    Z = make_features((60, 7))
    scaled = Z * np.where(np.arange(7) == 3, 100.0, 1.0)
    before, after = space_of(Z, "tempered"), space_of(scaled, "tempered")
    assert np.abs(after.axes[3, 0]) > 0.99 > np.abs(before.axes[3, 0])


@few
@given(scale=arrays(np.float64, st.integers(1, 8), elements=st.floats(1e-3, 1e3)))
def test_tempered_scale_lies_between_the_own_and_the_overall_one(scale):
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((20, len(scale))) * scale
    space = make_feature_spaces(Z, np.zeros(len(scale)), scale, ["tempered"])[
        "tempered"
    ]
    overall = np.sqrt(np.mean(scale**2))
    low, high = np.minimum(scale, overall), np.maximum(scale, overall)
    assert (space.scale >= low * (1 - 1e-9)).all()
    assert (space.scale <= high * (1 + 1e-9)).all()
    assert_allclose(np.log(space.scale), np.log(scale * overall) / 2, atol=1e-9)


@by_type
def test_batches_do_not_matter(monkeypatch, dtype):
    Z = make_features((60, 7), dtype)
    whole = space_of(Z)
    monkeypatch.setattr(_stored, "_BATCH_BYTES", 11 * 7 * 4)
    parts = space_of(Z)
    assert_allclose(parts.variances, whole.variances, rtol=tolerance(dtype))
    found, expected = parts.coordinates(Z), whole.coordinates(Z)
    assert_allclose(up_to_sign(found, expected), expected, atol=tolerance(dtype) * 10)


# --- directions in which nothing varies -------------------------------------------


@by_type
@by_name
@by_shape
def test_constant_features_are_dropped(shape, name, dtype):
    Z = make_features(shape, dtype)
    expected = space_of(Z, name)
    constant = np.full((len(Z), 2), 2.3, dtype)
    space = space_of(np.hstack([Z[:, :3], constant, Z[:, 3:]]), name)
    assert len(space.variances) == len(expected.variances)
    assert_allclose(space.axes[3:5], 0, atol=1e-12)
    coef, _ = space.leave(np.ones((1, len(space.variances))), np.zeros(1))
    assert_allclose(coef[0, 3:5], 0, atol=1e-12)


@by_name
@pytest.mark.parametrize("n", [40, 8, 6], ids=["more rows", "as many", "more features"])
def test_collinear_features_give_no_axes_of_their_own(n, name):
    Z = make_features((n, 4))
    space = space_of(np.hstack([Z, 3 * Z + 1]), name)
    assert len(space.variances) == 4


@by_type
@by_name
@pytest.mark.parametrize("n", [1, 3, 9])
def test_features_that_never_vary_give_no_axes(n, name, dtype):
    Z = np.full((n, 4), 0.75, dtype)
    space = space_of(Z, name)
    assert space.coordinates(Z).shape == (n, 0)
    assert space.enter(np.ones(4)).shape == (0,)
    coef, bias = space.leave(np.zeros((2, 0)), np.array([1.0, -2.0]))
    assert_array_equal(coef, np.zeros((2, 4)))
    assert_array_equal(bias, [1.0, -2.0])
    assert_array_equal(space.spread(np.zeros((2, 0))), [0.0, 0.0])


# --- coordinates of some rows -----------------------------------------------------


@pytest.mark.parametrize("most", [0, 1000], ids=["rotated later", "rotated at once"])
@by_type
@by_shape
def test_coordinates_of_parts_are_those_of_the_spaces(monkeypatch, shape, dtype, most):
    monkeypatch.setattr(_principal_axes, "_ROTATED_ROWS", most)
    Z = make_features(shape, dtype)
    spaces = {name: space_of(Z, name) for name in ("standard", "tempered")}
    made = make_coordinates([Z[:5], Z[5:6].astype(np.float64), Z[6:]], spaces)
    assert list(made) == list(spaces)
    weights = np.random.default_rng(0).standard_normal((3, made["standard"].n_axes))
    for name, rows in made.items():
        expected = spaces[name].coordinates(Z)
        size = tolerance(dtype) * np.abs(expected).max()
        assert rows.n_axes == expected.shape[1]
        assert rows.base.dtype == dtype
        assert_allclose(rows.take(), expected, atol=size)
        assert_allclose(rows.take([3, 1]), expected[[3, 1]], atol=size)
        own = weights[:, : rows.n_axes].astype(dtype)
        logits = rows.base @ rows.to_base(own.T)
        assert_allclose(logits, expected @ own.T, atol=50 * size)
        sums = rows.from_base(rows.base.T @ logits)
        assert_allclose(sums, expected.T @ logits, atol=size * np.abs(logits).sum())
    assert (made["standard"].base is made["tempered"].base) == (most == 0)


@by_type
@pytest.mark.parametrize("k", [0, 1, 3, 9])
def test_products_with_few_and_many_columns(k, dtype):
    rng = np.random.default_rng(0)
    matrix, columns = (rng.standard_normal(s).astype(dtype) for s in [(8, 5), (k, 5)])
    expected = matrix.astype(np.float64) @ columns.T
    found = multiply(matrix, columns.T)
    assert found.shape == (8, k)
    assert found.dtype == dtype
    assert_allclose(found, expected, atol=1e-5)
