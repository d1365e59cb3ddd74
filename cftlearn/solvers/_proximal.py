"""Refit a category by penalised logistic regressions, with a background."""

from collections.abc import Callable, Iterator, Sequence
from numbers import Real
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cftlearn.solvers._candidates import (
    SPACES,
    Candidate,
    CandidateFamily,
    CandidateGrid,
    FittedPath,
    Path,
    Scaling,
)
from cftlearn.solvers._families import FAMILIES, fit_families, list_paths
from cftlearn.solvers._protocol import (
    CategoryProblem,
    CategorySolver,
    Checkpoint,
    KnownRows,
    RowFit,
    gathered,
)


class ProximalSolver(CategorySolver):
    """Refit a category by convex, penalised logistic regressions along a path.

    A candidate minimises the log loss of known labels plus two quadratic terms: a
    pull of the weights toward zero or toward the initial weights, and the background, a
    second-order expansion of the log loss that unknown labels would have as negatives
    of a small weight. Over ``n`` rows with unknown labels, mean features ``m`` and
    principal variances ``v``, the background is one negative at ``m`` with the weight
    of all of them, and a penalty on the variance of their logits [1]_. It costs
    nothing per row, and helps most where known labels are few or mostly positive.

    As a solver of its own in :class:`~cftlearn.CategoryWiseFineTuner` its candidates
    are weighed by held-out labels of all categories, and averaged.
    ``solver="auto"`` weighs the same candidates by more evidence, and every label that
    judges is left out of one fit alone.

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
        The families of candidates, by what weights are pulled to. ``"row"`` are the
        initial weights, whose slope stays free; it is fitted on standardised features
        with unknown weight 0.
    class_weight : {None, "balanced"}, default=None
        ``"balanced"`` gives known positives and known negatives the same total weight.

    See Also
    --------
    GeneticSolver : Refit a category by a genetic algorithm on the metric itself.
    GradientSolver : Refit a category by gradient descent.

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
    accepts_sample_weight = True

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
        toward: tuple[str, ...] = tuple(FAMILIES),
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
            Features, known labels, the initial weights and the objective, and the
            spaces that ``needed_spaces`` names.

        Returns
        -------
        fit : RowFit
            The best candidate by the validation labels, counted from 1, or candidate
            ``n_iter`` with the path up to it. The initial weights are not among them;
            where nothing can be fitted they are the answer, with ``n_iter`` 0.

        Raises
        ------
        ValueError
            If a parameter is out of its range.
        """
        self.check_parameters()
        known = gathered(problem.train)
        if problem.n_iter is not None:
            return self._fit_number(problem, known, problem.n_iter)
        history: list[dict[str, Any]] = []
        best, best_key = None, (-np.inf, -np.inf)
        for fitted in self.fit_paths(problem, known):
            for k, candidate in enumerate(fitted.candidates):
                coef, intercept = fitted.coef[k], float(fitted.intercept[k])
                score = _validation_score(problem, coef, intercept)
                history.append(
                    {
                        "iteration": len(history) + 1,
                        "candidate": str(candidate),
                        "score_val": score,
                    }
                )
                if (score, candidate.log_prior) > best_key:
                    best_key = score, candidate.log_prior
                    best = coef, intercept, len(history)
        if best is None:
            return RowFit(problem.coef, problem.intercept, 0, 0, "path")
        return RowFit(*best, len(history), "path", history)

    def path_length(self, problem: CategoryProblem) -> int | None:
        """Say how many candidates there are.

        Parameters
        ----------
        problem : CategoryProblem
            With the labels to fit.

        Returns
        -------
        n_iter : int
            The number of the last one.
        """
        return len(self.candidates(problem))

    def candidates(self, problem: CategoryProblem) -> list[Candidate]:
        """List what can be fitted to the labels of a problem.

        Parameters
        ----------
        problem : CategoryProblem
            Its labels may lack a class only where the background can stand in for it.

        Returns
        -------
        candidates : list of Candidate
            In the order of :meth:`fit_paths`.
        """
        return [c for _, path in self._paths(problem) for c in path]

    def fit_paths(
        self,
        problem: CategoryProblem,
        known: KnownRows,
        weight: NDArray[np.float64] | None = None,
        parts: NDArray[np.intp] | None = None,
    ) -> Iterator[FittedPath]:
        """Fit all candidates, one path at a time.

        Parameters
        ----------
        problem : CategoryProblem
            The initial weights, spaces and background.
        known : KnownRows
            Labels to fit.
        weight : ndarray of shape (n_known,), default=None
            What their own weights are multiplied by: 0 where a row is predicted and
            not fitted. None is 1.
        parts : ndarray of shape (n_known,), int, default=None
            Of the rows that evidence asks for, those of equal number are left out
            together. None leaves them out one by one where that is cheap.

        Yields
        ------
        fitted : FittedPath
            Candidates of one family, scaling and background.
        """
        paths = self._paths(problem)
        own = self._weight(known, weight)
        yield from fit_families(paths, problem, known, own, parts)

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
        _check_members("scalings", self.scalings, list(SPACES))
        _check_members("toward", self.toward, list(FAMILIES))
        if set(self.toward) == {"row"} and "standard" not in self.scalings:
            raise ValueError(
                "`scalings` must hold 'standard' where weights are pulled toward the "
                f"initial ones alone; got {self.scalings!r}."
            )
        if self.class_weight not in (None, "balanced"):
            raise ValueError(
                f"`class_weight` must be None or 'balanced'; got {self.class_weight!r}."
            )

    def _paths(self, problem: CategoryProblem) -> list[tuple[CandidateFamily, Path]]:
        grid = CandidateGrid(
            list(self.scalings), _numbers(self.unknown_weights), _numbers(self.spreads)
        )
        return list_paths(self.toward, problem, grid)

    def _fit_number(
        self, problem: CategoryProblem, known: KnownRows, number: int
    ) -> RowFit:
        """Fit the candidates up to one of them, counted from 1."""
        path: list[Checkpoint] = []
        paths, left = [], number
        for family, own in self._paths(problem):
            if left > 0:
                paths.append((family, own[:left]))
                left -= len(own)
        for fitted in fit_families(paths, problem, known, self._weight(known, None)):
            path += [
                Checkpoint(
                    len(path) + k,
                    fitted.coef[k - 1],
                    float(fitted.intercept[k - 1]),
                    str(candidate),
                    candidate.log_prior,
                )
                for k, candidate in enumerate(fitted.candidates, 1)
            ]
        if not path:
            return RowFit(problem.coef, problem.intercept, 0, 0, "path")
        last = path[-1]
        return RowFit(
            last.coef, last.intercept, last.n_iter, len(path), "n_iter", path=path
        )

    def _weight(
        self, known: KnownRows, weight: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        """Return the weights of known labels."""
        weight = np.ones(len(known.y)) if weight is None else weight
        if known.weight is not None:
            weight = weight * known.weight
        if self.class_weight == "balanced":
            weight = weight * _balanced(known.y, weight)
        return weight


def _validation_score(
    problem: CategoryProblem, coef: NDArray[np.float64], intercept: float
) -> float:
    held_out = problem.validation
    if held_out is None:
        raise ValueError("`problem.validation` must be given where `n_iter` is not.")
    Z, y = held_out
    return problem.objective.single(y, Z @ coef + intercept, held_out.weight)


def _balanced(y: NDArray[np.bool_], weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute factors that give both classes the same total weight."""
    rate = float(weight @ y) / float(weight.sum())
    if rate in (0.0, 1.0):
        return np.ones(len(y))
    return np.where(y, 0.5 / rate, 0.5 / (1.0 - rate))


def _numbers(values: ArrayLike) -> list[float]:
    return [float(value) for value in np.ravel(np.asarray(values, dtype=np.float64))]


def _check_range(
    name: str, values: ArrayLike, accepts: Callable[[Any], bool], rule: str
) -> None:
    given = np.ravel(np.asarray(values, dtype=object))
    if not len(given):
        raise ValueError(f"`{name}` must hold at least one number; got none.")
    for value in given:
        if isinstance(value, bool) or not isinstance(value, Real) or not accepts(value):
            raise ValueError(f"`{name}` must hold numbers {rule}; got {value!r}.")


def _check_members(name: str, values: Sequence[Any], allowed: list[Any]) -> None:
    unexpected = [value for value in values if value not in allowed]
    if not len(values) or unexpected:
        given = repr(unexpected[0]) if unexpected else repr(values)
        raise ValueError(
            f"`{name}` must be a tuple of {', '.join(map(repr, allowed))}; got {given}."
        )
