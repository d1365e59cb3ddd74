"""The table of losses by name, which can be read without torch."""

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from cftlearn.losses._unknown import UnknownTerm

# One entry makes a loss known to CFTClassifier, GradientSolver, the fine-tuner and the
# command line: its name, and the module and class that are imported when it is used.
LOSSES = {
    "asl": "cftlearn.losses._partial:PartialAsymmetricLoss",
    "bce": "cftlearn.losses._partial:PartialBCEWithLogitsLoss",
}

# The treatment of a further round; users ask for it by `rounds`.
SOFT_TARGETS = "soft_targets"
# What becomes of unknown labels in stage one, by the name that `unknown` takes; None
# where nothing is added to the loss of known labels.
TREATMENTS = {
    "auto": "cftlearn.losses._unknown:SelectionTerm",
    "hill": "cftlearn.losses._unknown:HillTerm",
    "ignore": None,
    "negative": None,  # their targets are 0
    "weak_negative": "cftlearn.losses._unknown:WeakNegativeTerm",
}

_FURTHER = {SOFT_TARGETS: "cftlearn.losses._unknown:SoftTargetTerm"}


def available() -> list[str]:
    """Return the names of the losses.

    Each of them is a ``loss`` of :class:`cftlearn.CFTClassifier` and of
    :class:`cftlearn.solvers.GradientSolver`, and a ``solver`` of
    :class:`cftlearn.CategoryWiseFineTuner`.

    Returns
    -------
    names : list of str
        Sorted.

    See Also
    --------
    make_loss : Build a loss by its name.

    Examples
    --------
    >>> from cftlearn import losses
    >>> losses.available()
    ['asl', 'bce']
    """
    return sorted(LOSSES)


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
    made: Callable[[Tensor, Tensor], Tensor] = _class_of(loss)(**options)
    return made


def make_unknown_term(
    name: str, weight: float | None = None, n_unknown_per_known: float = 1.0
) -> "UnknownTerm | None":
    """Build what unknown labels add to the loss.

    Parameters
    ----------
    name : str
        A key of ``TREATMENTS``, or ``SOFT_TARGETS``.
    weight : float, default=None
        How much all unknown cells count together, where all known ones count 1; 0 or
        more. None takes the treatment's own weight.
    n_unknown_per_known : float, default=1.0
        How many unknown cells there are for a known one.

    Returns
    -------
    term : UnknownTerm or None
        None where they add nothing.
    """
    target = (TREATMENTS | _FURTHER)[name]
    if target is None:
        return None
    term: UnknownTerm = _import(target)(weight, n_unknown_per_known)
    return term


def _unexpected_option(name: str, loss: Any) -> ValueError:
    having = [known for known in available() if name in _parameters_of(known)]
    return ValueError(
        f"`{name}` needs a loss that has this parameter"
        f"{f', such as {_quoted(having)}' if having else ''}; got "
        f"{f'loss={loss!r}' if isinstance(loss, str) else 'a callable'}. Leave "
        f"`{name}` out, or write it into a loss of your own."
    )


def _class_of(name: str) -> Any:
    return _import(LOSSES[name])


def _import(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


def _parameters_of(name: str) -> set[str]:
    return set(inspect.signature(_class_of(name)).parameters)


def _quoted(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names)
