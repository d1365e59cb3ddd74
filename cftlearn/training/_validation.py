"""How good a network is after an epoch, by labels that it was not trained on."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from cftlearn._inputs import Inputs
from cftlearn._seeding import seeded_torch
from cftlearn.exceptions import NonFiniteLossError
from cftlearn.training import NetworkTrainer
from cftlearn.training._plan import HeldOut, TrainingPlan

_MOST_SHOWN = 8  # rows in an error


def check_patience(trainer: NetworkTrainer, held_out: HeldOut | None) -> None:
    """Refuse early stopping that has nothing to go by."""
    if trainer.patience is None:
        return
    known = None if held_out is None else held_out.labels
    if known is None or not np.any(~np.isnan(known)):
        raise ValueError(
            "`patience` needs held-out labels and validate=True to stop by; got "
            f"validate={trainer.validate} and no held-out label. Pass patience=None, "
            "or validation_data with known labels."
        )
    both = np.any(known == 1.0, axis=0) & np.any(known == 0.0, axis=0)
    if trainer.monitor == "score" and not both.any():
        raise ValueError(
            "`monitor='score'` needs a category with held-out labels of both classes; "
            "got none. Pass monitor='loss', or patience=None."
        )


def gain_of(record: dict[str, Any], monitor: str) -> float:
    """Give what early stopping looks at, higher being better."""
    return float(record["val_score"] if monitor == "score" else -record["val_loss"])


@torch.no_grad()
def evaluate(
    network: nn.Module, held_out: HeldOut, plan: TrainingPlan, epoch: int
) -> dict[str, float]:
    """Score a network on held-out labels; training goes on as if it had not been."""
    n_rows = len(held_out.inputs)
    batches = np.array_split(np.arange(n_rows), -(-n_rows // plan.batch_size))
    logits = torch.zeros(held_out.labels.shape)
    network.eval()
    with plan.processes.agreed(), seeded_torch(plan.seed):
        for rows, X in held_out.inputs.batches(
            plan.processes.deal(batches), num_workers=plan.trainer.num_workers
        ):
            logits[rows] = network(X.to(plan.device)).float().cpu()
    logits = plan.processes.total(logits)
    wrong = torch.nonzero(~torch.isfinite(logits).all(dim=1)).flatten().numpy()
    if len(wrong):
        raise NonFiniteLossError(
            f"Logits of held-out rows must be finite; got NaN or infinity after epoch "
            f"{epoch} ({places_of(held_out.inputs, wrong)}). Lower `learning_rate`, or "
            "check these rows."
        )
    labels = torch.from_numpy(held_out.labels).float().to(plan.device)
    loss = float(plan.loss(logits.to(plan.device), labels))
    return {"val_loss": loss} | _score(logits.numpy(), held_out)


def _score(logits: NDArray[np.float32], held_out: HeldOut) -> dict[str, float]:
    """Average the objective over the categories that have both classes."""
    scores = []
    for scored, label in zip(logits.T, held_out.labels.T, strict=True):
        known = ~np.isnan(label)
        positive = label[known] == 1.0
        if positive.any() and not positive.all():
            scores.append(held_out.objective.single(positive, scored[known]))
    return {"val_score": float(np.mean(scores))} if scores else {}


def places_of(inputs: Inputs, rows: NDArray[np.intp]) -> str:
    """Name some rows and their files."""
    places = [inputs.location(int(row)) for row in np.sort(rows)[:_MOST_SHOWN]]
    more = f", ... of {len(rows)}" if len(rows) > _MOST_SHOWN else ""
    return "rows " + ", ".join(place.removeprefix("row ") for place in places) + more
