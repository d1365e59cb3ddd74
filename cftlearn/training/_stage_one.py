"""Stage one of a classifier: its inputs, its network, its features."""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import gen_batches
from torch import nn

from cftlearn._inputs import Inputs
from cftlearn.feature_extraction._in_memory import extract_features
from cftlearn.labels import PartialLabels
from cftlearn.metrics._objectives import Objective
from cftlearn.networks._heads import find_head, head_weights
from cftlearn.networks._making import copy_or_make
from cftlearn.training import NetworkTrainer
from cftlearn.training._distributed import processes_of
from cftlearn.training._loop import train_network
from cftlearn.training._optimization import positive_weights
from cftlearn.training._plan import HeldOut, TrainingPlan, make_loss


class StageOneSettings(Protocol):
    """What stage one reads of a classifier's parameters."""

    module: Any
    head: str | None
    train: bool
    trainer: NetworkTrainer | None
    device: str
    loss: Any
    max_epochs: int
    batch_size: int
    learning_rate: float
    verbose: int


class FittedNetwork(Protocol):
    """What features are extracted with."""

    module_: Any
    head_: Any
    device_: str
    batch_size: int
    trainer: NetworkTrainer | None


class StageOne(NamedTuple):
    """What stage one made.

    Attributes
    ----------
    network : nn.Module
        In evaluation mode, if it was trained.
    head : str
        Name of its classification layer.
    device : str
        Where torch computes.
    history : list of dict
        One record per epoch.
    coef : ndarray of shape (n_categories, n_features)
        Rows of the classification layer.
    intercept : ndarray of shape (n_categories,)
        Their biases.
    """

    network: nn.Module
    head: str
    device: str
    history: list[dict[str, Any]]
    coef: NDArray[np.float64]
    intercept: NDArray[np.float64]


def fit_network(
    settings: StageOneSettings,
    inputs: Inputs,
    targets: NDArray[np.float64],
    held_out: tuple[Inputs, PartialLabels, Objective],
    seed: int,
) -> StageOne:
    """Make a classifier's network: copied, checked, and trained if asked.

    Parameters
    ----------
    settings : StageOneSettings
        The classifier.
    inputs : Inputs
        Rows to train on.
    targets : ndarray of shape (n_samples, n_categories)
        1, 0, or NaN for cells to leave out.
    held_out : tuple of Inputs, PartialLabels and Objective
        Rows and labels to score every epoch by, and how.
    seed : int
        Seed of the training.
    """
    trainer = settings.trainer or NetworkTrainer()
    processes = processes_of(trainer.fabric)
    device = processes.resolve_device(settings.device)
    weights = positive_weights(trainer.pos_weight, targets)
    plan = TrainingPlan(
        loss=make_loss(settings.loss, None if weights is None else weights.to(device)),
        max_epochs=settings.max_epochs,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        seed=seed,
        device=device,
        verbose=settings.verbose,
        trainer=trainer,
        processes=processes,
    )
    unseen = _labels_to_score_by(*held_out) if trainer.validate else None
    network, head, history = prepare_network(
        settings.module,
        settings.head,
        inputs,
        targets,
        plan,
        unseen,
        train=settings.train,
    )
    return StageOne(network, head, device, history, *head_weights(network, head))


def prepare_network(
    module: Any,
    head: str | None,
    inputs: Inputs,
    targets: NDArray[np.float64],
    plan: TrainingPlan,
    held_out: HeldOut | None = None,
    *,
    train: bool,
) -> tuple[nn.Module, str, list[dict[str, Any]]]:
    """Copy a network, find its classification layer, and train it if asked.

    One row is tried first: a wrong layer is told before an hour of training.
    """
    network = copy_or_make(module, plan.seed)
    name = find_head(network, head, targets.shape[1])
    extract_features(network, name, inputs.take([0]), batch_size=1, device=plan.device)
    history = train_network(network, inputs, targets, plan, held_out) if train else []
    return network, name, history


def features_of_inputs(fitted: FittedNetwork, inputs: Inputs) -> NDArray[np.float32]:
    """Extract the features that a classifier's rows are fitted on."""
    return extract_features(
        fitted.module_,
        fitted.head_,
        inputs,
        batch_size=fitted.batch_size,
        device=fitted.device_,
        num_workers=fitted.trainer.num_workers if fitted.trainer else 0,
    )


def feature_parts(
    fitted: FittedNetwork, inputs: Inputs
) -> Iterator[NDArray[np.float32]]:
    """Extract features some rows at a time: they may take more room than inputs."""
    every = np.arange(len(inputs))
    for some in gen_batches(len(inputs), 32 * fitted.batch_size):
        yield features_of_inputs(fitted, inputs.take(every[some]))


def _labels_to_score_by(
    inputs: Inputs, labels: PartialLabels, objective: Objective
) -> HeldOut | None:
    """Keep the rows that have a known label; None where no row has one."""
    rows = np.flatnonzero(labels.known.any(axis=1))
    if not len(rows):
        return None
    return HeldOut(inputs.take(rows), labels.values[rows], objective)
