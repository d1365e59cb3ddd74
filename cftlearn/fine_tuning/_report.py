"""What the refit of one category answers, and its line of the report."""

import warnings
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from cftlearn._report._columns import score_columns
from cftlearn.exceptions import UndefinedCategoryWarning, list_some
from cftlearn.fine_tuning._category_task import CategoryTask
from cftlearn.fine_tuning._evidence import Evidence
from cftlearn.fine_tuning._solver_candidates import SolverCandidate
from cftlearn.fine_tuning._solver_shares import Shares
from cftlearn.metrics._objectives import Objective
from cftlearn.metrics._paired_intervals import (
    HeldOutPair,
    PairedIntervals,
    paired_intervals,
)
from cftlearn.solvers._candidates import Candidate
from cftlearn.solvers._protocol import RowFit

_NEEDS = {  # of a refit, by whether the solver is "auto"
    True: "A refit needs a known positive, and a known negative or unknown labels.",
    False: "A refit needs at least two known positives and two known negatives, or "
    "X_val and y_val that hold both classes.",
}


class Recipe(NamedTuple):
    """What an average of candidates is made of; it is free of any scale.

    Attributes
    ----------
    candidates : list of Candidate
        What was fitted.
    weights : ndarray of shape (n_candidates,), float64
        How much each candidate counts.
    initial : float
        How much the initial weights count; 1 in all with ``weights``.
    """

    candidates: list[Candidate]
    weights: NDArray[np.float64]
    initial: float


@dataclass(frozen=True)
class CategoryResult:
    """The weights of one category, its line in the report, and its history.

    Attributes
    ----------
    coef : ndarray of shape (n_features,), float64
        The weights.
    intercept : float
        Their bias.
    report : dict
        The category's line, as :func:`report_line` returns it; as ``report_`` shows it
        after :func:`name_scores`.
    history : list of dict
        One record per iteration.
    left_out : ndarray of shape (n_held_out,), float64
        Logits of the held-out labels by weights that were not fitted to them: the
        initial ones, those chosen before the last refit, or fits that leave a label
        out.
    recipe : Recipe or None
        How ``"auto"`` made the weights; None if it kept the initial ones, and of any
        other solver.
    evidence : tuple of (list of Candidate, Evidence), or None
        What ``"auto"`` decided by, over these candidates; not in a checkpoint.
    held_out : HeldOutPair or None
        The held-out labels and what both weights say of them, after
        :func:`name_scores`; not in a checkpoint.
    shares : Shares or None
        How solvers that all categories judge made the weights; None if the initial ones
        were kept, and of any other solver.
    """

    coef: NDArray[np.float64]
    intercept: float
    report: dict[str, Any]
    history: list[dict[str, Any]]
    left_out: NDArray[np.float64]
    recipe: Recipe | None = None
    evidence: tuple[list[Candidate], Evidence] | None = None
    held_out: HeldOutPair | None = None
    shares: Shares | None = None

    def pack(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Split it into arrays and plain values, for a checkpoint."""
        plain = {key: getattr(self, key) for key in ("intercept", "report", "history")}
        if self.recipe is not None:
            candidates, weights, initial = self.recipe
            packed = [astuple(each) for each in candidates]
            plain["recipe"] = packed, weights.tolist(), initial
        if self.shares is not None:
            passed = [astuple(each) for each in self.shares.candidates]
            plain["shares"] = passed, self.shares.weights.tolist(), self.shares.initial
        return {"coef": self.coef, "left_out": self.left_out}, plain

    @classmethod
    def unpack(cls, arrays: dict[str, NDArray[Any]], plain: dict[str, Any]) -> Self:
        """Build it again from what :meth:`pack` returned."""
        values: dict[str, Any] = {**arrays, **plain}
        if "recipe" in plain:
            packed, weights, initial = plain["recipe"]
            candidates = [Candidate(*each) for each in packed]
            values["recipe"] = Recipe(candidates, np.array(weights), initial)
        if "shares" in plain:
            packed, weights, initial = plain["shares"]
            passed = [SolverCandidate(*each) for each in packed]
            values["shares"] = Shares(passed, np.array(weights), initial)
        return cls(**values)


class Weights(NamedTuple):
    """Weights of one category.

    Attributes
    ----------
    coef : ndarray of shape (n_features,), float64
        The vector.
    intercept : float
        The bias.
    """

    coef: NDArray[np.float64]
    intercept: float


def report_line(
    task: CategoryTask, outcome: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """Combine counts of a category's labels with the outcome of its refit.

    Parameters
    ----------
    task : CategoryTask
        The category.
    outcome : dict
        What :func:`outcome` returned.
    seconds : float
        Time that the refit took.

    Returns
    -------
    line : dict
        The line of ``report_``. ``n_unknown`` is still 0: it depends on how many rows
        there are in all, which the fine-tuner knows. The scores are still ``before``
        and ``after``, until :func:`name_scores`.
    """
    n_held_out_positive = int(np.count_nonzero(task.held_out.y))
    y = np.concatenate([task.fitted.y, task.held_out.y])
    n_positive = int(np.count_nonzero(y))
    counts = {
        "category": task.name,
        "n_positive": n_positive,
        "n_negative": len(y) - n_positive,
        "n_unknown": 0,
        "n_held_out_positive": n_held_out_positive,
        "n_held_out_negative": len(task.held_out.y) - n_held_out_positive,
    }
    return counts | outcome | {"seconds": seconds}


def outcome(
    status: str,
    reason: str,
    before: float = np.nan,
    after: float = np.nan,
    solver: str | None = None,
    n_iter: int = 0,
    weight: float = 0.0,
) -> dict[str, Any]:
    """Return how the refit of a category ended, as part of its line.

    Parameters
    ----------
    status : str
        "refitted", "kept" or "skipped".
    reason : str
        What decided so, in words.
    before, after : float, default=nan
        The objective on the held-out labels.
    solver : str, default=None
        Which solver found the weights; None if they are the initial ones.
    n_iter : int, default=0
        Its iterations.
    weight : float, default=0.0
        How much refits count in the weights.

    Returns
    -------
    outcome : dict
        Of plain values.
    """
    return {
        "status": status,
        "solver": solver,
        "before": before,
        "after": after,
        "n_iter": n_iter,
        "weight": weight,
        "reason": reason,
    }


def name_scores(
    tasks: Sequence[CategoryTask],
    results: Sequence[CategoryResult],
    objective: Objective,
) -> list[CategoryResult]:
    """Name the metric in every line, and put intervals beside both scores.

    Parameters
    ----------
    tasks : sequence of CategoryTask
        The categories.
    results : sequence of CategoryResult
        What became of them.
    objective : Objective
        The metric of the scores.

    Returns
    -------
    results : list of CategoryResult
        With new lines, and with ``held_out``.
    """
    named = []
    for task, result in zip(tasks, results, strict=True):
        line = result.report
        own = task.held_out
        pair = HeldOutPair(own.y, task.initial_logits(), result.left_out, own.weight)
        scores = line["before"], line["after"]
        intervals = paired_intervals([pair], scores, objective, task.seed)
        report = with_scores(line, objective.name, scores, intervals)
        named.append(replace(result, report=report, held_out=pair))
    return named


def with_scores(
    line: dict[str, Any],
    metric: str,
    scores: tuple[float, float],
    intervals: PairedIntervals,
) -> dict[str, Any]:
    """Return a line with the scores, and their intervals, in columns of the metric.

    Parameters
    ----------
    line : dict
        With ``before`` and ``after``, or with such columns already.
    metric : str
        Its name.
    scores : tuple (before, after)
        On the held-out labels.
    intervals : PairedIntervals
        Theirs.

    Returns
    -------
    line : dict
        The new columns stand where the old ones stood.
    """
    own = dict(zip(("before", "after"), scores, strict=True)) | intervals._asdict()
    columns = score_columns(metric)
    values = {getattr(columns, part): own[part] for part in columns._fields}
    renewed: dict[str, Any] = {}
    for key, value in line.items():
        if key in ("before", columns.before):
            renewed |= {"metric": metric, **values}
        elif key not in values and key not in ("after", "metric"):
            renewed[key] = value
    return renewed


def skipped(task: CategoryTask, reason: str) -> CategoryResult:
    """Return a category that keeps its initial weights, since labels are missing."""
    line = report_line(task, outcome("skipped", reason), 0.0)
    return CategoryResult(task.coef, task.intercept, line, [], task.initial_logits())


def initial_fit(task: CategoryTask) -> RowFit:
    """Return the initial weights as a fit of no iteration."""
    return RowFit(task.coef, task.intercept, 0, 0, "n_iter")


def mark_unlabelled(report: list[dict[str, Any]], learned: Sequence[bool]) -> None:
    """Mark the categories of which no weights have learned anything.

    Stage one was fitted without a label of them, and there is no refit: whatever the
    weights say has no ground.

    Parameters
    ----------
    report : list of dict
        Lines of all categories; those of skipped ones may change.
    learned : sequence of bool
        Whether stage one had a known label of the category.
    """
    for line, is_learned in zip(report, learned, strict=True):
        if line["status"] == "skipped" and not is_learned:
            line["status"] = "unlabelled"


def unlabelled(report: list[dict[str, Any]]) -> NDArray[np.bool_]:
    """Return which categories cannot be predicted: their scores are NaN.

    Parameters
    ----------
    report : list of dict
        Of a fitted fine-tuner or classifier.

    Returns
    -------
    unlabelled : ndarray of shape (n_categories,), bool
        True where no known label was fitted.
    """
    return np.array([line["status"] == "unlabelled" for line in report], dtype=bool)


def warn_skipped(report: list[dict[str, Any]], solver: Any, stacklevel: int) -> None:
    """Warn of skipped categories.

    Parameters
    ----------
    report : list of dict
        Lines of all categories.
    solver : object
        The parameter of the fine-tuner.
    stacklevel : int
        In whose name: a caller so many calls up.
    """
    _warn_unlabelled(report, stacklevel + 1)
    skipped_lines = [line for line in report if line["status"] == "skipped"]
    if not skipped_lines:
        return
    named = [f"{line['category']!r} ({line['reason']})" for line in skipped_lines]
    shown = list_some(named, 10, separator="; ")
    one = len(skipped_lines) == 1
    subject = "category lacks" if one else "categories lack"
    kept = "keeps its" if one else "keep their"
    is_auto = isinstance(solver, str) and solver == "auto"
    warnings.warn(
        f"{len(skipped_lines)} {subject} known labels and {kept} initial weights: "
        f"{shown}. {_NEEDS[is_auto]}",
        UndefinedCategoryWarning,
        stacklevel=stacklevel + 1,
    )


def _warn_unlabelled(report: list[dict[str, Any]], stacklevel: int) -> None:
    names = [
        repr(line["category"]) for line in report if line["status"] == "unlabelled"
    ]
    if not names:
        return
    warnings.warn(
        f"{len(names)} {'category has' if len(names) == 1 else 'categories have'} no "
        f"known label to fit: {list_some(names, 10)}. Their scores and probabilities "
        "are NaN, and `predict` says -1, unknown. Leave them out of `y`, or label some "
        "rows.",
        UndefinedCategoryWarning,
        stacklevel=stacklevel + 1,
    )
