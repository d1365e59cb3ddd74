"""Training loops with mlcpl's own losses and pseudo-labels.

The loop is that of ``_loops.py``; the loss, or the pseudo-labels, are mlcpl's code with
its defaults. ``_mlcpl.py`` says how the package is entered.

What mlcpl 0.1.7 cannot do by itself:

- Where a batch has no label that counts, its mean is 0 / 0. Such batches are left out,
  as in the other loops.
- Its losses take the logarithm of a sigmoid, and their gradients are NaN where that is
  0 or 1 in single precision, as happens on scene. They get logits clipped to +-15.
- Its pseudo-labels are computed on "cuda", whatever the network is on. The word is
  taken as "cpu" here while they are.
- It does not say when to make pseudo-labels. New ones before every epoch did worse
  than after a half and three quarters of the epochs on emotions: mAP .49 and .56 with
  10 % of the labels known, .63 and .71 with 30 %, seed 0.
- It has no permanent correction of large losses (LL-Cp).
- Its selective loss takes shares of positives but does not estimate them. They are
  the mean probabilities of a loop that ignores unknown labels, as its authors do, and
  the seconds are those of both loops. By default it ignores five times as many unknown
  labels as there are rows, which are all of them where categories are few.
"""

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np
import torch
from _loops import Problem, RowLoss, logits_of, train
from _mlcpl import discarded_prints, import_part
from numpy.typing import NDArray
from torch import Tensor, nn

SIMPLE = {  # losses that need nothing but logits and labels
    "mlcpl_ignore": "PartialBCEWithLogitLoss",
    "mlcpl_negative": "PartialNegativeBCEWithLogitLoss",
}
SELECTIVE = {
    "mlcpl_csl": "PartialSelectiveBCEWithLogitLoss",
    "mlcpl_p_asl": "PartialSelectiveAsymmetricWithLogitLoss",
}
LARGE = {
    "mlcpl_ll_r": "LargeLossRejection",
    "mlcpl_ll_ct": "LargeLossCorrectionTemporary",
}
CURRICULUM = "mlcpl_curriculum"
UPDATES = (0.5, 0.75)  # share of the epochs after which pseudo-labels are made anew
LIMIT = 15.0  # of logits; a sigmoid beyond it may be 0 or 1
_UPDATE_ROWS = 512


def run(name: str, problem: Problem, seed: int) -> NDArray[np.float64]:
    """Train by one of the methods; return the logits of the test rows."""
    if name == CURRICULUM:
        network = train_by_curriculum(problem, seed)
    else:
        network = train(problem, make_loss(name, problem, seed), seed)
    logits = logits_of(network, problem.X_test)
    if not np.isfinite(logits).all():
        raise ArithmeticError("the network's output is NaN or infinite")
    return logits


def make_loss(name: str, problem: Problem, seed: int) -> RowLoss:
    """Build a loss of mlcpl on the labels of a problem."""
    losses = import_part("losses")
    if name in LARGE:
        return on_rows(getattr(losses, LARGE[name])(), problem.y, has_epoch=True)
    if name in SELECTIVE:
        priors = estimated_shares(problem, seed)
        loss = getattr(losses, SELECTIVE[name])(label_priors=priors)
        return on_rows(loss, problem.y)
    return on_rows(getattr(losses, SIMPLE[name])(), problem.y)


def on_rows(loss: Any, y: NDArray[np.float64], *, has_epoch: bool = False) -> RowLoss:
    """Let a loss look its labels up by the rows of a batch."""
    targets = torch.from_numpy(y).float()

    def loss_of(logits: Tensor, rows: Tensor, epoch: int) -> Tensor | None:
        return clipped(loss, logits, targets[rows], *([epoch] if has_epoch else []))

    return loss_of


def clipped(loss: Any, logits: Tensor, targets: Tensor, *epoch: int) -> Tensor | None:
    """Compute a loss of clipped logits; None where no label counts."""
    value: Tensor = loss(logits.clamp(-LIMIT, LIMIT), targets, *epoch)
    # A network that is NaN itself stays so, and is found by its output.
    return None if bool(torch.isnan(value)) else value


def estimated_shares(problem: Problem, seed: int) -> Tensor:
    """Estimate each category's share of positives by an ignoring loop."""
    network = train(problem, make_loss("mlcpl_ignore", problem, seed), seed)
    proba = torch.sigmoid(torch.from_numpy(logits_of(network, problem.X)))
    return proba.mean(dim=0).float()


# --- pseudo-labels ------------------------------------------------------------------


class Rows(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """Inputs and partial labels in the form that mlcpl's pseudo-labels wrap."""

    def __init__(self, problem: Problem) -> None:
        self.X = torch.from_numpy(problem.X)
        self.y = torch.from_numpy(problem.y).float()
        self.num_categories = self.y.shape[1]

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        return self.X[row], self.y[row]


def train_by_curriculum(problem: Problem, seed: int) -> nn.Module:
    """Train on known labels, and in the second half on pseudo-labels as well."""
    labels = import_part("pseudo_labeling").CurriculumLabeling(Rows(problem))
    loss = import_part("losses").PartialBCEWithLogitLoss()
    updates = [round(share * problem.epochs) for share in UPDATES]

    def update(network: nn.Module, epoch: int) -> None:
        if epoch in updates:
            with discarded_prints(), cuda_is_cpu():
                labels.update(network, batch_size=_UPDATE_ROWS, num_workers=0)

    def loss_of(logits: Tensor, rows: Tensor, epoch: int) -> Tensor | None:
        targets = torch.stack([labels[int(row)][1] for row in rows])
        return clipped(loss, logits, targets)

    return train(problem, loss_of, seed, before_epoch=update)


@contextlib.contextmanager
def cuda_is_cpu() -> Iterator[None]:
    """Leave tensors where they are when they are sent to "cuda"."""
    send = torch.Tensor.to

    def to(self: Tensor, *where: Any, **options: Any) -> Tensor:
        return self if where == ("cuda",) else send(self, *where, **options)

    with mock.patch.object(torch.Tensor, "to", to):
        yield
