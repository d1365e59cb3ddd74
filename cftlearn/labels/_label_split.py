"""Which known labels are fitted, and which only choose: decided once, here."""

from typing import Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from cftlearn.labels._encoding import KnownLabels, PartialLabels
from cftlearn.labels._group_split import deal_groups, draw_groups, hold_out_groups
from cftlearn.labels._groups import spread_over_groups
from cftlearn.labels._pseudo_labels import PseudoTargets
from cftlearn.labels._weights import Weights, joined_weights, relative_weights, taken

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
        Probabilities, as targets of other unknown cells; NaN elsewhere. None without
        any.
    pseudo : ndarray of shape (n_samples, n_categories), float32, or None
        Pseudo-labels in [0, 1], as targets of other cells; NaN elsewhere. None without
        any.
    pseudo_weight : ndarray of shape (n_samples, n_categories), float32, or None
        How much each pseudo-label counts beside a known label's 1; 0 elsewhere.
    weights : ndarray of shape (n_samples, n_categories), float32, or None
        How much each cell of ``values`` counts; 1 where the label is unknown. None
        where all count alike.
    """

    values: NDArray[np.float64]
    unknown: NDArray[np.bool_] | None = None
    soft: NDArray[np.float32] | None = None
    pseudo: NDArray[np.float32] | None = None
    pseudo_weight: NDArray[np.float32] | None = None
    weights: NDArray[np.float32] | None = None

    def with_pseudo(self, pseudo: PseudoTargets) -> Self:
        """Return these targets, with others in place of some cells.

        Parameters
        ----------
        pseudo : PseudoTargets
            Of cells that are no known label; there may be none.

        Returns
        -------
        targets : TrainingTargets
            In which these cells are nothing else.
        """
        cells, soft = pseudo.cells, self.soft
        return self._replace(
            values=np.where(cells, np.nan, self.values),
            unknown=None if self.unknown is None else self.unknown & ~cells,
            soft=None if soft is None else np.where(cells, np.float32("nan"), soft),
            pseudo=pseudo.values,
            pseudo_weight=pseudo.weights,
        )


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
    groups : ndarray of shape (n_samples,), int, or None
        Number of the group of every row to fit. Of a category, the cells of a group
        are all held out, or none is. None if every row is a group of its own.
    weights : ndarray of shape (n_samples, n_categories), or None
        How much each label of the rows to fit counts, held-out ones too if they are of
        these rows; 1 where unknown. None if all count alike.
    weights_val : ndarray of shape (n_val, n_categories), or None
        The same of held-out labels of other rows.
    """

    fitted: PartialLabels
    held_out: PartialLabels
    same_rows: bool
    groups: NDArray[np.intp] | None = None
    weights: Weights | None = None
    weights_val: Weights | None = None

    @property
    def is_weighted(self) -> bool:
        """Whether labels have weights."""
        return self.weights is not None or self.weights_val is not None

    def of_category(self, category: int) -> tuple[KnownLabels, KnownLabels]:
        """Return the labels of a category to fit, and those that are held out.

        Parameters
        ----------
        category : int
            Number of the column.

        Returns
        -------
        fitted, held_out : KnownLabels
            Their weights are 1 on average over both together; of other rows, over each
            of the two.
        """
        fitted = self.fitted.of_category(category)
        held_out = self.held_out.of_category(category)
        own = taken(self.weights, (fitted.rows, category))
        if not self.same_rows:
            others = taken(self.weights_val, (held_out.rows, category))
            return (
                fitted._replace(weight=relative_weights(own)),
                held_out._replace(weight=relative_weights(others)),
            )
        others = taken(self.weights, (held_out.rows, category))
        first = len(fitted.rows)
        joint = relative_weights(
            joined_weights([own, others], [first, len(held_out.rows)])
        )
        return (
            fitted._replace(weight=taken(joint, slice(first))),
            held_out._replace(weight=taken(joint, slice(first, None))),
        )

    def relative_tables(self) -> tuple[Weights | None, Weights | None]:
        """Return the weights of :meth:`of_category` as tables of all categories.

        Returns
        -------
        to_fit, to_judge : ndarray of the shape of ``fitted`` and ``held_out``, or None
            1 where the label is unknown. One table for both if rows are the same. None
            if all labels count alike.
        """
        if not self.is_weighted:
            return None, None
        to_fit = np.ones(self.fitted.values.shape)
        to_judge = to_fit if self.same_rows else np.ones(self.held_out.values.shape)
        for j in range(len(self.fitted.categories)):
            fitted, held_out = self.of_category(j)
            for table, own in ((to_fit, fitted), (to_judge, held_out)):
                if own.weight is not None:
                    table[own.rows, j] = own.weight
        return to_fit, to_judge

    def training_weights(self) -> NDArray[np.float32] | None:
        """Return the weights of the rows to fit, relative to those of all categories.

        A network has one loss for all categories, so in it a category may count more
        than others.

        Returns
        -------
        weights : ndarray of shape (n_samples, n_categories), float32, or None
            1 on average over known labels, and 1 where a label is unknown. None if all
            labels count alike.
        """
        if self.weights is None:
            return None
        known = self.fitted.known
        if self.same_rows:
            known = known | self.held_out.known
        relative = relative_weights(self.weights[known])
        if relative is None:
            return None
        weights = np.ones(known.shape, dtype=np.float32)
        weights[known] = relative
        return weights

    def cells_held_out(self) -> NDArray[np.bool_]:
        """Return the cells of the rows to fit that stage one must not see.

        With groups these are also unknown cells: as negatives they would tell that the
        other cells of their group are probably negative.
        """
        if not self.same_rows:
            return np.zeros_like(self.fitted.known)
        return spread_over_groups(self.held_out.known, self.groups)

    def unknown_cells(self) -> NDArray[np.bool_]:
        """Return the cells of the rows to fit whose label is unknown altogether."""
        unknown = ~self.fitted.known
        return unknown & ~self.held_out.known if self.same_rows else unknown

    def unknown_to_fit(self) -> NDArray[np.bool_]:
        """Return the unknown cells that stage one may take for something."""
        return self.unknown_cells() & ~self.cells_held_out()

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
        # To stage one a held-out label is not even unknown: as a negative it would be
        # known to be wrong or right.
        targets[self.cells_held_out()] = np.nan
        return targets


def split_labels(
    labels: PartialLabels,
    fraction: float,
    seeds: NDArray[np.integer],
    groups: NDArray[np.intp] | None = None,
    weights: Weights | None = None,
) -> LabelSplit:
    """Hold out a share of every category's known labels.

    Cells are held out one by one; with groups, all cells of a group and a category
    together. Other categories hold other rows, or groups, out.

    Parameters
    ----------
    labels : PartialLabels
        All labels.
    fraction : float
        Share in (0, 1) of the known positives, and of the known negatives, to hold
        out: at least one of each where there are two, none where there is one. With
        groups the share is met as nearly as their sizes allow; a class whose labels
        are all in one group stays.
    seeds : ndarray of shape (n_categories,), int
        One seed per category, so that no category depends on another.
    groups : ndarray of shape (n_samples,), int, default=None
        Number of each row's group.
    weights : ndarray of shape (n_samples, n_categories), default=None
        How much each label counts, wherever it is. Labels are drawn alike.

    Returns
    -------
    split : LabelSplit
        Of the same rows; each known label is in exactly one part.

    Raises
    ------
    ValueError
        If there is only one group.
    """
    if groups is not None:
        _check_several(groups)
    held_out = np.zeros(labels.known.shape, dtype=bool)
    for j, seed in enumerate(seeds):
        rng = np.random.default_rng(seed)
        if groups is not None:
            counts = _count_labels(labels.values[:, j], groups)
            held_out[:, j] = hold_out_groups(counts, fraction, rng)[groups]
            continue
        for one_class in CLASSES:
            rows = np.flatnonzero(labels.values[:, j] == one_class)
            n_held_out = round(fraction * len(rows))
            n_held_out = int(np.clip(n_held_out, 1, max(len(rows) - 1, 0)))
            held_out[rng.permutation(rows)[:n_held_out], j] = True
    return LabelSplit(
        labels.restricted_to(~held_out),
        labels.restricted_to(held_out),
        same_rows=True,
        groups=groups,
        weights=weights,
    )


def hold_out_nothing(
    labels: PartialLabels,
    groups: NDArray[np.intp] | None = None,
    weights: Weights | None = None,
) -> LabelSplit:
    """Return all labels as labels to fit, for those that deal them to folds."""
    nothing = labels.restricted_to(np.zeros_like(labels.known))
    return LabelSplit(labels, nothing, same_rows=True, groups=groups, weights=weights)


def hold_out_given(
    labels: PartialLabels,
    held_out: PartialLabels,
    groups: NDArray[np.intp] | None = None,
    *,
    same_rows: bool,
    weights: Weights | None = None,
    weights_val: Weights | None = None,
) -> LabelSplit:
    """Take labels to choose by that a user has held out.

    Parameters
    ----------
    labels, held_out : PartialLabels
        Labels to fit, and labels to choose by.
    groups : ndarray of shape (n_samples,), int, default=None
        Number of the group of each row to fit.
    same_rows : bool
        Whether both are labels of the same rows.
    weights, weights_val : ndarray of the shape of the labels, default=None
        How much each label counts, of those to fit and of those to choose by.

    Returns
    -------
    split : LabelSplit
        These labels.

    Raises
    ------
    ValueError
        If labels of a group and a category are in both.
    """
    if same_rows and not (weights is None and weights_val is None):
        own, others = (
            np.ones(labels.values.shape) if each is None else each
            for each in (weights, weights_val)
        )
        weights, weights_val = np.where(held_out.known, others, own), None
    split = LabelSplit(labels, held_out, same_rows, groups, weights, weights_val)
    if groups is None:
        return split
    both = labels.known & split.cells_held_out()
    if both.any():
        row, j = np.argwhere(both)[0]
        of_group = held_out.known[:, j] & (groups == groups[row])
        raise ValueError(
            "`y_val` must hold labels of other groups than `y` in each category; got "
            f"{int(both.sum())} labels of `y` with others of their group in `y_val`, "
            f"the first in category {str(labels.categories[j])!r}, row {row}, whose "
            f"group is also in row {int(of_group.argmax())} of `y_val`. Set them to "
            "NaN in one of the two."
        )
    return split


def sample_unknown(
    split: LabelSplit, fraction: float, seeds: NDArray[np.integer]
) -> NDArray[np.bool_]:
    """Draw a share of the unknown cells of every category, to be held out as well.

    With groups, these are the unknown cells of the groups whose labels are held out,
    and of a like share of the groups without any known label of the category.

    Parameters
    ----------
    split : LabelSplit
        The labels.
    fraction : float
        Share in (0, 1).
    seeds : ndarray of shape (n_categories,), int
        One seed per category.

    Returns
    -------
    drawn : ndarray of shape (n_samples, n_categories), bool
        Unknown cells.
    """
    unknown, groups = split.unknown_cells(), split.groups
    if groups is None:
        return sample_cells(unknown, fraction, seeds)
    free = unknown
    if split.same_rows:
        known = split.fitted.known | split.held_out.known
        free = unknown & ~spread_over_groups(known, groups)
    drawn = unknown & split.cells_held_out()
    for j, seed in enumerate(seeds):
        counts = np.bincount(groups[free[:, j]], minlength=int(groups.max()) + 1)
        rng = np.random.default_rng([int(seed), 1])
        drawn[:, j] |= free[:, j] & draw_groups(counts, fraction, rng)[groups]
    return drawn


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
    labels: PartialLabels,
    n_folds: int,
    seeds: NDArray[np.integer],
    groups: NDArray[np.intp] | None = None,
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
    groups : ndarray of shape (n_samples,), int, default=None
        Number of each row's group; all labels of a group and a category are in one
        fold.

    Returns
    -------
    folds : ndarray of shape (n_samples, n_categories), int
        From 0; -1 where a label is unknown. Of either class the folds of a category
        differ in size by at most one; with groups, as little as their sizes allow.

    Raises
    ------
    ValueError
        If there are more folds than known labels of a class in any category, or groups
        with such labels: some would have no label at all, and every fold costs a fit.
    """
    if groups is not None:
        return _deal_by_groups(labels, n_folds, seeds, groups)
    most = max(
        int(np.sum(labels.values == one, axis=0).max(initial=0)) for one in CLASSES
    )
    _check_folds(n_folds, most, "known labels")
    folds = np.full(labels.known.shape, -1, dtype=np.intp)
    for j, seed in enumerate(seeds):
        rng = np.random.default_rng(seed)
        for one_class in CLASSES:
            rows = np.flatnonzero(labels.values[:, j] == one_class)
            folds[rng.permutation(rows), j] = np.arange(len(rows)) % n_folds
    return folds


def _deal_by_groups(
    labels: PartialLabels,
    n_folds: int,
    seeds: NDArray[np.integer],
    groups: NDArray[np.intp],
) -> NDArray[np.intp]:
    _check_several(groups)
    counts = [_count_labels(own, groups) for own in labels.values.T]
    most = max(int(np.sum(own > 0, axis=0).max()) for own in counts)
    _check_folds(n_folds, most, "groups with known labels")
    folds = np.column_stack(
        [
            deal_groups(own, n_folds, np.random.default_rng(seed))[groups]
            for own, seed in zip(counts, seeds, strict=True)
        ]
    )
    return np.where(labels.known, folds, -1)


def _check_folds(n_folds: int, most: int, what: str) -> None:
    if n_folds > most:
        remedy = f"{min(5, most)}, say" if most > 1 else "None"
        raise ValueError(
            f"`cross_fit` must be at most {most}, the largest number of {what} "
            "of a class in one category, so that every fold has labels; got "
            f"{n_folds}. Pass cross_fit={remedy}."
        )


def _check_several(groups: NDArray[np.intp]) -> None:
    """Refuse one group, of which nothing can be held out."""
    if groups.max(initial=-1) < 1:
        raise ValueError(
            "`groups` must name at least two groups, of which some are held out; got "
            f"one group for {len(groups)} rows. Pass groups=None to hold out labels of "
            "single rows, or X_val=..., y_val=... of other groups."
        )


def _count_labels(
    values: NDArray[np.float64], groups: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Count the positives and the negatives of every group, shape (n_groups, 2)."""
    n_groups = int(groups.max()) + 1
    return np.column_stack(
        [np.bincount(groups[values == one], minlength=n_groups) for one in (1.0, 0.0)]
    )
