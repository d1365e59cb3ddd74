"""Options and settings that do not apply: every one is refused, or said."""

import warnings
from pathlib import Path

import pytest

from cftlearn.cli._commands import make_parser
from cftlearn.cli._configuration import read_settings
from cftlearn.cli._options import settings_given
from cftlearn.cli._settings import SettingsError
from cftlearn.cli._unused import UnusedSettingsWarning, check_used, refuse_given

FEATURES = {"data.labels": Path("l.csv"), "data.features": Path("f")}
IMAGES = {"data.labels": Path("l.csv"), "network.name": "a:b"}


def check(given, file=None, *, trains=True):
    settings = read_settings(None, {**(file or {}), **given})
    check_used(settings, given, Path("c.toml"), trains=trains)


@pytest.mark.parametrize(
    ("base", "name", "value", "trains"),
    [
        (FEATURES, "data.images", Path("i"), True),
        (FEATURES, "network.weights", "DEFAULT", True),
        (FEATURES, "network.head", "fc", True),
        (FEATURES, "image.size", 3, True),
        (FEATURES, "train.max_epochs", 3, True),
        (FEATURES, "train.learning_rate", 0.1, True),
        (FEATURES, "train.retrain", "average", True),
        (FEATURES, "train.rounds", 1, True),
        (FEATURES, "train.layers", "auto", True),
        (FEATURES, "train.batch_size", 3, True),
        (FEATURES, "train.num_workers", 1, True),
        (FEATURES, "train.augment", "a:b", True),
        (FEATURES, "device", "cuda", True),
        (IMAGES, "train.max_epochs", 3, False),
        (IMAGES, "train.retrain", True, False),
        (IMAGES, "train.unknown", "hill", False),
        (IMAGES | {"refit.cross_fit": 3}, "train.retrain", False, True),
        (
            IMAGES | {"data.validation": Path("v"), "train.unknown": "ignore"},
            "train.validation_fraction",
            0.3,
            True,
        ),
    ],
)
def test_what_does_not_apply(base, name, value, trains):
    option = f"--{name.rpartition('.')[2].replace('_', '-')}"
    with pytest.raises(SettingsError, match=rf"^{option} does not apply: .*Leave it"):
        check({**base, name: value}, trains=trains)
    with pytest.warns(UnusedSettingsWarning, match=rf"^c.toml has .*: {name}\.$"):
        check(base, {name: value}, trains=trains)


@pytest.mark.parametrize(
    ("given", "trains"),
    [
        (FEATURES | {"train.unknown": "ignore", "train.threshold": 0.3}, True),
        (FEATURES | {"device": "cpu"}, True),
        (FEATURES | {"device": "cuda", "refit.solver": "bce"}, True),
        (FEATURES | {"train.validation_fraction": 0.3}, True),
        (IMAGES | {"train.max_epochs": 3, "image.size": 3, "device": "cuda"}, True),
        (IMAGES | {"train.batch_size": 3, "train.layers": "auto"}, False),
        (IMAGES | {"train.num_workers": 0, "image.size": 3}, False),
        (
            # unknown labels are held out too, by this share
            IMAGES | {"data.validation": Path("v"), "train.validation_fraction": 0.3},
            True,
        ),
    ],
)
def test_what_applies(given, trains):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(given, trains=trains)


def test_all_are_named_at_once():
    with pytest.raises(SettingsError, match=r"^--a and --b do not apply: so\. Leave"):
        refuse_given({"--a": 0.5, "--b": True, "--c": None}, "so")


@pytest.mark.parametrize("value", [0, False])
def test_0_is_a_value(value):
    with pytest.raises(SettingsError, match="--a does not apply"):
        refuse_given({"--a": value}, "so")


def test_every_option_of_a_setting_is_known_to_fit():
    """So that an option cannot be added without a thought of where it applies."""
    arguments = make_parser(["fit"]).parse_args(["fit"])
    assert {name for name in settings_given(arguments) if "." in name} == {
        *("data.labels", "data.format", "data.images", "data.features", "data.where"),
        *("data.group", "data.categories", "data.validation", "network.name"),
        *("network.weights", "network.head", "image.size", "refit.solver"),
        *("refit.objective", "train.max_epochs", "train.learning_rate"),
        *("train.unknown", "train.retrain", "train.rounds", "train.layers"),
    }
