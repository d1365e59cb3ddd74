"""Many penalised logistic regressions on the same rows, minimised in lockstep.

One regression reads all rows for every step, and does little with them: memory sets
the pace. Regressions that differ in penalties and weights alone can step together, by
one matrix product for all of them, and are several times faster so.

Each takes its own quasi-Newton steps (L-BFGS [1]_) and leaves when it has arrived. The
coordinates are uncorrelated, so the diagonal of the Hessian preconditions well.

References
----------
.. [1] Nocedal and Wright, "Numerical Optimization", 2nd ed., 2006, algorithm 7.4.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import gen_batches

from cftlearn._features._principal_axes import Coordinates, times

Floats = NDArray[np.floating[Any]]

LEAD_PENALTY = 1e-3  # on bias and slope: enough to keep separable labels finite
_BATCH_ROWS = 2048  # whose logits stay in the processor's cache
_SAMPLED_ROWS = 1024  # enough to know the size of coordinates by
# Nats to gain, by the quadratic model, at which a fit is done: per row, and at most.
_DECREASE = 1e-6
_MOST_DECREASE = 1e-2
_MOST_STEPS = 100
_MEMORY = 8
_SHORTER = 0.3
_MOST_TRIES = 12


@dataclass(frozen=True)
class PathProblem:
    """Weighted labels to fit by rows in principal coordinates.

    Row k minimises ``sum_i weight_i * logloss(y_i, lead_i @ b + rows_i @ w) +
    0.5 * sum_a penalties_ka * w_a**2`` over ``b`` and ``w``, with a negligible
    penalty on ``b``.

    Problems that are fitted together share ``y`` and the order of rows, and their
    leads are the first columns of the widest one.

    Attributes
    ----------
    rows : Coordinates of n rows and n_axes axes
        Coordinates.
    lead : ndarray of shape (n, n_lead)
        What enters unpenalised: a column of ones, and perhaps trained logits.
    y : ndarray of shape (n,)
        1 or 0.
    weight : ndarray of shape (n,)
        At least 0; a row of weight 0 is predicted and not fitted.
    penalties : ndarray of shape (n_path, n_axes)
        Above 0.
    """

    rows: Coordinates
    lead: Floats
    y: NDArray[np.float64]
    weight: NDArray[np.float64]
    penalties: NDArray[np.float64]


@dataclass(frozen=True)
class _Run:
    """Neighbouring members that read the same matrix, by their coordinates."""

    base: Floats
    parts: list[tuple[Coordinates, slice]]

    @property
    def members(self) -> slice:
        return slice(self.parts[0][1].start, self.parts[-1][1].stop)


class Lockstep:
    """Regressions of several paths, one after the other, as members of one fit.

    A member is a vector of as many lead coefficients as the widest lead has columns,
    and as many weights as the longest coordinates; what it lacks stays 0.
    """

    def __init__(self, problems: Sequence[PathProblem]) -> None:
        self.problems = problems
        self.lead = max((p.lead for p in problems), key=lambda lead: lead.shape[1])
        self.n_lead = self.lead.shape[1]
        self.n_axes = max(p.rows.n_axes for p in problems)
        self.dtype = problems[0].rows.base.dtype
        self.ends = np.cumsum([len(p.penalties) for p in problems])
        n_members, size = int(self.ends[-1]), self.n_lead + self.n_axes
        self.owner = np.repeat(
            np.arange(len(problems)), [len(p.penalties) for p in problems]
        )
        self.stiffness = np.ones((n_members, size))
        self.stiffness[:, : self.n_lead] = LEAD_PENALTY
        self.free = np.ones((n_members, self.n_lead), dtype=self.dtype)
        for problem, members in zip(problems, self._members(), strict=True):
            weights = slice(self.n_lead, self.n_lead + problem.rows.n_axes)
            self.stiffness[members, weights] = problem.penalties
            self.free[members, problem.lead.shape[1] :] = 0.0
        self.stiffness = self.stiffness.astype(self.dtype)
        self.lead = self.lead.astype(self.dtype)
        self.y = problems[0].y.astype(self.dtype)
        self.sizes = self._mean_squares()

    def minimise(
        self, weights: Sequence[NDArray[np.float64]], starts: Floats | None = None
    ) -> Floats:
        """Fit all members, each problem's rows weighed by its entry of ``weights``."""
        weight = np.stack(weights, axis=1).astype(self.dtype)
        root = self._preconditioner(np.stack(weights))
        found = np.zeros_like(root) if starts is None else starts * root
        going = np.arange(len(found))
        value, gradient = self._evaluate(going, found, root, weight)
        memory: list[tuple[Floats, Floats, Floats]] = []
        enough = min(_DECREASE * len(self.y), _MOST_DECREASE)
        for _ in range(_MOST_STEPS):
            step = _direction(gradient[going], memory)
            decrease = _dots(gradient[going], step)
            stay = decrease > enough
            if not stay.all():
                going, step, decrease = going[stay], step[stay], decrease[stay]
                memory = [(s[stay], g[stay], r[stay]) for s, g, r in memory]
            if not len(going):
                break
            length, near_value, near_gradient = self._search(
                going, found, root, weight, value, step, decrease
            )
            move = -length[:, None] * step
            change = near_gradient - gradient[going]
            memory.append((move, change, _inverse_curvature(move, change)))
            memory = memory[-_MEMORY:]
            found[going] += move
            value[going], gradient[going] = near_value, near_gradient
        return found / root

    def split(self, found: Floats) -> list[NDArray[np.float64]]:
        """Give each problem its own rows of (lead, weights)."""
        parts = []
        for problem, members in zip(self.problems, self._members(), strict=True):
            n_lead, n_axes = problem.lead.shape[1], problem.rows.n_axes
            own = found[members]
            parts.append(
                np.concatenate(
                    [own[:, :n_lead], own[:, self.n_lead : self.n_lead + n_axes]],
                    axis=1,
                ).astype(np.float64)
            )
        return parts

    def _members(self) -> list[slice]:
        starts = [0, *self.ends[:-1]]
        return [slice(a, b) for a, b in zip(starts, self.ends, strict=True)]

    def _search(
        self,
        going: NDArray[np.intp],
        found: Floats,
        root: Floats,
        weight: Floats,
        value: NDArray[np.float64],
        step: Floats,
        decrease: Floats,
    ) -> tuple[Floats, NDArray[np.float64], Floats]:
        """Shorten steps until the loss falls enough; a member that cannot, stays."""
        length = np.ones(len(going), dtype=self.dtype)
        near = found[going] - step
        near_value, gradient = self._evaluate(going, near, root, weight)
        noise = 1e-6 * np.abs(value[going])  # of sums in single precision
        for _ in range(_MOST_TRIES):
            limit = value[going] - 1e-4 * length * decrease + noise
            far = np.flatnonzero(~(near_value <= limit))
            if not len(far):
                break
            length[far] *= _SHORTER
            near = found[going[far]] - length[far, None] * step[far]
            near_value[far], gradient[far] = self._evaluate(
                going[far], near, root, weight
            )
        return length, near_value, gradient

    def _evaluate(
        self, members: NDArray[np.intp], scaled: Floats, root: Floats, weight: Floats
    ) -> tuple[NDArray[np.float64], Floats]:
        """Give losses of some members, and gradients in preconditioned coordinates."""
        found = scaled / root[members]
        found[:, : self.n_lead] *= self.free[members]
        stiff = self.stiffness[members] * found
        value = 0.5 * _dots(stiff, found).astype(np.float64)
        gradient = np.zeros_like(found)
        lead, owners = found[:, : self.n_lead].T, self.owner[members]
        runs = self._runs(members)
        pushes = [self._turn(found, run) for run in runs]
        pulls = [np.zeros_like(push) for push in pushes]
        for batch in gen_batches(len(self.y), _BATCH_ROWS):
            logits = self.lead[batch] @ lead
            for run, push in zip(runs, pushes, strict=True):
                logits[:, run.members] += times(run.base[batch], push)
            loss, pull = _loss_and_pull(
                logits, self.y[batch, None], weight[batch][:, owners]
            )
            value += loss
            gradient[:, : self.n_lead] += pull.T @ self.lead[batch]
            for run, total in zip(runs, pulls, strict=True):
                total += times(run.base[batch].T, pull[:, run.members])
        for run, total in zip(runs, pulls, strict=True):
            self._turn_back(total, run, gradient)
        gradient[:, : self.n_lead] *= self.free[members]
        gradient += stiff
        gradient /= root[members]
        return value, gradient

    def _runs(self, members: NDArray[np.intp]) -> list["_Run"]:
        """Group members by coordinates, and these by the matrix that they turn."""
        runs: list[_Run] = []
        owners = self.owner[members]
        start = 0
        while start < len(owners):
            rows = self.problems[owners[start]].rows
            stop = start
            while stop < len(owners) and self.problems[owners[stop]].rows is rows:
                stop += 1
            if not runs or runs[-1].base is not rows.base:
                runs.append(_Run(rows.base, []))
            runs[-1].parts.append((rows, slice(start, stop)))
            start = stop
        return runs

    def _turn(self, found: Floats, run: "_Run") -> Floats:
        """Express weights in the columns of the matrix, (n_base, n_members)."""
        parts = [
            rows.push(found[own, self.n_lead : self.n_lead + rows.n_axes].T)
            for rows, own in run.parts
        ]
        return np.concatenate(parts, axis=1)

    def _turn_back(self, total: Floats, run: "_Run", gradient: Floats) -> None:
        first = run.members.start
        for rows, own in run.parts:
            pulled = rows.pull(total[:, own.start - first : own.stop - first])
            gradient[own, self.n_lead : self.n_lead + rows.n_axes] = pulled.T

    def _mean_squares(self) -> NDArray[np.float64]:
        """Give the mean square of every coordinate, of some rows, for each problem."""
        n = len(self.y)
        some = np.linspace(0, n - 1, min(n, _SAMPLED_ROWS)).astype(np.intp)
        lead = np.mean(self.lead[some].astype(np.float64) ** 2, axis=0)
        sizes = np.ones((len(self.problems), self.n_lead + self.n_axes))
        sizes[:, : self.n_lead] = lead
        seen: dict[int, NDArray[np.float64]] = {}
        for k, problem in enumerate(self.problems):
            rows = problem.rows
            if id(rows) not in seen:
                taken = rows.take(some)
                seen[id(rows)] = np.einsum("ip,ip->p", taken, taken) / len(some)
            sizes[k, self.n_lead : self.n_lead + rows.n_axes] = seen[id(rows)]
        return sizes

    def _preconditioner(self, weights: NDArray[np.float64]) -> Floats:
        """Give roots of the Hessians' diagonals, were all chances the mean one."""
        total = weights.sum(axis=1)
        rate = (weights @ self.problems[0].y + 0.5) / (total + 1.0)
        curvature = (total * rate * (1.0 - rate))[:, None] * self.sizes
        root = np.sqrt(self.stiffness + curvature[self.owner])
        return root.astype(self.dtype)


def _loss_and_pull(
    logits: Floats, y: Floats, weight: Floats
) -> tuple[NDArray[np.float64], Floats]:
    """Give each member's log loss, and its derivatives by logits."""
    low = np.exp(-np.abs(logits))
    loss = np.log1p(low)
    loss += np.maximum(logits, 0.0)
    loss -= y * logits
    chance = np.where(logits > 0, 1.0, low)
    chance /= 1.0 + low
    chance -= y
    chance *= weight
    return np.einsum("nk,nk->k", weight, loss).astype(np.float64), chance


def _direction(gradient: Floats, memory: list[tuple[Floats, Floats, Floats]]) -> Floats:
    """Multiply gradients by the inverse Hessians that past steps suggest."""
    step = gradient.copy()
    shares = []
    for move, change, inverse in reversed(memory):
        shares.append(inverse * _dots(move, step))
        step -= shares[-1][:, None] * change
    if memory:
        move, change, _ = memory[-1]
        along, size = _dots(move, change), _dots(change, change)
        known = (along > 0) & (size > 0)
        step *= np.where(known, along / np.where(known, size, 1.0), 1.0)[:, None]
    for (move, change, inverse), share in zip(memory, reversed(shares), strict=True):
        step += (share - inverse * _dots(change, step))[:, None] * move
    return step


def _inverse_curvature(move: Floats, change: Floats) -> Floats:
    """Give 1 over the curvature along each move, 0 where rounding hides it."""
    along = _dots(move, change)
    floor = np.finfo(along.dtype).eps * _dots(move, move)
    hidden = along <= floor
    return np.where(hidden, 0.0, 1.0 / np.where(hidden, 1.0, along)).astype(move.dtype)


def _dots(first: Floats, second: Floats) -> Floats:
    dots: Floats = np.einsum("kp,kp->k", first, second)
    return dots
