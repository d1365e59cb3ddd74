"""Splits that spread the known positives and negatives of every category evenly."""

from collections.abc import Iterator
from math import ceil
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import check_random_state

from cftlearn._dependencies import Interval, validate_params
from cftlearn.labels import check_partial_labels, encode_binary_labels
from cftlearn.labels._encoding import is_one_dimensional
from cftlearn.labels._groups import read_groups
from cftlearn.labels._names import check_same_rows
from cftlearn.labels._plain_arrays import refuse_without_rows
from cftlearn.model_selection._balance import assign_folds

RandomStateLike = int | np.random.RandomState | None
_TEST_SIZES = [
    Interval(Real, 0, 1, closed="neither"),
    Interval(Integral, 1, None, closed="left"),
]


class PartialLabelKFold(BaseCrossValidator):
    """K-fold splitter for targets with unknown labels.

    Every fold gets its share of the known positives and of the known negatives of
    every category, rarest ones first, in the spirit of iterative stratification
    [1]_. Unknown labels count for nothing; rows without a known label fill the folds
    up. With ``groups``, all rows of a group (a patient's images) stay together.
    Use it as ``cv=`` of scikit-learn's searches, whose integer ``cv`` refuses NaN.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    shuffle : bool, default=False
        Whether equal rows are dealt out in random order. If False, the same data
        give the same folds.
    random_state : int, RandomState instance or None, default=None
        Seed of the order if ``shuffle=True``; otherwise leave it None.

    See Also
    --------
    partial_train_test_split : One split into two parts, by the same rule.

    Notes
    -----
    Without groups, fold sizes differ by one row at most. A category with at least
    ``n_splits`` known positives (in as many groups) gets one into every fold;
    likewise negatives. Where rows share labels so that this cannot hold for all,
    positives come first. Rarer labels are no error: the metrics name the categories
    that a fold leaves undefined. Cost is linear in the number of rows or groups.

    References
    ----------
    .. [1] Sechidis et al., "On the Stratification of Multi-Label Data", ECML PKDD
       2011.

    Examples
    --------
    >>> import numpy as np
    >>> from cftlearn.model_selection import PartialLabelKFold
    >>> y = np.array([[1, np.nan], [np.nan, 1], [1, 0], [0, 1], [0, 0], [np.nan, 0]])
    >>> for train, test in PartialLabelKFold(2).split(np.zeros((6, 1)), y):
    ...     print(test, np.nansum(y[test], axis=0))
    [0 3 5] [1. 1.]
    [1 2 4] [1. 1.]
    """

    # Searches pass ``groups`` on, as they do to scikit-learn's group splitters.
    __metadata_request__split: ClassVar = {"groups": True}

    def __init__(
        self,
        n_splits: int = 5,
        *,
        shuffle: bool = False,
        random_state: RandomStateLike = None,
    ) -> None:
        self.n_splits = n_splits
        self.shuffle = shuffle
        self.random_state = random_state

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds.

        Parameters
        ----------
        X, y, groups : object
            Ignored.

        Returns
        -------
        n_splits : int
            The number of folds.
        """
        return self.n_splits

    def split(
        self, X: Any, y: ArrayLike | None = None, groups: ArrayLike | None = None
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Split the rows into training and test rows, once per fold.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Only its length is used.
        y : array-like of shape (n_samples, n_categories) or (n_samples,)
            1 positive, 0 negative, NaN unknown, in any form that
            :func:`cftlearn.labels.check_partial_labels` accepts. 1-D: two classes of
            any kind, all known.
        groups : array-like of shape (n_samples,), default=None
            The group of every row; groups are never split.

        Returns
        -------
        splits : iterator of tuple (train, test)
            Row numbers, ascending. Every row is in exactly one ``test``.

        Raises
        ------
        TypeError, ValueError
            If a parameter of the splitter is out of its range, ``y`` is None or not
            accepted, lengths or row labels differ, or there are fewer rows or groups
            than folds.
        """
        rng = self._check_parameters()
        units, unit_of_row = _read_units(X, y, groups)
        n_splits, n_units = self.n_splits, units.shape[0]
        if n_splits > n_units:
            noun = "rows" if groups is None else "groups"
            raise ValueError(
                f"`n_splits` must be at most the number of {noun}; got "
                f"n_splits={n_splits} for {n_units} {noun}. Lower n_splits."
            )
        sizes = None
        if groups is None:
            sizes = n_units // n_splits + (np.arange(n_splits) < n_units % n_splits)
        shares = np.full(n_splits, 1 / n_splits)
        folds = assign_folds(units, shares, sizes, rng)[unit_of_row]
        return (
            (np.flatnonzero(folds != fold), np.flatnonzero(folds == fold))
            for fold in range(n_splits)
        )

    def _check_parameters(self) -> np.random.RandomState | None:
        if not isinstance(self.n_splits, Integral) or self.n_splits < 2:
            raise ValueError(
                f"`n_splits` must be an int of at least 2; got {self.n_splits!r}. For "
                "one split use cftlearn.model_selection.partial_train_test_split."
            )
        if self.shuffle:
            return check_random_state(self.random_state)
        if self.random_state is not None:
            raise ValueError(
                "`random_state` must be None with shuffle=False, where it has no "
                f"effect; got {self.random_state!r}. Pass shuffle=True."
            )
        return None


@validate_params({"test_size": _TEST_SIZES}, prefer_skip_nested_validation=True)
def partial_train_test_split(
    X: Any,
    y: Any,
    *arrays: Any,
    test_size: float | int = 0.25,
    groups: ArrayLike | None = None,
    random_state: RandomStateLike = None,
) -> list[Any]:
    """Split rows into a training and a test part, evenly for every category.

    Both parts get their share of the known positives and of the known negatives of
    every category, and at least one of each that occurs twice; the same rule as
    :class:`PartialLabelKFold` with two folds of unequal size.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        An array, frame, tensor, sparse matrix or list; it keeps its type.
    y : array-like of shape (n_samples, n_categories) or (n_samples,)
        1 positive, 0 negative, NaN unknown, in any form that
        :func:`cftlearn.labels.check_partial_labels` accepts. 1-D: any two classes.
    *arrays : array-like of shape (n_samples, ...)
        More to be split alike, such as the groups or the full labels.
    test_size : float or int, default=0.25
        A share of the rows in (0, 1), rounded up, or a number of rows. Met exactly
        without groups, as nearly as the balance of labels allows with them.
    groups : array-like of shape (n_samples,), default=None
        The group of every row; groups are never split.
    random_state : int, RandomState instance or None, default=None
        Seed of the order in which equal rows are dealt out.

    Returns
    -------
    parts : list of length 4 + 2 * len(arrays)
        ``X_train, X_test, y_train, y_test``, then two parts of each further array.
        Rows keep their order.

    Raises
    ------
    TypeError, ValueError
        If ``y`` is None or not accepted, lengths or row labels differ, or
        ``test_size`` leaves a part empty.

    Examples
    --------
    >>> import numpy as np
    >>> from cftlearn.model_selection import partial_train_test_split
    >>> y = np.full((40, 2), np.nan)
    >>> y[:4, 0], y[4:12, 0], y[20:24, 1] = 1, 0, 1
    >>> X_train, X_test, y_train, y_test = partial_train_test_split(
    ...     np.arange(40), y, random_state=0
    ... )
    >>> len(y_test), np.nansum(y_test, axis=0)
    (10, array([1., 1.]))
    """
    units, unit_of_row = _read_units(X, y, groups)
    n_samples = len(unit_of_row)
    others = {f"arrays[{position}]": array for position, array in enumerate(arrays)}
    for name, array in others.items():
        check_length(name, array, n_samples)
    check_same_rows(X=X, y=y, **others)
    is_count = isinstance(test_size, Integral)
    n_test = int(test_size) if is_count else ceil(round(test_size * n_samples, 9))
    if n_test >= n_samples:
        raise ValueError(
            "`test_size` must leave at least one row for training; got "
            f"{test_size!r}, which is {n_test} of {n_samples} rows. Lower it."
        )
    if units.shape[0] < 2:
        raise ValueError(
            "`groups` must name at least two groups; got one group for "
            f"{n_samples} rows. Pass groups=None to split the rows of it."
        )
    sizes = np.array([n_samples - n_test, n_test])
    rng = check_random_state(random_state)
    fixed_sizes = sizes if groups is None else None
    is_test = assign_folds(units, sizes / n_samples, fixed_sizes, rng)[unit_of_row] == 1
    parts = np.flatnonzero(~is_test), np.flatnonzero(is_test)
    return [take_rows(array, rows) for array in (X, y, *arrays) for rows in parts]


def take_rows(array: Any, rows: NDArray[np.intp]) -> Any:
    """Take rows of an array, frame, tensor, sparse matrix or list."""
    if hasattr(array, "iloc"):
        return array.iloc[rows]
    if sparse.issparse(array):
        return array.tocsr()[rows]
    if hasattr(array, "column_names"):  # pyarrow
        return array.take(rows)
    if hasattr(array, "shape"):
        return array[rows]
    return [array[row] for row in rows]


def count_rows(array: Any) -> int:
    """Count the rows of an array, frame, tensor, sparse matrix or list."""
    return int(array.shape[0]) if hasattr(array, "shape") else len(array)


def check_length(name: str, array: Any, n_samples: int) -> None:
    """Check that an array has one row per sample of ``y``."""
    refuse_without_rows(array, name)
    n_rows = count_rows(array)
    if n_rows != n_samples:
        raise ValueError(
            f"`{name}` and `y` must have one row per sample; found input variables "
            f"with inconsistent numbers of samples: [{n_rows}, {n_samples}]."
        )


def _read_units(
    X: Any, y: ArrayLike | None, groups: ArrayLike | None
) -> tuple[sparse.csr_array, NDArray[np.intp]]:
    """Count what has to be spread, for every row or for every group.

    Returns counts, one row per unit: known positives and known negatives of every
    category, and rows; and the unit of every row.
    """
    if y is None:
        raise ValueError(
            "`y` must be passed, because rows are split by their known labels; got "
            "None. Use sklearn.model_selection.KFold to split without labels."
        )
    if is_one_dimensional(y):
        values = encode_binary_labels(y)[0].values
    else:
        values = check_partial_labels(y).values
    n_samples = len(values)
    check_length("X", X, n_samples)
    check_same_rows(X=X, y=y, groups=groups)
    row = np.ones((n_samples, 1), dtype=bool)
    units = sparse.csr_array(np.hstack([values == 1, values == 0, row]), dtype=float)
    unit_of_row = read_groups(groups, n_samples)
    if unit_of_row is None:
        return units, np.arange(n_samples)
    cells = np.ones(n_samples), (unit_of_row, np.arange(n_samples))
    return sparse.csr_array(cells) @ units, unit_of_row
