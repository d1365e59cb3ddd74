"""A loss of known labels and one of unknown ones, joined: by hand, cell by cell."""

import numpy as np
import pytest
import torch
from loss_parts import NAN, batch, value_of
from numpy.testing import assert_allclose, assert_array_equal

from cftlearn.losses import (
    BiasedNegativesLoss,
    HillLoss,
    LargeLoss,
    NonNegativePULoss,
    PartialBCEWithLogitsLoss,
    PartialFocalLoss,
    PartialLoss,
    SelectiveLoss,
    available,
    make_loss,
)
from cftlearn.losses._registry import estimates_rates, make_unknown_loss

KNOWN = available()
NEED_RATES = ["auto", "expected_positive", "imbalanced_nnpu", "nnpu", "role"]
UNKNOWN = [name for name in available("unknown") if name not in NEED_RATES]
ADDED = [name for name in UNKNOWN if name not in ("ignore", "negative")]
ROWS = torch.arange(20)


def cell_by_cell(known, logits, target):
    """Add up a loss of known labels, one cell at a time."""
    total = 0.0
    for i, j in np.argwhere(~np.isnan(target)):
        own = torch.full((1, 1), logits[i, j], dtype=torch.float64)
        total += float(make_loss(known)(own, torch.full((1, 1), target[i, j])))
    return total


def train(loss, logits, target, n_epochs=4, rows=ROWS):
    """Go through the epochs of a training without moving anything."""
    loss.start(torch.from_numpy(target))
    values = []
    for epoch in range(n_epochs):
        loss.set_epoch(epoch, n_epochs)
        values.append(value_of(loss, logits, target, rows=rows)[0])
    return values


@pytest.mark.parametrize("known", KNOWN)
@pytest.mark.parametrize("unknown", ADDED)
def test_the_sum_of_both_over_all_cells(known, unknown, rng):
    logits, target = batch(rng)
    of_unknown = make_unknown_loss(unknown)
    n_unknown = np.isnan(target).sum()
    torch.manual_seed(3)
    means = train(of_unknown, logits, target)
    torch.manual_seed(3)
    values = train(PartialLoss(known, unknown), logits, target)
    total = cell_by_cell(known, logits, target)
    expected = [(total + n_unknown * mean) / target.size for mean in means]
    assert_allclose(values, expected, rtol=1e-7)


@pytest.mark.parametrize("known", KNOWN)
def test_without_a_loss_of_unknown_cells(known, rng):
    logits, target = batch(rng)
    n_known = (~np.isnan(target)).sum()
    expected = cell_by_cell(known, logits, target) / n_known
    assert value_of(PartialLoss(known), logits, target)[0] == pytest.approx(expected)
    filled = np.where(np.isnan(target), 0.0, target)
    expected = cell_by_cell(known, logits, filled) / target.size
    value, gradient = value_of(PartialLoss(known, "negative"), logits, target)
    assert value == pytest.approx(expected)
    assert (gradient[np.isnan(target)] >= 0).all()


@pytest.mark.parametrize("unknown", ["hill", "negative", "weak_negative"])
def test_unknown_cells_count_as_much_as_asked(unknown, rng):
    logits, target = batch(rng)
    heavy, light, none = (
        value_of(PartialLoss("bce", unknown, unknown_weight=weight), logits, target)
        for weight in (1.0, 0.3, 0.0)
    )
    known = ~np.isnan(target)
    assert_allclose(light[1][~known], 0.3 * heavy[1][~known])
    assert_array_equal(light[1][known], heavy[1][known])
    assert_array_equal(none[1][~known], 0)
    assert none[0] == pytest.approx(cell_by_cell("bce", logits, target) / target.size)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_the_reduction_of_the_loss_of_known_labels_is_not_used(reduction, rng):
    logits, target = batch(rng)
    known = PartialFocalLoss(reduction=reduction)
    expected = value_of(PartialLoss("focal", "hill"), logits, target)
    value, gradient = value_of(PartialLoss(known, HillLoss()), logits, target)
    assert value == pytest.approx(expected[0])
    assert_allclose(gradient, expected[1])
    assert known.reduction == reduction


def test_the_loss_of_unknown_cells_is_copied(rng):
    logits, target = batch(rng)
    own = LargeLoss("permanent", share_per_epoch=0.5)
    joined = PartialLoss("bce", own)
    train(joined, logits, target)
    assert joined.unknown._flipped.any()
    assert not own._flipped.numel()
    assert own.epoch == 0
    assert len(list(joined.buffers())) == 1


def test_rows_reach_the_loss_of_unknown_cells(rng):
    logits, target = batch(rng)
    joined = PartialLoss("bce", "large_loss_permanent")
    with pytest.raises(ValueError, match="`rows` must hold the numbers of the rows"):
        joined(torch.from_numpy(logits), torch.from_numpy(target))
    joined.start(torch.from_numpy(target))
    joined.set_epoch(0, 3)
    joined(torch.from_numpy(logits), torch.from_numpy(target), ROWS)
    with pytest.raises(ValueError, match=r"`epoch` must be in .*got 3\. Epochs"):
        joined.set_epoch(3, 3)
    for silent in ("ignore", "negative"):
        joined = PartialLoss("bce", silent)
        joined.start(torch.from_numpy(target))
        joined.set_epoch(0, 1)
        assert joined.unknown is None


def test_a_loss_that_replaces_that_of_known_labels(rng):
    logits, target = batch(rng)
    own = BiasedNegativesLoss(
        rng.random(target.shape), prior=[0.2, 0.3, 0.4], negative_share=0.2
    )
    expected = value_of(own, logits, target, rows=ROWS)
    value, gradient = value_of(
        PartialLoss("asl", own, unknown_weight=0.1), logits, target, rows=ROWS
    )
    assert value == expected[0]
    assert_array_equal(gradient, expected[1])


@pytest.mark.parametrize("unknown", UNKNOWN)
@pytest.mark.parametrize("known", KNOWN)
def test_batches_of_one_kind_of_cells(known, unknown, rng):
    logits, target = batch(rng)
    joined = PartialLoss(known, unknown)
    joined.start(torch.from_numpy(target))
    joined.set_epoch(2, 4)
    if unknown == "selective":  # whose warm-up it missed
        joined.unknown._sums[:] = 1.0
    all_known = np.where(np.isnan(target), 1.0, target)
    value, gradient = value_of(joined, logits, all_known, rows=ROWS)
    if unknown != "vpu":
        expected = cell_by_cell(known, logits, all_known) / target.size
        assert value == pytest.approx(expected)
    nothing = np.full(target.shape, NAN)
    value, gradient = value_of(joined, logits, nothing, rows=ROWS)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    empty = value_of(joined, logits[:0], target[:0], rows=ROWS[:0])
    assert empty[0] == 0


def test_soft_labels_are_known(rng):
    logits, target = batch(rng)
    target[0] = 0.3
    joined = PartialLoss("bce", "hill")
    value, _ = value_of(joined, logits, target)
    hill = HillLoss().cell_losses(torch.from_numpy(logits)).numpy()
    total = cell_by_cell("bce", logits, target) + hill[np.isnan(target)].sum()
    assert value == pytest.approx(total / target.size)


def test_integer_targets_have_no_unknown_cell():
    joined = PartialLoss("bce", "negative")
    assert joined(torch.zeros(1, 2), torch.tensor([[0, 1]])) == pytest.approx(np.log(2))


# ------------------------------------------------------------------------ refusals
@pytest.mark.parametrize("name", NEED_RATES)
def test_names_that_need_rates_are_refused(name):
    assert estimates_rates(name)
    with pytest.raises(ValueError, match=rf"without rates .*; got '{name}'\. Pass 'hi"):
        PartialLoss("bce", name)


def test_objects_with_their_shares_are_taken(rng):
    logits, target = batch(rng)
    joined = PartialLoss("bce", NonNegativePULoss(prior=0.2))
    joined.start(torch.from_numpy(target))
    assert np.isfinite(value_of(joined, logits, target)[0])
    with pytest.raises(ValueError, match="`prior` must be given, or estimated in a"):
        value_of(PartialLoss("bce", NonNegativePULoss()), logits, target)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        (("bce", "hil"), ValueError, "`unknown` must be one of 'auto', .* got 'hil'"),
        (("bce", 3), TypeError, "of unknown labels, an UnknownLoss; got 3 of type int"),
        (("bce", None), TypeError, "an UnknownLoss; got None of type NoneType"),
        (("bce", HillLoss), TypeError, "an UnknownLoss; got <class .* of type type"),
        (("hinge",), ValueError, "`loss` must be one of 'asl', .* got 'hinge'"),
        ((torch.nn.BCELoss(),), TypeError, "`known` must be a name .* got BCELoss"),
        ((PartialBCEWithLogitsLoss,), TypeError, "`known` must be .* got type"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_other_parts_are_refused(arguments, error, match):
    with pytest.raises(error, match=match):
        PartialLoss(*arguments)


@pytest.mark.parametrize("weight", [-0.1, NAN, float("inf")])
def test_weights_out_of_their_range_are_refused(weight):
    with pytest.raises(ValueError, match=f"`unknown_weight` must be .* got {weight}"):
        PartialLoss("bce", "hill", unknown_weight=weight)


def test_a_missed_warm_up_is_told(rng):
    logits, target = batch(rng)
    joined = PartialLoss("asl", SelectiveLoss())
    joined.start(torch.from_numpy(target))
    joined.set_epoch(5, 10)
    with pytest.raises(
        ValueError, match=r"`prior` must be given, or estimated .*epoch"
    ):
        value_of(joined, logits, target)
