"""
An objective and a solver of one's own
======================================

An objective is a function of known labels and logits. A solver is a class with one
method that gets one category's problem and gives a row back; holding out, judging,
refitting and reporting are done for it.
"""

# %%
# An objective: sensitivity where few alarms are false
# ----------------------------------------------------
# Called with known labels and logits of one category, better when higher. It depends on
# a cut, not on all ranks, which no loss does; the genetic algorithm maximises it as it
# is.

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


def sensitivity_at_90(y_true, y_score):
    """Share of positives above nine in ten negatives."""
    cut = np.quantile(y_score[y_true == 0], 0.9)
    return np.mean(y_score[y_true == 1] > cut)


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
# Is a scanned digit a zero, a one, ...? Ten categories, a tenth of the labels known.

scans, digits = load_digits(return_X_y=True)
truth = (digits[:, np.newaxis] == np.arange(10)).astype(float)
y = hide_labels(truth, known=0.1, random_state=0)
train, test = np.arange(1000), np.arange(1000, len(scans))
solvers = {
    "the default": CategoryWiseFineTuner(random_state=0),
    "discriminant": CategoryWiseFineTuner(DiscriminantSolver(), random_state=0),
    "genetic, own objective": CategoryWiseFineTuner(
        GeneticSolver(n_generations=60),
        objective=sensitivity_at_90,
        random_state=0,
    ),
}
rows = {}
for name, tuner in solvers.items():
    logits = tuner.fit(scans[train], y[train]).transform(scans[test])
    rows[name] = logits
rows = {"before": scans[test] @ tuner.coef_init_.T, **rows}
scores = {
    name: (
        np.mean([sensitivity_at_90(truth[test, j], part[:, j]) for j in range(10)]),
        partial_roc_auc_score(truth[test], part),
    )
    for name, part in rows.items()
}
for name, (sensitivity, auc) in scores.items():
    print(f"{name:23s} sensitivity {sensitivity:.3f}, AUC {auc:.3f}")

# %%
# The discriminant's line in the report is like any other solver's.

line = solvers["discriminant"].report_[8]
print({key: line[key] for key in ("category", "status", "solver", "reason")})

figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
place = np.arange(len(scores))[::-1]
axes.scatter(
    [s for s, _ in scores.values()], place, color="#0072B2", label="sensitivity"
)
axes.scatter(
    [a for _, a in scores.values()], place, color="#D55E00", marker="^", label="ROC AUC"
)
axes.set_yticks(place, list(scores))
axes.set(xlabel="mean over ten digits, test scans", ylim=(-0.5, len(scores) - 0.5))
axes.grid(axis="x", alpha=0.3)
axes.legend()
plt.show()
