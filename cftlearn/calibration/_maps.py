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

_LEAST_SLOPE = 1e-3  # of standardised logits: keeps their order, and little else
_SLOPE_FACTOR = 20  # a slope needs so many times the labels that a bias needs


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
        """Count the labels of the rarer class."""
        n_positive = int(np.count_nonzero(self.y))
        return min(n_positive, len(self.y) - n_positive)


class AffineMap(NamedTuple):
    """``expit(slope * logit + intercept)`` is the probability; the slope is above 0."""

    slope: float
    intercept: float

    def proba(self, logits: Floats) -> Floats:
        """Compute probabilities from logits."""
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
        """Compute probabilities from logits."""
        mapped: Floats = np.interp(logits, self.logits, self.values)
        return mapped


def smoothed_targets(y: NDArray[np.bool_]) -> Floats:
    r"""Replace 1 and 0 by Platt's targets, with which a fit stays finite.

    Notes
    -----
    Positives become :math:`(n_+ + 1) / (n_+ + 2)` and negatives :math:`1 / (n_- + 2)`:
    the posterior means of Laplace's rule. Without them, separable labels would be
    fitted best by an infinite slope.
    """
    n_positive = np.count_nonzero(y)
    n_negative = len(y) - n_positive
    high, low = (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2)
    targets: Floats = np.where(y, high, low)
    return targets


def fit_affine_maps(
    columns: Sequence[KnownScores], shrinkage: float
) -> list[AffineMap]:
    """Fit a map for each category, drawn toward the map of all of them together.

    With ``shrinkage=0`` each map is Platt's. Else the pooled map counts as much as
    ``shrinkage`` labels of a category for its bias, and as twenty times as many for
    its slope: a few labels say how many are positive, but not how steep the curve is.

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
    """Fit an isotonic regression to Platt's targets, to keep log losses finite."""
    regression = IsotonicRegression(out_of_bounds="clip")
    regression.fit(column.logits, smoothed_targets(column.y))
    return StepMap(
        np.asarray(regression.X_thresholds_, dtype=np.float64),
        np.asarray(regression.y_thresholds_, dtype=np.float64),
    )


def _shrunk(column: KnownScores, pooled: AffineMap, shrinkage: float) -> AffineMap:
    r"""Fit a category's map, drawn toward the pooled one.

    Notes
    -----
    First the pooled slope gets a bias of the category's own: its mean probability
    becomes the share of positives, with ``shrinkage`` labels added that are positive as
    often as the pooled map says. Then labels and the probabilities :math:`a` of this
    map are fitted together, with targets

    .. math:: t = (n y + 20 s a) / (n + 20 s)

    for :math:`n` labels :math:`y` and a shrinkage of :math:`s`.
    """
    n = len(column.y)
    expected = float(pooled.proba(column.logits).mean())
    mean = (np.count_nonzero(column.y) + shrinkage * expected) / (n + shrinkage)
    scaled = pooled.slope * column.logits
    anchor = AffineMap(pooled.slope, _bias_for(scaled, mean))
    if not np.ptp(column.logits):  # one logit says nothing about a slope
        return anchor
    weight = _SLOPE_FACTOR * shrinkage
    proba = anchor.proba(column.logits)
    return _fit(column.logits, (n * column.y + weight * proba) / (n + weight))


def _bias_for(logits: Floats, mean: float) -> float:
    """Find the bias with which probabilities have a mean strictly between 0 and 1."""
    return intercept_of_mean(logits, mean, float(logit(mean)))


def _fit(logits: Floats, targets: Floats) -> AffineMap:
    r"""Fit slope and bias to targets strictly between 0 and 1, by cross-entropy.

    Notes
    -----
    With standardised logits :math:`z` and :math:`m = a z + b`, the loss is the mean of
    :math:`\log(1 + e^m) - t m`. It is convex, its gradient is the mean of
    :math:`(\sigma(m) - t) (z, 1)`, and a trust region finds its minimum from any start.
    The slope is at least 0.001 in units of the spread, so that the order stays.
    """
    mean, spread = float(logits.mean()), float(logits.std())
    mean_target = float(targets.mean())
    # equal logits, up to rounding: no slope can be fitted
    if spread <= np.finfo(np.float64).eps * max(abs(mean), 1.0):
        return AffineMap(1.0, _bias_for(logits, mean_target))
    z = (logits - mean) / spread
    design = np.column_stack([z, np.ones_like(z)])

    def loss(point: Floats) -> float:
        mapped = design @ point
        return float(np.mean(np.logaddexp(0.0, mapped) - targets * mapped))

    def gradient(point: Floats) -> Floats:
        slopes: Floats = (expit(design @ point) - targets) @ design / len(z)
        return slopes

    def hessian(point: Floats) -> Floats:
        proba = expit(design @ point)
        curved: Floats = (design.T * (proba * (1.0 - proba))) @ design / len(z)
        return curved

    start = np.array([0.0, float(logit(mean_target))])
    found = minimize(
        loss,
        start,
        method="trust-exact",
        jac=gradient,
        hess=hessian,
        options={"gtol": 1e-10, "max_trust_radius": 1e3},
    ).x
    slope, bias = float(found[0]), float(found[1])
    if slope < _LEAST_SLOPE:  # the loss is convex, so the bound is the best of the rest
        slope = _LEAST_SLOPE
        bias = _bias_for(slope * z, mean_target)
    return AffineMap(slope / spread, bias - slope * mean / spread)


def is_least_slope(found: AffineMap, logits: Floats) -> bool:
    """Check whether a map has the least slope, as labels do not rise with logits."""
    spread = float(logits.std())
    return bool(spread) and found.slope * spread <= _LEAST_SLOPE * (1.0 + 1e-9)
