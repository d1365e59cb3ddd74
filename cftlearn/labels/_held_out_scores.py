"""Scores of held-out labels by weights that were not fitted to them."""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from cftlearn.labels._encoding import PartialLabels


class HeldOutColumn(NamedTuple):
    """The labels of one category that judged its refit, and their scores.

    Attributes
    ----------
    rows : ndarray of shape (n_held_out,), int
        Their rows of the validation features, ascending.
    y : ndarray of shape (n_held_out,), bool
        The labels.
    logits : ndarray of shape (n_held_out,), float64
        Scores by weights that were not fitted to these labels.
    """

    rows: NDArray[np.intp]
    y: NDArray[np.bool_]
    logits: NDArray[np.float64]


class HeldOutScores(NamedTuple):
    """The held-out labels of all categories; calibration is fitted on them.

    Attributes
    ----------
    n_rows : int
        Number of rows of the validation features.
    columns : list of HeldOutColumn
        One per category.
    """

    n_rows: int
    columns: list[HeldOutColumn]

    @classmethod
    def from_logits(
        cls, held_out: PartialLabels, logits: list[NDArray[np.float64]]
    ) -> Self:
        """Combine held-out labels with the logits of each category."""
        columns = [
            HeldOutColumn(*held_out.of_category(j), own) for j, own in enumerate(logits)
        ]
        return cls(len(held_out.values), columns)
