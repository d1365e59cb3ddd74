"""Losses and gradients of many penalised logistic regressions on the same rows.

One regression reads all rows for every step, and does little with them: memory sets
the pace. Regressions that differ in penalties and weights alone can be evaluated
together, by one matrix product for all of them, and are several times faster so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import gen_batches

from cftlearn._features._principal_axes import Coordinates, multiply

Floats = NDArray[np.floating[Any]]

LEAD_PENALTY = 1e-3  # on bias and slope: enough to keep separable labels finite
_BATCH_ROWS = 2048  # whose logits stay in the processor's cache
_SAMPLED_ROWS = 1024  # enough to know the size of coordinates by


@dataclass(frozen=True)
class PathProblem:
    """Weighted labels to fit along a path of penalties, in principal coordinates.

    Problems that are fitted together share ``y`` and the order of rows, and their
    leads are the first columns of the widest one.

    Attributes
    ----------
    rows : Coordinates of n rows and n_axes axes
        Coordinates.
    lead : ndarray of shape (n, n_lead)
        What enters unpenalised: a column of ones, and perhaps the initial logits.
    y : ndarray of shape (n,)
        1 or 0.
    weight : ndarray of shape (n,)
        At least 0; a row of weight 0 is predicted and not fitted.
    penalties : ndarray of shape (n_path, n_axes)
        Above 0.

    Notes
    -----
    Fit k minimises, over the lead coefficients ``b`` and the weights ``w``,

        ``sum_i weight_i * logloss(y_i, lead_i . b + rows_i . w)
        + 0.5 * sum_a penalties_ka * w_a**2``

    and a negligible penalty on ``b``.
    """

    rows: Coordinates
    lead: Floats
    y: NDArray[np.float64]
    weight: NDArray[np.float64]
    penalties: NDArray[np.float64]


class BatchedLoss:
    """What the members of several paths, one after the other, minimise.

    A member is one fit of a path: a vector of as many lead coefficients as the widest
    lead has columns, and as many weights as the longest coordinates. Those that its
    own problem does without stay 0.

    Parameters
    ----------
    problems : sequence of PathProblem
        At least one.

    Attributes
    ----------
    dtype : numpy.dtype
        Of features, in which everything large is computed.
    y : ndarray of shape (n,)
        Labels.
    n_lead : int
        Columns of the widest lead.
    owner : ndarray of shape (n_members,), int
        The problem of each member.
    stiffness : ndarray of shape (n_members, n_lead + n_axes)
        Its penalties.
    """

    def __init__(self, problems: Sequence[PathProblem]) -> None:
        self.problems = problems
        self.dtype = problems[0].rows.base.dtype
        self.y = problems[0].y.astype(self.dtype)
        widest = max((p.lead for p in problems), key=lambda lead: lead.shape[1])
        self._lead = widest.astype(self.dtype)
        self.n_lead = widest.shape[1]
        lengths = [len(problem.penalties) for problem in problems]
        self.owner = np.repeat(np.arange(len(problems)), lengths)
        self._ends = np.cumsum(lengths)
        size = self.n_lead + max(problem.rows.n_axes for problem in problems)
        stiffness = np.ones((len(self.owner), size))
        stiffness[:, : self.n_lead] = LEAD_PENALTY
        self._free = np.ones((len(self.owner), self.n_lead), dtype=self.dtype)
        for problem, members in zip(problems, self._members(), strict=True):
            stiffness[members, self._axes(problem)] = problem.penalties
            self._free[members, problem.lead.shape[1] :] = 0.0
        self.stiffness = stiffness.astype(self.dtype)
        self._mean_squares = self._find_mean_squares(size)

    def evaluate(
        self, members: NDArray[np.intp], found: Floats, weight: Floats
    ) -> tuple[NDArray[np.float64], Floats]:
        """Compute losses and gradients of some members.

        Parameters
        ----------
        members : ndarray of shape (n_some,), int
            In rising order.
        found : ndarray of shape (n_some, n_lead + n_axes)
            Their vectors; what a member does without is set to 0 in place.
        weight : ndarray of shape (n, n_problems)
            Weights of the rows.

        Returns
        -------
        loss : ndarray of shape (n_some,), float64
            Losses.
        gradient : ndarray of shape (n_some, n_lead + n_axes)
            Derivatives by ``found``.
        """
        lead_part = slice(0, self.n_lead)
        found[:, lead_part] *= self._free[members]
        lead, owners = found[:, lead_part].T, self.owner[members]
        gradient = np.zeros_like(found)
        matrices = self._shared_matrices(owners)
        vectors = [own.in_columns(found[:, self.n_lead :]) for own in matrices]
        sums = [np.zeros_like(own) for own in vectors]
        stiff = self.stiffness[members] * found
        loss = 0.5 * dots(stiff, found).astype(np.float64)
        for batch in gen_batches(len(self.y), _BATCH_ROWS):
            logits = self._lead[batch] @ lead
            for matrix, vector in zip(matrices, vectors, strict=True):
                logits[:, matrix.members] += multiply(matrix.base[batch], vector)
            own_loss, residual = _loss_and_residual(
                logits, self.y[batch, None], weight[batch][:, owners]
            )
            loss += own_loss
            gradient[:, lead_part] += residual.T @ self._lead[batch]
            for matrix, total in zip(matrices, sums, strict=True):
                total += multiply(matrix.base[batch].T, residual[:, matrix.members])
        for matrix, total in zip(matrices, sums, strict=True):
            matrix.add_axes(total, gradient[:, self.n_lead :])
        gradient[:, lead_part] *= self._free[members]
        gradient += stiff
        return loss, gradient

    def curvature_roots(self, weights: NDArray[np.float64]) -> Floats:
        """Estimate roots of the diagonals of all Hessians.

        As if every row had the mean probability: coordinates are uncorrelated, so
        that the diagonal says most of the Hessian, and need not be found again.

        Parameters
        ----------
        weights : ndarray of shape (n_problems, n)
            Weights of the rows.

        Returns
        -------
        root : ndarray of shape (n_members, n_lead + n_axes)
            Above 0.
        """
        total = weights.sum(axis=1)
        rate = (weights @ self.problems[0].y + 0.5) / (total + 1.0)
        curvature = (total * rate * (1.0 - rate))[:, None] * self._mean_squares
        root = np.sqrt(self.stiffness + curvature[self.owner])
        return root.astype(self.dtype)

    def split(self, found: Floats) -> list[NDArray[np.float64]]:
        """Return each problem's own vectors, its lead coefficients and weights."""
        parts = []
        for problem, members in zip(self.problems, self._members(), strict=True):
            own = found[members]
            lead, weights = own[:, : problem.lead.shape[1]], own[:, self._axes(problem)]
            parts.append(np.concatenate([lead, weights], axis=1).astype(np.float64))
        return parts

    def _members(self) -> list[slice]:
        starts = [0, *self._ends[:-1]]
        return [slice(a, b) for a, b in zip(starts, self._ends, strict=True)]

    def _axes(self, problem: PathProblem) -> slice:
        return slice(self.n_lead, self.n_lead + problem.rows.n_axes)

    def _shared_matrices(self, owners: NDArray[np.intp]) -> list["_SharedMatrix"]:
        """Group neighbouring members, given by their problems, by what they read."""
        parts: list[tuple[Coordinates, slice]] = []
        start = 0
        for _, own in groupby(owners, key=lambda k: id(self.problems[k].rows)):
            numbers = list(own)
            stop = start + len(numbers)
            parts.append((self.problems[numbers[0]].rows, slice(start, stop)))
            start = stop
        by_matrix = groupby(parts, key=lambda part: id(part[0].base))
        return [_SharedMatrix(list(own)) for _, own in by_matrix]

    def _find_mean_squares(self, size: int) -> NDArray[np.float64]:
        """Compute each problem's mean square of every coordinate, over some rows."""
        n = len(self.y)
        some = np.linspace(0, n - 1, min(n, _SAMPLED_ROWS)).astype(np.intp)
        squares = np.ones((len(self.problems), size))
        squares[:, : self.n_lead] = np.mean(
            self._lead[some].astype(np.float64) ** 2, axis=0
        )
        seen: dict[int, NDArray[np.float64]] = {}  # problems share few coordinates
        for k, problem in enumerate(self.problems):
            rows = problem.rows
            if id(rows) not in seen:
                taken = rows.take(some)
                seen[id(rows)] = np.einsum("ip,ip->p", taken, taken) / len(some)
            squares[k, self._axes(problem)] = seen[id(rows)]
        return squares


@dataclass(frozen=True)
class _SharedMatrix:
    """A matrix, and neighbouring members that read it, by their coordinates."""

    parts: list[tuple[Coordinates, slice]]

    @property
    def base(self) -> Floats:
        return self.parts[0][0].base

    @property
    def members(self) -> slice:
        return slice(self.parts[0][1].start, self.parts[-1][1].stop)

    def in_columns(self, weights: Floats) -> Floats:
        """Express weights of axes by columns of the matrix, (n_base, n_members)."""
        return np.concatenate(
            [rows.to_base(weights[own, : rows.n_axes].T) for rows, own in self.parts],
            axis=1,
        )

    def add_axes(self, sums: Floats, gradient: Floats) -> None:
        """Write sums over columns of the matrix, by axes, into gradients of weights."""
        first = self.members.start
        for rows, own in self.parts:
            of_axes = rows.from_base(sums[:, own.start - first : own.stop - first])
            gradient[own, : rows.n_axes] = of_axes.T


def dots(first: Floats, second: Floats) -> Floats:
    """Compute the inner product of each pair of rows."""
    products: Floats = np.einsum("kp,kp->k", first, second)
    return products


def _loss_and_residual(
    logits: Floats, y: Floats, weight: Floats
) -> tuple[NDArray[np.float64], Floats]:
    """Compute each member's log loss, and its derivatives by logits.

    Notes
    -----
    The loss ``log(1 + exp(z)) - y * z`` is taken as ``log1p(exp(-|z|)) + max(z, 0) -
    y * z``, and the probability as ``1 / (1 + exp(-|z|))`` or that times
    ``exp(-|z|)``, so that no exponential overflows.
    """
    low = np.exp(-np.abs(logits))
    loss = np.log1p(low)
    loss += np.maximum(logits, 0.0)
    loss -= y * logits
    residual = np.where(logits > 0, 1.0, low)  # becomes weight * (probability - y)
    residual /= 1.0 + low
    residual -= y
    residual *= weight
    return np.einsum("nk,nk->k", weight, loss).astype(np.float64), residual
