"""Hold out known labels, cell by cell, for choosing a refit."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cftlearn.labels import PartialLabels, resolve_labels


def hold_out_labels(
    labels: PartialLabels, fraction: float, seeds: NDArray[np.integer]
) -> tuple[PartialLabels, PartialLabels]:
    """Split every category's known labels into fitted and held-out ones.

    Parameters
    ----------
    labels : PartialLabels
        All labels.
    fraction : float
        Share in (0, 1) of the known positives, and of the known negatives, to hold
        out: at least one of each where there are two, none where there is one.
    seeds : ndarray of shape (n_categories,), int
        One seed per category, so that no category depends on another.

    Returns
    -------
    fitted, held_out : PartialLabels
        Of the same shape; a known cell is known in exactly one of them.
    """
    held = np.zeros(labels.known.shape, dtype=bool)
    for j, seed in enumerate(seeds):
        rng = np.random.default_rng(seed)
        for state in (0.0, 1.0):
            rows = np.flatnonzero(labels.values[:, j] == state)
            n_held = int(np.clip(round(fraction * len(rows)), 1, max(len(rows) - 1, 0)))
            held[rng.permutation(rows)[:n_held], j] = True
    return _only(labels, ~held), _only(labels, held)


def deal_labels(
    labels: PartialLabels, n_folds: int, seeds: NDArray[np.integer]
) -> NDArray[np.intp]:
    """Deal every category's known positives, and its known negatives, to folds.

    Parameters
    ----------
    labels : PartialLabels
        All labels.
    n_folds : int
        How many folds, 2 or more.
    seeds : ndarray of shape (n_categories,), int
        One seed per category, so that no category depends on another.

    Returns
    -------
    folds : ndarray of shape (n_samples, n_categories), int
        From 0; -1 where a label is unknown. Of either class the folds of a category
        differ in size by at most one.
    """
    folds = np.full(labels.known.shape, -1, dtype=np.intp)
    for j, seed in enumerate(seeds):
        rng = np.random.default_rng(seed)
        for state in (0.0, 1.0):
            rows = np.flatnonzero(labels.values[:, j] == state)
            folds[rng.permutation(rows), j] = np.arange(len(rows)) % n_folds
    return folds


def stage_one_targets(
    fitted: PartialLabels, held_out: PartialLabels | None, *, unknown: str = "negative"
) -> NDArray[np.float64]:
    """Resolve unknown labels for stage one: negatives, or left out.

    Parameters
    ----------
    fitted : PartialLabels
        What may be fitted.
    held_out : PartialLabels or None
        Known labels of the same rows that stage one must not see in any way.
    unknown : {"negative", "ignore"}, default="negative"
        What unknown labels become.

    Returns
    -------
    targets : ndarray of shape (n_samples, n_categories), float64
        1, 0, or NaN for cells to leave out.
    """
    blank: Literal["negative", "unknown"] = (
        "negative" if unknown == "negative" else "unknown"
    )
    targets: NDArray[np.float64] = resolve_labels(fitted.values, blank=blank)
    if held_out is not None:
        targets[held_out.known] = np.nan
    return targets


def _only(labels: PartialLabels, cells: NDArray[np.bool_]) -> PartialLabels:
    known = labels.known & cells
    return PartialLabels(
        np.where(known, labels.values, np.nan), known, labels.categories
    )
