"""Families of penalised logistic regressions: toward zero, toward the initial weights.

Notes
-----
In the principal coordinates ``a`` of a space, with variances ``v_a``, a candidate of
spread ``s`` minimises over weights ``w`` and lead coefficients ``b``

    ``sum_i weight_i * logloss(y_i, lead_i . b + x_i . w) + 0.5 * sum_a p_a * w_a**2``

``p_a = shape_a * sum_c(v_c / shape_c) / s**2`` is the precision of a prior under which
logits have the standard deviation ``s``: weights drawn from it have the variances
``1 / p_a``, so logits the variance ``sum_a v_a / p_a = s**2``. ``shape_a`` is 1, or the
root of ``v_a`` for decorrelated features.

The background of ``n`` rows with unknown labels, at weight ``u``, is the second-order
expansion of the log loss that they would have as negatives. One row at their mean, of
weight ``n * u`` and label 0, carries the first order. The second order is a penalty on
the variance of their logits: ``n * u * rate * (1 - rate) * v_a`` is added to ``p_a``,
where ``rate`` is the share of positives with the background among the negatives.
"""

from collections.abc import Callable
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cftlearn._features._principal_axes import Coordinates, FeatureSpace
from cftlearn.solvers._batched_loss import PathProblem
from cftlearn.solvers._candidates import (
    SPACES,
    Candidate,
    CandidateFamily,
    CandidateGrid,
    FittedPath,
    LabelsToFit,
    Path,
    Scaling,
)
from cftlearn.solvers._protocol import CategoryProblem

Floats = NDArray[np.float64]

# Log prior weights, learned from how candidates fared on average over the data sets of
# benchmarks/quality.py. They decide where labels are too few to. Values that are not
# in the tables have 0.
_SPREADS = {0.4: -2.0, 1.0: 0.0, 2.5: 0.0, 6.0: -3.0}
_UNKNOWN_WEIGHTS = {0.0: -1.0, 0.03: 0.0, 0.3: -1.0}
_SCALINGS: dict[Scaling, float] = {
    "standard": 0.0,
    "tempered": -1.0,
    "decorrelated": -2.0,
}


class _PenalisedFamily(CandidateFamily):
    """What both families share.

    Attributes
    ----------
    log_prior : float
        How plausible it is before any label is seen, in nats.
    """

    log_prior: ClassVar[float]

    def list_path(
        self, scaling: Scaling, unknown_weight: float, grid: CandidateGrid
    ) -> Path:
        """List candidates of all spreads."""
        prior = (
            _SCALINGS[scaling]
            + self.log_prior
            + _UNKNOWN_WEIGHTS.get(unknown_weight, 0.0)
        )
        return [
            Candidate(
                self.name,
                scaling,
                unknown_weight,
                spread,
                prior + _SPREADS.get(spread, 0.0),
                self.independent,
            )
            for spread in grid.spreads
        ]

    def start(self, path: Path, labels: LabelsToFit) -> Callable[[], FittedPath]:
        """Add the regressions of a path to the joint fit."""
        scaling, unknown_weight = path[0].scaling, path[0].unknown_weight
        space = labels.spaces[SPACES[scaling]]
        rows = labels.coordinates[SPACES[scaling]]
        spreads = np.array([candidate.spread for candidate in path])
        penalties = prior_precision(space, scaling) / spreads[:, None] ** 2
        background, curvature = _background(labels, unknown_weight)
        penalties += curvature * space.variances
        offset = self.offset(space, labels.problem)
        number = labels.joint.add(
            PathProblem(
                rows=rows,
                lead=_lead(rows, offset),
                y=np.append(labels.known.y.astype(np.float64), 0.0),
                weight=np.append(labels.weight, background),
                penalties=penalties,
            )
        )

        def finish() -> FittedPath:
            fitted = labels.joint.take(number)
            weights = fitted.weights
            if offset is not None:
                weights = weights + fitted.lead[:, 1:] * offset
            coef, intercept = space.leave(weights, fitted.lead[:, 0])
            return FittedPath(path, coef, intercept, space.spread(weights), fitted)

        return finish

    def offset(self, space: FeatureSpace, problem: CategoryProblem) -> Floats | None:
        """Return the direction in which weights are free of any penalty, if any."""
        return None


class TowardZero(_PenalisedFamily):
    """A penalty pulls the weights toward zero; unknown labels are the background."""

    name = "toward zero"
    log_prior = 0.0
    independent = True

    def paths(self, problem: CategoryProblem, grid: CandidateGrid) -> list[Path]:
        """List a path for each scaling and each weight of the background.

        The background takes part where it is and where a positive is known. Without
        known negatives it has to, as it stands in for them.
        """
        y = problem.train.y
        weights = grid.unknown_weights
        if problem.unknown is None or not y.any():
            weights = [weight for weight in weights if weight == 0.0]
        if y.all() or not y.any():
            weights = [weight for weight in weights if weight > 0.0]
        return [
            self.list_path(scaling, weight, grid)
            for scaling in grid.scalings
            for weight in weights
        ]


class TowardInitialWeights(_PenalisedFamily):
    """A penalty pulls the weights toward a multiple of the initial ones.

    The multiple is fitted without a penalty, so the scale of the initial weights does
    not matter.
    """

    name = "toward the initial weights"
    log_prior = -2.0
    independent = False

    def paths(self, problem: CategoryProblem, grid: CandidateGrid) -> list[Path]:
        """List one path, on standardised features and without background.

        None where a class is missing, or where the initial weights are all 0.
        """
        y = problem.train.y
        has_both = y.any() and not y.all()
        if "standard" not in grid.scalings or not has_both or not problem.coef.any():
            return []
        return [self.list_path("standard", 0.0, grid)]

    def offset(self, space: FeatureSpace, problem: CategoryProblem) -> Floats:
        """Return the initial weights, scaled to logits with a spread of 1."""
        weights = space.enter(problem.coef)
        return weights / max(float(space.spread(weights)), np.finfo(float).tiny)


def prior_precision(space: FeatureSpace, scaling: Scaling) -> Floats:
    """Compute the penalties under which logits have a spread of 1 a priori."""
    shape = np.ones(len(space.variances))
    if scaling == "decorrelated":
        shape = np.sqrt(space.variances)
    return shape * np.sum(space.variances / shape)


def _background(labels: LabelsToFit, unknown_weight: float) -> tuple[float, float]:
    """Compute the total weight of the background, and its curvature."""
    unknown = labels.problem.unknown
    if unknown_weight == 0.0 or unknown is None:
        return 0.0, 0.0
    weight = labels.weight
    total = unknown_weight * unknown.n_rows
    # one half positive and one half negative more keep the rate inside of 0 and 1
    rate = (weight @ labels.known.y + 0.5) / (weight.sum() + total + 1.0)
    return total, float(total * rate * (1.0 - rate))


def _lead(rows: Coordinates, offset: Floats | None) -> NDArray[np.floating]:
    """Return what enters without a penalty: the bias, and logits by the offset."""
    ones = np.ones((len(rows.base), 1))
    if offset is None:
        return ones
    weights = offset[:, None].astype(rows.base.dtype)
    return np.column_stack([ones, rows.base @ rows.to_base(weights)])
