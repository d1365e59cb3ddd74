"""Scores on held-out labels, and early stopping by them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from training_parts import (
    PLAN,
    same_weights,
    train,
)

from cftlearn._inputs import read_inputs
from cftlearn.exceptions import NonFiniteLossError
from cftlearn.losses import make_loss
from cftlearn.metrics import partial_average_precision_score, partial_roc_auc_score
from cftlearn.metrics._objectives import make_objective


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


def test_logits_of_held_out_rows_must_be_finite(problem, module, held_out):
    X = held_out.inputs.items.copy()
    X[[7, 9]] = np.nan
    wrong = held_out._replace(inputs=read_inputs(X))
    with pytest.raises(NonFiniteLossError, match=r"after epoch 1 \(rows 7, 9\)"):
        train(module, *problem, wrong)


# ---------------------------------------------------------------------- early stopping
@pytest.mark.parametrize("labels", [None, np.nan], ids=["no rows", "nothing known"])
def test_patience_needs_labels(problem, module, held_out, labels):
    if labels is not None:
        labels = held_out._replace(labels=np.full_like(held_out.labels, np.nan))
    with pytest.raises(ValueError, match=r"`patience` needs held-out labels"):
        train(module, *problem, labels, patience=2)


@pytest.mark.parametrize("monitor", ["score", "loss"])
@pytest.mark.parametrize("ema_decay", [None, 0.5])
def test_early_stopping_returns_to_the_best_epoch(
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
