"""What moves a network: optimizer, schedule, moving average, weights of positives."""

import copy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LambdaLR,
    LRScheduler,
    OneCycleLR,
)

from cftlearn.training import NetworkTrainer

_MOMENTUM = 0.9  # of SGD
_LARGEST_WEIGHT = 100.0  # of the positives of a category, and its inverse the smallest
_NORMS = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.SyncBatchNorm,
    nn.GroupNorm,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
    nn.LayerNorm,
    nn.RMSNorm,
)


def make_optimizer(
    network: nn.Module, trainer: NetworkTrainer, learning_rate: float
) -> Optimizer:
    """Make the optimizer of a network's trainable parameters.

    Raises
    ------
    ValueError
        If all parameters are frozen.
    TypeError
        If a callable gives no optimizer.
    """
    groups = parameter_groups(network, float(trainer.weight_decay))
    if trainer.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=learning_rate)
    if trainer.optimizer == "adam":
        return torch.optim.Adam(groups, lr=learning_rate)
    if trainer.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=learning_rate, momentum=_MOMENTUM)
    made = trainer.optimizer(groups, learning_rate)  # type: ignore[operator]
    if not isinstance(made, Optimizer):
        raise TypeError(
            "`optimizer` must give a torch optimizer, optimizer(parameter_groups, "
            f"learning_rate); got {type(made).__name__}."
        )
    return made


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Keep weight decay off biases, norms, and what else has one dimension."""
    spared = {
        id(parameter)
        for module in network.modules()
        if isinstance(module, _NORMS)
        for parameter in module.parameters(recurse=False)
    }
    decayed: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        is_bias = name.rpartition(".")[2] == "bias"
        is_spared = is_bias or parameter.ndim <= 1 or id(parameter) in spared
        if parameter.requires_grad:
            (others if is_spared else decayed).append(parameter)
    if not decayed and not others:
        raise ValueError(
            "`module` must have trainable parameters; all are frozen. Pass train=False "
            "to refit it as it is."
        )
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]


def make_schedule(
    optimizer: Optimizer, trainer: NetworkTrainer, n_steps: int
) -> LRScheduler:
    """Make the schedule of ``n_steps`` steps of the optimizer.

    Raises
    ------
    TypeError
        If a callable gives no schedule.
    """
    if trainer.schedule == "one_cycle":
        momenta = optimizer.defaults.get("betas", optimizer.defaults.get("momentum"))
        return OneCycleLR(
            optimizer,
            [group["lr"] for group in optimizer.param_groups],
            total_steps=n_steps,
            cycle_momentum=bool(momenta),
        )
    if trainer.schedule == "cosine":
        return CosineAnnealingLR(optimizer, T_max=n_steps)
    if trainer.schedule == "constant":
        return LambdaLR(optimizer, _one)
    made = trainer.schedule(optimizer, n_steps)  # type: ignore[operator]
    if not isinstance(made, LRScheduler):
        raise TypeError(
            "`schedule` must give a torch scheduler, schedule(optimizer, n_steps); got "
            f"{type(made).__name__}."
        )
    return made


class MovingAverage:
    """An exponential moving average of a network's weights and buffers.

    Parameters
    ----------
    network : nn.Module
        What it starts from; it is copied.
    decay : float
        Share of the average that a step leaves, once there have been enough steps.

    Attributes
    ----------
    network : nn.Module
        The average.
    n_steps : int
        How many it has seen.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.decay = decay
        self.n_steps = 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move towards a network; numbers that are not floats become its own."""
        self.n_steps += 1
        decay = min(self.decay, (1 + self.n_steps) / (10 + self.n_steps))
        values = network.state_dict(keep_vars=True)
        own = self.network.state_dict(keep_vars=True)
        once = {id(mean): (name, mean) for name, mean in own.items()}  # tied weights
        for name, mean in once.values():
            if mean.is_floating_point() or mean.is_complex():
                mean.lerp_(values[name], 1.0 - decay)
            else:
                mean.copy_(values[name])


def positive_weights(pos_weight: Any, targets: NDArray[np.float64]) -> Tensor | None:
    """Turn the parameter ``pos_weight`` into one factor per category.

    Parameters
    ----------
    pos_weight : "balanced", array-like or None
        What was asked for.
    targets : ndarray of shape (n_samples, n_categories)
        1, 0, or NaN for labels that do not count.

    Raises
    ------
    TypeError, ValueError
        If there is not one finite factor above 0 per category.
    """
    if pos_weight is None:
        return None
    if isinstance(pos_weight, str):
        positives, negatives = (
            np.sum(targets == 1, axis=0),
            np.sum(targets == 0, axis=0),
        )
        ratio = np.maximum(negatives, 1) / np.maximum(positives, 1)
        both = (positives > 0) & (negatives > 0)
        bounded = np.clip(ratio, 1.0 / _LARGEST_WEIGHT, _LARGEST_WEIGHT)
        return torch.from_numpy(np.where(both, bounded, 1.0)).float()
    try:
        weights = np.asarray(pos_weight, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(
            "`pos_weight` must be 'balanced' or one number per category; got "
            f"{pos_weight!r}."
        ) from None
    n_categories = targets.shape[1]
    if weights.shape != (n_categories,):
        raise ValueError(
            "`pos_weight` must be 'balanced' or one factor per category, shape "
            f"({n_categories},); got shape {weights.shape}."
        )
    if not (np.isfinite(weights) & (weights > 0)).all():
        wrong = int(np.flatnonzero(~(np.isfinite(weights) & (weights > 0)))[0])
        raise ValueError(
            f"`pos_weight` must be finite and above 0; got {weights[wrong]} for "
            f"category {wrong}."
        )
    return torch.from_numpy(weights).float()


def _one(step: int) -> float:
    return 1.0
