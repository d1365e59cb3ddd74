"""One epoch: its batches, their losses, the steps of the optimizer."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits
from training_parts import (
    PLAN,
    add_noise,
    same_weights,
    train,
    train_by_plan,
)

from cftlearn._inputs import read_inputs
from cftlearn.exceptions import NonFiniteLossError
from cftlearn.labels._label_split import TrainingTargets
from cftlearn.losses import WeakNegativeLoss, make_loss
from cftlearn.training import NetworkTrainer
from cftlearn.training._loop import train_network
from cftlearn.training._plan import TrainingPlan


def test_every_row_is_seen_once_an_epoch(problem, network_factory):
    X, y = problem
    seen = []
    module = network_factory()
    module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].numpy()))
    plan = replace(PLAN, max_epochs=2)
    train_network(module, read_inputs(X), TrainingTargets(y), plan)
    assert max(len(batch) for batch in seen) <= 32
    for epoch in (seen[:4], seen[4:]):
        rows = np.concatenate(epoch)
        np.testing.assert_array_equal(np.sort(rows, axis=0), np.sort(X, axis=0))
        assert not np.array_equal(rows, X), "rows are shuffled"


def test_no_batch_is_left_with_a_single_row(problem):
    """Batch norm cannot train on one row; 120 rows by 17 would leave one over."""
    module = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    _, history = train_by_plan(module, *problem, batch_size=17)
    assert np.isfinite(history[-1]["loss"])


# ------------------------------------------------------------------------ accumulation
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


def test_a_loss_does_not_meet_batches_of_unknown_labels_alone(problem, module):
    """Their rows are read for what unknown labels add; a mean of nothing is NaN."""
    X, y = problem
    y[::2] = np.nan

    def strict(logits, targets):
        known = ~torch.isnan(targets)
        n_known.append(int(known.sum()))
        return binary_cross_entropy_with_logits(logits[known], targets[known])

    n_known = []
    plan = replace(PLAN, batch_size=1, max_epochs=1, loss=strict)
    plan = replace(plan, unknown_loss=WeakNegativeLoss(), unknown_weight=0.5)
    targets = TrainingTargets(y, np.isnan(y))
    trained = train_network(module, read_inputs(X), targets, plan)
    assert len(n_known) == (~np.isnan(y)).any(axis=1).sum()
    assert min(n_known) > 0
    assert np.isfinite(trained.history[0]["loss"])
    X[0] = np.nan  # and what they compute is checked
    with pytest.raises(NonFiniteLossError, match=r"\(rows 0\)"):
        train_network(module, read_inputs(X), targets, plan)


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


# ------------------------------------------------------------ augmentation and workers
def test_only_training_rows_are_augmented(problem, module, held_out):
    X, y = problem
    seen = []
    module.register_forward_pre_hook(
        lambda layer, inputs: seen.append((layer.training, inputs[0].clone()))
    )
    plan = replace(PLAN, max_epochs=2, trainer=NetworkTrainer(augment=lambda x: x + 5))
    train_network(module, read_inputs(X), TrainingTargets(y), plan, held_out)
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
    zeros = np.zeros_like(X)
    train_network(module, read_inputs(zeros), TrainingTargets(y), plan)
    assert len(np.unique(np.concatenate(seen))) > 1000


# ---------------------------------------------------------------------- half precision
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


def test_float16_trains_with_a_scaled_loss(problem, module, monkeypatch):
    """As on a GPU without bfloat16; torch's CPU can do the same."""
    monkeypatch.setattr("cftlearn._devices.half_precision", lambda _: torch.float16)
    monkeypatch.setattr(
        "cftlearn.training._loop.half_precision", lambda _: torch.float16
    )
    scaled, kinds = [], set()
    module[1].register_forward_hook(lambda *parts: kinds.add(parts[2].dtype))
    module[2].register_full_backward_hook(
        lambda layer, inner, outer: scaled.append(float(outer[0].abs().max()))
    )
    half, history = train(module, *problem, amp=True)
    assert kinds == {torch.float16}
    assert min(scaled) > 10, "a gradient of logits is below 1 without a scale"
    single, expected = train(module, *problem)
    assert history[-1]["loss"] == pytest.approx(expected[-1]["loss"], rel=0.02)
    for one, two in zip(half.parameters(), single.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=0.1, atol=0.02)


# ------------------------------------------------------------------------------ errors
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
        train_network(module, inputs, TrainingTargets(np.ones((6, 3))), PLAN)


def test_a_loss_that_is_not_finite_names_epoch_batch_and_rows(problem, module):
    X, y = problem
    X[77] = np.nan
    with pytest.raises(
        NonFiniteLossError, match=r"got nan in epoch 1, batch"
    ) as caught:
        train_by_plan(module, X, y, batch_size=1)
    batch, row = np.argwhere(np.random.default_rng(0).permutation(120) == 77)[0, 0], 77
    assert f"epoch 1, batch {batch + 1} (rows {row})" in str(caught.value)
    assert "Lower `learning_rate`" in str(caught.value)


def test_a_loss_that_grows_beyond_bounds_raises(problem, module):
    def explode(logits, targets):
        calls.append(1)
        return logits.sum() * (np.inf if len(calls) == 6 else 1.0)

    calls = []
    with pytest.raises(NonFiniteLossError, match=r"got -?inf in epoch 2, batch 2"):
        train_by_plan(module, *problem, loss=explode)


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
        train_by_plan(module, X, y)


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
            nn.Linear(2, 3),
            read_inputs(np.ones((8, 2))),
            TrainingTargets(np.ones((8, 3))),
            plan,
        )
