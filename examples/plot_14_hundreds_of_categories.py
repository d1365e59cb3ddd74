"""
Hundreds of categories
======================

Three hundred categories have no room for a row each. The same displays then draw
silhouettes and points, and name the ones to look at first.
"""

# %%
# What is known
# -------------
# Labels are hidden as reports do it: some categories are hardly ever mentioned, and
# positives rather than negatives. A twentieth of the labels remains.

import matplotlib.pyplot as plt
import numpy as np

from cftlearn import CFTClassifier
from cftlearn.datasets import make_partial_multilabel
from cftlearn.displays import (
    CategoryScoreDisplay,
    LabelCoverageDisplay,
    ReliabilityDisplay,
    ThresholdDisplay,
)

X, y, truth = make_partial_multilabel(
    3000,
    n_categories=300,
    n_features=20,
    known=0.05,
    scheme="report_like",
    prevalence=0.15,
    random_state=0,
)
names = [f"tag {j:03d}" for j in range(300)]
train, test = slice(0, 1500), slice(1500, None)
LabelCoverageDisplay.from_labels(y[train], categories=names)

# %%
# What the refit changed
# ----------------------
# A point above the line is a category that ranks other samples better than before; on
# the line its trained row was kept.

model = CFTClassifier(random_state=0).fit(X[train], y[train])
display = CategoryScoreDisplay.from_estimator(model, X[test], truth[test])
display.ax_.set_title("Truth of other samples")

# %%
# A notebook shows the report below the estimator, folded where it is long.

model  # noqa: B018

# %%
# What a probability means
# ------------------------
# Among known labels those of refitted rows are about right; on the left are rows that
# were kept, whose training called unknown labels negative. Among all labels, where
# positives are rarer than among the known, most are far too high. No known label can
# tell: it takes some rows that are labelled in full.

figure, axes = plt.subplots(1, 2, figsize=(10, 5), layout="constrained")
known = np.where(np.isnan(y[test]), np.nan, truth[test])
titles = {"Known labels, other samples": known, "All labels of them": truth[test]}
for ax, (title, labels) in zip(axes, titles.items(), strict=True):
    ReliabilityDisplay.from_estimator(model, X[test], labels, ax=ax)
    ax.set_title(title)

# %%
# One threshold
# -------------
# Of the category with the most known positives, on all labels of the other samples: 0.5
# finds most of them, and is right about one in four.

most = np.argmax([line["n_positive"] for line in model.report_])
ThresholdDisplay.from_estimator(model, X[test], truth[test], category=str(most))
plt.show()
