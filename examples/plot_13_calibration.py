"""
Calibration
===========

Are three in ten of the samples with a probability of 0.3 positive? The answer can
differ between the samples with a known label and all samples.
"""

# %%
# Two problems
# ------------
# In the first problem labels are hidden at random. In the second they are hidden as in
# reports: positives are written down more often. The classifier is calibrated on labels
# that were held out of its refits. One variant also uses the prevalence, the true share
# of positives, which is 15 % here.

import matplotlib.pyplot as plt
import numpy as np

from cftlearn import CFTClassifier
from cftlearn.calibration import CategoryCalibrator
from cftlearn.datasets import make_partial_multilabel
from cftlearn.metrics import partial_log_loss

WAYS = {
    "not calibrated": None,
    "calibrated": "sigmoid",
    "and shifted to 15 %": CategoryCalibrator(prevalence=0.15),
}


def shares_of_positives(truth, proba):
    """Return mean probability and share of positives of ten equal groups."""
    order = np.argsort(proba, axis=None)
    groups = np.array_split(order, 10)
    return np.array(
        [(proba.flat[group].mean(), truth.flat[group].mean()) for group in groups]
    ).T


# %%
# Among all samples
# -----------------
# All labels of the test rows are known. If training labels are missing at random,
# calibrated probabilities are right. If they are not, no method can find out from known
# labels alone how many samples are positive. Probabilities that are calibrated on such
# labels are far too high for all samples. With the true prevalence they are nearly
# right again. (In the second figure, the probabilities without calibration are nearly
# right too, but by chance: all five categories kept their initial weights, which were
# trained with unknown labels as negatives, and most positives are known there.)

figure, axes = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained", sharey=True)
titles = {"uniform": "hidden at random", "report_like": "hidden as in reports"}
for ax, (scheme, title) in zip(axes, titles.items(), strict=True):
    X, y, truth = make_partial_multilabel(
        6000, known=0.3, scheme=scheme, prevalence=0.15, random_state=3
    )
    ax.plot([0, 1], [0, 1], color="#999999", linewidth=1, zorder=0)
    for (name, calibration), color in zip(
        WAYS.items(), ("#999999", "#D55E00", "#0072B2"), strict=True
    ):
        model = CFTClassifier(calibration=calibration, random_state=0)
        proba = model.fit(X[:3000], y[:3000]).predict_proba(X[3000:])
        loss = partial_log_loss(truth[3000:], proba)
        print(f"{title:21s} {name:20s} log loss {loss:.3f}")
        ax.plot(
            *shares_of_positives(truth[3000:], proba), "o-", color=color, label=name
        )
    ax.set(xlabel="mean probability", title=f"Labels {title}", xlim=(0, 1), ylim=(0, 1))
axes[0].set_ylabel("share of positives")
axes[0].legend(loc="upper left")
plt.show()
