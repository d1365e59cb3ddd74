"""Stage one: train a network on labels of which some are unknown."""

import warnings
from contextlib import closing, nullcontext
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm.auto import tqdm

from cftlearn._files import digest
from cftlearn._inputs import Inputs
from cftlearn._seeding import seeded_torch
from cftlearn.exceptions import NonFiniteLossError
from cftlearn.training._distributed import mixed_seed
from cftlearn.training._optimization import MovingAverage, make_optimizer, make_schedule
from cftlearn.training._plan import HeldOut, TrainingPlan
from cftlearn.training._state import (
    TrainingState,
    load_state,
    save_state,
    state_place,
)
from cftlearn.training._validation import check_patience, evaluate, gain_of, places_of


class _Batch(NamedTuple):
    number: int
    rows: NDArray[np.intp]
    share: float  # of the known labels of its step, averaged over processes


def train_network(
    network: nn.Module,
    inputs: Inputs,
    targets: NDArray[np.float64],
    plan: TrainingPlan,
    held_out: HeldOut | None = None,
) -> list[dict[str, Any]]:
    """Train a network in place, and leave it in evaluation mode.

    Parameters
    ----------
    network : nn.Module
        Maps a batch of ``inputs`` to logits of shape (n_rows, n_categories).
    inputs : Inputs
        Rows.
    targets : ndarray of shape (n_samples, n_categories)
        1, 0, or NaN for cells to leave out.
    plan : TrainingPlan
        How to train.
    held_out : HeldOut, default=None
        What to score every epoch by; early stopping needs it.

    Returns
    -------
    history : list of dict, one per epoch
        ``epoch``, mean ``loss`` of its steps, and ``learning_rate`` of the last one;
        with ``held_out`` also ``val_loss`` and, where a category has both classes,
        ``val_score``.

    Raises
    ------
    NonFiniteLossError
        If a loss is NaN or infinite; names the epoch, the batch and its rows. Or a
        logit of ``held_out`` is.
    ValueError
        If the network's output has another shape than the targets, early stopping
        has nothing to go by, or the checkpoint is not of this training.
    """
    check_patience(plan.trainer, held_out)
    processes = plan.processes
    place = None
    with processes.agreed():
        if processes.is_first:
            place = _place(network, inputs, targets, plan, held_out)
    place = processes.of_first(place)
    network.to(plan.device).train()
    n_steps = plan.steps_of(len(inputs))
    state = _begin(network, plan, n_steps)
    labels = torch.from_numpy(targets).float()
    progress = tqdm(
        total=plan.max_epochs * n_steps,
        desc="training the network",
        unit="step",
        disable=None if plan.verbose and processes.is_first else True,
    )
    with progress, seeded_torch(plan.seed):
        with processes.agreed():
            load_state(place, state)
        processes.check_same(
            n_rows=len(inputs),
            labels=digest(targets),
            random_state=plan.seed,
            epochs=len(state.history),
        )
        progress.update(n_steps * len(state.history))
        while not _is_over(state, plan):
            record = _train_epoch(state, inputs, labels, plan, progress)
            processes.align(state.network, state.evaluated)
            if held_out is not None:
                record |= evaluate(state.evaluated, held_out, plan, record["epoch"])
            record = processes.of_first(record)
            state.history.append(record)
            if plan.trainer.patience is not None:
                state.note(gain_of(record, plan.trainer.monitor))
            with processes.agreed():
                if processes.is_first:
                    save_state(place, state)
            progress.set_postfix(_shown(record))
    state.finish()
    return state.history


def _place(
    network: nn.Module,
    inputs: Inputs,
    targets: NDArray[np.float64],
    plan: TrainingPlan,
    held_out: HeldOut | None,
) -> Any:
    """Name the file that training goes on from."""
    if plan.trainer.checkpoint is None:  # or all inputs would be read for nothing
        return None
    return state_place(
        plan.trainer,
        network,
        loss=plan.loss,
        max_epochs=plan.max_epochs,
        batch_size=plan.batch_size,
        learning_rate=plan.learning_rate,
        seed=plan.seed,
        device=plan.device,
        processes=(plan.processes.size, plan.processes.precision),
        inputs=inputs,
        labels=targets,
        validation=() if held_out is None else held_out[:2],
        objective=None if held_out is None else held_out.objective.name,
    )


def _begin(network: nn.Module, plan: TrainingPlan, n_steps: int) -> TrainingState:
    trainer = plan.trainer
    optimizer = make_optimizer(network, trainer, plan.learning_rate)
    scales = trainer.amp and torch.device(plan.device).type == "cuda"
    decay = trainer.ema_decay
    wrapped = plan.processes.wrap(network)  # before there are copies of its weights
    return TrainingState(
        network=network,
        wrapped=wrapped,
        optimizer=optimizer,
        schedule=make_schedule(optimizer, trainer, plan.max_epochs * n_steps),
        scaler=torch.amp.GradScaler("cuda", enabled=scales),
        average=None if decay is None else MovingAverage(network, decay),
        order=np.random.default_rng(plan.seed),
    )


def _train_epoch(
    state: TrainingState,
    inputs: Inputs,
    labels: Tensor,
    plan: TrainingPlan,
    progress: Any,
) -> dict[str, Any]:
    processes, epoch = plan.processes, len(state.history) + 1
    steps = _steps_of_epoch(state.order.permutation(len(inputs)), labels, plan)
    read = inputs.batches(
        (batch.rows for step in steps for batch in step),
        transform=plan.trainer.augment,
        num_workers=plan.trainer.num_workers,
        seed=mixed_seed(plan.seed, epoch, processes.rank),
    )
    processes.seed(plan.seed, epoch)
    losses, rate = [], 0.0
    state.network.train()
    with closing(read):  # type: ignore[type-var]
        for step in steps:
            state.optimizer.zero_grad()
            loss = 0.0
            for batch in step:
                with processes.agreed():
                    X = next(read)[1].to(plan.device)
                    y = labels[batch.rows].to(plan.device)
                with processes.unfinished(state.wrapped, batch is not step[-1]):
                    with processes.agreed():
                        part = _batch_loss(state.wrapped, X, y, plan)
                        value = float(part.detach())
                        if not np.isfinite(value):
                            where = f"epoch {epoch}, batch {batch.number}"
                            places = places_of(inputs, _suspects(batch.rows, X))
                            message = _non_finite(value, where, places, plan)
                            raise NonFiniteLossError(message)
                    processes.backward(state.scaler.scale(part * batch.share))
                loss += value * batch.share
            rate = float(state.optimizer.param_groups[0]["lr"])
            if step:
                losses.append(loss)
            _move_on(state, bool(step) and _make_step(state, plan))
            progress.update()
    return {"epoch": epoch, "loss": _mean(losses, plan), "learning_rate": rate}


def _steps_of_epoch(
    order: NDArray[np.intp], labels: Tensor, plan: TrainingPlan
) -> list[list[_Batch]]:
    """Cut rows into the optimizer's steps, and these into batches with known labels."""
    n_known = (~torch.isnan(labels)).sum(dim=1).numpy()
    steps, number = [], 0
    # Parts of even size: batch norm cannot train on a single row left over.
    for rows in np.array_split(order, plan.steps_of(len(order))):
        total = int(n_known[rows].sum())
        step = []
        for part in np.array_split(rows, -(-len(rows) // plan.batch_size)):
            number += 1
            if n_known[part].any():
                own, counted = plan.processes.share(part, n_known[part])
                step.append(_Batch(number, own, counted / total))
        steps.append(step)
    return steps


def _mean(losses: list[float], plan: TrainingPlan) -> float:
    """Average over steps and processes."""
    if not losses:
        return 0.0
    total = plan.processes.total(torch.tensor(losses, dtype=torch.float64))
    return float(total.numpy().mean() / plan.processes.size)


def _make_step(state: TrainingState, plan: TrainingPlan) -> bool:
    """Move the weights; False if the scaled gradients were too large for it."""
    scale = state.scaler.get_scale()
    if plan.trainer.gradient_clip is not None:
        state.scaler.unscale_(state.optimizer)
        nn.utils.clip_grad_norm_(state.network.parameters(), plan.trainer.gradient_clip)
    state.scaler.step(state.optimizer)
    state.scaler.update()
    if state.average is not None:
        state.average.update(state.network)
    return bool(state.scaler.get_scale() >= scale)


def _batch_loss(
    network: nn.Module, X: Tensor, targets: Tensor, plan: TrainingPlan
) -> Tensor:
    with _half_precision(plan):
        logits = network(X)
    if not isinstance(logits, Tensor) or logits.shape != targets.shape:
        got = (
            tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        )
        raise ValueError(
            "`module` must return logits of shape (n_rows, n_categories), here "
            f"{tuple(targets.shape)}; got {got}."
        )
    loss = plan.loss(logits.float() if plan.trainer.amp else logits, targets)
    if not isinstance(loss, Tensor) or loss.ndim:
        got = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
        raise TypeError(
            "`loss` must return a scalar tensor, loss(logits, targets) -> tensor; got "
            f"{got}."
        )
    return loss


def _half_precision(plan: TrainingPlan) -> torch.autocast:
    kind = torch.device(plan.device).type
    precision = torch.float16 if kind == "cuda" else torch.bfloat16
    return torch.autocast(kind, dtype=precision, enabled=plan.trainer.amp)


def _is_over(state: TrainingState, plan: TrainingPlan) -> bool:
    n_epochs = len(state.history)
    patience = plan.trainer.patience
    if patience is not None and state.best is not None:
        return n_epochs >= min(plan.max_epochs, state.best.epoch + patience)
    return n_epochs >= plan.max_epochs


def _shown(record: dict[str, Any]) -> dict[str, str]:
    """Give what the progress bar shows of an epoch."""
    names = [name for name in ("loss", "val_loss", "val_score") if name in record]
    shown = {name: f"{record[name]:.4f}" for name in names}
    return {"epoch": str(record["epoch"])} | shown


def _move_on(state: TrainingState, stepped: bool) -> None:
    """Move the schedule on, also where the optimizer had nothing to do."""
    with warnings.catch_warnings() if not stepped else nullcontext():
        if not stepped:
            warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step")
        state.schedule.step()


def _suspects(rows: NDArray[np.intp], X: Tensor) -> NDArray[np.intp]:
    """Give the rows whose inputs are not finite, or all if these all are."""
    wrong = ~torch.isfinite(X).flatten(1).all(dim=1).cpu().numpy()
    return rows[wrong] if wrong.any() else rows


def _non_finite(value: float, where: str, places: str, plan: TrainingPlan) -> str:
    half = " pass amp=False," if plan.trainer.amp else ""
    return (
        f"The loss must be finite; got {value} in {where} ({places}). Lower "
        f"`learning_rate`,{half} or check these rows."
    )
