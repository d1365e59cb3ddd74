"""What a loss was made with, as plain values."""

import inspect
from typing import Any

from torch import Tensor, nn


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
