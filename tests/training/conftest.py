"""A small problem, networks, and labels that are held out."""

import numpy as np
import pytest
from torch import nn

from cftlearn._inputs import read_inputs
from cftlearn.metrics._objectives import make_objective
from cftlearn.training._plan import HeldOut


@pytest.fixture
def problem(partial_problem):
    Z, y, _ = partial_problem
    return Z.astype(np.float32), y


@pytest.fixture
def module(network_factory):
    return network_factory()


@pytest.fixture
def normed():
    """Return a network with buffers."""
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))


@pytest.fixture
def held_out(rng):
    """Rows that nothing is trained on, some of them with unknown labels."""
    X = rng.standard_normal((50, 6)).astype(np.float32)
    labels = (X[:, :3] + rng.standard_normal((50, 3)) > 0).astype(np.float64)
    labels[rng.random(labels.shape) < 0.3] = np.nan
    return HeldOut(read_inputs(X), labels, make_objective("roc_auc"))
