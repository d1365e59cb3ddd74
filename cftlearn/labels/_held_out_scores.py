"""What rows say of labels that they did not see, kept for calibration."""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from cftlearn.labels import PartialLabels


class HeldOutColumn(NamedTuple):
    """Labels of one category that judged its refit, and what is said of them.

    Attributes
    ----------
    rows : ndarray of shape (n_held_out,), int
        Where they are among the rows of the validation features.
    y : ndarray of shape (n_held_out,), bool
        Labels.
    logits : ndarray of shape (n_held_out,), float64
        By a row that was not fitted to them.
    """

    rows: NDArray[np.intp]
    y: NDArray[np.bool_]
    logits: NDArray[np.float64]


class HeldOutScores(NamedTuple):
    """The held-out labels of all categories.

    Attributes
    ----------
    n_rows : int
        Rows of the validation features.
    columns : list of HeldOutColumn
        One per category.
    """

    n_rows: int
    columns: list[HeldOutColumn]

    @classmethod
    def of(cls, held_out: PartialLabels, logits: list[NDArray[np.float64]]) -> Self:
        """Put the logits of every category beside its labels."""
        columns = []
        for values, own in zip(held_out.values.T, logits, strict=True):
            rows = np.flatnonzero(~np.isnan(values))
            columns.append(HeldOutColumn(rows, values[rows] == 1.0, own))
        return cls(len(held_out.values), columns)
