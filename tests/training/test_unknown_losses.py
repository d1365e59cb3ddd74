"""Every treatment of unknown labels in whole fits: they repeat, and they resume."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.base import clone
from torch import nn
from training_parts import PLAN, same_weights, train

from cftlearn import CategoryWiseFineTuner, CFTClassifier
from cftlearn._inputs import read_inputs
from cftlearn.datasets import make_partial_multilabel
from cftlearn.labels._known_rates import KnownRates
from cftlearn.labels._label_split import TrainingTargets
from cftlearn.losses import (
    BiasedNegativesLoss,
    HillLoss,
    LargeLoss,
    NonNegativePULoss,
    OnlineEstimationLoss,
    PartialBCEWithLogitsLoss,
    SelectiveLoss,
    available,
)
from cftlearn.losses._registry import make_unknown_loss
from cftlearn.training import NetworkTrainer
from cftlearn.training._loop import train_network
from cftlearn.training._plan import make_plan

X, Y, _ = make_partial_multilabel(80, known=0.4, random_state=0)
X, Y = X.astype(np.float32), Y[:, :3]
GROUPS = np.arange(80) // 2
NAMES = available("unknown")
by_name = pytest.mark.parametrize("unknown", [*NAMES, "biased_negatives"])
# Those that remember rows or epochs, or estimate shares, have more to lose.
by_memory = pytest.mark.parametrize(
    "unknown",
    ["biased_negatives", "entropy_pseudo", "large_loss_permanent", "role", "selective"],
)
RATES = KnownRates(np.full(3, 0.6), np.full(3, 0.1), np.log(6.0), 4.0)
SELECTED = np.random.default_rng(1).uniform(0.1, 0.9, Y.shape)


def network():
    return nn.Sequential(nn.Linear(20, 8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 3))


def treatment(unknown):
    if unknown == "biased_negatives":
        return BiasedNegativesLoss(SELECTED, prior=0.3, negative_share=0.3)
    return unknown


@pytest.fixture
def make_model():
    """Return a function that makes quick classifiers."""

    def make(unknown, **parameters):
        options = {
            "fine_tuner": CategoryWiseFineTuner("proximal", refit=False),
            "max_epochs": 3,
            "batch_size": 32,
            "learning_rate": 0.02,
            "random_state": 0,
            "device": "cpu",
        }
        return CFTClassifier(
            network, unknown=treatment(unknown), **options | parameters
        )

    return make


def losses_of(model):
    return [row["loss"] for row in model.history_ if "loss" in row]


# ------------------------------------------------------------------------- whole fits
@by_name
def test_fits_repeat(make_model, unknown):
    model = make_model(unknown).fit(X, Y)
    assert len(losses_of(model)) == 6
    assert np.isfinite(losses_of(model)).all()
    assert np.isfinite(model.predict_proba(X)).all()
    other = clone(make_model(unknown)).fit(X, Y)
    assert other.history_ == model.history_
    assert same_weights(other.module_, model.module_)
    assert_array_equal(other.coef_, model.coef_)


@by_name
@pytest.mark.parametrize("n_saved", [1, 3])
def test_a_stopped_training_continues_where_it_was(
    unknown, n_saved, tmp_path, monkeypatch
):
    """Bit for bit: what the loss remembers is saved as well."""
    from cftlearn.training import _loop

    save_state = _loop.save_state
    expected, history = train_by_name(unknown)
    saved = []

    def stop(path, state):
        if len(saved) == n_saved:
            raise KeyboardInterrupt
        saved.append(path)
        save_state(path, state)

    monkeypatch.setattr(_loop, "save_state", stop)
    with pytest.raises(KeyboardInterrupt):
        train_by_name(unknown, checkpoint=tmp_path)
    monkeypatch.undo()
    resumed, other = train_by_name(unknown, checkpoint=tmp_path)
    assert other == history
    assert same_weights(resumed, expected)


def train_by_name(unknown, **finer):
    """Train on all cells, at rates that are known."""
    trainer = NetworkTrainer(**finer)
    is_unknown = np.isnan(Y)
    if unknown == "negative":
        targets = TrainingTargets(np.nan_to_num(Y))
    else:
        targets = TrainingTargets(Y, None if unknown == "ignore" else is_unknown)
    plan = make_plan(
        trainer,
        targets,
        loss="bce",
        unknown=treatment(unknown),
        max_epochs=5,
        batch_size=32,
        learning_rate=0.02,
        seed=0,
        device="cpu",
    )
    if plan.unknown_loss is not None:
        plan.unknown_loss.set_rates(RATES)
    torch.manual_seed(0)
    module = network()
    return module, train_network(module, read_inputs(X), targets, plan).history


def test_a_stopped_fit_estimates_shares_once(make_model, tmp_path, monkeypatch):
    """Rates are in the state, and shares follow from them."""
    from cftlearn.training import _loop

    model = make_model("role", max_epochs=4)
    expected = clone(model).fit(X, Y)
    saved, save_state = [], _loop.save_state
    resumed = clone(model).set_params(trainer=NetworkTrainer(checkpoint=tmp_path))
    for n_saved in (2, 3):  # in the first training, and in the second

        def stop(path, state, n_saved=n_saved):
            if len(saved) == n_saved:
                raise KeyboardInterrupt
            saved.append(path)
            save_state(path, state)

        saved.clear()
        monkeypatch.setattr(_loop, "save_state", stop)
        with pytest.raises(KeyboardInterrupt):
            resumed.fit(X, Y)
    monkeypatch.undo()
    resumed.fit(X, Y)
    assert resumed.history_ == expected.history_
    assert_array_equal(resumed.coef_, expected.coef_)


@by_memory
def test_fits_in_threads_are_those_of_fits_alone(make_model, unknown):
    """One object of a loss is an ``unknown`` of several fits, which share nothing."""
    shared = make_unknown_loss(treatment(unknown))
    models = [make_model(shared, random_state=seed, retrain=False) for seed in range(2)]
    alone = [clone(model).fit(X, Y).coef_ for model in models]
    threads = [threading.Thread(target=model.fit, args=(X, Y)) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_array_equal([model.coef_ for model in models], alone)
    assert models[0].unknown is models[1].unknown


VARIANTS = {
    "average": ({"retrain": "average"}, {}),
    "rounds": ({"rounds": 2}, {}),
    "groups": ({}, {"groups": GROUPS}),
    "patience and large steps": (
        {"trainer": NetworkTrainer(patience=1, accumulation_steps=2)},
        {},
    ),
}


@by_memory
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_way_to_fit(make_model, unknown, variant):
    parameters, told = VARIANTS[variant]
    model = make_model(unknown, **parameters).fit(X, Y, **told)
    assert np.isfinite(losses_of(model)).all()
    assert np.isfinite(model.predict_proba(X)).all()


@by_memory
def test_folds(make_model, unknown):
    model = make_model(unknown, max_epochs=2)
    tuner = CategoryWiseFineTuner("auto", cross_fit=3)
    model.set_params(fine_tuner=tuner)
    model.fit(X, Y)
    assert np.isfinite(losses_of(model)).all()
    assert np.isfinite(model.predict_proba(X)).all()


@pytest.mark.parametrize("retrain", [False, True])
@by_memory
def test_other_rows_that_choose(make_model, unknown, retrain):
    """In the second training they are rows like others, with numbers of their own."""
    own = treatment(unknown)
    if unknown == "biased_negatives":
        own = BiasedNegativesLoss(SELECTED[:50], prior=0.3, negative_share=0.3)
    model = make_model(own, retrain=retrain)
    rest = {"X_val": X[50:], "y_val": Y[50:]}
    if unknown == "biased_negatives" and retrain:
        with pytest.raises(
            ValueError, match=r"`retrain` must be False where `unknown`"
        ):
            model.fit(X[:50], Y[:50], **rest)
        return
    model.fit(X[:50], Y[:50], **rest)
    assert np.isfinite(losses_of(model)).all()
    assert len(losses_of(model)) == (6 if retrain else 3)


def test_labels_of_the_same_rows_choose_with_values_of_rows(make_model, rng):
    chooses = rng.random(Y.shape) < 0.3
    model = make_model("biased_negatives")
    model.fit(
        X,
        np.where(chooses, np.nan, Y),
        X_val=X,
        y_val=np.where(chooses, Y, np.nan),
    )
    assert len(losses_of(model)) == 6


def test_other_rows_are_refused_before_anything_is_trained(make_model, monkeypatch):
    import cftlearn.classifier._network_fit as trainings

    def train(*_, **__):
        raise AssertionError("trained")

    monkeypatch.setattr(trainings, "train_without_held_out", train)
    with pytest.raises(
        ValueError, match=r"got unknown=BiasedNegativesLoss\(\.\.\.\)\."
    ):
        make_model("biased_negatives").fit(X, Y, X_val=X[:9], y_val=Y[:9])


def test_a_loss_for_other_rows_is_refused(make_model):
    model = make_model("biased_negatives")
    with pytest.raises(ValueError, match=r"`y`, shape \(50, 3\); got shape \(80, 3\)"):
        model.fit(X[:50], Y[:50])


# ----------------------------------------------------------------------- one training
def train_on(loss, y, unknown=None, **changes):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(20, 3))
    before = module[0].weight.detach().clone()
    targets = TrainingTargets(y, np.isnan(y) if unknown is None else unknown)
    plan = replace(PLAN, unknown_loss=loss, unknown_weight=1.0, **changes)
    history = train_network(module, read_inputs(X), targets, plan).history
    return module, before, history


def test_a_loss_that_replaces_that_of_known_labels_trains_on_them(rng):
    """Also where no cell is unknown: in a batch, or in all of them."""
    complete = (X[:, :3] > 0).astype(float)
    loss = BiasedNegativesLoss(SELECTED, prior=0.5, negative_share=0.5)
    module, before, history = train_on(loss, complete)
    assert not torch.equal(module[0].weight, before)
    assert all(record["loss"] > 0 for record in history)
    # A step along the loss of all rows, whatever kinds of cells its batches have.
    mixed = np.where(np.arange(80)[:, None] < 60, complete, np.nan)
    _, _, history = train_on(loss, mixed, batch_size=80, max_epochs=1)
    torch.manual_seed(0)
    logits = nn.Sequential(nn.Linear(20, 3))(torch.from_numpy(X))
    expected = loss(logits, torch.from_numpy(mixed), rows=torch.arange(80))
    assert history[0]["loss"] == pytest.approx(expected.item(), rel=1e-5)


def test_held_out_cells_say_nothing_to_a_loss(rng):
    """Neither known nor counted: their row may say anything of them."""
    counted = np.isnan(Y) & (rng.random(Y.shape) < 0.5)
    held_out = np.isnan(Y) & ~counted
    for name in ("role", "entropy_pseudo", "large_loss_permanent", "selective"):
        loss = make_unknown_loss(name)
        if name == "role":
            loss = OnlineEstimationLoss(n_positive=1.5)
        train_on(loss, Y, counted)
        if name == "role":
            assert not loss._momenta[:, held_out].any()
        if name == "entropy_pseudo":
            assert torch.isnan(loss._scores[held_out]).all()
            assert torch.isnan(loss._soft[held_out]).all()
        if name == "large_loss_permanent":
            assert not loss._flipped[held_out].any()


# ------------------------------------------------------------------------ checkpoints
@pytest.mark.parametrize(
    ("one", "other"),
    [
        (HillLoss(), HillLoss(peak=2.0)),
        (NonNegativePULoss(prior=0.2), NonNegativePULoss(prior=0.3)),
        (SelectiveLoss(prior=[0.1] * 3), SelectiveLoss(prior=[0.1] * 2 + [0.2])),
        (LargeLoss("rejection"), LargeLoss("temporary")),
        (
            BiasedNegativesLoss(SELECTED, prior=0.3, negative_share=0.3),
            BiasedNegativesLoss(1 - SELECTED, prior=0.3, negative_share=0.3),
        ),
    ],
    ids=lambda loss: type(loss).__name__,
)
def test_a_checkpoint_of_another_loss_is_refused(make_model, one, other, tmp_path):
    """A share of positives is a parameter: a state must not bring back another."""
    trainer = NetworkTrainer(checkpoint=tmp_path)
    model = make_model(one, trainer=trainer, retrain=False)
    first = model.fit(X, Y).coef_
    assert_array_equal(model.fit(X, Y).coef_, first)
    with pytest.raises(ValueError, match=r"differs in: unknown\."):
        model.set_params(unknown=other).fit(X, Y)


def test_factors_of_a_loss_are_settings(problem, module, tmp_path):
    losses = [
        PartialBCEWithLogitsLoss(pos_weight=torch.tensor([1.0, 1.0, factor]))
        for factor in (2.0, 3.0)
    ]
    train(module, *problem, plan=replace(PLAN, loss=losses[0]), checkpoint=tmp_path)
    with pytest.raises(ValueError, match=r"differs in: loss\."):
        train(module, *problem, plan=replace(PLAN, loss=losses[1]), checkpoint=tmp_path)
