"""The families of candidates, and the fit of all of them to one category."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from cftlearn._features._principal_axes import FeatureSpace, SpaceName, make_coordinates
from cftlearn.solvers._candidates import (
    SPACES,
    CandidateFamily,
    CandidateGrid,
    FittedPath,
    LabelsToFit,
    Path,
)
from cftlearn.solvers._penalised_families import TowardInitialWeights, TowardZero
from cftlearn.solvers._penalised_paths import JointFit
from cftlearn.solvers._protocol import CategoryProblem, KnownRows

# By their names in the solver's parameter `toward`. A family that is added here takes
# part in `solver="auto"`.
FAMILIES: dict[str, CandidateFamily] = {
    "zero": TowardZero(),
    "row": TowardInitialWeights(),
}


def independent_families() -> tuple[str, ...]:
    """Name the families that do without the initial weights."""
    return tuple(name for name, family in FAMILIES.items() if family.independent)


def list_paths(
    families: Sequence[str], problem: CategoryProblem, grid: CandidateGrid
) -> list[tuple[CandidateFamily, Path]]:
    """List what some families can fit to the labels of a problem.

    Parameters
    ----------
    families : sequence of str
        Keys of ``FAMILIES``; their order does not matter.
    problem : CategoryProblem
        Its labels may lack a class.
    grid : CandidateGrid
        What families combine.

    Returns
    -------
    paths : list of (CandidateFamily, list of Candidate)
        Paths on one matrix are neighbours, so that one product serves them all.
    """
    paths = [
        (family, path)
        for name, family in FAMILIES.items()
        if name in families
        for path in family.paths(problem, grid)
    ]
    order = {scaling: k for k, scaling in enumerate(grid.scalings)}
    return sorted(
        paths,
        key=lambda own: (SPACES[own[1][0].scaling], order.get(own[1][0].scaling, -1)),
    )


def fit_families(
    paths: list[tuple[CandidateFamily, Path]],
    problem: CategoryProblem,
    known: KnownRows,
    weight: NDArray[np.float64],
    parts: NDArray[np.intp] | None = None,
) -> Iterator[FittedPath]:
    """Fit paths to known labels, all of them together.

    Parameters
    ----------
    paths : list of (CandidateFamily, list of Candidate)
        Of :func:`list_paths`.
    problem : CategoryProblem
        The initial weights, spaces and background.
    known : KnownRows
        Labels to fit.
    weight : ndarray of shape (n_known,)
        Their weights.
    parts : ndarray of shape (n_known,), int, default=None
        Rows of equal number are left out together. None leaves them out one by one
        where that is cheap.

    Yields
    ------
    fitted : FittedPath
        One after the other; what an earlier one holds can be freed by then.
    """
    if not paths:
        return
    names = dict.fromkeys(SPACES[path[0].scaling] for _, path in paths)
    spaces = {name: space_of(problem, name) for name in names}
    # without a background its row has weight 0, and may be anything
    unknown = problem.unknown
    mean = known.Z.mean(axis=0) if unknown is None else unknown.mean
    coordinates = make_coordinates([known.Z, mean[np.newaxis]], spaces)
    labels = LabelsToFit(problem, known, weight, spaces, coordinates, JointFit(parts))
    started = [family.start(path, labels) for family, path in paths]
    for finish in started:
        yield finish()


def space_of(problem: CategoryProblem, name: SpaceName) -> FeatureSpace:
    """Return a space of a problem, which must have it."""
    if name not in problem.spaces:
        raise ValueError(
            f"`problem.spaces` must hold {name!r}, which this solver needs; got "
            f"{list(problem.spaces)}. Make it by make_feature_spaces."
        )
    return problem.spaces[name]
