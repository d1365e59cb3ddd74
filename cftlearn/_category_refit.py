"""The refit of one category: candidates, the choice among them, the last fit."""

import time
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from cftlearn._category_data import (
    CategoryData,
    CategoryResult,
    outcome,
    skipped,
    start_report,
)
from cftlearn.base import CategoryProblem, CategorySolver, KnownRows, RowFit
from cftlearn.metrics._objectives import Objective


def refit_category(
    data: CategoryData,
    solvers: list[CategorySolver],
    objective: Objective,
    refit: bool,
) -> CategoryResult:
    """Refit one category, or leave it as it was and say why.

    Every solver proposes its best row by the held-out labels; the best of them
    replaces the trained row only if it scores higher there. The chosen solver then
    runs as many iterations again on all known labels, if ``refit``.
    """
    started = time.perf_counter()
    everything, train, held_out = data.known()
    lack = _what_lacks(train.y, held_out.y)
    if lack:
        return skipped(data, lack)
    with threadpool_limits(limits=1):  # the same sums whatever the number of workers
        problem = data.ready().problem(objective, train, held_out)
        fit, result, history = _choose(
            problem, held_out, solvers, everything if refit else None
        )
    report = start_report(data) | result
    report |= {"seconds": time.perf_counter() - started}
    for record in history:
        record["category"] = data.name
    return CategoryResult(fit.coef, fit.intercept, report, history)


def _choose(
    problem: CategoryProblem,
    held_out: KnownRows,
    solvers: list[CategorySolver],
    everything: KnownRows | None,
) -> tuple[RowFit, dict[str, Any], list[dict[str, Any]]]:
    """Let the held-out labels choose among the solvers' rows and the trained one.

    The chosen solver fits ``everything`` at last, unless it is None.
    """

    def score_of(coef: NDArray[np.float64], intercept: float) -> float:
        return problem.objective.single(held_out.y, held_out.Z @ coef + intercept)

    before = score_of(problem.coef, problem.intercept)
    history: list[dict[str, Any]] = []
    best, best_score, best_solver = None, before, None
    runs: list[str] = []
    for solver in solvers:
        fit = solver.fit_row(problem)
        history += _labelled(fit, solver, "choose")
        score = score_of(fit.coef, fit.intercept)
        unit = "" if runs else " iterations"
        verb = "" if runs else " ran"
        runs.append(f"{solver.name}{verb} {fit.n_iter_run}{unit} ({fit.stopped_by})")
        if score > best_score and fit.n_iter > 0:
            best, best_score, best_solver = fit, score, solver
    ran = ", ".join(runs)
    if best is None or best_solver is None:
        kept = RowFit(problem.coef, problem.intercept, 0, 0, "n_iter")
        reason = f"no refit scored above {before:.4f} on the held-out labels; {ran}"
        return kept, outcome("kept", reason, before, before), history
    gain = best_score - before
    reason = f"held-out {problem.objective.name} rose by {gain:.4f}; {ran}"
    result = outcome(
        "refitted", reason, before, best_score, best_solver.name, best.n_iter, 1.0
    )
    if everything is not None:
        final = best_solver.fit_row(
            replace(problem, train=everything, validation=None, n_iter=best.n_iter)
        )
        history += _labelled(final, best_solver, "refit")
        best = final
    return best, result, history


def _labelled(fit: RowFit, solver: CategorySolver, phase: str) -> list[dict[str, Any]]:
    return [{"solver": solver.name, "phase": phase, **row} for row in fit.history]


def _what_lacks(y: NDArray[np.bool_], y_val: NDArray[np.bool_]) -> str:
    """Name the class that is missing where it is needed, or nothing."""
    if len(y) + len(y_val) == 0:
        return "no known label"
    for labels, role in ((y, "to fit"), (y_val, "to hold out")):
        for is_positive, word in ((True, "positive"), (False, "negative")):
            if not (labels == is_positive).any():
                total = int((y == is_positive).sum() + (y_val == is_positive).sum())
                found = f"only {total}" if total else "no"
                plural = "s" if total > 1 else ""
                return f"{found} known {word}{plural}, none left {role}"
    return ""
