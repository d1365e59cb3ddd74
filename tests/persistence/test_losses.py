"""Losses as parameters of a saved model."""

import inspect
import json

import numpy as np
import pytest
import torch
from model_parts import read_document, sign
from numpy.testing import assert_array_equal

from cftlearn import CFTClassifier, load_model, losses, save_model
from cftlearn.exceptions import ModelFormatError
from cftlearn.losses import (
    BiasedNegativesLoss,
    ExpectedPositiveLoss,
    GeneralizedRobustLoss,
    HillLoss,
    LargeLoss,
    NonNegativePULoss,
    OnlineEstimationLoss,
    PartialAsymmetricLoss,
    PartialBCEWithLogitsLoss,
    PartialFocalLoss,
    PartialStrictlyProperLoss,
    SelectiveLoss,
    UnknownLoss,
)
from cftlearn.losses._registry import LOSSES, TREATMENTS, make_unknown_loss
from cftlearn.persistence._losses import NAMES

KNOWN = [
    PartialBCEWithLogitsLoss(pos_weight=torch.tensor([0.5, 2.0, 3.0])),
    PartialFocalLoss(gamma=1.5, margin=1.0),
    PartialAsymmetricLoss(gamma_negative=2.0, clip=0.0),
    PartialStrictlyProperLoss(zeta_negative=2.0, link="logistic"),
]
UNKNOWN = [
    *(make_unknown_loss(name) for name, entry in TREATMENTS.items() if entry),
    HillLoss(peak=2.0),
    SelectiveLoss(prior=[0.1, 0.2, 0.3], top=0),
    LargeLoss("temporary", share_per_epoch=0.1),
    GeneralizedRobustLoss(slope=(0.0, 2.0), offset=(-2.0, -2.0)),
    NonNegativePULoss(prior=[0.1, 0.2, 0.3], surrogate="logistic", beta=0.1),
    ExpectedPositiveLoss(n_positive=1.5),
    OnlineEstimationLoss(prevalence=0.25, learning_rate=0.1),
]


@pytest.fixture
def fitted(partial_problem):
    X, y, _ = partial_problem
    return CFTClassifier(random_state=0).fit(X, y)


def test_all_losses_but_some_are_described():
    made = {type(loss).__name__ for loss in (*KNOWN, *UNKNOWN)}
    assert set(NAMES) == made
    assert {type(losses.make_loss(name)).__name__ for name in LOSSES} <= made


@pytest.mark.parametrize(
    "loss", [*KNOWN, *UNKNOWN], ids=lambda loss: type(loss).__name__
)
def test_parameters_are_those_of_the_signature(loss):
    params = loss.parameters_given()
    assert list(params) == list(inspect.signature(type(loss)).parameters)
    json.dumps(params)


@pytest.mark.parametrize(
    ("name", "loss"),
    [("loss", loss) for loss in KNOWN] + [("unknown", loss) for loss in UNKNOWN],
)
def test_a_model_keeps_its_loss(fitted, partial_problem, tmp_path, name, loss):
    X = partial_problem[0]
    folder = save_model(fitted.set_params(**{name: loss}), tmp_path / "model")
    loaded = load_model(folder)
    own = getattr(loaded, name)
    assert type(own) is type(loss)
    assert own is not loss
    assert own.parameters_given() == loss.parameters_given()
    for key, value in loss.state_dict().items():
        assert torch.equal(value, own.state_dict()[key])
    assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))


def test_a_model_with_a_loss_can_be_fitted_again(
    partial_problem, network_factory, quick_tuner, tmp_path
):
    X, y, _ = partial_problem
    X = X.astype(np.float32)
    model = CFTClassifier(
        network_factory(),
        unknown=HillLoss(peak=2.0),
        loss=PartialFocalLoss(gamma=1.0),
        fine_tuner=quick_tuner,
        max_epochs=2,
        random_state=0,
    ).fit(X, y)
    loaded = load_model(save_model(model, tmp_path / "m"), module=model.module)
    again = loaded.fit(X, y)
    assert_array_equal(again.predict_proba(X), model.predict_proba(X))


class OwnLoss(UnknownLoss):
    def cell_losses(self, logits):
        return logits**2


@pytest.mark.parametrize(
    "unknown",
    [
        OwnLoss(),
        BiasedNegativesLoss(np.full((4, 3), 0.5), prior=0.3, negative_share=0.2),
    ],
    ids=["own", "values of rows"],
)
def test_other_losses_are_refused_with_a_remedy(fitted, tmp_path, unknown):
    match = r"The parameter `unknown` must be .*Loss\. Set another value with set_par"
    with pytest.raises(TypeError, match=match):
        save_model(fitted.set_params(unknown=unknown), tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda loss: loss["params"].update(peak=0.5), "`peak` must be 1 or more"),
        (lambda loss: loss["params"].update(height=1), "unexpected keyword argument"),
        (lambda loss: loss.update({"class": "UnknownLoss"}), "be one of"),
        (lambda loss: loss.update(more=1), "hold what a HillLoss has"),
        (lambda loss: loss.update(params=[1]), "be an object"),
    ],
)
def test_what_a_file_says_of_a_loss_is_checked(fitted, tmp_path, change, match):
    folder = save_model(fitted.set_params(unknown=HillLoss()), tmp_path / "model")
    document = read_document(folder)
    (model,) = (
        part for part in (document, document.get("model")) if part and "params" in part
    )
    change(model["params"]["unknown"])
    sign(folder, document)
    with pytest.raises(ModelFormatError, match=match):
        load_model(folder)
