"""What a training follows: its parameters, its loss, its held-out labels."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cftlearn._inputs import Inputs
from cftlearn.labels._label_split import TrainingTargets
from cftlearn.losses import make_loss
from cftlearn.losses._registry import make_unknown_term
from cftlearn.losses._unknown import UnknownTerm
from cftlearn.metrics._objectives import Objective
from cftlearn.training import NetworkTrainer
from cftlearn.training._distributed import OneProcess, processes_of
from cftlearn.training._optimization import positive_weights

Loss = Callable[[Tensor, Tensor], Tensor]


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
    unknown_term : UnknownTerm or None
        What unknown cells add to the loss; None leaves them out.
    trainer : NetworkTrainer
        The finer parameters; ``pos_weight`` and ``unknown_weight`` are in ``loss`` and
        ``unknown_term`` already.
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
    unknown_term: UnknownTerm | None = None
    trainer: NetworkTrainer = field(default_factory=NetworkTrainer)
    processes: OneProcess = field(default_factory=OneProcess)

    def n_steps(self, n_rows: int) -> int:
        """Return how many steps the optimizer makes in an epoch."""
        return -(-n_rows // (self.batch_size * self.trainer.accumulation_steps))


def make_plan(
    trainer: NetworkTrainer | None,
    targets: TrainingTargets,
    *,
    loss: str | Loss,
    unknown: str = "ignore",
    max_epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    device: str,
    verbose: int = 0,
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
    unknown : str, default="ignore"
        A name of :data:`cftlearn.losses._registry.TREATMENTS`.
    max_epochs, batch_size, learning_rate, seed, verbose
        As in :class:`TrainingPlan`.
    device : str
        ``"auto"``, or a torch device.

    Raises
    ------
    TypeError, ValueError
        If the device cannot be used, or the loss cannot weigh positives as asked.
    """
    trainer = trainer or NetworkTrainer()
    processes = processes_of(trainer.fabric)
    device = processes.resolve_device(device)
    weights = positive_weights(trainer.pos_weight, targets.values)
    options = {} if weights is None else {"pos_weight": weights.to(device)}
    return TrainingPlan(
        loss=make_loss(loss, **options),
        max_epochs=max_epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        device=device,
        verbose=verbose,
        unknown_term=_unknown_term(unknown, trainer, targets),
        trainer=trainer,
        processes=processes,
    )


def _unknown_term(
    name: str, trainer: NetworkTrainer, targets: TrainingTargets
) -> UnknownTerm | None:
    if targets.unknown is None:
        return make_unknown_term(name, trainer.unknown_weight)
    n_known = int((~np.isnan(targets.values)).sum())
    ratio = int(targets.unknown.sum()) / max(n_known, 1)
    return make_unknown_term(name, trainer.unknown_weight, ratio)


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
    """

    inputs: Inputs
    labels: NDArray[np.float64]
    objective: Objective

    def with_known_labels(self) -> Self | None:
        """Return the rows that have a known label; None if no row has one."""
        rows = np.flatnonzero((~np.isnan(self.labels)).any(axis=1))
        if not len(rows):
            return None
        return self._replace(inputs=self.inputs.take(rows), labels=self.labels[rows])
