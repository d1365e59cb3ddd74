"""What unknown labels add to a loss: by direct formulas in double precision."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from cftlearn.labels._known_rates import KnownRates
from cftlearn.losses._registry import LOSSES, TREATMENTS, make_unknown_term
from cftlearn.losses._unknown import (
    HillTerm,
    SelectionTerm,
    SoftTargetTerm,
    WeakNegativeTerm,
)

TERMS = [WeakNegativeTerm, HillTerm, SelectionTerm]
RATES = KnownRates(
    np.array([0.6, 0.9, 0.2]), np.array([0.1, 0.0, 0.2]), np.log(6.0), 4.0
)


def make(kind, weight=1.0):
    term = kind(weight)
    term.set_rates(RATES)
    return term


@pytest.fixture
def logits(rng):
    return rng.normal(0, 3, (20, 3))


@pytest.fixture
def unknown(rng):
    return rng.random((20, 3)) < 0.6


def expected_losses(kind, logits):
    p = 1 / (1 + np.exp(-logits))
    if kind is WeakNegativeTerm:
        return -np.log(1 - p)
    if kind is HillTerm:
        return (1.5 - p) * p**2
    stays = p * (1 - RATES.positive) + (1 - p) * (1 - RATES.negative)
    return np.log(1 - RATES.negative) - np.log(stays)


def gradient_of(term, logits, unknown=None):
    tensor = torch.tensor(logits, requires_grad=True)
    if unknown is None:
        term.cell_losses(tensor, None).sum().backward()
    else:
        term(tensor, torch.from_numpy(unknown)).backward()
    return tensor.grad.numpy()


# ------------------------------------------------------------------------ formulas
@pytest.mark.parametrize("kind", TERMS)
def test_losses_follow_their_formulas(kind, logits):
    losses = make(kind).cell_losses(torch.from_numpy(logits), None).numpy()
    assert_allclose(losses, expected_losses(kind, logits), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("kind", TERMS)
def test_gradients_are_those_of_finite_differences(kind, logits):
    h = 1e-5
    expected = expected_losses(kind, logits + h) - expected_losses(kind, logits - h)
    gradient = gradient_of(make(kind), logits)
    assert_allclose(gradient, expected / (2 * h), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("kind", TERMS)
def test_the_term_is_a_weighted_mean_over_unknown_cells(kind, logits, unknown):
    value = make(kind, 0.3)(torch.from_numpy(logits), torch.from_numpy(unknown))
    expected = 0.3 * expected_losses(kind, logits)[unknown].mean()
    assert value.ndim == 0
    assert float(value) == pytest.approx(expected, rel=1e-5)
    gradient = gradient_of(make(kind, 0.3), logits, unknown)
    assert_array_equal(gradient[~unknown], 0)
    expected = 0.3 * gradient_of(make(kind), logits)[unknown] / unknown.sum()
    assert_allclose(gradient[unknown], expected, atol=1e-15)


@pytest.mark.parametrize("kind", TERMS)
def test_without_unknown_cells_there_is_no_loss(kind, logits):
    nothing = np.zeros(logits.shape, dtype=bool)
    value = make(kind)(torch.from_numpy(logits), torch.from_numpy(nothing))
    assert float(value) == 0
    assert_array_equal(gradient_of(make(kind), logits, nothing), 0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", TERMS)
def test_extreme_logits_stay_finite(kind, dtype):
    extreme = [-1e4, -100.0, -20.0, 0.0, 20.0, 100.0, 1e4]
    logits = torch.tensor(extreme, dtype=dtype)[:, None].repeat(1, 3)
    logits.requires_grad_()
    losses = make(kind).cell_losses(logits, None)
    losses.sum().backward()
    assert losses.dtype == dtype
    assert torch.isfinite(losses).all()
    assert torch.isfinite(logits.grad).all()
    # Never below the loss at p = 0, which is 0.
    assert float(losses.detach().min()) > -1e-6
    assert float(losses[0].detach().abs().max()) < 1e-6


def test_the_hill_is_steepest_in_the_middle(logits):
    p = 1 / (1 + np.exp(-logits))
    assert_allclose(gradient_of(HillTerm(), logits), 3 * p**2 * (1 - p) ** 2)
    steps = np.linspace(-8, 8, 161)
    slopes = gradient_of(HillTerm(), steps)
    assert steps[slopes.argmax()] == pytest.approx(0)


# ------------------------------------------------------------------------ selection
def test_equal_rates_leave_unknown_cells_out(logits, unknown):
    for rates in (KnownRates.equal(3), RATES._replace(negative=RATES.positive)):
        term = make(SelectionTerm)
        term.set_rates(rates)
        assert not term.is_active
        value = term(torch.from_numpy(logits), torch.from_numpy(unknown))
        assert float(value) == 0
    # A category of equal rates beside others has no loss either.
    losses = make(SelectionTerm).cell_losses(torch.from_numpy(logits), None)
    assert_allclose(losses[:, 2].numpy(), 0, atol=1e-7)


def test_a_new_term_says_nothing_until_it_has_rates(logits):
    term = SelectionTerm()
    assert not term.is_active
    assert_array_equal(term.cell_losses(torch.from_numpy(logits), None).numpy(), 0)
    term.set_rates(RATES)
    assert term.is_active


def test_where_positives_are_always_known_unknown_cells_are_negatives(logits):
    one = np.nextafter(1.0, 0.0)
    rates = KnownRates(np.full(3, one), np.zeros(3), 30.0, 9.0)
    term = SelectionTerm(1.0)
    term.set_rates(rates)
    losses = term.cell_losses(torch.from_numpy(logits), None).numpy()
    expected = expected_losses(WeakNegativeTerm, logits)
    assert_allclose(losses, expected, rtol=1e-6)


def test_the_likelihood_is_largest_at_the_share_of_positives():
    """Cells of one category without features: the fit is the share of positives.

    Oracle: of 1000 cells 300 are positive, known with 0.6 and 0.1.
    """
    known_positive, known_negative = 300 * 0.6, 700 * 0.1
    n_unknown = 1000 - known_positive - known_negative
    term = make(SelectionTerm)

    def slope(s):
        p = 1 / (1 + np.exp(-s))
        of_unknown = gradient_of(term, np.full((1, 3), s))[0, 0]
        of_known = -known_positive * (1 - p) + known_negative * p
        return of_known + n_unknown * of_unknown

    share = np.log(0.3 / 0.7)
    assert slope(share) == pytest.approx(0, abs=1e-4)
    assert slope(share - 0.1) < 0 < slope(share + 0.1)


# --------------------------------------------------------------------- probabilities
def test_probabilities_are_targets(rng, logits, unknown):
    """Oracle: cross-entropy by hand; what stands at other cells does not matter."""
    soft = np.where(unknown, rng.random(logits.shape), np.nan)
    term = SoftTargetTerm(0.3)
    tensor = torch.tensor(logits, requires_grad=True)
    value = term(tensor, torch.from_numpy(unknown), torch.from_numpy(soft))
    value.backward()
    p = 1 / (1 + np.exp(-logits))
    losses = -soft * np.log(p) - (1 - soft) * np.log(1 - p)
    assert float(value.detach()) == pytest.approx(0.3 * losses[unknown].mean())
    expected = np.where(unknown, 0.3 * (p - soft) / unknown.sum(), 0.0)
    assert_allclose(tensor.grad.numpy(), expected, atol=1e-12)


def test_probabilities_must_be_there(logits, unknown):
    with pytest.raises(ValueError, match="`soft` must hold the probabilities"):
        SoftTargetTerm()(torch.from_numpy(logits), torch.from_numpy(unknown))


# --------------------------------------------------------------------------- weights
@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (WeakNegativeTerm, 0.5),
        (HillTerm, 0.5),
        (SelectionTerm, 0.5 * np.sqrt(9.0)),
        (SoftTargetTerm, 1.0),
    ],
)
def test_a_weight_replaces_the_own_weight(kind, expected):
    assert kind(None, 9.0).weight == pytest.approx(expected)
    assert kind(0.2, 9.0).weight == 0.2


@pytest.mark.parametrize("kind", TERMS)
def test_a_weight_of_zero_asks_for_no_gradient(kind, logits, unknown):
    term = make(kind, 0.0)
    assert not term.is_active
    assert_array_equal(gradient_of(term, logits, unknown), 0)
    assert make(kind, 1e-3).is_active


# ----------------------------------------------------------------------------- names
def test_every_treatment_has_its_term():
    kinds = {"auto": SelectionTerm, "hill": HillTerm, "weak_negative": WeakNegativeTerm}
    for name in TREATMENTS:
        term = make_unknown_term(name, 0.25)
        if name in kinds:
            assert type(term) is kinds[name]
            assert term.weight == 0.25
            assert term.estimates_rates == (name == "auto")
        else:
            assert term is None
    assert set(kinds) | {"ignore", "negative"} == set(TREATMENTS)
    assert not set(TREATMENTS) & set(LOSSES)
    assert make_unknown_term("auto", None, 4.0).weight == 1.0
