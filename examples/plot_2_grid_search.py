"""
In a Pipeline, in a grid search
===============================

scikit-learn's searches work with unknown labels if you pass a splitter and a scorer
that accept them. This search chooses the features for a refit: the number of landmarks
of a kernel approximation, and the width of the kernel.
"""

# %%
# The problem
# -----------
# The categories are properties of scanned digits. One label in five is known.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.kernel_approximation import Nystroem
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cftlearn import CFTClassifier
from cftlearn.labels import hide_labels
from cftlearn.metrics import partial_roc_auc_score, partial_roc_auc_scorer
from cftlearn.model_selection import PartialLabelKFold, partial_train_test_split

scans, digits = load_digits(return_X_y=True)
truth = np.column_stack(
    [digits % 2 == 0, np.isin(digits, [2, 3, 5, 7]), np.isin(digits, [0, 6, 8, 9])]
).astype(float)
y = hide_labels(truth, known=0.2, random_state=0)
X_train, X_test, y_train, _, _, truth_test = partial_train_test_split(
    scans, y, truth, test_size=0.3, random_state=0
)

# %%
# The search
# ----------
# ``cv=5`` and ``scoring="roc_auc"`` would fail because of the NaN in ``y``.
# ``PartialLabelKFold`` gives every fold about the same number of known positives and of
# known negatives.

pipeline = make_pipeline(
    StandardScaler(), Nystroem(random_state=0), CFTClassifier(random_state=0)
)
grid = {
    "nystroem__n_components": [30, 100, 200],
    "nystroem__gamma": [0.003, 0.01, 0.03, 0.1],
}
search = GridSearchCV(
    pipeline, grid, cv=PartialLabelKFold(3), scoring=partial_roc_auc_scorer
)
search.fit(X_train, y_train)
print("best:", search.best_params_)
print(f"AUC of the known labels, out of fold  {search.best_score_:.3f}")
score = partial_roc_auc_score(truth_test, search.decision_function(X_test))
print(f"AUC of all labels of the test scans   {score:.3f}")

# %%
# All scores of the search
# ------------------------
# Every cell is the mean over three folds, scored on known labels only.

shape = len(grid["nystroem__gamma"]), len(grid["nystroem__n_components"])
scores = search.cv_results_["mean_test_score"].reshape(shape)
figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
image = axes.imshow(scores, cmap="cividis")
for (i, j), value in np.ndenumerate(scores):
    is_dark = value < (scores.min() + scores.max()) / 2
    colour = "white" if is_dark else "black"
    axes.text(j, i, f"{value:.3f}", ha="center", va="center", color=colour)
axes.set_xticks(range(shape[1]), grid["nystroem__n_components"])
axes.set_yticks(range(shape[0]), grid["nystroem__gamma"])
axes.set(xlabel="landmarks", ylabel="gamma of the kernel")
figure.colorbar(image, label="out-of-fold AUC of known labels")
plt.show()
