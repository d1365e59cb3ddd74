"""The refit of all categories by solvers whose weights all of them judge together."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cftlearn.fine_tuning._best_solver import missing_class
from cftlearn.fine_tuning._category_task import CategoryTask
from cftlearn.fine_tuning._evidence import Verdict, weigh
from cftlearn.fine_tuning._report import (
    CategoryResult,
    Weights,
    outcome,
    report_line,
    skipped,
)
from cftlearn.fine_tuning._solver_candidates import (
    JudgedSolvers,
    judge_solvers,
)
from cftlearn.fine_tuning._solver_shares import (
    RefittedRow,
    Shares,
    refit_shares,
)
from cftlearn.fine_tuning._workers import CategoryWorkers
from cftlearn.metrics._objectives import Objective
from cftlearn.solvers._protocol import CategorySolver


class PooledRefit:
    """Refits all categories by the weights that their labels, together, support.

    Solvers run without each fold of the held-out labels, and are judged by it at some
    of their iterations. Evidence is pooled over categories as for ``"auto"``, and the
    same guard stands before the initial weights. At last solvers run once more, on all
    known labels, and their weights are averaged.

    Parameters
    ----------
    solvers : list of CategorySolver
        One or more.
    objective : Objective
        What solvers maximise. A callable one judges them, and must also rise on the
        category's own held-out labels.
    refit : bool
        Whether solvers at last fit the held-out labels too.
    """

    pooled = True
    busy_with_products = False
    device: str | None = None

    def __init__(
        self, solvers: list[CategorySolver], objective: Objective, *, refit: bool
    ) -> None:
        self.solvers, self.objective, self.refit = solvers, objective, refit

    def __call__(
        self, tasks: list[CategoryTask], run: CategoryWorkers
    ) -> list[CategoryResult]:
        """Refit all categories.

        Parameters
        ----------
        tasks : list of CategoryTask
            All categories.
        run : CategoryWorkers
            Fits and judges those of which both classes are known.

        Returns
        -------
        results : list of CategoryResult
            In the order of ``tasks``.
        """
        results, fitted = {}, []
        for task in tasks:
            reason = missing_class(
                task.fitted.y, task.held_out.y, has_groups=task.has_groups
            )
            if reason:
                results[task.name] = skipped(task, reason)
            else:
                fitted.append(task)
        judged = self._judge(fitted, run)
        verdicts = dict(_verdicts(fitted, judged))
        decisions = {
            task.name: Decision(task, own, verdicts.get(task.name), self.objective)
            for task, own in zip(fitted, judged, strict=True)
        }
        shares = {
            name: decision.shares
            for name, decision in decisions.items()
            if decision.shares is not None
        }
        chosen = [task for task in fitted if task.name in shares]
        rows = self._refit(chosen, shares, run.for_stage("refit"), self.refit)
        by_name = dict(zip(shares, rows, strict=True))
        for name, decision in decisions.items():
            results[name] = decision.result(by_name.get(name), len(fitted))
        return [results[task.name] for task in tasks]

    def repeat(
        self,
        tasks: list[CategoryTask],
        results: list[CategoryResult],
        run: CategoryWorkers,
    ) -> list[Weights | None]:
        """Average the same iterations, with the same weights, on other features.

        See :class:`~cftlearn.fine_tuning._solver_names.RefitMethod`.
        """
        shares = {
            task.name: result.shares
            for task, result in zip(tasks, results, strict=True)
            if result.shares is not None
        }
        repeated = [task for task in tasks if task.name in shares]
        rows = self._refit(repeated, shares, run, refit=True)
        by_name = {task.name: row for task, row in zip(repeated, rows, strict=True)}
        return [
            Weights(by_name[task.name].coef, by_name[task.name].intercept)
            if task.name in by_name
            else None
            for task in tasks
        ]

    def _judge(
        self, tasks: list[CategoryTask], run: CategoryWorkers
    ) -> list[JudgedSolvers]:
        return run(
            judge_solvers,
            JudgedSolvers,
            tasks,
            self.solvers,
            self.objective,
            self.refit,
        )

    def _refit(
        self,
        tasks: list[CategoryTask],
        shares: dict[str, Shares],
        run: CategoryWorkers,
        refit: bool,
    ) -> list[RefittedRow]:
        return run(
            refit_shares,
            RefittedRow,
            tasks,
            self.solvers,
            self.objective,
            shares,
            refit,
        )


def _verdicts(
    tasks: Sequence[CategoryTask], judged: Sequence[JudgedSolvers]
) -> list[tuple[str, Verdict]]:
    """Weigh the evidence of all categories in which some solver found weights."""
    own = [
        (task.name, each)
        for task, each in zip(tasks, judged, strict=True)
        if each.candidates
    ]
    keys = _keys(judged)
    priors = {one.key: one.log_prior for each in judged for one in each.candidates}
    log_prior = np.array([priors[key] for key in keys])
    verdicts = weigh([each.evidence(keys) for _, each in own], log_prior)
    return [
        (name, _of_own(verdict, each, keys))
        for (name, each), verdict in zip(own, verdicts, strict=True)
        if verdict is not None
    ]


def _keys(judged: Sequence[JudgedSolvers]) -> list[tuple[str, str]]:
    return list(dict.fromkeys(one.key for each in judged for one in each.candidates))


def _of_own(
    verdict: Verdict, judged: JudgedSolvers, keys: list[tuple[str, str]]
) -> Verdict:
    """Take the candidates that a category has, in its own order."""
    index = [keys.index(one.key) for one in judged.candidates]
    return replace(verdict, candidates=verdict.candidates[index])


class Decision:
    """Whether a category is refitted, and by what.

    Parameters
    ----------
    task : CategoryTask
        The category.
    judged : JudgedSolvers
        What its held-out labels say.
    verdict : Verdict or None
        What all categories say; None where no solver found anything.
    objective : Objective
        What is reported.

    Attributes
    ----------
    shares : Shares or None
        What counts in the new weights; None keeps the initial ones.
    """

    def __init__(
        self,
        task: CategoryTask,
        judged: JudgedSolvers,
        verdict: Verdict | None,
        objective: Objective,
    ) -> None:
        self.task, self.judged, self.verdict = task, judged, verdict
        self.objective = objective
        self.initial_logits = task.initial_logits()
        y, weight = task.held_out.y, task.held_out.weight
        self.before = objective.single(y, self.initial_logits, weight)
        self.shares: Shares | None = None
        self.left_out, self.after = self.initial_logits, self.before
        self.falls = False
        if verdict is None or verdict.keeps_initial:
            return
        averaged = judged.average(task, verdict.candidates, verdict.initial)
        after = objective.single(y, averaged, weight)
        self.falls = not objective.is_ranking and after <= self.before
        if not self.falls:
            self.left_out, self.after = averaged, after
            self.shares = Shares(judged.candidates, verdict.candidates, verdict.initial)

    def result(self, row: RefittedRow | None, n_pooled: int) -> CategoryResult:
        """Report on the category, given its new weights if there are any."""
        task, reason = self.task, self._reason(n_pooled)
        weights = self._weights()
        history = [
            {"category": task.name, **record, "weight": float(weight)}
            for record, weight in zip(self.judged.history, weights, strict=True)
        ]
        if row is None or self.shares is None:
            kept = outcome("kept", reason, self.before, self.before)
            line = report_line(task, kept, self.judged.seconds)
            return CategoryResult(
                task.coef, task.intercept, line, history, self.left_out
            )
        most = self.shares.candidates[int(np.argmax(weights))]
        result = outcome(
            "refitted",
            reason,
            self.before,
            self.after,
            most.solver,
            most.n_iter,
            1.0 - self.shares.initial,
        )
        history += [{"category": task.name, **record} for record in row.history]
        line = report_line(task, result, self.judged.seconds)
        return CategoryResult(
            row.coef, row.intercept, line, history, self.left_out, shares=self.shares
        )

    def _weights(self) -> NDArray[np.float64]:
        if self.verdict is None:
            return np.zeros(len(self.judged.candidates))
        return self.verdict.candidates

    def _reason(self, n_pooled: int) -> str:
        if self.verdict is None:
            return f"no refit scored above {self.before:.4f} on the held-out labels"
        share = 1.0 - self.verdict.initial
        verb = "weigh" if self.verdict.outweighs else "would weigh only"
        what = (
            "AUC" if self.objective.is_ranking else f"evidence by {self.objective.name}"
        )
        reason = (
            f"refits {verb} {share:.2f}; held-out {what} {self.verdict.gain:+.3f} "
            f"here, {self.verdict.pooled_gain:+.3f} over {n_pooled} categories"
        )
        if self.verdict.is_refused:
            reason = f"its own labels are clearly against refits; {reason}"
        if self.falls:
            reason = f"held-out {self.objective.name} did not rise; {reason}"
        return reason
