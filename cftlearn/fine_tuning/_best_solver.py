"""The refit of one category: candidates, the choice among them, the last fit."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from cftlearn.fine_tuning._category_task import CategoryData
from cftlearn.fine_tuning._report import CategoryResult, outcome, skipped, start_report
from cftlearn.metrics._objectives import Objective
from cftlearn.solvers._protocol import (
    CategoryProblem,
    CategorySolver,
    KnownRows,
    RowFit,
)


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
    lack = what_lacks(train.y, held_out.y)
    if lack:
        return skipped(data, lack)
    with threadpool_limits(limits=1):  # the same sums whatever the number of workers
        problem = data.ready().problem(objective, train, held_out)
        choice = _propose_and_choose(problem, held_out, solvers)
        left_out = held_out.Z @ choice.fit.coef + choice.fit.intercept
        if choice.solver is not None and refit:
            choice = choice.refitted(
                choice.solver.fit_row(
                    replace(
                        problem,
                        train=everything,
                        validation=None,
                        n_iter=choice.fit.n_iter,
                    )
                )
            )
    return choice.result_for(data, time.perf_counter() - started, left_out)


class ScoredFit(NamedTuple):
    """A solver's best row by the held-out labels, and the objective of it there."""

    solver: CategorySolver
    fit: RowFit
    score: float


@dataclass(frozen=True)
class Choice:
    """The row that stands for a category, and why.

    Attributes
    ----------
    fit : RowFit
        The row.
    solver : CategorySolver or None
        Whose it is; None if it is the trained one.
    outcome : dict
        Its part of the report.
    history : list of dict
        What every solver recorded.
    """

    fit: RowFit
    solver: CategorySolver | None
    outcome: dict[str, Any]
    history: list[dict[str, Any]]

    def refitted(self, final: RowFit) -> "Choice":
        """Let the chosen solver's row give way to its fit of all known labels."""
        if self.solver is None:
            raise ValueError("the trained row stands, and no solver can refit it")
        history = self.history + _labelled(final, self.solver, "refit")
        return replace(self, fit=final, history=history)

    def result_for(
        self, data: CategoryData, seconds: float, left_out: NDArray[np.float64]
    ) -> CategoryResult:
        """Report on the category, given logits of its held-out labels."""
        report = start_report(data) | self.outcome | {"seconds": seconds}
        for record in self.history:
            record["category"] = data.name
        coef, intercept = self.fit.coef, self.fit.intercept
        return CategoryResult(coef, intercept, report, self.history, left_out)


def choose(
    trained: RowFit, before: float, proposals: Sequence[ScoredFit], objective: str
) -> Choice:
    """Let the held-out labels choose among the solvers' rows and the trained one.

    Parameters
    ----------
    trained : RowFit
        The trained row, which stands unless another one scores higher.
    before : float
        Its score on the held-out labels.
    proposals : sequence of ScoredFit
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
    for proposal in proposals:
        solver, fit, score = proposal
        history += _labelled(fit, solver, "choose")
        unit = "" if runs else " iterations"
        verb = "" if runs else " ran"
        runs.append(f"{solver.name}{verb} {fit.n_iter_run}{unit} ({fit.stopped_by})")
        if score > best_score and fit.n_iter > 0:
            best, best_score = proposal, score
    ran = ", ".join(runs)
    if best is None:
        reason = f"no refit scored above {before:.4f} on the held-out labels; {ran}"
        kept = outcome("kept", reason, before, before)
        return Choice(trained, None, kept, history)
    gain = best_score - before
    reason = f"held-out {objective} rose by {gain:.4f}; {ran}"
    result = outcome(
        "refitted", reason, before, best_score, best.solver.name, best.fit.n_iter, 1.0
    )
    return Choice(best.fit, best.solver, result, history)


def trained_fit(data: CategoryData) -> RowFit:
    """Give the trained row as a fit of no iteration."""
    return RowFit(data.coef, data.intercept, 0, 0, "n_iter")


def _propose_and_choose(
    problem: CategoryProblem, held_out: KnownRows, solvers: list[CategorySolver]
) -> Choice:
    """Ask every solver for its best row."""

    def score_of(coef: NDArray[np.float64], intercept: float) -> float:
        return problem.objective.single(held_out.y, held_out.Z @ coef + intercept)

    trained = RowFit(problem.coef, problem.intercept, 0, 0, "n_iter")
    before = score_of(trained.coef, trained.intercept)
    proposals = []
    for solver in solvers:
        fit = solver.fit_row(problem)
        proposals.append(ScoredFit(solver, fit, score_of(fit.coef, fit.intercept)))
    return choose(trained, before, proposals, problem.objective.name)


def _labelled(fit: RowFit, solver: CategorySolver, phase: str) -> list[dict[str, Any]]:
    return [{"solver": solver.name, "phase": phase, **row} for row in fit.history]


def what_lacks(y: NDArray[np.bool_], y_val: NDArray[np.bool_]) -> str:
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
