"""Networks by name or from files, and their export to ONNX."""

from typing import TYPE_CHECKING, Any

from cftlearn.networks._architecture import Architecture

if TYPE_CHECKING:
    from cftlearn.networks._keras import load_keras
    from cftlearn.networks._loading import load_network
    from cftlearn.networks._onnx import export_onnx

__all__ = ["Architecture", "export_onnx", "load_keras", "load_network"]

_MODULES = {
    "export_onnx": "cftlearn.networks._onnx",
    "load_keras": "cftlearn.networks._keras",
    "load_network": "cftlearn.networks._loading",
}


def __getattr__(name: str) -> Any:
    """Import functions that need torch when they are first used."""
    if name in _MODULES:
        from importlib import import_module

        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
