"""One epoch: its batches, their losses, the steps of the optimizer."""

import copy
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
from cftlearn.losses import (
    BiasedNegativesLoss,
    UnknownLoss,
    WeakNegativeLoss,
    make_loss,
)
from cftlearn.metrics import partial_roc_auc_score
from cftlearn.training import LogicMix, NetworkTrainer, PartialMixUp
from cftlearn.training._loop import train_network
from cftlearn.training._plan import TrainingPlan, make_plan


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


# --------------------------------------------------------------------- pseudo-labels
def partly_pseudo(y, rng):
    """Turn a half of the known labels into pseudo-labels of the same value."""
    turned = ~np.isnan(y) & (rng.random(y.shape) < 0.5)
    pseudo = np.where(turned, y, np.nan).astype(np.float32)
    return TrainingTargets(
        np.where(turned, np.nan, y),
        pseudo=pseudo,
        pseudo_weight=turned.astype(np.float32),
    )


def run(module, X, targets, plan):
    """Train a copy on targets; return it and its history."""
    module = copy.deepcopy(module)
    return module, train_network(module, read_inputs(X), targets, plan).history


@pytest.mark.parametrize(
    "loss",
    [
        make_loss("bce"),
        make_loss("bce", pos_weight=torch.tensor([0.5, 1.0, 3.0])),
        make_loss("asl"),
        make_loss("focal"),
        lambda logits, targets: make_loss("bce")(logits, targets),
    ],
    ids=["bce", "pos_weight", "asl", "focal", "own"],
)
def test_a_sure_pseudo_label_is_as_a_known_one(problem, module, rng, loss):
    X, y = problem
    plan = replace(PLAN, loss=loss, trainer=NetworkTrainer(optimizer="sgd"))
    expected, history = run(module, X, TrainingTargets(y), plan)
    found, own = run(module, X, partly_pseudo(y, rng), plan)
    for one, two in zip(found.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)
    for one, two in zip(own, history, strict=True):
        assert one["loss"] == pytest.approx(two["loss"], rel=1e-5)


def test_pseudo_labels_count_by_their_weights_in_the_mean(problem, module, rng):
    """One step of all rows, whose loss is written out."""
    X, y = problem
    targets = partly_pseudo(y, rng)
    weight = targets.pseudo_weight * rng.uniform(0.1, 3, y.shape).astype(np.float32)
    soft = np.clip(targets.pseudo * 0.8 + 0.1, 0, 1).astype(np.float32)
    targets = targets._replace(pseudo=soft, pseudo_weight=weight)
    plan = replace(PLAN, max_epochs=1, batch_size=len(X))
    _, history = run(module, X, targets, plan)
    with torch.no_grad():
        p = torch.sigmoid(module(torch.from_numpy(X)).double()).numpy()
    both = np.where(np.isnan(soft), targets.values, soft)
    losses = -np.log(p) * both - np.log(1 - p) * (1 - both)
    weights = np.where(np.isnan(soft), 1.0, weight)
    weights = np.where(np.isnan(both), 0.0, weights)
    expected = np.nansum(losses * weights) / weights.sum()
    assert history[0]["loss"] == pytest.approx(expected, rel=1e-5)


def test_accumulated_pseudo_labels_are_those_of_one_large_batch(problem, module, rng):
    X, y = problem
    y[10:60] = np.nan  # and some batches have pseudo-labels alone
    targets = partly_pseudo(y, rng)
    targets.pseudo[10:60], targets.pseudo_weight[10:60] = 0.7, 0.3
    trainer = NetworkTrainer(optimizer="sgd", accumulation_steps=4)
    small = replace(PLAN, batch_size=10, trainer=trainer)
    found, _ = run(module, X, targets, small)
    large = replace(PLAN, batch_size=40, trainer=NetworkTrainer(optimizer="sgd"))
    expected, _ = run(module, X, targets, large)
    for one, two in zip(found.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)


def test_rows_of_pseudo_labels_alone_are_trained_on(problem, module):
    X, y = problem
    nothing = np.full(y.shape, np.nan)
    pseudo = np.where(np.arange(120)[:, None] < 60, 1, np.nan).astype(np.float32)
    pseudo = np.broadcast_to(pseudo, y.shape).copy()
    weight = (~np.isnan(pseudo)).astype(np.float32)
    targets = TrainingTargets(nothing, pseudo=pseudo, pseudo_weight=weight)
    X[60:] = np.nan  # other rows are not even read
    plan = replace(PLAN, batch_size=1, max_epochs=1)
    trained, history = run(module, X, targets, plan)
    assert np.isfinite(history[0]["loss"])
    rows = torch.from_numpy(X[:60])
    assert (trained(rows).mean(dim=0) > module(rows).mean(dim=0)).all()


def test_pseudo_labels_stand_beside_a_loss_that_has_known_ones_in_it(
    problem, module, rng
):
    X, y = problem
    targets = partly_pseudo(y, rng)._replace(unknown=np.isnan(y))
    plan = replace(PLAN, max_epochs=1, batch_size=len(X))
    loss = BiasedNegativesLoss(np.full(y.shape, 0.5), prior=0.3, negative_share=0.2)
    plan = replace(plan, unknown_loss=loss, unknown_weight=1.0)
    assert plan.replaces_known
    _, both = run(module, X, targets, plan)
    _, alone = run(module, X, targets._replace(pseudo=None, pseudo_weight=None), plan)
    with torch.no_grad():
        logits = module(torch.from_numpy(X))
    pseudo = torch.from_numpy(targets.pseudo)
    total = make_loss("bce", reduction="sum")(logits, pseudo).item()
    n_labels = (~np.isnan(y)).sum()
    gain = both[0]["loss"] - alone[0]["loss"]
    assert gain == pytest.approx(total / n_labels, rel=1e-4)


# ---------------------------------------------------------------------------- mixing
def test_the_network_sees_mixtures_of_its_batches_and_nothing_else(
    problem, network_factory, held_out
):
    X, y = problem
    seen = []
    module = network_factory()
    module.register_forward_pre_hook(
        lambda layer, inputs: seen.append((layer.training, inputs[0].clone()))
    )
    plan = replace(PLAN, max_epochs=1, trainer=NetworkTrainer(mix=LogicMix(0.5, 2, 2)))
    train_network(module, read_inputs(X), TrainingTargets(y), plan, held_out)
    rows = torch.cat([rows for training, rows in seen if training]).numpy()
    assert rows.shape == X.shape
    pairs = (X[:, None] + X[None]) / 2  # a row with itself is the row
    distance = np.abs(rows[:, None, None] - pairs[None]).max(axis=-1)
    found = [np.argwhere(each < 1e-6)[0] for each in distance]
    n_alone = sum(i == j for i, j in found)
    assert 40 < n_alone < 80
    scored = torch.cat([rows for training, rows in seen if not training])
    assert_array_equal(scored, held_out.inputs.items)


@pytest.mark.parametrize("mix", ["logic", "mixup", LogicMix(1.0), PartialMixUp(0.5)])
@pytest.mark.parametrize("loss", ["bce", "asl"])
def test_mixtures_train(problem, module, mix, loss):
    X, y = problem
    plan = replace(PLAN, loss=make_loss(loss), max_epochs=12, learning_rate=0.05)
    plan = replace(plan, trainer=NetworkTrainer(mix=mix))
    trained, _ = run(module, X, TrainingTargets(y), plan)
    with torch.no_grad():
        scores = [each(torch.from_numpy(X)).numpy() for each in (module, trained)]
    before, after = (partial_roc_auc_score(y, each) for each in scores)
    assert after > max(before, 0.75)
    same, _ = run(module, X, TrainingTargets(y), plan)
    assert same_weights(trained, same)
    other, _ = run(module, X, TrainingTargets(y), replace(plan, seed=1))
    assert not same_weights(trained, other)


def test_every_batch_of_every_epoch_is_mixed_anew(problem, module, monkeypatch):
    X, y = problem
    drawn, original = [], LogicMix.draw

    def draw(mix, n_rows, generator=None):
        drawn.append(original(mix, n_rows, generator))
        return drawn[-1]

    monkeypatch.setattr(LogicMix, "draw", draw)
    plan = replace(PLAN, max_epochs=2, batch_size=30)
    plan = replace(plan, trainer=NetworkTrainer(mix="logic"))
    run(module, X, TrainingTargets(y), plan)
    shares = {tuple(mixture.shares.ravel().tolist()) for mixture in drawn}
    assert len(shares) == len(drawn) == 8


def test_what_is_mixed_changes_no_other_random_number(problem, network_factory):
    """Draws of dropout, the order of rows and mixtures depend on the seed alone."""
    X, y = problem
    module = nn.Sequential(nn.Dropout(0.5), network_factory())
    seen = []
    module[1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0] == 0))
    plan = replace(PLAN, max_epochs=2, batch_size=40)
    for mix in (None, LogicMix(0.0)):  # which mixes nothing, but draws
        run(
            module,
            X,
            TrainingTargets(y),
            replace(plan, trainer=NetworkTrainer(mix=mix)),
        )
    half = len(seen) // 2
    for one, two in zip(seen[:half], seen[half:], strict=True):
        assert torch.equal(one, two)


def test_mixtures_without_a_known_label_do_not_meet_a_loss(problem, module):
    X, y = problem
    y = np.where(np.arange(120)[:, None] % 2, np.nan, np.zeros(y.shape))

    def strict(logits, targets):
        known = ~torch.isnan(targets)
        assert known.any()
        return binary_cross_entropy_with_logits(logits[known], targets[known])

    trainer = NetworkTrainer(mix=LogicMix(1.0))
    plan = replace(PLAN, loss=strict, batch_size=3, trainer=trainer)
    _, history = run(module, X, TrainingTargets(y), plan)
    assert all(np.isfinite(line["loss"]) for line in history)


def test_whole_numbers_cannot_be_mixed(problem):
    X, y = problem
    words = nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(24, 3))
    X = np.random.default_rng(0).integers(9, size=X.shape)
    plan = replace(PLAN, trainer=NetworkTrainer(mix="logic"))
    with pytest.raises(
        TypeError, match=r"^`mix` needs inputs of real numbers, .*int64"
    ):
        run(words, X, TrainingTargets(y), plan)


def test_treatments_that_remember_rows_cannot_be_mixed(problem):
    options = {"max_epochs": 1, "batch_size": 9, "learning_rate": 0.1}
    options |= {"loss": "bce", "seed": 0, "device": "cpu", "unknown": "role"}
    targets = TrainingTargets(problem[1], np.isnan(problem[1]))
    with pytest.raises(ValueError, match=r"^`unknown` must be a loss that keeps no st"):
        make_plan(NetworkTrainer(mix="logic"), targets, **options)
    make_plan(NetworkTrainer(), targets, **options)


def test_losses_of_unknown_labels_get_whole_labels_after_mixing(problem, module):
    """Mixed labels are neither 1 nor 0, and positives are what some compare with."""
    X, y = problem
    seen = []

    class Spy(WeakNegativeLoss):
        def forward(self, logits, target, unknown=None, rows=None):
            seen.append((target, unknown))
            return super().forward(logits, target, unknown, rows)

    plan = replace(PLAN, max_epochs=1, batch_size=len(X), unknown_loss=Spy())
    plan = replace(plan, unknown_weight=1.0, trainer=NetworkTrainer(mix="mixup"))
    run(module, X, TrainingTargets(y, np.isnan(y)), plan)
    ((target, unknown),) = seen
    order = np.random.default_rng(0).permutation(len(X))
    assert_array_equal(target, y[order])  # a row is mostly itself
    assert_array_equal(unknown, np.isnan(y)[order])


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


# ----------------------------------------------------------- what kinds of cells cost
class Recorder(UnknownLoss):
    """A loss that remembers what it was started with, and what epochs it saw."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def start(self, target, unknown=None):
        self.calls.append(("start", target.clone(), unknown.clone()))

    def set_epoch(self, epoch, n_epochs):
        super().set_epoch(epoch, n_epochs)
        self.calls.append(("epoch", epoch, n_epochs))

    def cell_losses(self, logits):
        return logits**2


def test_a_loss_of_unknown_labels_is_told_all_it_needs(problem, module):
    """Cells that a training leaves out, to estimate rates, are no unknown ones."""
    X, y = problem
    unknown = np.isnan(y)
    unknown[::3] = False
    loss = Recorder()
    plan = replace(PLAN, max_epochs=2, unknown_loss=loss, unknown_weight=0.5)
    train_network(module, read_inputs(X), TrainingTargets(y, unknown), plan)
    (_, target, cells), *epochs = loss.calls
    assert_array_equal(target.numpy(), y.astype(np.float32))
    assert_array_equal(cells.numpy(), unknown)
    assert epochs == [("epoch", 0, 2), ("epoch", 1, 2)]


def test_each_kind_of_cell_has_its_weight(problem):
    """Oracle: the three means by hand, in one step of one batch."""
    X, y = problem
    soft = np.where(np.isnan(y), 0.7, np.nan).astype(np.float32)
    soft[::2] = np.nan
    unknown = np.isnan(y) & np.isnan(soft)
    module = nn.Linear(X.shape[1], y.shape[1])
    nn.init.zeros_(module.weight)
    nn.init.constant_(module.bias, 0.3)
    plan = replace(PLAN, max_epochs=1, batch_size=len(X), unknown_loss=Recorder())
    plan = replace(plan, unknown_weight=0.4, soft_weight=0.6)
    targets = TrainingTargets(y, unknown, soft)
    (record,) = train_network(module, read_inputs(X), targets, plan).history
    p = 1 / (1 + np.exp(-0.3))
    known = -np.log(np.where(y == 1, p, 1 - p))[~np.isnan(y)].mean()
    of_soft = -0.7 * np.log(p) - 0.3 * np.log(1 - p)
    expected = known + 0.4 * 0.3**2 + 0.6 * of_soft
    assert record["loss"] == pytest.approx(expected, rel=1e-5)
