"""Inputs of the classification layer as one array."""

import copy

import numpy as np
import pytest
import torch
from network_parts import Branched, extract, make_network
from torch import nn

from cftlearn.feature_extraction._in_memory import extract_features


def fail(*_):
    raise OSError("out of order")


@pytest.fixture
def X(rng):
    return rng.standard_normal((20, 6)).astype(np.float32)


def test_features_equal_a_forward_pass_by_hand(X):
    module = Branched().train()
    module.backbone[1].running_mean.normal_()
    with torch.no_grad():
        expected = copy.deepcopy(module).eval().backbone(torch.from_numpy(X)).numpy()
    Z = extract(module, X, head="tail.classifier")
    assert Z.dtype == np.float32
    np.testing.assert_allclose(Z, expected, rtol=1e-6, atol=1e-6)


def test_features_of_a_network_that_is_the_layer_are_its_inputs(X):
    np.testing.assert_array_equal(extract(nn.Linear(6, 3), X), X)


@pytest.mark.parametrize("batch_size", [1, 3, 20, 1000])
def test_features_do_not_depend_on_the_batch_size(X, batch_size):
    module = Branched()
    expected = extract(module, X, head="tail.classifier", batch_size=20)
    Z = extract(module, X, head="tail.classifier", batch_size=batch_size)
    np.testing.assert_allclose(Z, expected, rtol=1e-6, atol=1e-6)


def test_extraction_changes_nothing_in_the_network(X):
    module = Branched().train()
    before = copy.deepcopy(module.state_dict())
    extract(module, X, head="tail.classifier")
    for key, value in module.state_dict().items():
        assert torch.equal(value, before[key]), key
    assert not module.tail["classifier"]._forward_hooks


@pytest.mark.parametrize("fails", [False, True], ids=["success", "exception"])
@pytest.mark.parametrize("frozen", [False, True], ids=["training", "part frozen"])
def test_extraction_restores_the_mode_of_every_layer(X, fails, frozen):
    module = Branched().train()
    module.backbone[1].train(not frozen)
    before = {name: layer.training for name, layer in module.named_modules()}
    if fails:
        module.backbone.register_forward_hook(fail)
        with pytest.raises(OSError, match="out of order"):
            extract(module, X, head="tail.classifier")
    else:
        extract(module, X, head="tail.classifier")
    assert {name: layer.training for name, layer in module.named_modules()} == before
    assert not module.tail["classifier"]._forward_hooks


class Traveller(nn.Linear):
    """A layer that notes where it is sent, and stays where it is."""

    def to(self, device):
        self.__dict__.setdefault("moves", []).append(str(device))
        return self


def test_extraction_restores_the_device_after_an_exception(X):
    module = Traveller(6, 3)
    with pytest.raises(ValueError, match="at least one row"):
        extract(module, X[:0], device="meta")
    assert module.moves == ["meta", "cpu"]


@pytest.mark.gpu
@pytest.mark.parametrize("home", ["cpu", "cuda:0"])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_extraction_restores_the_device(X, home, device):
    module = make_network().to(home)
    expected = extract(copy.deepcopy(module).cpu(), X)
    np.testing.assert_allclose(extract(module, X, device=device), expected, atol=1e-2)
    assert str(next(module.parameters()).device) == home


class Misused(nn.Module):
    """Networks whose layer is not the last step, or not run as it must be."""

    def __init__(self, use):
        super().__init__()
        self.fc = nn.Linear(6, 3)
        self.use = use

    def forward(self, X):
        return self.use(self.fc, X)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        pytest.param(
            lambda fc, X: torch.sigmoid(fc(X)),
            "must be the last step of the network.*Remove what follows it",
            id="sigmoid after it",
        ),
        pytest.param(
            lambda fc, X: {"logits": fc(X)}, "must be the last step", id="a dict"
        ),
        pytest.param(
            lambda fc, X: fc(X)[:, :2], "must be the last step", id="a part of it"
        ),
        pytest.param(
            lambda fc, X: fc(X) + fc(-X), "must run once .* it ran 2 times", id="twice"
        ),
        pytest.param(
            lambda _, X: X[:, :3], "must run once .* it ran 0 times", id="never"
        ),
        pytest.param(
            lambda fc, X: fc(X.unsqueeze(1).expand(-1, 4, -1)),
            r"one vector per row; it sees an array of shape \(7, 4, 6\) for 7 rows",
            id="a sequence per row",
        ),
        pytest.param(
            lambda fc, X: fc(torch.cat([X, X])),
            r"it sees an array of shape \(14, 6\) for 7 rows",
            id="two vectors per row",
        ),
    ],
)
def test_a_misplaced_layer_is_refused(X, use, message):
    with pytest.raises(ValueError, match=message):
        extract(Misused(use), X)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_features_that_are_not_finite_name_the_row(X, value):
    X[[11, 13, 17], 2] = value
    with pytest.raises(
        ValueError, match=r"NaN or infinity for 2 of 7 rows.* is row 11\."
    ):
        extract(nn.Linear(6, 3), X)


def test_weights_that_are_not_finite_are_told(X):
    module = make_network()
    nn.init.constant_(module[0].weight, torch.nan)
    with pytest.raises(ValueError, match=r"finite features; .* 7 of 7 rows .* row 0\."):
        extract(module, X)


def test_extraction_needs_a_row(X):
    with pytest.raises(ValueError, match="`X` must hold at least one row; got none"):
        extract(make_network(), X[:0])


def test_embeddings_take_integers(rng):
    module = nn.Sequential(nn.Embedding(10, 4), nn.Flatten(), nn.Linear(8, 3))
    X = rng.integers(0, 10, (5, 2))
    expected = module[0].weight.detach().numpy()[X].reshape(5, 8)
    np.testing.assert_array_equal(extract(module, X), expected)


@pytest.mark.parametrize(
    ("X", "what"),
    [
        (
            np.zeros((4, 1, 8, 8), dtype=np.uint8),
            r"shape \(4, 1, 8, 8\) .*torch\.uint8",
        ),
        (np.zeros((4, 8, 8, 1), dtype=np.float32), r"shape \(4, 8, 8, 1\)"),
    ],
    ids=["bytes", "channels last"],
)
def test_inputs_that_do_not_fit_the_network_are_named(X, what):
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 3))
    match = rf"`module` must accept the rows of `X`; it failed on a batch of {what}"
    with pytest.raises(ValueError, match=match):
        extract_features(network, "2", X, batch_size=8, device="cpu")
