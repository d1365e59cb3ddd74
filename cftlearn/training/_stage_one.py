"""Stage one: a network that is copied, checked and trained, and its last layer."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from cftlearn._inputs import Inputs
from cftlearn.feature_extraction._in_memory import extract_features
from cftlearn.labels._known_rates import KnownRates
from cftlearn.labels._label_split import TrainingTargets
from cftlearn.networks._heads import find_head, head_weights
from cftlearn.networks._making import copy_or_make
from cftlearn.training._loop import Trained, train_network
from cftlearn.training._plan import HeldOut, TrainingPlan
from cftlearn.training._rate_probe import RateProbe


@dataclass(frozen=True)
class StageOne:
    """The result of stage one.

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
        Weights of the classification layer.
    intercept : ndarray of shape (n_categories,)
        Its biases.
    n_epochs : int
        The epoch whose weights it has.
    rates : KnownRates or None
        How often labels of each class are known; None where it was not estimated.
    """

    network: nn.Module
    head: str
    device: str
    history: list[dict[str, Any]]
    coef: NDArray[np.float64]
    intercept: NDArray[np.float64]
    n_epochs: int = 0
    rates: KnownRates | None = None


def fit_network(
    plan: TrainingPlan,
    module: Any,
    inputs: Inputs,
    targets: TrainingTargets,
    held_out: HeldOut | None = None,
    probe: RateProbe | None = None,
    *,
    head: str | None = None,
    train: bool = True,
) -> StageOne:
    """Copy a network, find its classification layer, and train it if asked.

    Parameters
    ----------
    plan : TrainingPlan
        How to train.
    module : nn.Module or callable
        The network, or what makes it. It stays as it is.
    inputs : Inputs
        Rows to train on.
    targets : TrainingTargets
        Known labels, and the unknown cells that the plan's loss counts.
    held_out : HeldOut, default=None
        What to score every epoch by, unless the trainer has ``validate=False``.
    probe : RateProbe, default=None
        What to estimate the rates of known labels by.
    head : str, default=None
        Name of the classification layer; None finds it.
    train : bool, default=True
        False takes the network as it is.

    Returns
    -------
    stage_one : StageOne
        The network and its classification layer.

    Raises
    ------
    TypeError, ValueError
        If the network, its layer and the rows do not fit each other; and as
        :func:`~cftlearn.training._loop.train_network`.
    NonFiniteLossError
        If a loss is NaN or infinite.
    """
    scored = None
    if held_out is not None and plan.trainer.validate:
        scored = held_out.with_known_labels()
    network = copy_or_make(module, plan.seed)
    name = find_head(network, head, targets.values.shape[1])
    # One row shows at once what would otherwise fail after hours of training: a layer
    # that is not the last step of the network.
    extract_features(network, name, inputs.take([0]), batch_size=1, device=plan.device)
    trained = Trained([], 0, None)
    if train:
        trained = train_network(network, inputs, targets, plan, scored, probe)
    history, n_epochs, rates = trained
    weights = head_weights(network, name)
    return StageOne(network, name, plan.device, history, *weights, n_epochs, rates)
