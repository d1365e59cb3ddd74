"""The refit of many categories at once, by a solver that can do so on a device.

What is chosen, refitted and reported follows the rules for one category after another,
in :mod:`cftlearn.fine_tuning._pooled_refit` or, for solvers that judge each category
alone, in :mod:`cftlearn.fine_tuning._best_solver`.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from cftlearn.fine_tuning._best_solver import (
    Choice,
    ScoredFit,
    choose,
    chosen_iterations,
    missing_class,
)
from cftlearn.fine_tuning._category_task import CategoryTask
from cftlearn.fine_tuning._checkpoint import load_result, save_result
from cftlearn.fine_tuning._pooled_refit import PooledRefit
from cftlearn.fine_tuning._report import (
    CategoryResult,
    Weights,
    initial_fit,
    skipped,
)
from cftlearn.fine_tuning._solver_candidates import (
    N_FOLDS,
    JudgedSolvers,
    SolverRuns,
    deal_folds,
    judge_runs,
)
from cftlearn.fine_tuning._solver_shares import (
    RefittedRow,
    Shares,
    mix,
)
from cftlearn.fine_tuning._workers import CategoryWorkers
from cftlearn.metrics._objectives import Objective
from cftlearn.solvers._problem_batch import (
    ProblemBatch,
    device_memory,
)
from cftlearn.solvers._protocol import (
    CategoryProblem,
    CategorySolver,
    RowFit,
    RowPart,
    StoredRows,
    check_fit,
    checked_path_length,
)
from cftlearn.solvers._weight_space import padded_width

_FREE_SHARE = 0.25  # of the memory, at least, is left to compute in
_MOST_PADDING = 2**18  # rows of a group, from which a group more is worth its time


@dataclass(frozen=True)
class _Category:
    """A category that can be refitted: where its known labels are."""

    task: CategoryTask
    train: RowPart
    held_out: RowPart

    @classmethod
    def of(cls, task: CategoryTask) -> "_Category":
        return cls(
            task, RowPart(task.Z, *task.fitted), RowPart(task.Z_val, *task.held_out)
        )

    def problem(self, objective: Objective) -> CategoryProblem:
        """State the problem; the features stay where they are."""
        return self.task.with_spaces().problem(
            objective, StoredRows((self.train,)), StoredRows((self.held_out,))
        )


class BatchedRefit:
    """Refits categories together, in groups that the device's memory can hold.

    Parameters
    ----------
    solver : CategorySolver
        One whose ``batch_device`` names a device.
    objective : Objective
        What to maximise.
    refit : bool
        Whether the solver at last fits all known labels of the categories whose refit
        was chosen.
    device : str
        Torch device.
    memory : int, default=None
        Bytes to use there. None takes four fifths of a GPU's.
    """

    pooled = busy_with_products = False

    def __init__(
        self,
        solver: CategorySolver,
        objective: Objective,
        *,
        refit: bool,
        device: str,
        memory: int | None = None,
    ) -> None:
        self.solver, self.objective, self.refit = solver, objective, refit
        self.solvers = [solver]
        self.device = device
        self._memory = memory

    @cached_property
    def memory(self) -> int:
        """Bytes to use on the device; it is asked when the refit begins, not before."""
        return device_memory(self.device) if self._memory is None else self._memory

    def __call__(
        self, tasks: Sequence[CategoryTask], run: CategoryWorkers
    ) -> list[CategoryResult]:
        """Refit what can be refitted.

        Parameters
        ----------
        tasks : sequence of CategoryTask
            All categories.
        run : CategoryWorkers
            Says where finished categories are stored, and whether to show progress. A
            group of which one is missing is refitted as a whole, so that sums stay the
            same.

        Returns
        -------
        results : list of CategoryResult
            In the order of ``tasks``.

        Raises
        ------
        ValueError
            If a parameter of the solver is out of its range, the known rows of a
            category do not fit in the device's memory, or the solver returns more or
            fewer fits than it got problems.
        """
        self.solver.check_parameters()
        results: dict[str, CategoryResult] = {}
        to_refit = []
        for category in map(_Category.of, tasks):
            reason = missing_class(
                category.train.y,
                category.held_out.y,
                has_groups=category.task.has_groups,
            )
            if reason:
                results[category.task.name] = skipped(category.task, reason)
            else:
                to_refit.append(category)
        with run.progress(len(results), len(tasks)) as progress:
            for group in self.groups(to_refit):
                results |= self._results_of(group, run.paths)
                progress.update(len(group))
        return [results[task.name] for task in tasks]

    def repeat(
        self,
        tasks: list[CategoryTask],
        results: list[CategoryResult],
        run: CategoryWorkers,
    ) -> list[Weights | None]:
        """Fit the chosen categories again, on other features.

        See :class:`~cftlearn.fine_tuning._solver_names.RefitMethod`.
        """
        chosen = chosen_iterations(tasks, results)
        made: dict[str, Weights] = {}
        repeated = [_Category.of(task) for task in tasks if task.name in chosen]
        with run.progress(0, len(repeated)) as progress:
            for group in self.groups(repeated):
                problems = [category.problem(self.objective) for category in group]
                batch = ProblemBatch(problems, memory=self.memory)
                n_iter = {k: chosen[c.task.name][1] for k, c in enumerate(group)}
                for category, fit in zip(
                    group, self.fit(batch.with_all_labels(n_iter)), strict=True
                ):
                    made[category.task.name] = Weights(fit.coef, fit.intercept)
                progress.update(len(group))
        return [made.get(task.name) for task in tasks]

    def _results_of(
        self, group: list[_Category], paths: dict[str, Path]
    ) -> dict[str, CategoryResult]:
        """Refit a group, or load it if all of it is finished."""
        own = [paths[c.task.name] for c in group if c.task.name in paths]
        if own and all(path.exists() for path in own):
            results = [load_result(path, CategoryResult) for path in own]
        else:
            results = self._refit(group)
            for path, result in zip(own, results, strict=False):  # none, or all
                save_result(path, result)
        return {c.task.name: result for c, result in zip(group, results, strict=True)}

    def _refit(self, group: list[_Category]) -> list[CategoryResult]:
        """Choose by held-out labels, then fit the chosen categories on all labels."""
        started = time.perf_counter()
        problems = [category.problem(self.objective) for category in group]
        batch = ProblemBatch(problems, memory=self.memory)
        fits = self.fit(batch)
        initial = [initial_fit(category.task) for category in group]
        before, after = batch.judge(initial), batch.judge(fits)
        choices = [
            choose(
                own,
                score_before,
                [ScoredFit(self.solver, fit, score)],
                self.objective.name,
            )
            for own, (score_before, _), fit, (score, _) in zip(
                initial, before, fits, after, strict=True
            )
        ]
        # before the last fit, which sees the held-out labels
        left_out = [
            logits_before if choice.solver is None else logits
            for choice, (_, logits_before), (_, logits) in zip(
                choices, before, after, strict=True
            )
        ]
        if self.refit:
            choices = self._fit_all_labels(batch, choices)
        seconds = (time.perf_counter() - started) / len(group)
        return [
            choice.result_for(category.task, seconds, logits)
            for choice, category, logits in zip(choices, group, left_out, strict=True)
        ]

    def _fit_all_labels(
        self, batch: ProblemBatch, choices: list[Choice]
    ) -> list[Choice]:
        n_iter = {
            index: choice.fit.n_iter
            for index, choice in enumerate(choices)
            if choice.solver is not None
        }
        if not n_iter:
            return choices
        finals = self.fit(batch.with_all_labels(n_iter))
        refitted = dict(zip(n_iter, finals, strict=True))
        return [
            choice.refitted(refitted[index]) if index in refitted else choice
            for index, choice in enumerate(choices)
        ]

    def fit(self, batch: ProblemBatch) -> list[RowFit]:
        """Fit the problems of a batch, and check what the solver returned."""
        fits = self.solver.fit_many(batch, device=self.device)
        for fit in fits if isinstance(fits, list) else [fits]:
            check_fit(fit, self.solver, "fit_many")
        if len(fits) != len(batch):
            raise ValueError(
                "`fit_many` must return one RowFit for each problem; the solver "
                f"{self.solver.name!r} returned {len(fits)} for {len(batch)} problems."
            )
        return fits

    # --- groups -----------------------------------------------------------------------

    def groups(self, categories: list[_Category]) -> list[list[_Category]]:
        """Group categories, of like sizes together, so that each group fits in memory.

        Groups depend on the memory of the device, not on what is free of it.
        """
        groups: list[list[_Category]] = []
        order = sorted(categories, key=lambda c: (-len(c.train.y), c.task.name))
        for category in order:
            self._check_fits(category)
            if groups and self._takes(groups[-1], category):
                groups[-1].append(category)
            else:
                groups.append([category])
        return groups

    def _takes(self, group: list[_Category], category: _Category) -> bool:
        larger = [*group, category]
        longest, rows = len(group[0].train.y), sum(len(c.train.y) for c in larger)
        if longest * len(larger) - rows > _MOST_PADDING:
            return False
        return self._bytes_of(larger) <= (1 - _FREE_SHARE) * self.memory

    def _check_fits(self, category: _Category) -> None:
        needed = self._bytes_of([category]) / (1 - _FREE_SHARE)
        if needed > self.memory:
            raise ValueError(
                "`device` must have memory for the known rows of a category; "
                f"{category.task.name!r} needs {needed / 2**30:.3g} GiB of the "
                f"{self.memory / 2**30:.3g} GiB that may be used on {self.device!r}. "
                'Pass device="cpu".'
            )

    def _bytes_of(self, group: list[_Category]) -> int:
        """Count the bytes of a group, every category padded to the longest one."""
        longest = max(len(c.train.y) for c in group)
        longest += max(len(c.held_out.y) for c in group)
        Z = group[0].task.Z
        row_bytes = padded_width(Z.shape[1]) * Z.dtype.itemsize
        return len(group) * self.solver.batch_bytes(longest, row_bytes)


class BatchedPooledRefit(PooledRefit):
    """Refits categories together on a device, judged by the labels of all of them.

    Parameters
    ----------
    solver : CategorySolver
        One whose ``batch_device`` names a device.
    objective, refit
        As in :class:`~cftlearn.fine_tuning._pooled_refit.PooledRefit`.
    device : str
        Torch device.
    memory : int, default=None
        Bytes to use there. None takes four fifths of a GPU's.
    """

    def __init__(
        self,
        solver: CategorySolver,
        objective: Objective,
        *,
        refit: bool,
        device: str,
        memory: int | None = None,
    ) -> None:
        super().__init__([solver], objective, refit=refit)
        self.device = device
        self._solver = solver
        self._batched = BatchedRefit(
            solver, objective, refit=refit, device=device, memory=memory
        )

    def __call__(
        self, tasks: list[CategoryTask], run: CategoryWorkers
    ) -> list[CategoryResult]:
        """Refit all categories, as :class:`PooledRefit` does, by groups.

        Parameters
        ----------
        tasks, run
            As there.

        Returns
        -------
        results : list of CategoryResult
            In the order of ``tasks``.

        Raises
        ------
        ValueError
            As :class:`BatchedRefit` raises.
        """
        self._solver.check_parameters()
        return super().__call__(tasks, run)

    def _judge(
        self, tasks: list[CategoryTask], run: CategoryWorkers
    ) -> list[JudgedSolvers]:
        return self._in_groups(tasks, run, JudgedSolvers, self._judge_group)

    def _refit(
        self,
        tasks: list[CategoryTask],
        shares: dict[str, Shares],
        run: CategoryWorkers,
        refit: bool,
    ) -> list[RefittedRow]:
        def make(group: list[_Category]) -> list[RefittedRow]:
            problems = []
            for category in group:
                problem = category.problem(self.objective)
                n_iter = shares[category.task.name].iterations(self._solver, problem)
                parts = (category.train, category.held_out)[: 2 if refit else 1]
                problems.append(_to_fit(problem, parts, n_iter))
            return [
                mix(
                    category.task,
                    [SolverRuns(self._solver, [fit])],
                    shares[category.task.name],
                    category.task.known().everything,
                )
                for category, fit in zip(group, self._fit(problems), strict=True)
            ]

        return self._in_groups(tasks, run, RefittedRow, make)

    def _in_groups(
        self,
        tasks: list[CategoryTask],
        run: CategoryWorkers,
        kind: type[Any],
        make: Callable[[list[_Category]], list[Any]],
    ) -> list[Any]:
        """Call ``make`` for each group, or load what it has stored."""
        results: dict[str, Any] = {}
        with run.progress(0, len(tasks)) as progress:
            for group in self._batched.groups([_Category.of(task) for task in tasks]):
                names = [category.task.name for category in group]
                own = [run.paths[name] for name in names if name in run.paths]
                if own and all(path.exists() for path in own):
                    made = [load_result(path, kind) for path in own]
                else:
                    made = make(group)
                    for path, result in zip(own, made, strict=False):  # none, or all
                        save_result(path, result)
                results |= dict(zip(names, made, strict=True))
                progress.update(len(group))
        return [results[task.name] for task in tasks]

    def _judge_group(self, group: list[_Category]) -> list[JudgedSolvers]:
        """Fit a group without each fold of its held-out labels, and judge."""
        started = time.perf_counter()
        problems = [category.problem(self.objective) for category in group]
        sees_others = self.refit and not group[0].task.has_groups
        n_folds = N_FOLDS if sees_others else 1
        folds = [deal_folds(c.held_out.y, c.task.seed, n_folds) for c in group]
        lengths = [checked_path_length(self._solver, problem) for problem in problems]
        if None in lengths:  # the held-out labels choose an iteration
            runs = [self._fit(problems)]
        else:
            runs = []
            for fold in range(n_folds):
                without = []
                for category, problem, own, n_iter in zip(
                    group, problems, folds, lengths, strict=True
                ):
                    others = category.held_out.some(own != fold)
                    parts = (category.train, others)[: 2 if sees_others else 1]
                    without.append(_to_fit(problem, parts, n_iter))
                runs.append(self._fit(without))
        judged = [
            judge_runs(
                category.task,
                [SolverRuns(self._solver, [fits[k] for fits in runs])],
                folds[k],
                self.objective,
            )
            for k, category in enumerate(group)
        ]
        seconds = (time.perf_counter() - started) / len(group)
        return [replace(own, seconds=seconds) for own in judged]

    def _fit(self, problems: list[CategoryProblem]) -> list[RowFit]:
        return self._batched.fit(ProblemBatch(problems, memory=self._batched.memory))


def _to_fit(
    problem: CategoryProblem, parts: tuple[RowPart, ...], n_iter: int | None
) -> CategoryProblem:
    """Return the problem of fitting some rows for so many iterations."""
    return replace(problem, train=StoredRows(parts), validation=None, n_iter=n_iter)
