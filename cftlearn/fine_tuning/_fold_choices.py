"""One choice from those of several folds, each judged by labels of its own."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cftlearn._report._columns import before_and_after
from cftlearn.fine_tuning._choice import Choice
from cftlearn.fine_tuning._evidence import Evidence, Verdict, weigh
from cftlearn.fine_tuning._report import CategoryResult, Recipe, with_scores
from cftlearn.fine_tuning._two_networks import move_scores
from cftlearn.labels._held_out_scores import HeldOutColumn, HeldOutScores
from cftlearn.labels._weights import joined_weights, taken
from cftlearn.metrics._objectives import Objective, make_objective
from cftlearn.metrics._paired_intervals import paired_intervals
from cftlearn.solvers._candidates import Candidate

Floats = NDArray[np.float64]


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
        _combined(folds, *own, objective, int(seed))
        for folds, own, seed in zip(by_category, verdicts, first.seeds, strict=True)
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
    available = [arranged(own, each.available.astype(float)) for own, each in folds]
    return Evidence(
        held_out=held_out,
        held_out_labels=n_held_out,
        against_unknown=unknown,
        against_unknown_labels=n_unknown,
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
    seed: int,
) -> CategoryResult:
    """Return the recipe of one category; initial weights are kept if they prevail."""
    judged = [own for own in folds if own.report["status"] != "skipped"]
    if not judged:
        return replace(folds[0], report=folds[0].report | _held_out_counts(folds))
    initial = 1.0 if verdict is None else verdict.initial
    before, after = _mean_scores(judged)
    refits = verdict is not None and not verdict.keeps_initial
    verb = "weigh" if verdict is not None and verdict.outweighs else "would weigh only"
    reason = (
        f"refits {verb} {1 - initial:.2f}, by {len(judged)} networks that each saw the "
        f"labels of other folds; here {objective.name} {after - before:+.3f}"
    )
    if verdict is not None and verdict.is_refused:
        reason = f"its own labels are clearly against refits; {reason}"
    if refits and not objective.is_ranking and after <= before:
        # A ranking has chosen; what the user asks for must not fall by it.
        refits = False
        reason = f"held-out {objective.name} did not rise; {reason}"
    line = _line(judged, reason, 1.0 - initial if refits else 0.0)
    pairs = [own.held_out for own in judged if own.held_out is not None]
    if not refits:
        after = before
        pairs = [pair._replace(after=pair.before) for pair in pairs]
    intervals = paired_intervals(pairs, (before, after), objective, seed)
    line = with_scores(line, objective.name, (before, after), intervals)
    recipe = None
    if refits and verdict is not None:
        recipe = Recipe(candidates, verdict.candidates, initial)
    return replace(judged[0], report=line, history=[], recipe=recipe)


def _mean_scores(folds: list[CategoryResult]) -> tuple[float, float]:
    """Average the scores before and after over folds, by their labels."""
    lines = [own.report for own in folds]
    counts = np.array([_n_held_out(line) for line in lines], dtype=np.float64)
    scores = np.array([before_and_after(line) for line in lines])
    defined = ~np.isnan(scores).any(axis=1) & (counts > 0)
    if not defined.any():
        return float("nan"), float("nan")
    before, after = np.average(scores[defined], axis=0, weights=counts[defined])
    return float(before), float(after)


def _n_held_out(line: dict[str, Any]) -> int:
    return int(line["n_held_out_positive"] + line["n_held_out_negative"])


def _held_out_counts(folds: list[CategoryResult]) -> dict[str, int]:
    keys = ("n_held_out_positive", "n_held_out_negative")
    return {key: sum(own.report[key] for own in folds) for key in keys}


def _line(folds: list[CategoryResult], reason: str, weight: float) -> dict[str, Any]:
    """Report on all folds together, but for the scores."""
    lines = [own.report for own in folds]
    return lines[0] | {
        **_held_out_counts(folds),
        "status": "refitted" if weight else "kept",
        "solver": "auto" if weight else None,
        "n_iter": max(line["n_iter"] for line in lines) if weight else 0,
        "weight": weight,
        "seconds": sum(line["seconds"] for line in lines),
        "reason": reason,
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
        taken(
            joined_weights(
                [own.weight for own in columns], [len(own.y) for own in columns]
            ),
            order,
        ),
    )
