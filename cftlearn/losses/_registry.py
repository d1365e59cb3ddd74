"""The table of losses by name, which can be read without torch."""

import inspect
from collections.abc import Callable
from copy import deepcopy
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from cftlearn.losses._unknown._protocol import UnknownLoss

_KNOWN, _UNKNOWN = "cftlearn.losses._known.", "cftlearn.losses._unknown."

# One entry makes a loss known to CFTClassifier, GradientSolver, the fine-tuner and the
# command line: its name, the module and class that are imported when it is used, and
# parameters of it.
LOSSES: dict[str, tuple[str, dict[str, Any]]] = {
    "asl": (f"{_KNOWN}_focusing:PartialAsymmetricLoss", {}),
    "bce": (f"{_KNOWN}_focusing:PartialBCEWithLogitsLoss", {}),
    "focal": (f"{_KNOWN}_focusing:PartialFocalLoss", {}),
    # Log-odds, which everything after a training takes its outputs for.
    "spa": (f"{_KNOWN}_proper:PartialStrictlyProperLoss", {"link": "logistic"}),
}

# What becomes of unknown labels in stage one, by the name that `unknown` takes; None
# where nothing is added to the loss of known labels.
TREATMENTS: dict[str, tuple[str, dict[str, Any]] | None] = {
    "auto": (f"{_UNKNOWN}_selection:SelectionLoss", {}),
    "entropy": (f"{_UNKNOWN}_cells:EntropyMaximizationLoss", {}),
    "entropy_pseudo": (f"{_UNKNOWN}_memory:EntropyPseudoLabelLoss", {}),
    "expected_positive": (f"{_UNKNOWN}_risks:ExpectedPositiveLoss", {}),
    "hill": (f"{_UNKNOWN}_cells:HillLoss", {}),
    "ignore": None,
    "imbalanced_nnpu": (f"{_UNKNOWN}_risks:NonNegativePULoss", {"balanced_prior": 0.5}),
    "label_smoothing": (f"{_UNKNOWN}_cells:SmoothedNegativeLoss", {}),
    "large_loss_permanent": (f"{_UNKNOWN}_choosing:LargeLoss", {"scheme": "permanent"}),
    "large_loss_rejection": (f"{_UNKNOWN}_choosing:LargeLoss", {"scheme": "rejection"}),
    "large_loss_temporary": (f"{_UNKNOWN}_choosing:LargeLoss", {"scheme": "temporary"}),
    "negative": None,  # their targets are 0
    "nnpu": (f"{_UNKNOWN}_risks:NonNegativePULoss", {}),
    "robust": (f"{_UNKNOWN}_cells:GeneralizedRobustLoss", {}),
    "role": (f"{_UNKNOWN}_memory:OnlineEstimationLoss", {}),
    "selective": (f"{_UNKNOWN}_choosing:SelectiveLoss", {}),
    "splc": (f"{_UNKNOWN}_cells:SelfPacedCorrectionLoss", {}),
    "vpu": (f"{_UNKNOWN}_risks:VariationalPULoss", {}),
    "weak_negative": (f"{_UNKNOWN}_cells:WeakNegativeLoss", {}),
}


def available(part: Literal["known", "unknown"] = "known") -> list[str]:
    """Return the names of the losses.

    Each loss of known labels is a ``loss`` of :class:`cftlearn.CFTClassifier`. Each
    treatment of unknown ones is an ``unknown`` there.

    Parameters
    ----------
    part : {"known", "unknown"}, default="known"
        Which labels the losses are for.

    Returns
    -------
    names : list of str
        Sorted.

    Raises
    ------
    ValueError
        If ``part`` is neither.

    See Also
    --------
    make_loss : Build a loss by its name.
    PartialLoss : Join a loss of known labels and one of unknown labels.

    Examples
    --------
    >>> from cftlearn import losses
    >>> losses.available()
    ['asl', 'bce', 'focal', 'spa']
    >>> "hill" in losses.available("unknown")
    True
    """
    if part not in ("known", "unknown"):
        raise ValueError(f"`part` must be 'known' or 'unknown'; got {part!r}.")
    return sorted(LOSSES if part == "known" else TREATMENTS)


def make_loss(
    loss: "str | Callable[[Tensor, Tensor], Tensor]", **options: Any
) -> "Callable[[Tensor, Tensor], Tensor]":
    """Build a loss by its name.

    Parameters
    ----------
    loss : str or callable
        One of :func:`available`. A callable is a loss already and is returned.
    **options : dict
        Parameters of the loss, such as ``reduction``.

    Returns
    -------
    loss : callable
        Maps logits and targets, where NaN is unknown, to a tensor.

    Raises
    ------
    TypeError
        If ``loss`` is neither a name nor a callable.
    ValueError
        If there is no such loss, it does not have such a parameter, or a parameter is
        out of its range.

    See Also
    --------
    available : The names.

    Examples
    --------
    >>> import torch
    >>> from cftlearn.losses import make_loss
    >>> loss = make_loss("bce", reduction="sum")
    >>> loss(torch.zeros(1, 2), torch.tensor([[1.0, float("nan")]]))
    tensor(0.6931)
    """
    if not (isinstance(loss, str) or callable(loss)):
        raise TypeError(
            f"`loss` must be one of {_quoted(available())}, or a callable; got "
            f"{loss!r} of type {type(loss).__name__}."
        )
    if isinstance(loss, str) and loss not in LOSSES:
        raise ValueError(
            f"`loss` must be one of {_quoted(available())}, or a callable; got "
            f"{loss!r}."
        )
    accepted = _parameters_of(loss) if isinstance(loss, str) else set()
    for name in options:
        if name not in accepted:
            raise _unexpected_option(name, loss)
    if not isinstance(loss, str):
        return loss
    target, own = LOSSES[loss]
    made: Callable[[Tensor, Tensor], Tensor] = _import(target)(**own | options)
    return made


def make_unknown_loss(unknown: "str | UnknownLoss") -> "UnknownLoss | None":
    """Build what unknown labels add to the loss.

    Parameters
    ----------
    unknown : str or UnknownLoss
        A name of :func:`available` with ``part="unknown"``, or such a loss, which is
        copied.

    Returns
    -------
    loss : UnknownLoss or None
        None where they add nothing.
    """
    if not isinstance(unknown, str):
        return deepcopy(unknown)
    entry = TREATMENTS[unknown]
    if entry is None:
        return None
    target, options = entry
    loss: UnknownLoss = _import(target)(**options)
    return loss


def estimates_rates(unknown: "str | UnknownLoss") -> bool:
    """Return whether a treatment needs the rates at which labels are known.

    Parameters
    ----------
    unknown : str or UnknownLoss
        As in :func:`make_unknown_loss`.
    """
    if not isinstance(unknown, str):
        return unknown.estimates_rates
    entry = TREATMENTS[unknown]
    if entry is None:
        return False
    target, options = entry
    return bool(_import(target)(**options).estimates_rates)


def _unexpected_option(name: str, loss: Any) -> ValueError:
    having = [known for known in available() if name in _parameters_of(known)]
    return ValueError(
        f"`{name}` needs a loss that has this parameter"
        f"{f', such as {_quoted(having)}' if having else ''}; got "
        f"{f'loss={loss!r}' if isinstance(loss, str) else 'a callable'}. Leave "
        f"`{name}` out, or write it into a loss of your own."
    )


def _import(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


def _parameters_of(name: str) -> set[str]:
    return set(inspect.signature(_import(LOSSES[name][0])).parameters)


def _quoted(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names)
