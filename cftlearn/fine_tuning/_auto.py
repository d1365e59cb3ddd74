"""The refit of all categories together: candidates, pooled evidence, an average."""

import time
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cftlearn._seeding import one_thread
from cftlearn.fine_tuning._category_task import CategoryTask
from cftlearn.fine_tuning._evidence import Evidence, Verdict, weigh
from cftlearn.fine_tuning._judging import JudgedCandidates, judge_candidates
from cftlearn.fine_tuning._report import (
    CategoryResult,
    Recipe,
    Weights,
    outcome,
    report_line,
    skipped,
)
from cftlearn.fine_tuning._workers import CategoryWorkers
from cftlearn.metrics._objectives import Objective
from cftlearn.solvers._families import independent_families
from cftlearn.solvers._protocol import CategorySolver
from cftlearn.solvers._proximal import Candidate, ProximalSolver

_WORTH_COUNTING = 0.01
_TINY = np.finfo(float).tiny


class AutoRefit:
    """Refits all categories by the weights that their labels, together, support.

    Each category's candidates are fitted on all its known labels (without ``refit``:
    on those to fit), and judged on labels left out of them one by one. Evidence is
    pooled over categories. The result is the average of candidates by weight if they
    outweigh the initial weights; else the initial weights are kept.

    Parameters
    ----------
    objective : Objective
        What reports show; a callable one must also not fall on the held-out labels.
    refit : bool
        Fit the held-out labels too.
    """

    pooled = busy_with_products = True
    device: str | None = None

    def __init__(self, objective: Objective, *, refit: bool) -> None:
        self.objective, self.refit = objective, refit
        self.solvers: list[CategorySolver] = [ProximalSolver()]

    def __call__(
        self, tasks: list[CategoryTask], run: CategoryWorkers
    ) -> list[CategoryResult]:
        """Refit all categories.

        Parameters
        ----------
        tasks : list of CategoryTask
            With the principal axes that the solver needs.
        run : CategoryWorkers
            Fits and judges the candidates of every category.

        Returns
        -------
        results : list of CategoryResult
            In the order of ``tasks``.
        """
        skip_reasons = [missing_labels(task, self.refit) for task in tasks]
        fitted = [
            task for task, reason in zip(tasks, skip_reasons, strict=True) if not reason
        ]
        solver = ProximalSolver()
        if any(task.unseen is not None for task in tasks):
            # Initial weights that saw the labels which judge must not be a start.
            solver = ProximalSolver(toward=independent_families())
        judged = run(
            judge_candidates,
            JudgedCandidates,
            fitted,
            solver,
            self.objective,
            self.refit,
        )
        results = self._average_each(fitted, judged)
        return [
            skipped(task, reason) if reason else results[task.name]
            for task, reason in zip(tasks, skip_reasons, strict=True)
        ]

    def _average_each(
        self, tasks: list[CategoryTask], judged: list[JudgedCandidates]
    ) -> dict[str, CategoryResult]:
        """Weigh the evidence of all categories, and average in each."""
        # Categories may have different candidates: without unknown labels, for
        # example, there is no background.
        all_candidates = list(
            dict.fromkeys(candidate for own in judged for candidate in own.candidates)
        )
        log_prior = np.array([candidate.log_prior for candidate in all_candidates])
        evidence = [evidence_of(own, all_candidates) for own in judged]
        verdicts = weigh(evidence, log_prior)
        return {
            task.name: replace(
                self._result(task, own, verdict, all_candidates, len(tasks)),
                evidence=(all_candidates, each),
            )
            for task, own, verdict, each in zip(
                tasks, judged, verdicts, evidence, strict=True
            )
        }

    def _result(
        self,
        task: CategoryTask,
        judged: JudgedCandidates,
        verdict: Verdict | None,
        all_candidates: list[Candidate],
        n_pooled: int,
    ) -> CategoryResult:
        """Take the average of one category, or keep its initial weights."""
        started = time.perf_counter()
        initial = Average(task.coef, task.intercept, task.initial_logits())
        before = self._score(task, initial.left_out)
        if verdict is None:
            reason = "no held-out labels of both classes in any category"
            chosen, history, recipe = initial, [], None
            result = outcome("kept", reason, before, before)
        else:
            index = [all_candidates.index(each) for each in judged.candidates]
            weights = verdict.candidates[index]
            average = average_weights(task, judged, weights, verdict.initial)
            after = self._score(task, average.left_out)
            history = _history(task, judged, weights)
            reason = self._reason(judged, verdict, n_pooled, after - before)
            keeps_initial = verdict.keeps_initial
            if not (keeps_initial or self.objective.is_ranking) and after <= before:
                keeps_initial = True
                reason = f"held-out {self.objective.name} did not rise; {reason}"
            if keeps_initial:
                chosen, result = initial, outcome("kept", reason, before, before)
                recipe = None
            else:
                chosen = average
                recipe = Recipe(judged.candidates, weights, verdict.initial)
                result = outcome(
                    "refitted",
                    reason,
                    before,
                    after,
                    solver="auto",
                    n_iter=int(np.count_nonzero(weights >= _WORTH_COUNTING)),
                    weight=1.0 - verdict.initial,
                )
        seconds = judged.seconds + time.perf_counter() - started
        line = report_line(task, result, seconds)
        return CategoryResult(
            chosen.coef, chosen.intercept, line, history, chosen.left_out, recipe
        )

    def repeat(
        self,
        tasks: list[CategoryTask],
        results: list[CategoryResult],
        run: CategoryWorkers,
    ) -> list[Weights | None]:
        """Average the same candidates, with the same weights, on other features.

        See :class:`~cftlearn.fine_tuning._solver_names.RefitMethod`. The labels may be
        fewer than those that chose, and not allow a fit.
        """
        recipes = {
            task.name: result.recipe
            for task, result in zip(tasks, results, strict=True)
            if result.recipe is not None
        }
        repeated = [
            task
            for task in tasks
            if task.name in recipes and not missing_labels(task, refit=True)
        ]
        made = run(_repeat_category, Weights, repeated, self.objective, recipes)
        by_name = {task.name: own for task, own in zip(repeated, made, strict=True)}
        return [by_name.get(task.name) for task in tasks]

    def _reason(
        self, judged: JudgedCandidates, verdict: Verdict, n_pooled: int, gain: float
    ) -> str:
        """Say what decided: labels of all categories, and those of this one."""
        is_kept = not verdict.outweighs
        weigh = "would weigh only" if is_kept else "weigh"
        judges = f"the labels of all {n_pooled} categories together"
        if n_pooled == 1:
            judges = "the labels of this category, the only one"
        sign = -1 if is_kept else 1
        if sign * verdict.gain <= 0 and sign * verdict.pooled_gain <= 0:
            favoured = "the initial weights" if is_kept else "refits"
            judges = f"the prior odds for {favoured}, which do not yield to {judges}"
        reason = f"refits {weigh} {1 - verdict.initial:.2f}, by {judges}: "
        if verdict.is_refused:
            return (
                "its own labels are clearly against refits, by more than the greatest "
                f"standard error: roc_auc {verdict.gain:+.3f}; mean roc_auc of all "
                f"{n_pooled} categories {verdict.pooled_gain:+.3f}"
            )
        if n_pooled > 1:
            reason += f"mean roc_auc {verdict.pooled_gain:+.3f}; "
        if judged.labels.held_out and not np.isnan(gain):
            reason += f"here {self.objective.name} {gain:+.3f}"
            if sign * gain < 0 and n_pooled > 1:
                reason += ", so its own labels alone say otherwise"
            return reason
        if judged.labels.against_unknown:
            return f"{reason}here roc_auc against unknown labels {verdict.gain:+.3f}"
        return f"{reason}here no labels of both classes are held out"

    def _score(self, task: CategoryTask, logits: NDArray[np.floating[Any]]) -> float:
        """Compute the objective on held-out labels; NaN where a class is missing."""
        y = task.held_out.y
        if y.all() or not y.any():
            return float("nan")
        return self.objective.single(y, logits, task.held_out.weight)


class Average(NamedTuple):
    """The average of the weights of one category.

    Attributes
    ----------
    coef : ndarray of shape (n_features,), float64
        The weights.
    intercept : float
        Their bias.
    left_out : ndarray of shape (n_held_out,), float64
        Logits of the held-out labels by fits without them.
    """

    coef: NDArray[np.float64]
    intercept: float
    left_out: NDArray[np.float64]


class UnitFits(NamedTuple):
    """Fitted candidates, as :class:`JudgedCandidates` holds them, without evidence.

    Attributes
    ----------
    coef : ndarray of shape (n_candidates, n_features)
        Weights divided by ``spread``, so that their logits vary equally.
    intercept, spread : ndarray of shape (n_candidates,)
        Biases, and standard deviations of the logits over all rows of features.
    initial_spread : float
        Standard deviation of the initial weights' logits.
    """

    coef: NDArray[np.floating[Any]]
    intercept: NDArray[np.float64]
    spread: NDArray[np.float64]
    initial_spread: float


def _repeat_category(
    task: CategoryTask, objective: Objective, recipes: dict[str, Recipe]
) -> Weights:
    """Fit the candidates of a recipe on all known labels, and average them."""
    recipe = recipes[task.name]
    weight_of = dict(zip(recipe.candidates, recipe.weights, strict=True))
    with one_thread():
        task = task.with_spaces()
        everything, train, held_out, _ = task.known()
        problem = task.problem(objective, train, held_out)
        problem = replace(problem, train=everything)
        paths = list(ProximalSolver().fit_paths(problem, everything))
    spread = np.maximum(np.concatenate([path.spread for path in paths]), _TINY)
    coef = np.concatenate([path.coef for path in paths]) / spread[:, None]
    intercept = np.concatenate([path.intercept for path in paths])
    space = task.spaces["standard"]
    initial_spread = float(space.spread(space.enter(task.coef)))
    # Other initial weights may allow other candidates: what is left counts in full.
    weights = np.array(
        [weight_of.get(each, 0.0) for path in paths for each in path.candidates]
    )
    total = float(weights.sum()) + recipe.initial
    if total == 0.0:
        return Weights(task.coef, task.intercept)
    fits = UnitFits(coef, intercept, spread, initial_spread)
    return _average(task, fits, weights / total, recipe.initial / total)


def average_weights(
    task: CategoryTask,
    judged: JudgedCandidates,
    weights: NDArray[np.float64],
    initial: float,
) -> Average:
    r"""Average the candidates and the initial weights of one category.

    Parameters
    ----------
    task : CategoryTask
        The category, with its initial weights.
    judged : JudgedCandidates
        The candidates.
    weights : ndarray of shape (n_candidates,)
        How much each candidate counts.
    initial : float
        How much the initial weights count; 1 in all with ``weights``.

    Returns
    -------
    average : Average
        The new weights.

    Notes
    -----
    With weights :math:`p_k` of vectors :math:`w_k` whose logits have the standard
    deviation :math:`s_k`, the average is

    .. math:: w = \Big(\sum_k p_k s_k\Big) \sum_k p_k \frac{w_k}{s_k}.

    Divided by their spread, vectors of different penalties have logits of one scale,
    else the least penalised ones would decide the ranking. The first factor gives the
    logits back the spread that candidates have on the average.
    """
    coef, bias = _average(task, judged, weights, initial)
    initial_spread = max(judged.initial_spread, _TINY)
    # Biases of candidates differ, so logits are averaged without them.
    without_bias = judged.left_out - judged.intercept[:, None]
    left_out = weights @ (without_bias / judged.spread[:, None])
    left_out += initial * (task.initial_logits() - task.intercept) / initial_spread
    return Average(coef, bias, _scale(judged, weights, initial) * left_out + bias)


def _average(
    task: CategoryTask,
    fits: JudgedCandidates | UnitFits,
    weights: NDArray[np.float64],
    initial: float,
) -> Weights:
    coef = weights @ fits.coef.astype(np.float64)
    coef += initial * task.coef / max(fits.initial_spread, _TINY)
    coef = _scale(fits, weights, initial) * coef
    likeliest = task.bias_of(coef)
    if likeliest is not None:
        return Weights(coef, likeliest)
    # There is no negative to set the bias by: the background has set it.
    mean = task.feature_mean
    at_mean = fits.intercept + fits.spread * (fits.coef @ mean)
    initial_at_mean = task.intercept + float(task.coef @ mean)
    bias = float(weights @ at_mean) + initial * initial_at_mean
    return Weights(coef, bias - float(coef @ mean))


def _scale(
    fits: JudgedCandidates | UnitFits, weights: NDArray[np.float64], initial: float
) -> float:
    """Return the spread that logits of candidates have on the average."""
    return float(weights @ fits.spread) + initial * fits.initial_spread


def evidence_of(judged: JudgedCandidates, all_candidates: list[Candidate]) -> Evidence:
    """Arrange the evidence of one category by the candidates of all categories."""
    index = [all_candidates.index(candidate) for candidate in judged.candidates]
    available = np.zeros(len(all_candidates), dtype=bool)
    available[index] = True

    def for_all(values: NDArray[np.float64]) -> NDArray[np.float64]:
        arranged = np.full(len(all_candidates), np.nan)
        arranged[index] = values
        return arranged

    labels, initial = judged.labels, judged.initial
    return Evidence(
        held_out=for_all(judged.held_out),
        held_out_labels=labels.held_out,
        against_unknown=for_all(judged.against_unknown),
        against_unknown_labels=labels.against_unknown,
        fitted=for_all(judged.fitted),
        fitted_labels=labels.fitted,
        initial_held_out=initial.held_out,
        initial_against_unknown=initial.against_unknown,
        memory=initial.memory,
        memory_labels=labels.memory,
        independent=np.array([each.independent for each in all_candidates]),
        available=available,
    )


def missing_labels(task: CategoryTask, refit: bool) -> str:
    """Return why a category cannot be refitted; "" if it can.

    Parameters
    ----------
    task : CategoryTask
        The category.
    refit : bool
        Whether held-out labels are fitted too.
    """
    y = np.concatenate([task.fitted.y, task.held_out.y]) if refit else task.fitted.y
    where = "" if refit else " left to fit"
    n_positive = np.count_nonzero(y)
    if not len(y):
        return f"no known label{where}"
    if n_positive == 0:
        return f"no known positive{where}"
    if n_positive == len(y) and not len(task.unknown_rows()):
        return f"no known negative{where}, and no unknown label to stand in for one"
    return ""


def _history(
    task: CategoryTask, judged: JudgedCandidates, weights: NDArray[np.float64]
) -> list[dict[str, Any]]:
    return [
        {
            "category": task.name,
            "solver": "proximal",
            "phase": "choose",
            "iteration": k + 1,
            "candidate": str(candidate),
            "weight": float(weights[k]),
            "score_val": float(judged.held_out[k]),
        }
        for k, candidate in enumerate(judged.candidates)
    ]
