"""Losses for torch that skip unknown labels, and their names.

The names are read without torch; a loss is imported when it is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cftlearn.losses._registry import available, make_loss

if TYPE_CHECKING:
    from cftlearn.losses._partial import PartialAsymmetricLoss, PartialBCEWithLogitsLoss

__all__ = [
    "PartialAsymmetricLoss",
    "PartialBCEWithLogitsLoss",
    "available",
    "make_loss",
]


def __getattr__(name: str) -> Any:
    """Import a loss when it is asked for."""
    if name in __all__:
        return getattr(import_module("cftlearn.losses._partial"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
