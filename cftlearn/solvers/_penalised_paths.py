"""Penalised logistic regressions along a path, and what they say of rows left out."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from cftlearn.metrics._ranking import batch_roc_auc
from cftlearn.solvers._batched_lbfgs import LEAD_PENALTY, Lockstep, PathProblem

Floats = NDArray[np.floating[Any]]

_DENSE_UNKNOWNS = 320  # up to so many, and so many rows, exact Hessians are cheap
_DENSE_ROWS = 4096
_JITTER = 1e-9  # of the mean squared length of rows, where some are equal
_MOST_LEVERAGE = 0.999
_STEP = 1e-5  # of the largest logit, within which rounding may have moved equal rows
_MOST_PAIRED = 256  # rows of a class that are compared pair by pair


class PenalisedPath:
    """Fits along a path, and what they would say of their rows without them.

    So a row's label can judge the very fit that used it. Where that is cheap, a fit
    without a row, or a pair of rows, is one step of Newton's method away from the fit
    with them [1]_.

    Attributes
    ----------
    asks_many : bool
        Whether it is cheap to ask about several sets of rows.
    weights : ndarray of shape (n_path, n_axes)
        Rows in principal coordinates.
    lead : ndarray of shape (n_path, n_lead)
        Biases, and slopes of further lead columns.

    References
    ----------
    .. [1] Rad and Maleki, "A scalable estimate of the out-of-sample prediction error
       via approximate leave-one-out cross-validation", JRSS B 2020.
    """

    asks_many = True
    weights: NDArray[np.float64]
    lead: NDArray[np.float64]

    def left_out(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Logits of rows by fits without them, of shape (n_path, n_rows).

        Up to a shift of the bias, which would set every positive back against every
        negative by the same amount.
        """
        raise NotImplementedError

    def ranking_evidence(
        self, positives: NDArray[np.intp], negatives: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """ROC AUC of rows by fits without them, of shape (n_path,)."""
        rows = np.concatenate([positives, negatives])
        y = np.arange(len(rows)) < len(positives)
        return batch_roc_auc(in_steps(self.left_out(rows)), y, exact=False)


def fit_paths(problems: Sequence[PathProblem]) -> list[PenalisedPath]:
    """Fit paths that share labels and rows, all of them together."""
    together = Lockstep(problems)
    found = together.minimise([problem.weight for problem in problems])
    without = _Without(together, found)
    n = len(problems[0].y)
    paths: list[PenalisedPath] = []
    for k, (problem, own) in enumerate(
        zip(problems, together.split(found), strict=True)
    ):
        if min(n, problem.rows.n_axes) <= _DENSE_UNKNOWNS and n <= _DENSE_ROWS:
            paths.append(_DensePath(problem, own))
        else:
            paths.append(_LargePath(problem, own, k, without))
    return paths


class _DensePath(PenalisedPath):
    """Exact Hessians, in as many unknowns as rows or axes, whichever are fewer."""

    def __init__(self, problem: PathProblem, found: NDArray[np.float64]) -> None:
        n_lead = problem.lead.shape[1]
        self.lead, self.weights = found[:, :n_lead], found[:, n_lead:]
        self._problem = problem

    @cached_property
    def _design(self) -> NDArray[np.float64]:
        """Give rows in whose unknowns the penalty is the sum of squares."""
        rows = self._problem.rows.take().astype(np.float64)
        scaled = rows[None] / np.sqrt(self._problem.penalties)[:, None, :]
        n, n_axes = rows.shape
        body = _as_many_columns_as_rows(scaled) if n < n_axes else scaled
        shape = (len(scaled), *self._problem.lead.shape)
        return np.concatenate([np.broadcast_to(self._problem.lead, shape), body], 2)

    @cached_property
    def _logits(self) -> NDArray[np.float64]:
        rows = self._problem.rows.take().astype(np.float64)
        return self.lead @ self._problem.lead.T + self.weights @ rows.T

    @cached_property
    def _curvature(self) -> NDArray[np.float64]:
        chance = expit(self._logits)
        return self._problem.weight * chance * (1 - chance)

    @cached_property
    def _pull(self) -> NDArray[np.float64]:
        return self._problem.weight * (expit(self._logits) - self._problem.y)

    @cached_property
    def _covariance(self) -> NDArray[np.float64]:
        """Inverse Hessians; single precision is enough for leverages."""
        design = self._design
        half = (design * np.sqrt(self._curvature)[:, :, None]).astype(np.float32)
        hessian = (half.transpose(0, 2, 1) @ half).astype(np.float64)
        ridge = np.ones(design.shape[2])
        ridge[: self.lead.shape[1]] = LEAD_PENALTY
        diagonal = np.arange(len(ridge))
        hessian[:, diagonal, diagonal] += ridge
        return np.asarray(np.linalg.inv(hessian), dtype=np.float64)

    def left_out(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        chosen = self._design[:, rows]
        own = np.sum(chosen @ self._covariance * chosen, axis=2)
        rest = own - _bias_part(self._curvature)[:, None]
        return self._logits[:, rows] + rest * self._removal(own, rows)

    def ranking_evidence(
        self, positives: NDArray[np.intp], negatives: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """Compare every pair by a fit without both of its rows."""
        if max(len(positives), len(negatives)) > _MOST_PAIRED:
            return super().ranking_evidence(positives, negatives)
        first, second = self._design[:, positives], self._design[:, negatives]
        # the influence of a positive and a negative on each other, and on themselves
        reach = first @ self._covariance
        across = reach @ second.transpose(0, 2, 1)
        of_first = np.sum(reach * first, axis=2)[:, :, None]
        reach = second @ self._covariance
        of_second = np.sum(reach * second, axis=2)[:, None, :]
        curved_first = self._curvature[:, positives, None]
        curved_second = self._curvature[:, None, negatives]
        pull_first, pull_second = (
            self._pull[:, positives, None],
            self._pull[:, None, negatives],
        )
        free_first = 1 - of_first * curved_first
        free_second = 1 - of_second * curved_second
        free_both = free_first * free_second - across**2 * curved_first * curved_second
        move_first = of_first * pull_first + across * pull_second
        move_second = across * pull_first + of_second * pull_second
        change = free_second * move_first + across * curved_second * move_second
        change -= free_first * move_second + across * curved_first * move_first
        margin = self._logits[:, positives, None] - self._logits[:, None, negatives]
        margin += change / np.maximum(free_both, 1 - _MOST_LEVERAGE)
        tie = _STEP * np.abs(self._logits).max(axis=1)[:, None, None]
        return np.mean((margin > tie) + 0.5 * (np.abs(margin) <= tie), axis=(1, 2))

    def _removal(
        self, own: NDArray[np.float64], rows: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        leverage = np.minimum(own * self._curvature[:, rows], _MOST_LEVERAGE)
        return self._pull[:, rows] / (1 - leverage)


class _LargePath(PenalisedPath):
    """Rows left out in truth: all of them at once, and all paths are fitted again."""

    asks_many = False

    def __init__(
        self,
        problem: PathProblem,
        found: NDArray[np.float64],
        place: int,
        without: "_Without",
    ) -> None:
        n_lead = problem.lead.shape[1]
        self.lead, self.weights = found[:, :n_lead], found[:, n_lead:]
        self._place, self._without = place, without

    def left_out(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        return self._without.logits(rows, self._place)


class _Without:
    """Fits of all paths without some rows, remembered for the next path that asks.

    Half of the rows are left out after the other half where no label of a class would
    stay.
    """

    def __init__(self, together: Lockstep, found: Floats) -> None:
        self._together = together
        self._found = found
        self._asked = np.empty(0, dtype=np.intp)
        self._answers = [np.empty((len(found), 0))] * len(together.problems)

    def logits(self, rows: NDArray[np.intp], k: int) -> NDArray[np.float64]:
        """Give path k's logits of rows by fits without them."""
        asked, place = np.unique(rows, return_inverse=True)
        if not np.array_equal(asked, self._asked):
            self._asked, self._answers = asked, self._fit_without(asked)
        return self._answers[k][:, place]

    def _fit_without(self, rows: NDArray[np.intp]) -> list[NDArray[np.float64]]:
        problems = self._together.problems
        logits = [np.empty((len(p.penalties), len(rows))) for p in problems]
        for part in self._parts(rows):
            weights = [problem.weight.copy() for problem in problems]
            for weight in weights:
                weight[rows[part]] = 0.0
            found = self._together.minimise(weights, self._found)
            for k, own in enumerate(self._together.split(found)):
                logits[k][:, part] = _predict(problems[k], own, rows[part])
        return logits

    def _parts(self, rows: NDArray[np.intp]) -> list[NDArray[np.intp]]:
        """Tell which of the rows to leave out at once."""
        problem = self._together.problems[0]
        stay = problem.weight > 0
        stay[rows] = False
        if len(np.unique(problem.y[stay])) == 2:
            return [np.arange(len(rows))]
        by_class = np.argsort(problem.y[rows], kind="stable")
        return [by_class[::2], by_class[1::2]]


def _predict(
    problem: PathProblem, found: NDArray[np.float64], rows: NDArray[np.intp]
) -> NDArray[np.float64]:
    n_lead = problem.lead.shape[1]
    push = problem.rows.push(found[:, n_lead:].T.astype(problem.rows.base.dtype))
    logits = problem.lead[rows] @ found[:, :n_lead].T + problem.rows.base[rows] @ push
    return np.asarray(logits.T, dtype=np.float64)


def in_steps(logits: Floats) -> NDArray[np.float64]:
    """Round each path's logits to steps, so that rounding does not rank equal rows."""
    step = _STEP * np.abs(logits).max(axis=1, initial=0.0, keepdims=True)
    return np.round(logits / np.maximum(step, np.finfo(np.float64).tiny))


def _as_many_columns_as_rows(scaled: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotate rows of shape (n_path, n, p) into n dimensions: inner products stay."""
    gram = scaled @ scaled.transpose(0, 2, 1)
    n = gram.shape[1]
    size = np.trace(gram, axis1=1, axis2=2) / n
    gram[:, np.arange(n), np.arange(n)] += _JITTER * (size + _JITTER)[:, None]
    root = np.linalg.cholesky(gram)
    return np.asarray(root, dtype=np.float64)


def _bias_part(curvature: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far a unit of pull on one row moves the bias, hence all logits."""
    return 1.0 / (curvature.sum(axis=1) + LEAD_PENALTY)
