"""
An objective and a solver of one's own
======================================

An objective is a function of known labels and logits. A solver is a class with one
method that gets one category's problem and gives a row back; holding out, judging,
refitting and reporting are done for it.
"""

# %%
# An objective: F1 of the decisions themselves
# --------------------------------------------
# Called with known labels and logits of one category, better when higher. It depends on
# where a logit changes its sign, which neither AUC nor any ranking does, so the bias
# matters; the genetic algorithm maximises it as it is.

from typing import ClassVar

import matplotlib.pyplot as plt
import numpy as np
from scipy.linalg import solve
from sklearn.datasets import load_digits

from cftlearn import CategoryWiseFineTuner
from cftlearn.base import CategorySolver, RowFit
from cftlearn.labels import hide_labels
from cftlearn.metrics import partial_roc_auc_score
from cftlearn.solvers import GeneticSolver


def f1_of_decisions(y_true, y_score):
    """F1 of calling logits above 0 positive."""
    decided = y_score > 0
    return 2 * np.sum(decided & (y_true == 1)) / (np.sum(decided) + np.sum(y_true == 1))


# %%
# A solver: linear discriminant analysis
# --------------------------------------
# It keeps its parameters and nothing else. ``problem.train`` has the known rows that
# may be fitted; a closed form has no iterations to choose among, so it does not look at
# ``problem.validation``. The fine-tuner compares its row with the trained one on labels
# that it did not see, and keeps the better.


class DiscriminantSolver(CategorySolver):
    """Refit a row by linear discriminant analysis with a ridge.

    Parameters
    ----------
    ridge : float, default=0.1
        Share of the mean variance that is added to every feature's, above 0.
    """

    _parameter_constraints: ClassVar = {}

    def __init__(self, *, ridge=0.1):
        self.ridge = ridge

    @property
    def name(self):
        """Short name for reports."""
        return "discriminant"

    def fit_row(self, problem):
        """Refit one category."""
        Z, y = problem.train
        means = Z[~y].mean(axis=0), Z[y].mean(axis=0)
        centred = Z - np.where(y[:, np.newaxis], means[1], means[0])
        covariance = centred.T @ centred / len(Z)
        covariance += (
            self.ridge
            * np.trace(covariance)
            / len(covariance)
            * np.eye(len(covariance))
        )
        coef = solve(covariance, means[1] - means[0], assume_a="pos")
        odds = np.log(y.mean() / (1 - y.mean()))
        intercept = odds - coef @ (means[0] + means[1]) / 2
        return RowFit(
            coef.astype(float),
            float(intercept),
            n_iter=1,
            n_iter_run=1,
            stopped_by="path",
            history=[{"iteration": 1, "ridge": self.ridge}],
        )


# %%
# Both at work
# ------------
# Six properties of scanned digits, one label in ten known. Stage one calls the others
# negative, so its rows hardly ever say yes. All refits mend that; which is best is a
# matter of the data, and the default is hard to beat.

scans, digits = load_digits(return_X_y=True)
PROPERTIES = {
    "even": [0, 2, 4, 6, 8],
    "prime": [2, 3, 5, 7],
    "above four": [5, 6, 7, 8, 9],
    "has a loop": [0, 6, 8, 9],
    "straight strokes": [1, 4, 7],
    "power of two": [1, 2, 4, 8],
}
truth = np.column_stack([np.isin(digits, members) for members in PROPERTIES.values()])
y = hide_labels(truth.astype(float), known=0.1, random_state=0)
train, test = np.arange(1000), np.arange(1000, len(scans))
solvers = {
    "the default": CategoryWiseFineTuner(random_state=0),
    "discriminant": CategoryWiseFineTuner(DiscriminantSolver(), random_state=0),
    "genetic, own objective": CategoryWiseFineTuner(
        GeneticSolver(n_generations=200),
        objective=f1_of_decisions,
        random_state=0,
    ),
}
rows = {}
for name, tuner in solvers.items():
    logits = tuner.fit(scans[train], y[train]).transform(scans[test])
    rows[name] = logits
before = scans[test] @ tuner.coef_init_.T + tuner.intercept_init_
rows = {"before": before, **rows}
scores = {
    name: (
        np.mean([f1_of_decisions(truth[test, j], part[:, j]) for j in range(6)]),
        partial_roc_auc_score(truth[test], part),
    )
    for name, part in rows.items()
}
for name, (f1, auc) in scores.items():
    print(f"{name:23s} F1 {f1:.3f}, AUC {auc:.3f}")

# %%
# The discriminant's line in the report is like any other solver's.

line = solvers["discriminant"].report_[0]
print({key: line[key] for key in ("category", "status", "solver", "reason")})

figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
place = np.arange(len(scores))[::-1]
axes.scatter([s for s, _ in scores.values()], place, color="#0072B2", label="F1 at 0.5")
axes.scatter(
    [a for _, a in scores.values()], place, color="#D55E00", marker="^", label="ROC AUC"
)
axes.set_yticks(place, list(scores))
axes.set(xlabel="mean over six properties, test scans", ylim=(-0.5, len(scores) - 0.5))
axes.grid(axis="x", alpha=0.3)
axes.legend()
plt.show()
