"""Pseudo-labels from outside: how they, and their weights, are read."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cftlearn.labels._encoding import PartialLabels, refuse_containers
from cftlearn.labels._names import check_columns, check_same_rows
from cftlearn.labels._plain_arrays import read_numbers

_ALL_WEIGHTS = (
    "one number, one per row of shape ({n_rows},), or one per cell of shape "
    "({n_rows}, {n_columns})"
)


def read_pseudo_labels(
    pseudo_labels: ArrayLike, y: ArrayLike, labels: PartialLabels
) -> NDArray[np.float64]:
    """Read the pseudo-labels that a user passed with ``y``.

    Parameters
    ----------
    pseudo_labels : array-like or DataFrame of shape (n_samples, n_categories)
        Targets in [0, 1]; NaN where there is none.
    y : array-like
        The labels as they were passed, whose names of rows are compared.
    labels : PartialLabels
        The labels as they were read.

    Returns
    -------
    targets : ndarray of shape (n_samples, n_categories), float64
        NaN where there is none.

    Raises
    ------
    TypeError, ValueError
        If they are no such numbers, have another shape or other names than ``y``, or
        one of them is on a cell whose label is known.
    """
    targets = read_probabilities(pseudo_labels, y, labels, "pseudo_labels")
    both = labels.known & ~np.isnan(targets)
    if both.any():
        row, j = (int(i) for i in np.argwhere(both)[0])
        n_both = int(both.sum())
        cells = "1 cell" if n_both == 1 else f"{n_both} cells"
        raise ValueError(
            "`pseudo_labels` must be NaN where `y` is known; got a number in "
            f"{cells} with a known label, the first {targets[row, j]:g} in category "
            f"{str(labels.categories[j])!r}, row {row}, where `y` is "
            f"{labels.values[row, j]:g}. Pass numpy.where("
            "cftlearn.labels.known_mask(y), numpy.nan, pseudo_labels)."
        )
    return targets


def read_probabilities(
    values: Any, y: ArrayLike, labels: PartialLabels, name: str
) -> NDArray[np.float64]:
    """Read numbers in [0, 1], or NaN, one for each cell of ``y``.

    Parameters
    ----------
    values : array-like or DataFrame of shape (n_samples, n_categories)
        What a user passed.
    y, labels
        As in :func:`read_pseudo_labels`.
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


def read_pseudo_weight(
    pseudo_weight: Any,
    targets: NDArray[np.float64],
    y: ArrayLike,
    labels: PartialLabels,
) -> NDArray[np.float64]:
    """Read how much pseudo-labels count.

    Parameters
    ----------
    pseudo_weight : array-like or None
        One number; one per row, of shape (n_samples,); or one per cell, of shape
        (n_samples, n_categories). None is 1.
    targets : ndarray of shape (n_samples, n_categories)
        The pseudo-labels, as they were read.
    y, labels
        As in :func:`read_pseudo_labels`.

    Returns
    -------
    weights : ndarray of shape (n_samples, n_categories), float64
        0 where there is no pseudo-label.

    Raises
    ------
    TypeError, ValueError
        If a weight is negative or not finite, or they have another shape.
    """
    name = "pseudo_weight"
    if pseudo_weight is None:
        pseudo_weight = 1.0
    check_same_rows(y=y, pseudo_weight=pseudo_weight)
    is_single = isinstance(pseudo_weight, (int, float, np.number))
    if not is_single:
        refuse_containers(pseudo_weight, name)
        check_columns(
            pseudo_weight,
            labels.categories,
            name=name,
            owner="the categories of `y`",
            order="y.columns",
            numbers_are_names=False,
        )
    read = np.asarray(
        read_numbers(np.asarray(pseudo_weight) if is_single else pseudo_weight, name),
        dtype=np.float64,
    )
    n_rows, n_columns = targets.shape
    if read.shape not in ((), (n_rows,), (n_rows, n_columns)):
        shapes = _ALL_WEIGHTS.format(n_rows=n_rows, n_columns=n_columns)
        raise ValueError(
            f"`{name}` must be {shapes}; got shape {read.shape}. One weight per "
            "category is numpy.broadcast_to(weights, pseudo_labels.shape)."
        )
    spread = read[:, None] if read.ndim == 1 else read
    weights = np.where(np.isnan(targets), 0.0, spread)
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    if wrong.any():
        row, j = (int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"`{name}` must be finite and 0 or more where there is a pseudo-label; got "
            f"{weights[row, j]:g} in category {str(labels.categories[j])!r}, row {row} "
            f"({int(wrong.sum())} such cells). Pass 0 for a pseudo-label that is not "
            "to count."
        )
    return weights
