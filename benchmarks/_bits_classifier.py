"""Cases of same_bits.py: the classifier on features."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from _bits import CASES, Results, case, of_model
from _bits_problems import features, frames, halves, signed_auc, without_negatives

from cftlearn import CategoryWiseFineTuner, CFTClassifier
from cftlearn.calibration import CategoryCalibrator, held_out_predictions
from cftlearn.labels import check_partial_labels

PROBLEMS = {
    "default": {},
    "few": {"n": 120, "known": 0.1},
    "report_like": {"n": 600, "d": 20, "c": 6, "known": 0.3, "scheme": "report_like"},
    "single_positive": {"n": 300, "known": None, "scheme": "single_positive"},
    "fixed_counts": {"known": 10, "scheme": "fixed_per_category"},
    "all_known": {"n": 150, "known": 1.0},
    "wide": {"n": 100, "d": 150},
    "one_category": {"c": 1},
    "many_rows": {"n": 5000, "d": 6, "c": 2, "known": 0.9},  # iterative paths: by rows
    "many_unknowns": {"n": 480, "d": 340, "c": 2, "known": 0.8},  # by both
}
PARAMETERS: dict[str, Any] = {
    "ignore": {"unknown": "ignore"},
    "thresholds": {"threshold": [0.2, 0.4, 0.5, 0.6, 0.8], "validation_fraction": 0.4},
    "two_jobs": {"n_jobs": 2},
    "sigmoid": {"calibration": "sigmoid"},
    "isotonic": {"calibration": CategoryCalibrator("isotonic", min_isotonic=3)},
    "prevalence": {"calibration": CategoryCalibrator(prevalence=0.1, shrinkage=0)},
    "cross_fit": {"fine_tuner": CategoryWiseFineTuner(cross_fit=3)},
    "cross_fit_calibrated": {
        "fine_tuner": CategoryWiseFineTuner(cross_fit=2, objective="average_precision"),
        "calibration": "sigmoid",
    },
    "average_precision": {
        "fine_tuner": CategoryWiseFineTuner(objective="average_precision")
    },
    "callable": {"fine_tuner": CategoryWiseFineTuner(objective=signed_auc)},
    "no_refit": {"fine_tuner": CategoryWiseFineTuner(refit=False)},
}


def fit(
    X: Any, y: Any, *, validation_data: Any = None, **parameters: Any
) -> CFTClassifier:
    """Fit a classifier on the CPU with a fixed seed."""
    model = CFTClassifier(**({"random_state": 0, "device": "cpu"} | parameters))
    return model.fit(X, y, validation_data=validation_data)


def results_of(model: CFTClassifier, X: Any) -> Results:
    """Add what was held out to what a model says."""
    return of_model(model, X) | {"held_out": held_out_predictions(model)}


def _fitted(problem: dict[str, Any], parameters: dict[str, Any], _: Path) -> Results:
    X, y = features(**problem)
    return results_of(fit(X, y, **parameters), X)


for _name, _problem in PROBLEMS.items():
    CASES[f"classifier.{_name}"] = partial(_fitted, _problem, {})
for _name, _parameters in PARAMETERS.items():
    CASES[f"classifier.{_name}"] = partial(_fitted, {}, _parameters)


@case("classifier.single_precision")
def single_precision(_: Path) -> Results:
    X, y = features()
    X = X.astype(np.float32)
    return results_of(fit(X, y), X)


@case("classifier.lacking_classes")
def lacking_classes(_: Path) -> Results:
    X, y = without_negatives()
    return results_of(fit(X, y, calibration="sigmoid"), X)


@case("classifier.frames")
def named(_: Path) -> Results:
    X, y = frames()
    model = fit(X, y)
    return results_of(model, X) | {"score": model.score(X, y)}


@case("classifier.encodings")
def encodings(_: Path) -> Results:
    X, y = features(120, 6, 3)
    integers = np.where(np.isnan(y), -1, y).astype(int)
    objects = np.where(np.isnan(y), None, y.astype(object))
    labels = check_partial_labels(y, categories=["a", "b", "c"])
    forms = {"integers": integers, "objects": objects, "labels": labels}
    return {name: fit(X, form).coef_ for name, form in forms.items()}


@case("classifier.binary")
def binary(_: Path) -> Results:
    X, y = features(150, 6, 1, known=1.0)
    words = np.where(y[:, 0] == 1.0, "yes", "no")
    signs = np.where(y[:, 0] == 1.0, 1, -1)
    return results_of(fit(X, words, calibration="sigmoid"), X) | {
        f"signs.{name}": value for name, value in of_model(fit(X, signs), X).items()
    }


@case("classifier.other_rows")
def other_rows(_: Path) -> Results:
    X, y = features(300)
    data = X[200:], y[200:]
    return results_of(fit(X[:200], y[:200], validation_data=data), X)


@case("classifier.same_rows")
def same_rows(_: Path) -> Results:
    X, y = features()
    fitted, held_out = halves(y)
    return results_of(fit(X, fitted, validation_data=(X.copy(), held_out)), X)


@case("classifier.to_torch")
def to_torch(_: Path) -> Results:
    import torch

    X, y = features()
    model = fit(X, y, calibration="sigmoid")
    rows = torch.from_numpy(X.astype(np.float32))
    return {
        str(calibrated): model.to_torch(calibrated=calibrated)(rows)
        for calibrated in (False, True)
    }
