"""One choice from those of several folds, each judged by labels of its own."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cftlearn.fine_tuning._choice import Choice
from cftlearn.fine_tuning._evidence import Evidence, Verdict, weigh
from cftlearn.fine_tuning._report import CategoryResult, Recipe
from cftlearn.fine_tuning._two_networks import move_scores
from cftlearn.labels._held_out_scores import HeldOutColumn, HeldOutScores
from cftlearn.metrics._objectives import Objective, make_objective
from cftlearn.solvers._candidates import Candidate

Floats = NDArray[np.float64]

_MAJORITY = 0.5  # of the weight, that refits need to replace the initial weights


def combine_choices(choices: list[Choice]) -> Choice:
    """Weigh candidates by evidence from the features of several networks.

    Parameters
    ----------
    choices : list of Choice
        One per fold of the known labels of the same rows. Each label is held out in
        one of them.

    Returns
    -------
    choice : Choice
        Its weights are still to be fitted, by :meth:`Choice.take`; the fine-tuner
        reports on all folds.
    """
    first = choices[0]
    by_category = [
        [choice.results[j] for choice in choices] for j in range(len(first.results))
    ]
    verdicts = _verdicts(by_category)
    objective = make_objective(first.tuner.objective)
    results = [
        _combined(folds, *own, objective)
        for folds, own in zip(by_category, verdicts, strict=True)
    ]
    scores = _on_one_scale(choices)
    tuner = copy.copy(first.tuner)
    tuner.report_ = [result.report for result in results]
    tuner.history_ = [
        {"fold": fold, **record}
        for fold, choice in enumerate(choices)
        for record in choice.tuner.history_
    ]
    tuner.held_out_ = HeldOutScores(
        first.tuner.held_out_.n_rows,
        [_joined([own.columns[j] for own in scores]) for j in range(len(results))],
    )
    return replace(first, tuner=tuner, results=results)


def _verdicts(
    by_category: list[list[CategoryResult]],
) -> list[tuple[list[Candidate], Verdict | None]]:
    """Weigh the evidence of all folds together, by category."""
    judged = [[own.evidence for own in folds if own.evidence] for folds in by_category]
    candidates = list(
        dict.fromkeys(one for folds in judged for own, _ in folds for one in own)
    )
    evidence = [_pooled(folds, candidates) for folds in judged if folds]
    log_prior = np.array([one.log_prior for one in candidates])
    weighed = iter(weigh(evidence, log_prior))
    return [(candidates, next(weighed) if folds else None) for folds in judged]


def _pooled(
    folds: list[tuple[list[Candidate], Evidence]], candidates: list[Candidate]
) -> Evidence:
    """Average the evidence of one category over folds, by their labels."""

    def arranged(own: list[Candidate], values: Floats) -> Floats:
        everywhere = np.full(len(candidates), np.nan)
        everywhere[[candidates.index(one) for one in own]] = values
        return everywhere

    def pooled(name: str, labels: str) -> tuple[Any, float]:
        counts = np.array([getattr(each, labels) for _, each in folds])
        values = [getattr(each, name) for _, each in folds]
        if isinstance(values[0], np.ndarray):
            values = [
                arranged(own, v) for (own, _), v in zip(folds, values, strict=True)
            ]
        used = counts > 0
        if not used.any():
            return values[0], 0.0
        stacked = np.array(values, dtype=np.float64)[used]
        mean = np.tensordot(counts[used], stacked, axes=1) / counts[used].sum()
        return mean, float(counts.sum())

    held_out, n_held_out = pooled("held_out", "held_out_labels")
    unknown, n_unknown = pooled("against_unknown", "against_unknown_labels")
    fitted, n_fitted = pooled("fitted", "fitted_labels")
    memory, n_memory = pooled("memory", "memory_labels")
    # A fold without a negative is judged against unknown labels, others are not.
    if n_held_out:
        n_unknown = 0.0
    at_top, n_at_top = pooled("at_top", "at_top_labels")
    available = [arranged(own, each.available.astype(float)) for own, each in folds]
    return Evidence(
        held_out=held_out,
        held_out_labels=n_held_out,
        against_unknown=unknown,
        against_unknown_labels=n_unknown,
        at_top=at_top,
        at_top_labels=n_at_top,
        fitted=fitted,
        fitted_labels=n_fitted,
        initial_held_out=float(pooled("initial_held_out", "held_out_labels")[0]),
        initial_against_unknown=float(
            pooled("initial_against_unknown", "against_unknown_labels")[0]
        ),
        memory=float(memory),
        memory_labels=n_memory,
        independent=np.array([one.independent for one in candidates]),
        available=np.all(np.array(available) == 1.0, axis=0),
    )


def _combined(
    folds: list[CategoryResult],
    candidates: list[Candidate],
    verdict: Verdict | None,
    objective: Objective,
) -> CategoryResult:
    """Return the recipe of one category; initial weights are kept if they prevail."""
    judged = [own for own in folds if own.report["status"] != "skipped"]
    if not judged:
        n_held_out = sum(own.report["n_held_out"] for own in folds)
        return replace(folds[0], report=folds[0].report | {"n_held_out": n_held_out})
    initial = 1.0 if verdict is None else verdict.initial
    recipe = None
    if verdict is not None and initial < _MAJORITY and not verdict.is_refused:
        recipe = Recipe(candidates, verdict.candidates, initial)
    line = _line(judged, recipe is None, initial)
    falls = line["score_after"] <= line["score_before"]
    if recipe is not None and not objective.is_ranking and falls:
        # A ranking has chosen; what the user asks for must not fall by it.
        recipe, line = None, _line(judged, True, initial)
        line["reason"] = f"held-out {objective.name} did not rise; {line['reason']}"
    return replace(judged[0], report=line, history=[], recipe=recipe)


def _line(
    judged: list[CategoryResult], is_kept: bool, initial: float
) -> dict[str, Any]:
    """Report on all folds together."""
    lines = [own.report for own in judged]
    counts = np.array([line["n_held_out"] for line in lines], dtype=np.float64)

    def mean(key: str) -> float:
        values = np.array([line[key] for line in lines], dtype=np.float64)
        defined = ~np.isnan(values) & (counts > 0)
        if not defined.any():
            return float("nan")
        return float(np.average(values[defined], weights=counts[defined]))

    before = mean("score_before")
    verb = "would weigh only" if initial >= _MAJORITY else "weigh"
    return lines[0] | {
        "n_held_out": int(counts.sum()),
        "status": "kept" if is_kept else "refitted",
        "solver": None if is_kept else "proximal",
        "score_before": before,
        "score_after": before if is_kept else mean("score_after"),
        "n_iter": 0 if is_kept else max(line["n_iter"] for line in lines),
        "weight": 0.0 if is_kept else 1.0 - initial,
        "seconds": sum(line["seconds"] for line in lines),
        "reason": f"refits {verb} {1 - initial:.2f}, by {len(lines)} networks that "
        "each saw the labels of other folds",
    }


def _on_one_scale(choices: list[Choice]) -> list[HeldOutScores]:
    """Move the scores of every fold to where those of the first lie.

    Networks differ in the spread of their logits, most where one fold kept the initial
    weights and another did not; calibration reads all scores as those of one.
    """
    logits = [choice.features.logits(choice.weights) for choice in choices]
    return [
        move_scores(choice.tuner.held_out_, own, logits[0])
        for choice, own in zip(choices, logits, strict=True)
    ]


def _joined(columns: list[HeldOutColumn]) -> HeldOutColumn:
    """Put the labels of all folds together, in the order of their rows."""
    rows = np.concatenate([own.rows for own in columns])
    order = np.argsort(rows, kind="stable")
    return HeldOutColumn(
        rows[order],
        np.concatenate([own.y for own in columns])[order],
        np.concatenate([own.logits for own in columns])[order],
    )
