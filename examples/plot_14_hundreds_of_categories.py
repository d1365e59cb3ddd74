"""
Hundreds of categories
======================

A figure has no room for one line per category if there are three hundred of them. Then
the same displays draw outlines and points, and name the categories to look at first.
"""

# %%
# What is known
# -------------
# Labels are hidden as in reports: some categories are hardly ever mentioned, and
# positives are mentioned more often than negatives. One label in twenty is known.

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
# Each point is a category, scored on other samples. Above the line it ranks them better
# than before. On the line are categories that kept their initial weights.

model = CFTClassifier(random_state=0).fit(X[train], y[train])
display = CategoryScoreDisplay.from_estimator(model, X[test], truth[test])
display.ax_.set_title("Truth of other samples")

# %%
# A notebook shows the report below the estimator. A long report is folded.

model  # noqa: B018

# %%
# What a probability means
# ------------------------
# The left figure shows known labels. The probabilities of refitted categories are about
# right there. On its left side are categories that kept their initial weights, which
# were trained with unknown labels as negatives. The right figure shows all labels.
# Positives are rarer among all labels than among known ones, so most probabilities are
# far too high. Known labels cannot show this: you need some rows that are labelled in
# full.

figure, axes = plt.subplots(1, 2, figsize=(10, 5), layout="constrained")
known = np.where(np.isnan(y[test]), np.nan, truth[test])
titles = {"Known labels, other samples": known, "All labels of them": truth[test]}
for ax, (title, labels) in zip(axes, titles.items(), strict=True):
    ReliabilityDisplay.from_estimator(model, X[test], labels, ax=ax)
    ax.set_title(title)

# %%
# One threshold
# -------------
# This is the category with the most known positives, on all labels of the other
# samples. A threshold of 0.5 finds most of its positives, but only about one in four of
# the samples above it is positive.

most = np.argmax([line["n_positive"] for line in model.report_])
ThresholdDisplay.from_estimator(model, X[test], truth[test], category=str(most))
plt.show()
