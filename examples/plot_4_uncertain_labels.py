"""
Uncertain labels: which policy?
===============================

Tables like those of CheXpert have four states of a label: a report can mention a
finding as present, as absent or as uncertain, or not mention it. You have to choose
what uncertain means in ``y``, and the best choice differs between findings. This
program simulates reports, so that the truth behind an uncertain label is known.
"""

# %%
# Reports
# -------
# A present finding is mentioned more often than an absent one. Some mentions are
# uncertain: for "edema" mostly if it is present, for "nodule" mostly if it is absent,
# for the other two equally often in both cases.

import matplotlib.pyplot as plt
import numpy as np

from cftlearn import CFTClassifier
from cftlearn.datasets import LabelTable, make_partial_multilabel
from cftlearn.displays import LabelStateDisplay
from cftlearn.labels import LabelState
from cftlearn.metrics import partial_roc_auc_score

FINDINGS = ["edema", "effusion", "fracture", "nodule"]
HEDGED_IF_THERE = np.array([0.70, 0.35, 0.35, 0.05])
HEDGED_IF_NOT = np.array([0.05, 0.35, 0.35, 0.70])

rng = np.random.default_rng(0)
X, _, truth = make_partial_multilabel(
    6000, n_categories=4, n_features=40, known=1.0, random_state=0
)
train, test = slice(0, 3000), slice(3000, None)
is_there = truth[train] == 1
mentioned = rng.random(is_there.shape) < np.where(is_there, 0.25, 0.06)
hedged = rng.random(is_there.shape) < np.where(is_there, HEDGED_IF_THERE, HEDGED_IF_NOT)
states = np.where(is_there, LabelState.POSITIVE, LabelState.NEGATIVE)
states[mentioned & hedged] = LabelState.UNCERTAIN
states[~mentioned] = LabelState.BLANK
table = LabelTable(
    paths=np.array([f"study{i:04d}.jpg" for i in range(3000)], dtype=object),
    states=states.astype(np.uint8),
    categories=np.array(FINDINGS, dtype=object),
    info={},
)
print(table)
for line in table.summary():
    print(line)

# %%
# Seven cells of eight are blank, so the axis shows only the other part.

LabelStateDisplay.from_table(table)

# %%
# Three policies, and one per finding
# -----------------------------------
# The table keeps the four states. A policy turns them into ``y``. A dictionary has one
# policy per finding; uncertain labels of the other findings become unknown.

policies = {
    "unknown": "unknown",
    "positive": "positive",
    "negative": "negative",
    "by finding": {"edema": "positive", "nodule": "negative"},
}
scores = {}
for name, policy in policies.items():
    model = CFTClassifier(random_state=0)
    model.fit(X[train], table.labels(uncertain=policy))
    logits = model.decision_function(X[test])
    scores[name] = partial_roc_auc_score(truth[test], logits, average=None)
    print(f"{name:11s} {scores[name].round(3)}  mean {scores[name].mean():.3f}")

# %%
# What the policy changes
# -----------------------
# The scores are on 3,000 other samples whose true labels are known. In practice,
# compare policies on labels that are certain.

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
styles = zip(scores, ("o", "^", "v", "D"), strict=True)
colours = {
    "unknown": "#999999",
    "positive": "#0072B2",
    "negative": "#D55E00",
    "by finding": "#000000",
}
for shift, (name, marker) in zip(np.linspace(-0.24, 0.24, 4), styles, strict=True):
    label = f"uncertain is {name}" if name != "by finding" else "a policy by finding"
    position = np.arange(4) + shift
    axes.scatter(
        position, scores[name], marker=marker, color=colours[name], label=label
    )
axes.set_xticks(range(4), FINDINGS)
axes.set(ylabel="ROC AUC on other samples", title="Policy for uncertain labels")
axes.grid(axis="y", alpha=0.3)
axes.legend(loc="lower left", bbox_to_anchor=(1, 0))
plt.show()
