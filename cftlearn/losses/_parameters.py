"""What a loss was made with, as plain values."""

import inspect
from typing import Any

from torch import Tensor, nn

_MOST_SHOWN = 20  # numbers of a parameter


def parameters_of(loss: nn.Module) -> dict[str, Any]:
    """Return the parameters of a loss, which has an attribute for each.

    Parameters
    ----------
    loss : nn.Module
        One of this package.

    Returns
    -------
    params : dict
        Numbers, words, tuples, lists in place of tensors, and None.
    """
    values = {
        name: getattr(loss, name) for name in inspect.signature(type(loss)).parameters
    }
    return {
        name: value.tolist() if isinstance(value, Tensor) else value
        for name, value in values.items()
    }


def describe_parameters(loss: nn.Module) -> str:
    """Return the parameters of a loss that differ from their defaults, for its repr.

    Parameters
    ----------
    loss : nn.Module
        Of this package, or of a user's own, which may have no attributes for them.
    """
    parts = []
    for name, parameter in inspect.signature(type(loss)).parameters.items():
        value = getattr(loss, name, parameter.default)
        if isinstance(value, Tensor):
            value = value.tolist() if value.numel() <= _MOST_SHOWN else "..."
        if value != parameter.default:
            parts.append(f"{name}={value!r}")
    return ", ".join(parts)
