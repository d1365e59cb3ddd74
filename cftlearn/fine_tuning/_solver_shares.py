"""The average of weights that solvers passed on their way, fitted to all labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from cftlearn._seeding import one_thread
from cftlearn.fine_tuning._category_task import CategoryTask
from cftlearn.fine_tuning._solver_candidates import (
    SolverCandidate,
    SolverRuns,
    checkpoints_of,
    positive,
)
from cftlearn.metrics._objectives import Objective
from cftlearn.solvers._protocol import (
    AnyRows,
    CategoryProblem,
    CategorySolver,
    check_fit,
    checked_path_length,
)


@dataclass(frozen=True)
class RefittedRow:
    """The weights that a category ends with.

    Attributes
    ----------
    coef : ndarray of shape (n_features,), float64
        The weights.
    intercept : float
        Their bias.
    history : list of dict
        What solvers recorded.
    """

    coef: NDArray[np.float64]
    intercept: float
    history: list[dict[str, Any]]

    def pack(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Split it into arrays and plain values, for a checkpoint."""
        plain = {"intercept": self.intercept, "history": self.history}
        return {"coef": self.coef}, plain

    @classmethod
    def unpack(cls, arrays: dict[str, NDArray[Any]], plain: dict[str, Any]) -> Self:
        """Build it again from what :meth:`pack` returned."""
        return cls(arrays["coef"], **plain)


class Shares(NamedTuple):
    """How much candidates and initial weights count in a category.

    Attributes
    ----------
    candidates : list of SolverCandidate
        Those that count.
    weights : ndarray of shape (n_candidates,), float64
        How much each of them counts.
    initial : float
        How much the initial weights count; 1 in all with ``weights``.
    """

    candidates: list[SolverCandidate]
    weights: NDArray[np.float64]
    initial: float

    def iterations(self, solver: CategorySolver, problem: CategoryProblem) -> int:
        """Return how many iterations a solver must run; 0 if it does not count."""
        own = [one.n_iter for one in self.candidates if one.solver == solver.name]
        return (checked_path_length(solver, problem) or max(own)) if own else 0


def refit_shares(
    task: CategoryTask,
    solvers: Sequence[CategorySolver],
    objective: Objective,
    shares: dict[str, Shares],
    refit: bool,
) -> RefittedRow:
    """Fit the solvers of a category once more, and average what they pass.

    Parameters
    ----------
    task : CategoryTask
        The category.
    solvers : sequence of CategorySolver
        All of them.
    objective : Objective
        What they maximise.
    shares : dict of str to Shares
        What counts, by category.
    refit : bool
        Whether held-out labels are fitted too.

    Returns
    -------
    row : RefittedRow
        The average.
    """
    own = shares[task.name]
    runs = []
    with one_thread():
        task = task.with_spaces()
        everything, train, held_out, _ = task.known()
        problem = task.problem(objective, train, held_out)
        problem = replace(
            problem, train=everything if refit else train, validation=None
        )
        for solver in solvers:
            n_iter = own.iterations(solver, problem)
            if n_iter:
                fit = solver.fit_row(replace(problem, n_iter=n_iter))
                runs.append(SolverRuns(solver, [check_fit(fit, solver, "fit_row")]))
        return mix(task, runs, own, everything)


def mix(
    task: CategoryTask, runs: Sequence[SolverRuns], shares: Shares, known: AnyRows
) -> RefittedRow:
    r"""Average the weights that solvers passed, and the initial ones.

    Weights divided by the spread of their logits are averaged, and get back the mean
    spread, as in :func:`~cftlearn.fine_tuning._auto.average_weights`. The bias makes
    the logit at the mean of the features the average of those of the candidates.

    Parameters
    ----------
    task : CategoryTask
        With the initial weights.
    runs : sequence of SolverRuns
        One fit per solver that counts.
    shares : Shares
        What counts. Candidates that a fit on other features does not have leave their
        share to the others.
    known : KnownRows
        Rows over which logits vary.

    Returns
    -------
    row : RefittedRow
        The average.
    """
    weight_of = {
        one.key: weight
        for one, weight in zip(shares.candidates, shares.weights, strict=True)
    }
    counts, coefs, biases = [shares.initial], [task.coef], [task.intercept]
    history: list[dict[str, Any]] = []
    for solver, fits in runs:
        for one in checkpoints_of(fits[0]):
            weight = weight_of.get((solver.name, one.label), 0.0)
            if weight > 0.0:
                counts.append(weight)
                coefs.append(one.coef)
                biases.append(one.intercept)
        history += [
            {"solver": solver.name, "phase": "refit", **row} for row in fits[0].history
        ]
    total = float(np.sum(counts))
    if total == 0.0:
        return RefittedRow(task.coef, task.intercept, history)
    share, every = np.array(counts) / total, np.array(coefs)
    spread = (every @ known.Z.T.astype(np.float64)).std(axis=1)
    coef = (share @ spread) * ((share / positive(spread)) @ every)
    at_mean = every @ task.feature_mean + np.array(biases)
    intercept = float(share @ at_mean) - float(coef @ task.feature_mean)
    return RefittedRow(coef, intercept, history)
