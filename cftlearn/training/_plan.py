"""What a training goes by: its parameters, its loss, its held-out labels."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cftlearn._inputs import Inputs
from cftlearn.losses import PartialAsymmetricLoss, PartialBCEWithLogitsLoss
from cftlearn.metrics._objectives import Objective
from cftlearn.training import NetworkTrainer
from cftlearn.training._distributed import OneProcess

Loss = Callable[[Tensor, Tensor], Tensor]


def make_loss(loss: str | Loss, pos_weight: Tensor | None = None) -> Loss:
    """Turn the parameter ``loss`` of an estimator into a callable."""
    if loss == "bce":
        return PartialBCEWithLogitsLoss(pos_weight=pos_weight)
    if pos_weight is not None:
        raise ValueError(
            "`pos_weight` needs loss='bce'; got "
            f"{repr(loss) if isinstance(loss, str) else 'a callable'}. Weigh positives "
            "in a loss of your own, or pass pos_weight=None."
        )
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
        Peak of the schedule.
    seed : int
        Seed of the order of rows and of the network's own randomness.
    device : str
        Torch device.
    verbose : int
        Above 0, shows a progress bar where the output is a terminal.
    trainer : NetworkTrainer
        The finer parameters; its ``pos_weight`` is in ``loss`` already.
    processes : OneProcess
        Who takes part; those of the trainer's ``fabric``.
    """

    loss: Loss
    max_epochs: int
    batch_size: int
    learning_rate: float
    seed: int
    device: str
    verbose: int = 0
    trainer: NetworkTrainer = field(default_factory=NetworkTrainer)
    processes: OneProcess = field(default_factory=OneProcess)

    def steps_of(self, n_rows: int) -> int:
        """Count the optimizer's steps in an epoch."""
        return -(-n_rows // (self.batch_size * self.trainer.accumulation_steps))


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
