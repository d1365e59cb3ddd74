"""Scores of held-out labels by weights that were not fitted to them."""

from collections.abc import Sequence
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
    weight : ndarray of shape (n_held_out,), float64, or None
        How much each label counts; None if all count alike.
    """

    rows: NDArray[np.intp]
    y: NDArray[np.bool_]
    logits: NDArray[np.float64]
    weight: NDArray[np.float64] | None = None


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
        cls,
        held_out: PartialLabels,
        logits: list[NDArray[np.float64]],
        weights: Sequence[NDArray[np.float64] | None] | None = None,
    ) -> Self:
        """Combine held-out labels with the logits of each category, and weights."""
        own_weights = [None] * len(logits) if weights is None else weights
        columns = [
            HeldOutColumn(known.rows, known.y, own, weight)
            for known, own, weight in zip(
                map(held_out.of_category, range(len(logits))),
                logits,
                own_weights,
                strict=True,
            )
        ]
        return cls(len(held_out.values), columns)

    def among_rows(self, rows: NDArray[np.intp] | None, n_rows: int) -> Self:
        """Return the same scores by the numbers that rows had before a choice of them.

        Parameters
        ----------
        rows : ndarray of int, or None
            The rows that were chosen; None if all were.
        n_rows : int
            How many there were.

        Returns
        -------
        scores : HeldOutScores
            With other row numbers.
        """
        if rows is None:
            return self
        columns = [own._replace(rows=rows[own.rows]) for own in self.columns]
        return type(self)(n_rows, columns)
