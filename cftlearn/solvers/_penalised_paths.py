"""Penalised logistic regressions along a path, and what they say of rows left out."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from cftlearn._ranking import batch_roc_auc

Floats = NDArray[np.floating[Any]]

_DENSE_UNKNOWNS = 320  # up to so many, and so many rows, exact Hessians are cheap
_DENSE_ROWS = 4096
_LEAD_PENALTY = 1e-3  # on bias and slope: enough to keep separable labels finite
_NEWTON_STEPS = 25
_HALVINGS = 12
_DECREASE = 1e-3  # Newton's decrement, in nats, at which a fit is done
_LBFGS_STEPS = 60
_JITTER = 1e-9  # of the mean squared length of rows, where some are equal
_MOST_LEVERAGE = 0.999
_MOST_PAIRED = 256  # rows of a class that are compared pair by pair


@dataclass(frozen=True)
class PathProblem:
    """Weighted labels to fit by rows in principal coordinates.

    Row k minimises ``sum_i weight_i * logloss(y_i, lead_i @ b + rows_i @ w) +
    0.5 * sum_a penalties_ka * w_a**2`` over ``b`` and ``w``, with a negligible
    penalty on ``b``.

    Attributes
    ----------
    rows : ndarray of shape (n, n_axes)
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

    rows: Floats
    lead: Floats
    y: NDArray[np.float64]
    weight: NDArray[np.float64]
    penalties: NDArray[np.float64]


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
        return batch_roc_auc(self.left_out(rows), y, exact=False)


def fit_path(problem: PathProblem) -> PenalisedPath:
    """Fit all rows of a path, exactly where that is cheap."""
    n, n_axes = problem.rows.shape
    if min(n, n_axes) <= _DENSE_UNKNOWNS and n <= _DENSE_ROWS:
        return _DensePath(problem)
    return _LargePath(problem)


class _DensePath(PenalisedPath):
    """Newton's method in as many unknowns as rows or axes, whichever are fewer."""

    def __init__(self, problem: PathProblem) -> None:
        self._problem = problem
        n, n_axes = problem.rows.shape
        n_path, n_lead = len(problem.penalties), problem.lead.shape[1]
        roots = np.sqrt(problem.penalties)
        scaled = problem.rows[None].astype(np.float64) / roots[:, None, :]
        body = _as_many_columns_as_rows(scaled) if n < n_axes else scaled
        lead = np.broadcast_to(problem.lead, (n_path, n, n_lead))
        self._design = np.concatenate([lead, body], axis=2)
        self._ridge = np.ones(self._design.shape[2])
        self._ridge[:n_lead] = _LEAD_PENALTY
        found, self._logits = _newton(
            self._design, problem.y, problem.weight, self._ridge
        )
        self.lead, inner = found[:, :n_lead], found[:, n_lead:]
        if n < n_axes:
            dual = np.linalg.solve(body.transpose(0, 2, 1), inner[..., None])
            inner = (scaled.transpose(0, 2, 1) @ dual)[..., 0]
        self.weights = inner / roots
        chance = expit(self._logits)
        self._curvature = problem.weight * chance * (1 - chance)
        self._pull = problem.weight * (chance - problem.y)
        self._hessian = _hessian(self._design, self._curvature, self._ridge)

    def left_out(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        chosen = self._design[:, rows]
        solved = np.linalg.solve(self._hessian, chosen.transpose(0, 2, 1))
        own = np.einsum("krp,kpr->kr", chosen, solved)
        rest = own - _bias_part(self._curvature)[:, None]
        return self._logits[:, rows] + rest * self._removal(own, rows)

    def ranking_evidence(
        self, positives: NDArray[np.intp], negatives: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """Compare every pair by a fit without both of its rows."""
        if max(len(positives), len(negatives)) > _MOST_PAIRED:
            return super().ranking_evidence(positives, negatives)
        first, second = self._design[:, positives], self._design[:, negatives]
        solved = np.linalg.solve(self._hessian, second.transpose(0, 2, 1))
        across = first @ solved  # influence of a positive and a negative on each other
        of_second = np.einsum("krp,kpr->kr", second, solved)[:, None, :]
        solved = np.linalg.solve(self._hessian, first.transpose(0, 2, 1))
        of_first = np.einsum("krp,kpr->kr", first, solved)[:, :, None]
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
        return np.mean((margin > 0) + 0.5 * (margin == 0), axis=(1, 2))

    def _removal(
        self, own: NDArray[np.float64], rows: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        leverage = np.minimum(own * self._curvature[:, rows], _MOST_LEVERAGE)
        return self._pull[:, rows] / (1 - leverage)


class _LargePath(PenalisedPath):
    """Quasi-Newton steps in preconditioned coordinates; rows left out in truth.

    The fits without rows are fitted again, all of these rows left out at once; one half
    after the other where no label of a class would stay.
    """

    asks_many = False

    def __init__(self, problem: PathProblem) -> None:
        self._problem = problem
        n_lead = problem.lead.shape[1]
        self._moments = _weighted_squares(problem)
        start = np.zeros((1, n_lead + problem.rows.shape[1]))
        self._found = self._fit_all(problem.weight, start)
        self.lead, self.weights = self._found[:, :n_lead], self._found[:, n_lead:]
        self._without: tuple[bytes, NDArray[np.float64]] | None = None

    def left_out(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        key = np.sort(rows).tobytes()
        if self._without is None or self._without[0] != key:
            logits = np.empty((len(self._found), len(self._problem.y)))
            for part in self._parts(rows):
                weight = self._problem.weight.copy()
                weight[part] = 0.0
                for k, row in enumerate(self._fit_all(weight, self._found)):
                    logits[k, part] = self._predict(row)[part]
            self._without = key, logits
        return self._without[1][:, rows]

    def _parts(self, rows: NDArray[np.intp]) -> list[NDArray[np.intp]]:
        """Leave all rows out at once, or by halves where too few labels would stay."""
        stay = self._problem.weight > 0
        stay[rows] = False
        if len(np.unique(self._problem.y[stay])) == 2:
            return [rows]
        by_class = rows[np.argsort(self._problem.y[rows], kind="stable")]
        return [by_class[::2], by_class[1::2]]

    def _fit_all(
        self, weight: NDArray[np.float64], starts: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Fit the path for weights, from its own rows or one after the other."""
        found = np.empty((len(self._problem.penalties), starts.shape[1]))
        for k, penalty in enumerate(self._problem.penalties):
            start = starts[k] if len(starts) == len(found) else found[max(k - 1, 0)]
            start = starts[0] if k == 0 else start
            found[k] = self._fit(weight, penalty, start)
        return found

    def _predict(self, found: NDArray[np.float64]) -> NDArray[np.float64]:
        problem = self._problem
        n_lead = problem.lead.shape[1]
        weights = found[n_lead:].astype(problem.rows.dtype)
        return problem.lead @ found[:n_lead] + problem.rows @ weights

    def _fit(
        self,
        weight: NDArray[np.float64],
        penalty: NDArray[np.float64],
        start: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        problem = self._problem
        lead_penalty = np.full(problem.lead.shape[1], _LEAD_PENALTY)
        stiffness = np.concatenate([lead_penalty, penalty])
        root = np.sqrt(stiffness + 0.25 * self._moments)

        def loss(scaled: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            found = scaled / root
            logits = self._predict(found)
            value = weight @ (np.logaddexp(0.0, logits) - problem.y * logits)
            pull = weight * (expit(logits) - problem.y)
            gradient = np.concatenate(
                [problem.lead.T @ pull, pull.astype(problem.rows.dtype) @ problem.rows]
            )
            gradient += stiffness * found
            return float(value + 0.5 * stiffness @ found**2), gradient / root

        options = {"maxiter": _LBFGS_STEPS, "gtol": 1e-4, "ftol": 1e-9}
        result = minimize(
            loss, start * root, jac=True, method="L-BFGS-B", options=options
        )
        return result.x / root


def _newton(
    design: NDArray[np.float64],
    y: NDArray[np.float64],
    weight: NDArray[np.float64],
    ridge: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Minimise for all designs of shape (n_path, n, p) at once; also give logits."""
    n_path, n, p = design.shape
    found, logits = np.zeros((n_path, p)), np.zeros((n_path, n))
    value = _loss(found, logits, y, weight, ridge)
    moving = np.arange(n_path)
    for _ in range(_NEWTON_STEPS):
        here = design[moving]
        chance = expit(logits[moving])
        pull = weight * (chance - y)
        gradient = (pull[:, None, :] @ here)[:, 0] + ridge * found[moving]
        hessian = _hessian(here, weight * chance * (1 - chance), ridge)
        step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
        decrease = np.sum(gradient * step, axis=1)
        going = decrease >= _DECREASE
        if not going.any():
            break
        moving, here, step, decrease = (
            part[going] for part in (moving, here, step, decrease)
        )
        length = np.ones(len(moving))
        for _ in range(_HALVINGS):
            nearer = found[moving] - length[:, None] * step
            near_logits = (here @ nearer[..., None])[..., 0]
            near_value = _loss(nearer, near_logits, y, weight, ridge)
            too_far = near_value > value[moving] - 1e-4 * length * decrease + 1e-9
            if not too_far.any():
                break
            length[too_far] /= 2
        found[moving], logits[moving], value[moving] = nearer, near_logits, near_value
    return found, logits


def _loss(
    found: NDArray[np.float64],
    logits: NDArray[np.float64],
    y: NDArray[np.float64],
    weight: NDArray[np.float64],
    ridge: NDArray[np.float64],
) -> NDArray[np.float64]:
    fit = np.logaddexp(0.0, logits) - y * logits
    total: NDArray[np.float64] = fit @ weight + 0.5 * found**2 @ ridge
    return total


def _as_many_columns_as_rows(scaled: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotate rows of shape (n_path, n, p) into n dimensions: inner products stay."""
    gram = scaled @ scaled.transpose(0, 2, 1)
    n = gram.shape[1]
    size = np.trace(gram, axis1=1, axis2=2) / n
    gram[:, np.arange(n), np.arange(n)] += _JITTER * (size + _JITTER)[:, None]
    root = np.linalg.cholesky(gram)
    return np.asarray(root, dtype=np.float64)


def _hessian(
    design: NDArray[np.float64],
    curvature: NDArray[np.float64],
    ridge: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Second derivatives; single precision is enough for steps and leverages."""
    roots = np.sqrt(curvature).astype(np.float32)
    half = design.astype(np.float32) * roots[:, :, None]
    hessian = (half.transpose(0, 2, 1) @ half).astype(np.float64)
    diagonal = np.arange(len(ridge))
    hessian[:, diagonal, diagonal] += ridge
    return hessian


def _bias_part(curvature: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far a unit of pull on one row moves the bias, hence all logits."""
    return 1.0 / (curvature.sum(axis=1) + _LEAD_PENALTY)


def _weighted_squares(problem: PathProblem) -> NDArray[np.float64]:
    lead = problem.weight @ problem.lead**2
    rows = problem.weight.astype(problem.rows.dtype) @ problem.rows**2
    return np.concatenate([lead, rows])
