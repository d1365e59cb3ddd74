"""Weights of known labels in the training of a network."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from training_parts import PLAN, same_weights

from cftlearn._inputs import read_inputs
from cftlearn.labels import check_partial_labels
from cftlearn.labels._label_split import (
    TrainingTargets,
    hold_out_given,
    hold_out_nothing,
    split_labels,
)
from cftlearn.losses import BiasedNegativesLoss, PartialBCEWithLogitsLoss, available
from cftlearn.metrics._objectives import make_objective
from cftlearn.training import NetworkTrainer
from cftlearn.training._loop import train_network
from cftlearn.training._optimization import positive_weights
from cftlearn.training._plan import HeldOut, make_plan
from cftlearn.training._validation import evaluate


def weights_for(y, seed=1):
    rng = np.random.default_rng(seed)
    return np.where(np.isnan(y), 1.0, rng.uniform(0.2, 3.0, y.shape)).astype(np.float32)


def trained(module, X, y, weights=None, *, held_out=None, **changes):
    """Train a copy; return it and its history."""
    module, plan = copy.deepcopy(module), replace(PLAN, **changes)
    targets = TrainingTargets(y, weights=weights)
    return module, train_network(
        module, read_inputs(X), targets, plan, held_out
    ).history


def close(one, other, **tolerance):
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    for a, b in pairs:
        torch.testing.assert_close(a, b, **tolerance)


def test_weights_of_one_change_nothing(module, problem):
    ones = np.ones(problem[1].shape, dtype=np.float32)
    plain, history = trained(module, *problem)
    weighted, others = trained(module, *problem, ones)
    close(plain, weighted, rtol=1e-5, atol=1e-6)
    assert history[-1]["loss"] == pytest.approx(others[-1]["loss"], rel=1e-5)


@pytest.mark.parametrize("loss", available())
def test_integer_weights_are_repeated_rows(module, problem, loss):
    """In full batches, whose gradient does not depend on the order of rows."""
    X, y = problem
    counts = np.random.default_rng(0).integers(1, 4, len(y))
    rows = np.repeat(np.arange(len(y)), counts)
    table = np.broadcast_to(counts[:, None], y.shape).astype(np.float32)
    plan = make_plan(
        None,
        TrainingTargets(y),
        loss=loss,
        max_epochs=3,
        batch_size=1000,
        learning_rate=1e-2,
        seed=0,
        device="cpu",
    )
    changes = {"loss": plan.loss, "batch_size": 1000}
    weighted, history = trained(module, X, y, table, **changes)
    repeated, others = trained(module, X[rows], y[rows], **changes)
    close(weighted, repeated, rtol=1e-3, atol=1e-4)
    losses = [[record["loss"] for record in own] for own in (history, others)]
    assert_allclose(*losses, rtol=1e-4)


def test_the_loss_of_a_step_is_the_weighted_mean(module, problem):
    X, y = problem
    weights = weights_for(y)
    _, history = trained(module, X, y, weights, batch_size=1000, max_epochs=1)
    with torch.no_grad():
        logits = module(torch.from_numpy(X))
    known = ~np.isnan(y)
    cells = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, torch.from_numpy(np.nan_to_num(y)).float(), reduction="none"
    ).numpy()
    expected = np.average(cells[known], weights=weights[known])
    assert history[0]["loss"] == pytest.approx(expected, rel=1e-5)


def test_batches_of_a_step_add_up_to_one_large_batch(module, problem):
    weights = weights_for(problem[1])
    whole, _ = trained(module, *problem, weights, batch_size=40)
    parts, _ = trained(
        module,
        *problem,
        weights,
        batch_size=10,
        trainer=NetworkTrainer(accumulation_steps=4),
    )
    close(whole, parts, rtol=1e-4, atol=1e-5)


def test_what_stands_at_unknown_labels_does_not_matter(module, problem):
    weights = weights_for(problem[1])
    others = np.where(np.isnan(problem[1]), np.float32(77.0), weights)
    one, other = (trained(module, *problem, own)[0] for own in (weights, others))
    assert same_weights(one, other)


def test_held_out_labels_score_by_their_weights(module, held_out):
    weights = weights_for(held_out.labels).astype(np.float64)
    scored = evaluate(module, held_out._replace(weights=weights), PLAN, 1)
    logits = module(torch.from_numpy(held_out.inputs.items)).detach()
    labels = torch.from_numpy(held_out.labels).float()
    loss = PartialBCEWithLogitsLoss()(logits, labels, torch.from_numpy(weights).float())
    assert scored["val_loss"] == pytest.approx(float(loss), rel=1e-5)
    objective, values = make_objective("roc_auc"), []
    for j, own in enumerate(held_out.labels.T):
        rows = ~np.isnan(own)
        score = logits.numpy()[rows, j]
        values.append(objective.single(own[rows] == 1, score, weights[rows, j]))
    assert scored["val_score"] == pytest.approx(np.mean(values), rel=1e-5)


def test_rows_without_a_known_label_lose_their_weights(held_out):
    labels = held_out.labels.copy()
    labels[0] = np.nan
    weights = weights_for(labels).astype(np.float64)
    kept = HeldOut(held_out.inputs, labels, held_out.objective, weights)
    kept = kept.with_known_labels()
    assert len(kept.weights) == len(kept.labels)
    known = ~np.isnan(kept.labels)
    rows = (~np.isnan(labels)).any(axis=1)
    assert_allclose(kept.weights[known], weights[rows][known])


# ----------------------------------------------------------------------------- weights
def test_weights_are_relative_to_all_categories(problem):
    y = problem[1]
    labels, table = check_partial_labels(y), 10.0 * weights_for(y).astype(float)
    for split in (
        hold_out_nothing(labels, weights=table),
        split_labels(labels, 0.25, np.arange(3), weights=table),
    ):
        found = split.training_weights()
        assert found[labels.known].mean() == pytest.approx(1.0, abs=1e-5)
        ratio = found[labels.known] / table[labels.known]
        assert_allclose(ratio, ratio[0], rtol=1e-5)
        assert (found[~labels.known] == 1.0).all()


def test_equal_weights_and_none_are_no_weights(problem):
    labels = check_partial_labels(problem[1])
    equal = np.full(labels.values.shape, 3.0)
    assert hold_out_nothing(labels, weights=equal).training_weights() is None
    assert hold_out_nothing(labels).training_weights() is None
    only = hold_out_given(labels, labels, same_rows=False, weights_val=equal)
    assert only.training_weights() is None


def test_balanced_factors_count_by_weight(problem):
    y, weights = problem[1], weights_for(problem[1])
    found = positive_weights("balanced", y, weights).numpy()
    expected = [
        weights[own == 0, j].sum() / weights[own == 1, j].sum()
        for j, own in enumerate(y.T)
    ]
    assert_allclose(found, expected, rtol=1e-5)
    ones = positive_weights("balanced", y, np.ones_like(weights))
    assert torch.equal(ones, positive_weights("balanced", y))


# ---------------------------------------------------------------------------- refusals
def plan_with(problem, **parameters):
    targets = TrainingTargets(problem[1], weights=weights_for(problem[1]))
    given = {"loss": "bce", "max_epochs": 1, "batch_size": 8, "learning_rate": 0.1}
    return make_plan(None, targets, seed=0, device="cpu", **given | parameters)


def takes_weights(logits, targets, weight=None):
    return PartialBCEWithLogitsLoss()(logits, targets, weight)


def takes_none(logits, targets):
    return PartialBCEWithLogitsLoss()(logits, targets)


class Module(torch.nn.Module):
    def forward(self, logits, targets):
        return takes_none(logits, targets)


@pytest.mark.parametrize(
    "loss",
    [takes_none, Module(), lambda *a: takes_none(*a)],
    ids=["function", "module", "lambda"],
)
def test_a_loss_without_weights_is_refused(problem, loss):
    with pytest.raises(
        ValueError, match=r"`loss` must take the weights of labels where"
    ):
        plan_with(problem, loss=loss)
    targets = TrainingTargets(problem[1])
    given = {"max_epochs": 1, "batch_size": 8, "learning_rate": 0.1, "seed": 0}
    make_plan(None, targets, loss=loss, device="cpu", **given)
    with pytest.raises(ValueError, match="`loss` must take"):  # of held-out labels
        make_plan(None, targets, loss=loss, device="cpu", weighted=True, **given)


@pytest.mark.parametrize(
    "loss",
    [takes_weights, PartialBCEWithLogitsLoss(), "asl"],
    ids=["function", "module", "name"],
)
def test_a_loss_with_weights_is_accepted(problem, module, loss):
    plan = plan_with(problem, loss=loss)
    plain, _ = trained(module, *problem, loss=plan.loss)
    weighted, _ = trained(module, *problem, weights_for(problem[1]), loss=plan.loss)
    assert not same_weights(plain, weighted)


@pytest.mark.parametrize("unknown", ["nnpu", "imbalanced_nnpu", "vpu", "biased"])
def test_a_risk_that_counts_known_labels_alike_is_refused(problem, unknown):
    if unknown == "biased":
        chosen = np.full(problem[1].shape, 0.5)
        unknown = BiasedNegativesLoss(chosen, prior=0.3, negative_share=0.2)
    with pytest.raises(ValueError, match="in whose means known labels count alike"):
        plan_with(problem, unknown=unknown)


@pytest.mark.parametrize("unknown", ["auto", "hill", "negative", "expected_positive"])
def test_other_treatments_of_unknown_labels_are_accepted(problem, unknown):
    plan_with(problem, unknown=unknown)
