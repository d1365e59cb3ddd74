"""Probabilities as targets: cross-entropy, cell by cell."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loss_parts import NAN, batch, sigmoid, slopes_of, value_of
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from cftlearn.losses._soft import soft_target_loss


def by_hand(logits, soft):
    total, n = 0.0, 0
    for cell in np.ndindex(soft.shape):
        q = soft[cell]
        if not np.isnan(q):
            p = sigmoid(logits[cell])
            total -= q * np.log(p) + (1 - q) * np.log(1 - p)
            n += 1
    return total / max(n, 1)


def test_the_mean_over_cells_with_a_target(rng):
    logits, target = batch(rng)
    soft = np.where(np.isnan(target), NAN, rng.random(target.shape))
    value, gradient = value_of(soft_target_loss, logits, soft)
    assert value == pytest.approx(by_hand(logits, soft), rel=1e-9)
    slopes = slopes_of(lambda moved: by_hand(moved, soft), logits)
    assert_allclose(gradient, slopes, rtol=1e-5, atol=1e-9)
    assert_array_equal(gradient[np.isnan(soft)], 0)


def test_it_is_torchs_where_all_cells_have_one(rng):
    logits, target = batch(rng, unknown=0.0)
    expected = value_of(nn.BCEWithLogitsLoss(), logits, target)
    value, gradient = value_of(soft_target_loss, logits, target)
    assert value == pytest.approx(expected[0])
    assert_allclose(gradient, expected[1])


@given(st.floats(0, 1), st.floats(-30, 30))
def test_it_is_smallest_at_the_target(soft, logit):
    """Its slope is the probability less the target."""
    _, gradient = value_of(soft_target_loss, np.array([[logit]]), np.array([[soft]]))
    assert gradient[0, 0] == pytest.approx(sigmoid(logit) - soft, abs=1e-9)


def test_without_a_target_there_is_no_loss():
    logits, soft = np.zeros((3, 2)), np.full((3, 2), NAN)
    for own, cells in ((logits, soft), (logits[:0], soft[:0])):
        value, gradient = value_of(soft_target_loss, own, cells)
        assert value == 0
        assert_array_equal(gradient, 0)


@pytest.mark.parametrize("size", [17.0, 89.0, 200.0, 1e4])
def test_logits_far_out_stay_finite(size):
    logits = torch.tensor([[-size, size, NAN]], requires_grad=True)
    soft = torch.tensor([[0.7, 0.2, NAN]])
    value = soft_target_loss(logits, soft)
    value.backward()
    assert torch.isfinite(value)
    assert_allclose(logits.grad.numpy(), [[-0.35, 0.4, 0.0]], rtol=1e-6)


def test_targets_take_the_type_of_logits():
    logits = torch.zeros(1, 2, dtype=torch.float64)
    soft = torch.tensor([[0.5, 0.25]], dtype=torch.float32)
    assert soft_target_loss(logits, soft).dtype == torch.float64
