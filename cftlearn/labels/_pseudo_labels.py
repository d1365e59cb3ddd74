"""Pseudo-labels from outside: how they, and their weights, are read."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cftlearn.labels._encoding import PartialLabels, refuse_containers
from cftlearn.labels._names import check_columns, check_same_rows
from cftlearn.labels._plain_arrays import read_numbers


class PseudoTargets(NamedTuple):
    """Targets of unknown cells that come from outside.

    Attributes
    ----------
    values : ndarray of shape (n_samples, n_categories), float32
        In [0, 1]; NaN where there is none.
    weights : ndarray of shape (n_samples, n_categories), float32
        How much each counts beside a known label's 1; 0 where there is none.
    """

    values: NDArray[np.float32]
    weights: NDArray[np.float32]

    @property
    def cells(self) -> NDArray[np.bool_]:
        """Which cells have a target."""
        return self.weights > 0

    def restricted_to(self, cells: NDArray[np.bool_]) -> "PseudoTargets":
        """Return the targets of some cells; all others have none."""
        kept = self.cells & cells
        return PseudoTargets(
            np.where(kept, self.values, np.float32("nan")),
            np.where(kept, self.weights, np.float32(0)),
        )


def no_pseudo(shape: tuple[int, ...]) -> PseudoTargets:
    """Return a table without any pseudo-label."""
    return PseudoTargets(
        np.full(shape, np.nan, dtype=np.float32), np.zeros(shape, dtype=np.float32)
    )


def read_pseudo_labels(
    pseudo_labels: ArrayLike | None,
    pseudo_weight: Any,
    y: ArrayLike,
    labels: PartialLabels,
) -> PseudoTargets | None:
    """Read the pseudo-labels that a user passed with ``y``, and their weights.

    Parameters
    ----------
    pseudo_labels : array-like or DataFrame of shape (n_samples, n_categories), or None
        Targets in [0, 1]; NaN where there is none.
    pseudo_weight : array-like or None
        One number; one per row, of shape (n_samples,); or one per cell, of shape
        (n_samples, n_categories). None is 1.
    y : array-like
        The labels as they were passed, whose names of rows are compared.
    labels : PartialLabels
        The labels as they were read.

    Returns
    -------
    targets : PseudoTargets or None
        Those of a weight above 0; None if there are none.

    Raises
    ------
    TypeError, ValueError
        If they are no such numbers, have another shape or other names than ``y``, or
        one of them is on a cell whose label is known; or if there are weights alone.
    """
    if pseudo_labels is None:
        if pseudo_weight is not None:
            raise ValueError(
                "`pseudo_weight` needs `pseudo_labels`, whose weight it is; got "
                "pseudo_labels=None. Pass both, or pseudo_weight=None."
            )
        return None
    values = read_probabilities(pseudo_labels, y, labels, "pseudo_labels")
    refuse_known(values, labels, "y")
    weights = _read_weight(pseudo_weight, values, y, labels)
    if not weights.any():
        return None
    kept = np.where(weights > 0, values, np.nan)
    return PseudoTargets(kept.astype(np.float32), weights.astype(np.float32))


def refuse_known(
    values: NDArray[np.floating[Any]], labels: PartialLabels, name: str
) -> None:
    """Refuse pseudo-labels of cells whose label is known.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_categories)
        Pseudo-labels; NaN where there is none.
    labels : PartialLabels
        Labels of the same rows.
    name : str
        How errors call the labels.

    Raises
    ------
    ValueError
        If there is one.
    """
    both = labels.known & ~np.isnan(values)
    if not both.any():
        return
    row, j = (int(i) for i in np.argwhere(both)[0])
    n_both = int(both.sum())
    raise ValueError(
        f"`pseudo_labels` must be NaN where `{name}` is known; got "
        f"{'1 number' if n_both == 1 else f'{n_both} numbers'} beside a known label, "
        f"the first {values[row, j]:g} in category {str(labels.categories[j])!r}, row "
        f"{row}, where `{name}` is {labels.values[row, j]:g}. Pass numpy.where("
        f"cftlearn.labels.known_mask({name}), numpy.nan, pseudo_labels)."
    )


def read_probabilities(
    values: Any, y: ArrayLike, labels: PartialLabels, name: str
) -> NDArray[np.float64]:
    """Read numbers in [0, 1], or NaN, one for each cell of ``y``.

    Parameters
    ----------
    values : array-like or DataFrame of shape (n_samples, n_categories)
        What a user passed.
    y, labels
        The labels as they were passed, and as they were read.
    name : str
        How errors call the values.

    Returns
    -------
    values : ndarray of shape (n_samples, n_categories), float64
        A new array.

    Raises
    ------
    TypeError, ValueError
        If they are no such numbers, or have another shape or other names than ``y``.
    """
    refuse_containers(values, name)
    check_same_rows(**{"y": y, name: values})
    check_columns(
        values,
        labels.categories,
        name=name,
        owner="the categories of `y`",
        order="y.columns",
        numbers_are_names=False,
    )
    read = read_numbers(values, name).astype(np.float64)
    if read.shape != labels.values.shape:
        raise ValueError(
            f"`{name}` must have one number for each cell of `y`, shape "
            f"{labels.values.shape}; got shape {read.shape}. Write NaN for cells "
            "without one."
        )
    wrong = ~((read >= 0) & (read <= 1)) & ~np.isnan(read)
    if wrong.any():
        row, j = (int(i) for i in np.argwhere(wrong)[0])
        n_wrong = int(wrong.sum())
        raise ValueError(
            f"`{name}` must hold numbers in [0, 1] or NaN; got {read[row, j]:g} in "
            f"category {str(labels.categories[j])!r}, row {row} ({n_wrong} such "
            f"{'cell' if n_wrong == 1 else 'cells'}). Turn logits into probabilities "
            "with scipy.special.expit."
        )
    return read


def _read_weight(
    pseudo_weight: Any,
    values: NDArray[np.float64],
    y: ArrayLike,
    labels: PartialLabels,
) -> NDArray[np.float64]:
    """Read how much each pseudo-label counts; 0 where there is none."""
    name, (n_rows, n_columns) = "pseudo_weight", values.shape
    has_one = ~np.isnan(values)
    if pseudo_weight is None:
        return has_one.astype(np.float64)
    check_same_rows(y=y, pseudo_weight=pseudo_weight)
    if np.ndim(pseudo_weight) == 2:
        check_columns(
            pseudo_weight,
            labels.categories,
            name=name,
            owner="the categories of `y`",
            order="y.columns",
            numbers_are_names=False,
        )
    read = read_numbers(pseudo_weight, name).astype(np.float64)
    if read.shape not in ((), (n_rows,), (n_rows, n_columns)):
        raise ValueError(
            f"`{name}` must be one number, or one per row, shape ({n_rows},), or one "
            f"per cell, shape ({n_rows}, {n_columns}); got shape {read.shape}. For one "
            "per category, pass numpy.tile(weights, (len(y), 1))."
        )
    weights = np.where(has_one, read[:, None] if read.ndim == 1 else read, 0.0)
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    if wrong.any():
        row, j = (int(i) for i in np.argwhere(wrong)[0])
        n_wrong = int(wrong.sum())
        raise ValueError(
            f"`{name}` must be finite and 0 or more; got {weights[row, j]:g} in "
            f"category {str(labels.categories[j])!r}, row {row} ({n_wrong} such "
            f"{'cell' if n_wrong == 1 else 'cells'}). Pass 0 for a pseudo-label that "
            "must not count."
        )
    return weights
