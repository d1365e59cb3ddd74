"""Optimizer, schedule, moving average, and the factors of positives in a loss."""

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

from cftlearn.labels._plain_arrays import refuse_masked, refuse_unlike_numbers
from cftlearn.training import NetworkTrainer

_MOMENTUM = 0.9  # of SGD
_LARGEST_FACTOR = 100.0  # of positives in the loss; the smallest is its inverse
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
    """Build the optimizer of a network's trainable parameters.

    Raises
    ------
    ValueError
        If all parameters are frozen.
    TypeError
        If a callable does not return an optimizer.
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
            "`optimizer` must return a torch optimizer, optimizer(parameter_groups, "
            f"learning_rate); got {type(made).__name__}."
        )
    return made


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Split parameters into those with weight decay and those without.

    Biases, parameters of normalisation layers and all parameters of one dimension have
    none: they scale and shift, and pulling them towards 0 does not make a network
    simpler.
    """
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
    """Build the schedule of ``n_steps`` steps of the optimizer.

    Raises
    ------
    TypeError
        If a callable does not return a schedule.
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
            "`schedule` must return a torch scheduler, schedule(optimizer, n_steps); "
            f"got {type(made).__name__}."
        )
    return made


class MovingAverage:
    r"""An exponential moving average of a network's weights and buffers.

    Parameters
    ----------
    network : nn.Module
        The start; it is copied.
    decay : float
        Fraction of the average that remains after a step, once there were enough of
        them.

    Attributes
    ----------
    network : nn.Module
        The average.
    n_steps : int
        Steps so far.

    Notes
    -----
    After step :math:`t`, a mean :math:`m` of weights :math:`w` becomes
    :math:`d_t m + (1 - d_t) w` with :math:`d_t = \min(d, (1 + t) / (10 + t))`. The
    first steps have a smaller decay, so that the random start is soon forgotten.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.decay = decay
        self.n_steps = 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move towards a network; integers, such as counts, are copied."""
        self.n_steps += 1
        decay = min(self.decay, (1 + self.n_steps) / (10 + self.n_steps))
        values = network.state_dict(keep_vars=True)
        own = self.network.state_dict(keep_vars=True)
        # Tied weights have several names, and must move once.
        once = {id(mean): (name, mean) for name, mean in own.items()}
        for name, mean in once.values():
            if mean.is_floating_point() or mean.is_complex():
                mean.lerp_(values[name], 1.0 - decay)
            else:
                mean.copy_(values[name])


def positive_weights(
    pos_weight: Any,
    targets: NDArray[np.float64],
    weights: NDArray[np.float32] | None = None,
) -> Tensor | None:
    """Compute one factor per category from the parameter ``pos_weight``.

    Parameters
    ----------
    pos_weight : "balanced", array-like or None
        As in :class:`~cftlearn.training.NetworkTrainer`.
    targets : ndarray of shape (n_samples, n_categories)
        1, 0, or NaN for labels that do not count.
    weights : ndarray of shape (n_samples, n_categories), default=None
        How much each of them counts; None counts them alike.

    Raises
    ------
    TypeError, ValueError
        If there is not one finite factor above 0 per category.
    """
    if pos_weight is None:
        return None
    if isinstance(pos_weight, str):
        return torch.from_numpy(_balanced_factors(targets, weights)).float()
    refuse_masked(pos_weight, "pos_weight")
    try:
        refuse_unlike_numbers(pos_weight, "pos_weight")
        factors = np.array(pos_weight, dtype=np.float64)  # pandas' own is read-only
    except (TypeError, ValueError):
        raise TypeError(
            "`pos_weight` must be 'balanced' or one number per category; got "
            f"{pos_weight!r}."
        ) from None
    n_categories = targets.shape[1]
    if factors.shape != (n_categories,):
        raise ValueError(
            "`pos_weight` must be 'balanced' or one factor per category, shape "
            f"({n_categories},); got shape {factors.shape}. Write 1 where positives "
            "count as negatives do."
        )
    wrong = np.flatnonzero(~(np.isfinite(factors) & (factors > 0)))
    if len(wrong):
        raise ValueError(
            f"`pos_weight` must be finite and above 0; got {factors[wrong[0]]} for "
            f"category {wrong[0]}. Write 1 where positives count as negatives do."
        )
    return torch.from_numpy(factors).float()


def _balanced_factors(
    targets: NDArray[np.float64], weights: NDArray[np.float32] | None
) -> NDArray[np.float64]:
    """Compute negatives over positives; 1 where a category lacks one of the two."""
    table = np.ones(targets.shape) if weights is None else weights.astype(np.float64)
    n_positive, n_negative = (
        np.where(targets == kind, table, 0.0).sum(axis=0) for kind in (1, 0)
    )
    ratio = n_negative / np.where(n_positive > 0, n_positive, 1.0)
    # A handful of labels of one class must not make steps a thousand times larger.
    bounded = np.clip(ratio, 1.0 / _LARGEST_FACTOR, _LARGEST_FACTOR)
    return np.where((n_positive > 0) & (n_negative > 0), bounded, 1.0)


def _one(step: int) -> float:
    """Return a constant factor of the learning rate."""
    return 1.0
