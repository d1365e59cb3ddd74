"""The losses: equal to torch's where all is known, and silent where nothing is."""

import re

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn
from torch.autograd import gradcheck

from cftlearn.losses import PartialAsymmetricLoss, PartialBCEWithLogitsLoss

NAN = float("nan")
LOSSES = {
    "bce": PartialBCEWithLogitsLoss,
    "bce weighted": lambda **kwargs: PartialBCEWithLogitsLoss(
        pos_weight=torch.tensor([0.5, 2.0, 30.0]), **kwargs
    ),
    "asl": PartialAsymmetricLoss,
    "asl through the weight": lambda **kwargs: PartialAsymmetricLoss(
        detach_weight=False, **kwargs
    ),
    "asl plain": lambda **kwargs: PartialAsymmetricLoss(
        gamma_negative=0.0, clip=0.0, **kwargs
    ),
    "asl fractional": lambda **kwargs: PartialAsymmetricLoss(
        gamma_positive=0.5, gamma_negative=0.3, clip=0.0, detach_weight=False, **kwargs
    ),
    "asl steep": lambda **kwargs: PartialAsymmetricLoss(
        gamma_positive=1.0, gamma_negative=7.0, clip=0.2, detach_weight=False, **kwargs
    ),
}
by_loss = pytest.mark.parametrize("name", LOSSES)
by_reduction = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])


def problem(n_samples=8, dtype=torch.float32, *, unknown=0.4):
    """Return logits, and targets of which a fraction is unknown."""
    logits = 3 * torch.randn(n_samples, 3, dtype=dtype)
    target = (torch.rand(n_samples, 3) < 0.5).to(dtype)
    target[torch.rand(n_samples, 3) < unknown] = NAN
    return logits.requires_grad_(), target


def with_gradient(loss, logits, target):
    """Evaluate a loss and the gradient of its sum."""
    logits = logits.detach().clone().requires_grad_()
    value = loss(logits, target)
    value.sum().backward()
    return value.detach(), logits.grad


# --- oracles ------------------------------------------------------------------------


@by_reduction
@pytest.mark.parametrize("pos_weight", [None, torch.tensor([0.5, 2.0, 30.0])], ids=str)
def test_bce_equals_torch_where_all_is_known(reduction, pos_weight):
    logits, target = problem(unknown=0)
    ours = PartialBCEWithLogitsLoss(pos_weight=pos_weight, reduction=reduction)
    theirs = nn.BCEWithLogitsLoss(pos_weight=pos_weight, reduction=reduction)
    for mine, other in zip(
        with_gradient(ours, logits, target),
        with_gradient(theirs, logits, target),
        strict=True,
    ):
        torch.testing.assert_close(mine, other)


@pytest.mark.parametrize("pos_weight", [None, torch.tensor([0.5, 2.0, 30.0])], ids=str)
def test_bce_equals_torch_on_the_known_cells(pos_weight):
    logits, target = problem()
    known = ~torch.isnan(target)
    weights = None if pos_weight is None else pos_weight.expand(target.shape)[known]
    expected = nn.BCEWithLogitsLoss(pos_weight=weights)(logits[known], target[known])
    loss = PartialBCEWithLogitsLoss(pos_weight=pos_weight)(logits, target)
    torch.testing.assert_close(loss, expected)


def test_bce_takes_soft_labels():
    logits, target = problem()
    soft = torch.where(torch.isnan(target), target, torch.rand_like(target))
    known = ~torch.isnan(soft)
    expected = nn.BCEWithLogitsLoss()(logits[known], soft[known])
    torch.testing.assert_close(PartialBCEWithLogitsLoss()(logits, soft), expected)


def asymmetric_loss(logits, target, gamma_positive, gamma_negative, clip):
    """Equation 7 of the paper, as it is written."""
    p = 1 / (1 + np.exp(-logits))
    shifted = np.maximum(p - clip, 0)
    of_positives = -((1 - p) ** gamma_positive) * np.log(p)
    of_negatives = -(shifted**gamma_negative) * np.log(1 - shifted)
    return np.where(target == 1, of_positives, of_negatives)


SETTINGS = [
    (0, 4, 0.05),
    (1, 4, 0.05),
    (0, 0, 0),
    (0, 0, 0.2),
    (2, 2, 0),
    (0.5, 1.5, 0.2),
]


@pytest.mark.parametrize(("gamma_positive", "gamma_negative", "clip"), SETTINGS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f4", "f8"])
def test_asl_equals_the_formula(gamma_positive, gamma_negative, clip, dtype):
    logits, target = problem(200, dtype)
    known = ~torch.isnan(target)
    expected = asymmetric_loss(
        logits.detach().double().numpy(),
        target.double().numpy(),
        gamma_positive,
        gamma_negative,
        clip,
    )
    loss = PartialAsymmetricLoss(
        gamma_positive=gamma_positive,
        gamma_negative=gamma_negative,
        clip=clip,
        reduction="none",
    )(logits, target)
    assert loss.dtype == dtype
    assert_allclose(
        loss.detach()[known].numpy(),
        expected[known.numpy()],
        rtol=1e-12 if dtype == torch.float64 else 2e-4,
        atol=1e-14 if dtype == torch.float64 else 1e-6,
    )


def test_asl_without_focus_is_bce():
    logits, target = problem()
    plain = PartialAsymmetricLoss(gamma_negative=0, clip=0)(logits, target)
    torch.testing.assert_close(plain, PartialBCEWithLogitsLoss()(logits, target))


def test_asl_counts_negatives_below_the_clip_as_nothing():
    logits = torch.tensor([[-4.0, -2.0]])  # probabilities 0.018 and 0.119
    loss, gradient = with_gradient(
        PartialAsymmetricLoss(reduction="none"), logits, torch.zeros(1, 2)
    )
    assert loss[0, 0] == gradient[0, 0] == 0
    assert loss[0, 1] > 0
    assert gradient[0, 1] > 0


def test_asl_weights_are_not_differentiated_by_default():
    logits, target = problem(50, torch.float64)
    known = ~torch.isnan(target)
    _, gradient = with_gradient(
        PartialAsymmetricLoss(gamma_positive=1, reduction="sum"), logits, target
    )
    p = torch.sigmoid(logits.detach())
    shifted = (p - 0.05).clamp(min=0)
    of_positives = -(1 - p) * (1 - p)
    of_negatives = shifted**4 * p * (1 - p) / (1 - shifted) * (shifted > 0)
    expected = torch.where(target == 1, of_positives, of_negatives)
    torch.testing.assert_close(gradient[known], expected[known])
    _, full = with_gradient(
        PartialAsymmetricLoss(gamma_positive=1, reduction="sum", detach_weight=False),
        logits,
        target,
    )
    assert not torch.allclose(full[known], gradient[known])


@pytest.mark.parametrize("name", [n for n in LOSSES if n != "asl"])
@by_reduction
def test_gradients_pass_gradcheck(name, reduction):
    loss = LOSSES[name](reduction=reduction).double()
    logits, target = problem(6, torch.float64)
    assert gradcheck(lambda z: loss(z, target), logits)


# --- unknown labels -----------------------------------------------------------------


@by_loss
@by_reduction
def test_unknown_cells_have_no_loss_and_no_gradient(name, reduction):
    logits, target = problem()
    with torch.no_grad():
        logits[0] *= 1e4
    unknown = torch.isnan(target)
    target[0, 0] = NAN
    unknown[0, 0] = True
    _, gradient = with_gradient(LOSSES[name](reduction=reduction), logits, target)
    assert (gradient[unknown] == 0).all()
    assert (gradient[~unknown] != 0).any()
    each, _ = with_gradient(LOSSES[name](reduction="none"), logits, target)
    assert (each[unknown] == 0).all()


@by_loss
@by_reduction
def test_logits_of_unknown_cells_do_not_matter(name, reduction):
    logits, target = problem()
    other = torch.where(torch.isnan(target), -7 * logits, logits)
    loss = LOSSES[name](reduction=reduction)
    for before, after in zip(
        with_gradient(loss, logits, target),
        with_gradient(loss, other, target),
        strict=True,
    ):
        assert torch.equal(before, after)


@by_loss
@pytest.mark.parametrize("value", [NAN, float("inf"), -float("inf")])
def test_even_a_broken_logit_of_an_unknown_cell_does_not_matter(name, value):
    target = torch.tensor([[1.0, 0.0, NAN]])
    for before, after in zip(
        with_gradient(LOSSES[name](), torch.tensor([[-1.0, 1.0, 1.0]]), target),
        with_gradient(LOSSES[name](), torch.tensor([[-1.0, 1.0, value]]), target),
        strict=True,
    ):
        assert torch.equal(before, after)


@by_loss
def test_reductions_agree(name):
    logits, target = problem()
    mean, total, each = (
        LOSSES[name](reduction=reduction)(logits, target)
        for reduction in ("mean", "sum", "none")
    )
    n_known = (~torch.isnan(target)).sum()
    assert each.shape == target.shape
    assert (each >= 0).all()
    torch.testing.assert_close(total, each.sum())
    torch.testing.assert_close(mean, each.sum() / n_known)


@by_loss
@by_reduction
def test_mlcpl_divides_zero_by_zero_where_nothing_is_known(name, reduction):
    """There a batch without a known label gives NaN and destroys the weights."""
    layer = nn.Linear(4, 3)
    loss = LOSSES[name](reduction=reduction)
    value = loss(layer(torch.randn(5, 4)), torch.full((5, 3), NAN))
    assert (value == 0).all()
    value.sum().backward()
    assert (layer.weight.grad == 0).all()
    assert (layer.bias.grad == 0).all()


# --- extreme logits -----------------------------------------------------------------

EXTREMES = torch.tensor([0.0, 17.0, 40.0, 88.0, 89.0, 104.0, 200.0, 1e4])
EXTREMES = torch.cat([-EXTREMES.flip(0), EXTREMES])


@by_loss
@pytest.mark.parametrize("label", [0.0, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f4", "f8"])
def test_mlcpl_has_nan_gradients_from_logit_17(name, label, dtype):
    """There log(sigmoid(x)) meets log(0): right answers get NaN, wrong ones inf."""
    logits = EXTREMES.to(dtype).reshape(-1, 1).expand(-1, 3)
    loss, gradient = with_gradient(
        LOSSES[name](reduction="none"), logits, torch.full_like(logits, label)
    )
    assert torch.isfinite(loss).all()
    assert torch.isfinite(gradient).all()
    assert (loss >= 0).all()
    downhill = gradient if label == 0 else -gradient
    assert (downhill >= 0).all()


@pytest.mark.parametrize("name", ["bce", "asl plain"])
@pytest.mark.parametrize("size", [200.0, 1e4])
def test_a_wrong_logit_costs_its_size_and_still_pulls(name, size):
    logits, target = torch.tensor([[-size, size]]), torch.tensor([[1.0, 0.0]])
    loss, gradient = with_gradient(LOSSES[name](reduction="none"), logits, target)
    assert loss.tolist() == [[size, size]]
    assert gradient.tolist() == [[-1.0, 1.0]]


def test_nan_logits_are_not_hidden():
    """A network that diverged must show: nansum would count it as no loss."""
    for loss in (PartialBCEWithLogitsLoss(), PartialAsymmetricLoss()):
        assert torch.isnan(loss(torch.tensor([[NAN, 1.0]]), torch.ones(1, 2)))


# --- what is taken, and what is not -------------------------------------------------


@by_loss
@pytest.mark.parametrize("dtype", [torch.int64, torch.int8, torch.bool, torch.float64])
def test_targets_of_any_type(name, dtype):
    logits, target = problem(unknown=0)
    expected = LOSSES[name]()(logits, target)
    value = LOSSES[name]()(logits, target.to(dtype))
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, expected)


@by_loss
def test_the_input_is_not_changed(name):
    logits, target = problem()
    before = logits.detach().clone(), target.clone()
    LOSSES[name]()(logits, target)
    assert torch.equal(logits.detach(), before[0])
    assert torch.equal(target.nan_to_num(9), before[1].nan_to_num(9))


@by_loss
@pytest.mark.parametrize("dtype", [torch.float32, torch.int8], ids=["f4", "i1"])
def test_mlcpl_trains_silently_on_minus_one(name, dtype):
    """There a stray -1 trains as "very negative"."""
    target = torch.tensor([[1, 0, 1], [0, -1, 0]], dtype=dtype)
    message = r"labels in \[0, 1\] or NaN \(unknown\); got -1\. .*check_partial_labels"
    with pytest.raises(ValueError, match=message):
        LOSSES[name]()(torch.zeros(2, 3), target)


@by_loss
@pytest.mark.parametrize("value", [2.0, -0.5, 255.0, float("inf"), -float("inf")])
def test_other_targets_are_refused(name, value):
    target = torch.tensor([[NAN, 0.0, value]])
    with pytest.raises(ValueError, match=rf"or NaN \(unknown\); got {value:g}\. Read"):
        LOSSES[name]()(torch.zeros(1, 3), target)


@by_loss
@pytest.mark.parametrize("shape", [(3,), (4, 1), (1, 3), (3, 4)], ids=str)
def test_targets_of_another_shape_are_refused(name, shape):
    message = re.escape(f"shape of `logits`, (4, 3); got {shape}.")
    with pytest.raises(ValueError, match=message):
        LOSSES[name]()(torch.zeros(4, 3), torch.zeros(shape))


@pytest.mark.parametrize("kind", [PartialBCEWithLogitsLoss, PartialAsymmetricLoss])
@pytest.mark.parametrize("reduction", ["Mean", "", None, ["mean"]], ids=repr)
def test_other_reductions_are_refused(kind, reduction):
    message = re.escape(f"'mean', 'sum' or 'none'; got {reduction!r}.")
    with pytest.raises(ValueError, match=message):
        kind(reduction=reduction)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"gamma_positive": -1}, "must be 0 or more; got -1 and 4.0"),
        ({"gamma_negative": -0.1}, "must be 0 or more; got 0.0 and -0.1"),
        ({"gamma_negative": NAN}, "must be 0 or more; got 0.0 and nan"),
        ({"clip": -0.1}, r"`clip` must be in \[0, 1\); got -0\.1"),
        ({"clip": 1.0}, r"`clip` must be in \[0, 1\); got 1\.0"),
        ({"clip": NAN}, r"`clip` must be in \[0, 1\); got nan"),
    ],
    ids=str,
)
def test_other_parameters_of_asl_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        PartialAsymmetricLoss(**parameters)


@pytest.mark.parametrize("value", [0.0, -1.0, NAN])
def test_weights_of_positives_must_be_above_zero(value):
    message = rf"`pos_weight` must be above 0; got \[1\.0, {value}\]"
    with pytest.raises(ValueError, match=message):
        PartialBCEWithLogitsLoss(pos_weight=torch.tensor([1.0, value]))


@pytest.mark.parametrize("kind", [PartialBCEWithLogitsLoss, PartialAsymmetricLoss])
def test_parameters_are_named(kind):
    with pytest.raises(TypeError, match="positional argument"):
        kind("mean")


def test_the_weight_moves_with_the_loss():
    loss = PartialBCEWithLogitsLoss(pos_weight=torch.ones(3)).double()
    assert loss.pos_weight.dtype == torch.float64
    assert "pos_weight" in loss.state_dict()


@pytest.mark.parametrize("shape", [(4,), (5, 1), (3, 5), (1, 5)])
def test_factors_of_another_shape_are_refused(shape):
    loss = PartialBCEWithLogitsLoss(pos_weight=torch.ones(shape))
    with pytest.raises(ValueError, match=r"one factor per category, shape \(5,\); got"):
        loss(torch.zeros(3, 5), torch.ones(3, 5))
    with pytest.raises(TypeError, match=r"a tensor of one factor .* got list"):
        PartialBCEWithLogitsLoss(pos_weight=[1.0] * 5)
