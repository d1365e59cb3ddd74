"""Write ``model_format_1``, and beside it what the model predicts.

Run it once per format number and keep the folders of older formats: the tests load
them. Their inputs are the features and the network below.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from torch import nn

from cftlearn import CategoryWiseFineTuner, CFTClassifier, save_model
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


def main() -> None:
    X = make_features()
    y = pd.DataFrame({"œdème": X["sin1"] > 0.3, "cyst": X["sin2"] > X["sin3"]})
    y = y.astype(float).mask((np.arange(120).reshape(60, 2) % 3) == 0)
    solvers = [GradientSolver(max_epochs=50), GeneticSolver(n_generations=20)]
    model = CFTClassifier(
        make_network,
        max_epochs=5,
        threshold=np.array([0.4, 0.6]),
        fine_tuner=CategoryWiseFineTuner(solvers, objective="average_precision"),
        random_state=0,
    ).fit(X, y)
    save_model(model, FOLDER / "model_format_1", overwrite=True)
    expected = {
        "decision_function": model.decision_function(X).tolist(),
        "predict": model.predict(X).tolist(),
    }
    text = json.dumps(expected, indent=None)
    (FOLDER / "model_format_1_predictions.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
