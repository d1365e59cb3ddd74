"""Stage one: train a network on labels of which some are unknown."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm.auto import tqdm

from cftlearn._heads import find_head
from cftlearn._networks import (
    copy_or_make,
    extract_features,
    seeded_torch,
    to_tensor,
)
from cftlearn.exceptions import NonFiniteLossError
from cftlearn.losses import PartialAsymmetricLoss, PartialBCEWithLogitsLoss

Loss = Callable[[Tensor, Tensor], Tensor]


def make_loss(loss: str | Loss) -> Loss:
    """Turn the parameter ``loss`` of an estimator into a callable."""
    if loss == "bce":
        return PartialBCEWithLogitsLoss()
    if loss == "asl":
        return PartialAsymmetricLoss()
    return loss  # type: ignore[return-value]


@dataclass(frozen=True)
class TrainingPlan:
    """How to train.

    Attributes
    ----------
    loss : callable
        Maps logits and targets (NaN left out) to a scalar tensor.
    max_epochs, batch_size : int
        Passes over the data, and rows at a time.
    learning_rate : float
        Peak of the one-cycle schedule.
    seed : int
        Seed of the order of rows and of the network's own randomness.
    device : str
        Torch device.
    verbose : int
        Above 0, shows a progress bar where the output is a terminal.
    """

    loss: Loss
    max_epochs: int
    batch_size: int
    learning_rate: float
    seed: int
    device: str
    verbose: int = 0


def prepare_network(
    module: Any,
    head: str | None,
    X: NDArray[Any],
    targets: NDArray[np.float64],
    plan: TrainingPlan,
    *,
    train: bool,
) -> tuple[nn.Module, str, list[dict[str, Any]]]:
    """Copy a network, find its classification layer, and train it if asked.

    One row is tried first: a wrong layer is told before an hour of training.
    """
    network = copy_or_make(module, plan.seed)
    name = find_head(network, head, targets.shape[1])
    extract_features(network, name, X[:1], batch_size=1, device=plan.device)
    history = train_network(network, X, targets, plan) if train else []
    return network, name, history


def train_network(
    network: nn.Module,
    X: NDArray[Any],
    targets: NDArray[np.float64],
    plan: TrainingPlan,
) -> list[dict[str, Any]]:
    """Train a network in place by AdamW under a one-cycle schedule.

    Parameters
    ----------
    network : nn.Module
        Maps a batch of ``X`` to logits of shape (n_rows, n_categories).
    X : ndarray of shape (n_samples, ...)
        Inputs.
    targets : ndarray of shape (n_samples, n_categories)
        1, 0, or NaN for cells to leave out.
    plan : TrainingPlan
        How to train.

    Returns
    -------
    history : list of dict, one per epoch
        ``epoch``, mean ``loss`` of its batches, and ``learning_rate`` at its end.

    Raises
    ------
    NonFiniteLossError
        If a loss is NaN or infinite; names the epoch, the batch and its rows.
    ValueError
        If the network's output has another shape than the targets.
    """
    network.to(plan.device).train()
    y = torch.from_numpy(targets).float()
    optimizer = torch.optim.AdamW(
        _parameter_groups(network), lr=plan.learning_rate, weight_decay=1e-2
    )
    n_batches = -(-len(X) // plan.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, plan.learning_rate, total_steps=plan.max_epochs * n_batches
    )
    order = np.random.default_rng(plan.seed)
    history = []
    progress = tqdm(
        total=plan.max_epochs * n_batches,
        desc="training the network",
        unit="batch",
        disable=None if plan.verbose else True,
    )
    with progress, seeded_torch(plan.seed):
        for epoch in range(1, plan.max_epochs + 1):
            losses = []
            # Batches of even size: batch norm cannot train on a single row left over.
            batches = np.array_split(order.permutation(len(X)), n_batches)
            for batch, chosen in enumerate(batches, 1):
                loss = _batch_loss(network, X[chosen], y[chosen], plan)
                value = float(loss.detach())
                if not np.isfinite(value):
                    raise NonFiniteLossError(_non_finite(value, epoch, batch, chosen))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                losses.append(value)
                progress.update()
            history.append(
                {
                    "epoch": epoch,
                    "loss": float(np.mean(losses)),
                    "learning_rate": float(schedule.get_last_lr()[0]),
                }
            )
            progress.set_postfix(epoch=epoch, loss=f"{history[-1]['loss']:.4f}")
    network.eval()
    return history


def _batch_loss(
    network: nn.Module, X: NDArray[Any], targets: Tensor, plan: TrainingPlan
) -> Tensor:
    logits = network(to_tensor(X, plan.device))
    if not isinstance(logits, Tensor) or logits.shape != targets.shape:
        got = (
            tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        )
        raise ValueError(
            "`module` must return logits of shape (n_rows, n_categories), here "
            f"{tuple(targets.shape)}; got {got}."
        )
    loss = plan.loss(logits, targets.to(plan.device))
    if not isinstance(loss, Tensor) or loss.ndim:
        got = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
        raise TypeError(
            "`loss` must return a scalar tensor, loss(logits, targets) -> tensor; got "
            f"{got}."
        )
    return loss


def _parameter_groups(network: nn.Module) -> list[dict[str, Any]]:
    """Keep weight decay off biases and norms, which have one dimension."""
    trainable = [p for p in network.parameters() if p.requires_grad]
    if not trainable:
        raise ValueError(
            "`module` must have trainable parameters; all are frozen. Pass train=False "
            "to refit it as it is."
        )
    return [
        {"params": [p for p in trainable if p.ndim > 1]},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _non_finite(value: float, epoch: int, batch: int, rows: NDArray[np.integer]) -> str:
    shown = ", ".join(str(row) for row in np.sort(rows)[:8])
    more = f", ... of {len(rows)}" if len(rows) > 8 else ""
    return (
        f"The loss must be finite; got {value} in epoch {epoch}, batch {batch} (rows "
        f"{shown}{more}). Lower `learning_rate`, or check these rows."
    )
