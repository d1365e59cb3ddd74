"""Losses by name: one entry makes a loss known everywhere."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from cftlearn import CategoryWiseFineTuner, CFTClassifier, losses
from cftlearn.losses import (
    PartialAsymmetricLoss,
    PartialBCEWithLogitsLoss,
    make_loss,
)
from cftlearn.losses._registry import LOSSES
from cftlearn.solvers import GradientSolver


class SquaredLoss(nn.Module):
    """A loss that only this file knows."""

    def __init__(self, reduction="mean"):
        super().__init__()
        self.reduction = reduction

    def forward(self, logits, target):
        known = ~torch.isnan(target)
        errors = torch.where(known, torch.sigmoid(logits) - target, 0.0) ** 2
        total = errors.sum()
        return total if self.reduction == "sum" else total / known.sum().clamp(min=1)


@pytest.fixture
def squared(monkeypatch):
    """Add one entry to the table."""
    monkeypatch.setitem(LOSSES, "squared", (f"{__name__}:SquaredLoss", {}))
    return "squared"


def test_names_are_sorted():
    assert losses.available() == ["asl", "bce", "focal", "spa"]
    unknown = losses.available("unknown")
    assert unknown == sorted(unknown)
    assert {"auto", "ignore", "negative", "hill", "nnpu"} < set(unknown)
    with pytest.raises(ValueError, match="`part` must be 'known' or 'unknown'; got 3"):
        losses.available(3)


def test_losses_by_name():
    assert type(make_loss("bce")) is PartialBCEWithLogitsLoss
    loss = make_loss("asl", gamma_negative=2.0, reduction="sum")
    assert type(loss) is PartialAsymmetricLoss
    assert (loss.gamma_negative, loss.reduction) == (2.0, "sum")


def test_a_callable_is_a_loss_already():
    loss = make_loss(binary_cross_entropy_with_logits)
    assert loss is binary_cross_entropy_with_logits


def test_unknown_names_are_refused():
    with pytest.raises(
        ValueError, match=r"one of 'asl', 'bce', 'focal', 'spa', or a .* got 'hinge'"
    ):
        make_loss("hinge")
    with pytest.raises(TypeError, match="or a callable; got 3 of type int"):
        make_loss(3)


@pytest.mark.parametrize("loss", ["asl", lambda logits, targets: logits.sum()])
def test_options_need_a_loss_that_has_them(loss):
    got = "loss='asl'" if loss == "asl" else "a callable"
    match = rf"`margin` needs a loss that .*, such as 'focal'; got {got}\. Leave"
    with pytest.raises(ValueError, match=match):
        make_loss(loss, margin=1.0)


def test_options_that_no_loss_has():
    match = "`height` needs a loss that has this parameter; got loss='bce'"
    with pytest.raises(ValueError, match=match):
        make_loss("bce", height=1.0)


def test_names_are_read_without_torch():
    code = (
        "import sys\n"
        "from cftlearn import losses\n"
        "assert losses.available() and 'PartialAsymmetricLoss' in dir(losses)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_module_has_no_other_names():
    with pytest.raises(AttributeError, match="no attribute 'HingeLoss'"):
        losses.HingeLoss  # noqa: B018


# ------------------------------------------------------------------- a new entry
def test_a_new_loss_trains_a_network(squared, partial_problem, network_factory):
    X, y, _ = partial_problem
    network = network_factory()

    def first_loss(loss):
        model = CFTClassifier(
            network,
            loss=loss,
            fine_tuner=CategoryWiseFineTuner("proximal"),
            max_epochs=1,
            batch_size=1000,
            random_state=0,
            device="cpu",
        )
        return model.fit(X.astype(np.float32), y).history_[0]["loss"]

    assert first_loss(squared) == first_loss(SquaredLoss()) != first_loss("bce")


def test_a_new_loss_refits_categories(squared, partial_problem):
    Z, y, _ = partial_problem
    solver = GradientSolver(loss=squared, max_epochs=20)
    by_object = CategoryWiseFineTuner(solver, random_state=0).fit(Z, y)
    assert {line["solver"] for line in by_object.report_} <= {"squared", None}
    assert any(line["solver"] == "squared" for line in by_object.report_)
    tuner = CategoryWiseFineTuner([squared, "bce"], random_state=0).fit(Z, y)
    assert {line["solver"] for line in tuner.report_} <= {"squared", "bce", None}


def test_the_command_line_knows_a_new_loss(squared, partial_problem, capsys):
    from cftlearn.cli import main
    from cftlearn.cli._model import make_model
    from cftlearn.cli._settings import Settings

    settings = Settings(
        train={"loss": squared}, refit={"solver": squared}, device="cpu"
    )
    model = make_model(settings, train=True)
    assert model.loss == model.fine_tuner.solver == squared
    X, y, _ = partial_problem
    report = model.set_params(input_transform=None).fit(X, y).report_
    assert any(line["solver"] == squared for line in report)
    with pytest.raises(SystemExit, match="0"):
        main(["fit", "--help"])
    assert "bce, focal, ga, proximal, spa, squared" in " ".join(
        capsys.readouterr().out.split()
    )


@pytest.mark.parametrize(
    "act",
    [
        lambda X, y: CFTClassifier(loss="squared").fit(X, y),
        lambda X, y: CategoryWiseFineTuner("squared").fit(X, y),
        lambda X, y: CategoryWiseFineTuner(["bce", "squared"]).fit(X, y),
        lambda X, y: CategoryWiseFineTuner(GradientSolver(loss="squared")).fit(X, y),
    ],
    ids=["classifier", "fine-tuner", "list of solvers", "solver"],
)
def test_without_the_entry_it_is_refused(partial_problem, act):
    with pytest.raises(ValueError, match=r"(solver|loss).* must be .*[Gg]ot 'squared'"):
        act(*partial_problem[:2])
