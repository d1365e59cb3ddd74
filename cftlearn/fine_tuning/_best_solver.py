"""The refit of one category alone by the solver that its held-out labels prefer.

So the published solvers are judged; see :mod:`cftlearn.fine_tuning._pooled_refit` for
the others.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cftlearn._seeding import one_thread
from cftlearn.fine_tuning._category_task import CategoryTask
from cftlearn.fine_tuning._report import (
    CategoryResult,
    Weights,
    initial_fit,
    outcome,
    report_line,
    skipped,
)
from cftlearn.fine_tuning._workers import CategoryWorkers
from cftlearn.metrics._objectives import Objective
from cftlearn.solvers._protocol import (
    CategoryProblem,
    CategorySolver,
    KnownRows,
    RowFit,
    check_fit,
)


class BestSolverRefit:
    """Refits each category by the solver that its own held-out labels prefer.

    Parameters
    ----------
    solvers : list of CategorySolver
        One or more.
    objective : Objective
        What held-out labels judge by.
    refit : bool
        Whether the chosen solver fits the held-out labels too.
    """

    pooled = busy_with_products = False
    device: str | None = None

    def __init__(
        self, solvers: list[CategorySolver], objective: Objective, *, refit: bool
    ) -> None:
        self.solvers, self.objective, self.refit = solvers, objective, refit

    def __call__(
        self, tasks: list[CategoryTask], run: CategoryWorkers
    ) -> list[CategoryResult]:
        """Refit all categories, independently of each other."""
        return run(
            refit_category,
            CategoryResult,
            tasks,
            self.solvers,
            self.objective,
            self.refit,
        )

    def repeat(
        self,
        tasks: list[CategoryTask],
        results: list[CategoryResult],
        run: CategoryWorkers,
    ) -> list[Weights | None]:
        """Fit the chosen solvers again, on other features.

        See :class:`~cftlearn.fine_tuning._solver_names.RefitMethod`.
        """
        chosen = chosen_iterations(tasks, results)
        repeated = [task for task in tasks if task.name in chosen]
        made = run(
            repeat_category, Weights, repeated, self.solvers, self.objective, chosen
        )
        by_name = {task.name: own for task, own in zip(repeated, made, strict=True)}
        return [by_name.get(task.name) for task in tasks]


def chosen_iterations(
    tasks: Sequence[CategoryTask], results: Sequence[CategoryResult]
) -> dict[str, tuple[str, int]]:
    """Return solver and iterations of the categories that were refitted."""
    return {
        task.name: (result.report["solver"], result.report["n_iter"])
        for task, result in zip(tasks, results, strict=True)
        if result.report["solver"] is not None
    }


def repeat_category(
    task: CategoryTask,
    solvers: Sequence[CategorySolver],
    objective: Objective,
    chosen: dict[str, tuple[str, int]],
) -> Weights:
    """Fit the chosen solver to all known labels, for the chosen iterations."""
    name, n_iter = chosen[task.name]
    solver = next(each for each in solvers if each.name == name)
    everything, train, held_out, _ = task.known()
    with one_thread():
        problem = task.with_spaces().problem(objective, train, held_out)
        fit = solver.fit_row(
            replace(problem, train=everything, validation=None, n_iter=n_iter)
        )
    fit = check_fit(fit, solver, "fit_row")
    return Weights(fit.coef, fit.intercept)


def refit_category(
    task: CategoryTask,
    solvers: Sequence[CategorySolver],
    objective: Objective,
    refit: bool,
) -> CategoryResult:
    """Refit one category, or keep its initial weights and say why.

    Every solver finds its best weights by the held-out labels; the best of them replace
    the initial weights only if they score higher there. The chosen solver then runs as
    many iterations again on all known labels, if ``refit``.
    """
    started = time.perf_counter()
    everything, train, held_out, _ = task.known()
    skip_reason = missing_class(train.y, held_out.y, has_groups=task.has_groups)
    if skip_reason:
        return skipped(task, skip_reason)
    with one_thread():
        problem = task.with_spaces().problem(objective, train, held_out)
        choice = _fit_and_choose(task, problem, held_out, solvers)
        left_out = held_out.Z @ choice.fit.coef + choice.fit.intercept
        if choice.solver is not None and refit:
            final = choice.solver.fit_row(
                replace(
                    problem,
                    train=everything,
                    validation=None,
                    n_iter=choice.fit.n_iter,
                )
            )
            choice = choice.refitted(check_fit(final, choice.solver, "fit_row"))
    return choice.result_for(task, time.perf_counter() - started, left_out)


class ScoredFit(NamedTuple):
    """The best weights that a solver found, and their objective on held-out labels."""

    solver: CategorySolver
    fit: RowFit
    score: float


@dataclass(frozen=True)
class Choice:
    """The weights that a category ends with, and why.

    Attributes
    ----------
    fit : RowFit
        The weights.
    solver : CategorySolver or None
        The solver that found them; None if they are the initial ones.
    outcome : dict
        Their part of the report.
    history : list of dict
        What every solver recorded.
    """

    fit: RowFit
    solver: CategorySolver | None
    outcome: dict[str, Any]
    history: list[dict[str, Any]]

    def refitted(self, final: RowFit) -> "Choice":
        """Return the choice with the chosen solver's fit of all known labels."""
        if self.solver is None:
            raise ValueError("the initial weights were kept; no solver can refit them")
        history = self.history + _labelled(final, self.solver, "refit")
        return replace(self, fit=final, history=history)

    def result_for(
        self, task: CategoryTask, seconds: float, left_out: NDArray[np.float64]
    ) -> CategoryResult:
        """Report on the category, given logits of its held-out labels."""
        line = report_line(task, self.outcome, seconds)
        for record in self.history:
            record["category"] = task.name
        coef, intercept = self.fit.coef, self.fit.intercept
        return CategoryResult(coef, intercept, line, self.history, left_out)


def choose(
    initial: RowFit, before: float, fits: Sequence[ScoredFit], objective: str
) -> Choice:
    """Choose among the solvers' weights and the initial ones by held-out labels.

    Parameters
    ----------
    initial : RowFit
        The initial weights, which are kept unless others score higher.
    before : float
        Their score on the held-out labels.
    fits : sequence of ScoredFit
        One per solver.
    objective : str
        Name of the score.

    Returns
    -------
    choice : Choice
        Before a refit on all known labels.
    """
    history: list[dict[str, Any]] = []
    best, best_score = None, before
    runs: list[str] = []
    for scored in fits:
        solver, fit, score = scored
        history += _labelled(fit, solver, "choose")
        unit = "" if runs else " iterations"
        verb = "" if runs else " ran"
        runs.append(f"{solver.name}{verb} {fit.n_iter_run}{unit} ({fit.stopped_by})")
        # A solver may hand back what it was given, as iteration 0.
        if score > best_score and fit.n_iter > 0:
            best, best_score = scored, score
    ran = ", ".join(runs)
    if best is None:
        reason = f"no refit scored above {before:.4f} on the held-out labels; {ran}"
        kept = outcome("kept", reason, before, before)
        return Choice(initial, None, kept, history)
    gain = best_score - before
    reason = f"held-out {objective} rose by {gain:.4f}; {ran}"
    result = outcome(
        "refitted", reason, before, best_score, best.solver.name, best.fit.n_iter, 1.0
    )
    return Choice(best.fit, best.solver, result, history)


def _fit_and_choose(
    task: CategoryTask,
    problem: CategoryProblem,
    held_out: KnownRows,
    solvers: Sequence[CategorySolver],
) -> Choice:
    """Let every solver fit, and choose."""

    def score_of(fit: RowFit) -> float:
        logits = held_out.Z @ fit.coef + fit.intercept
        return problem.objective.single(held_out.y, logits, held_out.weight)

    initial = initial_fit(task)
    before = score_of(initial)
    fits = []
    for solver in solvers:
        fit = check_fit(solver.fit_row(problem), solver, "fit_row")
        fits.append(ScoredFit(solver, fit, score_of(fit)))
    return choose(initial, before, fits, problem.objective.name)


def _labelled(fit: RowFit, solver: CategorySolver, phase: str) -> list[dict[str, Any]]:
    return [{"solver": solver.name, "phase": phase, **row} for row in fit.history]


def missing_class(
    y: NDArray[np.bool_], y_val: NDArray[np.bool_], *, has_groups: bool = False
) -> str:
    """Return what class has no label to fit or to hold out; "" if none lacks.

    With groups, all labels of a class may be in one that must not be divided.
    """
    if len(y) + len(y_val) == 0:
        return "no known label"
    for labels, role in ((y, "to fit"), (y_val, "to hold out")):
        for is_positive, word in ((True, "positive"), (False, "negative")):
            if not (labels == is_positive).any():
                total = int((y == is_positive).sum() + (y_val == is_positive).sum())
                found = f"only {total}" if total else "no"
                plural = "s" if total > 1 else ""
                where = ""
                if has_groups and total > 1:
                    where = " in groups that stay whole"
                return f"{found} known {word}{plural}{where}, none left {role}"
    return ""
