"""
Is an ensemble better than its members?
=======================================

An ensemble averages three models. Then 1,000 test rows are used to compute an interval
for every score, and an interval for the difference of two models on the same rows.
"""

# %%
# Members
# -------
# The first two members use different solvers. The third one ignores unknown labels in
# stage one. One label in ten is known.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from cftlearn import CategoryWiseFineTuner, CFTClassifier, CFTEnsemble
from cftlearn.datasets import make_partial_multilabel
from cftlearn.metrics import bootstrap_intervals, compare_scores

X, y, y_full = make_partial_multilabel(
    3000, n_categories=6, n_features=30, known=0.1, random_state=3
)
X_train, y_train, X_test, y_test = X[:2000], y[:2000], X[2000:], y_full[2000:]
members = [
    ("auto", CFTClassifier()),
    ("gradient", CFTClassifier(fine_tuner=CategoryWiseFineTuner("asl"))),
    ("ignore", CFTClassifier(unknown="ignore")),
]
model = CFTEnsemble(members, combine="logit_mean", random_state=0)
model.fit(X_train, y_train)

# %%
# All members are linear in the same features. So the mean of their logits is linear
# too: one weight vector per category, as small and as fast as one member.

coef, intercept = model.linear_rows()
print(coef.shape, intercept.shape)

# %%
# An interval for each score
# --------------------------
# The bootstrap draws test rows with replacement. If rows belong together, such as the
# images of a patient, pass ``groups`` to draw them together.

scores = {"ensemble": model.decision_function(X_test)}
for name, member in model.named_estimators_.items():
    scores[name] = member.decision_function(X_test)
intervals = {
    name: pd.DataFrame(bootstrap_intervals(y_test, values, random_state=0))
    for name, values in scores.items()
}
print(intervals["ensemble"].round(3).to_string())

# %%
# An interval for a difference
# ----------------------------
# Two models can differ although their intervals overlap, because a row that is hard for
# one is often hard for the other. So compute an interval of their difference, on the
# same rows. An average is not always better: here one weak member makes it worse than
# each of the two others. The difference is small, but its interval does not contain 0.

for name in list(scores)[1:]:
    mean = compare_scores(y_test, scores["ensemble"], scores[name], random_state=0)[-1]
    print(
        f"ensemble minus {name:8s} {mean['difference']:+.4f} "
        f"({mean['low']:+.4f} to {mean['high']:+.4f})"
    )

# %%
# Both in one figure
# ------------------

figure, axes = plt.subplots(
    1, 2, figsize=(9, 4), width_ratios=[3, 2], layout="constrained"
)
colours = ["#000000", "#0072B2", "#D55E00", "#009E73"]
shifts = np.linspace(-0.27, 0.27, len(scores))
for (name, table), colour, shift in zip(
    intervals.items(), colours, shifts, strict=True
):
    ends = abs(table[["low", "high"]].to_numpy().T - table["estimate"].to_numpy())
    height = np.arange(len(table)) + shift
    axes[0].errorbar(
        table["estimate"], height, xerr=ends, fmt="o", ms=4, color=colour, label=name
    )
axes[0].set_yticks(range(7), [*(f"category {c}" for c in range(6)), "mean"])
axes[0].invert_yaxis()
axes[0].set(xlabel="ROC AUC, 95 % intervals", title="Scores")
figure.legend(loc="outside lower center", ncols=4)
for row, (name, colour) in enumerate(zip(list(scores)[1:], colours[1:], strict=True)):
    mean = compare_scores(y_test, scores["ensemble"], scores[name], random_state=0)[-1]
    ends = [
        [mean["difference"] - mean["low"]],
        [mean["high"] - mean["difference"]],
    ]
    axes[1].errorbar(mean["difference"], row, xerr=ends, fmt="o", color=colour)
axes[1].axvline(0, color="#999999")
axes[1].set_yticks(range(3), [f"minus {name}" for name in list(scores)[1:]])
axes[1].set(
    xlabel="difference of mean ROC AUC", title="Ensemble minus member", ylim=(2.5, -0.5)
)
plt.show()
