"""From logits of a category to its probabilities: affine maps and rising steps."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression

from cftlearn.solvers._intercept import intercept_of_mean

Floats = NDArray[np.float64]

_LEAST_SLOPE = 1e-3  # of logits divided by their spread: order stays, little else does
_SLOPE_SHARE = 20  # a slope takes so many times the labels that a bias takes


class KnownScores(NamedTuple):
    """Logits of one category where its label is known, and these labels.

    Attributes
    ----------
    logits : ndarray of shape (n_known,), float64
        Scores.
    y : ndarray of shape (n_known,), bool
        Labels.
    """

    logits: Floats
    y: NDArray[np.bool_]

    @property
    def n_rarer(self) -> int:
        """Labels of the rarer class."""
        n_positive = int(np.count_nonzero(self.y))
        return min(n_positive, len(self.y) - n_positive)


class AffineMap(NamedTuple):
    """``expit(slope * logit + intercept)`` is the probability; the slope is above 0."""

    slope: float
    intercept: float

    def proba(self, logits: Floats) -> Floats:
        """Give probabilities of logits."""
        mapped: Floats = expit(self.slope * logits + self.intercept)
        return mapped


IDENTITY = AffineMap(1.0, 0.0)


class StepMap(NamedTuple):
    """A rising curve of probabilities, linear between its corners, flat outside.

    Attributes
    ----------
    logits, values : ndarray of shape (n_corners,), float64
        Where the corners are.
    """

    logits: Floats
    values: Floats

    def proba(self, logits: Floats) -> Floats:
        """Give probabilities of logits."""
        mapped: Floats = np.interp(logits, self.logits, self.values)
        return mapped


def smoothed_targets(y: NDArray[np.bool_]) -> Floats:
    """Replace 1 and 0 by the targets of Platt, which keep a fit finite."""
    n_positive = np.count_nonzero(y)
    n_negative = len(y) - n_positive
    high, low = (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2)
    targets: Floats = np.where(y, high, low)
    return targets


def fit_affine_maps(
    columns: Sequence[KnownScores], shrinkage: float
) -> list[AffineMap]:
    """Fit a map for each category, drawn toward the map of all of them together.

    With ``shrinkage=0`` each is Platt's. Else the pooled map answers for ``shrinkage``
    labels of a category when its bias is set, and for twenty times as many when its
    slope is: few labels tell a share of positives, not a slope.

    Parameters
    ----------
    columns : sequence of KnownScores
        Each with labels of both classes.
    shrinkage : float
        0 or more, in labels.

    Returns
    -------
    maps : list of AffineMap
        In the order of ``columns``.
    """
    if not columns:
        return []
    if shrinkage == 0:
        return [_fit(own.logits, smoothed_targets(own.y)) for own in columns]
    every = KnownScores(
        np.concatenate([own.logits for own in columns]),
        np.concatenate([own.y for own in columns]),
    )
    pooled = _fit(every.logits, smoothed_targets(every.y))
    return [_shrunk(own, pooled, shrinkage) for own in columns]


def fit_step_map(column: KnownScores) -> StepMap:
    """Fit an isotonic regression to Platt's targets, so that no loss is infinite."""
    regression = IsotonicRegression(out_of_bounds="clip")
    regression.fit(column.logits, smoothed_targets(column.y))
    return StepMap(
        np.asarray(regression.X_thresholds_, dtype=np.float64),
        np.asarray(regression.y_thresholds_, dtype=np.float64),
    )


def _shrunk(own: KnownScores, pooled: AffineMap, shrinkage: float) -> AffineMap:
    n = len(own.y)
    expected = float(pooled.proba(own.logits).mean())
    share = (np.count_nonzero(own.y) + shrinkage * expected) / (n + shrinkage)
    scaled = pooled.slope * own.logits
    anchor = AffineMap(pooled.slope, _bias_for(scaled, share))
    if not np.ptp(own.logits):
        return anchor
    weight = _SLOPE_SHARE * shrinkage
    answers = anchor.proba(own.logits)
    return _fit(own.logits, (n * own.y + weight * answers) / (n + weight))


def _bias_for(logits: Floats, share: float) -> float:
    """Find the bias with which probabilities have a mean strictly between 0 and 1."""
    return intercept_of_mean(logits, share, float(logit(share)))


def _fit(logits: Floats, targets: Floats) -> AffineMap:
    """Minimise the cross-entropy of targets strictly between 0 and 1: a convex one."""
    mean, spread = float(logits.mean()), float(logits.std())
    share = float(targets.mean())
    if spread <= np.finfo(np.float64).eps * max(abs(mean), 1.0):
        return AffineMap(1.0, _bias_for(logits, share))
    z = (logits - mean) / spread
    design = np.column_stack([z, np.ones_like(z)])

    def loss(point: Floats) -> float:
        mapped = design @ point
        return float(np.mean(np.logaddexp(0.0, mapped) - targets * mapped))

    def gradient(point: Floats) -> Floats:
        slopes: Floats = (expit(design @ point) - targets) @ design / len(z)
        return slopes

    def hessian(point: Floats) -> Floats:
        chance = expit(design @ point)
        curved: Floats = (design.T * (chance * (1.0 - chance))) @ design / len(z)
        return curved

    start = np.array([0.0, float(logit(share))])
    found = minimize(
        loss,
        start,
        method="trust-exact",
        jac=gradient,
        hess=hessian,
        options={"gtol": 1e-10, "max_trust_radius": 1e3},
    ).x
    slope, bias = float(found[0]), float(found[1])
    if slope < _LEAST_SLOPE:  # the best of the allowed ones, the loss being convex
        slope = _LEAST_SLOPE
        bias = _bias_for(slope * z, share)
    return AffineMap(slope / spread, bias - slope * mean / spread)


def is_least_slope(found: AffineMap, logits: Floats) -> bool:
    """Tell whether labels do not rise with logits, so that the slope had to be held."""
    spread = float(logits.std())
    return bool(spread) and found.slope * spread <= _LEAST_SLOPE * (1.0 + 1e-9)
