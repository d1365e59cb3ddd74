"""Stage one: training a network on labels of which some are unknown."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits
from training_parts import (
    same_weights,
    train_by_plan,
)

from cftlearn.exceptions import NonFiniteLossError
from cftlearn.losses import make_loss


@pytest.fixture
def module(network_factory):
    return nn.Sequential(*network_factory()[:2], nn.Dropout(0.2), network_factory()[2])


# -------------------------------------------------------------------------- randomness
def test_training_is_reproducible(problem, module):
    first, history = train_by_plan(module, *problem)
    torch.manual_seed(999)  # what happened before does not matter
    again, history_again = train_by_plan(module, *problem)
    assert same_weights(first, again)
    assert history == history_again
    other, _ = train_by_plan(module, *problem, seed=1)
    assert not same_weights(first, other)


def test_dropout_draws_from_the_seed(problem, module):
    """One batch of all rows: their order cannot matter, the dropped units do."""
    losses = [
        train_by_plan(module, *problem, max_epochs=1, batch_size=1000, seed=seed)[1][0][
            "loss"
        ]
        for seed in (0, 0, 1)
    ]
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize("fails", [False, True], ids=["success", "exception"])
def test_global_generators_stay_untouched(problem, module, fails):
    X, y = problem
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    if fails:
        with pytest.raises(NonFiniteLossError, match="must be finite"):
            train_by_plan(module, np.full_like(X, np.nan), y)
    else:
        train_by_plan(module, X, y)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])


# ---------------------------------------------------------------------- unknown labels
def test_fully_known_labels_train_as_torch_does(problem, network_factory):
    """Oracle: torch's own loss on full batches, in a loop written here."""
    X, y = problem
    y = np.nan_to_num(y, nan=0.0)
    start = network_factory()
    trained, history = train_by_plan(start, X, y, batch_size=len(X), max_epochs=5)

    module = copy.deepcopy(start)
    decayed = [p for p in module.parameters() if p.ndim > 1]
    others = [p for p in module.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed}, {"params": others, "weight_decay": 0.0}], lr=1e-2
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=5)
    inputs, targets = torch.from_numpy(X), torch.from_numpy(y).float()
    for record in history:
        loss = binary_cross_entropy_with_logits(module(inputs), targets)
        assert record["loss"] == pytest.approx(loss.item(), abs=1e-6)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    for one, two in zip(module.parameters(), trained.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("loss", ["bce", "asl"])
def test_a_row_without_known_labels_trains_nothing(problem, network_factory, loss):
    """Its inputs may be anything, where every batch holds every row."""
    X, y = problem
    y[::3] = np.nan
    other = X.copy()
    other[::3] = 7.0
    options = {"loss": make_loss(loss), "batch_size": len(X)}
    start = network_factory()
    first, history = train_by_plan(start, X, y, **options)
    second, other_history = train_by_plan(start, other, y, **options)
    for one, two in zip(first.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-6)
    assert history[-1]["loss"] == pytest.approx(other_history[-1]["loss"], abs=1e-6)
    assert not same_weights(first, start)


def test_a_category_without_known_labels_keeps_its_head_row(problem, network_factory):
    """No gradient reaches it; weight decay shrinks its weights, not its bias."""
    X, y = problem
    y[:, 1] = np.nan
    start = network_factory()
    trained, _ = train_by_plan(start, X, y)
    assert torch.equal(trained[2].bias[1], start[2].bias[1])
    ratio = trained[2].weight[1] / start[2].weight[1]
    torch.testing.assert_close(ratio, ratio[:1].expand(8), rtol=1e-5, atol=0)
    assert 0.99 < ratio[0] < 1.0
    assert not torch.equal(trained[2].bias[0], start[2].bias[0])


def test_labels_that_are_all_unknown_train_nothing(problem, module):
    X, y = problem
    trained, history = train_by_plan(module, X, np.full_like(y, np.nan))
    assert [record["loss"] for record in history] == [0.0] * 4
    assert same_weights(trained, module)


# ----------------------------------------------------------------------------- history
def test_history_has_one_record_per_epoch(problem, module):
    _, history = train_by_plan(module, *problem)
    assert [record["epoch"] for record in history] == [1, 2, 3, 4]
    for record in history:
        assert set(record) == {"epoch", "loss", "learning_rate"}
        assert all(type(record[key]) is float for key in ("loss", "learning_rate"))


def test_the_learning_rate_rises_and_falls(problem, module):
    _, history = train_by_plan(module, *problem, max_epochs=20)
    rates = [record["learning_rate"] for record in history]
    assert 0.95e-2 < max(rates) <= 1e-2
    assert rates[0] < max(rates)
    assert rates[-1] < 1e-2 * max(rates)


@pytest.mark.parametrize("batch_size", [7, 32, 120, 5000])
@pytest.mark.parametrize("max_epochs", [1, 2, 3])
def test_short_plans_complete(problem, module, batch_size, max_epochs):
    _, history = train_by_plan(
        module, *problem, batch_size=batch_size, max_epochs=max_epochs
    )
    assert len(history) == max_epochs


def test_the_loss_falls_on_a_separable_problem(rng, network_factory):
    X = rng.standard_normal((200, 6)).astype(np.float32)
    y = (X[:, :3] > 0).astype(np.float64)
    trained, history = train_by_plan(network_factory(), X, y, max_epochs=40)
    losses = [record["loss"] for record in history]
    assert losses[0] > 0.6
    assert losses[-1] < 0.2
    with torch.no_grad():
        decided = trained(torch.from_numpy(X)).numpy() > 0
    assert np.mean(decided == (y == 1)) > 0.95


def test_the_network_ends_in_evaluation_mode(problem, module):
    assert module.training
    trained, _ = train_by_plan(module, *problem)
    assert not any(layer.training for layer in trained.modules())


def test_a_loss_of_ones_own(problem, network_factory):
    def squared(logits, targets):
        known = ~torch.isnan(targets)
        return ((logits - torch.where(known, targets, 0.0))[known] ** 2).mean()

    X, y = problem
    start = network_factory()
    with torch.no_grad():
        expected = squared(start(torch.from_numpy(X)), torch.from_numpy(y).float())
    _, history = train_by_plan(start, X, y, loss=squared, batch_size=len(X))
    assert history[0]["loss"] == pytest.approx(expected.item(), abs=1e-6)
    assert history[-1]["loss"] < history[0]["loss"]
