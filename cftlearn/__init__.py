"""Category-wise fine-tuning: multi-label learning from partially known labels."""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cftlearn.classifier import CFTClassifier
    from cftlearn.feature_extraction import TorchFeatureExtractor
    from cftlearn.fine_tuning import CategoryWiseFineTuner
    from cftlearn.persistence import load_model, save_model

__all__ = [
    "CFTClassifier",
    "CategoryWiseFineTuner",
    "TorchFeatureExtractor",
    "load_model",
    "save_model",
]

_MODULES = {
    "CFTClassifier": "cftlearn.classifier",
    "CategoryWiseFineTuner": "cftlearn.fine_tuning",
    "TorchFeatureExtractor": "cftlearn.feature_extraction",
    "load_model": "cftlearn.persistence",
    "save_model": "cftlearn.persistence",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that importing stays quick."""
    if name == "__version__":
        return version("cftlearn")
    if name in _MODULES:
        from importlib import import_module

        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
