"""Labels and scores of the same cells, read together."""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cftlearn.labels._encoding import PartialLabels, check_partial_labels
from cftlearn.labels._names import (
    check_columns,
    check_same_rows,
    column_names,
    order_of,
)
from cftlearn.labels._plain_arrays import read_numbers

_TABLE_HINT = (
    "A list of arrays from predict_proba of a multi-output classifier becomes one "
    "table with np.column_stack([p[:, 1] for p in scores])."
)


class CategoryScores(NamedTuple):
    """Scores of one category's cells, by what is known of them.

    Attributes
    ----------
    positive, negative, unknown : ndarray of shape (n_cells,), float64
        Scores of the known positives, the known negatives, and the unknown labels.
    is_scored : bool
        Whether there are scores; if not, they are NaN.
    """

    positive: NDArray[np.float64]
    negative: NDArray[np.float64]
    unknown: NDArray[np.float64]
    is_scored: bool

    @classmethod
    def of(cls, scores: NDArray[np.float64], values: NDArray[np.float64]) -> Self:
        """Sort one column's scores by its labels, of which NaN are unknown."""
        parts = (scores[values == 1.0], scores[values == 0.0], scores[np.isnan(values)])
        return cls(*parts, bool(not np.isnan(scores[:1]).any()))

    @property
    def known(self) -> NDArray[np.float64]:
        """Scores of all known labels."""
        return np.concatenate([self.positive, self.negative])


def read_scored_labels(
    scores: ArrayLike, y: ArrayLike
) -> tuple[NDArray[np.float64], PartialLabels]:
    """Read a table of labels, and a score of every cell.

    Parameters
    ----------
    scores : array-like of shape (n_samples, n_categories)
        Finite numbers. A category of which all are NaN has no scores, as one that a
        model was fitted without a label of.
    y : array-like of shape (n_samples, n_categories)
        Labels in any form that ``check_partial_labels`` accepts.

    Returns
    -------
    scores : ndarray of shape (n_samples, n_categories), float64
        The scores.
    labels : PartialLabels
        The labels.

    Raises
    ------
    TypeError, ValueError
        If labels or scores are not accepted, or shapes, names of columns or row labels
        differ.
    """
    check_same_rows(y=y, scores=scores)
    labels = check_partial_labels(y)
    expected = column_names(y)
    if expected is not None:
        check_columns(
            scores,
            expected,
            name="scores",
            owner="the columns of `y`",
            order=order_of(y, "y"),
        )
    table = read_numbers(scores, "scores", hint=_TABLE_HINT).astype(np.float64)
    if table.shape != labels.values.shape:
        hint = "Score the rows and categories of y, in their order."
        raise ValueError(
            f"`scores` must have the shape of `y`, {labels.values.shape}; got "
            f"{table.shape}. {_TABLE_HINT if table.ndim == 3 else hint}"
        )
    wrong = ~np.isfinite(table)
    wrong[:, np.isnan(table).all(axis=0)] = False
    if wrong.any():
        row, column = (int(i) for i in np.argwhere(wrong)[0])
        n_wrong = np.count_nonzero(wrong)
        shown = "1 such cell" if n_wrong == 1 else f"{n_wrong} such cells"
        raise ValueError(
            f"`scores` must be finite numbers; got {table[row, column]} in category "
            f"{str(labels.categories[column])!r}, row {row} ({shown}). Cells with "
            "unknown labels need scores too; only a category that the model cannot "
            "score may be NaN, in all rows."
        )
    return table, labels
