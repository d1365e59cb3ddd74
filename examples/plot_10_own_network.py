"""
Refit your own network and export it to ONNX
============================================

A ResNet-18 of torchvision is trained already. This program refits its last layer.
Labels on which the network was not trained choose the refits. Then it exports the
network to a file that ONNX Runtime runs without torch.

The trained network comes from a few epochs on panels of digits, from random weights. It
shows what a network learns in seconds, not what a ResNet-18 can do.
"""

# %%
# The network
# -----------
# One label in five is known. This training treats the others as negative, as many do.
# It saves a state dict, which is all that the rest of this program uses.

import json
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import onnxruntime
import torch

from cftlearn import CFTClassifier
from cftlearn.datasets import load_digit_panels
from cftlearn.displays import CategoryScoreDisplay
from cftlearn.labels import hide_labels
from cftlearn.networks import Architecture, export_onnx

folder = Path(tempfile.mkdtemp())
panels = load_digit_panels(n_samples=1100, noise=0.1, random_state=0)
images = np.repeat(panels.images, 3, axis=1)  # three equal colours
images = images.repeat(2, axis=2).repeat(2, axis=3)  # 16 x 48 pixels
y = hide_labels(panels.target, known=0.2, random_state=0)

elsewhere = CFTClassifier(
    Architecture("torchvision:resnet18", n_outputs=10),
    unknown="negative",
    retrain=False,
    max_epochs=4,
    learning_rate=3e-3,
    random_state=0,
).fit(images[:800], y[:800])
torch.save(elsewhere.module_.state_dict(), folder / "resnet18.pth")

# %%
# The refit
# ---------
# ``Architecture`` loads the state dict into the network. ``train=False`` means that the
# network is not trained any more, only refitted. The refits use its training rows. The
# labels of 300 other panels choose among the refits.

network = Architecture(
    "torchvision:resnet18", n_outputs=10, weights=folder / "resnet18.pth"
)
model = CFTClassifier(network, train=False, random_state=0)
model.fit(images[:800], y[:800], X_val=images[800:], y_val=y[800:])
print(f"the layer {model.head_!r} was refitted")

# %%
# ONNX
# ----
# The file has the network with the refitted weights, a sigmoid, and the names of the
# categories. ONNX Runtime computes the same probabilities as the model.

path = export_onnx(model, folder / "digits.onnx")
session = onnxruntime.InferenceSession(path)
test = load_digit_panels("test", n_samples=400, noise=0.1, random_state=1)
inputs = np.repeat(test.images, 3, axis=1).repeat(2, axis=2).repeat(2, axis=3)
(proba,) = session.run(None, {session.get_inputs()[0].name: inputs})
print("largest difference", f"{np.abs(proba - model.predict_proba(inputs)).max():.0e}")
print(json.loads(session.get_modelmeta().custom_metadata_map["categories"]))

# %%
# Before and after
# ----------------
# The test panels show other scans, and all their labels are known.

module = elsewhere.module_.eval()
with torch.inference_mode():
    before = module(torch.from_numpy(inputs)).numpy()
display = CategoryScoreDisplay.from_predictions(
    test.target,
    before,
    proba,
    metric="average_precision",
    categories=list("0123456789"),
)
display.ax_.set_title("ResNet-18 from a state dict, refitted")
display.ax_.legend(loc="lower left", bbox_to_anchor=(0, 1.1), ncols=2)
plt.show()
