"""Which labels are fitted, which judge, and what trained rows that saw neither say."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cftlearn._features._per_category import features_of
from cftlearn.fine_tuning._category_task import CategoryData
from cftlearn.fine_tuning._initial_coef import logistic_rows
from cftlearn.labels import PartialLabels
from cftlearn.labels._label_split import deal_labels, stage_one_targets

Floats = NDArray[np.floating[Any]]


class LabelSplit(NamedTuple):
    """Labels to fit and labels to choose by.

    Attributes
    ----------
    fitted : PartialLabels
        Of the rows of ``Z``.
    features_val, held_out : ndarray, PartialLabels
        Features and labels to choose by.
    same_rows : bool
        True if ``features_val`` are ``Z``.
    unseen, folds : ndarray of shape (n_val, n_categories), or None
        Logits of cells by trained rows that did not see them, and which rows these
        are. None if the trained rows saw no held-out label.
    """

    fitted: PartialLabels
    features_val: Floats
    held_out: PartialLabels
    same_rows: bool
    unseen: NDArray[np.float64] | None = None
    folds: NDArray[np.intp] | None = None

    def categories(
        self,
        matrices: list[dict[str, Any]],
        coef: NDArray[np.float64],
        intercept: NDArray[np.float64],
        seeds: NDArray[np.int64],
    ) -> list[CategoryData]:
        """Put together what the refit of every category needs to know.

        Parameters
        ----------
        matrices : list of dict
            What :func:`matrices_of_categories` gave.
        coef : ndarray of shape (n_categories, n_features)
            The trained rows.
        intercept : ndarray of shape (n_categories,)
            Their biases.
        seeds : ndarray of shape (n_categories,), int
            One seed per category.
        """
        return [
            CategoryData(
                **matrices[j],
                name=str(name),
                y=self.fitted.values[:, j],
                y_val=self.held_out.values[:, j],
                same_rows=self.same_rows,
                coef=coef[j],
                intercept=float(intercept[j]),
                seed=int(seeds[j]),
                unseen=None if self.unseen is None else self.unseen[:, j],
                folds=None if self.folds is None else self.folds[:, j],
            )
            for j, name in enumerate(self.fitted.categories)
        ]


def cross_fit(
    Z: Floats,
    labels: PartialLabels,
    n_folds: int,
    seeds: NDArray[np.integer],
    *,
    n_jobs: int | None,
) -> LabelSplit:
    """Let every known label judge, by logistic regressions fitted without its fold.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_features)
        Features.
    labels : PartialLabels
        All labels.
    n_folds : int
        How many regressions per category.
    seeds : ndarray of shape (n_categories,), int
        One seed per category.
    n_jobs : int or None
        Workers over categories.

    Returns
    -------
    split : LabelSplit
        With nothing to fit that does not judge.
    """
    folds = deal_labels(labels, n_folds, seeds)
    targets = stage_one_targets(labels, None)
    unseen = np.full(targets.shape, np.nan)
    for fold in range(n_folds):
        own = folds == fold
        left = np.where(own, np.nan, targets)
        coef, intercept = logistic_rows(Z, left, n_jobs=n_jobs)
        for j in np.flatnonzero(own.any(axis=0)):
            rows = features_of(Z, int(j))[own[:, j]]
            unseen[own[:, j], j] = rows @ coef[j] + intercept[j]
    nothing = PartialLabels(
        np.full(targets.shape, np.nan), np.zeros_like(labels.known), labels.categories
    )
    return LabelSplit(nothing, Z, labels, True, unseen, folds)
