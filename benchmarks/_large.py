"""Large simulated features, labels and initial weights, for benchmarks of speed."""

import gzip
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LATENT = 64
_BATCH = 8192


@dataclass(frozen=True)
class LargeProblem:
    """Features, labels of which most are unknown, and rows to start from."""

    Z: NDArray[np.float32]
    y: NDArray[np.float32]
    coef: NDArray[np.float64]
    intercept: NDArray[np.float64]


def make_features(n: int, d: int, seed: int = 0) -> NDArray[np.float32]:
    """Simulate rectified features with a falling spectrum, like those of networks."""
    rng = np.random.default_rng(seed)
    mixing = rng.standard_normal((_LATENT, d)) * np.linspace(3, 0.15, _LATENT)[:, None]
    mixing = mixing.astype(np.float32)
    Z = np.empty((n, d), dtype=np.float32)
    for start in range(0, n, _BATCH):
        rows = Z[start : start + _BATCH]
        latent = rng.standard_normal((len(rows), _LATENT), dtype=np.float32)
        rows[:] = latent @ mixing
        rows += rng.standard_normal(rows.shape, dtype=np.float32)
        np.maximum(rows, 0, out=rows)
    return Z


def make_large(
    n: int, d: int, n_categories: int, known: float, *, positive: float = 0.03, seed=0
) -> LargeProblem:
    """Label features by noisy linear rules, and hide most labels at random."""
    rng = np.random.default_rng(seed)
    Z = make_features(n, d, seed)
    rules = (rng.standard_normal((d, n_categories)) / np.sqrt(d)).astype(np.float32)
    y = np.empty((n, n_categories), dtype=np.float32)
    for j in range(n_categories):
        score = Z @ rules[:, j]
        score = 2 * (score - score.mean()) / score.std() + rng.standard_normal(n)
        y[:, j] = score > np.quantile(score, 1 - positive)
    y[rng.random(y.shape, dtype=np.float32) > known] = np.nan
    return LargeProblem(Z, y, *mean_difference_rows(Z, y))


def mean_difference_rows(
    Z: NDArray[np.float32], y: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return weights like a network's: known positives against all, by spread."""
    some = Z[:: max(len(Z) // 20_000, 1)]
    mean, variance = some.mean(axis=0, dtype=np.float64), some.var(axis=0)
    rows = []
    for labels in y.T:
        positives = np.flatnonzero(labels == 1)[:2000]
        rows.append((Z[positives].mean(axis=0) - mean) / (variance + 1e-3))
    coef = np.array(rows) / np.sqrt(Z.shape[1])
    return coef, -coef @ mean


def chexpert_labels() -> tuple[NDArray[np.float32], list[str]] | None:
    """Read the training labels of CheXpert from torchxrayvision's wheel.

    1, 0, and NaN for uncertain and blank cells; None where the wheel is absent.
    """
    found = importlib.util.find_spec("torchxrayvision")
    if found is None or found.origin is None:
        return None
    import pandas as pd

    path = Path(found.origin).parent / "data" / "chexpert_train.csv.gz"
    with gzip.open(path) as file:
        table: Any = pd.read_csv(file)
    names = list(table.columns[-14:])
    labels = table[names].to_numpy(dtype=np.float32)
    labels[labels == -1] = np.nan
    return labels, names
