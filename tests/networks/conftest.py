"""Fixtures of the tests of networks."""

import sys
from types import ModuleType

import numpy as np
import pytest
from network_parts import make_sized_network


@pytest.fixture
def X(rng):
    return rng.standard_normal((20, 6)).astype(np.float32)


@pytest.fixture
def own(monkeypatch):
    """The name of a module that can be imported."""
    module = ModuleType("networks_of_mine")
    module.make_network = make_sized_network
    module.not_callable = 3
    monkeypatch.setitem(sys.modules, "networks_of_mine", module)
    return "networks_of_mine:make_network"
