"""The refit of all categories at once: candidates, pooled evidence, an average."""

import time
from collections.abc import Callable
from dataclasses import astuple, dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from cftlearn.fine_tuning._category_task import CategoryData
from cftlearn.fine_tuning._evidence import Evidence, Verdict, effective_labels, weigh
from cftlearn.fine_tuning._report import CategoryResult, outcome, skipped, start_report
from cftlearn.metrics._objectives import Objective
from cftlearn.metrics._ranking import batch_roc_auc
from cftlearn.solvers._families import independent_families
from cftlearn.solvers._intercept import likeliest_intercept
from cftlearn.solvers._left_out import round_logits
from cftlearn.solvers._protocol import KnownRows
from cftlearn.solvers._proximal import Candidate, FittedPath, ProximalSolver

Run = Callable[[Callable[..., Any], type[Any], list[tuple[Any, ...]]], list[Any]]

_FITTED_ROWS = 128  # of each class, that are asked for evidence
_UNKNOWN_ROWS = 1000
_MAJORITY = 0.5  # of the weight, that refits need to replace the trained row
_WORTH_COUNTING = 0.01


@dataclass(frozen=True)
class Proposal:
    """The candidates of one category; arrays run over the solver's candidates.

    Attributes
    ----------
    candidates : list of Candidate
        What was fitted.
    coef : ndarray of shape (n_candidates, n_features), float32
        Rows divided by ``spread``, so that their logits vary equally.
    intercept, spread : ndarray of shape (n_candidates,)
        Biases, and standard deviations of the logits over all rows of features.
    left_out : ndarray of shape (n_candidates, n_held_out), float32
        Logits of the held-out rows by fits without them.
    held_out, against_unknown, fitted : ndarray of shape (n_candidates,)
        See :class:`~cftlearn.fine_tuning._evidence.Evidence`.
    labels : tuple of float
        The effective numbers of labels of these three, and of positives.
    trained_spread : float
        Standard deviation of the trained row's logits.
    trained : tuple of float
        The trained row's held-out AUC, that against unknown labels, and that of
        positives to fit against held-out positives.
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
    labels: tuple[float, float, float, float]
    trained_spread: float
    trained: tuple[float, float, float]
    seconds: float

    def pack(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Take it apart for a checkpoint."""
        values = {part.name: getattr(self, part.name) for part in fields(self)}
        values["candidates"] = [astuple(candidate) for candidate in self.candidates]
        arrays = {k: v for k, v in values.items() if isinstance(v, np.ndarray)}
        return arrays, {k: v for k, v in values.items() if k not in arrays}

    @classmethod
    def unpack(cls, arrays: dict[str, NDArray[Any]], plain: dict[str, Any]) -> Self:
        """Put it together again."""
        values: dict[str, Any] = {**arrays, **plain}
        values["candidates"] = [Candidate(*each) for each in plain["candidates"]]
        for name in ("labels", "trained"):
            values[name] = tuple(plain[name])
        return cls(**values)


def auto_refit(
    categories: list[CategoryData], objective: Objective, *, refit: bool, run: Run
) -> list[CategoryResult]:
    """Refit all categories by the rows that their labels, taken together, support.

    Each category's candidates are fitted on all its known labels (without ``refit``:
    on those to fit), and judged on labels left out of them one by one. Evidence is
    pooled over categories. The answer is the average of candidates by weight, if they
    outweigh the trained row, else the trained row as it is.

    Parameters
    ----------
    categories : list of CategoryData
        With the spaces that :class:`ProximalSolver` needs.
    objective : Objective
        What reports show; a callable one must also not fall on the held-out labels.
    refit : bool
        Fit the held-out labels too.
    run : callable
        Calls a function for each of some tasks, a category's data first, and gives
        what it returns, of the type that is named, in order.

    Returns
    -------
    results : list of CategoryResult
        In the order of ``categories``.
    """
    solver = ProximalSolver()
    if any(data.unseen is not None for data in categories):
        # the trained rows have seen the labels that judge
        solver = ProximalSolver(toward=independent_families())
    lacks = [_what_lacks(data, refit) for data in categories]
    live = [data for data, lack in zip(categories, lacks, strict=True) if not lack]
    tasks = [(data, solver, objective, refit) for data in live]
    proposals = run(propose, Proposal, tasks)
    universe = list(
        dict.fromkeys(c for proposal in proposals for c in proposal.candidates)
    )
    log_prior = np.array([candidate.log_prior for candidate in universe])
    verdicts = weigh([_evidence(item, universe) for item in proposals], log_prior)
    settled = (
        _settle(data, proposal, universe, verdict, len(live), objective)
        for data, proposal, verdict in zip(live, proposals, verdicts, strict=True)
    )
    return [
        skipped(data, lack) if lack else next(settled)
        for data, lack in zip(categories, lacks, strict=True)
    ]


def propose(
    data: CategoryData, solver: ProximalSolver, objective: Objective, refit: bool
) -> Proposal:
    """Fit the candidates of one category and ask its labels about them."""
    started = time.perf_counter()
    with threadpool_limits(limits=1):  # the same sums whatever the number of workers
        data = data.ready()
        known, train, held_out = data.known()
        problem = data.problem(objective, train, held_out)
        weight = np.ones(len(known.y))
        if refit:
            problem = replace(problem, train=known)
        else:
            weight[len(train.y) :] = 0.0
        inquiry = _Inquiry(data, train.y, held_out)
        paths = solver.fit_paths(problem, known, weight)
        answers = [inquiry.ask(fitted) for fitted in paths]
        trained = inquiry.ask_trained(data, known if data.unseen is not None else train)
    space = data.spaces["standard"]
    return Proposal(
        candidates=solver.candidates(problem),
        **{key: np.concatenate([a[key] for a in answers]) for key in answers[0]},
        labels=inquiry.labels,
        trained_spread=float(space.spread(space.enter(data.coef))),
        trained=trained,
        seconds=time.perf_counter() - started,
    )


class _Inquiry:
    """Which labels of a category are asked about its candidates."""

    def __init__(
        self, data: CategoryData, fitted: NDArray[np.bool_], held_out: KnownRows
    ) -> None:
        rng = np.random.default_rng(data.seed)
        self.held_out = held_out
        first = len(fitted)  # held-out rows follow the fitted ones
        self.rows = np.arange(first, first + len(held_out.y))
        self.positives = first + np.flatnonzero(held_out.y)
        self.negatives = first + np.flatnonzero(~held_out.y)
        self.fitted = [_sample(rng, fitted == kind, _FITTED_ROWS) for kind in (1, 0)]
        self.folds = np.zeros(len(held_out.y), dtype=np.intp)
        if data.folds is not None:
            self.folds = data.folds[~np.isnan(data.y_val)]
        self.unknown = data.Z[:0]
        if len(self.positives) and not len(self.negatives):
            unknown = np.zeros(len(data.Z), dtype=bool)
            unknown[data.unknown_rows()] = True
            self.unknown = data.Z[_sample(rng, unknown, _UNKNOWN_ROWS)]
        self.labels = (
            effective_labels(len(self.positives), len(self.negatives)),
            effective_labels(len(self.positives), len(self.unknown)),
            effective_labels(*map(len, self.fitted)),
            effective_labels(
                int((held_out.y if data.unseen is not None else fitted).sum()),
                len(self.positives),
            ),
        )

    def ask(self, fitted: FittedPath) -> dict[str, NDArray[Any]]:
        """Gather the fields of a proposal for one path."""
        path, nowhere = fitted.evidence, np.full(len(fitted.spread), np.nan)
        spread = np.maximum(fitted.spread, np.finfo(float).tiny)
        left_out = path.left_out(self.rows)
        held_out = against_unknown = on_fitted = nowhere
        if self.labels[0]:
            held_out = path.ranking_evidence(self.positives, self.negatives)
        if self.labels[1]:
            coef = fitted.coef.astype(self.unknown.dtype)
            unknown = coef @ self.unknown.T + fitted.intercept[:, None]
            against_unknown = _auc(left_out, unknown)
        if self.labels[2] and path.asks_many:
            on_fitted = path.ranking_evidence(*self.fitted)
        return {
            "coef": (fitted.coef / spread[:, None]).astype(np.float32),
            "intercept": fitted.intercept,
            "spread": spread,
            "left_out": left_out.astype(np.float32),
            "held_out": held_out,
            "against_unknown": against_unknown,
            "fitted": on_fitted,
        }

    def ask_trained(
        self, data: CategoryData, fitted: KnownRows
    ) -> tuple[float, float, float]:
        """Ask about the trained row as about candidates, and what it memorised."""
        logits, y = data.trained_logits(), self.held_out.y
        against_known = against_unknown = memory = float("nan")
        if self.labels[0]:
            against_known = _auc_within(logits, y, self.folds)
        if self.labels[1]:
            unknown = self.unknown @ data.coef + data.intercept
            against_unknown = float(_auc(logits[None], unknown[None])[0])
        if self.labels[3]:
            seen = fitted.Z[fitted.y] @ data.coef + data.intercept
            memory = float(_auc(seen[None], logits[None, y])[0])
        return against_known, against_unknown, memory


def _sample(
    rng: np.random.Generator, rows: NDArray[np.bool_], most: int
) -> NDArray[np.intp]:
    chosen = np.flatnonzero(rows)
    if len(chosen) > most:
        chosen = np.sort(rng.choice(chosen, most, replace=False))
    return chosen


def _auc(
    positives: NDArray[np.floating[Any]], negatives: NDArray[np.floating[Any]]
) -> NDArray[np.float64]:
    scores = round_logits(np.concatenate([positives, negatives], axis=1))
    return batch_roc_auc(
        scores, np.arange(scores.shape[1]) < positives.shape[1], exact=False
    )


def _auc_within(
    logits: NDArray[np.float64], y: NDArray[np.bool_], folds: NDArray[np.intp]
) -> float:
    """Compare logits of one row only with each other; rows differ in their bias."""
    total = weight = 0.0
    for fold in np.unique(folds):
        own, own_y = logits[folds == fold], y[folds == fold]
        n_pairs = float(np.count_nonzero(own_y) * np.count_nonzero(~own_y))
        if n_pairs:
            total += n_pairs * float(_auc(own[None, own_y], own[None, ~own_y])[0])
            weight += n_pairs
    return total / weight if weight else float("nan")


def _evidence(proposal: Proposal, universe: list[Candidate]) -> Evidence:
    """Arrange a category's answers by the candidates of all categories."""
    place = [universe.index(candidate) for candidate in proposal.candidates]
    available = np.zeros(len(universe), dtype=bool)
    available[place] = True

    def spread_out(values: NDArray[np.float64]) -> NDArray[np.float64]:
        placed = np.full(len(universe), np.nan)
        placed[place] = values
        return placed

    held_out_labels, unknown_labels, fitted_labels, memory_labels = proposal.labels
    return Evidence(
        held_out=spread_out(proposal.held_out),
        held_out_labels=held_out_labels,
        against_unknown=spread_out(proposal.against_unknown),
        against_unknown_labels=unknown_labels,
        fitted=spread_out(proposal.fitted),
        fitted_labels=fitted_labels,
        trained_held_out=proposal.trained[0],
        trained_against_unknown=proposal.trained[1],
        memory=proposal.trained[2],
        memory_labels=memory_labels,
        independent=np.array([c.independent for c in universe]),
        available=available,
    )


def _settle(
    data: CategoryData,
    proposal: Proposal,
    universe: list[Candidate],
    verdict: Verdict | None,
    n_pooled: int,
    objective: Objective,
) -> CategoryResult:
    """Average the rows by weight, or leave the trained one as it is."""
    started = time.perf_counter()
    y = data.y_val[~np.isnan(data.y_val)] == 1.0
    before = _score(objective, y, data.trained_logits())
    if verdict is None:
        reason = "no held-out labels of both classes in any category"
        row, bias = data.coef, data.intercept
        result, history = outcome("kept", reason, before, before), []
        left_out = data.trained_logits()
    else:
        place = [universe.index(candidate) for candidate in proposal.candidates]
        weights = verdict.candidates[place]
        row, bias, left_out = _average(data, proposal, weights, verdict.trained)
        after = _score(objective, y, left_out)
        kept = verdict.trained >= _MAJORITY
        reason = _reason(proposal, verdict, n_pooled)
        if not objective.is_ranking and not kept and after <= before:
            kept, reason = True, f"held-out {objective.name} did not rise; {reason}"
        result = outcome(
            "kept" if kept else "refitted",
            reason,
            before,
            before if kept else after,
            None if kept else "proximal",
            0 if kept else int(np.count_nonzero(weights >= _WORTH_COUNTING)),
            0.0 if kept else 1.0 - verdict.trained,
        )
        if kept:
            row, bias, left_out = data.coef, data.intercept, data.trained_logits()
        history = _history(data, proposal, weights)
    seconds = proposal.seconds + time.perf_counter() - started
    report = start_report(data) | result | {"seconds": seconds}
    return CategoryResult(row, bias, report, history, left_out)


def _average(
    data: CategoryData,
    proposal: Proposal,
    weights: NDArray[np.float64],
    trained: float,
) -> tuple[NDArray[np.float64], float, NDArray[np.float64]]:
    """Average rows of equal spread; give row, bias and left-out held-out logits.

    A row and its left-out logits get one bias, for those of the candidates differ.
    """
    own_spread = max(proposal.trained_spread, np.finfo(float).tiny)
    row = weights @ proposal.coef.astype(np.float64) + trained * data.coef / own_spread
    without_bias = proposal.left_out - proposal.intercept[:, None]
    left_out = weights @ (without_bias / proposal.spread[:, None])
    left_out += trained * (data.trained_logits() - data.intercept) / own_spread
    scale = float(weights @ proposal.spread) + trained * proposal.trained_spread
    row, left_out = scale * row, scale * left_out
    logits, y = data.known_logits(row)
    if y.all():  # no negative to set the bias by: the background has set it
        mean = data.feature_mean
        middle = proposal.intercept + proposal.spread * (proposal.coef @ mean)
        own = data.intercept + float(data.coef @ mean)
        bias = float(weights @ middle) + trained * own - float(row @ mean)
    else:
        bias = likeliest_intercept(logits, y)
    return row, bias, left_out + bias


def _score(
    objective: Objective, y: NDArray[np.bool_], logits: NDArray[np.floating[Any]]
) -> float:
    if y.all() or not y.any():
        return float("nan")
    return objective.single(y, logits)


def _reason(proposal: Proposal, verdict: Verdict, n_pooled: int) -> str:
    judged = proposal.labels[0] or proposal.labels[1]
    own = f"{verdict.gain:+.3f} here, " if judged else ""
    verb = "would weigh only" if verdict.trained >= _MAJORITY else "weigh"
    return (
        f"refits {verb} {1 - verdict.trained:.2f}; held-out AUC {own}"
        f"{verdict.pooled_gain:+.3f} over {n_pooled} categories"
    )


def _history(
    data: CategoryData, proposal: Proposal, weights: NDArray[np.float64]
) -> list[dict[str, Any]]:
    return [
        {
            "category": data.name,
            "solver": "proximal",
            "phase": "choose",
            "iteration": k + 1,
            "candidate": str(candidate),
            "weight": float(weights[k]),
            "score_val": float(proposal.held_out[k]),
        }
        for k, candidate in enumerate(proposal.candidates)
    ]


def _what_lacks(data: CategoryData, refit: bool) -> str:
    """Name what keeps a category from being refitted, or nothing."""
    labels = np.concatenate([data.y, data.y_val]) if refit else data.y
    left = "" if refit else " left to fit"
    n_positive = np.count_nonzero(labels == 1.0)
    n_negative = np.count_nonzero(labels == 0.0)
    if n_positive + n_negative == 0:
        return f"no known label{left}"
    if n_positive == 0:
        return f"no known positive{left}"
    if n_negative == 0 and not len(data.unknown_rows()):
        return f"no known negative{left}, and no unknown label to stand in for one"
    return ""
