"""
A network of one's own, refitted, and out again as ONNX
=======================================================

A ResNet-18 of torchvision was trained elsewhere. Its rows are refitted, labels that it
has not seen choose the refits, and the network is exported to a file that ONNX Runtime
computes without torch.

*Elsewhere* is here a few epochs from random weights, on panels of digits: what a
network learns in seconds, not what a ResNet-18 can do.
"""

# %%
# The network
# -----------
# One label in five is known. As usual, the others are called negative. What comes of it
# is a state dict, all that is left of a training elsewhere.

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
    max_epochs=4,
    learning_rate=3e-3,
    random_state=0,
).fit(images[:800], y[:800])
torch.save(elsewhere.module_.state_dict(), folder / "resnet18.pth")

# %%
# The refit
# ---------
# ``Architecture`` puts the state dict into the network again. With ``train=False`` it
# is only refitted: on its training rows, by labels of 300 other panels that choose.

network = Architecture(
    "torchvision:resnet18", n_outputs=10, weights=folder / "resnet18.pth"
)
model = CFTClassifier(network, train=False, random_state=0)
model.fit(images[:800], y[:800], validation_data=(images[800:], y[800:]))
print(f"the rows of {model.head_!r} were refitted")

# %%
# ONNX
# ----
# The file holds the network with the refitted rows and a sigmoid, and the names of the
# categories. What ONNX Runtime makes of it are the probabilities of the model.

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
# Test panels show other scans, and all their labels are known.

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
display.ax_.set_title("ResNet-18 from a state dict, rows refitted")
display.ax_.legend(loc="lower left", bbox_to_anchor=(0, 1.1), ncols=2)
plt.show()
