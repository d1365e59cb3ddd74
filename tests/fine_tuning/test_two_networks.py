"""Weights on the features of two networks: means at equal spread, biases, shares."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cftlearn.fine_tuning._initial_coef import InitialWeights
from cftlearn.fine_tuning._two_networks import (
    NetworkFeatures,
    average_with_head,
    move_scores,
    share_weights,
)
from cftlearn.labels import check_partial_labels
from cftlearn.labels._held_out_scores import HeldOutScores
from cftlearn.labels._label_split import LabelSplit, split_labels

N, C = 60, 3


def make_weights(rng, d, factor=1.0):
    return InitialWeights(factor * rng.standard_normal((C, d)), rng.standard_normal(C))


def make_network(rng, d, *, n_val=0, per_category=False, factor=1.0):
    shape = (C, d) if per_category else (d,)
    Z = 1 + factor * rng.standard_normal((N, *shape))
    Z_val = 1 + factor * rng.standard_normal((n_val, *shape)) if n_val else Z
    return NetworkFeatures(Z, Z_val, make_weights(rng, d))


def logits_of(network, weights):
    """Oracle: one row and category at a time."""
    parts = [network.Z] if network.Z is network.Z_val else [network.Z, network.Z_val]
    Z = np.concatenate(parts)
    Z = Z if Z.ndim == 3 else np.repeat(Z[:, None], C, axis=1)
    return np.array(
        [
            [row[j] @ weights.coef[j] + weights.intercept[j] for j in range(C)]
            for row in Z
        ]
    )


def make_split(rng, n_val=0):
    y = (rng.random((N + n_val, C)) < 0.4).astype(float)
    y[rng.random(y.shape) < 0.3] = np.nan
    if not n_val:
        return split_labels(check_partial_labels(y), 0.25, np.arange(C)), y
    own, others = check_partial_labels(y[:N]), check_partial_labels(y[N:])
    return LabelSplit(own, others, same_rows=False), y


@pytest.fixture(params=[(0, False), (20, False), (0, True), (20, True)])
def case(request, rng):
    n_val, per_category = request.param
    return n_val, per_category


# ------------------------------------------------------------ the head of the second
def test_the_head_is_scaled_to_the_refitted_weights(rng, case):
    n_val, per_category = case
    network = make_network(rng, 5, n_val=n_val, per_category=per_category)
    refitted = make_weights(rng, 5, factor=0.01)
    average = average_with_head(network, refitted)
    own, head = logits_of(network, refitted), logits_of(network, network.initial)
    scale = own.std(axis=0) / head.std(axis=0)
    assert_allclose(logits_of(network, average), (own + scale * head) / 2)


def test_weights_averaged_with_themselves_stay(rng):
    network = make_network(rng, 5)
    average = average_with_head(network, network.initial)
    assert_allclose(average.coef, network.initial.coef)
    assert_allclose(average.intercept, network.initial.intercept)


def test_the_scale_of_the_head_does_not_matter(rng):
    network = make_network(rng, 5)
    refitted = make_weights(rng, 5)
    larger = network._replace(
        initial=InitialWeights(1000 * network.initial.coef, network.initial.intercept)
    )
    one, other = (average_with_head(each, refitted) for each in (network, larger))
    assert_allclose(one.coef, other.coef)


# ---------------------------------------------------------------------- two networks
def test_shares_are_one_third_and_two_thirds_at_equal_spread(rng, case):
    n_val, per_category = case
    first = make_network(rng, 5, n_val=n_val, per_category=per_category)
    second = make_network(rng, 4, n_val=n_val, per_category=per_category, factor=7.0)
    weights = make_weights(rng, 5), make_weights(rng, 4, factor=3.0)
    split, _ = make_split(rng, n_val)
    parts = share_weights(first, weights[0], second, weights[1], split)
    own, other = (
        logits_of(network, each)
        for network, each in ((first, weights[0]), (second, weights[1]))
    )
    ratio = own.std(axis=0) / other.std(axis=0)
    assert_allclose(parts[0].coef, weights[0].coef / 3)
    assert_allclose(parts[1].coef, weights[1].coef * 2 / 3 * ratio[:, None])
    for part, network, centred in (
        (parts[0], first, own / 3),
        (parts[1], second, other * ratio * 2 / 3),
    ):
        logits = logits_of(network, part)
        assert_allclose(
            logits - logits.mean(axis=0), centred - centred.mean(axis=0), atol=1e-9
        )


def test_biases_are_the_likeliest_for_all_known_labels(rng, case):
    """At the maximum of the likelihood, the mean of the residuals is 0."""
    n_val, per_category = case
    first = make_network(rng, 5, n_val=n_val, per_category=per_category)
    second = make_network(rng, 4, n_val=n_val, per_category=per_category)
    split, y = make_split(rng, n_val)
    weights = make_weights(rng, 5, 0.3), make_weights(rng, 4, 0.3)
    parts = share_weights(first, weights[0], second, weights[1], split)
    joined = logits_of(first, parts[0]) + logits_of(second, parts[1])
    assert_array_equal(parts[1].intercept, 0)
    for j in range(C):
        known = ~np.isnan(y[:, j])
        proba = 1 / (1 + np.exp(-joined[known, j]))
        assert proba.mean() == pytest.approx(y[known, j].mean(), abs=1e-6)


def test_a_category_with_one_class_keeps_the_shares_of_its_biases(rng):
    first, second = make_network(rng, 5), make_network(rng, 4)
    y = (rng.random((N, C)) < 0.4).astype(float)
    y[y[:, 0] == 0, 0] = np.nan  # no known negative
    y[:, 1] = np.nan  # no known label
    split = split_labels(check_partial_labels(y), 0.25, np.arange(C))
    weights = make_weights(rng, 5), make_weights(rng, 4)
    parts = share_weights(first, weights[0], second, weights[1], split)
    spreads = [
        logits_of(network, own).std(axis=0)
        for network, own in zip((first, second), weights, strict=True)
    ]
    ratio = 2 / 3 * spreads[0] / spreads[1]
    assert_allclose(parts[0].intercept[:2], weights[0].intercept[:2] / 3)
    assert_allclose(parts[1].intercept[:2], (ratio * weights[1].intercept)[:2])
    assert parts[1].intercept[2] == 0


def test_nothing_that_was_passed_is_changed(rng):
    first, second = make_network(rng, 5), make_network(rng, 4)
    weights = make_weights(rng, 5), make_weights(rng, 4)
    before = [each.copy() for own in weights for each in (own.coef, own.intercept)]
    share_weights(first, weights[0], second, weights[1], make_split(rng)[0])
    average_with_head(second, weights[1])
    after = [each for own in weights for each in (own.coef, own.intercept)]
    for one, other in zip(before, after, strict=True):
        assert_array_equal(one, other)


# -------------------------------------------------------- scores of held-out labels
def test_scores_move_as_their_logits_do(rng):
    """Oracle: scores that are the logits of some rows become the new ones there."""
    split, _ = make_split(rng)
    before = rng.standard_normal((N, C))
    after = before * [0.1, 3.0, 50.0] + [4.0, 0.0, -7.0]
    known = [split.held_out.of_category(j) for j in range(C)]
    own = [before[rows, j] for j, (rows, *_) in enumerate(known)]
    scores = HeldOutScores.from_logits(split.held_out, own)
    moved = move_scores(scores, before, after)
    assert moved.n_rows == N
    for j, (rows, y, *_) in enumerate(known):
        assert_allclose(moved.columns[j].logits, after[rows, j])
        assert_array_equal(moved.columns[j].rows, rows)
        assert_array_equal(moved.columns[j].y, y)
        assert_array_equal(scores.columns[j].logits, own[j])


def test_scores_of_no_spread_only_move(rng):
    split, _ = make_split(rng)
    own = [rng.standard_normal(k) for k in split.held_out.known.sum(axis=0)]
    scores = HeldOutScores.from_logits(split.held_out, own)
    after = rng.standard_normal((N, C))
    moved = move_scores(scores, np.full((N, C), 2.0), after)
    for j in range(C):
        expected = own[j] - 2 + after[:, j].mean()
        assert_allclose(moved.columns[j].logits, expected)


# ---------------------------------------------------------------- logits of no spread
@pytest.mark.parametrize("constant", [0.0, 0.1, 1e5])
def test_a_network_that_died_leaves_finite_weights(rng, constant):
    """All units of a layer may be dead: features are then the same in every row."""
    first, second = make_network(rng, 5), make_network(rng, 4)
    second.Z[:] = constant
    weights = make_weights(rng, 5), make_weights(rng, 4)
    average = average_with_head(second, weights[1])
    parts = share_weights(first, weights[0], second, average, make_split(rng)[0])
    for own in (average, *parts):
        assert np.abs(own.coef).max() < 100
        assert np.abs(own.intercept).max() < 1e7
    logits = logits_of(first, parts[0]) + logits_of(second, parts[1])
    expected = logits_of(first, weights[0])
    for j in range(C):
        assert np.corrcoef(logits[:, j], expected[:, j])[0, 1] == pytest.approx(1)


def test_weights_of_zero_are_no_exception(rng):
    first, second = make_network(rng, 5), make_network(rng, 4)
    zero = InitialWeights(np.zeros((C, 4)), np.ones(C))
    network = second._replace(initial=zero)
    refitted = make_weights(rng, 4)
    average = average_with_head(network, refitted)
    assert_allclose(average.coef, refitted.coef / 2)
    parts = share_weights(first, make_weights(rng, 5), second, zero, make_split(rng)[0])
    assert_array_equal(parts[1].coef, 0)
    for part in parts:
        assert np.isfinite(part.coef).all()
        assert np.isfinite(part.intercept).all()
