"""The trainings of one classifier: without the held-out labels, and again with all."""

from copy import copy
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from cftlearn._inputs import Inputs
from cftlearn._inputs._rows import join_inputs
from cftlearn.feature_extraction._widening import Layers, scale_blocks, widen_network
from cftlearn.labels._encoding import PartialLabels
from cftlearn.labels._known_rates import KnownRates, LabelTotals
from cftlearn.labels._label_split import LabelSplit, TrainingTargets, sample_unknown
from cftlearn.labels._names import align_by_category
from cftlearn.labels._pseudo_labels import PseudoTargets, no_pseudo
from cftlearn.labels._weights import Weights, joined_weights
from cftlearn.losses._registry import TREATMENTS, estimates_rates
from cftlearn.losses._unknown._protocol import UnknownLoss
from cftlearn.metrics._objectives import Objective
from cftlearn.networks._heads import find_head, head_weights
from cftlearn.networks._making import copy_or_make
from cftlearn.training import NetworkTrainer
from cftlearn.training._distributed import processes_of
from cftlearn.training._plan import HeldOut, Loss, TrainingPlan, make_plan
from cftlearn.training._rate_probe import RateProbe
from cftlearn.training._stage_one import StageOne, fit_network

# The folder of the second training's checkpoint, in that of the first.
SECOND = "second"


@dataclass(frozen=True)
class TrainingSettings:
    """The parameters of a classifier that its trainings follow.

    Attributes
    ----------
    module : nn.Module or callable
        The network, or what makes it.
    head : str or None
        Name of its classification layer; None finds it.
    train : bool
        False takes the network as it is.
    unknown : str or UnknownLoss
        A name of :data:`cftlearn.losses._registry.TREATMENTS`, or a loss of unknown
        labels.
    loss : str or callable
        A name of :func:`cftlearn.losses.available`, or a loss.
    layers : sequence of str, "auto" or None
        Layers whose output stands beside the features of the last one.
    trainer : NetworkTrainer
        The finer parameters.
    max_epochs, batch_size : int
        Passes over the data, and rows at a time.
    learning_rate : float
        Peak of the schedule.
    device : str
        ``"auto"``, or a torch device.
    verbose : int
        Above 0, shows progress bars.
    """

    module: Any
    head: str | None
    train: bool
    unknown: str | UnknownLoss
    loss: str | Loss
    layers: Layers | None
    trainer: NetworkTrainer
    max_epochs: int
    batch_size: int
    learning_rate: float
    device: str
    verbose: int

    @classmethod
    def of(cls, classifier: Any) -> Self:
        """Take the parameters that a classifier has by the same names."""
        own = {each.name: getattr(classifier, each.name) for each in fields(cls)}
        trainer = own["trainer"] or NetworkTrainer()
        if trainer.pos_weight is not None:
            trainer = copy(trainer)  # in which factors with names have an order
            trainer.pos_weight = align_by_category(
                trainer.pos_weight, classifier.categories_, "pos_weight"
            )
        return cls(**own | {"trainer": trainer})

    def plan(
        self,
        targets: TrainingTargets,
        seed: int,
        trainer: NetworkTrainer | None = None,
        max_epochs: int | None = None,
        *,
        weighted: bool = False,
    ) -> TrainingPlan:
        """Build the plan of one training."""
        return make_plan(
            self.trainer if trainer is None else trainer,
            targets,
            loss=self.loss,
            unknown=self.unknown if targets.soft is None else "ignore",
            max_epochs=self.max_epochs if max_epochs is None else max_epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            seed=seed,
            device=self.device,
            verbose=self.verbose,
            weighted=weighted and self.train,
        )

    def targets(
        self,
        split: LabelSplit,
        left_out: NDArray[np.bool_] | None = None,
        soft: NDArray[np.float32] | None = None,
        pseudo: PseudoTargets | None = None,
    ) -> TrainingTargets:
        """Return what to train on.

        Parameters
        ----------
        split : LabelSplit
            The labels.
        left_out : ndarray of shape (n_samples, n_categories), bool, default=None
            Unknown cells that do not count.
        soft : ndarray of shape (n_samples, n_categories), float32, default=None
            Probabilities of unknown cells, in place of their treatment.
        pseudo : PseudoTargets, default=None
            Targets of unknown cells from outside, in place of both.
        """
        targets = self._without_pseudo(split, left_out, soft)
        if pseudo is None:
            return targets
        seen = split.unknown_to_fit()
        return targets.with_pseudo(
            pseudo.restricted_to(seen if left_out is None else seen & ~left_out)
        )

    def _without_pseudo(
        self,
        split: LabelSplit,
        left_out: NDArray[np.bool_] | None,
        soft: NDArray[np.float32] | None,
    ) -> TrainingTargets:
        weights = split.training_weights() if self.train else None
        if soft is not None:
            usable = np.where(split.unknown_to_fit(), soft, np.float32(np.nan))
            return TrainingTargets(
                split.targets("ignore"), soft=usable, weights=weights
            )
        negative = self.unknown == "negative"
        values = split.targets("negative" if negative else "ignore")
        if isinstance(self.unknown, str) and TREATMENTS[self.unknown] is None:
            return TrainingTargets(values, weights=weights)
        unknown = split.unknown_to_fit()
        if left_out is not None:
            unknown &= ~left_out
        return TrainingTargets(values, unknown, weights=weights)


def train_without_held_out(
    settings: TrainingSettings,
    inputs: Inputs,
    inputs_val: Inputs,
    split: LabelSplit,
    objective: Objective,
    *,
    fraction: float,
    cell_seeds: NDArray[np.integer],
    seed: int,
    soft: NDArray[np.float32] | None = None,
    pseudo: PseudoTargets | None = None,
    rates: KnownRates | None = None,
    folder: str = "",
) -> StageOne:
    """Train a network on labels to fit; held-out labels only score it.

    Parameters
    ----------
    settings : TrainingSettings
        How.
    inputs, inputs_val : Inputs
        Rows to train on, and rows with held-out labels.
    split : LabelSplit
        Labels of these rows.
    objective : Objective
        What to score epochs by.
    fraction : float
        Share of the unknown cells to leave out as well, where the treatment of unknown
        cells estimates rates by those that it has not seen.
    cell_seeds : ndarray of shape (n_categories,), int
        Seeds that choose them.
    seed : int
        Seed of the training.
    soft : ndarray of shape (n_samples, n_categories), float32, default=None
        Probabilities of unknown cells, as targets.
    pseudo : PseudoTargets, default=None
        Targets of unknown cells from outside, or chosen.
    rates : KnownRates, default=None
        How often labels are known, by an earlier training; then none is estimated.
    folder : str, default=""
        The folder of this training, in that of the trainer's checkpoint.

    Returns
    -------
    stage_one : StageOne
        The network.

    Raises
    ------
    TypeError, ValueError, NonFiniteLossError
        As :func:`~cftlearn.training._stage_one.fit_network`.
    """
    check_layers(settings, inputs, split, seed)
    to_judge = split.weights if split.same_rows else split.weights_val
    held_out = HeldOut(inputs_val, split.held_out.values, objective, to_judge)
    left_out, probe = None, None
    needs_rates = rates is None and soft is None and estimates_rates(settings.unknown)
    if settings.train and needs_rates:
        left_out = sample_unknown(split, fraction, cell_seeds)
        totals = LabelTotals.of(split.all_of_rows().values)
        probe = RateProbe(held_out, inputs, left_out, totals)
    targets = settings.targets(split, left_out, soft, pseudo)
    trainer = _in_folder(settings.trainer, folder)
    plan = settings.plan(targets, seed, trainer, weighted=split.is_weighted)
    if plan.unknown_loss is not None and rates is not None:
        plan.unknown_loss.set_rates(rates)
    made = fit_network(
        plan,
        settings.module,
        inputs,
        targets,
        held_out,
        probe,
        head=settings.head,
        train=settings.train,
    )
    return widen(made, settings, inputs)


def train_on_all_labels(
    settings: TrainingSettings,
    first: StageOne,
    inputs: Inputs,
    inputs_val: Inputs,
    split: LabelSplit,
    *,
    seed: int,
    soft: NDArray[np.float32] | None = None,
    pseudo: PseudoTargets | None = None,
    folder: str = SECOND,
) -> StageOne:
    """Train the network again, on the held-out labels too.

    Parameters
    ----------
    settings : TrainingSettings
        How.
    first : StageOne
        The first training, which says how many epochs to train for, and the rates at
        which labels are known.
    inputs, inputs_val, split
        As in :func:`train_without_held_out`.
    seed : int
        Seed of the training.
    soft : ndarray of shape (n_samples, n_categories), float32, default=None
        Probabilities of unknown cells of ``inputs``, as targets.
    pseudo : PseudoTargets, default=None
        Targets of unknown cells of ``inputs`` from outside.
    folder : str, default="second"
        The folder of this training, in that of the trainer's checkpoint.

    Returns
    -------
    stage_one : StageOne
        The network.

    Raises
    ------
    TypeError, ValueError, NonFiniteLossError
        As :func:`~cftlearn.training._stage_one.fit_network`.
    """
    every = _all_fitted(split.all_of_rows(), split.weights)
    targets = settings.targets(every, soft=soft, pseudo=pseudo)
    if not split.same_rows:
        inputs = join_inputs(inputs, inputs_val)
        no_soft = None
        if soft is not None:  # rows that only choose have no such targets
            no_soft = np.full(split.held_out.values.shape, np.nan, dtype=np.float32)
        held_out = _all_fitted(split.held_out, split.weights_val)
        others = settings.targets(held_out, soft=no_soft)
        if pseudo is not None:
            others = others.with_pseudo(no_pseudo(others.values.shape))
        targets = _joined(targets, others)
    trainer = _in_folder(settings.trainer, folder)
    max_epochs = settings.max_epochs
    if trainer.patience is not None:
        # No label is left to stop by, and the best epoch is known.
        trainer = clone(trainer).set_params(patience=None)
        max_epochs = first.n_epochs
    plan = settings.plan(targets, seed, trainer, max_epochs)
    if plan.unknown_loss is not None and first.rates is not None:
        plan.unknown_loss.set_rates(first.rates)
    made = fit_network(plan, settings.module, inputs, targets, head=settings.head)
    return widen(made, settings, inputs)


def check_other_rows(settings: TrainingSettings, split: LabelSplit) -> None:
    """Raise now what training on all labels would raise only after a training.

    Raises
    ------
    ValueError
        If the loss of unknown labels has values of the rows to fit, and there are
        other rows.
    """
    loss = settings.unknown
    if isinstance(loss, str) or split.same_rows or not settings.train:
        return
    if loss.has_values_of_rows:
        raise ValueError(
            "`retrain` must be False where `unknown` has values of the rows of X, and "
            "X_val other rows, which the network is trained on at last; got "
            f"unknown={type(loss).__name__}(...). Pass retrain=False, or no X_val."
        )


def _all_fitted(labels: PartialLabels, weights: Weights | None) -> LabelSplit:
    """Hold nothing out."""
    nothing = labels.restricted_to(np.array(False))
    return LabelSplit(labels, nothing, same_rows=True, weights=weights)


def _joined(first: TrainingTargets, second: TrainingTargets) -> TrainingTargets:
    """Join targets of the same kind."""
    unknown, soft, pseudo, pseudo_weight = (
        None if one is None else np.concatenate([one, other])
        for one, other in zip(first[1:5], second[1:5], strict=True)
    )
    weights = joined_weights(
        [first.weights, second.weights], [len(first.values), len(second.values)]
    )
    values = np.concatenate([first.values, second.values])
    return TrainingTargets(values, unknown, soft, pseudo, pseudo_weight, weights)


def _in_folder(trainer: NetworkTrainer, folder: str) -> NetworkTrainer:
    """Return a trainer whose checkpoint is a folder in that of another one."""
    if not folder or trainer.checkpoint is None:
        return trainer
    return clone(trainer).set_params(checkpoint=Path(trainer.checkpoint) / folder)


def check_layers(
    settings: TrainingSettings, inputs: Inputs, split: LabelSplit, seed: int
) -> None:
    """Raise now what widening the network would raise only after hours of training.

    Parameters
    ----------
    settings : TrainingSettings
        Its ``layers``; None needs no check.
    inputs : Inputs
        Rows.
    split : LabelSplit
        Their labels.
    seed : int
        Seed of the network.

    Raises
    ------
    TypeError, ValueError
        As :func:`~cftlearn.feature_extraction._widening.widen_network`.
    """
    if settings.layers is None:
        return
    network = copy_or_make(settings.module, seed)
    head = find_head(network, settings.head, split.fitted.values.shape[1])
    device = processes_of(settings.trainer.fabric).resolve_device(settings.device)
    widen_network(network, head, settings.layers, inputs.take([0]), device)


def widen(made: StageOne, settings: TrainingSettings, inputs: Inputs) -> StageOne:
    """Put features of other layers beside those of the last one, if asked.

    Parameters
    ----------
    made : StageOne
        A network whose features are those of its last layer.
    settings : TrainingSettings
        Its ``layers``; None leaves the network as it is.
    inputs : Inputs
        Rows, on which the scales of features are measured.

    Returns
    -------
    wide : StageOne
        With the same logits.
    """
    if settings.layers is None:
        return made
    network, head = widen_network(
        made.network, made.head, settings.layers, inputs.take([0]), made.device
    )
    scale_blocks(
        network,
        inputs,
        batch_size=settings.batch_size,
        device=made.device,
        num_workers=settings.trainer.num_workers,
    )
    coef, intercept = head_weights(network, head)
    return replace(made, network=network, head=head, coef=coef, intercept=intercept)
