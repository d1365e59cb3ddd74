"""
The MS-COCO protocol on a small example
=======================================

On MS-COCO, methods for partial labels are compared like this: all labels are known, and
most training labels are hidden. The test set keeps all its labels. This program does
the same with a file in the format of MS-COCO. Simulated features replace the images and
the network.
"""

# %%
# A file like MS-COCO's
# ---------------------
# The file lists images, categories and annotations. The ids of the categories have
# gaps. A category is positive if it is annotated, and negative if it is not.

import json
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from cftlearn import CategoryWiseFineTuner, CFTClassifier
from cftlearn.datasets import load_coco, make_partial_multilabel
from cftlearn.labels import hide_labels
from cftlearn.metrics import partial_average_precision_score

NAMES = [
    "person",
    "bicycle",
    "car",
    "bus",
    "train",
    "boat",
    "dog",
    "horse",
    "chair",
    "couch",
]
IDS = [1, 2, 3, 6, 7, 9, 18, 19, 62, 63]

X, _, truth = make_partial_multilabel(
    5000, n_categories=10, n_features=60, known=1.0, random_state=0
)
images = [{"id": i, "file_name": f"train2014/{i:012}.jpg"} for i in range(len(X))]
annotations = [
    {"id": n, "image_id": int(i), "category_id": IDS[c], "iscrowd": 0}
    for n, (i, c) in enumerate(np.argwhere(truth == 1))
]
categories = [{"id": i, "name": name} for i, name in zip(IDS, NAMES, strict=True)]
path = Path(tempfile.mkdtemp()) / "instances_train2014.json"
document = {"images": images, "categories": categories, "annotations": annotations}
path.write_text(json.dumps(document))

# %%
# Hide labels and refit
# ---------------------
# The table has the names of the categories instead of their ids. Every label is known.
# ``hide_labels`` keeps each label with probability ``known``.

table = load_coco(path)
print(table)
train, test = np.arange(3000), np.arange(3000, 5000)
y_test = table.take(test).labels()
assumed, refitted, shares = [], [], [0.1, 0.3, 0.5, 0.9]
for known in shares:
    y = hide_labels(table.take(train).labels(), known=known, random_state=0)
    tuner = CategoryWiseFineTuner(objective="average_precision")
    model = CFTClassifier(fine_tuner=tuner, random_state=0).fit(X[train], y)
    start = model.decision_function(X[test], initial=True)
    assumed.append(partial_average_precision_score(y_test, start))
    refitted.append(
        partial_average_precision_score(y_test, model.decision_function(X[test]))
    )
    print(f"{known:.0%} known: mAP {assumed[-1]:.3f} before, {refitted[-1]:.3f} after")

# %%
# Scores by the share of known labels
# -----------------------------------
# No choice uses the test rows. The published tables differ: there the validation images
# choose the epoch and the refits, and the scores are reported on the same images.

figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
ax.plot(shares, assumed, "o--", color="#D55E00", label="unknown as negative")
ax.plot(shares, refitted, "o-", color="#0072B2", label="refitted")
ax.set(
    xlabel="share of known training labels",
    ylabel="mean average precision",
    title="2,000 other rows, all labels known",
    xticks=shares,
)
ax.grid(alpha=0.3)
ax.legend()
plt.show()
