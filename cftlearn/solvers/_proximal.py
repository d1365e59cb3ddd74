"""Refit a row by penalised logistic regressions, on known labels and a background."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from numbers import Real
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cftlearn._features._principal_axes import FeatureSpace, SpaceName, make_coordinates
from cftlearn.solvers._batched_lbfgs import PathProblem
from cftlearn.solvers._penalised_paths import PenalisedPath, fit_paths
from cftlearn.solvers._protocol import (
    CategoryProblem,
    CategorySolver,
    KnownRows,
    RowFit,
)

Scaling = Literal["standard", "tempered", "decorrelated"]
Toward = Literal["zero", "row"]

# Log prior weights, learned from how candidates fared on average over the data sets of
# benchmarks/quality.py. They decide where labels are too few to.
_SPREADS = {0.4: -2.0, 1.0: 0.0, 2.5: 0.0, 6.0: -3.0}
_UNKNOWN_WEIGHTS = {0.0: -1.0, 0.03: 0.0, 0.3: -1.0}
_SCALINGS: dict[Scaling, float] = {
    "standard": 0.0,
    "tempered": -1.0,
    "decorrelated": -2.0,
}
_SPACES: dict[Scaling, SpaceName] = {  # in whose coordinates
    "standard": "standard",
    "tempered": "tempered",
    "decorrelated": "standard",
}
_TOWARD: dict[Toward, float] = {"zero": 0.0, "row": -2.0}


@dataclass(frozen=True)
class Candidate:
    """One penalised regression.

    Attributes
    ----------
    scaling, toward, unknown_weight, spread
        As in :class:`ProximalSolver`.
    """

    scaling: Scaling
    toward: Toward
    unknown_weight: float
    spread: float

    @property
    def family(self) -> tuple[Scaling, Toward, float]:
        """What candidates of one path have in common."""
        return self.scaling, self.toward, self.unknown_weight

    @property
    def log_prior(self) -> float:
        """How plausible it is before any label is seen; 0 where nothing is known."""
        return (
            _SCALINGS.get(self.scaling, 0.0)
            + _TOWARD.get(self.toward, 0.0)
            + _UNKNOWN_WEIGHTS.get(self.unknown_weight, 0.0)
            + _SPREADS.get(self.spread, 0.0)
        )

    def __str__(self) -> str:
        """Name it in one line."""
        return (
            f"{self.scaling} features toward {self.toward}, "
            f"unknown weight {self.unknown_weight:g}, spread {self.spread:g}"
        )


@dataclass(frozen=True)
class FittedPath:
    """The candidates of one family, fitted.

    Attributes
    ----------
    candidates : list of Candidate
        In the order of the rows below.
    coef, intercept : ndarray of shape (n_path, n_features), (n_path,)
        Rows in the scale of the features.
    spread : ndarray of shape (n_path,)
        Standard deviation of their logits over all rows of features.
    path : PenalisedPath
        What the fits say of their own labels.
    """

    candidates: list[Candidate]
    coef: NDArray[np.float64]
    intercept: NDArray[np.float64]
    spread: NDArray[np.float64]
    path: PenalisedPath


class ProximalSolver(CategorySolver):
    """Refit a row by convex, penalised logistic regression along a path.

    A candidate minimises the log loss of known labels plus two quadratic terms: a
    pull of the row toward zero or toward the trained row, and the background, a
    second-order expansion of the log loss that unknown labels would have as negatives
    of a small weight. Over ``n`` rows with unknown labels, mean features ``m`` and
    principal variances ``v``, the background is one negative at ``m`` with the weight
    of all of them, and a penalty on the variance of their logits [1]_. It costs
    nothing per row, and helps most where known labels are few or mostly positive.

    As a solver of its own it fits every candidate on the labels to fit, and takes the
    one that scores best by the objective on the held-out labels.
    ``solver="auto"`` of :class:`~cftlearn.CategoryWiseFineTuner` weighs the same
    candidates by more evidence and takes an average.

    Parameters
    ----------
    spreads : array-like of shape (n_spreads,), default=(0.4, 1.0, 2.5, 6.0)
        The path: standard deviations in (0, 1e6) that logits have before any label is
        seen. A small one pulls hard.
    unknown_weights : array-like of shape (n_weights,), default=(0.0, 0.03, 0.3)
        Weights in [0, 1] of an unknown label as a negative, relative to a known one.
    scalings : tuple of {"standard", "tempered", "decorrelated"}, \
default=('standard', 'tempered', 'decorrelated')
        In which scale of features a pull is measured: ``"standard"``, all of standard
        deviation 1; ``"tempered"``, divided by the geometric mean of the own deviation
        and the overall one; ``"decorrelated"``, standard, with principal axes divided
        by the fourth root of their variance, half of the way to equal variances.
    toward : tuple of {"zero", "row"}, default=('zero', 'row')
        What rows are pulled to; ``"row"`` leaves the slope of the trained row free,
        and is fitted on standardised features with unknown weight 0.
    class_weight : {None, "balanced"}, default=None
        ``"balanced"`` gives known positives and known negatives the same total weight.

    See Also
    --------
    GeneticSolver : Refit a row by a genetic algorithm on the metric itself.
    GradientSolver : Refit a row by gradient descent.

    References
    ----------
    .. [1] Compare linear discriminant analysis with a shared background covariance:
       Hariharan, Malik and Ramanan, "Discriminative Decorrelation for Clustering and
       Classification", ECCV 2012.

    Examples
    --------
    >>> from cftlearn import CategoryWiseFineTuner
    >>> from cftlearn.datasets import make_partial_multilabel
    >>> from cftlearn.solvers import ProximalSolver
    >>> Z, y, _ = make_partial_multilabel(known=0.5, random_state=0)
    >>> solver = ProximalSolver(spreads=(1.0, 3.0), scalings=("standard",))
    >>> tuner = CategoryWiseFineTuner(solver, random_state=0).fit(Z, y)
    >>> tuner.coef_.shape
    (5, 20)
    """

    needed_spaces = ("standard", "tempered")

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "spreads": ["array-like"],
        "unknown_weights": ["array-like"],
        "scalings": ["array-like"],
        "toward": ["array-like"],
        "class_weight": [str, None],
    }

    def __init__(
        self,
        *,
        spreads: ArrayLike = (0.4, 1.0, 2.5, 6.0),
        unknown_weights: ArrayLike = (0.0, 0.03, 0.3),
        scalings: tuple[Scaling, ...] = ("standard", "tempered", "decorrelated"),
        toward: tuple[Toward, ...] = ("zero", "row"),
        class_weight: Literal["balanced"] | None = None,
    ) -> None:
        self.spreads = spreads
        self.unknown_weights = unknown_weights
        self.scalings = scalings
        self.toward = toward
        self.class_weight = class_weight

    @property
    def name(self) -> str:
        """Short name for reports."""
        return "proximal"

    def fit_row(self, problem: CategoryProblem) -> RowFit:
        """Refit one category.

        Parameters
        ----------
        problem : CategoryProblem
            Features, known labels, the trained row and the objective, and the spaces
            that ``needed_spaces`` names.

        Returns
        -------
        fit : RowFit
            The best candidate by the validation labels, counted from 1, or candidate
            ``n_iter``. The trained row is not among them; where nothing can be fitted
            it is the answer, with ``n_iter`` 0.

        Raises
        ------
        ValueError
            If a parameter is out of its range.
        """
        self.check_parameters()
        candidates = self.candidates(problem)
        known = KnownRows(*problem.train)
        if problem.n_iter is not None:
            chosen = candidates[problem.n_iter - 1]
            fitted = next(self._fit_families(problem, [[chosen]], known))
            return RowFit(
                fitted.coef[0], float(fitted.intercept[0]), problem.n_iter, 1, "n_iter"
            )
        history: list[dict[str, Any]] = []
        best, best_key = None, (-np.inf, -np.inf)
        for fitted in self.fit_paths(problem, known):
            for k, candidate in enumerate(fitted.candidates):
                row, bias = fitted.coef[k], float(fitted.intercept[k])
                score = _validation_score(problem, row, bias)
                history.append(
                    {
                        "iteration": len(history) + 1,
                        "candidate": str(candidate),
                        "score_val": score,
                    }
                )
                if (score, candidate.log_prior) > best_key:
                    best_key = score, candidate.log_prior
                    best = row, bias, len(history)
        if best is None:
            return RowFit(problem.coef, problem.intercept, 0, 0, "path")
        return RowFit(*best, len(history), "path", history)

    def candidates(self, problem: CategoryProblem) -> list[Candidate]:
        """List what can be fitted to the labels of a problem.

        Parameters
        ----------
        problem : CategoryProblem
            Its labels may lack a class only where the background can stand in for it.

        Returns
        -------
        candidates : list of Candidate
            Families one after the other, in each the path.
        """
        y = problem.train.y
        weights = [w for w in _numbers(self.unknown_weights) if w == 0.0 or _any(y)]
        has_both = bool(_any(y) and _any(~y))
        if problem.unknown is None:
            weights = [w for w in weights if w == 0.0]
        if not has_both:
            weights = [w for w in weights if w > 0.0]
        families: list[tuple[Scaling, Toward, float]] = []
        for scaling in sorted(self.scalings, key=_SPACES.__getitem__):
            if "zero" in self.toward:
                families += [(scaling, "zero", weight) for weight in weights]
            if scaling == "standard" and "row" in self.toward and has_both:
                families += [(scaling, "row", 0.0)] if np.any(problem.coef) else []
        return [
            Candidate(*family, spread)
            for family in families
            for spread in _numbers(self.spreads)
        ]

    def fit_paths(
        self,
        problem: CategoryProblem,
        known: KnownRows,
        weight: NDArray[np.float64] | None = None,
    ) -> Iterator[FittedPath]:
        """Fit all candidates, one family at a time.

        Parameters
        ----------
        problem : CategoryProblem
            The trained row, spaces and background.
        known : KnownRows
            Labels to fit.
        weight : ndarray of shape (n_known,), default=None
            Their weights; None weighs them equally.

        Yields
        ------
        fitted : FittedPath
            A family.
        """
        families = [
            list(members)
            for _, members in groupby(
                self.candidates(problem), key=lambda candidate: candidate.family
            )
        ]
        yield from self._fit_families(problem, families, known, weight)

    def check_parameters(self) -> None:
        """Check the parameters, as a fit does first.

        Raises
        ------
        ValueError
            If a parameter is out of its range.
        """
        self._validate_params()
        _check_range("spreads", self.spreads, lambda x: 0 < x < 1e6, "in (0, 1e6)")
        _check_range(
            "unknown_weights", self.unknown_weights, lambda x: 0 <= x <= 1, "in [0, 1]"
        )
        _check_members("scalings", self.scalings, _SCALINGS)
        _check_members("toward", self.toward, _TOWARD)
        if "zero" not in self.toward and "standard" not in self.scalings:
            raise ValueError(
                "`scalings` must hold 'standard' where rows are pulled toward the "
                f"trained row alone; got {self.scalings!r}."
            )
        if self.class_weight not in (None, "balanced"):
            raise ValueError(
                f"`class_weight` must be None or 'balanced'; got {self.class_weight!r}."
            )

    def _fit_families(
        self,
        problem: CategoryProblem,
        families: list[list[Candidate]],
        known: KnownRows,
        weight: NDArray[np.float64] | None = None,
    ) -> Iterator[FittedPath]:
        if not families:
            return
        used = dict.fromkeys(_SPACES[members[0].scaling] for members in families)
        spaces = {name: _space(problem, name) for name in used}
        weight = np.ones(len(known.y)) if weight is None else weight
        if self.class_weight == "balanced":
            weight = weight * _balanced(known.y, weight)
        background = problem.unknown
        mean = known.Z.mean(axis=0) if background is None else background.mean
        rows = make_coordinates([known.Z, mean[np.newaxis]], spaces)
        y = np.append(known.y.astype(np.float64), 0.0)
        ones = np.ones((len(y), 1))
        problems, trained = [], {}
        for members in families:
            scaling, toward, unknown_weight = members[0].family
            space, own_rows = spaces[_SPACES[scaling]], rows[_SPACES[scaling]]
            lead, amount = ones, 0.0
            if toward == "row":
                trained[scaling] = _unit_row(space, problem.coef)
                row = trained[scaling][:, None].astype(own_rows.base.dtype)
                lead = np.column_stack([ones, own_rows.base @ own_rows.push(row)])
            spreads = np.array([candidate.spread for candidate in members])
            penalties = _precision(space, scaling) / spreads[:, None] ** 2
            if unknown_weight > 0.0 and background is not None:
                amount = unknown_weight * background.n_rows
                rate = (weight @ known.y + 0.5) / (weight.sum() + amount + 1.0)
                penalties += amount * rate * (1.0 - rate) * space.variances
            problems.append(
                PathProblem(own_rows, lead, y, np.append(weight, amount), penalties)
            )
        paths = fit_paths(problems)[::-1]
        for members in families:
            path, space = paths.pop(), spaces[_SPACES[members[0].scaling]]
            weights = path.weights
            if members[0].toward == "row":
                weights = weights + path.lead[:, 1:] * trained[members[0].scaling]
            coef, intercept = space.leave(weights, path.lead[:, 0])
            yield FittedPath(members, coef, intercept, space.spread(weights), path)


def _unit_row(space: FeatureSpace, coef: NDArray[np.float64]) -> NDArray[np.float64]:
    """Express the trained row, scaled so that its logits have a spread of 1."""
    row = space.enter(coef)
    return row / max(float(space.spread(row)), np.finfo(float).tiny)


def _space(problem: CategoryProblem, name: SpaceName) -> FeatureSpace:
    if name not in problem.spaces:
        raise ValueError(
            f"`problem.spaces` must hold {name!r}, which this solver needs; got "
            f"{list(problem.spaces)}. Make it by make_feature_spaces."
        )
    return problem.spaces[name]


def _precision(space: FeatureSpace, scaling: Scaling) -> NDArray[np.float64]:
    """Give penalties under which logits have a spread of 1 a priori."""
    shape = np.ones(len(space.variances))
    if scaling == "decorrelated":
        shape = np.sqrt(space.variances)
    return shape * np.sum(space.variances / shape)


def _validation_score(
    problem: CategoryProblem, row: NDArray[np.float64], bias: float
) -> float:
    held_out = problem.validation
    if held_out is None:
        raise ValueError("`problem.validation` must be given where `n_iter` is not.")
    return problem.objective.single(held_out.y, held_out.Z @ row + bias)


def _balanced(y: NDArray[np.bool_], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    share = float(weight @ y) / float(weight.sum())
    if share in (0.0, 1.0):
        return np.ones(len(y))
    return np.where(y, 0.5 / share, 0.5 / (1.0 - share))


def _any(y: NDArray[np.bool_]) -> bool:
    return bool(y.any())


def _numbers(values: ArrayLike) -> list[float]:
    return [float(value) for value in np.ravel(np.asarray(values, dtype=np.float64))]


def _check_range(name: str, values: ArrayLike, accepts: Any, rule: str) -> None:
    given = np.ravel(np.asarray(values, dtype=object))
    if not len(given):
        raise ValueError(f"`{name}` must hold at least one number; got none.")
    for value in given:
        if isinstance(value, bool) or not isinstance(value, Real) or not accepts(value):
            raise ValueError(f"`{name}` must hold numbers {rule}; got {value!r}.")


def _check_members(name: str, values: Any, allowed: dict[Any, float]) -> None:
    strangers = [value for value in values if value not in list(allowed)]
    if not len(values) or strangers:
        given = repr(strangers[0]) if strangers else repr(values)
        raise ValueError(
            f"`{name}` must be a tuple of {', '.join(map(repr, allowed))}; got {given}."
        )
