"""Losses for torch, of known labels and of unknown ones, and their names.

The names are read without torch; a loss is imported when it is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cftlearn.losses._registry import available, make_loss

if TYPE_CHECKING:
    from cftlearn.losses._combined import PartialLoss
    from cftlearn.losses._known._focusing import (
        PartialAsymmetricLoss,
        PartialBCEWithLogitsLoss,
        PartialFocalLoss,
    )
    from cftlearn.losses._known._proper import PartialStrictlyProperLoss
    from cftlearn.losses._unknown._cells import (
        EntropyMaximizationLoss,
        GeneralizedRobustLoss,
        HillLoss,
        SelfPacedCorrectionLoss,
        SmoothedNegativeLoss,
        WeakNegativeLoss,
    )
    from cftlearn.losses._unknown._choosing import LargeLoss, SelectiveLoss
    from cftlearn.losses._unknown._memory import (
        EntropyPseudoLabelLoss,
        OnlineEstimationLoss,
    )
    from cftlearn.losses._unknown._protocol import UnknownLoss
    from cftlearn.losses._unknown._risks import (
        BiasedNegativesLoss,
        ExpectedPositiveLoss,
        NonNegativePULoss,
        VariationalPULoss,
    )
    from cftlearn.losses._unknown._selection import SelectionLoss

__all__ = [
    "BiasedNegativesLoss",
    "EntropyMaximizationLoss",
    "EntropyPseudoLabelLoss",
    "ExpectedPositiveLoss",
    "GeneralizedRobustLoss",
    "HillLoss",
    "LargeLoss",
    "NonNegativePULoss",
    "OnlineEstimationLoss",
    "PartialAsymmetricLoss",
    "PartialBCEWithLogitsLoss",
    "PartialFocalLoss",
    "PartialLoss",
    "PartialStrictlyProperLoss",
    "SelectionLoss",
    "SelectiveLoss",
    "SelfPacedCorrectionLoss",
    "SmoothedNegativeLoss",
    "UnknownLoss",
    "VariationalPULoss",
    "WeakNegativeLoss",
    "available",
    "make_loss",
]

_MODULES = {
    "PartialLoss": "_combined",
    "PartialAsymmetricLoss": "_known._focusing",
    "PartialBCEWithLogitsLoss": "_known._focusing",
    "PartialFocalLoss": "_known._focusing",
    "PartialStrictlyProperLoss": "_known._proper",
    "EntropyMaximizationLoss": "_unknown._cells",
    "GeneralizedRobustLoss": "_unknown._cells",
    "HillLoss": "_unknown._cells",
    "SelfPacedCorrectionLoss": "_unknown._cells",
    "SmoothedNegativeLoss": "_unknown._cells",
    "WeakNegativeLoss": "_unknown._cells",
    "LargeLoss": "_unknown._choosing",
    "SelectiveLoss": "_unknown._choosing",
    "EntropyPseudoLabelLoss": "_unknown._memory",
    "OnlineEstimationLoss": "_unknown._memory",
    "UnknownLoss": "_unknown._protocol",
    "BiasedNegativesLoss": "_unknown._risks",
    "ExpectedPositiveLoss": "_unknown._risks",
    "NonNegativePULoss": "_unknown._risks",
    "VariationalPULoss": "_unknown._risks",
    "SelectionLoss": "_unknown._selection",
}


def __getattr__(name: str) -> Any:
    """Import a loss when it is asked for."""
    if name in _MODULES:
        return getattr(import_module(f"cftlearn.losses.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
