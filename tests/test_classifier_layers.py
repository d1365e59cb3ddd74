"""layers="auto": more features where held-out labels are ranked better by them."""

import numpy as np
import pytest
from classifier_parts import output
from numpy.testing import assert_allclose, assert_array_equal

import cftlearn.classifier._network_fit as trainings
from cftlearn.fine_tuning import CategoryWiseFineTuner


@pytest.fixture
def problem(partial_problem):
    Z, y, _ = partial_problem
    return Z.astype(np.float32), y


def say_gain(monkeypatch, gain):
    """Have wide features rank held-out labels better by as much as told."""
    told = property(lambda self: 0.6 + gain * ("JoinedNet" in repr(self.made.network)))
    monkeypatch.setattr(trainings.Round, "held_out_auc", told)


@pytest.mark.parametrize("retrain", [False, True, "average"])
@pytest.mark.parametrize("gain", [-0.1, 0.0, 0.0099, float("nan"), 0.02])
def test_layers_are_taken_for_a_gain(make_model, problem, monkeypatch, gain, retrain):
    """Oracle: the same fit with these layers, or without any."""
    X, y = problem
    is_taken = gain > 0.015
    expected = make_model(layers=[""] if is_taken else None, retrain=retrain).fit(X, y)
    say_gain(monkeypatch, gain)
    model = make_model(layers="auto", retrain=retrain).fit(X, y)
    assert_array_equal(model.coef_, expected.coef_)
    assert_array_equal(model.intercept_, expected.intercept_)
    (record,) = [row for row in model.history_ if row["stage"] == "layers"]
    assert record["gain"] == pytest.approx(gain, nan_ok=True)
    assert record["taken"] is is_taken
    assert_allclose(output(model.to_torch(), X), model.decision_function(X), atol=1e-5)
    assert model.layers == "auto"


def test_the_gain_is_that_of_held_out_labels(make_model, problem):
    """Oracle: the means of two fits of one training each."""
    X, y = problem
    models = [
        make_model(layers=layers, retrain=False).fit(X, y) for layers in ([""], None)
    ]
    wide, narrow = (
        trainings.mean_held_out_auc(model.fine_tuner_.held_out_) for model in models
    )
    model = make_model(layers="auto", retrain=False).fit(X, y)
    (record,) = [row for row in model.history_ if row["stage"] == "layers"]
    assert record["gain"] == pytest.approx(wide - narrow)


def test_later_rounds_have_the_layers_of_the_first(make_model, problem, monkeypatch):
    X, y = problem
    say_gain(monkeypatch, 0.02)
    widths = []
    original = trainings.train_without_held_out

    def spy(settings, *arguments, **keywords):
        made = original(settings, *arguments, **keywords)
        widths.append(made.coef.shape[1])
        return made

    monkeypatch.setattr(trainings, "train_without_held_out", spy)
    model = make_model(layers="auto", rounds=2).fit(X, y)
    assert widths == [8, 14]
    assert len([row for row in model.history_ if row["stage"] == "layers"]) == 1


def test_a_fit_with_folds_takes_them_always(make_model, problem):
    X, y = problem
    tuner = CategoryWiseFineTuner(cross_fit=2)
    model = make_model(layers="auto", fine_tuner=tuner).fit(X, y)
    assert model.coef_.shape[1] == 14
    assert not [row for row in model.history_ if row["stage"] == "layers"]
