"""Which groups of rows one category holds out, or deals to which fold."""

import numpy as np
from numpy.typing import NDArray


def hold_out_groups(
    counts: NDArray[np.intp], fraction: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Choose groups that hold about a share of the positives and of the negatives.

    Parameters
    ----------
    counts : ndarray of shape (n_groups, 2), int
        Known positives and known negatives of every group.
    fraction : float
        Share in (0, 1) of either class to hold out: at least one label where that
        leaves one to fit, as near to the share as whole groups allow.
    rng : Generator
        Draws the order of groups.

    Returns
    -------
    chosen : ndarray of shape (n_groups,), bool
        Groups to hold out. All without a known label are not.

    Notes
    -----
    Groups with a positive come first, in random order: one is taken if the positives
    held out come nearer to their share by it. Then come groups with negatives alone.
    No group is taken that has the last labels of a class to fit.
    """
    draw = _Draw(counts, fraction)
    order = rng.permutation(np.flatnonzero(counts.any(axis=1))).tolist()
    with_positive = [group for group in order if draw.counts[group][0]]
    negatives_alone = [group for group in order if not draw.counts[group][0]]
    draw.take(with_positive, 0)
    draw.take_smallest(with_positive, 0)
    draw.take(negatives_alone, 1)
    draw.take_smallest(negatives_alone, 1)
    draw.take_smallest(order, 1)
    chosen = np.zeros(len(counts), dtype=bool)
    chosen[draw.taken] = True
    return chosen


class _Draw:
    """Groups taken so far, and how many labels of each class they hold."""

    def __init__(self, counts: NDArray[np.intp], fraction: float) -> None:
        self.counts = counts.tolist()  # single cells of an array are slow to read
        self.total = counts.sum(axis=0).tolist()
        self.goal = [min(max(round(fraction * n), 1), n - 1) for n in self.total]
        self.held = [0, 0]
        self.taken: list[int] = []

    def take(self, groups: list[int], kind: int) -> None:
        """Take each group that brings a class nearer to its share."""
        for group in groups:
            before = self.goal[kind] - self.held[kind]
            after = before - self.counts[group][kind]
            if abs(after) < abs(before) and self._leaves_some(group):
                self._take(group)

    def take_smallest(self, groups: list[int], kind: int) -> None:
        """Take the smallest group if no label of a class is held out yet."""
        if self.held[kind] or self.goal[kind] < 1:
            return
        possible = [
            group
            for group in groups
            if self.counts[group][kind] and self._leaves_some(group)
        ]
        if possible:
            self._take(min(possible, key=lambda group: self.counts[group][kind]))

    def _leaves_some(self, group: int) -> bool:
        """Return whether labels of both classes would be left to fit."""
        return all(
            own == 0 or held + own < total
            for own, held, total in zip(
                self.counts[group], self.held, self.total, strict=True
            )
        )

    def _take(self, group: int) -> None:
        self.taken.append(group)
        for kind, own in enumerate(self.counts[group]):
            self.held[kind] += own


def deal_groups(
    counts: NDArray[np.intp], n_folds: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Deal groups to folds, so that each gets its part of both classes.

    Parameters
    ----------
    counts : ndarray of shape (n_groups, 2), int
        Known positives and known negatives of every group.
    n_folds : int
        How many folds.
    rng : Generator
        Draws the order of equal groups.

    Returns
    -------
    folds : ndarray of shape (n_groups,), int
        The fold of every group.

    Notes
    -----
    Groups come in the order of their positives, then of their negatives, the largest
    first. Each goes to the fold with the fewest positives, of these to the one with the
    fewest negatives; a group without positives to the fold with the fewest negatives.
    """
    order = rng.permutation(len(counts))
    order = order[np.lexsort((-counts[order, 1], -counts[order, 0]))]
    load = [[0, 0] for _ in range(n_folds)]
    folds = np.empty(len(counts), dtype=np.intp)
    for group, (n_positive, n_negative) in zip(
        order.tolist(), counts[order].tolist(), strict=True
    ):
        first = 0 if n_positive else 1
        fold = min(range(n_folds), key=lambda k: (load[k][first], load[k][1 - first]))
        folds[group] = fold
        load[fold][0] += n_positive
        load[fold][1] += n_negative
    return folds


def draw_groups(
    counts: NDArray[np.intp], fraction: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Draw groups that hold about a share of some cells.

    Parameters
    ----------
    counts : ndarray of shape (n_groups,), int
        Cells of every group.
    fraction : float
        Share in (0, 1).
    rng : Generator
        Draws the order of groups.

    Returns
    -------
    drawn : ndarray of shape (n_groups,), bool
        One is drawn if the cells come nearer to their share by it.
    """
    drawn = np.zeros(len(counts), dtype=bool)
    missing = round(fraction * float(counts.sum()))
    for group in rng.permutation(np.flatnonzero(counts)).tolist():
        own = int(counts[group])
        if abs(missing - own) < abs(missing):
            drawn[group] = True
            missing -= own
    return drawn
