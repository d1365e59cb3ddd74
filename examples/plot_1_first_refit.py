"""
A first refit
=============

The categories are six yes-or-no properties of scanned digits. One label in twenty is
known. A usual training treats the others as negative. Category-wise fine-tuning
refits every category on its known labels.
"""

# %%
# The labels
# ----------
# scikit-learn has 1,797 scans of 8 x 8 pixels. "Even" or "has a loop" is a property of
# a scan, and a scan may have several properties.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from cftlearn import CFTClassifier
from cftlearn.displays import CategoryScoreDisplay
from cftlearn.labels import hide_labels
from cftlearn.model_selection import partial_train_test_split

PROPERTIES = {
    "even": [0, 2, 4, 6, 8],
    "prime": [2, 3, 5, 7],
    "above four": [5, 6, 7, 8, 9],
    "has a loop": [0, 6, 8, 9],
    "straight strokes": [1, 4, 7],
    "power of two": [1, 2, 4, 8],
}
scans, digits = load_digits(return_X_y=True)
truth = np.column_stack([np.isin(digits, members) for members in PROPERTIES.values()])
truth = truth.astype(float)
y = hide_labels(truth, known=0.05, random_state=0)
print(f"{np.mean(~np.isnan(y)):.1%} of the labels are known")

# %%
# The refit
# ---------
# Pass ``y`` with its NaN to ``fit``. The test scans keep all their labels.

X_train, X_test, y_train, _, _, truth_test = partial_train_test_split(
    scans, y, truth, test_size=0.4, random_state=0
)
model = CFTClassifier(random_state=0).fit(X_train, y_train)
for line, name in zip(model.report_, PROPERTIES, strict=True):
    counts = f"{line['n_positive']:3d} positive, {line['n_negative']:3d} negative"
    print(f"{name:17s} {counts}: {line['status']}, weight {line['weight']:.2f}")

# %%
# Before and after
# ----------------
# ``initial=True`` computes logits by the initial weights, from stage one. The scores
# are on test scans that no fit has used.

before = model.decision_function(X_test, initial=True)
after = model.decision_function(X_test)
display = CategoryScoreDisplay.from_predictions(
    truth_test, before, after, categories=list(PROPERTIES)
)
display.ax_.set_title("One label in twenty known, test scans")
display.ax_.legend(loc="lower left", bbox_to_anchor=(0, 1.1), ncols=2)
plt.show()
