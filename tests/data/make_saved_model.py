"""Write ``model_format_2``, a model of each kind, and beside it what they predict.

Run it once per format number and keep the folders of older formats: the tests load
them. Their inputs are the features and the network below. ``model_format_1`` was
written by an earlier version of this script.
"""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from torch import nn

from cftlearn import CategoryWiseFineTuner, CFTClassifier, CFTEnsemble, save_model
from cftlearn.calibration import CategoryCalibrator
from cftlearn.solvers import GeneticSolver, GradientSolver

FOLDER = Path(__file__).parent


def make_features() -> pd.DataFrame:
    """Make 60 rows of four features without any random number."""
    rows = np.arange(60)[:, np.newaxis]
    return pd.DataFrame(
        np.sin(rows * [1.0, 2.3, 3.1, 4.7]), columns=["sin1", "sin2", "sin3", "sin5"]
    )


def make_network() -> nn.Module:
    """Make the network whose weights are in the folder."""
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))


def make_models(X: pd.DataFrame) -> dict[str, Any]:
    """Fit one model of each kind."""
    y = pd.DataFrame({"œdème": X["sin1"] > 0.3, "cyst": X["sin2"] > X["sin3"]})
    y = y.astype(float).mask((np.arange(120).reshape(60, 2) % 3) == 0)
    solvers = [GradientSolver(max_epochs=50), GeneticSolver(n_generations=20)]
    tuner = CategoryWiseFineTuner(solvers, objective="average_precision")
    plain = CFTClassifier(
        fine_tuner=tuner,
        threshold=np.array([0.4, 0.6]),
        calibration=CategoryCalibrator("isotonic", min_isotonic=1),
        random_state=0,
    )
    network = CFTClassifier(make_network, fine_tuner=tuner, random_state=0)
    members = [("plain", plain), ("network", network), ("zweites Modell", clone(tuner))]
    binary = CFTClassifier(fine_tuner=tuner, random_state=0, calibration="sigmoid")
    return {
        "fine_tuner": clone(tuner).fit(X, y),
        "features": plain.fit(X, y),
        "two_classes": binary.fit(X, np.where(X["sin1"] > 0.3, "oui", "non")),
        "network": CFTClassifier(
            make_network, fine_tuner=tuner, max_epochs=5, retrain=False, random_state=0
        ).fit(X, y),
        "joined": network.set_params(max_epochs=5).fit(X, y),
        "ensemble": CFTEnsemble(members, combine="rank_mean", random_state=0).fit(X, y),
    }


def predict(model: Any, X: pd.DataFrame) -> dict[str, Any]:
    """Return what a model predicts, by the name of the method."""
    found = {}
    for method in ("transform", "decision_function", "predict_proba", "predict"):
        if hasattr(model, method):
            found[method] = getattr(model, method)(X).tolist()
    return found


def main(folder: Path) -> None:
    X = make_features()
    expected = {}
    for name, model in make_models(X).items():
        save_model(model, folder / "model_format_2" / name, overwrite=True)
        expected[name] = predict(model, X)
    text = json.dumps(expected)
    (folder / "model_format_2_predictions.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # of categories without a class
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
