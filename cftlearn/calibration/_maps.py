"""From logits of a category to its probabilities: affine maps and rising steps."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression

from cftlearn.labels._weights import joined_weights, total_weight
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
    weight : ndarray of shape (n_known,), float64, or None
        How many labels each of them counts for; None is one.
    """

    logits: Floats
    y: NDArray[np.bool_]
    weight: Floats | None = None

    @property
    def n_positive(self) -> float:
        """Count the positives, by weight."""
        return total_weight(self.weight, self.y)

    @property
    def n_negative(self) -> float:
        """Count the negatives, by weight."""
        return total_weight(self.weight, ~self.y)

    @property
    def n_rarer(self) -> float:
        """Count the labels of the rarer class, by weight."""
        return min(self.n_positive, self.n_negative)

    @property
    def share(self) -> float:
        """Share of the positives."""
        return float(np.average(self.y, weights=self.weight))

    @property
    def spread(self) -> float:
        """Standard deviation of the logits."""
        return _moments(self.logits, self.weight)[1]


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


def smoothed_targets(column: KnownScores) -> Floats:
    r"""Replace 1 and 0 by Platt's targets, with which a fit stays finite.

    Notes
    -----
    Positives become :math:`(n_+ + 1) / (n_+ + 2)` and negatives :math:`1 / (n_- + 2)`:
    the posterior means of Laplace's rule. Without them, separable labels would be
    fitted best by an infinite slope.
    """
    n_positive, n_negative = column.n_positive, column.n_negative
    high, low = (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2)
    targets: Floats = np.where(column.y, high, low)
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
        return [_fit(own, smoothed_targets(own)) for own in columns]
    every = KnownScores(
        np.concatenate([own.logits for own in columns]),
        np.concatenate([own.y for own in columns]),
        joined_weights(
            [own.weight for own in columns], [len(own.y) for own in columns]
        ),
    )
    pooled = _fit(every, smoothed_targets(every))
    return [_shrunk(own, pooled, shrinkage) for own in columns]


def fit_step_map(column: KnownScores) -> StepMap:
    """Fit an isotonic regression to Platt's targets, to keep log losses finite."""
    regression = IsotonicRegression(out_of_bounds="clip")
    targets = smoothed_targets(column)
    regression.fit(column.logits, targets, sample_weight=column.weight)
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
    n = column.n_positive + column.n_negative
    expected = float(np.average(pooled.proba(column.logits), weights=column.weight))
    mean = (column.n_positive + shrinkage * expected) / (n + shrinkage)
    scaled = pooled.slope * column.logits
    anchor = AffineMap(pooled.slope, _bias_for(scaled, mean, column.weight))
    if not np.ptp(column.logits):  # one logit says nothing about a slope
        return anchor
    weight = _SLOPE_FACTOR * shrinkage
    proba = anchor.proba(column.logits)
    return _fit(column, (n * column.y + weight * proba) / (n + weight))


def _bias_for(logits: Floats, mean: float, weight: Floats | None) -> float:
    """Find the bias with which probabilities have a mean strictly between 0 and 1."""
    return intercept_of_mean(logits, mean, float(logit(mean)), weight)


def _moments(logits: Floats, weight: Floats | None) -> tuple[float, float]:
    """Compute mean and standard deviation."""
    if weight is None:
        return float(logits.mean()), float(logits.std())
    mean = float(np.average(logits, weights=weight))
    return mean, float(np.sqrt(np.average((logits - mean) ** 2, weights=weight)))


def _fit(column: KnownScores, targets: Floats) -> AffineMap:
    r"""Fit slope and bias to targets strictly between 0 and 1, by cross-entropy.

    Notes
    -----
    With standardised logits :math:`z` and :math:`m = a z + b`, the loss is the mean of
    :math:`\log(1 + e^m) - t m`. It is convex, its gradient is the mean of
    :math:`(\sigma(m) - t) (z, 1)`, and a trust region finds its minimum from any start.
    The slope is at least 0.001 in units of the spread, so that the order stays. Weights
    enter all means.
    """
    logits, weight = column.logits, column.weight
    mean, spread = _moments(logits, weight)
    mean_target = float(np.average(targets, weights=weight))
    shares = None if weight is None else weight / weight.sum()
    # equal logits, up to rounding: no slope can be fitted
    if spread <= np.finfo(np.float64).eps * max(abs(mean), 1.0):
        return AffineMap(1.0, _bias_for(logits, mean_target, weight))
    z = (logits - mean) / spread
    design = np.column_stack([z, np.ones_like(z)])

    def loss(point: Floats) -> float:
        mapped = design @ point
        losses = np.logaddexp(0.0, mapped) - targets * mapped
        return float(np.average(losses, weights=weight))

    def gradient(point: Floats) -> Floats:
        errors = expit(design @ point) - targets
        if shares is None:  # as a division, to the last bit
            slopes: Floats = errors @ design / len(z)
        else:
            slopes = (shares * errors) @ design
        return slopes

    def hessian(point: Floats) -> Floats:
        proba = expit(design @ point)
        curvature = proba * (1.0 - proba)
        if shares is None:
            curved: Floats = (design.T * curvature) @ design / len(z)
        else:
            curved = (design.T * (shares * curvature)) @ design
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
        bias = _bias_for(slope * z, mean_target, weight)
    return AffineMap(slope / spread, bias - slope * mean / spread)


def is_least_slope(found: AffineMap, column: KnownScores) -> bool:
    """Check whether a map has the least slope, as labels do not rise with logits."""
    spread = column.spread
    return bool(spread) and found.slope * spread <= _LEAST_SLOPE * (1.0 + 1e-9)
