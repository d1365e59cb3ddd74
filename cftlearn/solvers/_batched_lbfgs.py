"""L-BFGS for many penalised logistic regressions on the same rows, all at once.

Each takes its own quasi-Newton steps [1]_ and leaves when it has arrived. Steps are
taken in coordinates that are scaled by the root of the Hessian's diagonal: principal
coordinates are uncorrelated, so little is left for L-BFGS to learn.

References
----------
.. [1] Nocedal and Wright, "Numerical Optimization", 2nd ed., 2006, algorithm 7.4.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cftlearn.solvers._batched_loss import BatchedLoss, PathProblem, dots

Floats = NDArray[np.floating[Any]]

# Nats to gain, by the quadratic model, at which a fit is done: per row, and at most.
_DECREASE = 1e-6
_MOST_DECREASE = 1e-2
_MOST_STEPS = 100
_MEMORY = 8  # past steps, of which L-BFGS estimates the Hessian
_SUFFICIENT = 1e-4  # of the decrease that the slope promises (Armijo's rule)
_SHORTER = 0.3
_MOST_TRIES = 12
_NOISE = 1e-6  # of a loss: rounding of its sum in single precision


class BatchedLBFGS:
    """Minimises the regressions of several paths.

    Parameters
    ----------
    problems : sequence of PathProblem
        On the same rows.
    """

    def __init__(self, problems: Sequence[PathProblem]) -> None:
        self.problems = problems
        self.loss = BatchedLoss(problems)

    def minimise(
        self, weights: Sequence[NDArray[np.float64]], starts: Floats | None = None
    ) -> Floats:
        """Fit all members.

        Parameters
        ----------
        weights : sequence of ndarray of shape (n,)
            Weights of the rows, for each problem.
        starts : ndarray of shape (n_members, n_lead + n_axes), default=None
            Where to start; None starts from 0.

        Returns
        -------
        found : ndarray of shape (n_members, n_lead + n_axes)
            Lead coefficients and weights.
        """
        return _Descent(self.loss, np.stack(weights), starts).run()

    def split(self, found: Floats) -> list[NDArray[np.float64]]:
        """Return each problem's own vectors, its lead coefficients and weights."""
        return self.loss.split(found)


class _Descent:
    """One minimisation: where all members are, and which of them still move."""

    def __init__(
        self, loss: BatchedLoss, weights: NDArray[np.float64], starts: Floats | None
    ) -> None:
        self._loss = loss
        self._row_weights = weights.T.astype(loss.dtype, order="C")
        self._root = loss.curvature_roots(weights)
        zeros = np.zeros_like(self._root)
        self._found = zeros if starts is None else starts * self._root
        self._moving = np.arange(len(self._found))
        self._value, self._gradient = self._evaluate(self._moving, self._found)
        self._memory = _Memory()

    def run(self) -> Floats:
        """Step until no member has much to gain, or for the most steps allowed."""
        enough = min(_DECREASE * len(self._loss.y), _MOST_DECREASE)
        for _ in range(_MOST_STEPS):
            gradient = self._gradient[self._moving]
            step = self._memory.direction(gradient)
            # twice what a full step gains if the model of the Hessian is right
            decrease = dots(gradient, step)
            goes_on = decrease > enough
            if not goes_on.all():
                self._moving = self._moving[goes_on]
                self._memory.keep(goes_on)
                step, decrease = step[goes_on], decrease[goes_on]
            if not len(self._moving):
                break
            self._take(step, decrease)
        return self._found / self._root

    def _take(self, step: Floats, decrease: Floats) -> None:
        """Move the members that still do, and remember what the step taught."""
        moving = self._moving
        length, value, gradient = self._search(step, decrease)
        move = -length[:, None] * step
        self._memory.add(move, gradient - self._gradient[moving])
        self._found[moving] += move
        self._value[moving], self._gradient[moving] = value, gradient

    def _search(
        self, step: Floats, decrease: Floats
    ) -> tuple[Floats, NDArray[np.float64], Floats]:
        """Shorten steps until the loss falls enough; a member that cannot, stays."""
        moving = self._moving
        before = self._value[moving]
        noise = _NOISE * np.abs(before)
        length = np.ones(len(moving), dtype=self._loss.dtype)
        value, gradient = self._evaluate(moving, self._found[moving] - step)
        for _ in range(_MOST_TRIES):
            limit = before - _SUFFICIENT * length * decrease + noise
            far = np.flatnonzero(~(value <= limit))  # NaN is too far, too
            if not len(far):
                break
            length[far] *= _SHORTER
            near = self._found[moving[far]] - length[far, None] * step[far]
            value[far], gradient[far] = self._evaluate(moving[far], near)
        return length, value, gradient

    def _evaluate(
        self, members: NDArray[np.intp], scaled: Floats
    ) -> tuple[NDArray[np.float64], Floats]:
        """Compute losses and gradients in the scaled coordinates."""
        root = self._root[members]
        value, gradient = self._loss.evaluate(members, scaled / root, self._row_weights)
        gradient /= root
        return value, gradient


class _Memory:
    """The last steps of the members that still move.

    A record is a move, the change of the gradient along it, and 1 over the curvature
    that they show.
    """

    def __init__(self) -> None:
        self._records: list[tuple[Floats, Floats, Floats]] = []

    def add(self, move: Floats, change: Floats) -> None:
        """Remember a step; forget the oldest one."""
        record = move, change, _inverse_curvature(move, change)
        self._records = [*self._records, record][-_MEMORY:]

    def keep(self, members: NDArray[np.bool_]) -> None:
        """Forget the other members."""
        self._records = [
            (move[members], change[members], inverse[members])
            for move, change, inverse in self._records
        ]

    def direction(self, gradient: Floats) -> Floats:
        """Multiply gradients by the inverse Hessians that the steps suggest.

        Notes
        -----
        The two loops of L-BFGS: from the newest step ``(s, y)`` to the oldest,
        ``a = s . q / (s . y)`` and ``q -= a * y``; then ``q`` times the first
        guess ``s . y / (y . y)`` of the inverse Hessian, by the newest step; then back
        from the oldest, ``q += (a - y . q / (s . y)) * s``.
        """
        step = gradient.copy()
        amounts = []
        for move, change, inverse in reversed(self._records):
            amounts.append(inverse * dots(move, step))
            step -= amounts[-1][:, None] * change
        if self._records:
            step *= _first_guess(*self._records[-1][:2])[:, None]
        for (move, change, inverse), amount in zip(
            self._records, reversed(amounts), strict=True
        ):
            step += (amount - inverse * dots(change, step))[:, None] * move
        return step


def _first_guess(move: Floats, change: Floats) -> Floats:
    """Return the inverse curvature along the change; 1 where it shows none."""
    along, size = dots(move, change), dots(change, change)
    shown = (along > 0) & (size > 0)
    return np.where(shown, along / np.where(shown, size, 1.0), 1.0)


def _inverse_curvature(move: Floats, change: Floats) -> Floats:
    """Return 1 over the curvature along each move, 0 where rounding hides it."""
    along = dots(move, change)
    floor = np.finfo(along.dtype).eps * dots(move, move)
    hidden = along <= floor
    return np.where(hidden, 0.0, 1.0 / np.where(hidden, 1.0, along)).astype(move.dtype)
