"""Settings that are parameters: which there are, and the estimators' rules."""

import re
from pathlib import Path

import pytest

from cftlearn import CategoryWiseFineTuner, CFTClassifier
from cftlearn.cli._parameters import (
    CLASSIFIER_PARAMETERS,
    PARAMETERS,
    check_parameter,
    words_of,
)
from cftlearn.cli._settings import SettingsError
from cftlearn.ensemble import merge_views
from cftlearn.images import ImageTransform
from cftlearn.training import NetworkTrainer


def names_in(section):
    return {
        name.removeprefix(f"{section}.")
        for name in PARAMETERS
        if name.startswith(f"{section}.")
    }


def test_the_parameters_are_those_of_the_estimators():
    trainer = set(NetworkTrainer().get_params()) - {"fabric"}
    assert names_in("train") == trainer | set(CLASSIFIER_PARAMETERS)
    not_in_files = {"coef_init", "intercept_init", "n_jobs", "random_state", "verbose"}
    not_in_files |= {"validation_fraction"}  # the classifier holds labels out itself
    tuner = set(CategoryWiseFineTuner().get_params())
    assert not_in_files < tuner
    assert names_in("refit") == tuner - not_in_files
    assert names_in("image") == set(ImageTransform().get_params())
    assert set(CLASSIFIER_PARAMETERS) < set(CFTClassifier().get_params())


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("train.max_epochs", [1, 20]),
        ("train.learning_rate", [1, 1e-4]),
        ("train.amp", [True, False]),
        ("train.unknown", ["auto", "hill"]),
        ("train.retrain", [True, False, "average"]),
        ("train.rounds", [1, 3]),
        ("train.layers", ["auto", ["layer2", "layer3"], [""]]),
        ("train.threshold", [0.5, [0.2, 0.7]]),
        ("train.pos_weight", ["balanced", [1.0, 2.0], None]),
        ("train.checkpoint", [Path("x"), "x"]),
        ("train.augment", ["a:b", 3]),  # whoever imports it checks it
        ("image.size", [0]),  # the transform checks it
        ("refit.solver", ["auto", "ga", ["ga", "bce"]]),
        ("refit.cross_fit", [5, None]),
    ],
)
def test_what_is_accepted(name, values):
    for value in values:
        check_parameter(name, value, "c.toml")


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("train.max_epochs", "two", r"an int in the range \[1, inf\)"),
        ("train.max_epochs", True, "an int in the range .*"),
        ("train.max_epochs", 1.5, "an int in the range .*"),
        ("train.learning_rate", 0, r"a float in the range \(0.0, inf\)"),
        ("train.amp", "yes", "true or false"),
        ("train.amp", 1, "true or false"),
        ("train.loss", "bcee", "'asl', 'bce', 'focal', 'spa'"),
        ("train.unknown", "ignored", "'auto', 'entropy', .*'weak_negative'"),
        ("train.retrain", "mean", "'average' or true or false"),
        ("train.retrain", 2, "'average' or true or false"),
        ("train.rounds", 0, r"an int in the range \[1, inf\)"),
        ("train.layers", "layer3", "'auto' or a list of names"),
        ("train.layers", ["layer3", 2], "'auto' or a list of names"),
        ("train.layers", {"layer3": 1}, "'auto' or a list of names"),
        ("train.layers", True, "'auto' or a list of names"),
        ("train.pos_weight", "auto", "'balanced' or a list"),
        ("train.checkpoint", 3, "text"),
        ("train.threshold", "high", r"a float in the range \[0.0, 1.0\] or a list"),
        ("refit.solver", ["ga", "gda"], ".*'proximal', 'spa' or a list of these"),
        ("refit.objective", "auc", "'average_precision', 'roc_auc'"),
    ],
)
def test_what_is_refused(name, value, rule):
    end = re.escape(f"got {value!r} in c.toml.")
    with pytest.raises(SettingsError, match=rf"^`{name}` must be .*{rule}; {end}$"):
        check_parameter(name, value, "c.toml")


def test_words():
    assert words_of(CategoryWiseFineTuner, "objective") == [
        "average_precision",
        "roc_auc",
    ]
    assert {"auto", "ga", "bce"} < set(words_of(CategoryWiseFineTuner, "solver"))
    assert words_of(merge_views, "how") == ["max", "mean"]
    assert words_of(CategoryWiseFineTuner, "refit") == []
