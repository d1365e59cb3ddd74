"""Cells that say how often labels are known, and the trainings that ask them."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from training_parts import PLAN, same_weights

import cftlearn.training._rate_probe as module_under_test
from cftlearn._inputs import read_inputs
from cftlearn.exceptions import NonFiniteLossError
from cftlearn.labels._known_rates import (
    LabelTotals,
    ScoredCells,
    estimate_known_rates,
)
from cftlearn.labels._label_split import TrainingTargets
from cftlearn.losses import SelectionLoss
from cftlearn.metrics._objectives import make_objective
from cftlearn.training import NetworkTrainer
from cftlearn.training._loop import train_network
from cftlearn.training._plan import HeldOut
from cftlearn.training._rate_probe import RateProbe

N = 600


def make_problem(ratio=8.0, seed=0):
    """Return inputs, labels to fit, labels held out, and unknown cells left out."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((N, 6)).astype(np.float32)
    full = (X[:, :3] + 0.7 * rng.standard_normal((N, 3)) > 0.6).astype(float)
    rate = np.where(full == 1, 0.08 * ratio, 0.08)
    values = np.where(rng.random(full.shape) < rate, full, np.nan)
    is_held_out = rng.random(full.shape) < 0.3
    fitted = np.where(is_held_out, np.nan, values)
    held_out = np.where(is_held_out, values, np.nan)
    left_out = np.isnan(values) & (rng.random(full.shape) < 0.3)
    return X, fitted, held_out, left_out


def make_probe(X, fitted, held_out, left_out):
    totals = LabelTotals.of(np.where(np.isnan(fitted), held_out, fitted))
    objective = make_objective("roc_auc")
    inputs = read_inputs(X)
    return RateProbe(HeldOut(inputs, held_out, objective), inputs, left_out, totals)


@pytest.fixture
def parts():
    return make_problem()


@pytest.fixture
def trained(module, parts):
    X, fitted, *_ = parts
    plan = replace(PLAN, max_epochs=10)
    train_network(module, read_inputs(X), TrainingTargets(fitted), plan)
    return module


# ----------------------------------------------------------------------- one estimate
def test_cells_are_scored_by_the_network(trained, parts):
    """Oracle: all rows scored at once, cells picked by hand."""
    X, _, held_out, left_out = parts
    with torch.inference_mode():
        scores = trained(torch.from_numpy(X)).numpy()
    cells = [
        ScoredCells(own[~np.isnan(y)], y[~np.isnan(y)] == 1, own[is_unknown])
        for own, y, is_unknown in zip(scores.T, held_out.T, left_out.T, strict=True)
    ]
    probe = make_probe(*parts)
    expected = estimate_known_rates(cells, probe.totals)
    assert expected.log_ratio > 1
    rates = probe.estimate(trained, PLAN, 1)
    np.testing.assert_allclose(rates.positive, expected.positive, rtol=1e-5)
    np.testing.assert_allclose(rates.negative, expected.negative, rtol=1e-5)
    assert rates[2:] == pytest.approx(expected[2:], rel=1e-5)


def test_an_estimate_draws_no_number_and_trains_nothing(trained, parts):
    probe = make_probe(*parts)
    before = torch.get_rng_state()
    weights = {name: value.clone() for name, value in trained.state_dict().items()}
    first = probe.estimate(trained.train(), PLAN, 1)
    assert torch.equal(torch.get_rng_state(), before)
    for name, value in trained.state_dict().items():
        assert torch.equal(value, weights[name]), name
    second = probe.estimate(trained, PLAN, 1)
    np.testing.assert_array_equal(first.positive, second.positive)


def test_many_rows_are_sampled(trained, parts, monkeypatch):
    probe = make_probe(*parts)
    everything = probe.estimate(trained, PLAN, 1)
    monkeypatch.setattr(module_under_test, "_MOST_ROWS", 100)
    read = []
    original = module_under_test.logits_of_rows

    def spy(network, inputs, *rest):
        read.append(len(inputs))
        return original(network, inputs, *rest)

    monkeypatch.setattr(module_under_test, "logits_of_rows", spy)
    some = probe.estimate(trained, PLAN, 1)
    assert read == [100, 100]
    assert some.z != everything.z
    assert some.say_something
    again = probe.estimate(trained, PLAN, 1)
    assert again.z == some.z
    assert probe.estimate(trained, replace(PLAN, seed=5), 1).z != some.z


@pytest.mark.parametrize("lacking", ["held-out labels", "unknown cells"])
def test_without_cells_nothing_is_read(module, parts, lacking):
    X, fitted, held_out, left_out = parts
    if lacking == "held-out labels":
        held_out = np.full_like(held_out, np.nan)
    else:
        left_out = np.zeros_like(left_out)
    probe = make_probe(X, fitted, held_out, left_out)
    probe.held_out.inputs.items[:] = np.nan  # would raise if it was read
    rates = probe.estimate(module, PLAN, 1)
    assert not rates.say_something
    assert np.isnan(rates.z)


def test_rows_that_are_not_finite_are_named(module, parts):
    X, fitted, held_out, left_out = parts
    row = int(np.flatnonzero(left_out.any(axis=1))[3])
    X = X.copy()
    X[row] = np.nan
    held_out[row] = np.nan
    with pytest.raises(NonFiniteLossError, match=rf"after epoch 7 \(rows {row}\)"):
        make_probe(X, fitted, held_out, left_out).estimate(module, PLAN, 7)


@pytest.mark.parametrize(
    ("max_epochs", "due"),
    [(1, [1]), (2, [1, 2]), (3, [1, 3]), (10, [3, 10]), (20, [6, 20])],
)
def test_estimates_are_due_after_the_warm_up_and_at_the_end(parts, max_epochs, due):
    probe = make_probe(*parts)
    epochs = range(1, max_epochs + 1)
    assert [epoch for epoch in epochs if probe.is_due(epoch, max_epochs)] == due


# -------------------------------------------------------------------------- a training
def train_with_probe(module, parts, max_epochs=6, **finer):

    X, fitted, held_out, left_out = parts
    probe = make_probe(*parts)
    unknown = np.isnan(fitted) & np.isnan(held_out) & ~left_out
    term = SelectionLoss()
    plan = replace(
        PLAN,
        max_epochs=max_epochs,
        unknown_loss=term,
        unknown_weight=1.0,
        trainer=NetworkTrainer(**finer),
    )
    network = copy.deepcopy(module)
    targets = TrainingTargets(fitted, unknown)
    trained = train_network(
        network, read_inputs(X), targets, plan, probe.held_out, probe
    )
    return network, trained, term


def test_a_training_estimates_twice_and_returns_the_last(module, parts):
    _, trained, term = train_with_probe(module, parts)
    having = [row["epoch"] for row in trained.history if "known_log_ratio" in row]
    assert having == [2, 6]
    last = trained.history[-1]
    assert trained.rates.log_ratio == last["known_log_ratio"] > 0
    assert trained.rates.z == last["known_z"]
    assert term.is_active


def test_the_term_counts_from_the_epoch_after_the_estimate(module, parts):
    X, fitted, *_ = parts

    network = copy.deepcopy(module)
    plan = replace(PLAN, max_epochs=6)
    ignoring = train_network(network, read_inputs(X), TrainingTargets(fitted), plan)
    _, trained, _ = train_with_probe(module, parts)
    losses = [[row["loss"] for row in each.history] for each in (ignoring, trained)]
    assert losses[0][:2] == losses[1][:2]
    assert losses[0][2] != losses[1][2]


@pytest.mark.parametrize("ratio", [1.0, 8.0])
def test_equal_rates_train_like_no_term(module, ratio):
    """Bit for bit: an estimate draws nothing, cells of no term count nothing."""
    parts = make_problem(ratio, seed=2)
    network, trained, term = train_with_probe(module, parts)
    says_something = any(row.get("known_log_ratio") for row in trained.history)
    assert says_something == term.is_active == (ratio > 1)

    plain = copy.deepcopy(module)
    plan = replace(PLAN, max_epochs=6)
    held_out = make_probe(*parts).held_out
    targets = TrainingTargets(parts[1])
    history = train_network(plain, read_inputs(parts[0]), targets, plan, held_out)
    assert same_weights(network, plain) == (ratio == 1)
    if ratio == 1:
        kept = ("epoch", "loss", "learning_rate", "val_loss", "val_score")
        assert [{k: row[k] for k in kept} for row in trained.history] == history.history


def test_a_training_that_stops_early_still_ends_with_an_estimate(module, parts):
    network, trained, _ = train_with_probe(
        module, parts, max_epochs=40, patience=1, monitor="score"
    )
    assert len(trained.history) < 0.3 * 40, "the warm-up was not over"
    assert trained.rates is not None
    expected = make_probe(*parts).estimate(network, PLAN, 1)
    assert trained.rates.log_ratio == expected.log_ratio > 0
    assert trained.history[-1]["known_log_ratio"] == expected.log_ratio
    assert [row for row in trained.history[:-1] if "known_z" in row] == []


# ------------------------------------------------------------------------- checkpoints
class Killed(Exception):
    pass


@pytest.mark.parametrize("epoch", [1, 2, 4, 6])
def test_a_killed_training_goes_on_with_its_rates(
    module, parts, tmp_path, monkeypatch, epoch
):
    import cftlearn.training._loop as loop

    expected, trained, _ = train_with_probe(module, parts)
    original = loop.save_state

    def save_and_die(path, state):
        original(path, state)
        if len(state.history) == epoch:
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(loop, "save_state", save_and_die)
        with pytest.raises(Killed):
            train_with_probe(module, parts, checkpoint=tmp_path / "c")
    network, resumed, term = train_with_probe(module, parts, checkpoint=tmp_path / "c")
    assert resumed.history == trained.history
    assert same_weights(network, expected)
    assert term.is_active
    np.testing.assert_array_equal(resumed.rates.positive, trained.rates.positive)
    np.testing.assert_array_equal(resumed.rates.negative, trained.rates.negative)
    assert resumed.rates[2:] == trained.rates[2:]


def test_a_training_without_rates_is_another_one(module, parts, tmp_path):
    """Other cells count, so the folder belongs to another fit."""
    train_with_probe(module, parts, checkpoint=tmp_path)
    X, fitted, held_out, left_out = parts
    other = X, fitted, held_out, np.zeros_like(left_out)
    with pytest.raises(ValueError, match="differs in: labels"):
        train_with_probe(module, other, checkpoint=tmp_path)
