"""Small problems for the cases of same_bits.py."""

from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.nn import functional

from cftlearn.datasets import load_digit_panels, make_partial_multilabel
from cftlearn.labels import hide_labels

Floats = NDArray[np.floating[Any]]


def features(
    n: int = 200, d: int = 12, c: int = 5, *, known: Any = 0.4, **options: Any
) -> tuple[Floats, Floats]:
    """Make features and partly known labels."""
    X, y, _ = make_partial_multilabel(
        n,
        n_features=d,
        n_categories=c,
        known=known,
        **({"random_state": 0} | options),
    )
    return X, y


def panels(n: int = 160) -> tuple[Floats, Floats]:
    """Make digit panels with three tenths of their labels."""
    data = load_digit_panels("train", n_samples=n, random_state=0)
    return data.images, hide_labels(data.target, known=0.3, random_state=0)


def frames() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make features with names, and labels in integers that may be missing."""
    X, y = features(150, 6, 3)
    names = ["dog", "œdème", "no finding"]
    columns = [f"x{j}" for j in range(X.shape[1])]
    return pd.DataFrame(X, columns=columns), pd.DataFrame(y, columns=names).astype(
        "Int8"
    )


def without_negatives() -> tuple[Floats, Floats]:
    """Make labels: no negative, one class, two positives, and none known."""
    X, y = features(180, 8, 6)
    y[:, 1] = np.where(y[:, 1] == 1.0, 1.0, np.nan)
    y[:, 2] = np.where(y[:, 2] == 0.0, 0.0, np.nan)
    y[:, 3] = np.nan
    positives = np.flatnonzero(y[:, 4] == 1.0)
    y[positives[2:], 4] = np.nan
    return X, y


def halves(y: Floats, seed: int = 0) -> tuple[Floats, Floats]:
    """Deal known labels to two tables with the same rows."""
    first = np.random.default_rng(seed).random(y.shape) < 0.7
    return np.where(first, y, np.nan), np.where(first, np.nan, y)


def make_network() -> nn.Module:
    """Make a network for digit panels, with what has a state of its own."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(6 * 4 * 12, 24),
        nn.ReLU(),
        nn.Linear(24, 10),
    )


def trained_network() -> nn.Module:
    """Make the network with weights that do not depend on what ran before."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return make_network()


def squared_error(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Compute a loss over known labels."""
    known = ~torch.isnan(targets)
    return functional.mse_loss(logits[known].sigmoid(), targets[known])


def signed_auc(y_true: Floats, y_score: Floats) -> float:
    """Compute a metric that only Python knows."""
    return 2.0 * float(roc_auc_score(y_true, y_score)) - 1.0
