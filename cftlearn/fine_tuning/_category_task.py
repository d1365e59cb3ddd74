"""What the refit of one category needs to know, and what it answers."""

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from cftlearn._features._moments import feature_moments
from cftlearn._features._per_category import features_of
from cftlearn._features._principal_axes import (
    FeatureSpace,
    SpaceName,
    make_feature_spaces,
)
from cftlearn._features._stored import StoredFeatures, gather, logits_of, row_batches
from cftlearn.metrics._objectives import Objective
from cftlearn.solvers._protocol import (
    AnyRows,
    CategoryProblem,
    CategorySolver,
    KnownRows,
    StoredRows,
    StoredUnknownRows,
    UnknownRows,
)

Floats = NDArray[np.floating[Any]]


class KnownParts(NamedTuple):
    """Rows whose label is known; the parts are views of the whole.

    Attributes
    ----------
    everything, train, held_out : KnownRows
        All of them, those to fit, and those to choose by.
    """

    everything: KnownRows
    train: KnownRows
    held_out: KnownRows


@dataclass(frozen=True)
class CategoryData:
    """What the refit of one category needs to know.

    Attributes
    ----------
    name : str
        The category.
    Z, y : ndarray of shape (n_samples, n_features), ndarray of shape (n_samples,)
        Features, and labels to fit (NaN unknown).
    Z_val, y_val : ndarray of shape (n_val, n_features), ndarray of shape (n_val,)
        Features, and labels to choose by (NaN unknown).
    same_rows : bool
        True if ``Z_val`` are the rows of ``Z``.
    coef, intercept : ndarray of shape (n_features,), float
        The trained row.
    feature_mean, feature_scale : ndarray of shape (n_features,)
        Moments of the features.
    seed : int
        The category's seed.
    spaces : dict of str to FeatureSpace
        Principal coordinates that a solver needs.
    unseen : ndarray of shape (n_val,), or None
        Logits of ``Z_val`` by trained rows that did not see these labels. None if
        ``coef`` did not.
    folds : ndarray of shape (n_val,), or None
        Which of several such rows ``unseen`` comes from.
    needed_spaces : tuple of str
        What :meth:`ready` adds to ``spaces``, where features are not shared: one
        category's axes at a time take as much room as all shared ones.
    """

    name: str
    Z: Floats | StoredFeatures
    y: NDArray[np.float64]
    Z_val: Floats | StoredFeatures
    y_val: NDArray[np.float64]
    same_rows: bool
    coef: NDArray[np.float64]
    intercept: float
    feature_mean: NDArray[np.float64]
    feature_scale: NDArray[np.float64]
    seed: int
    spaces: dict[SpaceName, FeatureSpace] = field(default_factory=dict)
    unseen: NDArray[np.float64] | None = None
    folds: NDArray[np.intp] | None = None
    needed_spaces: tuple[SpaceName, ...] = ()

    def ready(self) -> Self:
        """Find the principal axes of features that are this category's alone."""
        if not self.needed_spaces:
            return self
        spaces = make_feature_spaces(
            self.Z, self.feature_mean, self.feature_scale, self.needed_spaces
        )
        return replace(self, spaces=spaces, needed_spaces=())

    def trained_logits(self) -> NDArray[np.float64]:
        """Give logits of the held-out rows by trained rows that did not see them."""
        rows = np.flatnonzero(~np.isnan(self.y_val))
        if self.unseen is not None:
            return self.unseen[rows]
        return logits_of(self.Z_val[rows], self.coef, self.intercept)

    def known(self) -> KnownParts:
        """Gather the rows to fit and, after them, the held-out rows."""
        rows = np.flatnonzero(~np.isnan(self.y))
        rows_val = np.flatnonzero(~np.isnan(self.y_val))
        n_train = len(rows)
        Z = np.empty((n_train + len(rows_val), self.Z.shape[1]), dtype=self.Z.dtype)
        gather(self.Z, rows, Z[:n_train])
        gather(self.Z_val, rows_val, Z[n_train:])
        y = np.concatenate([self.y[rows], self.y_val[rows_val]]) == 1.0
        return KnownParts(
            KnownRows(Z, y),
            KnownRows(Z[:n_train], y[:n_train]),
            KnownRows(Z[n_train:], y[n_train:]),
        )

    def known_logits(
        self, coef: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Give logits of a row on what is known, and labels, gathering it by parts."""
        logits, labels = [], []
        for Z, y in ((self.Z, self.y), (self.Z_val, self.y_val)):
            rows = np.flatnonzero(~np.isnan(y))
            labels.append(y[rows] == 1.0)
            for batch in row_batches(len(rows), Z.shape[1]):
                logits.append(logits_of(Z[rows[batch]], coef))
        return np.concatenate(logits), np.concatenate(labels)

    def unknown_rows(self) -> NDArray[np.intp]:
        """Index the rows of ``Z`` whose label is unknown altogether."""
        unknown = np.isnan(self.y)
        if self.same_rows:
            unknown &= np.isnan(self.y_val)
        return np.flatnonzero(unknown)

    def problem(
        self,
        objective: Objective,
        train: AnyRows,
        validation: AnyRows,
    ) -> CategoryProblem:
        """State the problem for a solver, given known rows or where they are."""
        return CategoryProblem(
            train=train,
            validation=validation,
            coef=self.coef,
            intercept=self.intercept,
            objective=objective,
            feature_mean=self.feature_mean,
            feature_scale=self.feature_scale,
            random_state=self.seed,
            spaces=self.spaces,
            unknown=self._summarise_unknown(train, validation),
        )

    def _summarise_unknown(
        self, train: AnyRows, validation: AnyRows
    ) -> UnknownRows | StoredUnknownRows | None:
        """Take the known rows from the sum of all: cheaper than a sum of the rest."""
        count = len(self.unknown_rows())
        if count == 0:
            return None

        def compute_mean() -> NDArray[np.float64]:
            total = len(self.Z) * self.feature_mean
            total = total - train.Z.sum(axis=0, dtype=np.float64)
            if self.same_rows:
                total -= validation.Z.sum(axis=0, dtype=np.float64)
            return np.asarray(total / count)

        if isinstance(train, StoredRows):  # do not read features before they are needed
            return StoredUnknownRows(count, compute_mean)
        return UnknownRows(count, compute_mean())


def matrices_of_categories(
    Z: Any, Z_val: Any, solvers: list[CategorySolver], n_categories: int
) -> list[dict[str, Any]]:
    """Give every category its features, their moments and their principal axes.

    Parameters
    ----------
    Z, Z_val : ndarray or stored features
        Of two axes: then all categories share what is found. Of three: every category
        has its own, and finds its axes itself when it is its turn.
    solvers : list of CategorySolver
        Which need principal axes, or not.
    n_categories : int
        How many.

    Returns
    -------
    matrices : list of dict
        Arguments of :class:`CategoryData`.
    """
    needed = tuple(
        dict.fromkeys(name for solver in solvers for name in solver.needed_spaces)
    )
    if Z.ndim == 2:
        mean, scale = feature_moments(Z)
        spaces = make_feature_spaces(Z, mean, scale, needed) if needed else {}
        shared = {"Z": Z, "Z_val": Z_val, "spaces": spaces}
        shared |= {"feature_mean": mean, "feature_scale": scale}
        return [shared] * n_categories
    matrices = []
    for j in range(n_categories):
        own = features_of(Z, j)
        mean, scale = feature_moments(own)
        matrices.append(
            {
                "Z": own,
                "Z_val": own if Z_val is Z else features_of(Z_val, j),
                "feature_mean": mean,
                "feature_scale": scale,
                "needed_spaces": needed,
            }
        )
    return matrices
