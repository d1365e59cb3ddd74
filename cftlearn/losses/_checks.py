"""Ranges of the parameters of losses."""

from typing import TypeVar

Number = TypeVar("Number", int, float)


def check_non_negative(value: Number, name: str) -> Number:
    """Return a number, if it is finite and 0 or more."""
    if not 0 <= value < float("inf"):
        raise ValueError(f"`{name}` must be finite and 0 or more; got {value}.")
    return value


def check_probability(
    value: float, name: str, *, from_zero: bool = True, below_one: bool = False
) -> float:
    """Return a number, if it is in [0, 1], or in a part of it."""
    low = value >= 0 if from_zero else value > 0
    high = value < 1 if below_one else value <= 1
    if not (low and high):
        range_ = f"{'[' if from_zero else '('}0, 1{')' if below_one else ']'}"
        raise ValueError(f"`{name}` must be in {range_}; got {value}.")
    return value
