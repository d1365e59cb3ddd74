"""Stage one: training a network on labels of which some are unknown."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from cftlearn._inputs import read_inputs
from cftlearn.exceptions import NonFiniteLossError
from cftlearn.losses import PartialAsymmetricLoss, PartialBCEWithLogitsLoss
from cftlearn.training._loop import train_network
from cftlearn.training._plan import TrainingPlan, make_loss

PLAN = TrainingPlan(
    loss=make_loss("bce"),
    max_epochs=4,
    batch_size=32,
    learning_rate=1e-2,
    seed=0,
    device="cpu",
)


def train(module, X, y, **changes):
    """Train a copy; give it and its history."""
    module = copy.deepcopy(module)
    history = train_network(module, read_inputs(X), y, replace(PLAN, **changes))
    return module, history


def same_weights(one, other):
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.fixture
def problem(partial_problem):
    Z, y, _ = partial_problem
    return Z.astype(np.float32), y


@pytest.fixture
def module(network_factory):
    return nn.Sequential(*network_factory()[:2], nn.Dropout(0.2), network_factory()[2])


# --------------------------------------------------------------------- make_loss
def test_make_loss():
    assert isinstance(make_loss("bce"), PartialBCEWithLogitsLoss)
    assert isinstance(make_loss("asl"), PartialAsymmetricLoss)
    assert make_loss(binary_cross_entropy_with_logits) is (
        binary_cross_entropy_with_logits
    )


# ------------------------------------------------------------------- randomness
def test_training_is_reproducible(problem, module):
    first, history = train(module, *problem)
    torch.manual_seed(999)  # what happened before does not matter
    again, history_again = train(module, *problem)
    assert same_weights(first, again)
    assert history == history_again
    other, _ = train(module, *problem, seed=1)
    assert not same_weights(first, other)


def test_dropout_draws_from_the_seed(problem, module):
    """One batch of all rows: their order cannot matter, the dropped units do."""
    losses = [
        train(module, *problem, max_epochs=1, batch_size=1000, seed=seed)[1][0]["loss"]
        for seed in (0, 0, 1)
    ]
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize("fails", [False, True], ids=["success", "exception"])
def test_global_generators_stay_untouched(problem, module, fails):
    X, y = problem
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    if fails:
        with pytest.raises(NonFiniteLossError, match="must be finite"):
            train(module, np.full_like(X, np.nan), y)
    else:
        train(module, X, y)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])


# --------------------------------------------------------------- unknown labels
def test_fully_known_labels_train_as_torch_does(problem, network_factory):
    """Oracle: torch's own loss on full batches, in a loop written here."""
    X, y = problem
    y = np.nan_to_num(y, nan=0.0)
    start = network_factory()
    trained, history = train(start, X, y, batch_size=len(X), max_epochs=5)

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
    first, history = train(start, X, y, **options)
    second, other_history = train(start, other, y, **options)
    for one, two in zip(first.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-6)
    assert history[-1]["loss"] == pytest.approx(other_history[-1]["loss"], abs=1e-6)
    assert not same_weights(first, start)


def test_a_category_without_known_labels_keeps_its_head_row(problem, network_factory):
    """No gradient reaches it; weight decay shrinks its weights, not its bias."""
    X, y = problem
    y[:, 1] = np.nan
    start = network_factory()
    trained, _ = train(start, X, y)
    assert torch.equal(trained[2].bias[1], start[2].bias[1])
    ratio = trained[2].weight[1] / start[2].weight[1]
    torch.testing.assert_close(ratio, ratio[:1].expand(8), rtol=1e-5, atol=0)
    assert 0.99 < ratio[0] < 1.0
    assert not torch.equal(trained[2].bias[0], start[2].bias[0])


def test_labels_that_are_all_unknown_train_nothing(problem, module):
    X, y = problem
    trained, history = train(module, X, np.full_like(y, np.nan))
    assert [record["loss"] for record in history] == [0.0] * 4
    assert same_weights(trained, module)


# ---------------------------------------------------------- history and schedule
def test_history_has_one_record_per_epoch(problem, module):
    _, history = train(module, *problem)
    assert [record["epoch"] for record in history] == [1, 2, 3, 4]
    for record in history:
        assert set(record) == {"epoch", "loss", "learning_rate"}
        assert all(type(record[key]) is float for key in ("loss", "learning_rate"))


def test_the_learning_rate_rises_and_falls(problem, module):
    _, history = train(module, *problem, max_epochs=20)
    rates = [record["learning_rate"] for record in history]
    assert 0.95e-2 < max(rates) <= 1e-2
    assert rates[0] < max(rates)
    assert rates[-1] < 1e-2 * max(rates)


@pytest.mark.parametrize("batch_size", [7, 32, 120, 5000])
@pytest.mark.parametrize("max_epochs", [1, 2, 3])
def test_short_plans_complete(problem, module, batch_size, max_epochs):
    _, history = train(module, *problem, batch_size=batch_size, max_epochs=max_epochs)
    assert len(history) == max_epochs


def test_the_loss_falls_on_a_separable_problem(rng, network_factory):
    X = rng.standard_normal((200, 6)).astype(np.float32)
    y = (X[:, :3] > 0).astype(np.float64)
    trained, history = train(network_factory(), X, y, max_epochs=40)
    losses = [record["loss"] for record in history]
    assert losses[0] > 0.6
    assert losses[-1] < 0.2
    with torch.no_grad():
        decided = trained(torch.from_numpy(X)).numpy() > 0
    assert np.mean(decided == (y == 1)) > 0.95


def test_every_row_is_seen_once_an_epoch(problem, network_factory):
    X, y = problem
    seen = []
    module = network_factory()
    module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].numpy()))
    train_network(module, read_inputs(X), y, replace(PLAN, max_epochs=2))
    assert max(len(batch) for batch in seen) <= 32
    for epoch in (seen[:4], seen[4:]):
        rows = np.concatenate(epoch)
        np.testing.assert_array_equal(np.sort(rows, axis=0), np.sort(X, axis=0))
        assert not np.array_equal(rows, X), "rows are shuffled"


def test_no_batch_is_left_with_a_single_row(problem):
    """Batch norm cannot train on one row; 120 rows by 17 would leave one over."""
    module = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    _, history = train(module, *problem, batch_size=17)
    assert np.isfinite(history[-1]["loss"])


def test_the_network_ends_in_evaluation_mode(problem, module):
    assert module.training
    trained, _ = train(module, *problem)
    assert not any(layer.training for layer in trained.modules())


def test_a_loss_of_ones_own(problem, network_factory):
    def squared(logits, targets):
        known = ~torch.isnan(targets)
        return ((logits - torch.where(known, targets, 0.0))[known] ** 2).mean()

    X, y = problem
    start = network_factory()
    with torch.no_grad():
        expected = squared(start(torch.from_numpy(X)), torch.from_numpy(y).float())
    _, history = train(start, X, y, loss=squared, batch_size=len(X))
    assert history[0]["loss"] == pytest.approx(expected.item(), abs=1e-6)
    assert history[-1]["loss"] < history[0]["loss"]


# ------------------------------------------------------------------ weight decay
def test_weight_decay_spares_biases_and_norms(problem):
    """With the loss always 0, decay is all that moves a parameter."""
    module = nn.Sequential(
        nn.Linear(6, 8),
        nn.BatchNorm1d(8),
        nn.Unflatten(1, (2, 4)),
        nn.LayerNorm((2, 4)),  # whose weights have two dimensions
        nn.Flatten(),
        nn.Linear(8, 3),
    )
    trained, _ = train(module, *problem, loss=lambda logits, _: 0.0 * logits.sum())
    for name, value in trained.named_parameters():
        before = module.get_parameter(name)
        if name in ("0.weight", "5.weight"):
            assert (value.abs() < before.abs()).all(), name
        else:
            assert torch.equal(value, before), name


def test_frozen_parameters_stay(problem, network_factory):
    start = network_factory()
    start[0].requires_grad_(False)
    trained, _ = train(start, *problem)
    assert same_weights(trained[0], start[0])
    assert not same_weights(trained[2], start[2])


def test_a_frozen_module_is_refused(problem, module):
    with pytest.raises(ValueError, match="all are frozen"):
        train(module.requires_grad_(False), *problem)


# ------------------------------------------------------------------------ errors
def test_a_loss_that_is_not_finite_names_epoch_batch_and_rows(problem, module):
    X, y = problem
    X[77] = np.nan
    with pytest.raises(
        NonFiniteLossError, match=r"got nan in epoch 1, batch"
    ) as caught:
        train(module, X, y, batch_size=1)
    batch, row = np.argwhere(np.random.default_rng(0).permutation(120) == 77)[0, 0], 77
    assert f"epoch 1, batch {batch + 1} (rows {row})" in str(caught.value)
    assert "Lower `learning_rate`" in str(caught.value)


def test_a_loss_that_grows_beyond_bounds_is_told(problem, module):
    def explode(logits, targets):
        calls.append(1)
        return logits.sum() * (np.inf if len(calls) == 6 else 1.0)

    calls = []
    with pytest.raises(NonFiniteLossError, match=r"got -?inf in epoch 2, batch 2"):
        train(module, *problem, loss=explode)


@pytest.mark.parametrize(
    ("module", "got"),
    [
        pytest.param(nn.Linear(6, 4), r"\(32, 4\)", id="one category too many"),
        pytest.param(
            nn.Sequential(nn.Linear(6, 3), nn.Unflatten(1, (3, 1))),
            r"\(32, 3, 1\)",
            id="3-D",
        ),
        pytest.param(nn.LSTM(6, 3), "tuple", id="no tensor"),
    ],
)
def test_an_output_of_another_shape_is_refused(problem, module, got):
    X, y = (array[:32] for array in problem)
    with pytest.raises(ValueError, match=rf"here \(32, 3\); got {got}\."):
        train(module, X, y)


@pytest.mark.parametrize(
    ("loss", "got"),
    [(lambda logits, targets: 1.0, "float"), (lambda logits, targets: logits, r"\(")],
    ids=["number", "table"],
)
def test_loss_must_be_a_scalar_tensor(loss, got):
    plan = TrainingPlan(
        loss=loss, max_epochs=1, batch_size=8, learning_rate=0.1, seed=0, device="cpu"
    )
    match = rf"`loss` must return a scalar tensor, .* got {got}"
    with pytest.raises(TypeError, match=match):
        train_network(
            nn.Linear(2, 3), read_inputs(np.ones((8, 2))), np.ones((8, 3)), plan
        )
