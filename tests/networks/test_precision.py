"""Networks whose values cannot be computed with, and what failures are said to be."""

import pytest
import torch
from network_parts import make_network
from torch import nn

from cftlearn import CFTClassifier, TorchFeatureExtractor
from cftlearn.networks._precision import (
    check_parameters,
    failure_of,
    other_precision,
)


def sparse_network():
    network = make_network()
    network[0].weight = nn.Parameter(network[0].weight.detach().to_sparse())
    return network


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: make_network().to("meta"), r"on the device 'meta'.*: 0\.weight, 0\."),
        (sparse_network, r"dense tensors; they are sparse: 0\.weight\. Store"),
    ],
    ids=["meta", "sparse"],
)
def test_networks_without_plain_values_are_refused(make, message, X):
    with pytest.raises(ValueError, match=message):
        check_parameters(make())
    for module in (make(), make):
        with pytest.raises(ValueError, match=message):
            TorchFeatureExtractor(module).transform(X)
    check_parameters(nn.Sequential(nn.LazyLinear(3)))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_precision_is_blamed_where_it_is_the_cause(dtype, X):
    network = make_network().to(dtype)
    message = rf"Its weights are {dtype}, and rows come in torch\.float32: convert"
    with pytest.raises(ValueError, match=message) as caught:
        TorchFeatureExtractor(network).transform(X)
    assert "channels first" not in str(caught.value)


class Casting(nn.Module):
    """A network in double that converts what it gets."""

    def __init__(self):
        super().__init__()
        self.body = make_network().double()

    def forward(self, x):
        return self.body(x.double())


def test_a_network_that_casts_is_used(X):
    assert TorchFeatureExtractor(Casting()).transform(X).shape == (20, 8)


def test_inputs_are_blamed_where_precision_is_not_the_cause(X):
    with pytest.raises(ValueError, match="channels first") as caught:
        TorchFeatureExtractor(make_network()).transform(X[:, :3])
    assert "float()" not in str(caught.value)
    batch = torch.ones(2, 6)
    assert other_precision(make_network(), batch) is None
    assert other_precision(nn.ReLU(), batch.double()) is None
    assert other_precision(make_network(), batch.int()) is None
    assert other_precision(make_network(), batch.double()) is torch.float32
    assert failure_of(make_network(), batch, ValueError("no.\nway")) == (
        "it failed on a batch of shape (2, 6) and type torch.float32: no."
    )


class OnlyInTraining(nn.Module):
    """A network that computes in double when it trains."""

    def __init__(self):
        super().__init__()
        self.body = make_network().double()

    def forward(self, x):
        return self.body(x if self.training else x.double()).float()


def test_precision_is_blamed_in_training_too(X, rng):
    y = (rng.random((20, 3)) < 0.5).astype(float)
    model = CFTClassifier(OnlyInTraining, max_epochs=1, retrain=False, random_state=0)
    with pytest.raises(ValueError, match=r"in training mode; .*convert it by mod"):
        model.fit(X, y)
