"""The losses of mlcpl 0.1.7, where it is right: the same numbers."""

import importlib.util
import sys
from importlib.metadata import PackageNotFoundError, distribution
from types import ModuleType

import numpy as np
import pytest
import torch
from loss_parts import NAN, batch
from numpy.testing import assert_allclose

from cftlearn.losses import (
    LargeLoss,
    PartialAsymmetricLoss,
    PartialFocalLoss,
    PartialLoss,
    PartialStrictlyProperLoss,
    SelectiveLoss,
)


@pytest.fixture(scope="module")
def theirs() -> ModuleType:
    """Return its losses alone: the package imports much that they do not need."""
    try:
        found = distribution("mlcpl")
    except PackageNotFoundError:
        pytest.skip("needs mlcpl")
    if found.version != "0.1.7":
        pytest.skip(f"compares mlcpl 0.1.7, not {found.version}")
    path = found.locate_file("mlcpl/losses/__init__.py")
    spec = importlib.util.spec_from_file_location("mlcpl_losses", str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules["mlcpl_losses"] = module
    spec.loader.exec_module(module)
    return module


def both(ours, other, logits, target, **rest):
    """Evaluate both, and their gradients, in double precision."""
    found = []
    for loss, arguments in ((ours, {}), (other, rest)):
        tensor = torch.tensor(logits, requires_grad=True)
        value = loss(tensor, torch.from_numpy(target), **arguments)
        value.backward()
        found.append((float(value.detach()), tensor.grad.numpy()))
    return found


def agree(ours, other, logits, target, factor=1.0, **rest):
    (value, gradient), (expected, slopes) = both(ours, other, logits, target, **rest)
    assert value == pytest.approx(factor * expected, rel=1e-6)
    assert_allclose(gradient, factor * slopes, rtol=1e-5, atol=1e-8)


KNOWN = {
    "bce": lambda m, r: (PartialLoss("bce").known, m.PartialBCEWithLogitLoss(**r)),
    "focal": lambda m, r: (
        PartialFocalLoss(gamma=1.0, detach_weight=True, reduction="sum"),
        m.PartialFocalWithLogitLoss(**r),
    ),
    "focal through the weight": lambda m, r: (
        PartialFocalLoss(gamma=2.0, reduction="sum"),
        m.PartialFocalWithLogitLoss(gamma=2.0, discard_focal_grad=False, **r),
    ),
    "asl": lambda m, r: (
        PartialAsymmetricLoss(
            gamma_positive=1.0, gamma_negative=4.0, clip=0.05, reduction="sum"
        ),
        m.PartialAsymmetricWithLogitLoss(clip=0.05, gamma_pos=1, gamma_neg=4, **r),
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_labels(theirs, name, rng):
    logits, target = batch(rng)
    ours, other = KNOWN[name](theirs, {"reduction": "sum"})
    agree(ours, other, logits, target)


@pytest.mark.parametrize("name", ["bce", "focal", "asl"])
def test_unknown_labels_as_negatives(theirs, name, rng):
    logits, target = batch(rng)
    ours, other = {
        "bce": ("bce", theirs.PartialNegativeBCEWithLogitLoss()),
        "focal": (
            PartialFocalLoss(gamma=1.0, detach_weight=True),
            theirs.PartialNegativeFocalWithLogitLoss(),
        ),
        "asl": (
            PartialAsymmetricLoss(gamma_negative=1.0, clip=0.0),
            theirs.PartialNegativeAsymmetricWithLogitLoss(),
        ),
    }[name]
    agree(PartialLoss(ours, "negative"), other, logits, target)


@pytest.mark.parametrize("top", [0, 1, 3])
def test_the_selective_loss(theirs, top, rng):
    logits, target = batch(rng)
    prior = [0.01, 0.4, 0.03]
    other = theirs.PartialSelectiveBCEWithLogitLoss(
        label_priors=torch.tensor(prior), likelihood_topk=top, reduction="sum"
    )
    ours = PartialLoss("bce", SelectiveLoss(prior=prior, top=top, gamma=0.0))
    agree(ours, other, logits, target, factor=1 / target.size)


def test_the_strictly_proper_loss_at_its_own_point(theirs):
    """There the losses take psi(s) for s: they are ours at the logit psi(s)."""
    loss = PartialStrictlyProperLoss()
    logits = torch.linspace(-5, 5, 21, dtype=torch.float64)[:, None]
    other = theirs.PartialStrictlyProperAsymmetricWithLogitLoss()
    for label in (0.0, 1.0):
        target = torch.full_like(logits, label)
        at_proba = float(loss(loss.predict_proba(logits), target))
        assert float(other(logits, target)) == pytest.approx(at_proba, rel=1e-6)
        assert float(loss(logits, target)) != pytest.approx(at_proba, rel=0.05)


@pytest.mark.parametrize("scheme", ["rejection", "temporary"])
def test_large_losses(theirs, scheme, rng):
    """Of its share of unknown cells mlcpl chooses one less."""
    logits, target = batch(rng, 40, unknown=0.7)
    n_unknown = int(np.isnan(target).sum())
    kinds = {
        "rejection": theirs.LargeLossRejection,
        "temporary": theirs.LargeLossCorrectionTemporary,
    }
    other = kinds[scheme](delta_rel=10, reduction="mean")
    n = round(0.3 * n_unknown) - 1
    ours = PartialLoss("bce", LargeLoss(scheme, share_per_epoch=n / n_unknown))
    ours.set_epoch(1, 2)
    agree(ours, other, logits, target, epoch=3)


def test_a_batch_without_known_labels_is_no_nan_here(theirs, rng):
    logits, _ = batch(rng)
    target = np.full(logits.shape, NAN)
    (value, _), (other, _) = both(
        PartialLoss("bce"), theirs.PartialBCEWithLogitLoss(), logits, target
    )
    assert np.isnan(other)
    assert value == 0
