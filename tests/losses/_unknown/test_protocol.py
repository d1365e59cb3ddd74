"""What every loss of unknown labels keeps, whatever its formula is."""

import numpy as np
import pytest
import torch
from loss_parts import NAN, batch, value_of
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from cftlearn import CFTClassifier
from cftlearn.labels._known_rates import KnownRates
from cftlearn.losses import (
    BiasedNegativesLoss,
    ExpectedPositiveLoss,
    HillLoss,
    NonNegativePULoss,
    PartialFocalLoss,
    PartialLoss,
    PartialStrictlyProperLoss,
    SelectiveLoss,
    UnknownLoss,
)
from cftlearn.losses._registry import LOSSES, TREATMENTS, make_unknown_loss
from cftlearn.metrics import partial_roc_auc_scorer
from cftlearn.model_selection import PartialLabelKFold

RATES = KnownRates(
    np.array([0.6, 0.5, 0.2]), np.array([0.1, 0.1, 0.2]), np.log(6.0), 4.0
)
BY_NAME = [name for name, entry in TREATMENTS.items() if entry is not None]
NEED_ROWS = [name for name in BY_NAME if make_unknown_loss(name).needs_rows]
by_loss = pytest.mark.parametrize("name", [*BY_NAME, "biased_negatives"])
ROWS = torch.arange(20)


def make_fresh(name, target):
    """Return a loss that no training has begun with."""
    if name == "biased_negatives":
        proba = np.random.default_rng(3).random(target.shape)
        return BiasedNegativesLoss(proba, prior=0.3, negative_share=0.2)
    return make_unknown_loss(name)


def make(name, target, epoch=6, n_epochs=10):
    """Return a loss in the middle of a training."""
    loss = make_fresh(name, target)
    loss.start(torch.from_numpy(target).float())
    loss.set_rates(RATES)
    loss.set_epoch(epoch, n_epochs)
    if name == "selective" and epoch:  # what its warm-up would have found
        loss._sums[:] = torch.tensor([[0.01], [1.0]])
    return loss


@by_loss
def test_logits_far_out_stay_finite(name, rng):
    _, target = batch(rng)
    for scale in (20.0, 100.0, 200.0, 1e4):
        logits = np.where(rng.random(target.shape) < 0.5, scale, -scale)
        loss = make(name, target)
        tensor = torch.tensor(logits, dtype=torch.float32, requires_grad=True)
        value = loss(tensor, torch.from_numpy(target).float(), rows=ROWS)
        value.backward()
        assert value.dtype == torch.float32
        assert torch.isfinite(value)
        assert torch.isfinite(tensor.grad).all()


@by_loss
def test_cells_that_say_nothing_have_no_gradient(name, rng):
    """Neither known nor counted: a held-out label, say. Not even a NaN logit shows."""
    logits, target = batch(rng)
    counts = np.isnan(target) & (rng.random(target.shape) < 0.5)
    silent = np.isnan(target) & ~counts
    unknown = torch.from_numpy(counts)
    value, gradient = value_of(
        make(name, target), logits, target, unknown=unknown, rows=ROWS
    )
    assert_array_equal(gradient[silent], 0)
    logits[silent] = NAN
    again, slopes = value_of(
        make(name, target), logits, target, unknown=unknown, rows=ROWS
    )
    if name != "role":  # whose estimates are drawn
        assert again == value
        assert_array_equal(slopes, gradient)
    assert np.isfinite(slopes).all()


@by_loss
def test_without_any_cell_there_is_no_loss(name, rng):
    logits, target = batch(rng)
    nothing = torch.zeros(target.shape, dtype=torch.bool)
    target[:] = NAN
    loss = make(name, np.zeros(target.shape))
    value, gradient = value_of(loss, logits, target, unknown=nothing, rows=ROWS)
    if loss.default_weight(9.0) == 9.0 or name in ("vpu", "biased_negatives"):
        assert value == 0
    assert_array_equal(gradient, 0)


@by_loss
def test_a_batch_without_known_labels(name, rng):
    """It gives what its unknown part gives, and no NaN."""
    logits, target = batch(rng, unknown=1.0)
    loss = make(name, batch(rng)[1])
    value, gradient = value_of(loss, logits, target, rows=ROWS)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


@by_loss
def test_state_of_rows_can_be_saved_and_loaded(name, rng):
    """A training that continues from a checkpoint has the same loss."""
    logits, target = batch(rng)
    torch.manual_seed(0)
    loss = make(name, target, epoch=0)
    tensors = torch.tensor(logits), torch.from_numpy(target)
    for epoch in range(7):
        loss.set_epoch(epoch, 10)
        loss(*tensors, rows=ROWS)
    other = make(name, target, epoch=0)
    other.load_state_dict(loss.state_dict())
    for each in (loss, other):
        each.set_epoch(7, 10)
    assert float(other(*tensors, rows=ROWS)) == float(loss(*tensors, rows=ROWS))


@by_loss
def test_evaluation_leaves_the_state_as_it_is(name, rng):
    logits, target = batch(rng)
    loss = make(name, target, epoch=0)
    before = {key: value.clone() for key, value in loss.state_dict().items()}
    loss.eval()
    loss(torch.tensor(logits), torch.from_numpy(target), rows=ROWS)
    for key, value in loss.state_dict().items():
        assert torch.equal(value, before[key]) or torch.isnan(value).any()


@pytest.mark.parametrize(
    "name", [n for n in BY_NAME if make_unknown_loss(n).needs_rows]
)
def test_rows_must_be_there(name, rng):
    logits, target = batch(rng)
    tensors = torch.tensor(logits), torch.from_numpy(target)
    with pytest.raises(ValueError, match="`rows` must hold the numbers of the rows in"):
        make(name, target)(*tensors)
    with pytest.raises(ValueError, match=r"`rows` must be .* below 20, .*; got 20\. "):
        make(name, target)(*tensors, rows=ROWS + 1)
    with pytest.raises(ValueError, match=r"one number per row .*got shape \(3,\)"):
        make(name, target)(*tensors, rows=ROWS[:3])


def test_shapes_are_checked(rng):
    logits, target = map(torch.from_numpy, batch(rng))
    with pytest.raises(ValueError, match=r"must both have the shape .*\(20, 2\)"):
        HillLoss()(logits, target[:, :2])
    with pytest.raises(ValueError, match=r"must both have the shape"):
        HillLoss()(logits[0], target[0])
    with pytest.raises(
        ValueError, match=r"`unknown` must be a bool tensor .* got torch.float64"
    ):
        HillLoss()(logits, target, unknown=target)


@pytest.mark.parametrize(("epoch", "n_epochs"), [(-1, 3), (3, 3), (0, 0)])
def test_epochs_are_counted_from_zero(epoch, n_epochs):
    with pytest.raises(ValueError, match=rf"`epoch` must be in .*got {epoch}\. Epochs"):
        HillLoss().set_epoch(epoch, n_epochs)


@by_loss
def test_what_changes_over_epochs_must_know_them(name, rng):
    """Else a loop of one's own would stay in the first epoch for ever."""
    logits, target = batch(rng)
    values = []
    for epoch in (0, 9):
        loss = make(name, target, epoch)
        values.append(value(loss, logits, target))
    fresh = make_fresh(name, target)
    fresh.start(torch.from_numpy(target))
    fresh.set_rates(RATES)
    if fresh.follows_epochs:
        with pytest.raises(ValueError, match="`set_epoch` must be called before every"):
            value(fresh, logits, target)
    elif name != "role":  # whose estimates move
        assert values[0] == values[1]


def value(loss, logits, target):
    torch.manual_seed(0)
    return float(loss(torch.tensor(logits), torch.from_numpy(target), rows=ROWS))


@pytest.mark.parametrize("name", ["logits", "target", "unknown", "rows"])
def test_arguments_are_tensors(name, rng):
    logits, target = batch(rng)
    given = {
        "logits": torch.tensor(logits),
        "target": torch.from_numpy(target),
        "unknown": torch.from_numpy(np.isnan(target)),
        "rows": ROWS,
    }
    loss = HillLoss()
    loss(**given)
    with pytest.raises(TypeError, match=rf"`{name}` must be a tensor; got ndarray\."):
        loss(**given | {name: given[name].numpy()})
    for other in (PartialLoss("bce", "hill"), PartialFocalLoss()):
        with pytest.raises(TypeError, match="`target` must be a tensor; got ndarray"):
            other(torch.tensor(logits), target)


def test_a_loss_of_ones_own(rng):
    class Squared(UnknownLoss):
        def cell_losses(self, logits):
            return torch.sigmoid(logits) ** 2

    logits, target = batch(rng)
    p = 1 / (1 + np.exp(-logits[np.isnan(target)]))
    assert value_of(Squared(), logits, target)[0] == pytest.approx((p**2).mean())
    with pytest.raises(NotImplementedError):
        UnknownLoss().cell_losses(torch.zeros(1, 1))


# --------------------------------------------------------------------------- weights
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("weak_negative", 0.5),
        ("hill", 0.5),
        ("auto", 0.5 * np.sqrt(9.0)),
        ("splc", 9.0),
        ("role", 9.0),
        ("vpu", 1.0),
        ("expected_positive", 10.0),
    ],
)
def test_own_weights(name, expected):
    assert make_unknown_loss(name).default_weight(9.0) == pytest.approx(expected)


# ----------------------------------------------------------------------------- names
def test_names_of_treatments_and_losses():
    assert not set(TREATMENTS) & set(LOSSES)
    assert {name for name in TREATMENTS if name not in BY_NAME} == {
        "ignore",
        "negative",
    }
    given = HillLoss(peak=2.0)
    made = make_unknown_loss(given)
    assert made is not given
    assert made.peak == 2.0


# ----------------------------------------------------------------------- as parameters
@pytest.mark.parametrize(
    "loss",
    [
        HillLoss(peak=2.0),
        SelectiveLoss(prior=np.full(5, 0.02)),
        NonNegativePULoss(prior=0.2),
        ExpectedPositiveLoss(prevalence=[0.2] * 5),
    ],
    ids=lambda loss: type(loss).__name__,
)
def test_a_classifier_with_a_loss_can_be_cloned(loss):
    """scikit-learn must not take it for an estimator."""
    model = clone(CFTClassifier(unknown=loss))
    assert model.unknown is not loss
    assert repr(model.unknown) == repr(loss) != f"{type(loss).__name__}()"
    known = clone(CFTClassifier(loss=PartialFocalLoss(gamma=1.0))).loss
    assert repr(known) == "PartialFocalLoss(gamma=1.0)"


def test_a_search_tells_losses_apart(partial_problem, network_factory, quick_tuner):
    X, y, _ = partial_problem
    model = CFTClassifier(
        network_factory(),
        fine_tuner=quick_tuner,
        retrain=False,
        max_epochs=1,
        random_state=0,
    )
    search = GridSearchCV(
        model,
        {"unknown": ["hill", HillLoss(peak=2.0)]},
        scoring=partial_roc_auc_scorer,
        cv=PartialLabelKFold(2),
    ).fit(X.astype(np.float32), y)
    assert str(search.cv_results_["params"][1]) == "{'unknown': HillLoss(peak=2.0)}"
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (
            lambda: NonNegativePULoss(prior=pd_series([0.1, 0.2], ["b", "a"])),
            ValueError,
            r"`prior` must hold shares in the order .*got labels \['b', 'a'\]",
        ),
        (
            lambda: SelectiveLoss(prior="a"),
            TypeError,
            r"`prior` must hold numbers; got 'a'\. Pass one share",
        ),
        (
            lambda: ExpectedPositiveLoss(prevalence={"a": 0.1}),
            TypeError,
            "`prevalence` must hold numbers",
        ),
    ],
)
def test_shares_are_numbers_in_the_order_of_the_categories(make, error, match):
    with pytest.raises(error, match=match):
        make()


def pd_series(values, index):
    pandas = pytest.importorskip("pandas")
    return pandas.Series(values, index=index)


@pytest.mark.parametrize(
    ("loss", "match"),
    [
        (HillLoss(), r"`loss` must be a loss of known labels; got HillLoss, which is"),
        (PartialLoss("bce", "hill"), r"`loss` must be a loss of .* got PartialLoss"),
        (PartialStrictlyProperLoss(), r"`loss` must have logits that are log-odds"),
    ],
)
def test_losses_that_are_no_loss_of_known_labels_are_refused(
    loss, match, partial_problem, network_factory
):
    X, y, _ = partial_problem
    with pytest.raises(ValueError, match=match):
        CFTClassifier(network_factory(), loss=loss).fit(X.astype(np.float32), y)
