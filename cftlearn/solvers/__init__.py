"""Ways to refit one category's logistic regression on its known labels."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cftlearn.solvers._genetic._solver import GeneticSolver
    from cftlearn.solvers._gradient import GradientSolver
    from cftlearn.solvers._proximal import ProximalSolver

__all__ = ["GeneticSolver", "GradientSolver", "ProximalSolver"]

_MODULES = {
    "GeneticSolver": "cftlearn.solvers._genetic._solver",
    "GradientSolver": "cftlearn.solvers._gradient",  # the one that needs torch
    "ProximalSolver": "cftlearn.solvers._proximal",
}


def __getattr__(name: str) -> Any:
    """Import a solver when it is asked for."""
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
