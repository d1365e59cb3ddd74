"""Positive-unlabelled risks: by hand, cell by cell, and by simulation."""

import numpy as np
import pytest
import torch
from loss_parts import NAN, batch, sigmoid, slopes_of, value_of
from numpy.testing import assert_allclose, assert_array_equal

from cftlearn.labels._known_rates import KnownRates, LabelTotals
from cftlearn.losses import (
    BiasedNegativesLoss,
    ExpectedPositiveLoss,
    NonNegativePULoss,
    PartialLoss,
    VariationalPULoss,
)

RATES = KnownRates(
    np.array([0.6, 0.5, 0.2]), np.array([0.1, 0.1, 0.2]), np.log(6.0), 4.0
)
ROWS = torch.arange(20)


def mean(values):
    return float(np.mean(values)) if len(values) else 0.0


def surrogates(s, surrogate):
    """Return the loss as a positive, and as a negative."""
    if surrogate == "sigmoid":
        return sigmoid(-s), sigmoid(s)
    return np.log1p(np.exp(-s)), np.log1p(np.exp(s))


# ---------------------------------------------------------------- expected positives
def test_expected_positives_in_a_row(rng):
    logits, target = batch(rng)

    def by_hand(logits):
        expected = sum(sigmoid(logits[:, j]).mean() for j in range(3))
        return ((expected - 1.4) / 3) ** 2

    value, gradient = value_of(ExpectedPositiveLoss(n_positive=1.4), logits, target)
    assert value == pytest.approx(by_hand(logits), rel=1e-9)
    assert_allclose(gradient, slopes_of(by_hand, logits), rtol=1e-5, atol=1e-9)
    assert (gradient[~np.isnan(target)] != 0).all()


@pytest.mark.parametrize("prevalence", [0.3, [0.1, 0.4, 0.8]])
def test_expected_shares_of_categories(prevalence, rng):
    logits, target = batch(rng)
    counts = np.isnan(target) & (rng.random(target.shape) < 0.7)
    counted = counts | ~np.isnan(target)
    shares = np.broadcast_to(prevalence, 3)

    def by_hand(logits):
        means = [sigmoid(logits[counted[:, j], j]).mean() for j in range(3)]
        return sum((m - share) ** 2 for m, share in zip(means, shares, strict=True)) / 3

    value, gradient = value_of(
        ExpectedPositiveLoss(prevalence=prevalence),
        logits,
        target,
        unknown=torch.from_numpy(counts),
    )
    assert value == pytest.approx(by_hand(logits), rel=1e-9)
    assert_allclose(gradient, slopes_of(by_hand, logits), rtol=1e-5, atol=1e-9)


def test_a_category_without_cells_expects_nothing(rng):
    logits, target = batch(rng)
    counts = np.isnan(target)
    target[:, 1], counts[:, 1] = NAN, False
    loss = ExpectedPositiveLoss(prevalence=0.9)
    rest = {"unknown": torch.from_numpy(counts)}
    value, gradient = value_of(loss, logits, target, **rest)
    assert_array_equal(gradient[:, 1], 0)
    others = [0, 2]
    two, _ = value_of(
        loss,
        logits[:, others],
        target[:, others],
        unknown=torch.from_numpy(counts[:, others]),
    )
    assert value == pytest.approx(two * 2 / 3)


def test_the_regulariser_counts_as_published(rng):
    """There the losses of known labels are divided by the number of all cells."""
    target = batch(rng)[1]
    n_known = (~np.isnan(target)).sum()
    loss = ExpectedPositiveLoss(n_positive=1)
    weight = loss.default_weight((target.size - n_known) / n_known)
    assert weight == pytest.approx(target.size / n_known)


# ------------------------------------------------------------------ estimated shares
def held_out(rng):
    """Return targets, and unknown cells that count: neither has all cells."""
    _, target = batch(rng, 400, unknown=0.9)
    counts = np.isnan(target) & (rng.random(target.shape) < 0.6)
    target[target[:, 2] == 0, 2] = NAN  # a category without known negatives
    return target, counts


def shares_by_hand(target, counts):
    """Return the shares of positives among counted rows, and among unknown ones."""
    n_rows = (counts | ~np.isnan(target)).sum(axis=0)
    totals = LabelTotals(n_rows, (target == 1).sum(axis=0), (target == 0).sum(axis=0))
    share = totals.positive_share(RATES)
    n_positive = n_rows * share - totals.n_positive
    return share, np.clip(n_positive / counts.sum(axis=0), 0, 1)


@pytest.mark.parametrize("rates_first", [False, True])
def test_shares_are_estimated_from_rates(rates_first, rng):
    target, counts = held_out(rng)
    told = torch.from_numpy(target).float(), torch.from_numpy(counts)
    of_rows, of_unknown = shares_by_hand(target, counts)
    logits = rng.normal(size=target.shape)
    unknown = torch.from_numpy(counts)
    for kind, given in (
        (NonNegativePULoss, {"prior": of_unknown}),
        (ExpectedPositiveLoss, {"prevalence": of_rows}),
    ):
        loss = kind()
        assert loss.estimates_rates
        assert not loss.is_active
        if rates_first:
            loss.set_rates(RATES)
        loss.start(*told)
        if not rates_first:
            assert not loss.is_active
            loss.set_rates(RATES)
        assert loss.is_active
        expected = value_of(kind(**given), logits, target, unknown=unknown)
        value, gradient = value_of(loss, logits, target, unknown=unknown)
        assert value == pytest.approx(expected[0], rel=1e-9)
        assert_allclose(gradient, expected[1], rtol=1e-9)
    # By the formulas: a positive is known e^log_ratio times as often as a negative;
    # without negatives, how often it is known says how many there are.
    n_pos, n_neg = (target == 1).sum(axis=0) + 0.5, (target == 0).sum(axis=0) + 0.5
    assert_allclose(of_rows[:2], (n_pos / (n_pos + 6.0 * n_neg))[:2], rtol=1e-9)
    n_rows = (counts | ~np.isnan(target)).sum(axis=0)
    assert of_rows[2] == pytest.approx(min((n_pos[2] - 0.5) / n_rows[2] / 0.2, 1.0))


def test_shares_that_are_given_are_not_estimated(rng):
    logits, target = batch(rng)
    for loss in (
        NonNegativePULoss(prior=0.2),
        ExpectedPositiveLoss(n_positive=1),
        ExpectedPositiveLoss(prevalence=0.2),
    ):
        assert not loss.estimates_rates
        assert loss.is_active
        before = value_of(loss, logits, target)[0]
        loss.start(torch.from_numpy(target))
        loss.set_rates(RATES)
        assert value_of(loss, logits, target)[0] == before


# --------------------------------------------------------------------- non-negative PU
def pu_by_hand(logits, target, prior, *, surrogate="sigmoid", beta=0.0, balanced=None):
    """Return the parts of every category that has unknown cells."""
    parts = []
    for j in range(logits.shape[1]):
        s, y = logits[:, j], target[:, j]
        if not np.isnan(y).any():
            continue
        as_positive, as_negative = surrogates(s, surrogate)
        pi = prior[j]
        positive = (pi if balanced is None else balanced) * mean(as_positive[y == 1])
        negative = mean(as_negative[np.isnan(y)]) - pi * mean(as_negative[y == 1])
        if balanced is not None:
            negative *= (1 - balanced) / (1 - pi)
        parts.append((positive, negative))
    return np.array(parts)


PRIOR = [0.2, 0.5, 0.9]
PU = [
    {},
    {"surrogate": "logistic"},
    {"beta": 0.1, "gamma": 0.3},
    {"balanced_prior": 0.5},
    {"balanced_prior": 0.3, "surrogate": "logistic", "beta": 0.05, "gamma": 0.0},
]


@pytest.mark.parametrize("options", PU, ids=str)
@pytest.mark.parametrize("shift", [-3.0, 0.0, 3.0])
def test_the_risk_on_both_sides(options, shift, rng):
    """Above -beta it is the sum of both parts; below, a step back along one of them."""
    logits, target = batch(rng)
    logits[np.isnan(target)] -= shift
    logits[target == 1] += shift
    told = {key: options[key] for key in ("surrogate", "beta") if key in options}
    told["balanced"] = options.get("balanced_prior")
    beta, gamma = options.get("beta", 0.0), options.get("gamma", 1.0)
    negative = pu_by_hand(logits, target, PRIOR, **told)[:, 1]

    def value_by_hand(logits):
        parts = pu_by_hand(logits, target, PRIOR, **told)
        return (parts[:, 0] + np.maximum(parts[:, 1], -beta)).mean()

    def step_by_hand(logits):
        parts = pu_by_hand(logits, target, PRIOR, **told)
        steps = np.where(negative < -beta, -gamma * parts[:, 1], parts.sum(axis=1))
        return steps.mean()

    value, gradient = value_of(
        NonNegativePULoss(prior=PRIOR, **options), logits, target
    )
    assert value == pytest.approx(value_by_hand(logits), rel=1e-9)
    assert_allclose(gradient, slopes_of(step_by_hand, logits), rtol=1e-5, atol=1e-9)
    if shift:
        assert (negative < -beta).any() == (shift > 0)
    assert_array_equal(gradient[target == 0], 0)


def test_the_threshold_is_minus_beta(rng):
    logits, target = batch(rng)
    logits[np.isnan(target)] -= 4.0
    logits[target == 1] += 4.0
    negative = pu_by_hand(logits, target, [0.5] * 3)[:, 1]
    assert negative.min() < 0
    for beta in (-negative.min() - 1e-6, -negative.min() + 1e-6):
        loss = NonNegativePULoss(prior=0.5, beta=beta, gamma=0.0)
        _, gradient = value_of(loss, logits, target)
        stepped_back = (gradient == 0).all(axis=0)
        assert_array_equal(stepped_back, negative < -beta)


def test_categories_without_unknown_cells_have_no_risk(rng):
    logits, target = batch(rng)
    target[:, 1] = 1.0
    value, gradient = value_of(NonNegativePULoss(prior=0.3), logits, target)
    parts = pu_by_hand(logits, target, [0.3] * 3)
    assert len(parts) == 2
    assert value == pytest.approx((parts[:, 0] + parts[:, 1].clip(0)).mean())
    assert_array_equal(gradient[:, 1], 0)


def test_a_category_without_positives_has_the_risk_of_negatives(rng):
    logits, _ = batch(rng)
    target = np.full(logits.shape, NAN)
    value, _ = value_of(NonNegativePULoss(prior=0.3), logits, target)
    assert value == pytest.approx(sigmoid(logits).mean())


def test_where_all_unknown_cells_are_positive(rng):
    logits, target = batch(rng)
    loss = NonNegativePULoss(prior=1.0, balanced_prior=0.5)
    value, gradient = value_of(loss, logits, target)
    expected = [0.5 * mean(sigmoid(-logits[target[:, j] == 1, j])) for j in range(3)]
    assert value == pytest.approx(np.mean(expected))
    assert_array_equal(gradient[np.isnan(target)], 0)


@pytest.mark.parametrize("surrogate", ["sigmoid", "logistic"])
def test_the_risk_of_unknown_cells_is_estimated_without_bias(surrogate, rng):
    """With the true share and many cells: what the true labels would cost."""
    n = 200_000
    y = rng.random((n, 1)) < 0.4
    logits = np.where(y, 1.0, -1.0) + rng.normal(size=(n, 1))
    known = y & (rng.random((n, 1)) < 0.3)
    target = np.where(known, 1.0, NAN)
    as_positive, as_negative = surrogates(logits, surrogate)
    truth = np.where(y, as_positive, as_negative)[~known].mean()
    share = y[~known].mean()
    loss = NonNegativePULoss(prior=share, surrogate=surrogate)
    assert value_of(loss, logits, target)[0] == pytest.approx(truth, abs=0.01)


def test_shares_must_be_there(rng):
    logits, target = batch(rng)
    for loss, name in (
        (NonNegativePULoss(), "prior"),
        (ExpectedPositiveLoss(), "prevalence"),
    ):
        with pytest.raises(
            ValueError, match=f"`{name}` must be given, or estimated in"
        ):
            value_of(loss, logits, target)
    with pytest.raises(ValueError, match=r"one share per category, 3, or .* got 2\."):
        value_of(NonNegativePULoss(prior=[0.1, 0.2]), logits, target)


# ---------------------------------------------------------------------- variational PU
def vpu_by_hand(logits, target, counted, *, temperature=1.0, gamma=0.55, fixed=None):
    """Compute the loss; ``fixed`` are logits that weights and divisors are of."""
    fixed = logits if fixed is None else fixed
    losses = []
    for j in range(logits.shape[1]):
        own, positive = counted[:, j], target[:, j] == 1
        if not positive.any():
            continue
        spread = np.sqrt(np.mean((fixed[own, j] - fixed[own, j].mean()) ** 2))
        divisor = min(1.0, temperature * spread) if spread > 0 else 1.0
        weight = sigmoid(fixed[own, j] / divisor).mean() ** gamma
        p = sigmoid(logits[:, j] / divisor)
        losses.append(weight * np.log(p[own].mean()) - np.log(p[positive]).mean())
    return np.mean(losses) if losses else 0.0


@pytest.mark.parametrize(
    "options",
    [{}, {"temperature": 2.0, "gamma": 0.85}, {"temperature": 0.3, "gamma": 0.0}],
    ids=str,
)
@pytest.mark.parametrize("scale", [0.2, 3.0])
def test_the_variational_risk(options, scale, rng):
    logits, target = batch(rng, scale=scale)
    target[target[:, 1] == 1, 1] = 0.0  # a category without positives
    counts = np.isnan(target) & (rng.random(target.shape) < 0.7)
    counted = counts | ~np.isnan(target)

    def by_hand(moved):
        return vpu_by_hand(moved, target, counted, fixed=logits, **options)

    value, gradient = value_of(
        VariationalPULoss(**options), logits, target, unknown=torch.from_numpy(counts)
    )
    assert value == pytest.approx(by_hand(logits), rel=1e-6)
    # Neither the weight nor the divisor has a gradient.
    assert_allclose(gradient, slopes_of(by_hand, logits), rtol=1e-4, atol=1e-8)
    assert_array_equal(gradient[:, 1], 0)
    assert_array_equal(gradient[~counted], 0)


def test_equal_logits_are_not_divided(rng):
    target = batch(rng)[1]
    logits = np.full(target.shape, 0.7)
    value, gradient = value_of(VariationalPULoss(gamma=0.0), logits, target)
    assert value == pytest.approx(0, abs=1e-12)
    assert np.isfinite(gradient).all()


def test_the_variational_risk_is_smallest_at_the_posterior(rng):
    """Where positives become known at random, the optimum ranks as P(y=1|x) does."""
    p = np.repeat([0.1, 0.3, 0.8], 4000)
    y = rng.random(len(p)) < p
    target = np.where(y & (rng.random(len(p)) < 0.5), 1.0, NAN)[:, None]
    scores = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([scores], lr=0.05)
    loss = VariationalPULoss(gamma=0.0, temperature=1e9)
    for _ in range(800):
        optimizer.zero_grad()
        logits = scores.repeat_interleave(4000)[:, None]
        loss(logits, torch.from_numpy(target)).backward()
        optimizer.step()
    # Up to one factor, as the paper proves.
    found = sigmoid(scores.detach().numpy())
    assert_allclose(found / found[2], np.array([0.1, 0.3, 0.8]) / 0.8, atol=0.03)


# ----------------------------------------------------------------- biased negatives
def biased_by_hand(logits, target, h, pi, rho, *, surrogate="sigmoid", threshold=0.5):
    risks = []
    for j in range(logits.shape[1]):
        as_positive, as_negative = surrogates(logits[:, j], surrogate)
        y, own = target[:, j], h[:, j]
        by_known = own > threshold
        odds = np.where(by_known, (1 - own) / own, 0.0)
        risks.append(
            pi[j] * mean(as_positive[y == 1])
            + rho[j] * mean(as_negative[y == 0])
            + mean(np.where(by_known, 0.0, (1 - own) * as_negative))
            + pi[j] * mean((odds * as_negative)[y == 1])
            + rho[j] * mean((odds * as_negative)[y == 0])
        )
    return np.mean(risks)


@pytest.mark.parametrize("surrogate", ["sigmoid", "logistic"])
@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.9])
def test_the_risk_with_biased_negatives(surrogate, threshold, rng):
    logits, target = batch(rng)
    h = rng.random((50, 3))
    pi, rho = [0.3, 0.1, 0.5], [0.2, 0.4, 0.0]
    rows = rng.permutation(50)[:20]
    loss = BiasedNegativesLoss(
        h, prior=pi, negative_share=rho, threshold=threshold, surrogate=surrogate
    )
    own = h[rows].astype(np.float32).astype(float)

    def by_hand(logits):
        return biased_by_hand(
            logits, target, own, pi, rho, surrogate=surrogate, threshold=threshold
        )

    value, gradient = value_of(loss, logits, target, rows=torch.from_numpy(rows))
    assert value == pytest.approx(by_hand(logits), rel=1e-7)
    assert_allclose(gradient, slopes_of(by_hand, logits), rtol=1e-5, atol=1e-9)
    assert loss.replaces_known


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
def test_with_the_true_probability_the_risk_is_the_true_one(threshold, rng):
    """Known negatives are of a kind; rows x in {0, .., 3} say how often."""
    n = 300_000
    x = rng.integers(4, size=n)
    y = rng.random(n) < np.array([0.1, 0.3, 0.6, 0.8])[x]
    # Of the kind that becomes known: most negatives of some rows, few of others.
    of_kind = ~y & (rng.random(n) < np.array([0.05, 0.9, 0.5, 0.2])[x])
    h = np.array([(y | of_kind)[x == k].mean() for k in range(4)])[x]
    known = (y | of_kind) & (rng.random(n) < 0.4)
    target = np.where(known, y.astype(float), NAN)[:, None]
    logits = np.array([[-1.0], [1.5], [-0.3], [0.8]])[x]
    truth = np.where(y, sigmoid(-logits[:, 0]), sigmoid(logits[:, 0])).mean()
    loss = BiasedNegativesLoss(
        h[:, None], prior=y.mean(), negative_share=of_kind.mean(), threshold=threshold
    )
    rows = torch.arange(n)
    value, _ = value_of(loss, logits, target, rows=rows)
    assert value == pytest.approx(truth, abs=0.004)
    # Known negatives taken for a random sample would be wrong here.
    naive = y.mean() * sigmoid(-logits[target == 1]).mean()
    naive += (1 - y.mean()) * sigmoid(logits[target == 0]).mean()
    assert abs(naive - truth) > 0.05


def test_probabilities_of_zero_and_one(rng):
    logits, target = batch(rng)
    for value in (0.0, 1.0):
        loss = BiasedNegativesLoss(
            np.full(target.shape, value), prior=0.3, negative_share=0.2
        )
        assert np.isfinite(value_of(loss, logits, target, rows=ROWS)[1]).all()


def test_a_probability_for_every_cell():
    loss = BiasedNegativesLoss([[0.9], [0.1]], prior=0.3, negative_share=0.2)
    loss.start(torch.zeros(2, 1))
    for shape in ((3, 1), (2, 2)):
        with pytest.raises(ValueError, match=r"`y`, shape .*; got shape \(2, 1\)\."):
            loss.start(torch.zeros(shape))
    with pytest.raises(ValueError, match=r"got 2\. `selected_proba` has no others\."):
        loss(torch.zeros(1, 1), torch.zeros(1, 1), rows=torch.tensor([2]))


def test_it_stands_alone_in_a_loop(rng):
    logits, target = batch(rng)
    loss = BiasedNegativesLoss(rng.random(target.shape), prior=0.3, negative_share=0.2)
    joined = PartialLoss("bce", loss)
    expected = value_of(loss, logits, target, rows=ROWS)
    assert value_of(joined, logits, target, rows=ROWS)[0] == expected[0]


# ------------------------------------------------------------------------- parameters
def biased(proba=((0.5,),), **options):
    return BiasedNegativesLoss(proba, **{"prior": 0.3, "negative_share": 0.2} | options)


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: ExpectedPositiveLoss(n_positive=-1), ValueError, "`n_positive` must"),
        (
            lambda: ExpectedPositiveLoss(n_positive=1, prevalence=0.1),
            ValueError,
            "`n_positive` must be None where there is a `prevalence`; got n_positive=1",
        ),
        (lambda: ExpectedPositiveLoss(prevalence=1.5), ValueError, "`prevalence` must"),
        (lambda: NonNegativePULoss(prior=[0.1, NAN]), ValueError, "`prior` must hold "),
        (
            lambda: NonNegativePULoss(balanced_prior=0.0),
            ValueError,
            r"in \(0, 1\); got",
        ),
        (
            lambda: NonNegativePULoss(balanced_prior=1.0),
            ValueError,
            r"in \(0, 1\); got",
        ),
        (
            lambda: NonNegativePULoss(surrogate="ramp"),
            ValueError,
            "'logistic'; got 'ra",
        ),
        (lambda: NonNegativePULoss(beta=-0.1), ValueError, "`beta` must be finite and"),
        (
            lambda: NonNegativePULoss(gamma=1.1),
            ValueError,
            r"`gamma` must be in \[0, 1",
        ),
        (
            lambda: VariationalPULoss(temperature=0),
            ValueError,
            "`temperature` must be ",
        ),
        (lambda: VariationalPULoss(gamma=-1), ValueError, "`gamma` must be finite and"),
        (
            lambda: VariationalPULoss(gamma="1"),
            TypeError,
            "`gamma` must be a number; g",
        ),
        (lambda: biased([0.5]), ValueError, r"n_categories\); got shape \(1,\)"),
        (lambda: biased([[0.5], [1.5]]), ValueError, "got 1.5 in row 1, column 0"),
        (lambda: biased([[0.5, NAN]]), ValueError, "got nan in row 0, column 1"),
        (lambda: biased(prior=[0.1, 0.2]), ValueError, "`prior` must hold one share "),
        (lambda: biased(prior=None), ValueError, "`prior` must hold one share .*None"),
        (lambda: biased(negative_share=-1), ValueError, "`negative_share` must hold s"),
        (lambda: biased(threshold=1.0), ValueError, r"`threshold` must be in \(0, 1\)"),
        (lambda: biased(surrogate=None), ValueError, "`surrogate` must .* got None"),
    ],
)
def test_parameters_out_of_their_range_are_refused(make, error, match):
    with pytest.raises(error, match=match):
        make()
