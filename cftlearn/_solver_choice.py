"""Solvers by name."""

from typing import Any, cast

from cftlearn.base import CategorySolver
from cftlearn.metrics._objectives import Objective
from cftlearn.solvers._proximal import ProximalSolver

_GPUS = ("cuda", "mps", "xpu")


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


def lockstep_device(
    solvers: list[CategorySolver], objective: Objective, device: str
) -> str | None:
    """Find the GPU on which the genetic algorithm refits all categories in lockstep.

    Parameters
    ----------
    solvers : list of CategorySolver
        Only a genetic algorithm that is alone, and whose way to fit is ours, can.
    objective : Objective
        What it maximises.
    device : str
        As in :class:`~cftlearn.CategoryWiseFineTuner`. ``"auto"`` takes the CPU where
        a GPU cannot evaluate the objective.

    Returns
    -------
    device : str or None
        A CUDA device of torch. None refits category by category, on the CPU.

    Raises
    ------
    ValueError
        If torch cannot use the device, or a GPU is asked for by name and the
        objective is a function of Python.
    """
    if device == "cpu" or len(solvers) > 1 or isinstance(solvers[0], ProximalSolver):
        return None
    from cftlearn.solvers import GeneticSolver

    if type(solvers[0]).fit_row is not GeneticSolver.fit_row:
        return None
    from cftlearn._devices import resolve_device

    resolved = resolve_device(device)
    if not resolved.startswith("cuda"):
        return None
    if objective.is_ranking:
        return resolved
    if device == "auto":
        return None
    raise ValueError(
        "`objective` must be 'roc_auc' or 'average_precision' for the genetic "
        f"algorithm on a GPU; got {objective.name!r} with device={device!r}. Pass "
        'device="cpu".'
    )


def workers_of(solvers: list[CategorySolver], n_jobs: int | None) -> int | None:
    """Choose the workers over categories: one where a solver computes on a GPU.

    Every process would take memory of its own there for torch alone, and joblib takes
    the libraries that it loads for a leak, and replaces the process.

    Parameters
    ----------
    solvers : list of CategorySolver
        Those whose attribute ``device`` is ``"cuda"``, ``"cuda:1"``, ``"mps"`` or
        ``"xpu"`` use a GPU.
    n_jobs : int or None
        What was asked for.

    Returns
    -------
    n_jobs : int or None
        1, or what was asked for.
    """
    devices = [str(getattr(solver, "device", "cpu")) for solver in solvers]
    return 1 if any(device.startswith(_GPUS) for device in devices) else n_jobs


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
