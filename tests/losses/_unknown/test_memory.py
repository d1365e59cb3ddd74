"""Losses that remember every cell of the training set: by hand, step by step."""

import numpy as np
import pytest
import torch
from loss_parts import NAN, batch, sigmoid, slopes_of, value_of
from numpy.testing import assert_allclose, assert_array_equal

from cftlearn.labels._known_rates import KnownRates
from cftlearn.losses import EntropyPseudoLabelLoss, OnlineEstimationLoss

ROWS = torch.arange(20)


def entropy(p):
    return -(p * np.log(p) + (1 - p) * np.log(1 - p))


def cross_entropy(p, q):
    return -(q * np.log(p) + (1 - q) * np.log(1 - p))


# -------------------------------------------------------- entropy and pseudo-labels
@pytest.mark.parametrize(
    ("options", "first"),
    [({}, 4), ({"warm_up": 0.2, "negative_share": 0.5}, 2), ({"warm_up": 0.01}, 1)],
    ids=str,
)
def test_which_cells_get_labels_and_when(options, first, rng):
    """In every epoch after the warm-up, the lowest scores of the epoch before."""
    n_epochs = 8
    _, target = batch(rng, 40, unknown=0.8)
    counts = np.isnan(target) & (rng.random(target.shape) < 0.9)
    loss = EntropyPseudoLabelLoss(alpha=0.2, beta=0.7, **options)
    share = options.get("negative_share", 0.9)
    loss.start(torch.from_numpy(target), torch.from_numpy(counts))
    soft, scores = np.full(target.shape, NAN), None
    for epoch in range(n_epochs):
        loss.set_epoch(epoch, n_epochs)
        if epoch >= first:
            for j in range(3):
                n_unknown = counts[:, j].sum()
                done = (epoch - first + 1) / (n_epochs - first)
                wanted = int(np.round(np.float32(share * done * n_unknown)))
                order = sorted(
                    np.flatnonzero(counts[:, j] & np.isnan(soft[:, j])),
                    key=lambda i, j=j: scores[i, j],
                )
                for i in order[: wanted - (~np.isnan(soft[:, j])).sum()]:
                    soft[i, j] = sigmoid(scores[i, j])
        has_label = ~np.isnan(soft)
        assert has_label.any() == (epoch >= first)
        assert_allclose(loss._soft.numpy(), soft, rtol=1e-5)
        scores = rng.normal(0, 2, target.shape)
        for rows in np.array_split(rng.permutation(40), 3):

            def by_hand(moved, rows=rows):
                total = 0.0
                for i, j in np.argwhere(counts[rows]):
                    p, q = sigmoid(moved[i, j]), soft[rows[i], j]
                    if np.isnan(q):
                        total -= 0.2 * entropy(p)
                    else:
                        total += 0.7 * cross_entropy(p, q)
                return total / counts[rows].sum()

            value, gradient = value_of(
                loss,
                scores[rows],
                target[rows],
                unknown=torch.from_numpy(counts[rows]),
                rows=torch.from_numpy(rows),
            )
            assert value == pytest.approx(by_hand(scores[rows]), rel=1e-5)
            slopes = slopes_of(by_hand, scores[rows])
            assert_allclose(gradient, slopes, rtol=1e-4, atol=1e-6)
    # In the end, the share of every category has a label, all of unknown cells.
    assert not (has_label & ~counts).any()
    expected = np.round(share * counts.sum(axis=0))
    assert_array_equal(has_label.sum(axis=0), expected)


def test_labels_stay(rng):
    """A cell keeps the probability of the epoch that gave it, for good."""
    logits, target = batch(rng, unknown=0.8)
    loss = EntropyPseudoLabelLoss(warm_up=0.2)
    loss.start(torch.from_numpy(target))
    kept = None
    for epoch in range(6):
        loss.set_epoch(epoch, 6)
        if kept is not None:
            same = ~torch.isnan(kept)
            assert torch.equal(loss._soft[same], kept[same])
        kept = loss._soft.clone()
        value_of(loss, rng.normal(size=logits.shape), target, rows=ROWS)
    loss.start(torch.from_numpy(target))
    assert torch.isnan(loss._soft).all()
    assert torch.isnan(loss._scores).all()


def test_each_category_has_its_own_lowest(rng):
    """A category of low scores does not take all labels."""
    logits, target = batch(rng, unknown=1.0)
    logits[:, 0] -= 50.0
    loss = EntropyPseudoLabelLoss(negative_share=0.5, warm_up=0.4)
    loss.start(torch.from_numpy(target))
    for epoch in range(2):
        loss.set_epoch(epoch, 2)
        value_of(loss, logits, target, rows=ROWS)
    has_label = ~torch.isnan(loss._soft)
    assert has_label.sum(dim=0).tolist() == [10, 10, 10]
    for j in range(3):
        labelled = logits[has_label[:, j].numpy(), j]
        assert labelled.max() < logits[~has_label[:, j].numpy(), j].min()


def test_cells_without_a_score_get_no_label(rng):
    logits, target = batch(rng, unknown=1.0)
    loss = EntropyPseudoLabelLoss(negative_share=1.0)
    loss.start(torch.from_numpy(target))
    loss.set_epoch(0, 2)
    value_of(loss, logits[:5], target[:5], rows=ROWS[:5])
    loss.set_epoch(1, 2)
    assert (~torch.isnan(loss._soft)).any(dim=1).tolist() == [True] * 5 + [False] * 15


def test_a_short_training_is_all_warm_up(rng):
    logits, target = batch(rng)
    loss = EntropyPseudoLabelLoss(warm_up=0.99)
    loss.start(torch.from_numpy(target))
    for n_epochs in (1, 2, 3):
        for epoch in range(n_epochs):
            loss.set_epoch(epoch, n_epochs)
            value_of(loss, logits, target, rows=ROWS)
    assert torch.isnan(loss._soft).all()


# -------------------------------------------------------------------------- ROLE
def role(target, **options):
    loss = OnlineEstimationLoss(**options)
    loss.start(torch.from_numpy(target))
    return loss


def role_by_hand(logits, g, target, *, n_positive=None, prevalence=None):
    """Compute the loss of one side, with the other's probabilities as targets."""
    unknown = np.isnan(target)
    total = cross_entropy(sigmoid(logits), g)[unknown].sum()
    means = sigmoid(logits).mean(axis=0)
    if n_positive is None:
        excess = ((means - prevalence) ** 2).mean()
    else:
        excess = ((means.sum() - n_positive) / logits.shape[1]) ** 2
    # In a mean over all cells the regulariser would count 1.
    return (total + excess * target.size) / unknown.sum()


REGULARISERS = [{"n_positive": 1.5}, {"prevalence": [0.2, 0.5, 0.1]}]
by_regulariser = pytest.mark.parametrize("options", REGULARISERS, ids=str)


@by_regulariser
def test_the_loss_of_the_network(options, rng):
    logits, target = batch(rng)
    loss = role(target, **options)
    g = sigmoid(loss._estimates.double().numpy())

    def by_hand(logits):
        return role_by_hand(logits, g, target, **options)

    value, gradient = value_of(loss, logits, target, rows=ROWS)
    assert value == pytest.approx(by_hand(logits), rel=1e-6)
    slopes = slopes_of(by_hand, logits)
    # Known cells move by the regulariser alone.
    assert_allclose(gradient, slopes, rtol=1e-4, atol=1e-7)


@by_regulariser
@pytest.mark.parametrize("learning_rate", [0.02, 0.5])
def test_estimates_move_as_by_torchs_adam(options, learning_rate, rng):
    _, target = batch(rng)
    loss = role(target, learning_rate=learning_rate, **options)
    unknown = torch.from_numpy(np.isnan(target))
    free = loss._estimates.double().clone().requires_grad_()
    optimizer = torch.optim.Adam([free], lr=learning_rate)
    for _ in range(6):
        logits = rng.normal(0, 2, target.shape)
        value_of(loss, logits, target, rows=ROWS)
        optimizer.zero_grad()
        proba = torch.sigmoid(torch.from_numpy(logits))
        losses = -(
            proba * torch.sigmoid(free).log() + (1 - proba) * torch.sigmoid(-free).log()
        )
        means = torch.sigmoid(free).mean(dim=0)
        if "n_positive" in options:
            excess = ((means.sum() - options["n_positive"]) / 3) ** 2
        else:
            excess = ((means - torch.tensor(options["prevalence"])) ** 2).mean()
        total = losses[unknown].sum() + excess * target.size
        (total / unknown.sum()).backward()
        # Estimates of known labels are fixed.
        free.grad[~unknown] = 0.0
        optimizer.step()
        moved = loss._estimates.double()
        assert_allclose(moved.numpy(), free.detach().numpy(), rtol=2e-4, atol=1e-5)


def test_rows_of_other_batches_stay_where_they_are(rng):
    logits, target = batch(rng)
    loss, alone = role(target, n_positive=1.0), role(target, n_positive=1.0)
    alone._estimates = loss._estimates.clone()
    for k in range(3):
        for rows in (ROWS[:8], ROWS[8:]):
            value_of(loss, logits[rows], target[rows], rows=rows)
        # Oracle: rows of a batch know nothing of the other batch.
        value_of(alone, logits[8:], target[8:], rows=ROWS[8:])
        assert torch.equal(loss._estimates[8:], alone._estimates[8:])
        assert loss._n_steps.tolist() == [k + 1] * 20


def test_known_labels_are_fixed_estimates(rng):
    logits, target = batch(rng)
    loss = role(target, n_positive=1.0)
    start = loss._estimates.clone()
    for _ in range(5):
        value_of(loss, logits, target, rows=ROWS)
    g = torch.sigmoid(loss._estimates).numpy()
    assert_allclose(g[target == 1], 0.995, rtol=1e-6)
    assert_allclose(g[target == 0], 0.005, rtol=1e-5)
    unknown = np.isnan(target)
    assert (loss._estimates.numpy()[unknown] != start.numpy()[unknown]).all()


@pytest.mark.parametrize("start_proba", [0.5, 0.6, 0.9])
def test_first_estimates_are_drawn_around_a_half(start_proba):
    target = np.full((2000, 2), NAN)
    loss = role(target, n_positive=1.0, start_proba=start_proba)
    span = np.log(start_proba / (1 - start_proba))
    drawn = loss._estimates.numpy()
    assert np.abs(drawn).max() <= span + 1e-6
    if span:
        assert np.abs(drawn).max() > 0.99 * span
        assert abs(drawn.mean()) < 0.05 * span
    torch.manual_seed(5)
    first = role(target, n_positive=1.0)._estimates
    torch.manual_seed(5)
    assert torch.equal(role(target, n_positive=1.0)._estimates, first)


def test_cells_that_do_not_count_are_in_neither_side(rng):
    logits, target = batch(rng)
    counts = np.isnan(target) & (rng.random(target.shape) < 0.5)
    silent = np.isnan(target) & ~counts
    loss = role(target, n_positive=1.0)
    before = loss._estimates.clone()
    _, gradient = value_of(
        loss, logits, target, unknown=torch.from_numpy(counts), rows=ROWS
    )
    assert_array_equal(gradient[silent], 0)
    assert_array_equal(loss._estimates.numpy()[silent], before.numpy()[silent])
    assert (loss._estimates.numpy()[counts] != before.numpy()[counts]).all()


def test_a_new_start_forgets(rng):
    logits, target = batch(rng)
    loss = role(target, n_positive=1.0)
    value_of(loss, logits, target, rows=ROWS)
    assert loss._momenta.any()
    loss.start(torch.from_numpy(target))
    assert not loss._momenta.any()
    assert not loss._n_steps.any()


def test_the_share_of_positives_is_estimated_in_a_training(rng):
    logits, target = batch(rng)
    loss = OnlineEstimationLoss()
    assert loss.estimates_rates
    loss.start(torch.from_numpy(target))
    assert not loss.is_active
    with pytest.raises(
        ValueError, match="`prevalence` must be given, or estimated in "
    ):
        value_of(loss, logits, target, rows=ROWS)
    loss.set_rates(KnownRates.equal(3))
    assert loss.is_active
    assert np.isfinite(value_of(loss, logits, target, rows=ROWS)[0])


def test_estimates_follow_a_network_that_knows(rng):
    """The labels that stayed unknown are found, where the network is right."""
    truth = rng.random((200, 3)) < 0.3
    target = np.where(rng.random(truth.shape) < 0.3, truth.astype(float), NAN)
    logits = np.where(truth, 3.0, -3.0)
    loss = role(target, prevalence=truth.mean(axis=0), learning_rate=0.1)
    for _ in range(60):
        value_of(loss, logits, target, rows=torch.arange(200))
    assert_array_equal(loss._estimates.numpy() > 0, truth)


# ------------------------------------------------------------------------- parameters
@pytest.mark.parametrize(
    ("make", "match"),
    [
        (
            lambda: EntropyPseudoLabelLoss(alpha=-1),
            "`alpha` must be finite and 0 or mo",
        ),
        (
            lambda: EntropyPseudoLabelLoss(beta=NAN),
            "`beta` must be finite and 0 or mor",
        ),
        (
            lambda: EntropyPseudoLabelLoss(negative_share=1.1),
            "`negative_share` must be",
        ),
        (lambda: EntropyPseudoLabelLoss(warm_up=1.0), r"`warm_up` must be in \(0, 1\)"),
        (lambda: OnlineEstimationLoss(learning_rate=0), "`learning_rate` must be fin"),
        (lambda: OnlineEstimationLoss(start_proba=0.4), r"in \[0.5, 1\); got 0.4"),
        (lambda: OnlineEstimationLoss(start_proba=1.0), r"in \[0.5, 1\); got 1.0"),
        (
            lambda: OnlineEstimationLoss(n_positive=1, prevalence=0.1),
            "must be None whe",
        ),
        (lambda: OnlineEstimationLoss(prevalence=-0.1), "`prevalence` must hold share"),
    ],
)
def test_parameters_out_of_their_range_are_refused(make, match):
    with pytest.raises(ValueError, match=match):
        make()
