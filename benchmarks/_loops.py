"""Plain training loops and logistic regressions: what end_to_end.py compares with.

A loop trains the network of a problem as a user would write it in torch. Optimiser,
schedule, batches and epochs are those of CFTClassifier's own stage one, so that only
the labels and the loss differ; a test holds the two together bit by bit.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _problems import DATA_FOLDER, Source, load_source, make_mlp
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from cftlearn import CFTClassifier
from cftlearn.cli._demo import make_demo_network
from cftlearn.labels import hide_labels
from cftlearn.training import NetworkTrainer

Floats = NDArray[np.floating[Any]]
# Maps logits, numbers of their rows and the epoch (from 0) to a loss; None where the
# rows have no label to learn from.
RowLoss = Callable[[Tensor, Tensor, int], Tensor | None]
EpochHook = Callable[[nn.Module, int], None]

_DEFAULTS = CFTClassifier()
EPOCHS = _DEFAULTS.max_epochs
BATCH = _DEFAULTS.batch_size
LEARNING_RATE = _DEFAULTS.learning_rate
WEIGHT_DECAY = NetworkTrainer().weight_decay
WEAK_WEIGHT = 0.05  # of an unknown label as a negative in `loop_weak`
CS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
FEWEST_TO_CHOOSE = 2  # labels of the rarer class that a choice of penalty needs
C_UNCHOSEN = 0.01  # penalty where there are fewer
FOLDS = 3
MAX_ITER = 300
_ROWS_AT_A_TIME = 512


@dataclass(frozen=True)
class Problem:
    """What every method gets; the test labels are for the final score alone.

    Attributes
    ----------
    X, X_test : ndarray
        Inputs of the network; vectors are standardised on the training rows.
    y : ndarray of shape (n_samples, n_categories)
        1, 0, or NaN where unknown.
    y_test : ndarray of shape (n_test, n_categories)
        Likewise; unknown only where nobody knows.
    make_network : callable
        Returns a new network.
    epochs : int
        Passes of every network over the rows.
    """

    X: Floats
    y: NDArray[np.float64]
    X_test: Floats
    y_test: NDArray[np.float64]
    make_network: Callable[[], nn.Module]
    epochs: int = EPOCHS

    @property
    def has_vectors(self) -> bool:
        """Return whether inputs are vectors, and no images."""
        return self.X.ndim == 2


def make_problem(
    source: str,
    scheme: str,
    known: float | None,
    seed: int,
    *,
    epochs: int = EPOCHS,
    folder: Path = DATA_FOLDER,
    cache: Path | None = None,
) -> Problem:
    """Read a source and hide labels of its training rows."""
    if cache is not None:
        cache.mkdir(parents=True, exist_ok=True)
    data = load_source(source, seed, folder=folder, cache=cache)
    hidden = hide(data.Y, scheme, known, seed)
    make_network: Callable[[], nn.Module] = make_demo_network
    if data.X.ndim == 2:
        make_network = functools.partial(make_mlp, data.X.shape[1], data.Y.shape[1])
    X, X_test = standardised(data)
    return Problem(X, hidden, X_test, data.Y_test, make_network, epochs)


def standardised(data: Source) -> tuple[Floats, Floats]:
    """Scale vectors by the training rows; images stay as they are."""
    if data.X.ndim != 2:
        return data.X, data.X_test
    scaler = StandardScaler().fit(data.X)
    return (
        scaler.transform(data.X).astype(np.float32),
        scaler.transform(data.X_test).astype(np.float32),
    )


def hide(
    Y: NDArray[np.float64], scheme: str, known: float | None, seed: int
) -> NDArray[np.float64]:
    """Hide labels; cells unknown by nature count as negatives in the draw alone."""
    natural = np.isnan(Y)
    complete = np.where(natural, 0.0, Y)
    hidden = hide_labels(complete, known=known, scheme=scheme, random_state=seed)  # type: ignore[arg-type]
    return np.where(natural, np.nan, hidden)


# --- training loops -----------------------------------------------------------------


def train(
    problem: Problem,
    loss_of: RowLoss,
    seed: int,
    before_epoch: EpochHook | None = None,
) -> nn.Module:
    """Train a new network; ``before_epoch`` may look at it first."""
    torch.manual_seed(seed)
    network = problem.make_network()
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    X = torch.from_numpy(problem.X)
    steps = -(-len(X) // BATCH)
    optimizer = torch.optim.AdamW(decay_groups(network), lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, total_steps=problem.epochs * steps
    )
    for epoch in range(problem.epochs):
        if before_epoch is not None:
            before_epoch(network, epoch)
        network.train()
        for rows in np.array_split(rng.permutation(len(X)), steps):
            optimizer.zero_grad()
            batch = torch.from_numpy(rows)
            loss = loss_of(network(X[batch]), batch, epoch)
            if loss is not None:
                loss.backward()
                optimizer.step()
            schedule.step()
    return network.eval()


def decay_groups(network: nn.Module) -> list[dict[str, Any]]:
    """Split parameters: biases and scales have no weight decay."""
    parameters = list(network.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


@torch.no_grad()
def logits_of(network: nn.Module, X: Floats) -> NDArray[np.float64]:
    """Compute the output of a trained network."""
    parts = torch.from_numpy(X).split(_ROWS_AT_A_TIME)
    return torch.cat([network(part) for part in parts]).double().numpy()


def weighted_bce(y: NDArray[np.float64], unknown_weight: float) -> RowLoss:
    """Return the mean cross-entropy; unknown labels are negatives of a weight.

    0 leaves them out, 1 makes them plain negatives. The mean is over the weights.
    """
    targets = torch.from_numpy(np.nan_to_num(y)).float()
    weights = torch.from_numpy(np.where(np.isnan(y), unknown_weight, 1.0)).float()

    def loss_of(logits: Tensor, rows: Tensor, epoch: int) -> Tensor | None:
        total = weights[rows].sum()
        if total == 0:
            return None
        losses = binary_cross_entropy_with_logits(
            logits, targets[rows], reduction="none"
        )
        return (losses * weights[rows]).sum() / total

    return loss_of


def loop(problem: Problem, seed: int, *, unknown_weight: float) -> NDArray[np.float64]:
    """Train on weighted labels; return the logits of the test rows."""
    network = train(problem, weighted_bce(problem.y, unknown_weight), seed)
    return logits_of(network, problem.X_test)


# --- logistic regression ------------------------------------------------------------


def regressions(problem: Problem, seed: int, *, unknown: str) -> NDArray[np.float64]:
    """Fit a logistic regression per category; return the logits of the test rows.

    ``unknown`` is "ignore" or "negative". A category without both classes has no
    regression: its rows score the same.
    """
    y = problem.y if unknown == "ignore" else np.nan_to_num(problem.y)
    logits = np.zeros(problem.y_test.shape)
    for j, labels in enumerate(y.T):
        rows = ~np.isnan(labels)
        if len(np.unique(labels[rows])) == 2:
            model = regression(problem.X[rows], labels[rows], seed)
            logits[:, j] = model.decision_function(problem.X_test)
    return logits


def regression(X: Floats, y: NDArray[np.float64], seed: int) -> LogisticRegression:
    """Choose the penalty by log loss in folds, where each fold can hold both classes.

    With a single label of a class there is nothing to choose by, and a strong penalty
    is taken.
    """
    rarer = int(min((y == 0).sum(), (y == 1).sum()))
    if rarer < FEWEST_TO_CHOOSE:
        return LogisticRegression(C=C_UNCHOSEN, max_iter=MAX_ITER).fit(X, y)
    folds = StratifiedKFold(min(FOLDS, rarer), shuffle=True, random_state=seed)
    losses = np.zeros(len(CS))
    for rows, others in folds.split(X, y):
        model = LogisticRegression(max_iter=MAX_ITER, warm_start=True)
        for i, C in enumerate(CS):
            model.set_params(C=C).fit(X[rows], y[rows])
            losses[i] += log_loss(y[others], model.predict_proba(X[others])[:, 1])
    best = CS[int(np.argmin(losses))]
    return LogisticRegression(C=best, max_iter=MAX_ITER).fit(X, y)
