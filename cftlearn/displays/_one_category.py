"""The known labels and the probabilities of one category."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cftlearn.displays._axes import read_names
from cftlearn.exceptions import list_some
from cftlearn.labels import PartialLabels
from cftlearn.labels._names import check_new_names, column_names
from cftlearn.metrics._partial import read_pair


class KnownCells(NamedTuple):
    """Known labels beside their probabilities.

    Attributes
    ----------
    y : ndarray of shape (n_known,), bool
        Labels.
    proba : ndarray of shape (n_known,), float64
        Probabilities of the positive class.
    """

    y: NDArray[np.bool_]
    proba: NDArray[np.float64]


def read_probabilities(
    y_true: ArrayLike, y_proba: ArrayLike, categories: ArrayLike | None
) -> tuple[PartialLabels, NDArray[np.float64]]:
    """Check labels and probabilities, and the names of their columns."""
    labels, proba = read_pair(y_true, y_proba, "probability")
    if categories is not None:
        names = read_names(categories)
        if len(names) != len(labels.categories):
            raise ValueError(
                f"`categories` must name every column of `y_true`; got {len(names)} "
                f"names for {len(labels.categories)} columns."
            )
        check_new_names(names, column_names(y_true), "y_true")
        labels = labels._replace(categories=names)
    return labels, np.asarray(proba, dtype=np.float64)


def index_of(category: object, names: NDArray[np.object_]) -> int:
    """Return the index of a category; columns without names are called by number.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    matching = np.flatnonzero([str(name) == str(category) for name in names])
    if len(matching) != 1:
        raise ValueError(
            f"`category` must name one of the categories; got {category!r}. There are: "
            f"{list_some([repr(str(name)) for name in names], 20)}."
        )
    return int(matching[0])


def known_cells(
    labels: PartialLabels, proba: NDArray[np.float64], index: int | None
) -> KnownCells:
    """Take the known labels of a category, or of all of them."""
    columns = slice(None) if index is None else slice(index, index + 1)
    known = labels.known[:, columns]
    y = labels.values[:, columns][known] == 1.0
    return KnownCells(y, proba[:, columns][known])
