"""The finer parameters of training a network, each against what it stands for."""

import copy
import json
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from cftlearn import CFTClassifier
from cftlearn._inputs import read_inputs
from cftlearn.datasets import make_partial_multilabel
from cftlearn.exceptions import NonFiniteLossError
from cftlearn.losses import PartialAsymmetricLoss
from cftlearn.metrics import (
    partial_average_precision_score,
    partial_roc_auc_score,
)
from cftlearn.metrics._objectives import make_objective
from cftlearn.training import NetworkTrainer
from cftlearn.training._loop import train_network
from cftlearn.training._optimization import (
    MovingAverage,
    make_optimizer,
    make_schedule,
    parameter_groups,
    positive_weights,
)
from cftlearn.training._plan import HeldOut, TrainingPlan, make_loss

PLAN = TrainingPlan(
    loss=make_loss("bce"),
    max_epochs=4,
    batch_size=32,
    learning_rate=1e-2,
    seed=0,
    device="cpu",
)


def train(module, X, y, held_out=None, *, plan=PLAN, **finer):
    """Train a copy; give it and its history."""
    plan = replace(plan, trainer=NetworkTrainer(**finer))
    module = copy.deepcopy(module)
    return module, train_network(module, read_inputs(X), y, plan, held_out)


def same_weights(one, other):
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def batches_of(n_rows, n_batches, n_epochs, seed=0):
    """Rows of every batch, as training draws them."""
    order = np.random.default_rng(seed)
    for _ in range(n_epochs):
        yield np.array_split(order.permutation(n_rows), n_batches)


@pytest.fixture
def problem(partial_problem):
    Z, y, _ = partial_problem
    return Z.astype(np.float32), y


@pytest.fixture
def module(network_factory):
    return network_factory()


@pytest.fixture
def normed():
    """Give a network with buffers."""
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))


@pytest.fixture
def held_out(rng):
    """Rows that nothing is trained on, some of them with unknown labels."""
    X = rng.standard_normal((50, 6)).astype(np.float32)
    labels = (X[:, :3] + rng.standard_normal((50, 3)) > 0).astype(np.float64)
    labels[rng.random(labels.shape) < 0.3] = np.nan
    return HeldOut(read_inputs(X), labels, make_objective("roc_auc"))


# --------------------------------------------------------------------- parameters
def test_it_is_cloned_with_its_parameters():
    trainer = NetworkTrainer(weight_decay=0.1, pos_weight=[1.0, 2.0])
    copied = clone(trainer)
    assert copied is not trainer
    assert copied.get_params() == trainer.get_params()
    assert set(trainer._parameter_constraints) == set(trainer.get_params())


@pytest.mark.parametrize(
    "params",
    [
        {"optimizer": "lion"},
        {"schedule": "step"},
        {"weight_decay": -0.1},
        {"ema_decay": 1.0},
        {"ema_decay": 0.0},
        {"amp": "half"},
        {"accumulation_steps": 0},
        {"pos_weight": "heavy"},
        {"monitor": "auc"},
        {"patience": 0},
        {"augment": "flip"},
        {"num_workers": -1},
        {"gradient_clip": 0.0},
        {"checkpoint": 3},
    ],
    ids=str,
)
def test_wrong_parameters_are_told(params):
    with pytest.raises(ValueError, match=f"'{next(iter(params))}' parameter of Net"):
        NetworkTrainer(**params)._check(0)


@pytest.mark.parametrize("seed", [None, np.random.RandomState(0)], ids=str)
def test_a_checkpoint_needs_a_seed(tmp_path, seed):
    with pytest.raises(ValueError, match=r"Pass random_state=0"):
        NetworkTrainer(checkpoint=tmp_path)._check(seed)


# ------------------------------------------------------------ optimizer and schedule
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
    with pytest.raises(TypeError, match=rf"`{what}` must give a torch .* got int"):
        train(module, *problem, **{what: lambda *_: 3})


def test_gradients_are_clipped(problem, module):
    norms = []

    class Spy(torch.optim.SGD):
        def step(self, closure=None):
            gradients = [p.grad for group in self.param_groups for p in group["params"]]
            norms.append(float(nn.utils.get_total_norm(gradients)))
            return super().step(closure)

    options = {"optimizer": lambda groups, lr: Spy(groups, lr=lr)}
    train(module, *problem, **options)
    free, norms[:] = list(norms), []
    train(module, *problem, gradient_clip=0.01, **options)
    assert min(free) > 0.02
    assert_allclose(norms, 0.01, rtol=1e-3)


# ----------------------------------------------------------------- moving average
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
    train_network(trained, read_inputs(problem[0]), problem[1], plan)
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


# ------------------------------------------------------------------- accumulation
@pytest.mark.parametrize("n_rows", [120, 113])
@pytest.mark.parametrize("unknown", [False, True], ids=["known", "partly known"])
def test_accumulated_batches_are_one_large_batch(problem, module, n_rows, unknown):
    X, y = (array[:n_rows] for array in problem)
    if not unknown:
        y = np.nan_to_num(y)
    parts = {"plan": replace(PLAN, batch_size=10), "accumulation_steps": 4}
    accumulated, history = train(module, X, y, **parts, optimizer="sgd")
    large = replace(PLAN, batch_size=40)
    expected, other = train(module, X, y, plan=large, optimizer="sgd")
    for one, two in zip(accumulated.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)
    for one, two in zip(history, other, strict=True):
        assert one["loss"] == pytest.approx(two["loss"], rel=1e-5)
        assert one["learning_rate"] == two["learning_rate"]


def test_a_batch_without_known_labels_is_not_even_read(problem, module):
    """No loss of one's own has to expect it, and no row of it is needed."""
    X, y = problem
    y[::2] = np.nan

    def strict(logits, targets):
        known = ~torch.isnan(targets)
        assert known.any()
        return binary_cross_entropy_with_logits(logits[known], targets[known])

    X[::2] = np.nan
    plan = replace(PLAN, batch_size=1, max_epochs=1, loss=strict)
    trained, history = train(module, X, y, plan=plan)
    assert np.isfinite(history[0]["loss"])
    assert all(torch.isfinite(value).all() for value in trained.parameters())
    assert history[0]["learning_rate"] == pytest.approx(1e-2 / 25 / 1e4, rel=0.2)


# --------------------------------------------------------------------- pos_weight
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
    loss = make_loss("bce", positive_weights([0.5, 2, 7], y))
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


@pytest.mark.parametrize("loss", ["asl", lambda logits, targets: logits.sum()])
def test_positive_weights_need_their_loss(loss):
    with pytest.raises(ValueError, match=r"`pos_weight` needs loss='bce'; got "):
        make_loss(loss, torch.ones(3))


# ------------------------------------------------------------- scores, early stopping
@pytest.mark.parametrize("objective", ["roc_auc", "average_precision"])
def test_every_epoch_is_scored_on_held_out_labels(problem, module, held_out, objective):
    held_out = held_out._replace(objective=make_objective(objective))
    trained, history = train(module, *problem, held_out)
    scorer = {
        "roc_auc": partial_roc_auc_score,
        "average_precision": partial_average_precision_score,
    }[objective]
    with torch.no_grad():
        logits = trained(torch.from_numpy(held_out.inputs.items))
    expected = scorer(held_out.labels, logits.numpy())
    assert history[-1]["val_score"] == pytest.approx(expected)
    loss = make_loss("bce")(logits, torch.from_numpy(held_out.labels).float())
    assert history[-1]["val_loss"] == pytest.approx(float(loss), rel=1e-6)
    assert all(set(line) >= {"val_score", "val_loss"} for line in history)


class Noise(nn.Module):
    """Draws in evaluation mode, too."""

    def forward(self, X):
        return X + 0.1 * torch.randn_like(X)


def test_scoring_changes_nothing(problem, held_out):
    module = nn.Sequential(
        Noise(), nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3)
    )
    scored, history = train(module, *problem, held_out)
    plain, other = train(module, *problem)
    assert same_weights(scored, plain)
    for one, two in zip(history, other, strict=True):
        assert one["loss"] == two["loss"]


def test_a_score_needs_both_classes(problem, module, held_out):
    labels = np.where(held_out.labels == 1.0, 1.0, np.nan)
    one_class = held_out._replace(labels=labels)
    _, history = train(module, *problem, one_class)
    assert "val_score" not in history[0]
    assert np.isfinite(history[0]["val_loss"])
    with pytest.raises(ValueError, match=r"`monitor='score'` needs a category"):
        train(module, *problem, one_class, patience=2)
    _, history = train(module, *problem, one_class, patience=2, monitor="loss")
    assert len(history) <= 4


@pytest.mark.parametrize("labels", [None, np.nan], ids=["no rows", "nothing known"])
def test_patience_needs_labels(problem, module, held_out, labels):
    if labels is not None:
        labels = held_out._replace(labels=np.full_like(held_out.labels, np.nan))
    with pytest.raises(ValueError, match=r"`patience` needs held-out labels"):
        train(module, *problem, labels, patience=2)


@pytest.mark.parametrize("monitor", ["score", "loss"])
@pytest.mark.parametrize("ema_decay", [None, 0.5])
def test_early_stopping_goes_back_to_the_best_epoch(
    problem, normed, held_out, monitor, ema_decay
):
    plan = replace(PLAN, max_epochs=200, learning_rate=0.05)
    options = {"schedule": "constant", "ema_decay": ema_decay, "monitor": monitor}
    trained, history = train(
        normed, *problem, held_out, plan=plan, patience=3, **options
    )
    sign = 1.0 if monitor == "score" else -1.0
    values = [sign * line[f"val_{monitor}"] for line in history]
    best = int(np.argmax(values))
    assert len(history) == best + 1 + 3 < 200
    shorter = replace(plan, max_epochs=best + 1)
    expected, _ = train(normed, *problem, held_out, plan=shorter, **options)
    assert same_weights(trained, expected)
    assert not any(layer.training for layer in trained.modules())


def test_patience_that_never_ends_keeps_the_best_epoch(problem, module, held_out):
    plan = replace(PLAN, max_epochs=12, learning_rate=0.1)
    options = {"patience": 50, "schedule": "constant"}
    trained, history = train(module, *problem, held_out, plan=plan, **options)
    assert len(history) == 12
    with torch.no_grad():
        logits = trained(torch.from_numpy(held_out.inputs.items)).numpy()
    best = max(line["val_score"] for line in history)
    assert best > history[-1]["val_score"]
    assert partial_roc_auc_score(held_out.labels, logits) == pytest.approx(best)


# ---------------------------------------------------------- augmentation and workers
def add_noise(row):
    """Draw from two generators."""
    return torch.from_numpy(row) + 0.1 * np.random.standard_normal() + torch.rand(6)


def test_only_training_rows_are_augmented(problem, module, held_out):
    X, y = problem
    seen = []
    module.register_forward_pre_hook(
        lambda layer, inputs: seen.append((layer.training, inputs[0].clone()))
    )
    plan = replace(PLAN, max_epochs=2, trainer=NetworkTrainer(augment=lambda x: x + 5))
    train_network(module, read_inputs(X), y, plan, held_out)
    trained_on = torch.cat([rows for training, rows in seen if training])
    scored_on = torch.cat([rows for training, rows in seen if not training])
    shifted = np.sort(np.tile(X + 5, (2, 1)), axis=0)
    assert_allclose(np.sort(trained_on.numpy(), axis=0), shifted, rtol=1e-6)
    assert_array_equal(scored_on, np.tile(held_out.inputs.items, (2, 1)))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_workers_change_nothing(problem, held_out):
    module = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.3), nn.Linear(8, 3))
    plan = replace(PLAN, max_epochs=2)
    alone, history = train(module, *problem, held_out, plan=plan, augment=add_noise)
    helped, other = train(
        module, *problem, held_out, plan=plan, augment=add_noise, num_workers=2
    )
    assert same_weights(alone, helped)
    assert history == other
    plain, _ = train(module, *problem, held_out, plan=plan)
    assert not same_weights(alone, plain)


def test_epochs_are_augmented_differently(problem, module):
    X, y = problem
    seen = []
    module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].numpy()))
    plan = replace(PLAN, max_epochs=2, batch_size=1000)
    plan = replace(plan, trainer=NetworkTrainer(augment=add_noise))
    train_network(module, read_inputs(np.zeros_like(X)), y, plan)
    assert len(np.unique(np.concatenate(seen))) > 1000


# ------------------------------------------------------------------ half precision
def test_half_precision_computes_in_bfloat16(problem, module):
    kinds = set()
    module[1].register_forward_hook(lambda *parts: kinds.add(parts[2].dtype))
    kinds_of_logits = set()

    def loss(logits, targets):
        kinds_of_logits.add(logits.dtype)
        return make_loss("bce")(logits, targets)

    plan = replace(PLAN, loss=loss)
    half, history = train(module, *problem, plan=plan, amp=True)
    assert kinds == {torch.bfloat16}
    assert kinds_of_logits == {torch.float32}
    assert {p.dtype for p in half.parameters()} == {torch.float32}
    single, expected = train(module, *problem)
    assert history[-1]["loss"] == pytest.approx(expected[-1]["loss"], rel=0.02)
    assert not same_weights(half, single)


# -------------------------------------------------------------------------- errors
def test_a_loss_that_is_not_finite_names_files(module, problem, tmp_path):
    image = pytest.importorskip("PIL.Image")
    paths = []
    for row in range(6):
        paths.append(str(tmp_path / f"röntgen {row}.png"))
        image.new("L", (3, 2), 40 * row).save(paths[-1])

    def spoil(picture):
        pixels = np.asarray(picture, dtype=np.float32)[..., 0].ravel()
        return np.full(6, np.nan, np.float32) if pixels[0] == 120 else pixels / 255

    inputs = read_inputs(paths, spoil)
    message = r"\(rows 3 \('.*röntgen 3\.png'\)\)\. Lower"
    with pytest.raises(NonFiniteLossError, match=message):
        train_network(module, inputs, np.ones((6, 3)), PLAN)


def test_logits_of_held_out_rows_must_be_finite(problem, module, held_out):
    X = held_out.inputs.items.copy()
    X[[7, 9]] = np.nan
    wrong = held_out._replace(inputs=read_inputs(X))
    with pytest.raises(NonFiniteLossError, match=r"after epoch 1 \(rows 7, 9\)"):
        train(module, *problem, wrong)


# ---------------------------------------------------------------------- checkpoint
FINER = {
    "plain": {},
    "everything": {
        "ema_decay": 0.9,
        "patience": 6,
        "optimizer": "sgd",
        "schedule": "cosine",
        "augment": add_noise,
        "accumulation_steps": 2,
        "gradient_clip": 1.0,
    },
}


@pytest.fixture
def dropping():
    return nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 3)
    )


@pytest.mark.parametrize("finer", FINER.values(), ids=FINER)
def test_a_stopped_training_goes_on_where_it_was(
    problem, dropping, held_out, tmp_path, finer, monkeypatch
):
    plan = replace(PLAN, max_epochs=6)
    expected, history = train(dropping, *problem, held_out, plan=plan, **finer)
    options = finer | {"checkpoint": tmp_path / "kept"}
    epochs = []

    def count(*_):
        epochs.append(1)
        if len(epochs) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr("cftlearn.training._loop._steps_of_epoch", spied(count))
    with pytest.raises(KeyboardInterrupt):
        train(dropping, *problem, held_out, plan=plan, **options)
    again, other = train(dropping, *problem, held_out, plan=plan, **options)
    assert len(epochs) == 7
    assert same_weights(again, expected)
    assert other == history
    once_more, other = train(dropping, *problem, held_out, plan=plan, **options)
    assert len(epochs) == 7, "a training that has ended is not run again"
    assert same_weights(once_more, expected)
    assert other == history


def spied(act):
    from cftlearn.training._loop import _steps_of_epoch

    def steps_of_epoch(*arguments):
        act()
        return _steps_of_epoch(*arguments)

    return steps_of_epoch


def noisy_network():
    return nn.Sequential(
        nn.Linear(20, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 5)
    )


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_killed_fit_ends_the_same_bit_for_bit(tmp_path, quick_tuner):
    code = """
        import os, signal, sys
        import torch
        from torch import nn
        from cftlearn import (CFTClassifier)
        from cftlearn.training import _loop
        from cftlearn.datasets import make_partial_multilabel
        from cftlearn.training import NetworkTrainer

        torch.set_num_threads(1)
        save_state, saved = _loop.save_state, []

        def until_killed(place, state):
            if len(saved) == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            saved.append(place)
            save_state(place, state)

        _loop.save_state = until_killed
        X, y = make_partial_multilabel(150, known=0.4, random_state=0)[:2]
        CFTClassifier(
            lambda: nn.Sequential(
                nn.Linear(20, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 5)
            ),
            trainer=NetworkTrainer(ema_decay=0.9, checkpoint=sys.argv[1]),
            max_epochs=5, batch_size=32, random_state=0, device="cpu",
        ).fit(X, y)
    """
    folder = tmp_path / "kept"
    command = [sys.executable, "-c", textwrap.dedent(code), str(folder)]
    killed = subprocess.run(command, timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL
    state = torch.load(folder / "training.pt", weights_only=True)
    assert [record["epoch"] for record in state["history"]] == [1, 2]

    X, y = make_partial_multilabel(150, known=0.4, random_state=0)[:2]
    model = CFTClassifier(
        noisy_network,
        trainer=NetworkTrainer(ema_decay=0.9),
        fine_tuner=quick_tuner,
        max_epochs=5,
        batch_size=32,
        random_state=0,
        device="cpu",
    )
    plain = model.fit(X, y)
    resumed = clone(model).set_params(trainer__checkpoint=folder).fit(X, y)
    assert resumed.history_ == plain.history_
    assert same_weights(resumed.module_, plain.module_)
    assert_array_equal(resumed.coef_, plain.coef_)
    with pytest.raises(ValueError, match=r"differs in: .*\bseed\b"):
        resumed.set_params(random_state=1).fit(X, y)


def test_losses_differ_by_their_settings(problem, module, tmp_path):
    one, other = PartialAsymmetricLoss(), PartialAsymmetricLoss(gamma_negative=2.0)
    train(module, *problem, plan=replace(PLAN, loss=one), checkpoint=tmp_path)
    train(module, *problem, plan=replace(PLAN, loss=one), checkpoint=tmp_path)
    with pytest.raises(ValueError, match=r"differs in: loss\."):
        train(module, *problem, plan=replace(PLAN, loss=other), checkpoint=tmp_path)


CHANGES = {
    "seed": lambda X, y, p: (X, y, replace(p, seed=1), {}),
    "max_epochs": lambda X, y, p: (X, y, replace(p, max_epochs=5), {}),
    "learning_rate": lambda X, y, p: (X, y, replace(p, learning_rate=0.1), {}),
    "loss": lambda X, y, p: (X, y, replace(p, loss=make_loss("asl")), {}),
    "inputs": lambda X, y, p: (X + 1, y, p, {}),
    "labels": lambda X, y, p: (X, 1 - y, p, {}),
    "trainer": lambda X, y, p: (X, y, p, {"weight_decay": 0.3}),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_folder_of_another_training_is_refused(problem, module, tmp_path, what):
    train(module, *problem, checkpoint=tmp_path)
    before = (tmp_path / "training.pt").read_bytes()
    X, y, plan, finer = CHANGES[what](*problem, PLAN)
    with pytest.raises(ValueError, match=rf"a fit that differs in: {what}\. Name"):
        train(module, X, y, plan=plan, checkpoint=tmp_path, **finer)
    assert (tmp_path / "training.pt").read_bytes() == before


def test_a_folder_of_another_network_is_refused(problem, module, tmp_path):
    train(module, *problem, checkpoint=tmp_path)
    with torch.no_grad():
        module[0].weight[0, 0] += 1e-6
    with pytest.raises(ValueError, match=r"a fit that differs in: network\."):
        train(module, *problem, checkpoint=tmp_path)


def test_a_folder_of_another_validation_is_refused(problem, module, held_out, tmp_path):
    train(module, *problem, held_out, checkpoint=tmp_path)
    other = held_out._replace(labels=1 - held_out.labels)
    with pytest.raises(ValueError, match=r"differs in: validation\."):
        train(module, *problem, other, checkpoint=tmp_path)
    with pytest.raises(ValueError, match=r"differs in: validation, objective\."):
        train(module, *problem, checkpoint=tmp_path)


def test_workers_may_change_between_two_runs(problem, module, tmp_path):
    first, _ = train(module, *problem, checkpoint=tmp_path)
    again, _ = train(module, *problem, checkpoint=str(tmp_path), num_workers=2)
    assert same_weights(first, again)


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not a zip", None])
def test_damaged_states_are_told(problem, module, tmp_path, damage):
    train(module, *problem, checkpoint=tmp_path)
    place = tmp_path / "training.pt"
    place.write_bytes(place.read_bytes()[:-100] if damage is None else damage)
    with pytest.raises(ValueError, match=r"'.*training\.pt' cannot be read .* Delete"):
        train(module, *problem, checkpoint=tmp_path)


def test_a_pickle_in_the_folder_is_not_executed(problem, module, tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    train(module, *problem, checkpoint=tmp_path)
    torch.save({"network": Trap()}, tmp_path / "training.pt")
    with pytest.raises(ValueError, match="cannot be read"):
        train(module, *problem, checkpoint=tmp_path)
    assert not (tmp_path / "sprung").exists()


def test_a_schedule_that_cannot_be_kept_is_told_after_one_epoch(
    problem, module, tmp_path
):
    class Odd(torch.optim.lr_scheduler.StepLR):
        def __init__(self, optimizer):
            super().__init__(optimizer, 1)
            self.place = Path("strange")

    with pytest.raises(ValueError, match=r"must have a state_dict of tensors and plai"):
        train(module, *problem, schedule=lambda o, _: Odd(o), checkpoint=tmp_path)


def test_the_note_of_a_folder_is_plain_text(problem, module, tmp_path):
    train(module, *problem, checkpoint=tmp_path)
    note = json.loads((tmp_path / "fit.json").read_text())
    assert {"version", "network", "trainer", "seed", "inputs", "labels"} <= set(note)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "fit.json",
        "training.pt",
    ]


def test_weights_of_positives_that_are_no_numbers():
    targets = np.array([[1.0, 0.0], [0.0, 1.0]])
    with pytest.raises(
        TypeError, match="`pos_weight` must be 'balanced' or one number"
    ):
        positive_weights(["a", "b"], targets)
