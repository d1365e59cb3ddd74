"""The table that every loader returns: samples and the states of their labels."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from cftlearn._dependencies import import_optional
from cftlearn.datasets._names import shown
from cftlearn.exceptions import list_some
from cftlearn.labels import LabelState
from cftlearn.labels._soft_labels import draw_soft_labels
from cftlearn.labels._states import Policies, resolve_states

if TYPE_CHECKING:
    import pandas as pd

_FRAME_VALUES = np.array([np.nan, 0.0, 1.0, -1.0])  # by LabelState, as CheXpert writes


@dataclass(frozen=True, eq=False, repr=False)
class LabelTable:
    """Samples and the states of their labels, as a label file has them.

    All four states are kept; :meth:`labels` makes ``y`` from them, with policies for
    *uncertain* and *blank*. Images are not opened and need not exist.

    Parameters
    ----------
    paths : ndarray of shape (n_samples,), object
        Path of each sample's image as text, below the folder of images that the
        loader was given.
    states : ndarray or scipy.sparse.csc_array of shape (n_samples, n_categories), uint8
        Codes of :class:`cftlearn.labels.LabelState`. Sparse where blanks are many.
    categories : ndarray of shape (n_categories,), object
        Names of the categories.
    info : dict of str to ndarray, each of shape (n_samples,) or (n_samples, ...)
        What else the file says of each sample: ``patient``, ``study``, ``view``, ...
    descriptions : dict of str to str, default=None
        What categories mean, where their names are codes such as ``/m/011k07``.

    Examples
    --------
    >>> from cftlearn.datasets import LabelTable
    >>> table = LabelTable.from_cells(
    ...     ["a.jpg", "b.jpg"], ["cat", "dog"], rows=[0, 0, 1], columns=[0, 1, 1],
    ...     states=[2, 1, 3],
    ... )
    >>> table
    LabelTable: 2 samples, 2 categories, 1 positive, 1 negative, 1 uncertain, 1 blank
    >>> table.labels(uncertain={"dog": "positive"})
    array([[ 1.,  0.],
           [nan,  1.]])
    """

    paths: NDArray[np.object_]
    states: Any
    categories: NDArray[np.object_]
    info: Mapping[str, NDArray[Any]]
    descriptions: Mapping[str, str] | None = None

    @classmethod
    def from_cells(
        cls,
        paths: Iterable[str],
        categories: Iterable[str],
        *,
        rows: ArrayLike,
        columns: ArrayLike,
        states: ArrayLike,
        info: Mapping[str, NDArray[Any]] | None = None,
    ) -> "LabelTable":
        """Return a sparse table of single cells; the others are blank.

        A cell that is given twice with different states becomes uncertain, because its
        sources contradict each other.

        Parameters
        ----------
        paths : iterable of str, of length n_samples
            Paths of the images.
        categories : iterable of str, of length n_categories
            Names of the categories.
        rows, columns : array-like of shape (n_cells,), int
            Where the cells are.
        states : array-like of shape (n_cells,), int
            Their states, codes of :class:`cftlearn.labels.LabelState`.
        info : dict of str to ndarray of shape (n_samples,), default=None
            What else is known of the samples.

        Returns
        -------
        table : LabelTable
            The table.

        Raises
        ------
        TypeError, ValueError
            If indices or states are not whole numbers, differ in length, lie outside
            the table, or are not a code of a state.
        """
        paths, names = as_objects(paths), as_objects(categories)
        _check_contents(paths, "paths", "path of an image")
        _check_contents(names, "categories", "name of a category")
        shape = len(paths), len(names)
        cells = _checked_cells(shape, rows, columns, states)
        return cls(paths, merge_cells(shape, *cells), names, info or {})

    @classmethod
    def concatenate(cls, tables: Sequence["LabelTable"]) -> "LabelTable":
        """Return one table with the rows of several, which have the same categories.

        Parameters
        ----------
        tables : sequence of LabelTable
            At least one. Their categories may differ in order; the order of the first
            table is kept.

        Returns
        -------
        table : LabelTable
            All samples, with the columns of ``info`` that every table has.

        Raises
        ------
        ValueError
            If there is no table, or a category is not in all of them.
        """
        if not tables:
            raise ValueError("`tables` must hold at least one table; got none.")
        names = tables[0].categories
        for number, table in enumerate(tables):
            differ = set(names) ^ set(table.categories)
            if differ:
                raise ValueError(
                    "`tables` must have the same categories; got "
                    f"{shown(min(differ, key=str))} in only one of table 0 and table "
                    f"{number}. Select the categories that all tables have."
                )
        parts = [table.select(names) for table in tables]
        states = [part.states for part in parts]
        is_sparse = any(sparse.issparse(part) for part in states)
        shared = [c for c in parts[0].info if all(c in part.info for part in parts)]
        return cls(
            np.concatenate([part.paths for part in parts]),
            sparse.vstack(states, format="csc") if is_sparse else np.vstack(states),
            names,
            {c: np.concatenate([part.info[c] for part in parts]) for c in shared},
        )

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        shape = len(self.paths), len(self.categories)
        if tuple(self.states.shape) != shape:
            raise ValueError(
                "`states` must have a row per path and a column per category, shape "
                f"{shape}; got shape {tuple(self.states.shape)}."
            )
        _check_texts(self.paths, "paths", "path of an image")
        _check_texts(self.categories, "categories", "name of a category")
        repeated = [name for name, n in Counter(self.categories).items() if n > 1]
        if repeated:
            raise ValueError(
                f"`categories` must name each category once; got {shown(repeated[0])} "
                "more "
                "than once. Rename or merge them."
            )
        for name, column in self.info.items():
            if len(column) != len(self):
                raise ValueError(
                    f"`info` must have a value per path; got {len(column)} in column "
                    f"{name!r} for {len(self)} paths."
                )

    def __len__(self) -> int:
        """Count the samples."""
        return len(self.paths)

    def __repr__(self) -> str:
        """Return the size of the table and the numbers of its states."""
        total = self._count().sum(axis=1)
        counts = ", ".join(
            f"{total[state]:,} {state.name.lower()}"
            for state in (
                LabelState.POSITIVE,
                LabelState.NEGATIVE,
                LabelState.UNCERTAIN,
                LabelState.BLANK,
            )
        )
        return (
            f"LabelTable: {len(self):,} samples, {len(self.categories):,} categories, "
            f"{counts}"
        )

    def labels(
        self, *, uncertain: Policies = "unknown", blank: Policies = "unknown"
    ) -> NDArray[np.float64]:
        """Return ``y``, the states read by policies.

        Parameters
        ----------
        uncertain : {"unknown", "positive", "negative"} or dict, default="unknown"
            What an uncertain label becomes. A dict maps names of categories to
            policies; the categories it leaves out become unknown.
        blank : {"unknown", "positive", "negative"} or dict, default="unknown"
            What a blank label becomes; ``"negative"`` is *Negative mode*.

        Returns
        -------
        y : ndarray of shape (n_samples, n_categories), float64
            1 positive, 0 negative, NaN unknown. It is dense, 8 bytes a cell:
            :meth:`select` categories and :meth:`take` rows of large tables first.

        Raises
        ------
        ValueError
            If a policy is not one of the three, or a dict names a category that the
            table does not have.
        """
        return resolve_states(
            self._dense(), self.categories, uncertain=uncertain, blank=blank
        )

    def soft_labels(
        self,
        *,
        uncertain: Policies = "positive",
        random_state: int | np.random.RandomState | None = None,
    ) -> NDArray[np.float64]:
        """Draw soft labels for the uncertain cells.

        Parameters
        ----------
        uncertain : {"positive", "negative", "unknown"} or dict, default="positive"
            The class that a soft label is nearer to, as
            :func:`cftlearn.labels.soft_labels` takes it.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws.

        Returns
        -------
        soft : ndarray of shape (n_samples, n_categories), float64
            A number in [0, 1] for uncertain cells, NaN elsewhere: ``pseudo_labels`` of
            :meth:`cftlearn.CFTClassifier.fit` beside a ``y`` of :meth:`labels`, where
            uncertain cells are unknown.

        Raises
        ------
        ValueError
            If a policy is not one of the three, or a dict names a category that the
            table does not have.
        """
        is_uncertain = self._dense() == LabelState.UNCERTAIN
        return draw_soft_labels(is_uncertain, self.categories, uncertain, random_state)

    def frame(self) -> "pd.DataFrame":
        """Return the labels as CheXpert writes them.

        Returns
        -------
        frame : pandas.DataFrame of shape (n_samples, n_categories)
            1 positive, 0 negative, -1 uncertain, NaN blank; indexed by path. What
            :func:`cftlearn.labels.resolve_labels` reads.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        pandas = import_optional(
            "pandas", feature="LabelTable.frame", extra="dataframes"
        )
        return pandas.DataFrame(
            _FRAME_VALUES[self._dense()], index=self.paths, columns=self.categories
        )

    def select(self, categories: Iterable[str]) -> "LabelTable":
        """Return a table of some categories, in the given order.

        Parameters
        ----------
        categories : iterable of str
            Their names, in any form of Unicode.

        Returns
        -------
        table : LabelTable
            The same samples.

        Raises
        ------
        ValueError
            If a name is not in the table, or is given twice.
        """
        given = [categories] if isinstance(categories, str) else list(categories)
        column_of = {name: j for j, name in enumerate(self.categories)}
        names = [name if name in column_of else _in_nfc(name) for name in given]
        counts = Counter(names)
        for name in names:
            if name not in column_of or counts[name] > 1:
                has = list_some([shown(name) for name in self.categories], 20)
                raise ValueError(
                    f"`categories` must name categories of the table, each once; got "
                    f"{shown(name)}. The table has: {has}."
                )
        chosen = [column_of[name] for name in names]
        return replace(
            self, states=self.states[:, chosen], categories=self.categories[chosen]
        )

    def take(self, rows: ArrayLike | slice) -> "LabelTable":
        """Return a table of some samples.

        Parameters
        ----------
        rows : array-like of int, of bool with shape (n_samples,), or slice
            Which ones, in this order.

        Returns
        -------
        table : LabelTable
            All categories of these samples.

        Raises
        ------
        IndexError
            If a row does not exist.
        """
        index = np.arange(len(self))[rows if isinstance(rows, slice) else _index(rows)]
        info = {name: column[index] for name, column in self.info.items()}
        return replace(
            self, paths=self.paths[index], states=self.states[index], info=info
        )

    def summary(self) -> list[dict[str, Any]]:
        """Count the states of every category.

        Returns
        -------
        summary : list of dict, one per category
            Keys ``category``, ``n_positive``, ``n_negative``, ``n_uncertain``,
            ``n_blank``. ``pandas.DataFrame(summary)`` is the table.
        """
        counts = self._count()
        return [
            {
                "category": str(name),
                "n_positive": int(counts[LabelState.POSITIVE, j]),
                "n_negative": int(counts[LabelState.NEGATIVE, j]),
                "n_uncertain": int(counts[LabelState.UNCERTAIN, j]),
                "n_blank": int(counts[LabelState.BLANK, j]),
            }
            for j, name in enumerate(self.categories)
        ]

    def _dense(self) -> NDArray[np.uint8]:
        return self.states.toarray() if sparse.issparse(self.states) else self.states

    def _count(self) -> NDArray[np.int64]:
        """Count states of every category, of shape (4, n_categories)."""
        codes = range(len(LabelState))
        if not sparse.issparse(self.states):
            columns = np.asarray(self.states).T
            return np.array([(columns == code).sum(axis=1) for code in codes])
        n_categories = len(self.categories)
        column_of = np.repeat(np.arange(n_categories), np.diff(self.states.indptr))
        column_of += n_categories * self.states.data.astype(np.int64)
        counts = np.bincount(column_of, minlength=len(codes) * n_categories)
        counts = counts.reshape(len(codes), n_categories)
        counts[LabelState.BLANK] += len(self) - counts.sum(axis=0)
        return counts


def _check_texts(names: Iterable[Any], parameter: str, what: str) -> None:
    """Refuse NaN and numbers in place of names."""
    kinds = set(map(type, names))
    if not all(issubclass(kind, (str, PathLike)) for kind in kinds):
        place, name = next(
            (place, name)
            for place, name in enumerate(names)
            if not isinstance(name, (str, PathLike))
        )
        raise TypeError(
            f"`{parameter}` must hold text, the {what} each; got {shown(name)} as "
            f"number {place + 1}. Write the names as text; leave out what has none."
        )


def _check_contents(names: Iterable[Any], parameter: str, what: str) -> None:
    """Refuse names that are blank or have a NUL character."""
    for place, name in enumerate(names):
        if "\0" in (text := str(name)) or not text or text.isspace():
            raise ValueError(
                f"`{parameter}` must hold the {what} each, not blank and without NUL "
                f"characters; got {shown(text)} as number {place + 1}. Correct it, or "
                "leave it out."
            )


def _checked_cells(
    shape: tuple[int, int], rows: ArrayLike, columns: ArrayLike, states: ArrayLike
) -> list[NDArray[np.integer[Any]]]:
    """Return the cells as arrays; refuse cells outside the table and other states."""
    cells = []
    limits = (("rows", rows, shape[0]), ("columns", columns, shape[1]))
    for name, given, n in (*limits, ("states", states, len(LabelState))):
        values = np.asarray(given)
        if not values.size:
            values = values.astype(np.intp)
        if values.ndim != 1 or values.dtype.kind not in "iu":
            raise TypeError(
                f"`{name}` must be whole numbers of shape (n_cells,); got shape "
                f"{values.shape} and type {values.dtype}."
            )
        wrong = np.flatnonzero((values < 0) | (values >= n))
        if len(wrong):
            raise ValueError(
                f"`{name}` must lie in [0, {n}); got {values[wrong[0]]} in cell "
                f"{wrong[0]} ({len(wrong)} such cells)."
            )
        cells.append(values)
    if len({len(values) for values in cells}) > 1:
        raise ValueError(
            "`rows`, `columns` and `states` must have one entry per cell; got "
            f"{', '.join(str(len(values)) for values in cells)}."
        )
    return cells


def merge_cells(
    shape: tuple[int, int], rows: ArrayLike, columns: ArrayLike, states: ArrayLike
) -> sparse.csc_array:
    """Return a sparse matrix of cells; a cell with different states is uncertain.

    It sorts one integer per cell in place, so tens of millions of cells fit in memory.

    Parameters
    ----------
    shape : tuple of int
        Numbers of samples and categories.
    rows, columns, states : array-like of shape (n_cells,), int
        Cells inside the shape, and their codes; not checked here.

    Returns
    -------
    matrix : scipy.sparse.csc_array of the shape, uint8
        Rows ascend in every column.
    """
    # A key packs column, row and state. One sort brings cells into the order of a
    # sparse matrix and repeated cells side by side, with their states ascending.
    keys = np.array(columns, dtype=np.int64)
    keys *= shape[0]
    np.add(keys, rows, out=keys, dtype=np.int64, casting="unsafe")
    keys <<= 2
    keys |= np.asarray(states, dtype=np.uint8)
    keys.sort()
    merged = keys.astype(np.uint8) & np.uint8(3)
    keys >>= 2
    differs = keys[1:] != keys[:-1]
    ends = np.append(differs, np.ones(min(len(keys), 1), dtype=bool))
    starts = np.append(np.ones(min(len(keys), 1), dtype=bool), differs)
    highest = merged[ends]
    merged = merged[starts]
    merged[merged != highest] = LabelState.UNCERTAIN
    cells = keys[starts]
    del keys
    bounds = np.searchsorted(cells, np.arange(shape[1] + 1) * shape[0])
    cells %= max(shape[0], 1)
    small = np.int32 if max(len(cells), *shape) < 2**31 else np.int64
    return sparse.csc_array(
        (merged, cells.astype(small), bounds.astype(small)), shape=shape
    )


def as_objects(items: Iterable[Any]) -> NDArray[np.object_]:
    """Return an array of objects with one dimension, whatever the items are."""
    listed = list(items)
    array = np.empty(len(listed), dtype=object)
    array[:] = listed
    return array


def _in_nfc(name: Any) -> Any:
    """Return a name as loaders read it."""
    return unicodedata.normalize("NFC", name) if isinstance(name, str) else name


def _index(rows: ArrayLike) -> NDArray[Any]:
    index = np.asarray(rows)
    return index if index.size else index.astype(np.intp)
