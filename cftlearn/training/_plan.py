"""What a training follows: its parameters, its loss, its held-out labels."""

from collections.abc import Callable
from dataclasses import dataclass, field
from inspect import signature
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cftlearn._inputs import Inputs
from cftlearn.labels._label_split import TrainingTargets
from cftlearn.labels._weights import taken
from cftlearn.losses import make_loss
from cftlearn.losses._registry import make_unknown_loss
from cftlearn.losses._unknown._protocol import UnknownLoss
from cftlearn.metrics._objectives import Objective
from cftlearn.training import NetworkTrainer
from cftlearn.training._distributed import OneProcess, processes_of
from cftlearn.training._optimization import positive_weights

Loss = Callable[..., Tensor]


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
        Peak of the schedule.
    seed : int
        Seed of the order of rows and of the network's own randomness.
    device : str
        Torch device.
    verbose : int
        Above 0, shows a progress bar where the output is a terminal.
    unknown_loss : UnknownLoss or None
        What unknown cells add to the loss; None leaves them out.
    unknown_weight, soft_weight : float
        How much all unknown cells, and all cells with a probability as target, count
        together, where all known ones count 1; 0 or more.
    trainer : NetworkTrainer
        The finer parameters; ``pos_weight`` is in ``loss`` already.
    processes : OneProcess
        The processes that take part; those of the trainer's ``fabric``.
    """

    loss: Loss
    max_epochs: int
    batch_size: int
    learning_rate: float
    seed: int
    device: str
    verbose: int = 0
    unknown_loss: UnknownLoss | None = None
    unknown_weight: float = 0.0
    soft_weight: float = 1.0
    trainer: NetworkTrainer = field(default_factory=NetworkTrainer)
    processes: OneProcess = field(default_factory=OneProcess)

    @property
    def counts_unknown(self) -> bool:
        """Whether unknown cells have any gradient now."""
        loss = self.unknown_loss
        return loss is not None and self.unknown_weight > 0 and loss.is_active

    @property
    def replaces_known(self) -> bool:
        """Whether the loss of unknown cells has that of known ones in it."""
        loss = self.unknown_loss
        return self.counts_unknown and loss is not None and loss.replaces_known

    def n_steps(self, n_rows: int) -> int:
        """Return how many steps the optimizer makes in an epoch."""
        return -(-n_rows // (self.batch_size * self.trainer.accumulation_steps))


def make_plan(
    trainer: NetworkTrainer | None,
    targets: TrainingTargets,
    *,
    loss: str | Loss,
    unknown: str | UnknownLoss = "ignore",
    max_epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    device: str,
    verbose: int = 0,
    weighted: bool = False,
) -> TrainingPlan:
    """Build the plan of a training from the parameters of an estimator.

    Parameters
    ----------
    trainer : NetworkTrainer or None
        The finer parameters; None takes the defaults.
    targets : TrainingTargets
        Labels, which ``pos_weight="balanced"`` counts, and unknown cells.
    loss : str or callable
        A name of :func:`cftlearn.losses.available`, or a loss.
    unknown : str or UnknownLoss, default="ignore"
        A name of :data:`cftlearn.losses._registry.TREATMENTS`, or a loss of unknown
        labels, which is copied.
    max_epochs, batch_size, learning_rate, seed, verbose
        As in :class:`TrainingPlan`.
    device : str
        ``"auto"``, or a torch device.
    weighted : bool, default=False
        Whether labels to score by have weights; those of ``targets`` may as well.

    Raises
    ------
    TypeError, ValueError
        If the device cannot be used, the loss cannot weigh positives as asked, or
        labels as they are, or that of unknown labels cannot be shared between
        processes.
    """
    trainer = trainer or NetworkTrainer()
    processes = processes_of(trainer.fabric)
    device = processes.resolve_device(device)
    weights = positive_weights(trainer.pos_weight, targets.values, targets.weights)
    options = {} if weights is None else {"pos_weight": weights.to(device)}
    unknown_loss = make_unknown_loss(unknown)
    _check_state(unknown_loss, processes)
    _check_mix(unknown_loss, trainer)
    if weighted or targets.weights is not None:
        _check_takes_weights(loss, unknown_loss)
    weight = trainer.unknown_weight
    return TrainingPlan(
        loss=make_loss(loss, **options),
        max_epochs=max_epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        device=device,
        verbose=verbose,
        unknown_loss=unknown_loss,
        unknown_weight=_own_weight(unknown_loss, targets) if weight is None else weight,
        soft_weight=1.0 if weight is None else weight,
        trainer=trainer,
        processes=processes,
    )


def _check_takes_weights(loss: str | Loss, unknown_loss: UnknownLoss | None) -> None:
    """Refuse losses that would count labels as if they had no weights."""
    remedy = "or pass sample_weight=None."
    if unknown_loss is not None and unknown_loss.counts_known:
        raise ValueError(
            "`unknown` must leave known labels to `loss`, which weighs them, where "
            f"`sample_weight` is given; got {type(unknown_loss).__name__}, in whose "
            f"means known labels count alike. Pass another treatment, {remedy}"
        )
    if isinstance(loss, str):  # all that have names take weights
        return
    try:
        signature(getattr(loss, "forward", loss)).bind(None, None, weight=None)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "`loss` must take the weights of labels where `sample_weight` is given, as "
            "loss(logits, targets, weight=None); got "
            f"{getattr(loss, '__name__', type(loss).__name__)}, which does not. Add "
            f"the argument, pass a name of cftlearn.losses.available(), {remedy}"
        ) from error


def _check_state(loss: UnknownLoss | None, processes: OneProcess) -> None:
    if loss is not None and loss.keeps_state and processes.size > 1:
        raise ValueError(
            f"`unknown` must be a loss that keeps no state where several processes "
            f"train, which would remember different rows; got {type(loss).__name__} "
            f"and {processes.size} processes. Pass another loss, or fabric=None."
        )


def _check_mix(loss: UnknownLoss | None, trainer: NetworkTrainer) -> None:
    """Refuse mixtures where a loss remembers rows."""
    if loss is None or trainer.mix is None:
        return
    if loss.needs_rows:
        raise ValueError(
            "`unknown` must be a loss that keeps no state of rows where these are "
            f"mixed: a mixture is none of them; got {type(loss).__name__} and "
            f"mix={trainer.mix!r}. Pass another loss, or mix=None."
        )


def _own_weight(loss: UnknownLoss | None, targets: TrainingTargets) -> float:
    """Return the weight that a loss gives itself."""
    if loss is None or targets.unknown is None:
        return 0.0
    n_known = int((~np.isnan(targets.values)).sum())
    return loss.default_weight(int(targets.unknown.sum()) / max(n_known, 1))


class HeldOut(NamedTuple):
    """Labels that nothing is trained on, to score every epoch by.

    Attributes
    ----------
    inputs : Inputs
        Rows.
    labels : ndarray of shape (n_rows, n_categories), float64
        1, 0, or NaN where unknown.
    objective : Objective
        What to score by.
    weights : ndarray of shape (n_rows, n_categories), or None
        How much each label counts; None if all count alike.
    """

    inputs: Inputs
    labels: NDArray[np.float64]
    objective: Objective
    weights: NDArray[np.float64] | None = None

    def with_known_labels(self) -> Self | None:
        """Return the rows that have a known label; None if no row has one."""
        rows = np.flatnonzero((~np.isnan(self.labels)).any(axis=1))
        if not len(rows):
            return None
        return self._replace(
            inputs=self.inputs.take(rows),
            labels=self.labels[rows],
            weights=taken(self.weights, rows),
        )
