"""One epoch of a training: its batches, their losses, the steps of the optimizer."""

import warnings
from collections.abc import Iterator
from contextlib import closing
from copy import copy
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cftlearn._devices import autocast
from cftlearn._inputs import Inputs
from cftlearn.exceptions import NonFiniteLossError, first_line
from cftlearn.losses import make_loss
from cftlearn.losses._known._protocol import KnownLoss
from cftlearn.losses._soft import soft_target_loss
from cftlearn.networks._precision import failure_of, other_precision
from cftlearn.training._distributed import mixed_seed
from cftlearn.training._mixing import check_inputs, make_mix
from cftlearn.training._plan import TrainingPlan
from cftlearn.training._state import TrainingState
from cftlearn.training._targets import Targets
from cftlearn.training._validation import describe_rows


class Fractions(NamedTuple):
    """Cells of a batch over those of the whole step, by weight, for each kind.

    Attributes
    ----------
    known, unknown, soft : float
        Known labels together with pseudo-labels, these by their weights; unknown cells;
        cells with probabilities. Times the number of processes, because gradients are
        averaged over them.
    """

    known: float
    unknown: float = 0.0
    soft: float = 0.0


class Batch(NamedTuple):
    """Rows of a batch that this process trains on.

    Attributes
    ----------
    number : int
        Number of the batch in its epoch, from 1.
    rows : ndarray of int
        Rows, at least one of them with a cell that counts.
    fractions : Fractions
        What share of the step's cells these rows have.
    """

    number: int
    rows: NDArray[np.intp]
    fractions: Fractions


def train_epoch(
    state: TrainingState,
    inputs: Inputs,
    targets: Targets,
    plan: TrainingPlan,
    progress: Any,
) -> dict[str, Any]:
    """Train the network for one epoch.

    Parameters
    ----------
    state : TrainingState
        Changed in place, except its history.
    inputs : Inputs
        Rows.
    targets : Targets
        Labels and unknown cells.
    plan : TrainingPlan
        How to train.
    progress : tqdm
        Progress bar over the steps.

    Returns
    -------
    record : dict
        ``epoch``, mean ``loss`` of its steps, and ``learning_rate`` of the last one.

    Raises
    ------
    NonFiniteLossError
        If a loss is NaN or infinite.
    TypeError, ValueError
        If the network fails on a batch, its output has another shape than the
        labels, or the loss is not a scalar tensor with a gradient.
    """
    n_before = len(state.history)
    if plan.unknown_loss is not None:
        plan.unknown_loss.set_epoch(n_before, plan.max_epochs)
    if not plan.counts_unknown:
        targets = targets._replace(unknown=None)
    epoch = _Epoch(n_before + 1, state, inputs, targets, plan)
    steps = steps_of_epoch(state.order.permutation(len(inputs)), targets, plan)
    return epoch.train(steps, progress)


def steps_of_epoch(
    order: NDArray[np.intp], targets: Targets, plan: TrainingPlan
) -> list[list[Batch]]:
    """Cut rows into the optimizer's steps, and steps into batches.

    Parameters
    ----------
    order : ndarray of int
        All rows, in the order of the epoch.
    targets : Targets
        Labels and unknown cells.
    plan : TrainingPlan
        How to train.

    Returns
    -------
    steps : list of list of Batch
        Batches without a cell that counts are left out; a step may be empty.
    """
    counts, amounts = targets.cells_per_row(), targets.amounts_per_row()
    if plan.replaces_known:  # one loss of both kinds, also where one is absent
        counts[1] += counts[0]
        amounts[1] += counts[0]
    steps, number = [], 0
    # Parts of even size: batch norm cannot train on a single row left over.
    for rows in np.array_split(order, plan.n_steps(len(order))):
        totals = amounts[:, rows].sum(axis=1)
        totals[totals == 0] = 1.0
        step = []
        for part in np.array_split(rows, -(-len(rows) // plan.batch_size)):
            number += 1
            n_counted = counts[:, part].sum(axis=0)
            if n_counted.any():
                own, factor = plan.processes.own_rows(part, n_counted)
                shares = amounts[:, own].sum(axis=1) / totals * factor
                step.append(Batch(number, own, Fractions(*shares.tolist())))
        steps.append(step)
    return steps


@dataclass(frozen=True)
class _Epoch:
    """What the steps of one epoch have in common."""

    number: int
    state: TrainingState
    inputs: Inputs
    targets: Targets
    plan: TrainingPlan

    def train(self, steps: list[list[Batch]], progress: Any) -> dict[str, Any]:
        """Make all steps; return the record of the epoch."""
        plan, state = self.plan, self.state
        losses, rate = [], 0.0
        # One reader for the whole epoch: workers read ahead across steps.
        reads = self._read(batch for step in steps for batch in step)
        plan.processes.seed(plan.seed, self.number)
        state.network.train()
        with closing(reads):  # type: ignore[type-var]
            for step in steps:
                rate = float(state.optimizer.param_groups[0]["lr"])
                has_moved = False
                if step:
                    losses.append(self._add_gradients(step, reads))
                    has_moved = _make_step(state, plan)
                _advance_schedule(state, has_moved)
                progress.update()
        loss = _mean_loss(losses, plan)
        return {"epoch": self.number, "loss": loss, "learning_rate": rate}

    def _read(self, batches: Iterator[Batch]) -> Iterator[Any]:
        trainer = self.plan.trainer
        return self.inputs.batches(
            (batch.rows for batch in batches),
            transform=trainer.augment,
            num_workers=trainer.num_workers,
            seed=mixed_seed(self.plan.seed, self.number, self.plan.processes.rank),
        )

    def _add_gradients(self, step: list[Batch], reads: Iterator[Any]) -> float:
        """Add up the gradients of a step's batches; return the step's mean loss.

        Weighed by their fractions, the means of the batches add up to the means over
        all cells of the step: the gradient is that of one large batch.
        """
        state, processes = self.state, self.plan.processes
        state.optimizer.zero_grad()
        mean = 0.0
        for batch in step:
            with processes.failing_together():
                X = next(reads)[1].to(self.plan.device)
                targets = self.targets.of_rows(batch.rows, self.plan.device)
                X, targets = self._mixed(X, targets, batch)
            # Processes average their gradients once per step, with the last batch.
            is_last = batch is step[-1]
            with processes.no_backward_sync(state.wrapped, enabled=not is_last):
                with processes.failing_together():
                    loss = _batch_loss(state.wrapped, X, targets, batch, self.plan)
                    mean += self._finite_value(loss, batch, X)
                processes.backward(state.scaler.scale(loss))
        return mean

    def _mixed(
        self, X: Tensor, targets: Targets, batch: Batch
    ) -> tuple[Tensor, Targets]:
        """Mix rows of a batch, if asked; seed, epoch and batch say which."""
        plan, mix = self.plan, make_mix(self.plan.trainer.mix)
        if mix is None:
            return X, targets
        check_inputs(X)
        numbers = plan.seed, self.number, batch.number, plan.processes.rank
        generator = torch.Generator().manual_seed(mixed_seed(*numbers))
        mixture = mix.draw(len(X), generator).to(X.device)
        return mixture.inputs(X), targets.mixed(mix, mixture)

    def _finite_value(self, loss: Tensor, batch: Batch, X: Tensor) -> float:
        """Return a loss as a number; raise where it is NaN or infinite."""
        value = float(loss.detach())
        if np.isfinite(value):
            return value
        # Rows whose inputs are not finite are the cause; without one it may be any row.
        is_wrong = ~torch.isfinite(X).flatten(1).all(dim=1).cpu().numpy()
        rows = batch.rows[is_wrong] if is_wrong.any() else batch.rows
        remedy = " pass amp=False," if self.plan.trainer.amp else ""
        raise NonFiniteLossError(
            f"The loss must be finite; got {value} in epoch {self.number}, batch "
            f"{batch.number} ({describe_rows(self.inputs, rows)}). Lower "
            f"`learning_rate`,{remedy} or check these rows."
        )


def _batch_loss(
    network: nn.Module, X: Tensor, targets: Targets, batch: Batch, plan: TrainingPlan
) -> Tensor:
    """Compute a batch's part of the loss of its step.

    What the network and the loss return is checked.
    """
    logits = _outputs(network, X, plan)
    labels = targets.labels
    if not isinstance(logits, Tensor) or logits.shape != labels.shape:
        raise ValueError(
            "`module` must return logits of shape (n_rows, n_categories), here "
            f"{tuple(labels.shape)}; got {_shape_or_type(logits)}."
        )
    # Sums and logarithms of the loss need the digits of single precision.
    logits = logits.float() if plan.trainer.amp else logits
    known, unknown, soft = batch.fractions
    parts = []
    if known and (targets.pseudo is not None or not plan.replaces_known):
        parts.append(_label_loss(logits, targets, plan) * known)
    if unknown and plan.unknown_loss is not None:
        rows = torch.from_numpy(batch.rows).to(logits.device)
        # After mixing, a label counts there as the class that it is nearer to.
        whole = labels if plan.trainer.mix is None else labels.round()
        mean = plan.unknown_loss(logits, whole, targets.unknown, rows)
        parts.append(plan.unknown_weight * mean * unknown)
    if soft and targets.soft is not None:
        mean = soft_target_loss(logits, targets.soft)
        parts.append(plan.soft_weight * mean * soft)
    if not parts:  # a row that stands in, so that this process has one
        return (0.0 * logits).sum()
    return torch.stack(parts).sum()


def _label_loss(logits: Tensor, targets: Targets, plan: TrainingPlan) -> Tensor:
    """Compute the mean loss of labels and pseudo-labels, these by their weights."""
    labels, pseudo, weight = targets.labels, targets.pseudo, targets.pseudo_weight
    if pseudo is None or weight is None:
        # A loss of one's own may be NaN where there is no label: after mixing, that is
        # possible in a batch that had some before.
        if plan.trainer.mix is not None and torch.isnan(labels).all():
            return (0.0 * logits).sum()
        return _known_loss(logits, targets, plan)
    known, total = targets.label_weights().sum(), weight.sum()
    loss = total * _pseudo_loss(logits, pseudo, weight, plan.loss)
    if known and not plan.replaces_known:
        loss = loss + known * _known_loss(logits, targets, plan)
    return loss / (known + total).clamp(min=torch.finfo(loss.dtype).tiny)


def _pseudo_loss(logits: Tensor, pseudo: Tensor, weight: Tensor, loss: Any) -> Tensor:
    """Compute the weighted mean over pseudo-labels, by the loss of known ones.

    A loss of one's own has no weights, and may not take numbers between 0 and 1; binary
    cross-entropy stands in for it.
    """
    per_cell: Any = copy(loss) if isinstance(loss, KnownLoss) else make_loss("bce")
    per_cell.reduction = "mean"
    mean: Tensor = per_cell(logits, pseudo, weight)
    return mean


def _outputs(network: nn.Module, X: Tensor, plan: TrainingPlan) -> Any:
    """Run the network; describe the batch if it fails in training mode alone.

    That it accepts the first row in evaluation mode was checked before.
    """
    try:
        with autocast(plan.device, enabled=plan.trainer.amp):
            return network(X)
    except torch.OutOfMemoryError as error:
        raise torch.OutOfMemoryError(
            f"The network needs more memory than there is on {plan.device} to train on "
            f"{len(X)} rows. Lower `batch_size`. ({first_line(error)})"
        ) from error
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        advice = ""
        if other_precision(network, X) is None:
            advice = (
                " Batch norm cannot train on one row: raise `batch_size`. And "
                "`augment` must return the shape and type that the network takes."
            )
        raise ValueError(
            "`module` must accept batches of rows in training mode; "
            f"{failure_of(network, X, error)}{advice}"
        ) from error


def _known_loss(logits: Tensor, targets: Targets, plan: TrainingPlan) -> Tensor:
    extra = {} if targets.weights is None else {"weight": targets.weights}
    loss = plan.loss(logits, targets.labels, **extra)
    if not isinstance(loss, Tensor) or loss.ndim:
        raise TypeError(
            "`loss` must return a scalar tensor, loss(logits, targets) -> tensor; got "
            f"{_shape_or_type(loss)}."
        )
    if logits.requires_grad and not loss.requires_grad:
        raise ValueError(
            "`loss` must have a gradient with respect to its logits; what it returned "
            "does not depend on them. Compute it by operations of torch, without "
            "detach() and no_grad()."
        )
    return loss


def _shape_or_type(value: Any) -> str:
    if isinstance(value, Tensor):
        return str(tuple(value.shape))
    return type(value).__name__


def _make_step(state: TrainingState, plan: TrainingPlan) -> bool:
    """Move the weights; return False if the scaled gradients overflowed.

    The scaler then leaves the weights as they are and lowers its scale.
    """
    scale = state.scaler.get_scale()
    if plan.trainer.gradient_clip is not None:
        state.scaler.unscale_(state.optimizer)  # the norm to clip is the unscaled one
        nn.utils.clip_grad_norm_(state.network.parameters(), plan.trainer.gradient_clip)
    state.scaler.step(state.optimizer)
    state.scaler.update()
    if state.average is not None:
        state.average.update(state.network)
    return bool(state.scaler.get_scale() >= scale)


def _advance_schedule(state: TrainingState, has_moved: bool) -> None:
    """Advance the schedule, after a step without known labels too.

    Its number of steps is fixed: a cycle that skipped some would not end.
    """
    if has_moved:
        state.schedule.step()
        return
    with warnings.catch_warnings():
        # The warning holds no news: there was nothing to step on.
        warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step")
        state.schedule.step()


def _mean_loss(losses: list[float], plan: TrainingPlan) -> float:
    """Average over steps and processes; 0 without any known label."""
    if not losses:
        return 0.0
    total = plan.processes.total(torch.tensor(losses, dtype=torch.float64))
    return float(total.numpy().mean() / plan.processes.size)
