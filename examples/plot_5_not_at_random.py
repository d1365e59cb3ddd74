"""
When labels are not missing at random
=====================================

Reports mention mostly what is present. Then scores on known labels describe the samples
that reports mention, not all samples. This program compares both, because here the
truth is known.
"""

# %%
# Two ways to hide labels
# -----------------------
# The same labels are hidden at random, and as in reports: positives stay known more
# often, and some categories are known more often than others.

import matplotlib.pyplot as plt
import numpy as np

from cftlearn import CFTClassifier
from cftlearn.datasets import make_partial_multilabel
from cftlearn.labels import hide_labels
from cftlearn.metrics import partial_log_loss, partial_roc_auc_score

N_CATEGORIES = 12
X, _, truth = make_partial_multilabel(
    8000, n_categories=N_CATEGORIES, n_features=30, known=1.0, random_state=0
)
train, test = slice(0, 4000), slice(4000, None)
results = {}
for scheme in ("uniform", "report_like"):
    y = hide_labels(truth, known=0.2, scheme=scheme, random_state=0)
    model = CFTClassifier(random_state=0).fit(X[train], y[train])
    proba = model.predict_proba(X[test])
    results[scheme] = {
        "positive": np.nanmean(y[test], axis=0),
        "predicted": proba.mean(axis=0),
        "auc": [
            partial_roc_auc_score(labels, proba, average=None)
            for labels in (y[test], truth[test])
        ],
        "loss": [
            partial_log_loss(labels, proba, average=None)
            for labels in (y[test], truth[test])
        ],
    }
    for metric in ("auc", "loss"):
        known, everything = (np.mean(part) for part in results[scheme][metric])
        print(
            f"{scheme:12s} {metric:4s} {known:.3f} known, {everything:.3f} all labels"
        )

# %%
# Scores on known labels and on all labels
# ----------------------------------------
# If labels are hidden at random, a score on known labels is an honest estimate,
# although a noisy one. If they are hidden as in reports, the order of the samples is
# still right, so the AUC stays near the diagonal. The log loss does not stay near it,
# because known labels are mostly positive. A category that kept its initial weights
# predicts how often a positive is *known*. That is less often than it is present.

STYLES = {"uniform": ("#0072B2", "o"), "report_like": ("#D55E00", "^")}
figure, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
for scheme, (colour, marker) in STYLES.items():
    result = results[scheme]
    look = {"color": colour, "marker": marker, "label": scheme.replace("_", "-")}
    axes[0].scatter(*result["auc"], **look)
    axes[1].scatter(*result["loss"], **look)
    axes[2].scatter(result["positive"], result["predicted"], **look)
for ax, title in zip(axes[:2], ("ROC AUC", "Log loss"), strict=True):
    low, high = (
        min(ax.get_xlim()[0], ax.get_ylim()[0]),
        max(ax.get_xlim()[1], ax.get_ylim()[1]),
    )
    ax.plot([low, high], [low, high], color="#999999", lw=1, zorder=0)
    ax.set(xlabel="over known labels", ylabel="over all labels", title=title)
axes[2].axhline(truth[test].mean(), color="#999999", lw=1, zorder=0)
axes[2].annotate("in truth", (0.98, truth[test].mean()), ha="right", va="bottom")
axes[2].set(xlim=(0, 1), ylim=(0, 1), title="Share of positives")
axes[2].set(xlabel="among known labels", ylabel="predicted, on average")
axes[0].legend()
plt.show()
