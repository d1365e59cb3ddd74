"""What a first user of networks meets: modules of their own, warnings, messages."""

import warnings

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from torch import nn

from cftlearn import CategoryWiseFineTuner, CFTClassifier
from cftlearn.datasets import make_partial_multilabel
from cftlearn.exceptions import NonFiniteLossError, UndefinedCategoryWarning
from cftlearn.training import NetworkTrainer

X, Y, _ = make_partial_multilabel(120, known=0.4, random_state=0)
X = X.astype(np.float32)


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(20, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 5)
    )


def classifier(module=network, **parameters) -> CFTClassifier:
    settings = {"max_epochs": 1, "batch_size": 32, "random_state": 0}
    return CFTClassifier(module, **(settings | parameters))


def test_a_factory_of_one_module_is_as_the_module():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = network()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    made = classifier(lambda: module).fit(X, Y)
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]), name
    np.testing.assert_array_equal(made.coef_, classifier(module).fit(X, Y).coef_)


@pytest.mark.parametrize(
    "model",
    [
        classifier(calibration="sigmoid"),
        CFTClassifier(calibration="sigmoid", random_state=0),
        CFTClassifier(fine_tuner=CategoryWiseFineTuner(cross_fit=3), random_state=0),
        classifier(fine_tuner=CategoryWiseFineTuner(cross_fit=2)),
    ],
    ids=["network", "features", "features, cross-fitted", "network, cross-fitted"],
)
def test_warnings_name_the_line_of_the_user_once(model):
    y = Y.copy()
    y[:, 0] = np.nan
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y)
    assert {warning.filename for warning in caught} == {__file__}
    assert {warning.category for warning in caught} == {UndefinedCategoryWarning}
    assert len(caught) == (1 if model.calibration is None else 2)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (classifier(batch_size=1), r"shape \(1, 20\).*raise `batch_size`"),
        (
            classifier(trainer=NetworkTrainer(augment=lambda row: row[:3])),
            r"shape \(30, 3\).*`augment` must return the shape",
        ),
        (
            classifier(loss=lambda logits, targets: torch.tensor(1.0)),
            r"`loss` must have a gradient",
        ),
    ],
    ids=["batch norm of one row", "augment", "loss without gradient"],
)
def test_what_fails_in_training_alone_is_explained(model, message):
    with pytest.raises(ValueError, match=message):
        model.fit(X, Y)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (CFTClassifier(layers=["0"]), r"`layers` needs a `module`"),
        (CFTClassifier(rounds=2), r"`rounds` above 1 needs a `module`"),
        (classifier(train=False, rounds=2), r"`rounds` above 1 .* train=True"),
    ],
    ids=["layers of no network", "rounds of no network", "rounds without training"],
)
def test_what_would_have_no_effect_is_refused(model, message):
    with pytest.raises(ValueError, match=message):
        model.fit(X, Y)


@pytest.mark.parametrize("has_earlier_fit", [False, True])
def test_a_fit_that_failed_changes_nothing(has_earlier_fit):
    model = classifier()
    if has_earlier_fit:
        model.fit(X, Y)
        before = model.predict_proba(X)
    model.set_params(loss=lambda logits, targets: logits.sum() * np.nan)
    attributes = dict(vars(model))
    with pytest.raises(NonFiniteLossError):
        model.fit(X, Y)
    assert vars(model) == attributes
    if has_earlier_fit:
        np.testing.assert_array_equal(model.predict_proba(X), before)
    else:
        with pytest.raises(NotFittedError):
            model.predict(X)
    model.set_params(loss="bce").fit(X, Y)
    np.testing.assert_array_equal(model.coef_, classifier().fit(X, Y).coef_)


def test_labels_of_other_rows_do_not_end_an_earlier_fit():
    model = classifier().fit(X, Y)
    before = model.predict_proba(X)
    with pytest.raises(ValueError, match="one row per sample"):
        model.fit(X, Y[:-1])
    np.testing.assert_array_equal(model.predict_proba(X), before)


@pytest.mark.parametrize(
    ("layers", "error", "message"),
    [
        (["nope"], ValueError, "must name layers of the network; got 'nope'"),
        ([1], TypeError, "must hold names of layers; got 1 of type int"),
    ],
    ids=str,
)
def test_layers_are_checked_before_anything_is_trained(layers, error, message):
    trained = []

    def loss(logits, targets):
        trained.append(len(logits))
        return logits.sum() * 0.0

    with pytest.raises(error, match=message):
        classifier(layers=layers, loss=loss).fit(X, Y)
    assert not trained
