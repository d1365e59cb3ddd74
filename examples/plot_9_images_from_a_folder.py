"""
Images in a folder, labels in a CSV
===================================

The input is a folder of images and a CSV with some of their labels. The output is a
refitted network, a report and a table of predictions. The images are panels of scanned
digits. The program first writes them into a temporary folder.
"""

# %%
# The files
# ---------
# Each panel shows three of the ten digits. It has ten labels, one per digit. A fifth of
# the labels are written into the CSV; the others are blank.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from PIL import Image
from torch import nn

from cftlearn import CFTClassifier
from cftlearn.datasets import load_digit_panels, load_label_csv
from cftlearn.images import ImageTransform, read_image
from cftlearn.labels import hide_labels
from cftlearn.metrics import partial_average_precision_score

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def write_images(panels, folder):
    """Write panels as PNG files and return their names."""
    folder.mkdir()
    names = [f"{row:04}.png" for row in range(len(panels))]
    for name, panel in zip(names, panels, strict=True):
        grey = (255 * panel[0]).clip(0, 255).astype(np.uint8)
        Image.fromarray(grey).save(folder / name)
    return names


folder = Path(tempfile.mkdtemp())
panels = load_digit_panels(n_samples=1200, noise=0.15, random_state=0)
labels = pd.DataFrame(
    hide_labels(panels.target, known=0.2, random_state=0),
    columns=NAMES,
    index=pd.Index(write_images(panels.images, folder / "photos"), name="file"),
).astype("Int8")
labels.to_csv(folder / "labels.csv")
print((folder / "labels.csv").read_text()[:160])

# %%
# Read the files
# --------------
# The loader finds the column of files and the columns of labels. ``X`` is a list of
# paths: each image is read when it is needed.

table = load_label_csv(folder / "labels.csv")
print(table)
paths = [str(folder / "photos" / name) for name in table.paths]
y = pd.DataFrame(table.labels(), columns=table.categories)

# %%
# Train and refit
# ---------------
# ``fit`` trains the network, refits every category, and trains again on all labels.
# ``history_`` says what the first training estimated of unknown labels.
# ``ImageTransform`` turns an image into the input of the network, in training and in
# prediction.


def make_network():
    """Build a small convolutional network for panels of 8 x 24 pixels."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.AdaptiveMaxPool2d((1, 3)),
        nn.Flatten(),
        nn.Linear(192, 10),
    )


transform = ImageTransform((8, 24), mode="L", mean=0.2, std=0.3)
model = CFTClassifier(
    make_network, input_transform=transform, max_epochs=12, random_state=0
)
model.fit(paths, y)
report = pd.DataFrame(model.report_).set_index("category")
print(report[["n_positive", "n_negative", "status", "weight"]].round(2))
estimates = [row for row in model.history_ if "known_log_ratio" in row]
ratio = np.exp(estimates[-1]["known_log_ratio"])
print(f"positives are known {ratio:.1f} times as often as negatives")

# %%
# A table of predictions
# ----------------------
# The new files show other scans. All their labels are known here.

others = load_digit_panels("test", n_samples=300, noise=0.15, random_state=1)
names = write_images(others.images, folder / "new")
new = [str(folder / "new" / name) for name in names]
predictions = pd.DataFrame(
    model.predict_proba(new), columns=model.categories_, index=names
)
predictions.to_csv(folder / "predictions.csv")
print(predictions.head(3).round(2))
after = partial_average_precision_score(others.target, predictions.to_numpy())
print(f"mean average precision on new files {after:.2f}")

# %%
# Predictions for four files
# --------------------------

figure, axes = plt.subplots(
    2, 4, figsize=(8, 3.4), height_ratios=[1, 2], sharey="row", layout="constrained"
)
figure.suptitle("Four new files, and the probability of every digit")
for column, (name, truth) in enumerate(zip(names[:4], others.target, strict=False)):
    axes[0, column].imshow(read_image(folder / "new" / name), cmap="gray")
    axes[0, column].set_axis_off()
    colours = np.where(truth == 1, "#0072B2", "#BBBBBB")
    axes[1, column].bar(range(10), predictions.loc[name], color=colours)
    axes[1, column].set(ylim=(0, 1), xticks=range(10))
axes[1, 0].set_ylabel("probability\n(blue: it is there)")
plt.show()
