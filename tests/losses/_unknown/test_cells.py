"""Losses of single unknown cells: by direct formulas in double precision."""

import numpy as np
import pytest
import torch
from loss_parts import NAN, batch, sigmoid, slopes_of, value_of
from numpy.testing import assert_allclose, assert_array_equal

from cftlearn.labels._known_rates import KnownRates
from cftlearn.losses import (
    EntropyMaximizationLoss,
    GeneralizedRobustLoss,
    HillLoss,
    SelectionLoss,
    SelfPacedCorrectionLoss,
    SmoothedNegativeLoss,
    WeakNegativeLoss,
)

RATES = KnownRates(
    np.array([0.6, 0.9, 0.2]), np.array([0.1, 0.0, 0.2]), np.log(6.0), 4.0
)


def in_first_epoch(loss):
    loss.set_epoch(0, 10)
    return loss


def selection():
    loss = SelectionLoss()
    loss.set_rates(RATES)
    return loss


def robust(p, epoch=0, n_epochs=1):
    done = epoch / max(n_epochs - 1, 1)
    w, b = 10 * done, -2 - 6 * done
    mu, sigma = 0.5 + 0.3 * done, 2 - 1.5 * done
    k, v = sigmoid(w * p + b), np.exp(-((p - mu) ** 2) / (2 * sigma**2))
    return v, k * (1 - p**0.01) / 0.01 + (1 - k) * p


def selection_by_hand(p):
    stays = p * (1 - RATES.positive) + (1 - p) * (1 - RATES.negative)
    return np.log(1 - RATES.negative) - np.log(stays)


# Name: how to make the loss, and its formula for a probability.
CELLS = {
    "weak negative": (WeakNegativeLoss, lambda p: -np.log(1 - p)),
    "smoothed": (
        lambda: SmoothedNegativeLoss(smoothing=0.2),
        lambda p: -0.2 * np.log(p) - 0.8 * np.log(1 - p),
    ),
    "hill": (HillLoss, lambda p: (1.5 - p) * p**2),
    "hill of another peak": (lambda: HillLoss(peak=2.0), lambda p: (2 - p) * p**2),
    "splc": (
        lambda: in_first_epoch(SelfPacedCorrectionLoss()),
        lambda p: -(p**2) * np.log(1 - p),
    ),
    "entropy": (
        lambda: EntropyMaximizationLoss(alpha=0.3),
        lambda p: 0.3 * (p * np.log(p) + (1 - p) * np.log(1 - p)),
    ),
    "selection": (selection, selection_by_hand),
}
by_loss = pytest.mark.parametrize("name", CELLS)


# ------------------------------------------------------------------------ formulas
@by_loss
def test_losses_follow_their_formulas(name, rng):
    make, formula = CELLS[name]
    logits, _ = batch(rng)
    losses = make().cell_losses(torch.from_numpy(logits)).numpy()
    assert_allclose(losses, formula(sigmoid(logits)), rtol=1e-5, atol=1e-7)


@by_loss
def test_the_value_is_the_mean_over_unknown_cells(name, rng):
    make, formula = CELLS[name]
    logits, target = batch(rng)
    unknown = np.isnan(target)

    def by_hand(logits):
        return formula(sigmoid(logits))[unknown].mean()

    value, gradient = value_of(make(), logits, target)
    assert value == pytest.approx(by_hand(logits), rel=1e-5)
    assert_allclose(gradient, slopes_of(by_hand, logits), rtol=1e-4, atol=1e-8)
    assert_array_equal(gradient[~unknown], 0)


@by_loss
def test_only_cells_that_count_count(name, rng):
    make, _ = CELLS[name]
    logits, target = batch(rng)
    counts = np.isnan(target) & (rng.random(target.shape) < 0.5)
    value, gradient = value_of(make(), logits, target, unknown=torch.from_numpy(counts))
    # Oracle: the same with the other cells known.
    expected, slopes = value_of(make(), logits, np.where(counts, NAN, 1.0))
    assert value == pytest.approx(expected)
    assert_allclose(gradient, slopes)


def test_the_robust_loss_and_its_schedule(rng):
    logits, _ = batch(rng)
    loss = GeneralizedRobustLoss()
    for epoch in (0, 1, 4):
        loss.set_epoch(epoch, 5)
        near, sides = robust(sigmoid(logits), epoch, 5)
        losses = loss.cell_losses(torch.from_numpy(logits)).numpy()
        assert_allclose(losses, near * sides, rtol=1e-6)
    # k and v have no gradient.
    p = sigmoid(logits)
    tensor = torch.tensor(logits, requires_grad=True)
    loss.cell_losses(tensor).sum().backward()
    k, v = sigmoid(10 * p - 8), np.exp(-((p - 0.8) ** 2) / 0.5)
    expected = v * (-k * p**0.01 * (1 - p) + (1 - k) * p * (1 - p))
    assert_allclose(tensor.grad.numpy(), expected, rtol=1e-6, atol=1e-12)


def test_self_paced_cells_become_positives():
    loss = SelfPacedCorrectionLoss(threshold=0.7, first_epoch=2, gamma=1.0)
    logits = torch.tensor([[2.0, 0.0]], dtype=torch.float64)
    p = sigmoid(np.array([2.0, 0.0]))
    as_negative, as_positive = -p * np.log(1 - p), -(1 - p) * np.log(p)
    for epoch, expected in ((0, as_negative), (1, as_negative), (2, None)):
        loss.set_epoch(epoch, 9)
        if expected is None:
            expected = [as_positive[0], as_negative[1]]
        assert_allclose(loss.cell_losses(logits)[0].numpy(), expected)


def test_the_hill_is_steepest_in_the_middle():
    steps = np.linspace(-8, 8, 161)[None]
    _, gradient = value_of(HillLoss(), steps, np.full(steps.shape, NAN))
    p = sigmoid(steps)
    assert_allclose(gradient * steps.size, 3 * p**2 * (1 - p) ** 2)
    assert steps[0, gradient.argmax()] == pytest.approx(0)


# ------------------------------------------------------------------------ selection
def test_equal_rates_leave_unknown_cells_out(rng):
    logits, target = batch(rng)
    for rates in (KnownRates.equal(3), RATES._replace(negative=RATES.positive)):
        loss = SelectionLoss()
        assert not loss.is_active
        loss.set_rates(rates)
        assert not loss.is_active
        value, gradient = value_of(loss, logits, target)
        assert value == 0
        assert_array_equal(gradient, 0)
    # A category of equal rates beside others has no loss either.
    losses = selection().cell_losses(torch.from_numpy(logits))
    assert_allclose(losses[:, 2].numpy(), 0, atol=1e-7)
    assert selection().is_active


def test_where_positives_are_always_known_unknown_cells_are_negatives(rng):
    one = np.nextafter(1.0, 0.0)
    loss = SelectionLoss()
    loss.set_rates(KnownRates(np.full(3, one), np.zeros(3), 30.0, 9.0))
    logits = torch.from_numpy(batch(rng)[0])
    expected = WeakNegativeLoss().cell_losses(logits)
    assert_allclose(loss.cell_losses(logits).numpy(), expected.numpy(), rtol=1e-6)


def test_the_likelihood_is_largest_at_the_share_of_positives():
    """Cells of one category without features: the fit is the share of positives.

    Oracle: of 1000 cells 300 are positive, known with 0.6 and 0.1.
    """
    known_positive, known_negative = 300 * 0.6, 700 * 0.1
    n_unknown = 1000 - known_positive - known_negative

    def slope(s):
        p = sigmoid(s)
        logits, target = np.full((1, 3), s), np.array([[NAN, 1.0, 1.0]])
        of_unknown = value_of(selection(), logits, target)[1][0, 0]
        of_known = -known_positive * (1 - p) + known_negative * p
        return of_known + n_unknown * of_unknown

    share = np.log(0.3 / 0.7)
    assert slope(share) == pytest.approx(0, abs=1e-4)
    assert slope(share - 0.1) < 0 < slope(share + 0.1)


# ----------------------------------------------------------------------- parameters
@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: SmoothedNegativeLoss(smoothing=1.0), r"`smoothing` must be in \[0, 1"),
        (lambda: HillLoss(peak=0.9), "`peak` must be 1 or more; got 0.9"),
        (lambda: SelfPacedCorrectionLoss(threshold=1.2), "`threshold` must be in "),
        (lambda: SelfPacedCorrectionLoss(first_epoch=-1), "`first_epoch` must be a w"),
        (lambda: SelfPacedCorrectionLoss(gamma=NAN), "`gamma` must be finite and 0 or"),
        (lambda: EntropyMaximizationLoss(alpha=-1.0), "`alpha` must be finite and 0"),
        (lambda: GeneralizedRobustLoss(width=(1.0, 0.0)), "`width` must hold two numb"),
        (lambda: GeneralizedRobustLoss(power_positive=0.0), r"must be in \(0, 1.5\]"),
        (lambda: GeneralizedRobustLoss(power_negative=2.0), r"must be in \(0, 1.5\]"),
    ],
)
def test_parameters_out_of_their_range_are_refused(make, match):
    with pytest.raises(ValueError, match=match):
        make()
