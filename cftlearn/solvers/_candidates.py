"""Candidates for the weights of a category, and the protocol of their families."""

from abc import ABCMeta, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cftlearn._features._principal_axes import Coordinates, FeatureSpace, SpaceName
from cftlearn.solvers._left_out import LeftOutEvidence
from cftlearn.solvers._penalised_paths import JointFit
from cftlearn.solvers._protocol import CategoryProblem, KnownRows

Scaling = Literal["standard", "tempered", "decorrelated"]

SPACES: dict[Scaling, SpaceName] = {  # in whose coordinates a scaling is expressed
    "standard": "standard",
    "tempered": "tempered",
    "decorrelated": "standard",
}


@dataclass(frozen=True)
class Candidate:
    """A way to fit the weights of a category.

    Candidates of different categories that are equal share their evidence.

    Attributes
    ----------
    family : str
        Name of its family.
    scaling, unknown_weight, spread
        As in :class:`ProximalSolver`; ``"standard"``, 0 and 1 where a family does
        without them.
    log_prior : float
        How plausible it is before any label is seen, in nats; 0 for a typical one.
    independent : bool
        Whether it does without the initial weights. Only then can labels that these
        were fitted to judge it.
    """

    family: str
    scaling: Scaling
    unknown_weight: float
    spread: float
    log_prior: float
    independent: bool

    def __str__(self) -> str:
        """Describe it in one line."""
        return (
            f"{self.scaling} features {self.family}, "
            f"unknown weight {self.unknown_weight:g}, spread {self.spread:g}"
        )


Path = list[Candidate]  # of one family, scaling and background, by rising spread


class CandidateGrid(NamedTuple):
    """The parameters of a solver that families combine.

    Attributes
    ----------
    scalings : list of str
        Scales of features.
    unknown_weights : list of float
        Weights of the background.
    spreads : list of float
        How widely logits vary before any label is seen.
    """

    scalings: list[Scaling]
    unknown_weights: list[float]
    spreads: list[float]


@dataclass(frozen=True)
class LabelsToFit:
    """One category's labels, and what its families share.

    Attributes
    ----------
    problem : CategoryProblem
        The initial weights and the background.
    known : KnownRows
        Labels to fit.
    weight : ndarray of shape (n_known,)
        Their weights.
    spaces : dict of str to FeatureSpace
        Principal axes of the scaled features.
    coordinates : dict of str to Coordinates
        The known rows in these spaces and, as the last row, the mean of the rows with
        unknown labels.
    joint : JointFit
        Fits penalised regressions of all families together.
    """

    problem: CategoryProblem
    known: KnownRows
    weight: NDArray[np.float64]
    spaces: dict[SpaceName, FeatureSpace]
    coordinates: dict[SpaceName, Coordinates]
    joint: JointFit


@dataclass(frozen=True)
class FittedPath:
    """The candidates of one path, fitted.

    Attributes
    ----------
    candidates : list of Candidate
        In the order of the weights below.
    coef, intercept : ndarray of shape (n_candidates, n_features), (n_candidates,)
        Weights and biases in the scale of the features.
    spread : ndarray of shape (n_candidates,)
        Standard deviation of their logits over all rows of features.
    evidence : LeftOutEvidence
        How they rank labels without having been fitted to them.
    """

    candidates: Path
    coef: NDArray[np.float64]
    intercept: NDArray[np.float64]
    spread: NDArray[np.float64]
    evidence: LeftOutEvidence


class CandidateFamily(metaclass=ABCMeta):
    """Protocol of a family of candidates, which `auto` and the proximal solver read.

    A new family is a class with two methods and a line in
    :data:`cftlearn.solvers._families.FAMILIES`. ``solver="auto"`` then pools the
    evidence of its candidates over categories, and averages them with the others.

    Attributes
    ----------
    name : str
        What reports call it, after the scaling of features.
    independent : bool
        Whether it does without the initial weights.
    """

    name: ClassVar[str]
    independent: ClassVar[bool]

    @abstractmethod
    def paths(self, problem: CategoryProblem, grid: CandidateGrid) -> list[Path]:
        """List the candidates that can be fitted to the labels of a problem.

        Parameters
        ----------
        problem : CategoryProblem
            Its labels may lack a class.
        grid : CandidateGrid
            What to combine.

        Returns
        -------
        paths : list of list of Candidate
            Candidates that are fitted at once; none where labels are too few.
        """

    @abstractmethod
    def start(self, path: Path, labels: LabelsToFit) -> Callable[[], FittedPath]:
        """Begin to fit a path.

        Parameters
        ----------
        path : list of Candidate
            One that :meth:`paths` returned, or a part of it.
        labels : LabelsToFit
            What to fit. A family that solves penalised regressions adds them to
            ``labels.joint``.

        Returns
        -------
        finish : callable
            Returns the fitted path. It is called when all paths have begun, so that
            regressions of all families are solved together.
        """
