"""Which known labels are fitted, and which only choose: decided once, here."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cftlearn.labels._encoding import PartialLabels

CLASSES = (0.0, 1.0)


class TrainingTargets(NamedTuple):
    """What a network is trained on.

    Attributes
    ----------
    values : ndarray of shape (n_samples, n_categories), float64
        1, 0, or NaN for cells that are no known label.
    unknown : ndarray of shape (n_samples, n_categories), bool, or None
        Cells that a treatment of unknown labels adds to the loss; None without one.
    soft : ndarray of shape (n_samples, n_categories), float32, or None
        Probabilities that their labels are positive; None where the treatment does
        without.
    """

    values: NDArray[np.float64]
    unknown: NDArray[np.bool_] | None = None
    soft: NDArray[np.float32] | None = None


class LabelSplit(NamedTuple):
    """Known labels to fit, and known labels that only choose among fits.

    Attributes
    ----------
    fitted : PartialLabels
        Labels to fit, of the rows of the features.
    held_out : PartialLabels
        Labels to choose by, of the same rows or of others. No cell of the same rows is
        known in both.
    same_rows : bool
        True if both are labels of the same rows.
    """

    fitted: PartialLabels
    held_out: PartialLabels
    same_rows: bool

    def unknown_cells(self) -> NDArray[np.bool_]:
        """Return the cells of the rows to fit whose label is unknown altogether."""
        unknown = ~self.fitted.known
        return unknown & ~self.held_out.known if self.same_rows else unknown

    def all_of_rows(self) -> PartialLabels:
        """Return all known labels of the rows to fit."""
        if not self.same_rows:
            return self.fitted
        known = self.fitted.known | self.held_out.known
        values = np.where(self.held_out.known, self.held_out.values, self.fitted.values)
        return PartialLabels(values, known, self.fitted.categories)

    def targets(
        self, unknown: Literal["negative", "ignore"] = "negative"
    ) -> NDArray[np.float64]:
        """Return what stage one is fitted to; held-out labels are left out of it.

        Parameters
        ----------
        unknown : {"negative", "ignore"}, default="negative"
            What unknown labels become: 0, or NaN.

        Returns
        -------
        targets : ndarray of shape (n_samples, n_categories), float64
            1, 0, or NaN for cells to leave out.
        """
        filler = 0.0 if unknown == "negative" else np.nan
        targets = np.where(self.fitted.known, self.fitted.values, filler)
        if self.same_rows:
            # To stage one a held-out label is not even unknown: as a negative it would
            # be known to be wrong or right.
            targets[self.held_out.known] = np.nan
        return targets


def split_labels(
    labels: PartialLabels, fraction: float, seeds: NDArray[np.integer]
) -> LabelSplit:
    """Hold out a share of every category's known labels, cell by cell.

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
    split : LabelSplit
        Of the same rows; each known label is in exactly one part.
    """
    held_out = np.zeros(labels.known.shape, dtype=bool)
    for j, seed in enumerate(seeds):
        rng = np.random.default_rng(seed)
        for one_class in CLASSES:
            rows = np.flatnonzero(labels.values[:, j] == one_class)
            n_held_out = round(fraction * len(rows))
            n_held_out = int(np.clip(n_held_out, 1, max(len(rows) - 1, 0)))
            held_out[rng.permutation(rows)[:n_held_out], j] = True
    return LabelSplit(
        labels.restricted_to(~held_out), labels.restricted_to(held_out), same_rows=True
    )


def sample_cells(
    cells: NDArray[np.bool_], fraction: float, seeds: NDArray[np.integer]
) -> NDArray[np.bool_]:
    """Draw a share of every category's cells.

    Parameters
    ----------
    cells : ndarray of shape (n_samples, n_categories), bool
        Cells to draw from.
    fraction : float
        Share in (0, 1).
    seeds : ndarray of shape (n_categories,), int
        One seed per category, so that no category depends on another.

    Returns
    -------
    drawn : ndarray of shape (n_samples, n_categories), bool
        A part of ``cells``.
    """
    drawn = np.zeros_like(cells)
    for j, seed in enumerate(seeds):
        rows = np.flatnonzero(cells[:, j])
        # Another stream than the one that held labels out by the same seed.
        order = np.random.default_rng([int(seed), 1]).permutation(rows)
        drawn[order[: round(fraction * len(rows))], j] = True
    return drawn


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

    Raises
    ------
    ValueError
        If there are more folds than known labels of a class in any category: some would
        have no label at all, and every fold costs a fit.
    """
    most = max(
        int(np.sum(labels.values == one, axis=0).max(initial=0)) for one in CLASSES
    )
    if n_folds > most:
        raise ValueError(
            f"`cross_fit` must be at most {most}, the largest number of known labels "
            "of a class in one category, so that every fold has labels; got "
            f"{n_folds}. Pass cross_fit=5, say."
        )
    folds = np.full(labels.known.shape, -1, dtype=np.intp)
    for j, seed in enumerate(seeds):
        rng = np.random.default_rng(seed)
        for one_class in CLASSES:
            rows = np.flatnonzero(labels.values[:, j] == one_class)
            folds[rng.permutation(rows), j] = np.arange(len(rows)) % n_folds
    return folds
