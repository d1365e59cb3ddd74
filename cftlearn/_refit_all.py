"""The refit of all categories, by workers, with what a checkpoint remembers."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from cftlearn._auto_refit import auto_refit
from cftlearn._category_data import CategoryData, CategoryResult
from cftlearn._category_refit import refit_category
from cftlearn._checkpoint import resumed
from cftlearn._stored_features import StoredFeatures
from cftlearn.base import CategorySolver
from cftlearn.metrics._objectives import Objective

_LARGE = 2**27  # bytes of features, from which workers share them as threads


def refit_all(
    categories: list[CategoryData],
    solvers: list[CategorySolver] | None,
    objective: Objective,
    *,
    refit: bool,
    places: dict[str, Path],
    n_jobs: int | None,
    verbose: int,
) -> list[CategoryResult]:
    """Refit all categories.

    Parameters
    ----------
    categories : list of CategoryData
        At least one.
    solvers : list of CategorySolver, or None
        What each category chooses among. None pools the evidence of all categories,
        as ``solver="auto"`` does.
    objective : Objective
        What refits are judged by.
    refit : bool
        Fit the held-out labels too, after the choice.
    places : dict of str to path
        Where finished categories are kept; empty keeps none.
    n_jobs : int or None
        Workers. They are threads where features are not to be copied: stored ones,
        and large ones where matrix products dominate, which leave other threads free.
    verbose : int
        Above 0, shows a progress bar where the output is a terminal.

    Returns
    -------
    results : list of CategoryResult
        In the order of ``categories``.
    """
    Z = categories[0].Z
    share = isinstance(Z, StoredFeatures) or (solvers is None and Z.nbytes > _LARGE)
    run = partial(_run, places=places, n_jobs=n_jobs, share=share, verbose=verbose)
    if solvers is None:
        return auto_refit(categories, objective, refit=refit, run=run)
    tasks = [(data, solvers, objective, refit) for data in categories]
    return run(refit_category, CategoryResult, tasks)


def _run(
    make: Callable[..., Any],
    kind: type[Any],
    tasks: list[tuple[Any, ...]],
    *,
    places: dict[str, Path],
    n_jobs: int | None,
    share: bool,
    verbose: int,
) -> list[Any]:
    """Call ``make`` for every task, whose first entry is the category's data."""
    jobs = (
        delayed(resumed)(places.get(task[0].name), kind, make, *task) for task in tasks
    )
    prefer = "threads" if share else "processes"
    parallel = Parallel(n_jobs=n_jobs, return_as="generator", prefer=prefer)
    with threadpool_limits(limits=1):  # workers may be threads of this process
        progress = tqdm(
            parallel(jobs),
            total=len(tasks),
            desc="refitting categories",
            unit="category",
            disable=None if verbose else True,
        )
        return list(progress)
