"""Losses as parameters of a saved model."""

from typing import Any

from cftlearn import losses
from cftlearn.exceptions import first_line
from cftlearn.persistence._faults import Fault

# Those that are described by a few numbers. BiasedNegativesLoss has one per row of the
# training set; and a loss of one's own is code.
NAMES = tuple(
    name
    for name in losses.__all__
    if name.endswith("Loss")
    and name not in ("BiasedNegativesLoss", "PartialLoss", "UnknownLoss")
)


def is_loss(value: Any) -> bool:
    """Check whether a parameter is a loss that can be described, without torch."""
    cls = type(value)
    return cls.__module__.startswith("cftlearn.losses.") and cls.__name__ in NAMES


def make_loss(name: str, params: dict[str, Any], prefix: str) -> Any:
    """Build a loss that a model file describes.

    Parameters
    ----------
    name : str
        One of ``NAMES``.
    params : dict
        Its parameters.
    prefix : str
        What the names of its parameters begin with.

    Returns
    -------
    loss : nn.Module
        The loss.

    Raises
    ------
    Fault
        If a parameter is unknown, or out of its range.
    """
    import torch

    params = dict(params)
    if params.get("pos_weight") is not None:
        params["pos_weight"] = _as_tensor(params["pos_weight"], prefix)
    try:
        made = getattr(losses, name)(**params)
    except (TypeError, ValueError) as error:
        reason = first_line(error).rstrip(".")
        raise Fault(
            f"`{prefix}params` in model.json must be valid: {reason:.300}"
        ) from None
    return made.to(torch.device("cpu"))


def _as_tensor(values: Any, prefix: str) -> Any:
    import torch

    if not isinstance(values, list) or not all(
        isinstance(value, (int, float)) and not isinstance(value, bool)
        for value in values
    ):
        raise Fault(f"`{prefix}pos_weight` in model.json must be a list of numbers")
    return torch.tensor(values, dtype=torch.float32)
