"""Logistic regressions of every category along a path of penalties."""

from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from cftlearn._dependencies import end_with_parent
from cftlearn._features._moments import feature_moments
from cftlearn._features._per_category import features_of
from cftlearn._features._principal_axes import (
    Coordinates,
    FeatureSpace,
    make_feature_spaces,
)
from cftlearn._features._stored import row_batches
from cftlearn._seeding import one_thread
from cftlearn.labels._weights import taken, total_weight
from cftlearn.solvers._batched_lbfgs import BatchedLBFGS
from cftlearn.solvers._batched_loss import PathProblem

Floats = NDArray[np.floating[Any]]

# A penalty is named by the standard deviation that logits have under the prior which
# it stands for, so the same values suit few and many features. 1 is what is plausible
# before any label is seen; steps of half a decade are a decade of the penalty.
SPREADS = np.array([0.1, 0.3, 1.0, 3.0, 10.0])
USUAL = 2  # the place of the spread of 1
# Where fewer of the rows are used, they are copied; else the others weigh 0.
_MOST_COPIED = 0.5


class RegressionPaths(NamedTuple):
    """Regressions of all categories, for every penalty.

    Attributes
    ----------
    coef : ndarray of shape (n_categories, n_penalties, n_features), float64
        Weights in the scale of the features; all 0 where a class is absent.
    intercept : ndarray of shape (n_categories, n_penalties), float64
        Biases; the smoothed log-odds of the positives' share where a class is absent.
    """

    coef: NDArray[np.float64]
    intercept: NDArray[np.float64]


class _Rows(NamedTuple):
    """All rows of features in their principal coordinates."""

    space: FeatureSpace
    coordinates: Floats


def fit_regression_paths(
    Z: Floats,
    targets: NDArray[np.float64],
    *,
    n_jobs: int | None,
    weights: NDArray[np.float64] | None = None,
) -> RegressionPaths:
    """Fit one logistic regression per category and penalty.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_features)
        Features; (n_samples, n_categories, n_features) if every category has its own.
    targets : ndarray of shape (n_samples, n_categories)
        1, 0, or NaN for cells to leave out.
    n_jobs : int or None
        Workers over categories.
    weights : ndarray of shape (n_samples, n_categories), default=None
        How much each target counts; None counts them alike.

    Returns
    -------
    paths : RegressionPaths
        One fit for each of :data:`SPREADS`, the strongest penalty first.

    Notes
    -----
    On standardised features a fit of spread ``s`` minimises

        ``sum_i logloss(y_i, b + x_i . w) + 0.5 * (d / s**2) * |w|**2``

    where ``d`` features vary. That is scikit-learn's ``C = s**2 / d``. All fits of a
    category share the products with its rows, in principal coordinates, where few steps
    are enough.
    """
    shared = _turn(Z) if Z.ndim == 2 else None
    fits = Parallel(n_jobs=n_jobs)(
        delayed(_fit_category)(
            shared or features_of(Z, j), targets[:, j], taken(weights, (..., j))
        )
        for j in range(targets.shape[1])
    )
    return RegressionPaths(
        np.stack([coef for coef, _ in fits]), np.stack([bias for _, bias in fits])
    )


def _turn(Z: Floats) -> _Rows:
    """Express all rows in their principal coordinates, once for all categories."""
    space = make_feature_spaces(Z, *feature_moments(Z), ["standard"])["standard"]
    coordinates = np.empty((len(Z), len(space.variances)), dtype=Z.dtype)
    for batch in row_batches(*Z.shape):
        coordinates[batch] = space.coordinates(Z[batch])
    return _Rows(space, coordinates)


def _fit_category(
    features: _Rows | Floats,
    target: NDArray[np.float64],
    weight: NDArray[np.float64] | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    end_with_parent()
    used = ~np.isnan(target)
    counts = [total_weight(weight, used & (target == kind)) for kind in (1.0, 0.0)]
    if not all(counts):
        own = features.space.axes.T if isinstance(features, _Rows) else features
        n_features = own.shape[1]
        odds = (counts[0] + 0.5) / (counts[1] + 0.5)
        return np.zeros((len(SPREADS), n_features)), np.full(len(SPREADS), np.log(odds))
    with one_thread():
        rows = features if isinstance(features, _Rows) else _turn(features)
        problem = _problem(rows, target, used, weight)
        found = BatchedLBFGS([problem]).minimise(
            [problem.weight], _start(problem, rows.space)
        )
    # in their own precision: a copy of all axes would take longer than the fits
    coef = (found[:, 1:] @ rows.space.axes.T).astype(np.float64) / rows.space.scale
    return coef, found[:, 0].astype(np.float64) - coef @ rows.space.mean


def _problem(
    rows: _Rows,
    target: NDArray[np.float64],
    used: NDArray[np.bool_],
    given: NDArray[np.float64] | None,
) -> PathProblem:
    own, y, weight = rows.coordinates, np.nan_to_num(target), used.astype(np.float64)
    if given is not None:
        weight *= given
    if used.mean() < _MOST_COPIED:
        own, y, weight = own[used], y[used], weight[used]
    # the sum of the variances of standardised features: as many as do vary
    penalties = rows.space.variances.sum() / SPREADS**2
    return PathProblem(
        rows=Coordinates(own),
        lead=np.ones((len(y), 1)),
        y=y,
        weight=weight,
        penalties=np.tile(penalties[:, None], own.shape[1]),
    )


def _start(problem: PathProblem, space: FeatureSpace) -> Floats:
    """Compute where to start: the log-odds, and one step of Newton's method from there.

    Coordinates are uncorrelated, so the diagonal of the Hessian is nearly all of it. A
    step goes no further than the prior finds plausible. Under strong penalties it
    nearly is the fit, whose gain is too small for the minimiser to see.
    """
    total = problem.weight.sum()
    rate = (problem.weight @ problem.y) / total
    residual = (problem.weight * (problem.y - rate)).astype(problem.rows.base.dtype)
    slope = (residual @ problem.rows.base).astype(np.float64)
    curvature = total * rate * (1.0 - rate) * space.variances
    step = slope / (problem.penalties + curvature)
    step *= (SPREADS / np.maximum(space.spread(step), SPREADS))[:, None]
    bias = np.full(len(step), np.log(rate / (1.0 - rate)))
    return np.column_stack([bias, step]).astype(residual.dtype)
