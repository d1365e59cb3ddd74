"""
Features that stay on disk
==========================

Features may be larger than memory. A memory map in half precision is read some rows at
a time, and each category loads only the rows whose label is known.
"""

# %%
# A file of features
# ------------------
# The file has 200,000 rows of 128 features. It is written in pieces, as if a network
# extracted them. Four categories have from 500 to 20,000 known labels.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from cftlearn import CategoryWiseFineTuner
from cftlearn.metrics import partial_roc_auc_score

N_ROWS, N_FEATURES = 200_000, 128
N_KNOWN = [500, 2_000, 8_000, 20_000]
folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "features.f16"
rng = np.random.default_rng(0)
directions = rng.standard_normal((N_FEATURES, len(N_KNOWN)))
directions /= np.linalg.norm(directions, axis=0)
truth = np.empty((N_ROWS, len(N_KNOWN)))
features = np.memmap(path, dtype=np.float16, mode="w+", shape=(N_ROWS, N_FEATURES))
for start in range(0, N_ROWS, 20_000):
    rows = slice(start, start + 20_000)
    piece = rng.standard_normal((20_000, N_FEATURES))
    features[rows] = piece
    signal = piece @ directions + 1.5 * rng.standard_normal((20_000, len(N_KNOWN)))
    truth[rows] = signal > 1.5
features.flush()
y = np.full(truth.shape, np.nan)
for j, n_known in enumerate(N_KNOWN):
    chosen = rng.permutation(N_ROWS)[:n_known]
    y[chosen, j] = truth[chosen, j]
print(f"{path.stat().st_size / 2**20:.0f} MiB of features")

# %%
# The refit
# ---------
# Features on disk need initial weights: those of the network that computed the
# features. Here they are noisy copies of the true weights.

coef = directions.T + 0.15 * rng.standard_normal(directions.T.shape)
stored = np.memmap(path, dtype=np.float16, mode="r", shape=(N_ROWS, N_FEATURES))
tuner = CategoryWiseFineTuner(
    coef_init=coef, intercept_init=np.zeros(len(N_KNOWN)), random_state=0
).fit(stored, y)
before = partial_roc_auc_score(truth, stored @ coef.T, average=None)
after = partial_roc_auc_score(truth, tuner.transform(stored), average=None)
for line, one, other in zip(tuner.report_, before, after, strict=True):
    n_known = line["n_positive"] + line["n_negative"]
    print(f"{n_known:6d} known: AUC {one:.3f}, then {other:.3f} ({line['status']})")

# %%
# Memory and gain
# ---------------
# A category needs its known rows in memory, in single precision, twice. If all features
# were read in double precision, twice, they would need eight times the size of the
# file.

file_size = stored.nbytes / 2**20
gathered = [2 * 4 * N_FEATURES * n_known / 2**20 for n_known in N_KNOWN]
names = [f"{n_known:,} known" for n_known in N_KNOWN]
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
left.barh(["the file", *names], [file_size, *gathered], color="#0072B2")
left.set(xscale="log", xlabel="MiB", title="On disk, and gathered per category")
left.invert_yaxis()
right.plot(N_KNOWN, before, "o--", color="#999999", label="before")
right.plot(N_KNOWN, after, "D-", color="#0072B2", label="after")
right.set(xscale="log", xlabel="known labels", ylabel="ROC AUC, all 200,000 rows")
right.set_title("More known labels, better weights")
right.legend()
plt.show()

# %%
# Delete the file.

del features, stored
folder.cleanup()
