"""What the tests of training share: a plan, two ways to train, a Fabric to look at."""

import copy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import torch

from cftlearn._inputs import read_inputs
from cftlearn.labels._label_split import TrainingTargets
from cftlearn.losses import make_loss
from cftlearn.training import NetworkTrainer
from cftlearn.training._loop import train_network
from cftlearn.training._plan import TrainingPlan


class Strategy:
    def __init__(self, precision="32-true"):
        self.precision = SimpleNamespace(precision=precision)


class DDPStrategy(Strategy):
    """Known by its name: Fabric has two packages, and neither needs to be there."""


class FSDPStrategy(Strategy):
    pass


class FakeFabric:
    """What is read of a Fabric before it computes."""

    device = torch.device("cuda", 1)
    global_rank = 0

    def __init__(self, strategy=None, size=2):
        self.strategy, self.world_size = strategy or DDPStrategy(), size

    def all_reduce(self, data, reduce_op):
        raise NotImplementedError

    backward = broadcast = no_backward_sync = setup_module = all_reduce

    def __deepcopy__(self, memo):
        raise TypeError("process groups cannot be copied")


PLAN = TrainingPlan(
    loss=make_loss("bce"),
    max_epochs=4,
    batch_size=32,
    learning_rate=1e-2,
    seed=0,
    device="cpu",
)


def train(module, X, y, held_out=None, *, plan=PLAN, **finer):
    """Train a copy; return it and its history."""
    plan = replace(plan, trainer=NetworkTrainer(**finer))
    module = copy.deepcopy(module)
    trained = train_network(module, read_inputs(X), TrainingTargets(y), plan, held_out)
    return module, trained.history


def train_by_plan(module, X, y, **changes):
    """Train a copy by a plan with changes; return it and its history."""
    module = copy.deepcopy(module)
    plan = replace(PLAN, **changes)
    trained = train_network(module, read_inputs(X), TrainingTargets(y), plan)
    return module, trained.history


def same_weights(one, other):
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def add_noise(row):
    """Draw from two generators."""
    return torch.from_numpy(row) + 0.1 * np.random.standard_normal() + torch.rand(6)
