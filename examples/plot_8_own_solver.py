"""
Write your own objective and solver
===================================

An objective is a function of known labels and logits. A solver is a class with one
method: it gets the problem of one category and returns its weights. The fine-tuner
holds out labels, judges the refit, fits it again to all known labels, and writes the
report.
"""

# %%
# An objective: F1 of the decisions themselves
# --------------------------------------------
# The fine-tuner calls the function with the known labels and the logits of one
# category. A higher value is better. F1 depends on the sign of each logit, so it
# depends on the bias. AUC and other ranking metrics do not. The genetic algorithm
# maximises F1 directly.

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
    """Compute F1 where a logit above 0 is a positive prediction."""
    decided = y_score > 0
    return 2 * np.sum(decided & (y_true == 1)) / (np.sum(decided) + np.sum(y_true == 1))


# %%
# A solver: linear discriminant analysis
# --------------------------------------
# The solver stores its parameters and nothing else. ``problem.train`` has the known
# rows that it may fit. A closed form has no iterations to choose from, so the solver
# does not use ``problem.validation``. The fine-tuner compares the new weights with the
# initial ones on held-out labels, and takes the better ones.


class DiscriminantSolver(CategorySolver):
    """Refit one category by linear discriminant analysis with a ridge.

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
# Use both
# --------
# The categories are six properties of scanned digits, and one label in ten is known.
# Stage one treats the others as negative, so its weights hardly ever predict positive.
# All refits correct that. Which one is best depends on the data. The default is hard to
# beat.

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
after = {
    name: tuner.fit(scans[train], y[train]).transform(scans[test])
    for name, tuner in solvers.items()
}
first = solvers["the default"]
before = first.transform(scans[test], initial=True)
scores = {
    name: (
        np.mean([f1_of_decisions(truth[test, j], logits[:, j]) for j in range(6)]),
        partial_roc_auc_score(truth[test], logits),
    )
    for name, logits in {"before": before, **after}.items()
}
for name, (f1, auc) in scores.items():
    print(f"{name:23s} F1 {f1:.3f}, AUC {auc:.3f}")

# %%
# The report has the same columns for this solver as for any other.

line = solvers["discriminant"].report_[0]
print({key: line[key] for key in ("category", "status", "solver", "reason")})

figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
height = np.arange(len(scores))[::-1]
f1, auc = zip(*scores.values(), strict=True)
axes.scatter(f1, height, color="#0072B2", label="F1 at 0.5")
axes.scatter(auc, height, color="#D55E00", marker="^", label="ROC AUC")
axes.set_yticks(height, list(scores))
axes.set(xlabel="mean over six properties, test scans", ylim=(-0.5, len(scores) - 0.5))
axes.grid(axis="x", alpha=0.3)
axes.legend()
plt.show()
