"""What a solver is asked, and what it returns."""

from abc import ABCMeta, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from numbers import Integral
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from cftlearn._features._principal_axes import FeatureSpace, SpaceName
from cftlearn._features._stored import StoredFeatures, gather
from cftlearn.labels._weights import joined_weights, taken
from cftlearn.metrics._objectives import Objective


@dataclass(frozen=True, eq=False)
class KnownRows:
    """Rows whose label of one category is known.

    They unpack into features and labels: ``Z, y = problem.train``.

    Attributes
    ----------
    Z : ndarray of shape (n_known, n_features)
        Features.
    y : ndarray of shape (n_known,), bool
        Labels; both classes occur.
    weight : ndarray of shape (n_known,), float64, or None
        How much each label counts, above 0 and 1 on average over all known labels of
        the category. None where all count alike. Only solvers with
        ``accepts_sample_weight`` get any.
    """

    Z: NDArray[np.floating[Any]]
    y: NDArray[np.bool_]
    weight: NDArray[np.float64] | None = None

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Unpack into features and labels."""
        yield self.Z
        yield self.y


class UnknownRows(NamedTuple):
    """Rows whose label of one category is unknown, in summary.

    Attributes
    ----------
    n_rows : int
        How many, above 0.
    mean : ndarray of shape (n_features,), float64
        Mean of their features.
    """

    n_rows: int
    mean: NDArray[np.float64]


class RowPart(NamedTuple):
    """Known rows of one matrix of features, by their numbers.

    Attributes
    ----------
    features : ndarray or StoredFeatures of shape (n_samples, n_features)
        The whole matrix.
    rows : ndarray of shape (n_known,), int
        Which of its rows.
    y : ndarray of shape (n_known,), bool
        Their labels.
    weight : ndarray of shape (n_known,), or None
        Weights of the labels; None where all count alike.
    """

    features: NDArray[np.floating[Any]] | StoredFeatures
    rows: NDArray[np.intp]
    y: NDArray[np.bool_]
    weight: NDArray[np.float64] | None = None

    def some(self, kept: NDArray[np.bool_]) -> "RowPart":
        """Return the marked ones of these rows."""
        weight = taken(self.weight, kept)
        return RowPart(self.features, self.rows[kept], self.y[kept], weight)


@dataclass(frozen=True)
class StoredRows:
    """Known rows that stay in the matrix of features until they are asked for.

    They read like :class:`KnownRows`. Each access to ``Z`` gathers the rows again, so
    that many categories can be described without a copy of their features.

    Attributes
    ----------
    parts : tuple of RowPart
        Where the rows are, one part after the other.
    """

    parts: tuple[RowPart, ...]

    @property
    def Z(self) -> NDArray[np.floating[Any]]:
        """Features, gathered now."""
        first = self.parts[0].features
        n_rows = sum(len(part.rows) for part in self.parts)
        Z = np.empty((n_rows, first.shape[1]), dtype=first.dtype)
        start = 0
        for part in self.parts:
            stop = start + len(part.rows)
            gather(part.features, part.rows, Z[start:stop])
            start = stop
        return Z

    @property
    def y(self) -> NDArray[np.bool_]:
        """Labels."""
        return np.concatenate([part.y for part in self.parts])

    @property
    def weight(self) -> NDArray[np.float64] | None:
        """Weights of the labels, as of :class:`KnownRows`."""
        weights = [part.weight for part in self.parts]
        return joined_weights(weights, [len(part.y) for part in self.parts])

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Unpack like :class:`KnownRows`."""
        yield self.Z
        yield self.y


class StoredUnknownRows:
    """As :class:`UnknownRows`, with a mean that is computed when it is asked for.

    Parameters
    ----------
    n_rows : int
        How many, above 0.
    compute_mean : callable
        Computes the mean of their features.
    """

    def __init__(
        self, n_rows: int, compute_mean: Callable[[], NDArray[np.float64]]
    ) -> None:
        self.n_rows = n_rows
        self._compute_mean = compute_mean

    @cached_property
    def mean(self) -> NDArray[np.float64]:
        """Mean of their features."""
        return self._compute_mean()


AnyRows = KnownRows | StoredRows


def gathered(rows: AnyRows) -> KnownRows:
    """Return known rows in memory."""
    return KnownRows(rows.Z, rows.y, rows.weight)


@dataclass(frozen=True)
class CategoryProblem:
    """One category's logistic regression, to be refitted on its known labels.

    Attributes
    ----------
    train : KnownRows
        What may be fitted.
    validation : KnownRows or None
        What an iteration may be chosen on, and never fitted. None once an iteration
        has been chosen: then ``n_iter`` is given.
    coef : ndarray of shape (n_features,), float64
        The initial weights, in the scale of ``Z``.
    intercept : float
        Their bias.
    objective : Objective
        What to maximise.
    feature_mean, feature_scale : ndarray of shape (n_features,), float64
        Mean and standard deviation of each feature over all rows, the scale of a
        constant feature being 1. A solver that works in these units does not depend
        on the scale of the features.
    random_state : int
        The category's own seed.
    n_iter : int or None
        Run exactly so many iterations, without choosing.
    spaces : dict of str to FeatureSpace
        The principal coordinates that the solver's ``needed_spaces`` names.
    unknown : UnknownRows or None
        Rows whose label is unknown, in summary. None where there are none.
    """

    train: AnyRows
    validation: AnyRows | None
    coef: NDArray[np.float64]
    intercept: float
    objective: Objective
    feature_mean: NDArray[np.float64]
    feature_scale: NDArray[np.float64]
    random_state: int
    n_iter: int | None = None
    spaces: dict[SpaceName, FeatureSpace] = field(default_factory=dict)
    unknown: UnknownRows | StoredUnknownRows | None = None

    def in_memory(self) -> "CategoryProblem":
        """Return the same problem with its rows gathered.

        Problems that :meth:`CategorySolver.fit_many` gets may leave their rows in a
        file, and read them at each access to ``train.Z`` or ``validation.Z``.
        """
        unknown = self.unknown
        return replace(
            self,
            train=gathered(self.train),
            validation=None if self.validation is None else gathered(self.validation),
            unknown=None
            if unknown is None
            else UnknownRows(unknown.n_rows, unknown.mean),
        )


class Checkpoint(NamedTuple):
    """Weights that a solver passed on its way.

    Attributes
    ----------
    n_iter : int
        The iteration that they come from, counted from 1.
    coef : ndarray of shape (n_features,), float64
        The weights, in the scale of the problem's ``Z``.
    intercept : float
        Their bias.
    label : str
        What they are, where an iteration of one category is not that of another one.
        Weights of several categories that have one label share their evidence. Empty
        where ``n_iter`` says it.
    log_prior : float
        How plausible they are before any label is seen, in nats; 0 for typical ones.
    """

    n_iter: int
    coef: NDArray[np.float64]
    intercept: float
    label: str = ""
    log_prior: float = 0.0


@dataclass(frozen=True)
class RowFit:
    """A solver's answer for one category.

    Attributes
    ----------
    coef : ndarray of shape (n_features,), float64
        The refitted weights, in the scale of the problem's ``Z``.
    intercept : float
        Their bias.
    n_iter : int
        The iteration that the weights come from; 0 are the initial weights.
    n_iter_run : int
        How many iterations ran.
    stopped_by : str
        Why the solver ended: ``"patience"``, ``"max_iter"``, ``"n_iter"``, or
        ``"path"`` at the end of a path of penalties.
    history : list of dict
        One record per iteration, with the key ``iteration``.
    path : list of Checkpoint
        Weights at some iterations, the last one among them, where the solver's
        :meth:`~CategorySolver.path_length` names one.
    """

    coef: NDArray[np.float64]
    intercept: float
    n_iter: int
    n_iter_run: int
    stopped_by: str
    history: list[dict[str, Any]] = field(default_factory=list)
    path: list[Checkpoint] = field(default_factory=list)


def is_checkpoint(iteration: int, last: int) -> bool:
    """Return whether a path holds a iteration: powers of two, and the last one.

    Parameters
    ----------
    iteration, last : int
        Counted from 1.
    """
    return iteration == last or (iteration & (iteration - 1)) == 0


def starts_mean(iteration: int) -> bool:
    """Return whether the mean over iterations starts anew: after each power of two.

    Parameters
    ----------
    iteration : int
        Counted from 1.
    """
    return is_checkpoint(iteration - 1, -1)


def parts_of(problem: CategoryProblem) -> tuple[RowPart, ...]:
    """Return where the rows to fit and, after them, the validation rows are."""
    rows = [problem.train, problem.validation]
    return tuple(part for some in rows if some is not None for part in _parts(some))


def _parts(rows: AnyRows) -> tuple[RowPart, ...]:
    if isinstance(rows, StoredRows):
        return rows.parts
    return (RowPart(rows.Z, np.arange(len(rows.y)), rows.y, rows.weight),)


# What a subclass with another `fit_row` does not inherit.
_OF_A_FIT = (
    "fit_many",
    "batch_device",
    "batch_bytes",
    "path_length",
    "accepts_sample_weight",
)


class CategorySolver(BaseEstimator, metaclass=ABCMeta):
    """Protocol of the solvers: refit one category, know nothing of the others.

    A solver keeps its parameters and nothing else, so one object serves every
    category, also at the same time. A subclass has a ``name`` and a :meth:`fit_row`;
    that is all that most solvers need.

    **A solver for a GPU** fits many categories at once. It overrides two methods:
    :meth:`batch_device` says where, and :meth:`fit_many` fits. The fine-tuner then
    calls :meth:`fit_many` twice for each group of categories that fits in the device's
    memory: with validation labels, to choose an iteration of each category, and with
    ``n_iter`` and all known labels for the categories whose refit was chosen. Results
    are judged, reported and checkpointed like those of :meth:`fit_row`. Override
    :meth:`batch_bytes` if a category takes more memory than its known rows.

    **A solver with a path** is weighed at several of its iterations instead of at one:
    :meth:`path_length` says how many to run, and fits with ``n_iter`` return
    ``RowFit.path``. It then never sees the labels that judge it.

    **A solver that weighs labels** sets ``accepts_sample_weight = True``, and reads
    ``problem.train.weight`` and ``problem.validation.weight``, which are None without
    ``sample_weight``. Any other one is refused where there are weights.

    A subclass that overrides :meth:`fit_row` alone, of a solver with a batched form, a
    path or weights, inherits none of them: it would fit in the old way.

    Attributes
    ----------
    pooled : bool
        Whether all categories together judge the refits. False leaves each category
        alone with its own held-out labels.
    accepts_sample_weight : bool
        Whether fits follow the weights of known rows.
    """

    needed_spaces: ClassVar[tuple[SpaceName, ...]] = ()
    pooled: bool = True
    accepts_sample_weight: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = vars(cls)
        if "fit_row" in own and "fit_many" not in own:
            for name in _OF_A_FIT:
                if name not in own:
                    setattr(cls, name, getattr(CategorySolver, name))

    @property
    @abstractmethod
    def name(self) -> str:
        """Short name for reports."""

    @abstractmethod
    def fit_row(self, problem: CategoryProblem) -> RowFit:
        """Refit one category.

        Parameters
        ----------
        problem : CategoryProblem
            Features, known labels, the initial weights and the objective. With
            validation labels the answer is the iteration that scores best on them,
            the initial weights included; with ``n_iter`` it is that iteration.

        Returns
        -------
        fit : RowFit
            The refitted weights.
        """

    def fit_many(
        self, problems: Sequence[CategoryProblem], *, device: str
    ) -> list[RowFit]:
        """Refit several categories; by default one after the other.

        Parameters
        ----------
        problems : sequence of CategoryProblem
            As for :meth:`fit_row`; all of them choose an iteration, or all are given
            ``n_iter``. Rows may be in a file, and are gathered at each access to
            ``problem.train.Z``. The fine-tuner passes a ``ProblemBatch``, whose
            ``load`` reads the rows of all problems onto a device, once and in parts.
        device : str
            Where, as :meth:`batch_device` answered.

        Returns
        -------
        fits : list of RowFit
            In the order of the problems.
        """
        return [self.fit_row(problem.in_memory()) for problem in problems]

    def path_length(self, problem: CategoryProblem) -> int | None:
        """Say how many iterations a whole path has.

        Parameters
        ----------
        problem : CategoryProblem
            With the labels to fit, and with or without ``n_iter``.

        Returns
        -------
        n_iter : int or None
            Iterations to run, so that ``RowFit.path`` holds all checkpoints. None, the
            default, has no path: validation labels choose an iteration, which is
            judged.
        """
        return None

    def batch_device(self, objective: Objective, device: str) -> str | None:
        """Choose the device on which :meth:`fit_many` refits all categories.

        Parameters
        ----------
        objective : Objective
            What to maximise.
        device : str
            As in :class:`~cftlearn.CategoryWiseFineTuner`.

        Returns
        -------
        device : str or None
            A device of torch. None, the default, refits each category by
            :meth:`fit_row`, some of them at a time in workers.
        """
        return None

    def batch_bytes(self, n_rows: int, row_bytes: int) -> int:
        """Count the bytes that a category takes on the device in :meth:`fit_many`.

        Parameters
        ----------
        n_rows : int
            Known rows of the category, or of the largest one in its group.
        row_bytes : int
            Bytes of a row of features, or of a vector of weights.

        Returns
        -------
        n_bytes : int
            By default those of the rows.
        """
        return n_rows * row_bytes

    def check_parameters(self) -> None:
        """Check the parameters before anything is read; by default nothing.

        Raises
        ------
        ValueError
            If a parameter is out of its range.
        """


def check_fit(fit: Any, solver: CategorySolver, method: str) -> RowFit:
    """Check what a solver returned, which may be of the user's own.

    Raises
    ------
    TypeError
        If it is not a RowFit, or its path holds anything but checkpoints.
    ValueError
        If weights on the path have another shape than the last ones.
    """
    if not isinstance(fit, RowFit):
        what = "a list with one RowFit" if method == "fit_many" else "a RowFit"
        raise TypeError(
            f"`{method}` must return {what} for each problem; the solver "
            f"{solver.name!r} returned {type(fit).__name__}. Return "
            "RowFit(coef, intercept, n_iter, n_iter_run, stopped_by)."
        )
    path = fit.path if isinstance(fit.path, list) else [fit.path]
    for each in path:
        if not isinstance(each, Checkpoint):
            raise TypeError(
                "`RowFit.path` must be a list of Checkpoint; the solver "
                f"{solver.name!r} returned {each!r:.60}. Pass Checkpoint(n_iter, coef, "
                "intercept) for each of these weights, or leave `path` out."
            )
        if np.shape(each.coef) != np.shape(fit.coef):
            raise ValueError(
                f"Weights on `RowFit.path` must have shape {np.shape(fit.coef)}, as "
                f"`coef` has; the solver {solver.name!r} returned shape "
                f"{np.shape(each.coef)} at iteration {each.n_iter}."
            )
    return fit


def check_weights_accepted(solvers: Sequence[CategorySolver]) -> None:
    """Refuse solvers that would fit labels as if they had no weights.

    Raises
    ------
    ValueError
        If one of them does not accept weights.
    """
    for solver in solvers:
        if not solver.accepts_sample_weight:
            raise ValueError(
                "`solver` must accept the weights of labels where `sample_weight` is "
                f"given; {type(solver).__name__} ({solver.name!r}) does not. Let it "
                "read problem.train.weight and set accepts_sample_weight = True, or "
                "pass sample_weight=None."
            )


def checked_path_length(
    solver: CategorySolver, problem: "CategoryProblem"
) -> int | None:
    """Return the length of a solver's path, which may be of the user's own.

    Raises
    ------
    TypeError, ValueError
        If it is neither None nor a number of iterations.
    """
    length = solver.path_length(problem)
    if length is None:
        return None
    words = (
        f"`path_length` must return None or a number of iterations, 1 or more; the "
        f"solver {solver.name!r} returned {length!r:.60}."
    )
    if isinstance(length, bool) or not isinstance(length, Integral):
        raise TypeError(words)
    if length < 1:
        raise ValueError(words)
    return int(length)
