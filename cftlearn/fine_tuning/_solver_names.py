"""Solvers by name."""

from typing import Any, cast

from cftlearn.metrics._objectives import Objective
from cftlearn.solvers._protocol import CategorySolver
from cftlearn.solvers._proximal import ProximalSolver


def make_solvers(solver: Any, device: str) -> list[CategorySolver]:
    """Make what the parameter ``solver`` names, other than ``"auto"``.

    Parameters
    ----------
    solver : str, CategorySolver, or list of them
        As in :class:`~cftlearn.CategoryWiseFineTuner`.
    device : str
        Torch device of gradient solvers that are given by name.

    Returns
    -------
    solvers : list of CategorySolver
        With different names.

    Raises
    ------
    ValueError
        If the list is empty, a name is not known, or two solvers have one name.
    """
    given = solver if isinstance(solver, list) else [solver]
    if not given:
        raise ValueError("`solver` must name at least one solver; got an empty list.")
    solvers = [_make_solver(item, device) for item in given]
    names = [item.name for item in solvers]
    if len(set(names)) < len(names):
        raise ValueError(
            f"The solvers of a list must have different names; got {names}."
        )
    return solvers


def batch_device(
    solvers: list[CategorySolver], objective: Objective, device: str
) -> str | None:
    """Find the device on which one solver refits all categories at once.

    Parameters
    ----------
    solvers : list of CategorySolver
        Several are compared category by category, on the CPU.
    objective : Objective
        What to maximise.
    device : str
        As in :class:`~cftlearn.CategoryWiseFineTuner`.

    Returns
    -------
    device : str or None
        What the only solver chooses. None refits category by category.

    Raises
    ------
    ValueError
        If the solver cannot use the device.
    """
    return solvers[0].batch_device(objective, device) if len(solvers) == 1 else None


def _make_solver(solver: Any, device: str) -> CategorySolver:
    if isinstance(solver, CategorySolver):
        return solver
    if solver == "ga":
        from cftlearn.solvers import GeneticSolver

        return GeneticSolver()
    if solver == "proximal":
        return ProximalSolver()
    if solver in ("bce", "asl"):
        from cftlearn._devices import resolve_device
        from cftlearn.solvers import GradientSolver

        return GradientSolver(loss=cast(Any, solver), device=resolve_device(device))
    raise ValueError(
        "`solver` must be 'auto', or 'ga', 'bce', 'asl', 'proximal', a solver "
        f"object, or a list of these; got {solver!r}."
    )
