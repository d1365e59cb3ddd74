"""Where in a network features are taken, and how it runs."""

import copy

import numpy as np
import pytest
import torch
from extraction_parts import extract, seeded
from torch import nn

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")  # 1 core


def by_hand(network, layer, X, side="output"):
    """Run a copy at once, and give what a layer saw or gave."""
    network, caught = copy.deepcopy(network).eval(), []
    network.get_submodule(layer).register_forward_hook(
        lambda _, seen, output: caught.append(seen[0] if side == "input" else output)
    )
    with torch.no_grad():
        network(torch.from_numpy(X).float())
    return caught[0].flatten(1).numpy()


# --------------------------------------------------------- where features are taken
@pytest.mark.parametrize("layer", ["fc", "hidden", "pool"])
def test_a_named_layer_gives_its_output(X, layer):
    network = seeded()
    Z = extract(network, X, layer=layer)
    assert Z.dtype == np.float32
    np.testing.assert_allclose(Z, by_hand(network, layer, X), rtol=1e-5, atol=1e-6)


def test_by_default_features_are_what_the_classification_layer_sees(X):
    network = seeded()
    expected = by_hand(network, "fc", X, side="input")
    np.testing.assert_allclose(extract(network, X), expected, rtol=1e-5, atol=1e-6)


def test_a_network_that_is_the_layer_gives_its_inputs(rows):
    np.testing.assert_array_equal(extract(nn.Linear(6, 3), rows), np.float32(rows))


@pytest.mark.parametrize("layer", [None, ""], ids=["default", "named"])
def test_a_network_without_a_head_gives_its_output(X, layer):
    network = seeded(head=nn.Identity())
    expected = by_hand(network, "", X)
    Z = extract(network, X, layer=layer)
    np.testing.assert_allclose(Z, expected, rtol=1e-5, atol=1e-6)


def test_a_network_without_linear_layers_gives_its_output(X):
    pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1))
    np.testing.assert_allclose(extract(pooled, X), X.mean(axis=(2, 3)), atol=1e-6)


def test_where_the_last_step_is_unclear_the_layer_must_be_named(rows):
    network = nn.Sequential(nn.Linear(6, 3), nn.Sigmoid())
    message = r"must be its last nn\.Linear, '0'.* another tensor, .* layer=''"
    with pytest.raises(ValueError, match=message):
        extract(network, rows)
    expected = by_hand(network, "0", rows)
    np.testing.assert_allclose(extract(network, rows, layer="0"), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("maps", r"'maps' must give one vector per row; .* \(1, 4, 6, 7\) for 1 rows"),
        ("head", r"`layer` must name a layer of the network; got 'head'.* 'hidden'"),
    ],
)
def test_a_layer_that_gives_no_vectors_is_refused(X, layer, message):
    with pytest.raises(ValueError, match=message):
        extract(seeded(), X, layer=layer)


class Odd(nn.Module):
    def __init__(self, use):
        super().__init__()
        self.part = nn.Tanh()
        self.use = use

    def forward(self, X):
        return self.use(self.part, X)


@pytest.mark.parametrize(
    ("use", "layer", "message"),
    [
        (lambda part, X: part(X) + part(-X), "part", "must run once .* ran 2 times"),
        (lambda _, X: X, "part", r"ran 0 times\. Name another layer with `layer`"),
        (lambda part, X: {"z": part(X)}, "", "The network must give a tensor; .* dict"),
    ],
    ids=["twice", "never", "a dict"],
)
def test_a_layer_that_does_not_run_once_is_refused(rows, use, layer, message):
    with pytest.raises(ValueError, match=message):
        extract(Odd(use), rows, layer=layer)


# ------------------------------------------------------------------ how it runs
def test_the_network_is_left_as_it_was(X):
    network = seeded()
    network.maps.eval()
    modes = {name: part.training for name, part in network.named_modules()}
    weights = copy.deepcopy(network.state_dict())
    for options in ({}, {"layer": "pool"}, {"amp": True}):
        extract(network, X, **options)
    assert {name: part.training for name, part in network.named_modules()} == modes
    assert all(torch.equal(network.state_dict()[key], weights[key]) for key in weights)
    assert not any(part._forward_hooks for part in network.modules())
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_features_do_not_depend_on_the_batch_size(X):
    network = seeded()
    expected = extract(network, X, batch_size=1000)
    for batch_size in (1, 7, 23):
        Z = extract(network, X, batch_size=batch_size)
        np.testing.assert_allclose(Z, expected, rtol=1e-5, atol=1e-6)


def test_half_precision_is_near(X):
    network = seeded()
    whole, half = extract(network, X), extract(network, X, amp=True)
    assert half.dtype == np.float32
    assert not np.array_equal(whole, half)
    np.testing.assert_allclose(half, whole, rtol=0.05, atol=0.05)


class Full(nn.Module):
    def forward(self, X):
        if len(X) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB")
        return X


def test_memory_that_runs_out_names_the_batch_size(rows):
    message = (
        r"more memory .* on cpu for batches of 5 rows\. Lower `batch_size`\. \(CUD"
    )
    with pytest.raises(torch.OutOfMemoryError, match=message):
        extract(Full(), rows, device="cpu")


def test_features_that_are_not_finite_name_the_row(rows):
    network = nn.Sequential(nn.Linear(6, 3))
    rows = rows.astype(np.float32)
    rows[[11, 13], 2] = 3e38
    with pytest.raises(
        ValueError, match=r"NaN or infinity for 2 of 5 rows.* is row 11\."
    ):
        extract(nn.Sequential(Odd(lambda _, X: 2 * X), network[0]), rows)


@pytest.mark.gpu
@pytest.mark.parametrize("amp", [False, True])
def test_a_gpu_gives_the_same(X, amp):
    network = seeded()
    expected = extract(network, X, device="cpu")
    Z = extract(network, X, device="cuda", amp=amp)
    np.testing.assert_allclose(Z, expected, rtol=0.05, atol=0.05)
    assert next(network.parameters()).device.type == "cpu"
