"""The two trainings of a classifier: which cells each is fitted to, and how long."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from training_parts import PLAN, same_weights

import cftlearn.training._trainings as module_under_test
from cftlearn._inputs import read_inputs
from cftlearn.exceptions import NonFiniteLossError
from cftlearn.labels import check_partial_labels
from cftlearn.labels._known_rates import KnownRates
from cftlearn.labels._label_split import (
    LabelSplit,
    TrainingTargets,
    sample_cells,
    split_labels,
)
from cftlearn.losses import HillLoss, WeakNegativeLoss
from cftlearn.losses._registry import TREATMENTS, estimates_rates, make_unknown_loss
from cftlearn.metrics._objectives import make_objective
from cftlearn.training import NetworkTrainer
from cftlearn.training._epoch import Targets, steps_of_epoch
from cftlearn.training._loop import train_network
from cftlearn.training._trainings import (
    TrainingSettings,
    train_on_all_labels,
    train_without_held_out,
)

SEEDS = np.arange(3)
UNKNOWN_LOSSES = {
    name: type(make_unknown_loss(name))
    for name, entry in TREATMENTS.items()
    if entry is not None
}


def make_labels(y):
    return check_partial_labels(y)


@pytest.fixture
def settings(module):
    return TrainingSettings(
        module=module,
        head=None,
        train=True,
        unknown="auto",
        loss="bce",
        layers=None,
        trainer=NetworkTrainer(),
        max_epochs=3,
        batch_size=32,
        learning_rate=1e-2,
        device="cpu",
        verbose=0,
    )


@pytest.fixture
def split(problem):
    return split_labels(make_labels(problem[1]), 0.25, SEEDS)


@pytest.fixture
def others(problem):
    """Rows to fit, and 40 other rows whose labels choose."""
    X, y = problem
    labels, held_out = make_labels(y[:80]), make_labels(y[80:])
    return X[:80], X[80:], LabelSplit(labels, held_out, same_rows=False)


@pytest.fixture
def calls(monkeypatch):
    """Return what every training was given."""
    found, original = [], module_under_test.fit_network

    def spy(plan, module, inputs, targets, held_out=None, probe=None, **rest):
        found.append((plan, inputs, targets, held_out, probe))
        return original(plan, module, inputs, targets, held_out, probe, **rest)

    monkeypatch.setattr(module_under_test, "fit_network", spy)
    return found


def train_first(settings, X, split, X_val=None):
    inputs = read_inputs(X)
    return train_without_held_out(
        settings,
        inputs,
        inputs if X_val is None else read_inputs(X_val),
        split,
        make_objective("roc_auc"),
        fraction=0.25,
        cell_seeds=SEEDS,
        seed=0,
    )


def train_second(settings, first, X, split, X_val=None, seed=1):
    inputs = read_inputs(X)
    inputs_val = inputs if X_val is None else read_inputs(X_val)
    return train_on_all_labels(settings, first, inputs, inputs_val, split, seed=seed)


# --------------------------------------------------------------------- label splits
def test_every_cell_is_fitted_held_out_or_unknown(split, problem):
    unknown = split.unknown_cells()
    parts = [split.fitted.known, split.held_out.known, unknown]
    np.testing.assert_array_equal(np.sum(parts, axis=0), 1)
    np.testing.assert_array_equal(unknown, np.isnan(problem[1]))
    everything = split.all_of_rows()
    np.testing.assert_array_equal(everything.values, problem[1])
    np.testing.assert_array_equal(everything.known, ~unknown)


def test_labels_of_other_rows_are_not_those_of_the_rows(others, problem):
    *_, split = others
    np.testing.assert_array_equal(split.unknown_cells(), np.isnan(problem[1][:80]))
    assert split.all_of_rows() is split.fitted


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.8])
def test_sampled_cells_are_a_share_of_every_category(rng, fraction):
    cells = rng.random((200, 4)) < [0.0, 0.05, 0.5, 1.0]
    drawn = sample_cells(cells, fraction, np.arange(4))
    assert not (drawn & ~cells).any()
    expected = np.round(fraction * cells.sum(axis=0))
    np.testing.assert_array_equal(drawn.sum(axis=0), expected)
    again = sample_cells(cells[:, ::-1], fraction, np.arange(4)[::-1])
    np.testing.assert_array_equal(again[:, ::-1], drawn)
    other = sample_cells(cells, fraction, np.arange(4) + 9)
    assert (other != drawn).any()


# ---------------------------------------------------------------- the first training
@pytest.mark.parametrize("unknown", sorted(TREATMENTS))
def test_held_out_cells_are_not_trained_on(settings, problem, split, calls, unknown):
    settings = replace(settings, unknown=unknown)
    train_first(settings, problem[0], split)
    (plan, _, targets, held_out, probe), *_ = calls
    assert np.isnan(targets.values[split.held_out.known]).all()
    fitted = split.fitted.known
    np.testing.assert_array_equal(targets.values[fitted], split.fitted.values[fitted])
    unknown_cells = split.unknown_cells()
    filler = 0.0 if unknown == "negative" else np.nan
    np.testing.assert_array_equal(targets.values[unknown_cells], filler)
    np.testing.assert_array_equal(held_out.labels, split.held_out.values)
    if unknown in UNKNOWN_LOSSES:
        assert type(plan.unknown_loss) is UNKNOWN_LOSSES[unknown]
        left_out = unknown_cells & ~targets.unknown
        assert not (targets.unknown & ~unknown_cells).any()
        assert left_out.any() == estimates_rates(unknown)
    else:
        assert plan.unknown_loss is targets.unknown is None
    assert (probe is None) == (not estimates_rates(unknown))


def test_auto_leaves_a_share_of_unknown_cells_out(settings, problem, split, calls):
    first = train_first(settings, problem[0], split)
    (_, _, targets, _, probe), *_ = calls
    np.testing.assert_array_equal(
        probe.unknown, sample_cells(split.unknown_cells(), 0.25, SEEDS)
    )
    np.testing.assert_array_equal(
        targets.unknown, split.unknown_cells() & ~probe.unknown
    )
    everything = problem[1]
    np.testing.assert_array_equal(probe.totals.n_positive, np.nansum(everything, 0))
    np.testing.assert_array_equal(probe.totals.n_negative, (everything == 0).sum(0))
    assert first.rates is not None
    assert first.n_epochs == 3


def test_a_network_that_is_not_trained_says_no_rates(settings, problem, split, module):
    first = train_first(replace(settings, train=False), problem[0], split)
    assert first.rates is None
    assert first.history == []
    assert same_weights(first.network, module)


# --------------------------------------------------------------- the second training
@pytest.mark.parametrize("unknown", sorted(TREATMENTS))
def test_all_labels_are_trained_on(settings, problem, split, calls, unknown):
    settings = replace(settings, unknown=unknown)
    X, y = problem
    first = train_first(settings, X, split)
    second = train_second(settings, first, X, split)
    plan, inputs, targets, held_out, probe = calls[1]
    assert held_out is probe is None
    assert plan.seed == 1
    assert len(inputs) == len(X)
    known = ~np.isnan(y)
    np.testing.assert_array_equal(targets.values[known], y[known])
    filler = 0.0 if unknown == "negative" else np.nan
    np.testing.assert_array_equal(targets.values[~known], filler)
    if unknown in UNKNOWN_LOSSES:
        np.testing.assert_array_equal(targets.unknown, ~known)
    assert "val_loss" not in second.history[0]
    assert not same_weights(second.network, first.network)


@pytest.mark.parametrize("unknown", sorted(TREATMENTS))
def test_other_rows_are_joined(settings, problem, others, calls, unknown):
    """Oracle: one training on all rows, whose labels were never split."""
    settings = replace(settings, unknown=unknown)
    X, X_val, split = others
    first = train_first(settings, X, split, X_val)
    rates = KnownRates(np.full(3, 0.6), np.full(3, 0.1), np.log(6), 5.0)
    first = replace(first, rates=rates)
    second = train_second(settings, first, X, split, X_val)
    plan, inputs, targets, *_ = calls[1]
    assert len(inputs) == len(targets.values) == 120
    everything = make_labels(problem[1])
    nothing = everything.restricted_to(np.zeros_like(everything.known))
    whole = settings.targets(LabelSplit(everything, nothing, same_rows=True))
    np.testing.assert_array_equal(targets.values, whole.values)
    if unknown in UNKNOWN_LOSSES:
        np.testing.assert_array_equal(targets.unknown, whole.unknown)
    oracle_plan = settings.plan(whole, 1)
    if unknown in UNKNOWN_LOSSES:
        oracle_plan.unknown_loss.set_rates(rates)
        assert plan.unknown_loss.is_active
    expected = module_under_test.fit_network(
        oracle_plan, settings.module, read_inputs(problem[0]), whole
    )
    assert same_weights(second.network, expected.network)
    assert second.history == expected.history


def test_the_rates_of_the_first_training_are_used(settings, problem, split, calls):
    X, _ = problem
    first = train_first(settings, X, split)
    for log_ratio in (0.0, 1.5):
        ratio = np.exp(log_ratio)
        rates = KnownRates(np.full(3, 0.1 * ratio), np.full(3, 0.1), log_ratio, 3.0)
        train_second(settings, replace(first, rates=rates), X, split)
        assert calls[-1][0].unknown_loss.is_active == (log_ratio > 0)
    train_second(settings, replace(first, rates=None), X, split)
    assert not calls[-1][0].unknown_loss.is_active


def test_early_stopping_sets_the_length_of_the_second(settings, problem, split, calls):
    trainer = NetworkTrainer(patience=1, monitor="loss")
    settings = replace(settings, trainer=trainer, max_epochs=30, learning_rate=0.5)
    first = train_first(settings, problem[0], split)
    assert first.n_epochs < len(first.history) < 30
    second = train_second(settings, first, problem[0], split)
    assert len(second.history) == first.n_epochs == calls[1][0].max_epochs
    assert calls[1][0].trainer.patience is None
    assert trainer.patience == 1
    assert trainer.get_params() == settings.trainer.get_params()


def test_the_weight_of_unknown_labels_is_the_trainers(settings, problem, split, calls):
    trainer = NetworkTrainer(unknown_weight=0.125)
    for unknown in UNKNOWN_LOSSES:
        own = replace(settings, unknown=unknown, trainer=trainer)
        train_second(own, train_first(own, problem[0], split), problem[0], split)
    assert {plan.unknown_weight for plan, *_ in calls} == {0.125}


def test_the_own_weight_of_auto_depends_on_the_labels(settings, problem, split, calls):
    train_second(settings, train_first(settings, problem[0], split), problem[0], split)
    for plan, _, targets, *_ in calls:
        n_known = np.count_nonzero(~np.isnan(targets.values))
        expected = 0.5 * np.sqrt(targets.unknown.sum() / n_known)
        assert plan.unknown_weight == pytest.approx(expected)


def test_the_second_checkpoint_is_in_the_first(settings, problem, split, tmp_path):
    trainer = NetworkTrainer(checkpoint=tmp_path / "c")
    settings = replace(settings, trainer=trainer)
    made = []
    for _ in range(2):  # the second time, both are finished
        first = train_first(settings, problem[0], split)
        made.append((first, train_second(settings, first, problem[0], split)))
    files = sorted(
        str(path.relative_to(tmp_path / "c")) for path in tmp_path.rglob("*.*")
    )
    assert files == [
        "fit.json",
        "second/fit.json",
        "second/training.pt",
        "training.pt",
    ]
    for one, other in zip(*made, strict=True):
        assert one.history == other.history
        assert same_weights(one.network, other.network)
    plain = replace(settings, trainer=NetworkTrainer())
    first = train_first(plain, problem[0], split)
    second = train_second(plain, first, problem[0], split)
    assert same_weights(second.network, made[0][1].network)


@pytest.mark.parametrize("layers", ["auto", ["0", ""]])
def test_both_networks_are_widened(settings, problem, split, layers):
    X, _ = problem
    first = train_first(settings, X, split)
    second = train_second(settings, first, X, split)
    wide = replace(settings, layers=layers)
    wide_first = train_first(wide, X, split)
    wide_second = train_second(wide, wide_first, X, split)
    for plain, own in ((first, wide_first), (second, wide_second)):
        assert own.head == "head"
        assert own.coef.shape[1] > plain.coef.shape[1] == 8
        assert own.history == plain.history
        assert own.n_epochs == plain.n_epochs
        with torch.inference_mode():
            rows = torch.from_numpy(X)
            torch.testing.assert_close(own.network(rows), plain.network(rows))
        # Only what a refit finds there counts.
        np.testing.assert_array_equal(own.coef[:, 8:], 0)


# ---------------------------------------------------------- unknown cells of a batch
def gradient_step(X, targets, kind, *, n_epochs=1, loss=PLAN.loss, **changes):
    """Train with plain gradient descent, whose weights show the gradients."""
    trainer = NetworkTrainer(
        optimizer=lambda groups, rate: torch.optim.SGD(groups, lr=rate),
        schedule="constant",
        weight_decay=0.0,
        accumulation_steps=changes.pop("accumulation_steps", 1),
    )
    plan = replace(
        PLAN,
        max_epochs=n_epochs,
        unknown_loss=kind(),
        unknown_weight=0.7,
        trainer=trainer,
        loss=loss,
        learning_rate=0.5,
        **changes,
    )
    network = nn.Linear(6, 3)
    nn.init.zeros_(network.weight)
    nn.init.constant_(network.bias, 0.3)
    trained = train_network(network, read_inputs(X), targets, plan)
    return network, trained.history


def uneven_targets(rng, X):
    """Known labels in the first rows only, and different numbers of unknown ones."""
    values = np.full((len(X), 3), np.nan)
    values[:7] = (X[:7, :3] > 0).astype(float)
    unknown = np.isnan(values) & (rng.random(values.shape) < 0.6)
    return TrainingTargets(values, unknown)


@pytest.mark.parametrize("kind", [WeakNegativeLoss, HillLoss])
@pytest.mark.parametrize("batch_size", [5, 12])
def test_batches_of_a_step_count_like_one(rng, problem, kind, batch_size):
    X = problem[0][:60]
    targets = uneven_targets(rng, X)
    one, history = gradient_step(X, targets, kind, batch_size=60)
    n_steps = -(-60 // batch_size)
    many, histories = gradient_step(
        X, targets, kind, batch_size=batch_size, accumulation_steps=n_steps
    )
    for a, b in zip(one.parameters(), many.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    assert histories[0]["loss"] == pytest.approx(history[0]["loss"], rel=1e-5)
    # Oracle: the two means by hand.
    logits = torch.full((60, 3), 0.3)
    labels = torch.from_numpy(targets.values).float()
    mean = kind()(logits, labels, torch.from_numpy(targets.unknown))
    expected = float(PLAN.loss(logits, labels) + 0.7 * mean)
    assert history[0]["loss"] == pytest.approx(expected, rel=1e-5)


def test_a_loss_is_not_asked_where_no_label_is_known(rng, problem):
    """A loss of one's own may be the mean over the known labels of a batch: NaN."""

    def loss(logits, targets):
        known = ~torch.isnan(targets)
        bce = nn.functional.binary_cross_entropy_with_logits
        return bce(logits[known], targets[known])

    X = problem[0][:60]
    targets = uneven_targets(rng, X)
    own, history = gradient_step(
        X, targets, HillLoss, batch_size=3, loss=loss, n_epochs=2
    )
    expected, histories = gradient_step(X, targets, HillLoss, batch_size=3, n_epochs=2)
    assert [row["loss"] for row in history] == pytest.approx(
        [row["loss"] for row in histories]
    )
    torch.testing.assert_close(own.weight, expected.weight)


def test_a_loss_that_is_wrong_is_still_named(rng, problem):
    X = problem[0][:60]
    targets = uneven_targets(rng, X)
    with pytest.raises(TypeError, match="must return a scalar tensor"):
        gradient_step(X, targets, HillLoss, loss=lambda logits, targets: logits)
    with pytest.raises(NonFiniteLossError, match="got nan in epoch 1"):
        gradient_step(X, targets, HillLoss, loss=lambda z, targets: z.sum() * np.nan)


def test_fractions_of_a_step_add_up_to_one(rng, problem):
    X = problem[0][:60]
    targets = uneven_targets(rng, X)
    tensors = Targets(
        torch.from_numpy(targets.values), torch.from_numpy(targets.unknown)
    )
    plan = replace(PLAN, batch_size=4, trainer=NetworkTrainer(accumulation_steps=3))
    seen = []
    for step in steps_of_epoch(rng.permutation(60), tensors, plan):
        for kind in ("known", "unknown"):
            total = sum(getattr(batch.fractions, kind) for batch in step)
            assert total == pytest.approx(1) or total == 0
        assert sum(batch.fractions.unknown for batch in step) > 0
        assert sum(batch.fractions.soft for batch in step) == 0
        seen += [row for batch in step for row in batch.rows]
    counted = (~np.isnan(targets.values) | targets.unknown).any(axis=1)
    assert set(np.flatnonzero(counted)) <= set(seen)
    without = Targets(tensors.labels)
    rows = [
        row
        for step in steps_of_epoch(rng.permutation(60), without, plan)
        for batch in step
        for row in batch.rows
    ]
    assert len(rows) < len(seen), "rows of unknown labels alone are not even read"
