"""Scores of a network after an epoch, on labels that it was not trained on."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cftlearn._inputs import Inputs
from cftlearn._seeding import seeded_torch
from cftlearn.exceptions import NonFiniteLossError, list_some
from cftlearn.labels._weights import taken
from cftlearn.training import NetworkTrainer
from cftlearn.training._plan import HeldOut, TrainingPlan

_N_NAMED_ROWS = 8  # in an error


def check_patience(trainer: NetworkTrainer, held_out: HeldOut | None) -> None:
    """Check that early stopping has labels to choose the best epoch by.

    Raises
    ------
    ValueError
        If no label is held out, or none by which ``monitor`` can be computed.
    """
    if trainer.patience is None:
        return
    labels = None if held_out is None else held_out.labels
    if labels is None or np.isnan(labels).all():
        raise ValueError(
            "`patience` needs held-out labels and validate=True to stop by; got "
            f"validate={trainer.validate} and no held-out label. Pass patience=None, "
            "or X_val and y_val with known labels."
        )
    has_both = np.any(labels == 1.0, axis=0) & np.any(labels == 0.0, axis=0)
    if trainer.monitor == "score" and not has_both.any():
        raise ValueError(
            "`monitor='score'` needs a category with held-out labels of both classes; "
            "got none. Pass monitor='loss', or patience=None."
        )


def monitored_value(record: dict[str, Any], monitor: str) -> float:
    """Return what early stopping monitors; higher is better."""
    return float(record["val_score"] if monitor == "score" else -record["val_loss"])


def evaluate(
    network: nn.Module, held_out: HeldOut, plan: TrainingPlan, epoch: int
) -> dict[str, float]:
    """Score a network on held-out labels.

    Returns
    -------
    scores : dict
        ``val_loss`` and, where a category has both classes, ``val_score``.

    Raises
    ------
    NonFiniteLossError
        If a logit is NaN or infinite.
    """
    n_categories = held_out.labels.shape[1]
    logits = logits_of_rows(network, held_out.inputs, n_categories, plan, epoch)
    labels = torch.from_numpy(held_out.labels).float().to(plan.device)
    extra = {}
    if held_out.weights is not None:
        extra["weight"] = torch.from_numpy(held_out.weights).float().to(plan.device)
    loss = float(plan.loss(logits.to(plan.device), labels, **extra))
    return {"val_loss": loss} | _score(logits.numpy(), held_out)


@torch.no_grad()
def logits_of_rows(
    network: nn.Module,
    inputs: Inputs,
    n_categories: int,
    plan: TrainingPlan,
    epoch: int,
) -> Tensor:
    """Compute the logits of rows that the network is not trained on, or not yet.

    The seed is set for this block alone, so training continues with the random numbers
    that it would have drawn without the scores.

    Parameters
    ----------
    network : nn.Module
        It is left in evaluation mode.
    inputs : Inputs
        The rows.
    n_categories : int
        How many outputs the network has.
    plan : TrainingPlan
        How to compute.
    epoch : int
        The last epoch, for errors.

    Returns
    -------
    logits : Tensor of shape (n_rows, n_categories), float32, on the CPU
        The same in every process.

    Raises
    ------
    NonFiniteLossError
        If a logit is NaN or infinite.
    """
    n_rows = len(inputs)
    batches = np.array_split(np.arange(n_rows), -(-n_rows // plan.batch_size))
    logits = torch.zeros(n_rows, n_categories)
    network.eval()
    # Each process computes some batches; a layer may draw numbers in evaluation, too.
    with plan.processes.failing_together(), seeded_torch(plan.seed):
        for rows, X in inputs.batches(
            plan.processes.own_parts(batches), num_workers=plan.trainer.num_workers
        ):
            logits[rows] = network(X.to(plan.device)).float().cpu()
    # Every process has filled its own rows; all other rows are 0 there.
    logits = plan.processes.total(logits)
    wrong = torch.nonzero(~torch.isfinite(logits).all(dim=1)).flatten().numpy()
    if len(wrong):
        raise NonFiniteLossError(
            f"Logits of held-out rows must be finite; got NaN or infinity after epoch "
            f"{epoch} ({describe_rows(inputs, wrong)}). Lower "
            "`learning_rate`, or check these rows."
        )
    return logits


def _score(logits: NDArray[np.float32], held_out: HeldOut) -> dict[str, float]:
    """Compute the mean objective of the categories that have both classes."""
    scores = []
    for j, (category_logits, labels) in enumerate(
        zip(logits.T, held_out.labels.T, strict=True)
    ):
        known = ~np.isnan(labels)
        is_positive = labels[known] == 1.0
        if is_positive.any() and not is_positive.all():
            weight = taken(held_out.weights, (known, j))
            scores.append(
                held_out.objective.single(is_positive, category_logits[known], weight)
            )
    return {"val_score": float(np.mean(scores))} if scores else {}


def describe_rows(inputs: Inputs, rows: NDArray[np.intp]) -> str:
    """Name some rows and their files, the first ones if there are many."""
    names = [inputs.location(int(row)).removeprefix("row ") for row in np.sort(rows)]
    return f"rows {list_some(names, _N_NAMED_ROWS)}"
