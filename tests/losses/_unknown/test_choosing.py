"""Losses that leave cells of a batch out, or turn them: by hand, cell by cell."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loss_parts import NAN, batch, sigmoid, slopes_of, value_of
from numpy.testing import assert_allclose, assert_array_equal

from cftlearn.losses import LargeLoss, PartialLoss, SelectiveLoss

PRIOR = [0.01, 0.4, 0.05]


def largest_by_hand(values, cells, n):
    """Return the cells with the largest values, one after the other."""
    order = sorted(np.argwhere(cells), key=lambda cell: -values[tuple(cell)])
    chosen = np.zeros(values.shape, dtype=bool)
    for cell in order[:n]:
        chosen[tuple(cell)] = True
    return chosen


# ------------------------------------------------------------------------- selective
def selective_by_hand(
    logits, target, prior, *, gamma=2.0, clip=0.0, top=5, threshold=0.05, weights=None
):
    """Compute the loss; ``weights`` are logits that the focusing weight is of."""
    unknown = np.isnan(target)
    fixed = logits if weights is None else weights
    likely = largest_by_hand(fixed, unknown, top * len(logits))
    total = 0.0
    for i, j in np.argwhere(unknown):
        if prior[j] > threshold or likely[i, j]:
            continue
        shifted = max(sigmoid(logits[i, j]) - clip, 0.0)
        weight = max(sigmoid(fixed[i, j]) - clip, 0.0) ** gamma
        total -= weight * np.log(1 - shifted)
    return total / max(unknown.sum(), 1)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"top": 0},
        {"top": 1, "gamma": 4.0, "clip": 0.05},
        {"top": 1, "gamma": 0.0, "prior_threshold": 0.5},
        {"top": 0, "prior_threshold": 0.0},
        {"top": 1, "prior_threshold": 1.0},
    ],
    ids=str,
)
def test_the_selective_loss_with_a_prior(options, rng):
    logits, target = batch(rng, 12, unknown=0.7)
    loss = SelectiveLoss(prior=PRIOR, **options)
    told = {key: options[key] for key in ("gamma", "clip", "top") if key in options}
    told["threshold"] = options.get("prior_threshold", 0.05)

    def by_hand(moved):
        return selective_by_hand(moved, target, PRIOR, weights=logits, **told)

    value, gradient = value_of(loss, logits, target)
    assert value == pytest.approx(by_hand(logits), rel=1e-9)
    # The weight has no gradient.
    assert_allclose(gradient, slopes_of(by_hand, logits), rtol=1e-5, atol=1e-9)
    assert not loss.keeps_state


def test_the_most_likely_cells_are_those_of_the_batch_not_of_rows(rng):
    """K times the rows: all of them can be in one row."""
    logits = rng.normal(0, 0.1, (4, 8))
    logits[2] += 9.0
    target = np.full(logits.shape, NAN)
    _, gradient = value_of(SelectiveLoss(prior=0.0, top=2), logits, target)
    assert_array_equal(gradient[2], 0)
    assert (np.delete(gradient, 2, axis=0) > 0).all()


def test_cells_of_frequent_categories_are_among_the_most_likely(rng):
    """As published: they take places, though they are left out anyway."""
    logits, target = np.array([[5.0, 1.0, 0.0]]), np.full((1, 3), NAN)
    loss = SelectiveLoss(prior=[0.9, 0.01, 0.01], top=1)
    assert_array_equal(value_of(loss, logits, target)[1] > 0, [[False, True, True]])


def test_known_cells_are_never_the_most_likely():
    logits, target = np.array([[9.0, -9.0, -1.0]]), np.array([[1.0, 0.0, NAN]])
    loss = SelectiveLoss(prior=0.01, top=1)
    assert_array_equal(value_of(loss, logits, target)[1], 0)
    more = SelectiveLoss(prior=0.01, top=5)
    assert_array_equal(value_of(more, logits, target)[1], 0)


def test_priors_are_predictions_at_the_end_of_the_warm_up(rng):
    """Earlier epochs are forgotten: their network knew less."""
    logits, target = batch(rng, 20, unknown=0.6)
    logits += np.array([-6.0, 2.0, -1.0])
    silent = np.zeros(target.shape, dtype=bool)
    silent[:5] = True  # held out: neither known nor counted
    target[:5] = NAN
    unknown = np.isnan(target) & ~silent
    loss = SelectiveLoss(warm_up=0.2, top=0)
    assert loss.keeps_state
    loss.start(torch.from_numpy(target), torch.from_numpy(unknown))
    for epoch in range(10):
        loss.set_epoch(epoch, 10)
        # In two batches, of other scores in the first epoch.
        own = logits if epoch else np.full_like(logits, 9.0)
        values = [
            value_of(
                loss,
                own[part],
                target[part],
                unknown=torch.from_numpy(unknown[part]),
            )
            for part in (slice(0, 13), slice(13, 20))
        ]
        if epoch < 2:
            assert all(value == 0 for value, _ in values)
            assert all((gradient == 0).all() for _, gradient in values)
            continue
        counted = ~silent
        prior = [sigmoid(logits[counted[:, j], j]).mean() for j in range(3)]
        assert (np.array(prior) > 0.05).tolist() == [False, True, True]
        assert_allclose((loss._sums[0] / loss._sums[1]).numpy(), prior, rtol=1e-6)
        total = 0.0
        for i in np.flatnonzero(unknown[13:, 0]) + 13:
            total -= sigmoid(logits[i, 0]) ** 2 * np.log(1 - sigmoid(logits[i, 0]))
        assert values[1][0] == pytest.approx(total / unknown[13:].sum(), rel=1e-6)


@pytest.mark.parametrize(
    ("warm_up", "n_epochs", "n_first"), [(0.3, 10, 3), (0.3, 3, 1), (0.9, 4, 4)]
)
def test_how_many_epochs_the_warm_up_has(warm_up, n_epochs, n_first, rng):
    logits, target = batch(rng)
    logits -= 9.0  # so that no category is frequent
    loss = SelectiveLoss(warm_up=warm_up, top=0)
    loss.start(torch.from_numpy(target))
    says_something = []
    for epoch in range(n_epochs):
        loss.set_epoch(epoch, n_epochs)
        says_something.append(bool(value_of(loss, logits, target)[1].any()))
    assert says_something == [epoch >= n_first for epoch in range(n_epochs)]


def test_a_loss_in_evaluation_learns_no_prior(rng):
    logits, target = batch(rng)
    loss = SelectiveLoss().eval()
    loss.start(torch.from_numpy(target))
    loss.set_epoch(0, 10)
    assert value_of(loss, logits, target)[0] == 0
    assert not loss._sums.any()
    loss.set_epoch(3, 10)
    with pytest.raises(ValueError, match="got none, and epoch 3 of 10 before any batc"):
        value_of(loss, logits, target)


def test_priors_fit_the_categories(rng):
    logits, target = batch(rng)
    one = value_of(SelectiveLoss(prior=0.01), logits, target)[0]
    assert one == value_of(SelectiveLoss(prior=[0.01] * 3), logits, target)[0]
    with pytest.raises(
        ValueError, match=r"`prior` must hold one share per category, 3"
    ):
        value_of(SelectiveLoss(prior=[0.1, 0.2]), logits, target)


# ----------------------------------------------------------------------- large losses
SHARES = {"rejection": 0.005, "temporary": 0.002, "permanent": 0.001}


def large_by_hand(logits, target, n, *, turns, flipped=None):
    """Leave the ``n`` largest losses out, or turn them."""
    unknown = np.isnan(target)
    flipped = np.zeros_like(unknown) if flipped is None else flipped
    chosen = largest_by_hand(-np.log(1 - sigmoid(logits)), unknown & ~flipped, n)
    total = 0.0
    for cell in map(tuple, np.argwhere(unknown)):
        p = sigmoid(logits[cell])
        if flipped[cell] or (chosen[cell] and turns):
            total -= np.log(p)
        elif not chosen[cell]:
            total -= np.log(1 - p)
    return total / max(unknown.sum(), 1), chosen | flipped


@pytest.mark.parametrize("scheme", ["rejection", "temporary"])
@pytest.mark.parametrize("share", [None, 0.02, 0.3])
def test_the_share_rises_with_the_epochs(scheme, share, rng):
    logits, target = batch(rng, 40, unknown=0.5)
    n_unknown = int(np.isnan(target).sum())
    loss = LargeLoss(scheme, share_per_epoch=share)
    assert not loss.keeps_state
    share = SHARES[scheme] if share is None else share
    for epoch in (0, 1, 2, 7, 30):
        loss.set_epoch(epoch, 31)
        n = int(np.floor(min(share * epoch, 1.0) * n_unknown + 1e-9))
        if epoch == 0:
            assert n == 0

        def by_hand(moved, n=n):
            return large_by_hand(moved, target, n, turns=scheme == "temporary")[0]

        value, gradient = value_of(loss, logits, target)
        assert value == pytest.approx(by_hand(logits), rel=1e-9)
        assert_allclose(gradient, slopes_of(by_hand, logits), rtol=1e-5, atol=1e-9)


def test_what_is_permanent_stays_so(rng):
    logits, target = batch(rng, 40, unknown=0.5)
    loss = LargeLoss("permanent", share_per_epoch=0.1)
    loss.start(torch.from_numpy(target))
    flipped = np.zeros(target.shape, dtype=bool)
    rows = rng.permutation(40)
    for epoch in range(4):
        loss.set_epoch(epoch, 4)
        logits = rng.normal(0, 2, logits.shape)
        for part in np.array_split(rows, 3):
            own = np.isnan(target[part]) & ~flipped[part]
            n = int(np.floor(0.1 * own.sum() + 1e-9)) if epoch else 0
            expected, chosen = large_by_hand(
                logits[part], target[part], n, turns=True, flipped=flipped[part]
            )
            value, _ = value_of(
                loss, logits[part], target[part], rows=torch.from_numpy(part)
            )
            assert value == pytest.approx(expected, rel=1e-9)
            flipped[part] = chosen
        assert_array_equal(loss._flipped.numpy(), flipped)
        assert flipped.any() == (epoch > 0)
    assert not flipped[~np.isnan(target)].any()
    loss.start(torch.from_numpy(target))
    assert not loss._flipped.any()


@pytest.mark.parametrize("scheme", SHARES)
def test_shares_are_of_unknown_cells_alone(scheme, rng):
    """The published code counts known cells, and then drops losses of known labels."""
    logits, target = batch(rng, 50, unknown=0.04)
    unknown = np.isnan(target)
    assert 0 < unknown.sum() < 10
    loss = LargeLoss(scheme, share_per_epoch=0.5)
    loss.start(torch.from_numpy(target))
    loss.set_epoch(1, 3)
    rows = torch.arange(50)
    value, gradient = value_of(loss, logits, target, rows=rows)
    n = int(0.5 * unknown.sum())
    expected, chosen = large_by_hand(logits, target, n, turns=scheme != "rejection")
    assert value == pytest.approx(expected)
    assert chosen.sum() == n
    assert_array_equal(gradient[~unknown], 0)


def test_published_code_wipes_known_losses():
    """There ``loss < largest kept loss`` is false for all, once that is 0."""
    logits, target = np.array([[4.0, -1.0, 2.0, NAN]]), np.array([[1.0, 1.0, 0.0, NAN]])
    logits[0, 3] = 3.0
    loss = LargeLoss("rejection", share_per_epoch=1.0)
    loss.set_epoch(1, 3)
    value, gradient = value_of(loss, logits, target)
    assert value == 0
    assert_array_equal(gradient, 0)
    joined = PartialLoss("bce", loss)
    joined.set_epoch(1, 3)
    _, gradient = value_of(joined, logits, target)
    assert_array_equal(gradient == 0, [[False, False, False, True]])


@pytest.mark.parametrize("scheme", SHARES)
@pytest.mark.parametrize("n", [1, 4, 7])
def test_of_equal_losses_exactly_as_many_are_chosen(scheme, n):
    logits, target = np.zeros((2, 5)), np.full((2, 5), NAN)
    loss = LargeLoss(scheme, share_per_epoch=n / 10)
    loss.start(torch.from_numpy(target))
    loss.set_epoch(1, 2)
    rows = torch.arange(2)
    _, gradient = value_of(loss, logits, target, rows=rows)
    chosen = gradient <= 0
    assert chosen.sum() == n
    again = LargeLoss(scheme, share_per_epoch=n / 10)
    again.start(torch.from_numpy(target))
    again.set_epoch(1, 2)
    assert_array_equal(value_of(again, logits, target, rows=rows)[1], gradient)


@given(
    n_unknown=st.integers(0, 60),
    n_known=st.integers(0, 60),
    share=st.floats(0, 1),
    seed=st.integers(0, 99),
)
def test_never_more_than_the_share(n_unknown, n_known, share, seed):
    rng = np.random.default_rng(seed)
    cells = np.concatenate([np.full(n_unknown, NAN), rng.integers(0, 2, n_known)])
    target = rng.permutation(cells)[None].astype(float)
    logits = rng.normal(0, 2, target.shape)
    loss = LargeLoss("temporary", share_per_epoch=share)
    loss.set_epoch(1, 2)
    gradient = value_of(loss, logits, target)[1]
    assert (gradient < 0).sum() == int(share * n_unknown + 1e-9)
    assert not gradient[~np.isnan(target)].any()
    if n_unknown:
        turned = logits[gradient < 0]
        others = logits[gradient > 0]
        assert not len(turned) or not len(others) or turned.min() >= others.max()


# ------------------------------------------------------------------------- parameters
@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: SelectiveLoss(gamma=-1), ValueError, "`gamma` must be finite and 0"),
        (lambda: SelectiveLoss(gamma="a"), TypeError, "`gamma` must be a number; got "),
        (lambda: SelectiveLoss(clip=1.0), ValueError, r"`clip` must be in \[0, 1\)"),
        (lambda: SelectiveLoss(top=2.5), ValueError, "`top` must be a whole number, 0"),
        (lambda: SelectiveLoss(top=-1), ValueError, "0 or more; got -1"),
        (lambda: SelectiveLoss(top=True), ValueError, "0 or more; got True"),
        (lambda: SelectiveLoss(prior_threshold=1.1), ValueError, r"in \[0, 1\]; got 1"),
        (lambda: SelectiveLoss(warm_up=0.0), ValueError, r"in \(0, 1\); got 0.0"),
        (lambda: SelectiveLoss(warm_up=1.0), ValueError, r"in \(0, 1\); got 1.0"),
        (
            lambda: SelectiveLoss(prior=[0.1, 1.1]),
            ValueError,
            "`prior` must hold share",
        ),
        (
            lambda: SelectiveLoss(prior=[0.1, NAN]),
            ValueError,
            "`prior` must hold share",
        ),
        (lambda: SelectiveLoss(prior=[]), ValueError, "`prior` must hold shares in"),
        (lambda: LargeLoss("reject"), ValueError, "'permanent'; got 'reject'"),
        (lambda: LargeLoss(share_per_epoch=1.5), ValueError, r"`share_per_epoch` must"),
        (lambda: LargeLoss(share_per_epoch=NAN), ValueError, r"\[0, 1\]; got nan"),
    ],
)
def test_parameters_out_of_their_range_are_refused(make, error, match):
    with pytest.raises(error, match=match):
        make()


def test_other_categories_than_at_the_start_are_refused(rng):
    logits, target = batch(rng)
    loss = LargeLoss("permanent")
    loss.set_epoch(0, 10)
    loss.start(torch.from_numpy(target[:, :2]))
    with pytest.raises(
        ValueError, match=r"the categories that .*, 2; got 3\. Call star"
    ):
        value_of(loss, logits, target, rows=torch.arange(20))
    loss.start(torch.from_numpy(target))
    with pytest.raises(ValueError, match=r"`rows` must be numbers .*got -1\. "):
        value_of(loss, logits, target, rows=torch.arange(20) - 1)
