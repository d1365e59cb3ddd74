"""What a solver is asked, and what it answers."""

from abc import ABCMeta, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from cftlearn._features._principal_axes import FeatureSpace, SpaceName
from cftlearn.metrics._objectives import Objective


class KnownRows(NamedTuple):
    """Rows whose label of one category is known.

    Attributes
    ----------
    Z : ndarray of shape (n_known, n_features)
        Features.
    y : ndarray of shape (n_known,), bool
        Labels; both classes occur.
    """

    Z: NDArray[np.floating[Any]]
    y: NDArray[np.bool_]


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
        The row as trained, in the scale of ``Z``.
    intercept : float
        Its bias.
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

    train: KnownRows
    validation: KnownRows | None
    coef: NDArray[np.float64]
    intercept: float
    objective: Objective
    feature_mean: NDArray[np.float64]
    feature_scale: NDArray[np.float64]
    random_state: int
    n_iter: int | None = None
    spaces: dict[SpaceName, FeatureSpace] = field(default_factory=dict)
    unknown: UnknownRows | None = None


@dataclass(frozen=True)
class RowFit:
    """A solver's answer for one category.

    Attributes
    ----------
    coef : ndarray of shape (n_features,), float64
        The refitted row, in the scale of the problem's ``Z``.
    intercept : float
        Its bias.
    n_iter : int
        The iteration that the row comes from; 0 is the row as trained.
    n_iter_run : int
        How many iterations ran.
    stopped_by : str
        Why the solver ended: ``"patience"``, ``"max_iter"``, ``"n_iter"``, or
        ``"path"`` at the end of a path of penalties.
    history : list of dict
        One record per iteration, with the key ``iteration``.
    """

    coef: NDArray[np.float64]
    intercept: float
    n_iter: int
    n_iter_run: int
    stopped_by: str
    history: list[dict[str, Any]] = field(default_factory=list)


class CategorySolver(BaseEstimator, metaclass=ABCMeta):
    """Protocol of the solvers: refit one row, know nothing of the other categories.

    A solver keeps its parameters and nothing else, so one object serves every
    category, also at the same time.
    """

    needed_spaces: ClassVar[tuple[SpaceName, ...]] = ()

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
            Features, known labels, the trained row and the objective. With
            validation labels the answer is the iteration that scores best on them,
            the trained row included; with ``n_iter`` it is that iteration.

        Returns
        -------
        fit : RowFit
            The refitted row.
        """
