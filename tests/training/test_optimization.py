"""Optimizers, schedules, the moving average and factors of positives."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits
from training_parts import (
    PLAN,
    same_weights,
    train,
    train_by_plan,
)

from cftlearn._inputs import read_inputs
from cftlearn.labels._label_split import TrainingTargets
from cftlearn.losses import make_loss
from cftlearn.metrics import partial_roc_auc_score
from cftlearn.training import NetworkTrainer
from cftlearn.training._loop import train_network
from cftlearn.training._optimization import (
    MovingAverage,
    make_optimizer,
    make_schedule,
    parameter_groups,
    positive_weights,
)


def test_weight_decay_spares_biases_and_norms():
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.LayerNorm((4, 5, 5)),
        nn.GroupNorm(2, 4),
        nn.Flatten(),
        nn.Linear(100, 3),
    )
    network.register_parameter("bias", nn.Parameter(torch.zeros(2, 2)))
    decayed, spared = parameter_groups(network, 0.3)
    assert decayed["weight_decay"] == 0.3
    assert spared["weight_decay"] == 0.0
    names = {id(p): name for name, p in network.named_parameters()}
    assert [names[id(p)] for p in decayed["params"]] == ["0.weight", "5.weight"]
    assert len(spared["params"]) == len(names) - 2


def test_training_decays_no_biases_and_norms(problem):
    """With the loss always 0, decay is all that moves a parameter."""
    module = nn.Sequential(
        nn.Linear(6, 8),
        nn.BatchNorm1d(8),
        nn.Unflatten(1, (2, 4)),
        nn.LayerNorm((2, 4)),  # whose weights have two dimensions
        nn.Flatten(),
        nn.Linear(8, 3),
    )
    trained, _ = train_by_plan(
        module, *problem, loss=lambda logits, _: 0.0 * logits.sum()
    )
    for name, value in trained.named_parameters():
        before = module.get_parameter(name)
        if name in ("0.weight", "5.weight"):
            assert (value.abs() < before.abs()).all(), name
        else:
            assert torch.equal(value, before), name


def test_frozen_parameters_stay(problem, network_factory):
    start = network_factory()
    start[0].requires_grad_(False)
    trained, _ = train_by_plan(start, *problem)
    assert same_weights(trained[0], start[0])
    assert not same_weights(trained[2], start[2])


def test_a_frozen_module_is_refused(problem, module):
    with pytest.raises(ValueError, match="all are frozen"):
        train_by_plan(module.requires_grad_(False), *problem)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("adamw", torch.optim.AdamW),
        ("adam", torch.optim.Adam),
        ("sgd", lambda groups, lr: torch.optim.SGD(groups, lr=lr, momentum=0.9)),
    ],
)
def test_optimizers_by_name_are_those_of_torch(problem, module, name, make):
    named, _ = train(module, *problem, optimizer=name, weight_decay=0.1)
    own, _ = train(
        module,
        *problem,
        optimizer=lambda groups, lr: make(groups, lr=lr),
        weight_decay=0.1,
    )
    assert same_weights(named, own)
    assert not same_weights(named, train(module, *problem, optimizer=name)[0])


@pytest.mark.parametrize(
    "make",
    [torch.optim.Adagrad, torch.optim.SGD, torch.optim.RMSprop],
    ids=lambda kind: kind.__name__,
)
def test_optimizers_without_momentum_have_a_cycle_too(problem, module, make):
    trained, _ = train(module, *problem, optimizer=lambda groups, lr: make(groups, lr))
    assert not same_weights(trained, module)


@pytest.mark.parametrize("accumulation_steps", [1, 3, 100])
@pytest.mark.parametrize("batch_size", [7, 120])
def test_the_cycle_is_completed(problem, module, accumulation_steps, batch_size):
    rates = []

    class Spy(torch.optim.AdamW):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    _, history = train(
        module,
        *problem,
        plan=replace(PLAN, batch_size=batch_size, max_epochs=30),
        optimizer=lambda groups, lr: Spy(groups, lr=lr),
        accumulation_steps=accumulation_steps,
    )
    n_steps = -(-120 // (batch_size * accumulation_steps))
    assert len(rates) == 30 * n_steps
    assert rates[0] == pytest.approx(1e-2 / 25)
    assert max(rates) > 0.97e-2
    assert rates[-1] == pytest.approx(1e-2 / 25 / 1e4)
    assert [line["learning_rate"] for line in history] == rates[n_steps - 1 :: n_steps]


def test_other_schedules(problem, module):
    parameter = nn.Linear(2, 2)
    optimizer = make_optimizer(parameter, NetworkTrainer(), 0.5)
    cosine = make_schedule(optimizer, NetworkTrainer(schedule="cosine"), 10)
    rates = []
    for _ in range(10):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        cosine.step()
    assert_allclose(rates, 0.25 * (1 + np.cos(np.pi * np.arange(10) / 10)))
    _, history = train(module, *problem, schedule="constant")
    assert [line["learning_rate"] for line in history] == [1e-2] * 4

    def halve(optimizer, n_steps):
        assert n_steps == 16
        return torch.optim.lr_scheduler.StepLR(optimizer, step_size=4, gamma=0.5)

    _, history = train(module, *problem, schedule=halve)
    expected = [1e-2, 5e-3, 2.5e-3, 1.25e-3]
    assert_allclose([line["learning_rate"] for line in history], expected)


@pytest.mark.parametrize("what", ["optimizer", "schedule"])
def test_callables_that_make_something_else(problem, module, what):
    with pytest.raises(TypeError, match=rf"`{what}` must return a torch .* got int"):
        train(module, *problem, **{what: lambda *_: 3})


# ---------------------------------------------------------------------- moving average
def test_the_average_is_that_of_a_loop(problem, normed):
    """Oracle: weights and buffers after every step, averaged by hand."""
    seen, decay = [copy.deepcopy(normed.state_dict())], 0.5

    class Spy(torch.optim.AdamW):
        def step(self, closure=None):
            super().step(closure)
            seen.append(copy.deepcopy(trained.state_dict()))

    trained = copy.deepcopy(normed)
    plan = replace(
        PLAN,
        trainer=NetworkTrainer(optimizer=lambda g, lr: Spy(g, lr=lr), ema_decay=decay),
    )
    train_network(trained, read_inputs(problem[0]), TrainingTargets(problem[1]), plan)
    mean = {name: value.double() for name, value in seen[0].items()}
    for t, weights in enumerate(seen[1:], 1):
        share = min(decay, (1 + t) / (10 + t))
        for name, value in weights.items():
            mean[name] = share * mean[name] + (1 - share) * value.double()
    assert len(seen) == 17
    for name, value in trained.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value.double(), mean[name], rtol=1e-5, atol=1e-6)
        else:
            assert value == seen[-1][name] == 16
    assert not torch.equal(trained.state_dict()["1.running_mean"], mean["0.bias"])


def test_an_average_moves_tied_weights_once():
    network = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    network[1].weight = network[0].weight
    average = MovingAverage(network, 0.5)
    start = network[0].weight.detach().clone()
    with torch.no_grad():
        network[0].weight += 1.0
    average.update(network)
    share = 1.0 - 2 / 11
    torch.testing.assert_close(average.network[0].weight, start + share)


def test_the_average_is_what_is_evaluated(problem, normed, held_out):
    trained, history = train(normed, *problem, held_out, ema_decay=0.9)
    with torch.no_grad():
        logits = trained(torch.from_numpy(held_out.inputs.items)).numpy()
    score = partial_roc_auc_score(held_out.labels, logits)
    assert history[-1]["val_score"] == pytest.approx(score)
    _, plain = train(normed, *problem, held_out)
    assert history[0]["loss"] == plain[0]["loss"]  # what is trained is the same
    assert history[0]["val_loss"] != plain[0]["val_loss"]


# -------------------------------------------------------------------------- pos_weight
def test_balanced_weights_count_the_labels_that_count():
    targets = np.full((1000, 5), np.nan)
    targets[:30, 0], targets[30:40, 0] = 0.0, 1.0
    targets[:5, 1] = 1.0
    targets[:5, 2] = 0.0
    targets[:999, 3], targets[999, 3] = 0.0, 1.0
    targets[:999, 4], targets[999, 4] = 1.0, 0.0
    weights = positive_weights("balanced", targets)
    assert_allclose(weights, [3.0, 1.0, 1.0, 100.0, 0.01], rtol=1e-6)
    assert weights.dtype == torch.float32


def test_positive_weights_are_those_of_torch(problem, module):
    """Oracle: torch's own argument, on the known labels of full batches."""
    X, y = problem
    weights = torch.tensor([0.5, 2.0, 7.0])
    loss = make_loss("bce", pos_weight=positive_weights([0.5, 2, 7], y))
    plan = replace(PLAN, loss=loss, batch_size=1000, max_epochs=1)
    _, history = train(module, X, y, plan=plan)
    targets = torch.from_numpy(y).float()
    known = ~torch.isnan(targets)
    with torch.no_grad():
        every = binary_cross_entropy_with_logits(
            module(torch.from_numpy(X)),
            torch.nan_to_num(targets),
            pos_weight=weights,
            reduction="none",
        )
    assert history[0]["loss"] == pytest.approx(float(every[known].mean()), rel=1e-6)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, 2.0], r"shape \(3,\); got shape \(2,\)"),
        ([1.0, 0.0, 2.0], r"above 0; got 0.0 for category 1"),
        ([1.0, 2.0, np.inf], r"finite and above 0; got inf for category 2"),
    ],
)
def test_wrong_positive_weights(weights, message):
    with pytest.raises(ValueError, match=message):
        positive_weights(weights, np.ones((4, 3)))


def test_weights_of_positives_that_are_no_numbers():
    targets = np.array([[1.0, 0.0], [0.0, 1.0]])
    with pytest.raises(
        TypeError, match="`pos_weight` must be 'balanced' or one number"
    ):
        positive_weights(["a", "b"], targets)
