"""What the refit of one category needs to know."""

from collections.abc import Sequence
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
from cftlearn.fine_tuning._initial_coef import InitialWeights
from cftlearn.labels._encoding import KnownLabels
from cftlearn.labels._label_split import LabelSplit
from cftlearn.labels._weights import joined_weights, taken
from cftlearn.metrics._objectives import Objective
from cftlearn.solvers._intercept import likeliest_intercept
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

NO_ROWS = np.empty(0, dtype=np.intp)
_MOST_SPARE = 64


class KnownParts(NamedTuple):
    """Rows whose label is known; the parts are views of the whole.

    Attributes
    ----------
    everything, train, held_out : KnownRows
        All of them, those to fit, and those to choose by.
    with_spare : KnownRows
        All of them and, after them, spare rows, whose label is unknown.
    """

    everything: KnownRows
    train: KnownRows
    held_out: KnownRows
    with_spare: KnownRows


@dataclass(frozen=True)
class CategoryTask:
    """What the refit of one category needs to know.

    Attributes
    ----------
    name : str
        The category.
    Z : ndarray or stored features of shape (n_samples, n_features)
        Features.
    fitted : KnownLabels
        Labels to fit, of the rows of ``Z``.
    Z_val : ndarray or stored features of shape (n_val, n_features)
        Validation features.
    held_out : KnownLabels
        Labels to choose by, of the rows of ``Z_val``.
    same_rows : bool
        True if ``Z_val`` are the rows of ``Z``.
    coef, intercept : ndarray of shape (n_features,), float
        The initial weights.
    fitted_here : bool
        Whether these are a regression on ``Z`` and ``fitted``, see
        :class:`~cftlearn.fine_tuning._initial_coef.InitialWeights`.
    feature_mean, feature_scale : ndarray of shape (n_features,)
        Moments of the features.
    seed : int
        The category's seed.
    spaces : dict of str to FeatureSpace
        Principal coordinates that a solver needs.
    unseen : ndarray of shape (n_held_out,), or None
        Logits of the held-out labels by weights that were not fitted to them. None if
        the initial weights were not.
    folds : ndarray of shape (n_held_out,), or None
        Which of several such weights each logit comes from.
    has_groups : bool
        Whether held-out labels come from groups of rows without any label to fit. Then
        no label that judges may be left out of a fit alone.
    needed_spaces : tuple of str
        What :meth:`with_spaces` adds to ``spaces`` where features are not shared: the
        axes of one category take as much room as those that all share.
    """

    name: str
    Z: Floats | StoredFeatures
    fitted: KnownLabels
    Z_val: Floats | StoredFeatures
    held_out: KnownLabels
    same_rows: bool
    coef: NDArray[np.float64]
    intercept: float
    feature_mean: NDArray[np.float64]
    feature_scale: NDArray[np.float64]
    seed: int
    spaces: dict[SpaceName, FeatureSpace] = field(default_factory=dict)
    fitted_here: bool = False
    unseen: NDArray[np.float64] | None = None
    folds: NDArray[np.intp] | None = None
    has_groups: bool = False
    needed_spaces: tuple[SpaceName, ...] = ()

    def with_spaces(self) -> Self:
        """Return the task with the principal axes of features that are its own."""
        if not self.needed_spaces:
            return self
        spaces = make_feature_spaces(
            self.Z, self.feature_mean, self.feature_scale, self.needed_spaces
        )
        return replace(self, spaces=spaces, needed_spaces=())

    def initial_logits(self) -> NDArray[np.float64]:
        """Compute logits of the held-out rows by weights that did not see them."""
        if self.unseen is not None:
            return self.unseen
        return logits_of(self.Z_val[self.held_out.rows], self.coef, self.intercept)

    def known(self, spare: NDArray[np.intp] = NO_ROWS) -> KnownParts:
        """Gather the rows to fit and, after them, the held-out rows and spare ones."""
        n_train = len(self.fitted.rows)
        n_known = n_train + len(self.held_out.rows)
        Z = np.empty((n_known + len(spare), self.Z.shape[1]), dtype=self.Z.dtype)
        gather(self.Z, self.fitted.rows, Z[:n_train])
        gather(self.Z_val, self.held_out.rows, Z[n_train:n_known])
        gather(self.Z, spare, Z[n_known:])
        y = np.zeros(len(Z), dtype=bool)
        y[:n_train], y[n_train:n_known] = self.fitted.y, self.held_out.y
        weight = joined_weights(
            [self.fitted.weight, self.held_out.weight, None],
            [n_train, n_known - n_train, len(spare)],
        )

        def part(rows: slice) -> KnownRows:
            return KnownRows(Z[rows], y[rows], taken(weight, rows))

        return KnownParts(
            part(slice(n_known)),
            part(slice(n_train)),
            part(slice(n_train, n_known)),
            part(slice(None)),
        )

    def left_out_together(self, n_spare: int = 0) -> NDArray[np.intp] | None:
        """Return numbers of the known rows; equal ones must be left out together.

        None where there are no groups. The rows are those of :meth:`known`; spare ones
        are compared with the rows of one fit each.
        """
        if not self.has_groups:
            return None
        own = np.zeros(len(self.held_out.rows), dtype=np.intp)
        own = own if self.folds is None else self.folds
        spare = np.arange(n_spare) % (int(own.max(initial=0)) + 1)
        return np.concatenate([np.full(len(self.fitted.rows), -1), own, spare])

    def bias_of(self, coef: NDArray[np.float64]) -> float | None:
        """Find the likeliest bias for weights, by all known rows.

        None where these are all positive. The rows are gathered by parts, since all of
        them may not fit into memory beside what a worker holds.
        """
        y = np.concatenate([self.fitted.y, self.held_out.y])
        if y.all():
            return None
        logits = []
        for Z, labels in ((self.Z, self.fitted), (self.Z_val, self.held_out)):
            for batch in row_batches(len(labels.rows), Z.shape[1]):
                logits.append(logits_of(Z[labels.rows[batch]], coef))
        weight = joined_weights(
            [self.fitted.weight, self.held_out.weight],
            [len(self.fitted.y), len(self.held_out.y)],
        )
        return likeliest_intercept(np.concatenate(logits), y, weight)

    def unknown_rows(self) -> NDArray[np.intp]:
        """Return the rows of ``Z`` whose label is unknown altogether."""
        unknown = np.ones(len(self.Z), dtype=bool)
        unknown[self.fitted.rows] = False
        if self.same_rows:
            unknown[self.held_out.rows] = False
        return np.flatnonzero(unknown)

    def spare_rows(self) -> NDArray[np.intp]:
        """Draw rows of ``Z`` with an unknown label that no background may use.

        A fit ranks positives above the unknown rows of its background more easily than
        above others, so only others can judge. A quarter is enough, and so are
        ``_MOST_SPARE``.
        """
        unknown = self.unknown_rows()
        n_spare = min(len(unknown) // 4, _MOST_SPARE)
        rng = np.random.default_rng([self.seed, 1])
        return np.sort(rng.choice(unknown, n_spare, replace=False))

    def problem(
        self,
        objective: Objective,
        train: AnyRows,
        validation: AnyRows,
        spare: NDArray[np.intp] = NO_ROWS,
    ) -> CategoryProblem:
        """State the problem for a solver, given known rows or where they are.

        The background is made of the unknown rows that are not ``spare``.
        """
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
            unknown=self._summarise_unknown(train, validation, spare),
        )

    def _summarise_unknown(
        self, train: AnyRows, validation: AnyRows, spare: NDArray[np.intp]
    ) -> UnknownRows | StoredUnknownRows | None:
        """Subtract known rows from the sum of all: cheaper than to add the rest."""
        count = len(self.unknown_rows()) - len(spare)
        if count == 0:
            return None

        def compute_mean() -> NDArray[np.float64]:
            total = len(self.Z) * self.feature_mean
            total = total - train.Z.sum(axis=0, dtype=np.float64)
            if self.same_rows:
                total -= validation.Z.sum(axis=0, dtype=np.float64)
            if len(spare):
                total -= self.Z[spare].sum(axis=0, dtype=np.float64)
            return np.asarray(total / count)

        if isinstance(train, StoredRows):  # features are read when they are needed
            return StoredUnknownRows(count, compute_mean)
        return UnknownRows(count, compute_mean())


class UnseenLogits(NamedTuple):
    """Logits of cells by weights that were not fitted to them.

    Attributes
    ----------
    logits : ndarray of shape (n_samples, n_categories)
        NaN where no weights judge.
    folds : ndarray of shape (n_samples, n_categories), int
        Which of several weights each logit comes from.
    """

    logits: NDArray[np.float64]
    folds: NDArray[np.intp]


def make_tasks(
    Z: Any,
    Z_val: Any,
    split: LabelSplit,
    initial: InitialWeights,
    solvers: Sequence[CategorySolver],
    seeds: NDArray[np.int64],
    unseen: UnseenLogits | None = None,
) -> list[CategoryTask]:
    """Collect what the refit of every category needs to know.

    Parameters
    ----------
    Z, Z_val : ndarray or stored features
        Features, and validation features; the same object if the rows are the same.
        With two axes, all categories share them, their moments and principal axes.
        With three, every category has its own, and finds its axes in its turn.
    split : LabelSplit
        Labels of these rows.
    initial : InitialWeights
        One vector and bias per category.
    solvers : sequence of CategorySolver
        Solvers, which say what principal axes they need.
    seeds : ndarray of shape (n_categories,), int
        One seed per category.
    unseen : UnseenLogits, default=None
        What weights without the labels say of them, where ``initial`` saw them.

    Returns
    -------
    tasks : list of CategoryTask
        One per category.
    """
    tasks = []
    features = _features_of_categories(Z, Z_val, solvers, len(seeds))
    for j, name in enumerate(split.fitted.categories):
        fitted, held_out = split.of_category(j)
        tasks.append(
            CategoryTask(
                **features[j],
                name=str(name),
                fitted=fitted,
                held_out=held_out,
                same_rows=split.same_rows,
                coef=initial.coef[j],
                intercept=float(initial.intercept[j]),
                fitted_here=initial.fitted_here,
                has_groups=split.groups is not None,
                seed=int(seeds[j]),
                unseen=None if unseen is None else unseen.logits[held_out.rows, j],
                folds=None if unseen is None else unseen.folds[held_out.rows, j],
            )
        )
    return tasks


def _features_of_categories(
    Z: Any, Z_val: Any, solvers: Sequence[CategorySolver], n_categories: int
) -> list[dict[str, Any]]:
    """Return, for every category, the arguments of its task that are about features."""
    needed = tuple(
        dict.fromkeys(name for solver in solvers for name in solver.needed_spaces)
    )
    if Z.ndim == 2:
        mean, scale = feature_moments(Z)
        spaces = make_feature_spaces(Z, mean, scale, needed) if needed else {}
        shared = {"Z": Z, "Z_val": Z_val, "spaces": spaces}
        shared |= {"feature_mean": mean, "feature_scale": scale}
        return [shared] * n_categories
    own_features = []
    for j in range(n_categories):
        own = features_of(Z, j)
        mean, scale = feature_moments(own)
        own_features.append(
            {
                "Z": own,
                "Z_val": own if Z_val is Z else features_of(Z_val, j),
                "feature_mean": mean,
                "feature_scale": scale,
                "needed_spaces": needed,
            }
        )
    return own_features
