"""Solvers by name, and the ways to refit all categories with them."""

from collections import ChainMap
from typing import Any, Protocol

from cftlearn.fine_tuning._auto import AutoRefit
from cftlearn.fine_tuning._batched_refit import BatchedPooledRefit, BatchedRefit
from cftlearn.fine_tuning._best_solver import BestSolverRefit
from cftlearn.fine_tuning._category_task import CategoryTask
from cftlearn.fine_tuning._pooled_refit import PooledRefit
from cftlearn.fine_tuning._report import CategoryResult, Weights
from cftlearn.fine_tuning._workers import CategoryWorkers
from cftlearn.losses._registry import LOSSES
from cftlearn.metrics._objectives import Objective
from cftlearn.solvers._protocol import CategorySolver
from cftlearn.solvers._proximal import ProximalSolver

# A view: a loss that is added to the table of losses is a solver at once.
_OTHERS: dict[str, Any] = dict.fromkeys(["auto", "ga", "proximal"])
SOLVER_NAMES = ChainMap[str, Any](_OTHERS, LOSSES).keys()

_GPUS = ("cuda", "mps", "xpu")


class RefitMethod(Protocol):
    """A way to refit all categories.

    Attributes
    ----------
    solvers : list of CategorySolver
        The solvers that it uses; each says what principal axes it needs.
    pooled : bool
        Whether the result of a category depends on the other categories.
    busy_with_products : bool
        See :class:`~cftlearn.fine_tuning._workers.CategoryWorkers`.
    device : str or None
        The torch device that refits many categories at once; None if workers refit
        them one by one.
    """

    solvers: list[CategorySolver]
    pooled: bool
    busy_with_products: bool

    @property
    def device(self) -> str | None:
        """Return where torch refits; an attribute will do."""

    def __call__(
        self, tasks: list[CategoryTask], run: CategoryWorkers
    ) -> list[CategoryResult]:
        """Refit all categories; the results are in the order of ``tasks``."""

    def repeat(
        self,
        tasks: list[CategoryTask],
        results: list[CategoryResult],
        run: CategoryWorkers,
    ) -> list[Weights | None]:
        """Refit on features of another network, as was chosen before.

        Parameters
        ----------
        tasks : list of CategoryTask
            The same labels, with features and initial weights of that network.
        results : list of CategoryResult
            Of the first features: what was chosen there.
        run : CategoryWorkers
            Fits the categories, and shows progress.

        Returns
        -------
        weights : list of Weights or None
            In the order of ``tasks``; None where the initial weights were kept, or
            these labels cannot be fitted.
        """


def make_refit_method(
    solver: Any, objective: Objective, *, refit: bool, device: str
) -> RefitMethod:
    """Return what the parameter ``solver`` names.

    Parameters
    ----------
    solver : str, CategorySolver, or list of them
        As in :class:`~cftlearn.CategoryWiseFineTuner`.
    objective : Objective
        What refits are judged by.
    refit : bool
        Whether chosen weights are fitted to held-out labels too.
    device : str
        As in :class:`~cftlearn.CategoryWiseFineTuner`.

    Raises
    ------
    ValueError
        If ``solver`` names no solver, or ``device`` cannot be used.
    """
    if isinstance(solver, str) and solver == "auto":
        return AutoRefit(objective, refit=refit)
    solvers = make_solvers(solver, device)
    for each in solvers:
        each.check_parameters()  # now, and not after hours of training
    on_device = batch_device(solvers, objective, device)
    pooled = all(each.pooled for each in solvers)
    if on_device is None:
        one_by_one = PooledRefit if pooled else BestSolverRefit
        return one_by_one(solvers, objective, refit=refit)
    batched = BatchedPooledRefit if pooled else BatchedRefit
    return batched(solvers[0], objective, refit=refit, device=on_device)


def make_solvers(solver: Any, device: str) -> list[CategorySolver]:
    """Return the solvers that the parameter ``solver`` names, other than "auto".

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
        raise ValueError(
            "`solver` must name at least one solver; got an empty list. Pass "
            "solver='auto'."
        )
    solvers = [_make_solver(item, device) for item in given]
    names = [item.name for item in solvers]
    if len(set(names)) < len(names):
        raise ValueError(
            "`solver` must be a list of solvers with different names, by which "
            f"`report_` tells them apart; got {names}. Leave one of them out, or set "
            "its `name`."
        )
    return solvers


def choose_workers(solvers: list[CategorySolver], n_jobs: int | None) -> int | None:
    """Choose the workers over categories: one where a solver computes on a GPU.

    Every process would take memory there for torch alone, and joblib takes the
    libraries that it loads for a leak, and replaces the process.

    Parameters
    ----------
    solvers : list of CategorySolver
        Those whose attribute ``device`` is ``"cuda"``, ``"cuda:1"``, ``"mps"`` or
        ``"xpu"`` use a GPU.
    n_jobs : int or None
        What the user asked for.

    Returns
    -------
    n_jobs : int or None
        1, or what the user asked for.
    """
    devices = [str(getattr(solver, "device", "cpu")) for solver in solvers]
    return 1 if any(device.startswith(_GPUS) for device in devices) else n_jobs


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
    if isinstance(solver, str) and solver in LOSSES:
        from cftlearn._devices import resolve_device
        from cftlearn.solvers import GradientSolver

        return GradientSolver(loss=solver, device=resolve_device(device))
    losses = ", ".join(repr(name) for name in LOSSES)
    raise ValueError(
        f"`solver` must be 'auto', or 'ga', 'proximal', a loss ({losses}), a solver "
        f"object, or a list of these; got {solver!r}."
    )
