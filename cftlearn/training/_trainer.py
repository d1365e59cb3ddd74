"""How a network is trained in stage one."""

import os
from collections.abc import Callable
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from cftlearn._dependencies import HasMethods, Interval, StrOptions
from cftlearn.training._mixing import (
    MIXES,
    LogicMix,
    PartialMixUp,
    check_mix,
    make_mix,
)
from cftlearn.training._pseudo_labels import (
    RULES,
    PseudoLabels,
    check_pseudo_labels,
    make_rule,
)

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler


_FABRIC = [  # its methods that training calls
    "all_reduce",
    "backward",
    "broadcast",
    "no_backward_sync",
    "setup_module",
]
_STRATEGIES = {"DDPStrategy", "SingleDeviceStrategy"}
_PRECISIONS = ("32-true", "bf16-mixed")


class NetworkTrainer(BaseEstimator):
    """Hold the finer parameters of training a network with unknown labels.

    An object of this class is the ``trainer`` of :class:`cftlearn.CFTClassifier`. The
    main parameters belong to the classifier itself: ``loss``, ``max_epochs``,
    ``batch_size``, ``learning_rate``. A grid search reaches the finer ones by
    ``trainer__weight_decay`` and the like.

    A batch without any label that counts trains nothing; its rows are not even read.

    Parameters
    ----------
    optimizer : {"adamw", "adam", "sgd"} or callable, default="adamw"
        Makes the steps. SGD has a momentum of 0.9. A callable
        ``optimizer(parameter_groups, learning_rate)`` returns a torch optimizer; every
        group sets its ``weight_decay``.
    schedule : {"one_cycle", "cosine", "constant"} or callable, default="one_cycle"
        Learning rate over the steps of the optimizer: up to ``learning_rate`` in the
        first 30 % and down again, down from the start, or the same for all steps. A
        callable ``schedule(optimizer, n_steps)`` returns a torch scheduler, which
        advances after every step.
    weight_decay : float, default=0.01
        0 or more, in the optimizer's own sense (for ``"adam"`` and ``"sgd"`` an L2
        penalty). Biases, parameters of one dimension, and all parameters of
        normalisation layers have none.
    ema_decay : float, default=None
        In (0, 1), 0.999 for example: an exponential moving average of weights and
        buffers over the steps is evaluated and kept. In the first steps, step ``t`` has
        the smaller decay ``(1 + t) / (10 + t)``. None keeps the weights themselves.
    amp : bool, default=False
        Compute the network in half precision: bfloat16, or float16 with a scaled loss
        on devices that do not compute in bfloat16. The loss, and what is evaluated,
        stay in single precision.
    accumulation_steps : int, default=1
        Batches per step of the optimizer, 1 or more. The gradient is that of one large
        batch, if the loss is a mean over known labels and no layer computes with the
        batch as a whole.
    pos_weight : "balanced" or array-like of shape (n_categories,), default=None
        Factor on the loss of positives, above 0; needs ``loss="bce"``, or another loss
        that has this parameter. ``"balanced"`` takes negatives over positives of every
        category, among the labels that count in stage one: the known ones alone with
        ``unknown="ignore"``, unknown ones as negatives with ``unknown="negative"``. It
        is kept within 0.01 and 100, and is 1 where a category lacks one of the two.
    unknown_weight : float, default=None
        How much all unknown labels of a step count together in the loss, where all
        known ones count 1; 0 or more. It is for the treatments that add unknown labels
        to the loss, all but ``unknown="ignore"`` and ``"negative"``. None takes the
        weight that the loss has as published, see
        :meth:`cftlearn.losses.UnknownLoss.default_weight`; 0.5 for ``"weak_negative"``
        and ``"hill"``, and for ``"auto"`` half of the square root of how many labels
        are unknown for a known one.
    pseudo_labels : str or PseudoLabels, default=None
        What further ``rounds`` of the classifier are trained on: ``"soft"``,
        ``"threshold"``, ``"top_share"``, ``"adaptive"`` or an object of
        :class:`PseudoLabels`. None is ``"soft"``.
    mix : {"logic", "mixup"}, LogicMix or PartialMixUp, default=None
        Mix rows of every batch: ``"logic"`` is :class:`LogicMix`, ``"mixup"``
        :class:`PartialMixUp`, both with their defaults. Inputs must be real numbers of
        one shape. What is mixed follows from the seed alone. None mixes nothing. See
        the :ref:`User Guide <mixing>`.
    validate : bool, default=True
        After every epoch, score the network on the labels held out of stage one. This
        costs a forward pass over their rows.
    monitor : {"score", "loss"}, default="score"
        What ``patience`` depends on: the mean objective of the fine-tuner over
        categories, or the loss, both on the labels held out.
    patience : int, default=None
        Stop after this number of epochs without a gain, 1 or more, and return to the
        best epoch. The held-out labels then choose the epoch as well as the refits, so
        ``roc_auc_before`` in ``report_`` is a little too good. None trains for
        ``max_epochs`` and keeps the last one.
    augment : callable, default=None
        Replaces the ``input_transform`` of the classifier, for the rows to train on and
        no others. It maps one item (an image, a row of an array) to an array or tensor,
        and may draw from the global generators of torch, numpy and Python.
    num_workers : int, default=0
        Processes that read and transform rows; 0 reads in this process. Results do not
        depend on it.
    gradient_clip : float, default=None
        Largest norm of the gradient, above 0.
    checkpoint : str or path-like, default=None
        Folder in which the state of the training is saved after every epoch, for one
        fit alone. If the fit stops, the same fit continues from there; on a CPU, its
        result is the same bit for bit as without the stop. Needs a ``random_state``.
        Another fit raises an error. Two fits are the same if their parameters, arrays,
        paths of images, names of functions, and lengths of other inputs are.
    fabric : lightning.fabric.Fabric, default=None
        Shares the training with other processes and their devices. Create and launch it
        before, with the strategy ``"ddp"``. Every process runs the same fit, with the
        same rows and labels and an integer ``random_state``, and trains on its part of
        every batch. The gradient is that of the whole batch, if the loss is a mean over
        known labels and no layer computes with the batch as a whole. Its precision is
        ``"32-true"``, or ``"bf16-mixed"`` in place of ``amp``. A clone has the same
        object, a saved model has none, and pickling raises an error.
        See the :ref:`User Guide <several_devices>`.

    See Also
    --------
    cftlearn.CFTClassifier : Trains with it.

    Examples
    --------
    >>> from cftlearn import CFTClassifier
    >>> from cftlearn.training import NetworkTrainer
    >>> model = CFTClassifier(trainer=NetworkTrainer(ema_decay=0.999, patience=5))
    >>> model.set_params(trainer__weight_decay=1e-4).trainer.weight_decay
    0.0001
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "optimizer": [StrOptions({"adamw", "adam", "sgd"}), callable],
        "schedule": [StrOptions({"one_cycle", "cosine", "constant"}), callable],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "ema_decay": [Interval(Real, 0, 1, closed="neither"), None],
        "amp": ["boolean"],
        "accumulation_steps": [Interval(Integral, 1, None, closed="left")],
        "pos_weight": [StrOptions({"balanced"}), "array-like", None],
        "unknown_weight": [Interval(Real, 0, None, closed="left"), None],
        "pseudo_labels": [StrOptions(RULES), PseudoLabels, None],
        "mix": [StrOptions(set(MIXES)), *MIXES.values(), None],
        "validate": ["boolean"],
        "monitor": [StrOptions({"score", "loss"})],
        "patience": [Interval(Integral, 1, None, closed="left"), None],
        "augment": [callable, None],
        "num_workers": [Interval(Integral, 0, None, closed="left")],
        "gradient_clip": [Interval(Real, 0, None, closed="neither"), None],
        "checkpoint": [str, os.PathLike, None],
        "fabric": [HasMethods(_FABRIC), None],
    }

    def __init__(
        self,
        *,
        optimizer: "str | Callable[[list[dict[str, Any]], float], Optimizer]" = "adamw",
        schedule: "str | Callable[[Optimizer, int], LRScheduler]" = "one_cycle",
        weight_decay: float = 0.01,
        ema_decay: float | None = None,
        amp: bool = False,
        accumulation_steps: int = 1,
        pos_weight: "Literal['balanced'] | ArrayLike | None" = None,
        unknown_weight: float | None = None,
        pseudo_labels: str | PseudoLabels | None = None,
        mix: "Literal['logic', 'mixup'] | LogicMix | PartialMixUp | None" = None,
        validate: bool = True,
        monitor: Literal["score", "loss"] = "score",
        patience: int | None = None,
        augment: Callable[[Any], Any] | None = None,
        num_workers: int = 0,
        gradient_clip: float | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        fabric: Any = None,
    ) -> None:
        self.optimizer = optimizer
        self.schedule = schedule
        self.weight_decay = weight_decay
        self.ema_decay = ema_decay
        self.amp = amp
        self.accumulation_steps = accumulation_steps
        self.pos_weight = pos_weight
        self.unknown_weight = unknown_weight
        self.pseudo_labels = pseudo_labels
        self.mix = mix
        self.validate = validate
        self.monitor = monitor
        self.patience = patience
        self.augment = augment
        self.num_workers = num_workers
        self.gradient_clip = gradient_clip
        self.checkpoint = checkpoint
        self.fabric = fabric

    def __sklearn_clone__(self) -> Self:
        """Clone everything but the Fabric, of which a process has one."""
        params = self.get_params(deep=False) | {"fabric": None}
        bare = type(self)(**params)
        cloned: Self = super(NetworkTrainer, bare).__sklearn_clone__()
        return cloned.set_params(fabric=self.fabric)

    def __getstate__(self) -> dict[str, Any]:
        if self.fabric is not None:
            raise TypeError(
                "`fabric` belongs to this process and cannot be pickled. Save the "
                "model with cftlearn.save_model, which leaves it out, or pass "
                "set_params(trainer__fabric=None) first."
            )
        state: dict[str, Any] = super().__getstate__()
        return state


def check_trainer(trainer: NetworkTrainer, random_state: Any) -> None:
    """Check the parameters of a trainer, and that what needs a seed has one.

    Parameters
    ----------
    trainer : NetworkTrainer
        The trainer of an estimator.
    random_state : object
        The ``random_state`` of that estimator.

    Raises
    ------
    ValueError
        If a parameter is out of its range, a ``fabric`` cannot be used, or there is no
        seed for a ``checkpoint`` or for several processes.
    """
    trainer._validate_params()
    check_pseudo_labels(make_rule(trainer.pseudo_labels))
    mix = make_mix(trainer.mix)
    if mix is not None:
        check_mix(mix)
    if trainer.fabric is not None:
        _check_fabric(trainer, random_state)
    if trainer.checkpoint is not None and not isinstance(random_state, Integral):
        raise ValueError(
            "`checkpoint` needs a seed, or the training that continues would not be "
            "the one that was interrupted; got random_state="
            f"{random_state!r}. Pass random_state=0."
        )


def _check_fabric(trainer: NetworkTrainer, random_state: Any) -> None:
    """Check that a Fabric does what training with it relies on."""
    fabric = trainer.fabric
    strategy = fabric.strategy
    # By names, for Fabric is optional and has two packages.
    if not _STRATEGIES & {base.__name__ for base in type(strategy).__mro__}:
        raise ValueError(
            "`fabric` must have the strategy 'ddp', or a single device; got "
            f"{type(strategy).__name__}. Pass Fabric(strategy='ddp')."
        )
    precision = strategy.precision.precision
    if precision not in _PRECISIONS or (trainer.amp and precision != "32-true"):
        raise ValueError(
            f"`fabric` must have the precision '32-true', or 'bf16-mixed' with "
            f"amp=False; got {precision!r} and amp={trainer.amp}. Pass "
            "Fabric(precision='32-true'), and amp=True for half precision."
        )
    if fabric.world_size > 1 and not isinstance(random_state, Integral):
        raise ValueError(
            "`fabric` needs a seed, or its processes would draw different batches; "
            f"got random_state={random_state!r}. Pass random_state=0."
        )
