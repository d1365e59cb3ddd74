"""The classifier that settings describe."""

from dataclasses import replace

import pytest

from cftlearn import CFTClassifier
from cftlearn.cli._model import make_model
from cftlearn.cli._settings import Settings, SettingsError
from cftlearn.images import ImageTransform

SETTINGS = Settings(
    image={"size": 9},
    train={"loss": "asl", "max_epochs": 3, "ema_decay": 0.9},
    refit={"solver": "ga", "cross_fit": 4},
    seed=5,
    device="cpu",
    n_jobs=2,
)


def test_settings_become_parameters():
    model = make_model(SETTINGS, train=False, verbose=1)
    assert (model.loss, model.max_epochs, model.train) == ("asl", 3, False)
    assert model.trainer.ema_decay == 0.9
    assert (model.fine_tuner.solver, model.fine_tuner.cross_fit) == ("ga", 4)
    assert (model.random_state, model.device, model.n_jobs) == (5, "cpu", 2)
    assert model.input_transform == ImageTransform(9)
    assert (model.module, model.verbose) == (None, 1)
    assert SETTINGS.train["max_epochs"] == 3  # nothing was taken out


def test_what_is_left_out_has_its_default():
    model, default = make_model(Settings(), train=True), CFTClassifier()
    assert (model.random_state, model.train, model.verbose) == (0, True, 0)
    assert model.input_transform == ImageTransform()
    for name in ("device", "n_jobs", "loss", "max_epochs", "calibration"):
        assert getattr(model, name) == getattr(default, name)


def test_augmentation_ends_in_the_transform():
    settings = replace(SETTINGS, train={"augment": ["cli_parts:mirror"]})
    augment = make_model(settings, train=True).trainer.augment
    assert augment.transform == ImageTransform(9)
    assert len(augment.steps) == 1
    settings = replace(SETTINGS, train={"augment": "mirror"})
    with pytest.raises(SettingsError, match=r"`train.augment` must be"):
        make_model(settings, train=True)
