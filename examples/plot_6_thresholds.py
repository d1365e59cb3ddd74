"""
Thresholds
==========

Which threshold should turn a probability into a decision? If labels are missing at
random, choose it by out-of-fold probabilities of the known labels. If they are not, a
small sample that is labelled in full gives a better threshold.
"""

# %%
# Out-of-fold predictions
# -----------------------
# Every training row is predicted by a model that was fitted without it. The first
# function computes the F1 score on known labels for every threshold.

import matplotlib.pyplot as plt
import numpy as np

from cftlearn import CFTClassifier
from cftlearn.datasets import make_partial_multilabel
from cftlearn.metrics import partial_f1_score
from cftlearn.model_selection import cross_val_predict

GRID = np.linspace(0.05, 0.95, 37)


def f1_by_threshold(labels, proba):
    """Return the F1 score of every threshold and category."""
    return np.array(
        [
            partial_f1_score(labels, (proba >= cut).astype(int), average=None)
            for cut in GRID
        ]
    )


def example(scheme):
    """Return labels and probabilities, out of fold and of the test rows."""
    X, y, truth = make_partial_multilabel(
        5000, known=0.2, scheme=scheme, prevalence=0.15, random_state=3
    )
    model = CFTClassifier(random_state=0)
    proba = cross_val_predict(model, X[:2500], y[:2500], cv=4)
    return (
        (y[:2500], proba),
        (truth[2500:], model.fit(X[:2500], y[:2500]).predict_proba(X[2500:])),
    )


# %%
# Two problems
# ------------
# One problem hides labels at random, the other one as in reports. Thresholds are also
# chosen on a sample of 200 test rows that is labelled in full. The scores are on the
# other test rows.

figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained", sharey=True)
titles = {"uniform": "hidden at random", "report_like": "hidden as in reports"}
for ax, (scheme, title) in zip(axes, titles.items(), strict=True):
    (y_train, proba_train), (truth, proba) = example(scheme)
    known = f1_by_threshold(y_train, proba_train)
    sample = f1_by_threshold(truth[:200], proba[:200])
    rest = f1_by_threshold(truth[200:], proba[200:])
    best = {
        "0.5 for all": np.full(5, np.abs(GRID - 0.5).argmin()),
        "out of fold, known labels": known.argmax(axis=0),
        "200 rows labelled in full": sample.argmax(axis=0),
    }
    for name, at in best.items():
        print(f"{title:21s} {name:26s} F1 {rest[at, range(5)].mean():.3f}")
    ax.plot(GRID, known.mean(axis=1), ":", color="#D55E00", label="known labels")
    ax.plot(GRID, rest.mean(axis=1), color="#0072B2", label="all labels, other rows")
    for j, at in enumerate(best["out of fold, known labels"]):
        label = "chosen out of fold" if j == 0 else None
        ax.scatter(
            GRID[at], rest[at, j], marker="v", color="#D55E00", label=label, zorder=3
        )
    for j, at in enumerate(best["200 rows labelled in full"]):
        label = "chosen on 200 rows" if j == 0 else None
        ax.scatter(
            GRID[at], rest[at, j], marker="o", color="#0072B2", label=label, zorder=3
        )
    ax.set(xlabel="threshold", title=f"Labels {title}")
axes[0].set_ylabel("F1, mean (lines) and per category")
axes[0].legend(loc="lower left")
plt.show()
