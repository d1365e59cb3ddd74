"""The coordinates in which a solver moves weights: raw, or free of any scale."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cftlearn.solvers._protocol import AnyRows, CategoryProblem, KnownRows


@dataclass(frozen=True)
class WeightSpace:
    """An affine change of features and the change of weights that undoes it.

    With ``z' = (z - mean) / scale`` the weights ``w, b`` give the same logits as
    ``w' = w * scale, b' = b + w . mean``.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def standard(cls, problem: CategoryProblem) -> "WeightSpace":
        """Features of mean 0 and standard deviation 1 over all rows."""
        return cls(problem.feature_mean, problem.feature_scale)

    @classmethod
    def raw(cls, problem: CategoryProblem) -> "WeightSpace":
        """Features as they are."""
        return cls(np.zeros_like(problem.coef), np.ones_like(problem.coef))

    def rows(self, known: AnyRows, *, order: Literal["C", "F"] = "C") -> KnownRows:
        """Express features in these coordinates, in their own precision.

        With ``order="F"`` features lie column by column, and few vectors of weights
        are multiplied with them.
        """
        features, y = known
        Z = np.empty(features.shape, dtype=features.dtype, order=order)
        return KnownRows(self.express(features, out=Z), y, known.weight)

    def express(
        self,
        Z: NDArray[np.floating[Any]],
        out: NDArray[np.floating[Any]] | None = None,
    ) -> NDArray[np.floating[Any]]:
        """Express features in these coordinates, in place or in ``out``."""
        out = Z if out is None else out
        np.subtract(Z, self.mean.astype(out.dtype), out=out)
        out /= self.scale.astype(out.dtype)
        return out

    def enter(
        self, coef: NDArray[np.float64], intercept: float
    ) -> tuple[NDArray[np.float64], float]:
        """Express a user's weights in these coordinates."""
        return coef * self.scale, intercept + float(coef @ self.mean)

    def leave(
        self, coef: NDArray[np.floating[Any]], intercept: float
    ) -> tuple[NDArray[np.float64], float]:
        """Express weights in the user's scale again."""
        weights = coef.astype(np.float64) / self.scale
        return weights, float(intercept) - float(weights @ self.mean)


def padded_width(n_features: int) -> int:
    """Count features and the bias, up to a multiple of four."""
    return -(-(n_features + 1) // 4) * 4
