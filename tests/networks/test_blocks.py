"""Blocks of features: recorded while a network runs, pooled, and side by side."""

import copy
import pickle

import pytest
import torch
from joined_parts import cnn, images, mlp, run
from torch import nn

from cftlearn.networks._blocks import (
    InputFeatures,
    Layer,
    LayerFeatures,
    pooled,
    side_by_side,
)

CNN_LAYERS = [Layer("2", 4, 1), Layer("5", 5, 1), Layer("9", 6, None)]


def test_features_are_the_outputs_of_the_layers(rng):
    network, X = cnn().eval(), images(rng)
    x = torch.from_numpy(X)
    maps = network[:3](x)
    later = network[3:6](maps)
    vector = network[6:10](later)
    expected = [vector, maps.mean((2, 3)), later.mean((2, 3)), vector]
    got = run(LayerFeatures(network, "10", 6, CNN_LAYERS), X)
    torch.testing.assert_close(torch.from_numpy(got), torch.cat(expected, dim=1).data)


def test_what_is_changed_in_place_later_is_recorded_before(rng):
    network = mlp().eval()
    X = rng.standard_normal((7, 6)).astype("float32")
    normed = network[1:3](torch.from_numpy(X).relu())
    assert (normed < 0).any()  # which the ReLU in place would remove
    got = run(LayerFeatures(network, "5", 8, [Layer("2", 8, None)]), X)
    torch.testing.assert_close(torch.from_numpy(got[:, 8:]), normed.data)


@pytest.mark.parametrize(
    "again", [copy.deepcopy, lambda part: pickle.loads(pickle.dumps(part))]
)
def test_copies_watch_their_own_network(rng, again):
    part, X = LayerFeatures(cnn(), "10", 6, CNN_LAYERS), images(rng)
    before = run(part, X)
    other = again(part)
    with torch.no_grad():
        part.network[0].weight.zero_()
    torch.testing.assert_close(run(other, X), before)
    assert abs(run(part, X) - before).max() > 0.01


def test_no_hook_is_left(rng):
    part = LayerFeatures(cnn(), "10", 6, CNN_LAYERS)
    run(part, images(rng))
    with pytest.raises(RuntimeError):
        run(part, images(rng)[:, :, :2])
    assert not any(layer._forward_hooks for layer in part.modules())


def test_the_mode_is_that_of_the_network(rng):
    part = LayerFeatures(mlp(), "5", 8).train()
    x = torch.from_numpy(rng.standard_normal((7, 6)).astype("float32"))
    assert (part(x.clone()) == 0).sum() > (part.eval()(x.clone()) == 0).sum()  # dropout


def test_a_layer_must_run_once():
    shared = nn.Linear(6, 6)
    network = nn.Sequential(shared, nn.Tanh(), shared, nn.Linear(6, 3))
    with pytest.raises(ValueError, match=r"'0' must run once .*; it ran 2 times"):
        LayerFeatures(network, "3", 6, [Layer("0", 6, None)])(torch.ones(2, 6))


def test_without_a_head_the_first_block_is_the_output(rng):
    network, X = cnn(), images(rng)
    got = run(LayerFeatures(network, None, 3, [Layer("9", 6, None)]), X)
    torch.testing.assert_close(got[:, :3], run(network, X))


@pytest.mark.parametrize(
    ("shape", "axis", "over"),
    [
        ((2, 3), None, None),
        ((2, 3, 5), 1, (2,)),
        ((2, 3, 5), -1, (1,)),
        ((2, 3, 4, 5), 1, (2, 3)),
        ((2, 3, 4, 5), -1, (1, 2)),
        ((2, 3, 4, 5, 6), 1, (2, 3, 4)),
    ],
)
def test_pooled(shape, axis, over):
    output = torch.randn(shape)
    expected = output if over is None else output.numpy().mean(over)
    torch.testing.assert_close(pooled(output, axis), torch.as_tensor(expected))


def test_vectors_are_repeated_beside_those_per_category():
    vector, per_category = torch.randn(2, 3), torch.randn(2, 5, 4)
    got = side_by_side([vector, per_category])
    assert got.shape == (2, 5, 7)
    for category in range(5):
        torch.testing.assert_close(got[:, category, :3], vector)
    torch.testing.assert_close(got[..., 3:], per_category)


def test_input_features_are_the_scaled_input():
    part = InputFeatures(3)
    part.scale.fill_(2.0)
    assert part(torch.ones(1, 3)).tolist() == [[2.0] * 3]
