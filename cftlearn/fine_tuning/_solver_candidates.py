"""Weights that solvers pass on their way, and how they rank labels they did not see."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields, replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from cftlearn._seeding import one_thread
from cftlearn.fine_tuning._category_task import CategoryTask
from cftlearn.fine_tuning._evidence import Evidence, effective_labels
from cftlearn.fine_tuning._judging import auc_within_folds
from cftlearn.labels._weights import effective_count, joined_weights, taken
from cftlearn.metrics._objectives import Objective
from cftlearn.solvers._protocol import (
    CategorySolver,
    Checkpoint,
    KnownRows,
    RowFit,
    check_fit,
    checked_path_length,
)

# A path is fitted once without each fold of the held-out labels. More folds cost as
# many runs more, and each leaves more labels to fit.
N_FOLDS = 3
_N_RESAMPLES = 16
_TINY = np.finfo(float).tiny


@dataclass(frozen=True)
class SolverCandidate:
    """Weights at one place of a solver's path.

    Attributes
    ----------
    solver : str
        Name of the solver.
    n_iter : int
        The iteration; where the solver has no path, the one that it chose.
    label : str
        What categories share: equal labels of one solver share their evidence.
    log_prior : float
        See :class:`~cftlearn.solvers._protocol.Checkpoint`.
    """

    solver: str
    n_iter: int
    label: str
    log_prior: float = 0.0

    @property
    def key(self) -> tuple[str, str]:
        """What identifies it in all categories."""
        return self.solver, self.label


class Moments(NamedTuple):
    """Logits of weights in summary; arrays run over candidates and folds.

    Attributes
    ----------
    spread : ndarray of shape (n_candidates, n_folds)
        Standard deviations of logits over the known rows.
    at_mean : ndarray of shape (n_candidates, n_folds)
        Logits at the mean of the features.
    """

    spread: NDArray[np.float64]
    at_mean: NDArray[np.float64]


@dataclass(frozen=True)
class JudgedSolvers:
    """What the held-out labels of one category say of solvers' weights.

    Attributes
    ----------
    candidates : list of SolverCandidate
        All checkpoints of all solvers.
    left_out : ndarray of shape (n_candidates, n_held_out)
        Logits of the held-out labels, by runs that did not see them.
    folds : ndarray of shape (n_held_out,), int
        Which run each of them comes from.
    spread, at_mean : ndarray of shape (n_candidates, n_folds)
        See :class:`Moments`.
    held_out : ndarray of shape (n_candidates,)
        How the candidates rank held-out labels: ROC AUC, or in its place 0.5 plus the
        gain in the objective, see :func:`judge_runs`.
    initial_held_out : float
        The same of the initial weights.
    labels : float
        How many labels this rests on, see
        :func:`~cftlearn.fine_tuning._evidence.effective_labels`.
    initial_spread : float
        Standard deviation of the initial weights' logits over the known rows.
    memory, memory_labels : float
        See :class:`~cftlearn.fine_tuning._evidence.Evidence`.
    history : list of dict
        One record per candidate.
    seconds : float
        Time taken.
    """

    candidates: list[SolverCandidate]
    left_out: NDArray[np.float64]
    folds: NDArray[np.intp]
    spread: NDArray[np.float64]
    at_mean: NDArray[np.float64]
    held_out: NDArray[np.float64]
    initial_held_out: float
    labels: float
    initial_spread: float
    memory: float
    memory_labels: float
    history: list[dict[str, Any]]
    seconds: float

    def pack(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Split it into arrays and plain values, for a checkpoint."""
        values = {part.name: getattr(self, part.name) for part in fields(self)}
        values["candidates"] = [astuple(candidate) for candidate in self.candidates]
        arrays = {k: v for k, v in values.items() if isinstance(v, np.ndarray)}
        return arrays, {k: v for k, v in values.items() if k not in arrays}

    @classmethod
    def unpack(cls, arrays: dict[str, NDArray[Any]], plain: dict[str, Any]) -> Self:
        """Build it again from what :meth:`pack` returned."""
        values: dict[str, Any] = {**arrays, **plain}
        values["candidates"] = [SolverCandidate(*each) for each in plain["candidates"]]
        return cls(**values)

    def average(
        self,
        task: CategoryTask,
        weights: NDArray[np.float64],
        initial: float,
    ) -> NDArray[np.float64]:
        """Average the logits of the held-out labels, as weights are.

        Parameters
        ----------
        task : CategoryTask
            With the initial weights.
        weights : ndarray of shape (n_candidates,)
            How much each candidate counts.
        initial : float
            How much the initial weights count; 1 in all with ``weights``.

        Returns
        -------
        logits : ndarray of shape (n_held_out,)
            By runs that did not see these labels.
        """
        counts = np.append(weights, initial)
        start_at_mean = task.intercept + float(task.coef @ task.feature_mean)
        logits = np.empty(self.left_out.shape[1])
        every = np.vstack([self.left_out, task.initial_logits()])
        for fold in range(self.spread.shape[1]):
            own = self.folds == fold
            spread = np.append(self.spread[:, fold], self.initial_spread)
            at_mean = np.append(self.at_mean[:, fold], start_at_mean)
            unit = (every[:, own] - at_mean[:, None]) / positive(spread)[:, None]
            logits[own] = (counts @ spread) * (counts @ unit) + counts @ at_mean
        return logits

    def evidence(self, keys: list[tuple[str, str]]) -> Evidence:
        """Arrange what was found by the candidates of all categories."""
        held_out = np.full(len(keys), np.nan)
        index = [keys.index(candidate.key) for candidate in self.candidates]
        held_out[index] = self.held_out
        nothing = np.full(len(keys), np.nan)
        available = np.zeros(len(keys), dtype=bool)
        available[index] = True
        return Evidence(
            held_out=held_out,
            held_out_labels=self.labels,
            against_unknown=nothing,
            against_unknown_labels=0.0,
            fitted=nothing,
            fitted_labels=0.0,
            initial_held_out=self.initial_held_out,
            initial_against_unknown=float("nan"),
            memory=self.memory,
            memory_labels=self.memory_labels,
            independent=np.zeros(len(keys), dtype=bool),
            available=available,
        )


class SolverRuns(NamedTuple):
    """What one solver returned for one category.

    Attributes
    ----------
    solver : CategorySolver
        The solver.
    fits : list of RowFit
        One per fold of the held-out labels, without it; or one for all of them.
    """

    solver: CategorySolver
    fits: list[RowFit]


def deal_folds(y: NDArray[np.bool_], seed: int, n_folds: int) -> NDArray[np.intp]:
    """Deal the held-out labels of a category to folds, those of each class in turn.

    Parameters
    ----------
    y : ndarray of shape (n_held_out,), bool
        Labels.
    seed : int
        The category's own.
    n_folds : int
        How many; where labels are fewer, the last ones are empty.

    Returns
    -------
    folds : ndarray of shape (n_held_out,), int
        The fold of every label; if both classes occur, both are in the first.
    """
    rng = np.random.default_rng(seed)
    folds = np.zeros(len(y), dtype=np.intp)
    for label in (True, False):
        own = rng.permutation(np.flatnonzero(y == label))
        folds[own] = np.arange(len(own)) % n_folds
    return folds


def judge_solvers(
    task: CategoryTask,
    solvers: Sequence[CategorySolver],
    objective: Objective,
    refit: bool,
) -> JudgedSolvers:
    """Let every solver fit a category, and judge what it passes on its way.

    A solver with a path runs once without each fold of the held-out labels, and sees
    the others: so initial weights that fit all other labels perfectly can be mended.
    Without ``refit``, and where rows have groups, it sees none of them. A solver
    without a path chooses an iteration by the held-out labels.

    Parameters
    ----------
    task : CategoryTask
        The category; labels to fit and held-out labels are of both classes.
    solvers : sequence of CategorySolver
        With different names.
    objective : Objective
        What they maximise, and what held-out labels judge by if it is a callable.
    refit : bool
        Whether held-out labels are fitted at last.

    Returns
    -------
    judged : JudgedSolvers
        The candidates, with evidence.
    """
    started = time.perf_counter()
    with one_thread():
        task = task.with_spaces()
        everything, train, held_out, _ = task.known()
        problem = task.problem(objective, train, held_out)
        refit = refit and not task.has_groups  # whose labels are left out together
        folds = deal_folds(held_out.y, task.seed, N_FOLDS if refit else 1)
        runs = []
        for solver in solvers:
            n_iter = checked_path_length(solver, problem)
            problems = [problem]
            if n_iter is not None:
                problems = [
                    replace(problem, train=rows, validation=None, n_iter=n_iter)
                    for rows in _without_folds(everything, folds, refit)
                ]
            fits = [
                check_fit(solver.fit_row(own), solver, "fit_row") for own in problems
            ]
            runs.append(SolverRuns(solver, fits))
        judged = judge_runs(task, runs, folds, objective)
    return replace(judged, seconds=time.perf_counter() - started)


def _without_folds(
    everything: KnownRows, folds: NDArray[np.intp], refit: bool
) -> Iterator[KnownRows]:
    """Yield the known rows without each fold; held-out rows are the last ones."""
    first = len(everything.y) - len(folds)
    for fold in range(N_FOLDS if refit else 1):
        kept = np.append(np.ones(first, dtype=bool), folds != fold)
        yield KnownRows(
            everything.Z[kept], everything.y[kept], taken(everything.weight, kept)
        )


def judge_runs(
    task: CategoryTask,
    runs: Sequence[SolverRuns],
    folds: NDArray[np.intp],
    objective: Objective,
) -> JudgedSolvers:
    """Judge what solvers returned for a category.

    Parameters
    ----------
    task : CategoryTask
        The category.
    runs : sequence of SolverRuns
        One per solver.
    folds : ndarray of shape (n_held_out,), int
        The fold of every held-out label.
    objective : Objective
        A callable one judges in the place of the ROC AUC. Its gain is divided by the
        noise that it has on as many labels, and multiplied by the noise of an AUC.

    Returns
    -------
    judged : JudgedSolvers
        With ``seconds`` 0.
    """
    everything, train, held_out, _ = task.known()
    paths = [(own.solver.name, *_paths_of(own, folds)) for own in runs]
    candidates = [one for _, own, _ in paths for one in own]
    checkpoints = [one for _, _, own in paths for one in own]
    n_folds = int(folds.max()) + 1
    left_out = np.empty((len(candidates), len(folds)))
    spread, at_mean = np.empty((2, len(candidates), n_folds))
    for fold in range(n_folds):
        coef = np.array([own[fold].coef for own in checkpoints]).reshape(
            len(candidates), len(task.coef)
        )
        bias = np.array([own[fold].intercept for own in checkpoints])
        logits = coef @ everything.Z.T.astype(np.float64) + bias[:, None]
        spread[:, fold] = logits.std(axis=1)
        at_mean[:, fold] = coef @ task.feature_mean + bias
        of_held_out = logits[:, len(train.y) :]
        left_out[:, folds == fold] = of_held_out[:, folds == fold]
    initial = task.initial_logits()
    judge = _rank if objective.is_ranking else _rate
    held_out_values, initial_value = judge(
        left_out, initial, held_out, folds, objective
    )
    start = everything.Z @ task.coef
    return JudgedSolvers(
        candidates=candidates,
        left_out=left_out,
        folds=folds,
        spread=spread,
        at_mean=at_mean,
        held_out=held_out_values,
        initial_held_out=initial_value,
        labels=effective_labels(
            effective_count(held_out.weight, held_out.y),
            effective_count(held_out.weight, ~held_out.y),
        ),
        initial_spread=float(np.std(start, dtype=np.float64)),
        memory=_memory(start, train, held_out),
        memory_labels=0.0
        if task.fitted_here
        else effective_labels(
            effective_count(train.weight, train.y),
            effective_count(held_out.weight, held_out.y),
        ),
        history=_records(runs, candidates, left_out, held_out, objective),
        seconds=0.0,
    )


def _paths_of(
    runs: SolverRuns, folds: NDArray[np.intp]
) -> tuple[list[SolverCandidate], list[list[Checkpoint]]]:
    """Return a solver's candidates, and for each its weights by fold."""
    own = [checkpoints_of(fit) for fit in runs.fits]
    labels = [[one.label for one in path] for path in own]
    if any(each != labels[0] for each in labels):
        raise ValueError(
            "`RowFit.path` must hold the same iterations whatever labels are fitted; "
            f"the solver {runs.solver.name!r} returned {labels[0]} and "
            f"{next(each for each in labels if each != labels[0])}. Choose them by "
            "`path_length` and `n_iter` alone."
        )
    n_folds = int(folds.max()) + 1
    by_fold = own * n_folds if len(own) == 1 else own[:n_folds]
    candidates = [
        SolverCandidate(runs.solver.name, one.n_iter, one.label, one.log_prior)
        for one in own[0]
    ]
    return candidates, [list(each) for each in zip(*by_fold, strict=True)]


def checkpoints_of(fit: RowFit) -> list[Checkpoint]:
    """Return the weights of a path, or the only ones that there are, with labels."""
    if fit.path:
        return [
            one if one.label else one._replace(label=f"iteration {one.n_iter}")
            for one in fit.path
        ]
    if fit.n_iter == 0:  # it found nothing that it prefers to the initial weights
        return []
    return [Checkpoint(fit.n_iter, fit.coef, fit.intercept, "the chosen iteration")]


def _rank(
    left_out: NDArray[np.float64],
    initial: NDArray[np.float64],
    held_out: KnownRows,
    folds: NDArray[np.intp],
    objective: Objective,
) -> tuple[NDArray[np.float64], float]:
    """Compute the ROC AUC of candidates and initial weights, within folds."""
    y, weight = held_out.y, held_out.weight
    values = [auc_within_folds(logits, y, folds, weight) for logits in left_out]
    return np.array(values), auc_within_folds(initial, y, folds, weight)


def _rate(
    left_out: NDArray[np.float64],
    initial: NDArray[np.float64],
    held_out: KnownRows,
    folds: NDArray[np.intp],
    objective: Objective,
) -> tuple[NDArray[np.float64], float]:
    """Compute gains in a callable objective, in the units of an AUC.

    What a gain is worth depends on its noise, and a callable has a scale of its own.
    Resampled labels of each class tell the noise of the gains; that of an AUC is about
    one in the root of twelve times the effective labels.
    """
    every = np.vstack([left_out, initial])
    y, weight = held_out.y, held_out.weight
    gains = _gains(objective, every, y, weight)
    rng = np.random.default_rng(0)
    classes = [np.flatnonzero(y), np.flatnonzero(~y)]
    resampled = []
    for _ in range(_N_RESAMPLES):
        rows = np.concatenate([rng.choice(own, len(own)) for own in classes])
        own = taken(weight, rows)
        resampled.append(_gains(objective, every[:, rows], y[rows], own))
    noise = float(np.mean(np.std(resampled, axis=0))) if len(left_out) else 0.0
    if noise == 0.0:
        # all equal, or so few labels that no resample differs: then nothing is known
        return np.full(len(left_out), 0.5), 0.5
    counts = (effective_count(weight, own) for own in (y, ~y))
    unit = np.sqrt(12.0 * effective_labels(*counts))
    return 0.5 + gains / (noise * unit), 0.5


def _gains(
    objective: Objective,
    logits: NDArray[np.float64],
    y: NDArray[np.bool_],
    weight: NDArray[np.float64] | None,
) -> NDArray[np.float64]:
    values = objective(y, logits, weight)
    gains: NDArray[np.float64] = values[:-1] - values[-1]
    return gains


def _memory(
    start: NDArray[np.floating[Any]], train: KnownRows, held_out: KnownRows
) -> float:
    """Compute by which AUC the start ranks fitted positives above held-out ones."""
    first = len(train.y)
    own, others = start[:first][train.y], start[first:][held_out.y]
    is_own = np.arange(len(own) + len(others)) < len(own)
    everyone = np.concatenate([own, others]).astype(np.float64)
    weight = joined_weights(
        [taken(rows.weight, rows.y) for rows in (train, held_out)],
        [len(own), len(others)],
    )
    no_folds = np.zeros(len(is_own), dtype=np.intp)
    return auc_within_folds(everyone, is_own, no_folds, weight)


def _records(
    runs: Sequence[SolverRuns],
    candidates: list[SolverCandidate],
    left_out: NDArray[np.float64],
    held_out: KnownRows,
    objective: Objective,
) -> list[dict[str, Any]]:
    """Return a record per candidate, with what the solver's first run said of it."""
    said = {
        (own.solver.name, record.get("iteration")): record
        for own in runs
        for record in own.fits[0].history
    }
    records = []
    for candidate, logits in zip(candidates, left_out, strict=True):
        record = dict(said.get((candidate.solver, candidate.n_iter), {}))
        record |= {"iteration": candidate.n_iter, "candidate": candidate.label}
        record["score_val"] = objective.single(held_out.y, logits, held_out.weight)
        records.append({"solver": candidate.solver, "phase": "choose", **record})
    return records


def positive(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values to divide by: at least the smallest number above 0."""
    return np.maximum(values, _TINY)
