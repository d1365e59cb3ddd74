"""Penalised logistic regressions along a path, and what they say of rows left out."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from cftlearn.labels._weights import taken
from cftlearn.solvers._batched_lbfgs import BatchedLBFGS
from cftlearn.solvers._batched_loss import LEAD_PENALTY, PathProblem
from cftlearn.solvers._left_out import (
    RELATIVE_STEP,
    LeftOutEvidence,
    placement_values,
    round_logits,
)

Floats = NDArray[np.floating[Any]]

_DENSE_UNKNOWNS = 320  # up to so many, and so many rows, exact Hessians are cheap
_DENSE_ROWS = 4096
_JITTER = 1e-9  # of the mean squared length of rows, where some are equal
_MOST_LEVERAGE = 0.999
_MOST_PAIRED = 256  # rows of a class that are compared pair by pair


class PenalisedPath(LeftOutEvidence):
    """Fits along a path, and what they would say of their rows without them.

    Where that is cheap, a fit without a row, or a pair of rows, is one step of
    Newton's method away from the fit with them [1]_.

    Attributes
    ----------
    weights : ndarray of shape (n_path, n_axes)
        Weights in principal coordinates.
    lead : ndarray of shape (n_path, n_lead)
        Biases, and slopes of further lead columns.

    References
    ----------
    .. [1] Rad and Maleki, "A scalable estimate of the out-of-sample prediction error
       via approximate leave-one-out cross-validation", JRSS B 2020.
    """

    weights: NDArray[np.float64]
    lead: NDArray[np.float64]


class JointFit:
    """Collects paths on the same rows, and fits them together when one is asked for.

    Parameters
    ----------
    parts : ndarray of shape (n_known,), int, default=None
        Rows of equal number are left out together, see :func:`fit_paths`.
    """

    def __init__(self, parts: NDArray[np.intp] | None = None) -> None:
        self._parts = parts
        self._problems: list[PathProblem] = []
        self._fitted: dict[int, PenalisedPath] | None = None

    def add(self, problem: PathProblem) -> int:
        """Add a path.

        Parameters
        ----------
        problem : PathProblem
            With the labels and the order of rows of the others.

        Returns
        -------
        number : int
            By which to take it.
        """
        if self._fitted is not None:
            raise ValueError("Paths must be added before the first one is taken.")
        self._problems.append(problem)
        return len(self._problems) - 1

    def take(self, number: int) -> PenalisedPath:
        """Return a fitted path once, and forget it, as it holds large matrices."""
        if self._fitted is None:
            self._fitted = dict(enumerate(fit_paths(self._problems, self._parts)))
        return self._fitted.pop(number)


def fit_paths(
    problems: Sequence[PathProblem], parts: NDArray[np.intp] | None = None
) -> list[PenalisedPath]:
    """Fit paths that share labels and rows, all of them together.

    Parameters
    ----------
    problems : sequence of PathProblem
        The paths.
    parts : ndarray of shape (n_known,), int, default=None
        Of the rows that are asked for, those with equal numbers are left out together,
        by a fit without them. So none of them can speak for another one of its group.
        None leaves rows out one by one where that is cheap.

    Returns
    -------
    paths : list of PenalisedPath
        In the order of ``problems``.
    """
    together = BatchedLBFGS(problems)
    found = together.minimise([problem.weight for problem in problems])
    without = _FitsWithoutRows(together, found, parts)
    n = len(problems[0].y)
    paths: list[PenalisedPath] = []
    for k, (problem, own) in enumerate(
        zip(problems, together.split(found), strict=True)
    ):
        is_small = min(n, problem.rows.n_axes) <= _DENSE_UNKNOWNS and n <= _DENSE_ROWS
        if is_small and parts is None:
            paths.append(_DensePath(problem, own))
        else:
            paths.append(_LargePath(problem, own, k, without))
    return paths


class _Side(NamedTuple):
    """Rows of one class as one side of all pairs, (n_path, n, 1) or (n_path, 1, n)."""

    influence: NDArray[np.float64]  # of a row on its own logit
    curvature: NDArray[np.float64]
    residual: NDArray[np.float64]


class _DensePath(PenalisedPath):
    """Exact Hessians, in as many unknowns as rows or axes, whichever are fewer.

    Notes
    -----
    A fit minimises ``sum_i loss_i(x_i . u) + penalty(u)``. At its minimum row i has
    the residual ``g_i``, the first derivative of its loss, and the curvature ``c_i``,
    the second one. ``H`` is the Hessian, and ``A_ij = x_i . inv(H) . x_j`` the
    influence of row j on the logit of row i: without row i, one step of Newton's
    method moves its logit by ``A_ii * g_i / (1 - A_ii * c_i)``.
    """

    def __init__(self, problem: PathProblem, found: NDArray[np.float64]) -> None:
        n_lead = problem.lead.shape[1]
        self.lead, self.weights = found[:, :n_lead], found[:, n_lead:]
        self._problem = problem

    @cached_property
    def _design(self) -> NDArray[np.float64]:
        """Rows in whose unknowns the penalty is half the sum of squares."""
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
        proba = expit(self._logits)
        return self._problem.weight * proba * (1 - proba)

    @cached_property
    def _residual(self) -> NDArray[np.float64]:
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
        influence = np.sum(chosen @ self._covariance * chosen, axis=2)
        leverage = np.minimum(influence * self._curvature[:, rows], _MOST_LEVERAGE)
        # less its way through the bias, by which leaving out a positive always costs
        # it, and a negative gains: a ranking of rows left out one by one would be worse
        # than chance where labels are noise
        ranked = influence - _influence_on_bias(self._curvature)[:, None]
        return self._logits[:, rows] + ranked * (
            self._residual[:, rows] / (1 - leverage)
        )

    def placements(
        self,
        positives: NDArray[np.intp],
        negatives: NDArray[np.intp],
        weight: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]:
        """Compare each pair by a fit without both of its rows.

        A fit without one of them alone would still have seen the other, and would
        rank the pair by what it remembers of that.
        """
        if max(len(positives), len(negatives)) > _MOST_PAIRED:
            return super().placements(positives, negatives, weight)
        margin = self._logits[:, positives, None] - self._logits[:, None, negatives]
        margin += self._change_without_pairs(positives, negatives)
        tie = RELATIVE_STEP * np.abs(self._logits).max(axis=1)[:, None, None]
        ranked = (margin > tie) + 0.5 * (np.abs(margin) <= tie)
        return np.asarray(np.average(ranked, axis=2, weights=weight))

    def _change_without_pairs(
        self, positives: NDArray[np.intp], negatives: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """Compute how each margin of a pair changes by a fit without both rows.

        Notes
        -----
        For a positive i and a negative j, one step of Newton's method moves their
        logits by the solution ``t`` of ``(I - A C) t = A g``, with the two-by-two
        matrix ``A`` of influences, ``C = diag(c_i, c_j)`` and ``g = (g_i, g_j)``
        (Woodbury's identity for the Hessian without both rows). By Cramer's rule,
        with ``f_i = 1 - A_ii c_i`` and ``m = A g``,

            ``t_i = (f_j m_i + A_ij c_j m_j) / (f_i f_j - A_ij**2 c_i c_j)``

        and the other way round. The margin changes by ``t_i - t_j``.
        """
        design_i, design_j = self._design[:, positives], self._design[:, negatives]
        reach_i, reach_j = design_i @ self._covariance, design_j @ self._covariance
        across = reach_i @ design_j.transpose(0, 2, 1)
        i = self._side(positives, np.sum(reach_i * design_i, axis=2), axis=2)
        j = self._side(negatives, np.sum(reach_j * design_j, axis=2), axis=1)
        free_i = 1 - i.influence * i.curvature
        free_j = 1 - j.influence * j.curvature
        free_both = free_i * free_j - across**2 * i.curvature * j.curvature
        move_i = i.influence * i.residual + across * j.residual
        move_j = across * i.residual + j.influence * j.residual
        change = free_j * move_i + across * j.curvature * move_j
        change -= free_i * move_j + across * i.curvature * move_i
        return change / np.maximum(free_both, 1 - _MOST_LEVERAGE)

    def _side(
        self, rows: NDArray[np.intp], influence: NDArray[np.float64], axis: int
    ) -> _Side:
        return _Side(
            np.expand_dims(influence, axis),
            np.expand_dims(self._curvature[:, rows], axis),
            np.expand_dims(self._residual[:, rows], axis),
        )


class _LargePath(PenalisedPath):
    """Rows left out in truth: all of them at once, and all paths are fitted again."""

    asks_many = False

    def __init__(
        self,
        problem: PathProblem,
        found: NDArray[np.float64],
        number: int,
        without: "_FitsWithoutRows",
    ) -> None:
        n_lead = problem.lead.shape[1]
        self.lead, self.weights = found[:, :n_lead], found[:, n_lead:]
        self._number, self._without = number, without

    def left_out(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        return self._without.logits(rows, self._number)

    def placements(
        self,
        positives: NDArray[np.intp],
        negatives: NDArray[np.intp],
        weight: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]:
        """Compare rows that one fit left out: fits differ in their biases.

        A positive that no negative was left out with takes the mean of the others.
        """
        parts = self._without.parts
        if parts is None:
            return super().placements(positives, negatives, weight)
        logits = round_logits(self.left_out(np.concatenate([positives, negatives])))
        scores, others = np.split(logits, [len(positives)], axis=1)
        found = np.full(scores.shape, np.nan)
        for part in np.intersect1d(parts[positives], parts[negatives]):
            own = parts[positives] == part
            beside = parts[negatives] == part
            found[:, own] = placement_values(
                scores[:, own], others[:, beside], taken(weight, beside)
            )
        lonely = np.isnan(found[0])
        found[:, lonely] = found[:, ~lonely].mean(axis=1, keepdims=True)
        return found


class _FitsWithoutRows:
    """Fits of all paths without some rows, remembered for the next path that asks.

    Half of the rows are left out after the other half where no label of a class would
    stay; but not with ``parts``, where the halves could divide a group.
    """

    def __init__(
        self,
        together: BatchedLBFGS,
        found: Floats,
        parts: NDArray[np.intp] | None = None,
    ) -> None:
        self._together = together
        self._found = found
        self.parts = parts
        self._asked = np.empty(0, dtype=np.intp)
        self._answers = [np.empty((len(found), 0))] * len(together.problems)

    def logits(self, rows: NDArray[np.intp], number: int) -> NDArray[np.float64]:
        """Compute one path's logits of rows by fits without them.

        Fits that left out further rows answer too, so ask for all of them at first.
        """
        if not np.isin(rows, self._asked).all():
            self._asked = np.unique(rows)
            self._answers = self._fit_without(self._asked)
        return self._answers[number][:, np.searchsorted(self._asked, rows)]

    def _fit_without(self, rows: NDArray[np.intp]) -> list[NDArray[np.float64]]:
        problems = self._together.problems
        logits = [np.empty((len(p.penalties), len(rows))) for p in problems]
        for part in self._parts(rows):
            weights = [problem.weight.copy() for problem in problems]
            for weight in weights:
                weight[rows[part]] = 0.0
            # from the fits with all rows, which are near
            found = self._together.minimise(weights, self._found)
            for k, own in enumerate(self._together.split(found)):
                logits[k][:, part] = _predict(problems[k], own, rows[part])
        return logits

    def _parts(self, rows: NDArray[np.intp]) -> list[NDArray[np.intp]]:
        """Choose which of the rows to leave out at once."""
        if self.parts is not None:
            own = self.parts[rows]
            return [np.flatnonzero(own == part) for part in np.unique(own)]
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
    weights = problem.rows.to_base(found[:, n_lead:].T.astype(problem.rows.base.dtype))
    logits = problem.lead[rows] @ found[:, :n_lead].T
    logits = logits + problem.rows.base[rows] @ weights
    return np.asarray(logits.T, dtype=np.float64)


def _as_many_columns_as_rows(scaled: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotate rows of shape (n_path, n, p) into n dimensions: inner products stay.

    A fit depends on rows by their inner products alone, and n unknowns are fewer.
    """
    gram = scaled @ scaled.transpose(0, 2, 1)
    n = gram.shape[1]
    size = np.trace(gram, axis1=1, axis2=2) / n
    gram[:, np.arange(n), np.arange(n)] += _JITTER * (size + _JITTER)[:, None]
    root = np.linalg.cholesky(gram)
    return np.asarray(root, dtype=np.float64)


def _influence_on_bias(curvature: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute how far a residual of 1 moves the bias, and so all logits."""
    return 1.0 / (curvature.sum(axis=1) + LEAD_PENALTY)
