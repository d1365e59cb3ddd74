"""The strictly proper asymmetric loss: smallest at the true probability."""

import numpy as np
import pytest
import torch
from loss_parts import NAN, sigmoid, slopes_of, value_of
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize_scalar
from torch import nn
from torch.autograd import gradcheck

from cftlearn import CategoryWiseFineTuner, CFTClassifier
from cftlearn.losses import PartialBCEWithLogitsLoss, PartialStrictlyProperLoss

OTHER = {
    "zeta_positive": 2.0,
    "zeta_negative": 0.7,
    "slope_positive": 1.5,
    "slope_negative": 0.5,
    "shift_positive": -0.4,
    "shift_negative": 2.0,
}
PUBLISHED = dict(zip(OTHER, (1.0, 5.0, 1.0, 3.0, 0.0, 1.0), strict=True))
SETTINGS = {"published": {}, "other": OTHER}
by_setting = pytest.mark.parametrize("setting", SETTINGS)
by_link = pytest.mark.parametrize("link", ["published", "logistic"])


def psi(s, setting):
    """Compute the probability that an argument of the losses stands for."""
    zp, zn, kp, kn, bp, bn = (PUBLISHED | SETTINGS[setting]).values()
    ratio = kp * zn * sigmoid(-kp * (s - bp)) / (kn * zp * sigmoid(kn * (s - bn)))
    return 1 / (1 + ratio)


def class_losses(s, setting):
    """Compute the loss of a positive and of a negative, as they are published."""
    zp, zn, kp, kn, bp, bn = (PUBLISHED | SETTINGS[setting]).values()
    return (
        -np.log(sigmoid(kp * (s - bp))) / zp,
        -np.log(sigmoid(-kn * (s - bn))) / zn,
    )


def expected_loss(s, p, setting):
    positive, negative = class_losses(s, setting)
    return p * positive + (1 - p) * negative


def argument_of(p, setting):
    """Return where `psi` is this probability, by bisection."""
    low, high = -60.0, 60.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if psi(middle, setting) < p else (low, middle)
    return (low + high) / 2


# -------------------------------------------------------------------------- formulas
@by_setting
def test_the_published_formula(setting, rng):
    logits = rng.normal(0, 3, (30, 2))
    target = (rng.random((30, 2)) < 0.4).astype(float)
    target[rng.random((30, 2)) < 0.3] = NAN
    known = ~np.isnan(target)

    def by_hand(logits):
        total = 0.0
        for i, j in np.argwhere(known):
            positive, negative = class_losses(logits[i, j], setting)
            total += positive if target[i, j] == 1 else negative
        return total / known.sum()

    loss = PartialStrictlyProperLoss(**SETTINGS[setting])
    value, gradient = value_of(loss, logits, target)
    assert value == pytest.approx(by_hand(logits), rel=1e-12)
    assert_allclose(gradient, slopes_of(by_hand, logits), rtol=1e-5, atol=1e-9)


@by_setting
def test_probabilities_of_logits(setting):
    s = np.linspace(-15, 15, 61)
    loss = PartialStrictlyProperLoss(**SETTINGS[setting])
    proba = loss.predict_proba(torch.from_numpy(s))
    assert_allclose(proba.numpy(), psi(s, setting), rtol=1e-12)
    assert (proba.diff() > 0).all()
    loss = PartialStrictlyProperLoss(link="logistic", **SETTINGS[setting])
    proba = loss.predict_proba(torch.from_numpy(s))
    assert_allclose(proba.numpy(), sigmoid(s), rtol=1e-12)


# Beyond these a probability and 1 cannot be told apart by more than a few digits.
GRID = [1e-6, 1e-3, 0.01, 0.03, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.999, 1 - 1e-6]


@by_setting
@pytest.mark.parametrize("p", GRID)
def test_both_links_have_one_loss_of_a_probability(setting, p):
    loss = PartialStrictlyProperLoss(link="logistic", **SETTINGS[setting])
    log_odds = torch.tensor([[np.log(p) - np.log1p(-p)]], dtype=torch.float64)
    s = argument_of(p, setting)
    expected = class_losses(s, setting)
    for label, own in zip((1.0, 0.0), expected, strict=True):
        value = float(loss(log_odds, torch.tensor([[label]])))
        assert value == pytest.approx(own, rel=1e-8)


# ------------------------------------------------------------------------ properness
@by_setting
@by_link
@pytest.mark.parametrize("p", GRID)
def test_the_expected_loss_is_smallest_at_the_true_probability(setting, link, p):
    loss = PartialStrictlyProperLoss(link=link, **SETTINGS[setting])

    def expected(logit):
        logits = torch.full((1, 1), logit, dtype=torch.float64)
        return float(loss(logits, torch.full((1, 1), p, dtype=torch.float64)))

    found = minimize_scalar(
        expected, bounds=(-60, 60), method="bounded", options={"xatol": 1e-9}
    )
    proba = float(loss.predict_proba(torch.tensor(found.x, dtype=torch.float64)))
    assert proba == pytest.approx(p, rel=2e-3, abs=1e-9)
    assert 1 - proba == pytest.approx(1 - p, rel=2e-3, abs=1e-9)
    # The slope is 0 there, and rises through it.
    logits = torch.tensor([[found.x - 0.1, found.x + 0.1]]).double().requires_grad_()
    loss(logits, torch.full((1, 2), p).double()).backward()
    assert logits.grad[0, 0] < 0 < logits.grad[0, 1]


@pytest.mark.parametrize(("p", "wrong"), [(0.1, 0.20), (0.3, 0.63), (0.5, 0.95)])
def test_mlcpl_squashes_twice(p, wrong):
    """There the losses take psi(s) for s, so that the best s is that of another p."""
    s = np.linspace(-30, 30, 600_001)
    theirs = expected_loss(psi(s, "published"), p, "published")
    assert psi(s[theirs.argmin()], "published") == pytest.approx(wrong, abs=0.005)
    ours = expected_loss(s, p, "published")
    assert psi(s[ours.argmin()], "published") == pytest.approx(p, abs=1e-4)


@pytest.mark.parametrize("p", [0.04, 0.54, 0.9])
def test_mlcpl_has_no_optimum_for_most_probabilities(p):
    """There the loss falls to an end of the line; here the optimum is finite."""
    s = np.linspace(-12, 12, 2001)
    steps = np.diff(expected_loss(psi(s, "published"), p, "published"))
    assert (steps < 1e-12).all() or (steps > -1e-12).all()
    loss = PartialStrictlyProperLoss()
    logits = torch.tensor([[argument_of(p, "published")]]).double().requires_grad_()
    loss(logits, torch.full((1, 1), p).double()).backward()
    assert_allclose(logits.grad.numpy(), 0, atol=1e-7)


# ------------------------------------------------------------------------- gradients
@by_setting
@by_link
def test_gradients_pass_gradcheck(setting, link):
    loss = PartialStrictlyProperLoss(
        link=link,
        reduction="none",
        pos_weight=torch.tensor([0.5, 3.0]).double(),
        **SETTINGS[setting],
    )
    logits = (4 * torch.randn(6, 2, dtype=torch.float64)).requires_grad_()
    target = (torch.rand(6, 2) < 0.5).double()
    target[0, 0] = NAN
    assert gradcheck(lambda z: loss(z, target), logits)


@by_link
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["f4", "f8"])
def test_logits_far_out_stay_finite(link, dtype):
    size = [0.0, 17.0, 89.0, 200.0, 1e4]
    logits = torch.tensor([[-s for s in size] + size], dtype=dtype)
    loss = PartialStrictlyProperLoss(link=link, reduction="none")
    for label in (0.0, 1.0):
        own = logits.clone().requires_grad_()
        value = loss(own, torch.full_like(logits, label))
        value.sum().backward()
        assert value.dtype == dtype
        assert torch.isfinite(value).all()
        assert (value >= 0).all()
        assert torch.isfinite(own.grad).all()
        assert ((own.grad >= 0) if label == 0 else (own.grad <= 0)).all()
        proba = loss.predict_proba(logits)
        assert ((proba >= 0) & (proba <= 1)).all()


def test_the_link_is_inverted_in_a_few_steps(monkeypatch):
    """A cell that is solved stays so while others are not."""
    loss = PartialStrictlyProperLoss(link="logistic")
    calls, log_odds = [], loss._log_odds
    monkeypatch.setattr(loss, "_log_odds", lambda s: calls.append(1) or log_odds(s))
    loss(torch.linspace(-9, 9, 1001)[None], torch.ones(1, 1001))
    assert len(calls) < 25


@by_link
@pytest.mark.parametrize("value", [NAN, float("inf"), -float("inf")])
def test_broken_logits_are_not_hidden(link, value):
    """A network that diverged must show, and no search goes on for ever."""
    loss = PartialStrictlyProperLoss(link=link)
    logits = torch.tensor([[value, 0.0]])
    wrong = 0.0 if value > 0 else 1.0
    assert not torch.isfinite(loss(logits, torch.full((1, 2), wrong)))
    # An unknown cell stays silent.
    target = torch.tensor([[NAN, 1.0]])
    logits.requires_grad_()
    loss(logits, target).backward()
    assert torch.isfinite(logits.grad).all()
    assert logits.grad[0, 0] == 0


@by_link
def test_unknown_cells_have_no_gradient(link, rng):
    logits = rng.normal(0, 3, (10, 2))
    target = np.where(rng.random((10, 2)) < 0.5, NAN, 1.0)
    _, gradient = value_of(PartialStrictlyProperLoss(link=link), logits, target)
    assert_array_equal(gradient == 0, np.isnan(target))


# ----------------------------------------------------------------------- calibration
def fit_linear(loss, X, y):
    """Minimise a loss over weights and a bias."""
    layer = nn.Linear(X.shape[1], 1).double()
    optimizer = torch.optim.LBFGS(
        layer.parameters(), max_iter=200, line_search_fn="strong_wolfe"
    )

    def closure():
        optimizer.zero_grad()
        value = loss(layer(X), y)
        value.backward()
        return value

    optimizer.step(closure)
    return layer(X).detach()


@by_link
def test_a_linear_model_has_calibrated_probabilities(link):
    loss = PartialStrictlyProperLoss(link=link)
    X = torch.randn(20_000, 2, dtype=torch.float64)
    weights = torch.tensor([[1.0], [-0.5]], dtype=torch.float64)
    proba = loss.predict_proba(X @ weights - 0.3)
    y = (torch.rand(proba.shape) < proba).double()
    y[torch.rand(y.shape) < 0.3] = NAN
    logits = fit_linear(loss, X, y)
    errors = (loss.predict_proba(logits) - proba).abs()
    assert errors.mean() < 0.01
    assert errors.max() < 0.05
    # What `psi` is for: the sigmoid of the published logits is no probability.
    if link == "published":
        assert (torch.sigmoid(logits) - proba).abs().mean() > 0.1


def test_a_classifier_has_calibrated_probabilities(rng):
    X = rng.standard_normal((3000, 4)).astype(np.float32)
    proba = sigmoid(1.5 * X[:, :2] - 1.0)
    y = (rng.random(proba.shape) < proba).astype(float)
    y[rng.random(y.shape) < 0.3] = NAN
    network = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2))
    model = CFTClassifier(
        network,
        loss="spa",
        unknown="ignore",
        retrain=False,
        max_epochs=20,
        batch_size=100,
        learning_rate=0.02,
        fine_tuner=CategoryWiseFineTuner("proximal", refit=False),
        random_state=0,
        device="cpu",
    ).fit(X, y)
    initial = sigmoid(model.decision_function(X, initial=True))
    for found in (initial, model.predict_proba(X)):
        assert np.abs(found - proba).mean() < 0.03


# ------------------------------------------------------------------------ parameters
def test_equal_sides_are_binary_cross_entropy(rng):
    plain = dict.fromkeys(PUBLISHED, 1.0) | {"shift_positive": 0.0}
    plain["shift_negative"] = 0.0
    logits = rng.normal(0, 3, (10, 2))
    target = (rng.random((10, 2)) < 0.5).astype(float)
    expected = value_of(PartialBCEWithLogitsLoss(), logits, target)
    for link in ("published", "logistic"):
        value, gradient = value_of(
            PartialStrictlyProperLoss(link=link, **plain), logits, target
        )
        assert value == pytest.approx(expected[0], rel=1e-9)
        assert_allclose(gradient, expected[1], rtol=1e-9)


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"zeta_positive": 0.0}, "`zeta_positive` must be finite and above 0; got 0.0"),
        ({"zeta_negative": NAN}, "`zeta_negative` must be finite and above 0; got nan"),
        ({"slope_positive": -1}, "`slope_positive` must be finite and above 0; got -1"),
        ({"slope_negative": float("inf")}, "`slope_negative` must be finite and abov"),
        ({"shift_positive": NAN}, "`shift_positive` must be finite; got nan"),
        ({"shift_negative": float("inf")}, "`shift_negative` must be finite; got inf"),
        ({"link": "logit"}, "`link` must be 'published' or 'logistic'; got 'logit'"),
    ],
    ids=str,
)
def test_parameters_out_of_their_range_are_refused(parameters, match):
    with pytest.raises(ValueError, match=match):
        PartialStrictlyProperLoss(**parameters)
