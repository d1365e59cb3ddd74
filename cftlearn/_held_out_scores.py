"""What rows say of labels that they did not see, kept for calibration."""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from cftlearn.labels import PartialLabels


class HeldOutScores(NamedTuple):
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

    @classmethod
    def of_columns(
        cls, held_out: PartialLabels, logits: list[NDArray[np.float64]]
    ) -> list[Self]:
        """Put the logits of every category beside its labels."""
        scores = []
        for values, known, own in zip(
            held_out.values.T, held_out.known.T, logits, strict=True
        ):
            rows = np.flatnonzero(known)
            scores.append(cls(rows, values[rows] == 1.0, own))
        return scores
