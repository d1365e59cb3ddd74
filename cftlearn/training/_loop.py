"""Stage one: train a network on labels of which some are unknown."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from tqdm.auto import tqdm

from cftlearn._devices import half_precision
from cftlearn._files import digest
from cftlearn._inputs import Inputs
from cftlearn._seeding import seeded_torch
from cftlearn.labels._known_rates import KnownRates
from cftlearn.labels._label_split import TrainingTargets
from cftlearn.training._epoch import train_epoch
from cftlearn.training._optimization import MovingAverage, make_optimizer, make_schedule
from cftlearn.training._plan import HeldOut, TrainingPlan
from cftlearn.training._rate_probe import RateProbe
from cftlearn.training._state import TrainingState, load_state, save_state, state_path
from cftlearn.training._targets import Targets
from cftlearn.training._validation import check_patience, evaluate, monitored_value


class Trained(NamedTuple):
    """What is left of a training, beside the network.

    Attributes
    ----------
    history : list of dict, one per epoch
        ``epoch``, mean ``loss`` of its steps, and ``learning_rate`` of the last one;
        with held-out labels also ``val_loss`` and, where a category has both classes,
        ``val_score``; after an estimate of rates ``known_log_ratio`` and, where labels
        can tell, ``known_z``.
    n_epochs : int
        The epoch whose weights are kept.
    rates : KnownRates or None
        The last estimate of how often labels are known.
    """

    history: list[dict[str, Any]]
    n_epochs: int
    rates: KnownRates | None


def train_network(
    network: nn.Module,
    inputs: Inputs,
    targets: TrainingTargets,
    plan: TrainingPlan,
    held_out: HeldOut | None = None,
    probe: RateProbe | None = None,
) -> Trained:
    """Train a network in place, and leave it in evaluation mode.

    Parameters
    ----------
    network : nn.Module
        Maps a batch of ``inputs`` to logits of shape (n_rows, n_categories).
    inputs : Inputs
        Rows.
    targets : TrainingTargets
        Known labels, and the unknown cells that the plan's loss counts.
    plan : TrainingPlan
        How to train.
    held_out : HeldOut, default=None
        What to score every epoch by; early stopping needs it.
    probe : RateProbe, default=None
        What to estimate by how often labels of each class are known, after a warm-up
        and at the end. The plan's loss takes the first estimate.

    Returns
    -------
    trained : Trained
        The history, and what a further training can use.

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
    path = _state_path(network, inputs, targets, plan, held_out)
    network.to(plan.device).train()
    n_steps = plan.n_steps(len(inputs))
    tensors = Targets.of(targets)
    state = _initial_state(network, plan, n_steps)
    progress = tqdm(
        total=plan.max_epochs * n_steps,
        desc="training the network",
        unit="step",
        disable=None if plan.verbose and processes.is_first else True,
    )
    # The seed comes before the state: a checkpoint restores the generators as well.
    with progress, seeded_torch(plan.seed):
        if plan.unknown_loss is not None:
            plan.unknown_loss.start(tensors.labels, tensors.unknown)
            plan.unknown_loss.to(plan.device)
        with processes.failing_together():
            load_state(path, state)
        processes.check_same(
            n_rows=len(inputs),
            labels=digest(*targets),
            random_state=plan.seed,
            epochs=len(state.history),
        )
        progress.update(n_steps * len(state.history))
        _set_rates(plan, state.rates)
        while not _is_over(state, plan):
            record = train_epoch(state, inputs, tensors, plan, progress)
            _finish_epoch(record, state, plan, held_out, probe, path)
            progress.set_postfix(_postfix(state.history[-1]))
    state.set_final_weights()
    if probe is not None and len(state.history) < plan.max_epochs:
        # Stopped early: no epoch was due for the estimate that ends a training.
        last = state.history[-1]
        last |= _estimate_rates(state.network, state, plan, probe, last["epoch"])
    n_epochs = len(state.history) if state.best is None else state.best.epoch
    return Trained(state.history, n_epochs, state.rates)


def _state_path(
    network: nn.Module,
    inputs: Inputs,
    targets: TrainingTargets,
    plan: TrainingPlan,
    held_out: HeldOut | None,
) -> Path | None:
    """Return the file that training continues from; the first process chooses it."""
    path = None
    with plan.processes.failing_together():
        # Without a checkpoint, digests would read all inputs for nothing.
        if plan.processes.is_first and plan.trainer.checkpoint is not None:
            path = state_path(
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
                labels=tuple(targets),
                unknown=(plan.unknown_loss, plan.unknown_weight, plan.soft_weight),
                validation=()
                if held_out is None
                else (held_out.inputs, held_out.labels, held_out.weights),
                objective=None if held_out is None else held_out.objective.name,
            )
    return plan.processes.broadcast(path)


def _initial_state(
    network: nn.Module, plan: TrainingPlan, n_steps: int
) -> TrainingState:
    trainer = plan.trainer
    optimizer = make_optimizer(network, trainer, plan.learning_rate)
    # float16 has no room for small gradients; bfloat16 has that of single precision.
    scales = trainer.amp and half_precision(plan.device) == torch.float16
    # Fabric sets all processes to the weights of the first; copies come afterwards.
    wrapped = plan.processes.wrap(network)
    decay = trainer.ema_decay
    return TrainingState(
        network=network,
        wrapped=wrapped,
        optimizer=optimizer,
        schedule=make_schedule(optimizer, trainer, plan.max_epochs * n_steps),
        scaler=torch.amp.GradScaler(torch.device(plan.device).type, enabled=scales),
        average=None if decay is None else MovingAverage(network, decay),
        order=np.random.default_rng(plan.seed),
        unknown_loss=plan.unknown_loss,
    )


def _is_over(state: TrainingState, plan: TrainingPlan) -> bool:
    n_epochs = len(state.history)
    patience = plan.trainer.patience
    if patience is not None and state.best is not None:
        return n_epochs >= min(plan.max_epochs, state.best.epoch + patience)
    return n_epochs >= plan.max_epochs


def _finish_epoch(
    record: dict[str, Any],
    state: TrainingState,
    plan: TrainingPlan,
    held_out: HeldOut | None,
    probe: RateProbe | None,
    path: Path | None,
) -> None:
    """Score an epoch, put its record into the history, and save the state."""
    processes = plan.processes
    processes.broadcast_buffers(state.network, state.evaluated)
    if held_out is not None:
        record |= evaluate(state.evaluated, held_out, plan, record["epoch"])
    if probe is not None and probe.is_due(record["epoch"], plan.max_epochs):
        epoch = record["epoch"]
        record |= _estimate_rates(state.evaluated, state, plan, probe, epoch)
        _set_rates(plan, state.rates)
    # Devices may round differently, and all processes must stop after the same epoch.
    record = processes.broadcast(record)
    state.history.append(record)
    if plan.trainer.patience is not None:
        state.update_best(monitored_value(record, plan.trainer.monitor))
    with processes.failing_together():
        if processes.is_first:
            save_state(path, state)


def _estimate_rates(
    network: nn.Module,
    state: TrainingState,
    plan: TrainingPlan,
    probe: RateProbe,
    epoch: int,
) -> dict[str, Any]:
    """Put an estimate by a network into the state; return its part of the record."""
    rates = probe.estimate(network, plan, epoch)
    state.rates = plan.processes.broadcast(rates)
    record = {"known_log_ratio": state.rates.log_ratio, "known_z": state.rates.z}
    # NaN, where no label can tell, would make equal histories unequal.
    return {name: value for name, value in record.items() if not np.isnan(value)}


def _set_rates(plan: TrainingPlan, rates: KnownRates | None) -> None:
    if plan.unknown_loss is not None and rates is not None:
        plan.unknown_loss.set_rates(rates)


def _postfix(record: dict[str, Any]) -> dict[str, str]:
    """Format the numbers of an epoch for the progress bar."""
    names = [name for name in ("loss", "val_loss", "val_score") if name in record]
    numbers = {name: f"{record[name]:.4f}" for name in names}
    return {"epoch": str(record["epoch"])} | numbers
