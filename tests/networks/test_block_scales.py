"""Blocks of features with equal shares of the variance."""

import numpy as np
import pytest
import torch
from joined_parts import mlp, run
from torch import nn

from cftlearn.networks._block_scales import set_block_scales
from cftlearn.networks._blocks import InputFeatures, Layer, LayerFeatures
from cftlearn.networks._joined import JoinedNetwork

WIDTHS = [8, 8, 6]


def make_joined():
    part = LayerFeatures(mlp(first=nn.Identity()), "5", 8, [Layer("1", 8, None)])
    return JoinedNetwork([part, InputFeatures(6)], nn.Linear(22, 3))


def features(joined, X):
    return run(JoinedNetwork(joined.own_parts, nn.Identity()), X)


def totals(Z):
    return [block.var(axis=0).sum() for block in np.split(Z, [8, 16], axis=1)]


@pytest.fixture
def X(rng):
    return (50 * rng.standard_normal((40, 6)) + 1000).astype(np.float32)


def test_all_blocks_vary_like_the_first(X):
    joined = make_joined()
    Z, logits = features(joined, X), run(joined, X)
    assert max(totals(Z)) > 3 * min(totals(Z))
    factors = set_block_scales(joined, [Z[:7], Z[7:20], Z[20:]])
    after = features(joined, X)
    np.testing.assert_allclose(totals(after), totals(Z)[0], rtol=1e-3)
    np.testing.assert_allclose(after, Z * factors, rtol=1e-5)
    assert (np.split(factors, [8, 16])[0] == 1).all()
    scale = np.abs(logits).max()
    np.testing.assert_allclose(run(joined, X), logits, rtol=0, atol=1e-5 * scale)


def test_a_second_call_changes_nothing(X):
    joined = make_joined()
    set_block_scales(joined, [features(joined, X)])
    again = set_block_scales(joined, [features(joined, X)])
    np.testing.assert_allclose(again, 1, rtol=1e-4)


def test_constant_columns_and_blocks(X):
    joined = make_joined()
    Z = features(joined, X)
    Z[:, 9] = 0.1  # of a block that varies
    Z[:, 16:] = 1234.567  # a whole block
    factors = set_block_scales(joined, [Z])
    assert (factors[16:] == 1).all()
    assert np.isfinite(factors).all()
    np.testing.assert_allclose(totals(Z * factors)[1], totals(Z)[0], rtol=1e-3)
    Z = Z.copy()
    Z[:, :8] = 0.1  # the first block: the next one keeps its scale
    assert (set_block_scales(make_joined(), [Z]) == 1).all()


def test_vectors_per_category_count_as_rows(rng):
    Z = rng.standard_normal((10, 3, 22)) * ([1] * 8 + [5] * 8 + [0.1] * 6)
    per_category = set_block_scales(make_joined(), [Z])
    flat = set_block_scales(make_joined(), [Z.reshape(30, 22)])
    np.testing.assert_allclose(per_category, flat)


def test_features_that_are_not_there(X):
    joined = make_joined()
    with pytest.raises(ValueError, match="at least one batch; got none"):
        set_block_scales(joined, [])
    with pytest.raises(ValueError, match=r"must have the 22 columns .*; got 6"):
        set_block_scales(joined, [X])
    assert torch.equal(joined.own_parts[1].scale, torch.ones(6))
