"""The candidates of one category, and how they rank labels they were not fitted to."""

import time
from dataclasses import astuple, dataclass, fields, replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from cftlearn._seeding import one_thread
from cftlearn.fine_tuning._category_task import NO_ROWS, CategoryTask, KnownParts
from cftlearn.fine_tuning._evidence import effective_labels
from cftlearn.labels._weights import effective_count, taken, total_weight
from cftlearn.metrics._objectives import Objective
from cftlearn.solvers._left_out import LeftOutEvidence, placement_values, round_logits
from cftlearn.solvers._protocol import KnownRows
from cftlearn.solvers._proximal import Candidate, FittedPath, ProximalSolver

# Labels beyond these add little to an AUC, and each costs a step of every candidate.
_MOST_FITTED = 128  # of each class
_TINY = np.finfo(float).tiny


class LabelCounts(NamedTuple):
    """Effective numbers of the labels that judge, each 0 where they cannot.

    Attributes
    ----------
    held_out : float
        Held-out positives against held-out negatives.
    against_unknown : float
        Held-out positives against rows with unknown labels.
    fitted : float
        Positives against negatives, of the labels to fit.
    memory : float
        Positives that the initial weights were fitted to, against those that they
        were not. 0 where the initial weights are regressions that were fitted here.
    """

    held_out: float
    against_unknown: float
    fitted: float
    memory: float


class InitialEvidence(NamedTuple):
    """ROC AUC of the initial weights; NaN where labels are missing.

    Attributes
    ----------
    held_out, against_unknown : float
        As of candidates.
    memory : float
        Positives to fit against held-out positives: 0.5 where nothing was memorised.
    """

    held_out: float
    against_unknown: float
    memory: float


@dataclass(frozen=True)
class JudgedCandidates:
    """The candidates of one category; arrays run over the solver's candidates.

    Attributes
    ----------
    candidates : list of Candidate
        What was fitted.
    coef : ndarray of shape (n_candidates, n_features), float32
        Weights divided by ``spread``, so that their logits vary equally.
    intercept, spread : ndarray of shape (n_candidates,)
        Biases, and standard deviations of the logits over all rows of features.
    left_out : ndarray of shape (n_candidates, n_held_out), float32
        Logits of the held-out rows by fits without them.
    held_out, against_unknown, fitted : ndarray of shape (n_candidates,)
        See :class:`~cftlearn.fine_tuning._evidence.Evidence`.
    labels : LabelCounts
        How many labels these three rest on.
    initial_spread : float
        Standard deviation of the initial weights' logits.
    initial : InitialEvidence
        The same evidence of the initial weights.
    seconds : float
        Time taken.
    """

    candidates: list[Candidate]
    coef: NDArray[np.float32]
    intercept: NDArray[np.float64]
    spread: NDArray[np.float64]
    left_out: NDArray[np.float32]
    held_out: NDArray[np.float64]
    against_unknown: NDArray[np.float64]
    fitted: NDArray[np.float64]
    labels: LabelCounts
    initial_spread: float
    initial: InitialEvidence
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
        values["candidates"] = [Candidate(*each) for each in plain["candidates"]]
        values["labels"] = LabelCounts(*plain["labels"])
        values["initial"] = InitialEvidence(*plain["initial"])
        return cls(**values)


def judge_candidates(
    task: CategoryTask, solver: ProximalSolver, objective: Objective, refit: bool
) -> JudgedCandidates:
    """Fit the candidates of one category, and judge them by its labels.

    Parameters
    ----------
    task : CategoryTask
        The category.
    solver : ProximalSolver
        Fits the candidates.
    objective : Objective
        Objective of the refit; the solver's problem names it.
    refit : bool
        Whether candidates are fitted to held-out labels too. Each label that judges
        is left out of the fit that it judges.

    Returns
    -------
    judged : JudgedCandidates
        The candidates, with evidence.
    """
    started = time.perf_counter()
    with one_thread():
        task = task.with_spaces()
        y = task.held_out.y
        spare = task.spare_rows() if len(y) and y.all() else NO_ROWS
        rows = task.known(spare)
        known, train, held_out, _ = rows
        problem = task.problem(objective, train, held_out, spare)
        weight = np.zeros(len(rows.with_spare.y))  # spare rows are only predicted
        weight[: len(known.y if refit else train.y)] = 1.0
        if refit:
            problem = replace(problem, train=known)
        judge = _Judge(task, rows)
        together = task.left_out_together(len(spare))
        paths = solver.fit_paths(problem, rows.with_spare, weight, together)
        judged = [judge.judge_path(path) for path in paths]
        seen = known if task.unseen is not None else train
        initial = judge.judge_initial(task, seen)
    space = task.spaces["standard"]
    return JudgedCandidates(
        candidates=solver.candidates(problem),
        **{key: np.concatenate([each[key] for each in judged]) for key in judged[0]},
        labels=judge.labels,
        initial_spread=float(space.spread(space.enter(task.coef))),
        initial=initial,
        seconds=time.perf_counter() - started,
    )


class _Judge:
    """The labels of one category that judge its candidates."""

    def __init__(self, task: CategoryTask, rows: KnownParts) -> None:
        rng = np.random.default_rng(task.seed)
        fitted, self.held_out = rows.train.y, rows.held_out
        # held-out rows follow the fitted ones, and spare rows both
        first, last = len(fitted), len(rows.everything.y)
        self.rows = np.arange(first, last)
        self.spare = np.arange(last, len(rows.with_spare.y))
        self.spare_Z = rows.with_spare.Z[last:]
        self.positives = first + np.flatnonzero(self.held_out.y)
        self.negatives = first + np.flatnonzero(~self.held_out.y)
        self.fitted = [_sample(rng, fitted == kind, _MOST_FITTED) for kind in (1, 0)]
        self.weight = rows.with_spare.weight
        no_folds = np.zeros(len(self.rows), dtype=np.intp)
        self.folds = no_folds if task.folds is None else task.folds
        n_held_out = self._count(self.positives)
        seen = rows.held_out if task.unseen is not None else rows.train
        self.labels = LabelCounts(
            held_out=self._effective_pairs(),
            # most unknown labels are negatives, and can stand in for held-out ones
            against_unknown=effective_labels(n_held_out, len(self.spare)),
            fitted=effective_labels(*map(self._count, self.fitted)),
            # A regression that was fitted here with a sound penalty memorised little,
            # but not because it was trained on better labels elsewhere.
            memory=0.0
            if task.fitted_here
            else effective_labels(effective_count(seen.weight, seen.y), n_held_out),
        )

    def _count(self, rows: NDArray[np.intp]) -> float:
        """Count labels of some rows, effectively if they have weights."""
        return effective_count(taken(self.weight, rows), np.ones(len(rows), dtype=bool))

    def _effective_pairs(self) -> float:
        """Count held-out labels; groups may leave no fold that has both classes."""
        y, folds = self.held_out.y, self.folds
        if not np.intersect1d(folds[y], folds[~y]).size:
            return 0.0
        return effective_labels(*map(self._count, (self.positives, self.negatives)))

    def judge_path(self, fitted: FittedPath) -> dict[str, NDArray[Any]]:
        """Return the fields of :class:`JudgedCandidates` for one path."""
        path, no_evidence = fitted.evidence, np.full(len(fitted.spread), np.nan)
        spread = np.maximum(fitted.spread, _TINY)
        # Spare rows are asked for too: a path may have to be fitted again for each set.
        left_out = path.left_out(np.concatenate([self.rows, self.spare]))
        held_out = against_unknown = on_fitted = no_evidence
        if self.labels.held_out:
            held_out = self._auc_of(path, self.positives, self.negatives)
        if self.labels.against_unknown:
            against_unknown = self._auc_of(path, self.positives, self.spare)
        if self.labels.fitted and path.asks_many:
            on_fitted = self._auc_of(path, *self.fitted)
        return {
            "coef": (fitted.coef / spread[:, None]).astype(np.float32),
            "intercept": fitted.intercept,
            "spread": spread,
            "left_out": left_out[:, : len(self.rows)].astype(np.float32),
            "held_out": held_out,
            "against_unknown": against_unknown,
            "fitted": on_fitted,
        }

    def _auc_of(
        self,
        path: LeftOutEvidence,
        positives: NDArray[np.intp],
        negatives: NDArray[np.intp],
    ) -> NDArray[np.float64]:
        """Compute the ROC AUC of each candidate, by fits without either row of a pair.

        A pair counts by the product of the weights of its labels.
        """
        own, others = (taken(self.weight, rows) for rows in (positives, negatives))
        placements = path.placements(positives, negatives, others)
        return np.asarray(np.average(placements, axis=1, weights=own))

    def judge_initial(self, task: CategoryTask, seen: KnownRows) -> InitialEvidence:
        """Judge the initial weights like candidates, and what they memorised."""
        logits, y = task.initial_logits(), self.held_out.y
        weight = self.held_out.weight
        held_out = against_unknown = memory = float("nan")
        if self.labels.held_out:
            held_out = auc_within_folds(logits, y, self.folds, weight)
        if self.labels.against_unknown:
            unknown = self.spare_Z @ task.coef + task.intercept
            against_unknown = _auc(logits, unknown, weight)
        if self.labels.memory:
            own = seen.Z[seen.y] @ task.coef + task.intercept
            weights = taken(seen.weight, seen.y), taken(weight, y)
            memory = _auc(own, logits[y], *weights)
        return InitialEvidence(held_out, against_unknown, memory)


def _sample(
    rng: np.random.Generator, rows: NDArray[np.bool_], most: int
) -> NDArray[np.intp]:
    """Draw at most so many of the marked rows."""
    chosen = np.flatnonzero(rows)
    if len(chosen) > most:
        chosen = np.sort(rng.choice(chosen, most, replace=False))
    return chosen


def _auc(
    positives: NDArray[np.floating[Any]],
    negatives: NDArray[np.floating[Any]],
    weight: NDArray[np.float64] | None = None,
    weight_negatives: NDArray[np.float64] | None = None,
) -> float:
    scores = round_logits(np.concatenate([positives, negatives])[None])
    own, others = np.split(scores, [len(positives)], axis=1)
    placements = placement_values(own, others, weight_negatives)
    return float(np.average(placements[0], weights=weight))


def auc_within_folds(
    logits: NDArray[np.float64],
    y: NDArray[np.bool_],
    folds: NDArray[np.intp],
    weight: NDArray[np.float64] | None = None,
) -> float:
    """Compute the ROC AUC over pairs of one fold.

    Each fold's logits come from weights of its own, with a bias of its own, so a pair
    of two folds would compare biases.

    Parameters
    ----------
    logits : ndarray of shape (n_samples,)
        Scores.
    y : ndarray of shape (n_samples,), bool
        Labels.
    folds : ndarray of shape (n_samples,), int
        Fold of every score.
    weight : ndarray of shape (n_samples,), default=None
        How much each label counts; a pair by the product of both. None counts them
        alike.

    Returns
    -------
    auc : float
        Mean over folds, by their numbers of pairs; NaN if no fold has both classes.
    """
    total = all_pairs = 0.0
    for fold in np.unique(folds):
        of_fold = folds == fold
        positives, negatives = of_fold & y, of_fold & ~y
        n_pairs = total_weight(weight, positives) * total_weight(weight, negatives)
        if n_pairs:
            weights = taken(weight, positives), taken(weight, negatives)
            total += n_pairs * _auc(logits[positives], logits[negatives], *weights)
            all_pairs += n_pairs
    return total / all_pairs if all_pairs else float("nan")
