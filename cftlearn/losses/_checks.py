"""Ranges of the parameters of losses, and types of what they are called with."""

import math
from numbers import Integral, Real
from typing import Any

from torch import Tensor


def check_non_negative(value: float, name: str) -> float:
    """Return a number, if it is finite and 0 or more."""
    if not 0 <= _number(value, name) < float("inf"):
        raise ValueError(f"`{name}` must be finite and 0 or more; got {value}.")
    return value


def check_above_zero(value: float, name: str) -> float:
    """Return a number, if it is finite and above 0."""
    if not 0 < _number(value, name) < float("inf"):
        raise ValueError(f"`{name}` must be finite and above 0; got {value}.")
    return value


def check_finite(value: float, name: str) -> float:
    """Return a number, if it is finite."""
    if not math.isfinite(_number(value, name)):
        raise ValueError(f"`{name}` must be finite; got {value}.")
    return value


def check_count(value: int, name: str) -> int:
    """Return a whole number, if it is 0 or more."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 0:
        raise ValueError(f"`{name}` must be a whole number, 0 or more; got {value!r}.")
    return value


def check_probability(
    value: float, name: str, *, from_zero: bool = True, below_one: bool = False
) -> float:
    """Return a number, if it is in [0, 1], or in a part of it."""
    number = _number(value, name)
    low = number >= 0 if from_zero else number > 0
    high = number < 1 if below_one else number <= 1
    if not (low and high):
        range_ = f"{'[' if from_zero else '('}0, 1{')' if below_one else ']'}"
        raise ValueError(f"`{name}` must be in {range_}; got {value}.")
    return value


def check_pair(value: Any, name: str) -> tuple[float, float]:
    """Return two finite numbers, those of the first and of the last epoch."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise ValueError(
            f"`{name}` must hold two numbers, of the first and of the last epoch; got "
            f"{value!r}."
        )
    first, last = (_number(each, name) for each in value)
    if not (math.isfinite(first) and math.isfinite(last)):
        raise ValueError(f"`{name}` must hold two finite numbers; got {value!r}.")
    return first, last


def _number(value: Any, name: str) -> Any:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(
            f"`{name}` must be a number; got {value!r} of type {type(value).__name__}."
        )
    return value


def check_tensors(**values: Any) -> None:
    """Refuse what is no tensor; None may stand for an argument that was left out.

    Parameters
    ----------
    **values : object
        Arguments by their names.

    Raises
    ------
    TypeError
        If one of them is anything else.
    """
    for name, value in values.items():
        if value is not None and not isinstance(value, Tensor):
            raise TypeError(
                f"`{name}` must be a tensor; got {type(value).__name__}. Pass "
                f"torch.as_tensor({name})."
            )
