"""The only reader of ``y``: every accepted form becomes 1, 0 and NaN."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import assert_all_finite

from cftlearn.labels._names import check_new_names, column_names
from cftlearn.labels._plain_arrays import (
    refuse_masked,
    refuse_records,
    refuse_without_rows,
)

_CROSS_VAL_PREDICT_HINT = (
    'If this came from cross_val_predict with method="predict_proba", scikit-learn '
    "recoded NaN as 2: use cftlearn.model_selection.cross_val_predict, or pass y "
    "with no NaN."
)
_UNCERTAIN_HINT = (
    "CheXpert's tables write -1.0 for uncertain, other sets write -1 for unknown: "
    "choose with cftlearn.labels.resolve_labels(y, uncertain=...), or, "
    "if no cell is missing, pass an integer array, np.asarray(y, dtype=int), in which "
    "-1 is unknown."
)
_MISSING_TYPES = ("NoneType", "NAType", "NaTType")
_GENERIC_HINT = (
    "Recode the labels first; np.nan marks the unknown ones. Drop columns that are not "
    "labels."
)

UNKNOWN = -1  # in an array of integers, which has no NaN


class PartialLabels(NamedTuple):
    """Canonical labels, as :func:`check_partial_labels` returns them.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_categories), float64
        1 positive, 0 negative, NaN unknown.
    known : ndarray of shape (n_samples, n_categories), bool
        True where ``values`` is 1 or 0. All that take labels check that it is: whoever
        changes values in place must pass these alone, to be read anew.
    categories : ndarray of shape (n_categories,), object
        Names of the categories as strings.
    """

    values: NDArray[np.float64]
    known: NDArray[np.bool_]
    categories: NDArray[Any]

    def restricted_to(self, cells: NDArray[np.bool_]) -> "PartialLabels":
        """Return the labels of some cells; all others are unknown.

        Parameters
        ----------
        cells : ndarray of shape (n_samples, n_categories), bool
            Cells that keep their label.

        Returns
        -------
        labels : PartialLabels
            Of the same shape.
        """
        known = self.known & cells
        return PartialLabels(
            np.where(known, self.values, np.nan), known, self.categories
        )

    def of_rows(self, rows: NDArray[np.intp]) -> "PartialLabels":
        """Return the labels of some rows."""
        return PartialLabels(self.values[rows], self.known[rows], self.categories)

    def of_category(self, category: int) -> "KnownLabels":
        """Return the known labels of one category.

        Parameters
        ----------
        category : int
            Number of the column.

        Returns
        -------
        labels : KnownLabels
            Their rows, and the labels.
        """
        rows = np.flatnonzero(self.known[:, category])
        return KnownLabels(rows, self.values[rows, category] == 1.0)


class KnownLabels(NamedTuple):
    """The known labels of one category.

    Attributes
    ----------
    rows : ndarray of shape (n_known,), int
        Their rows, ascending.
    y : ndarray of shape (n_known,), bool
        The labels.
    weight : ndarray of shape (n_known,), float64, or None
        How much each label counts; None if all count alike.
    """

    rows: NDArray[np.intp]
    y: NDArray[np.bool_]
    weight: NDArray[np.float64] | None = None


def check_partial_labels(
    y: ArrayLike,
    *,
    categories: Iterable[object] | None = None,
    input_name: str = "y",
) -> PartialLabels:
    """Read partially known multi-label targets of any accepted form.

    Nothing is guessed: a value with two meanings in the field is refused with
    the call that settles it.

    Parameters
    ----------
    y : array-like or DataFrame of shape (n_samples, n_categories)
        Accepted: floats and objects holding 1, 0 and NaN or None (unknown);
        booleans; **integer** arrays with 1, 0 and -1 (unknown); pandas frames with
        1, 0 and NaN or NA (unknown). Not accepted: -1 in floats, objects and frames
        (*uncertain* in CheXpert's tables, see :func:`resolve_labels`); masked arrays,
        sparse matrices, other dimensions. Frames are those of pandas and polars, and
        tables of pyarrow.
        :class:`PartialLabels` are checked again, and returned as they are.
    categories : iterable of str, default=None
        Names of the columns. By default a frame's own column names, else
        ``"0"``, ``"1"``, and so on. Other names for a frame's columns, not its own in
        another order.
    input_name : str, default="y"
        How messages call the argument.

    Returns
    -------
    labels : PartialLabels
        The tuple ``(values, known, categories)``; ``values`` is a new array.

    Raises
    ------
    TypeError
        If ``y`` is sparse, masked, or holds text.
    ValueError
        If ``y`` is not 2-D, is empty, holds any other value, has repeated or
        miscounted category names; or if ``categories`` are its own names in another
        order, or :class:`PartialLabels` contradict themselves.

    Examples
    --------
    >>> import numpy as np
    >>> from cftlearn.labels import check_partial_labels
    >>> labels = check_partial_labels([[1, 0], [None, 1]], categories=["cat", "dog"])
    >>> labels.values
    array([[ 1.,  0.],
           [nan,  1.]])
    >>> check_partial_labels(np.array([[1, -1], [0, 1]])).known
    array([[ True, False],
           [ True,  True]])
    """
    if isinstance(y, PartialLabels):
        _check_again(y, input_name)
        return y
    table, names = read_table(y, categories, input_name)
    values = table.astype(np.float64)
    if table.dtype.kind in "iu":
        values[values == -1.0] = np.nan
    refuse_other_values(values, names, input_name)
    return PartialLabels(values, ~np.isnan(values), names)


def _check_again(labels: PartialLabels, name: str) -> None:
    """Check labels that may have been changed, or put together by hand."""
    for part in labels:
        refuse_masked(part, name)
    values, known, names = map(np.asarray, labels)
    shapes = values.shape, known.shape, names.shape
    kinds = values.dtype.kind + known.dtype.kind
    if shapes != (values.shape[:2], values.shape, values.shape[1:]) or kinds != "fb":
        raise ValueError(
            f"`{name}` must be PartialLabels whose parts belong together; got shapes "
            f"{', '.join(map(str, shapes))} and dtypes {values.dtype}, {known.dtype} "
            "of values and known. Pass check_partial_labels(values, categories=names)."
        )
    refuse_other_values(values, names, name)
    wrong = known == np.isnan(values)
    if wrong.any():
        row, column = (int(i) for i in np.argwhere(wrong)[0])
        n_wrong = np.count_nonzero(wrong)
        shown = "1 such cell" if n_wrong == 1 else f"{n_wrong} such cells"
        raise ValueError(
            f"`{name}` must be PartialLabels as they were checked; got the value "
            f"{values[row, column]} with known={bool(known[row, column])} in category "
            f"{str(names[column])!r}, row {row} ({shown}). One of the two was changed: "
            "pass check_partial_labels(values)."
        )


def known_mask(y: ArrayLike) -> NDArray[np.bool_]:
    """Return which labels are known.

    Parameters
    ----------
    y : array-like or DataFrame of shape (n_samples, n_categories)
        Labels in any form that :func:`check_partial_labels` accepts.

    Returns
    -------
    known : ndarray of shape (n_samples, n_categories), bool
        True where the label is 1 or 0.

    Raises
    ------
    TypeError, ValueError
        As :func:`check_partial_labels`.

    Examples
    --------
    >>> from cftlearn.labels import known_mask
    >>> known_mask([[1, None], [0, 1]])
    array([[ True, False],
           [ True,  True]])
    """
    return check_partial_labels(y).known


def is_one_dimensional(y: object) -> bool:
    """Return whether a target is an ordinary 1-D one, with two classes."""
    if isinstance(y, PartialLabels) or column_names(y) is not None:
        return False
    try:
        return np.asarray(y).ndim == 1
    except ValueError:  # rows of different lengths: refused when they are read
        return False


def encode_binary_labels(
    y: ArrayLike, *, input_name: str = "y"
) -> tuple[PartialLabels, NDArray[Any]]:
    """Read a 1-D target: an ordinary binary problem with any two labels.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Two distinct labels of any kind; -1 is a class here, never unknown.
        NaN is not accepted: pass ``np.reshape(y, (-1, 1))`` holding 1, 0 and NaN.
    input_name : str, default="y"
        How messages call the argument.

    Returns
    -------
    labels : PartialLabels
        One category, named ``"0"`` as any column without a name, every label known.
    classes : ndarray of shape (2,)
        The two labels, sorted; the second one is the positive class.

    Raises
    ------
    TypeError
        If ``y`` is sparse or masked.
    ValueError
        If ``y`` holds NaN, infinity, or not exactly two classes.

    Examples
    --------
    >>> from cftlearn.labels import encode_binary_labels
    >>> labels, classes = encode_binary_labels(["no", "yes", "yes"])
    >>> labels.values.ravel(), classes.tolist()
    (array([0., 1., 1.]), ['no', 'yes'])
    """
    column, classes = read_classes(y, input_name)
    if len(classes) < 2:
        raise ValueError(
            f"`{input_name}` must hold two classes; got 1 class: "
            f"{classes.tolist()[0]!r}. Add rows of the other class."
        )
    return as_one_category(column == classes[1]), classes


def as_one_category(positive: NDArray[np.bool_]) -> PartialLabels:
    """Return fully known decisions as the labels of one category without a name."""
    values = positive.astype(np.float64).reshape(-1, 1)
    names = np.array(["0"], dtype=object)
    return PartialLabels(values, np.ones(values.shape, dtype=bool), names)


def read_classes(y: ArrayLike, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Read a 1-D target and its one or two classes, sorted."""
    refuse_containers(y, name)
    column = column_or_1d(y, warn=True)
    if len(column) == 0:
        raise ValueError(f"`{name}` must hold at least one row; got none.")
    if column.dtype.kind in "fO" and any(map(_is_missing, column)):
        raise ValueError(
            f"Input {name} contains NaN. A 1-D target has no unknown labels: pass "
            f"np.reshape({name}, (-1, 1)) holding 1, 0 and NaN for one category."
        )
    assert_all_finite(column, input_name=name)
    kind = type_of_target(column, input_name=name)
    if kind not in ("binary", "multiclass"):
        raise ValueError(f"Unknown label type: {kind}. `{name}` must hold classes.")
    classes = np.unique(column)
    if len(classes) > 2:
        raise ValueError(
            "Only binary classification is supported for 1-D targets. The type of "
            f"`{name}` is multiclass with {len(classes)} classes. Pass one 0/1 column "
            "per category, for example with sklearn.preprocessing.label_binarize."
        )
    return column, classes


def read_table(
    y: Any, categories: Iterable[object] | None, name: str
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Read the numbers of a table and its columns' names; integers stay integers."""
    if isinstance(y, PartialLabels):
        _check_again(y, name)
        return y.values, y.categories
    refuse_containers(y, name)
    own = column_names(y)
    is_frame = own is not None and hasattr(y, "iloc")
    array = _frame_as_array(y) if is_frame else _as_array(y, name)
    _check_shape(array.shape, name)
    names = _category_names(own if categories is None else categories, array, name)
    if categories is not None:
        check_new_names(names, own, name)
    if own is not None and array.dtype.kind in "iu":
        # Floats, so that -1 is refused: the library that read the table, not the user,
        # decides whether a column that may mean uncertain by -1 is one of integers.
        array = array.astype(np.float64)
    if array.dtype.kind in "mM" and np.isnat(array).all():
        raise TypeError(  # a missing date is no unknown label
            f"`{name}` must hold 0, 1 or NaN; got missing dates, NaT. {_GENERIC_HINT}"
        )
    if array.dtype.kind not in "biuf":
        array = _read_objects(array.astype(object), names, name)
    return array, names


def refuse_containers(y: object, name: str) -> None:
    """Refuse what would be read in two ways, or lose a part of it."""
    if sparse.issparse(y):
        raise TypeError(
            f"`{name}` must be dense; got a sparse matrix, whose empty cells could "
            "mean negative or unknown. If they are negatives, pass "
            f"{name}.toarray(); if not, write np.nan into the unknown cells of it."
        )
    remedy = f"Pass {name}.astype(float).filled(np.nan): masked cells become unknown."
    if isinstance(y, (list, tuple)):
        remedy = "Fill each with numpy.ma.filled(row.astype(float), numpy.nan)."
    refuse_masked(y, name, remedy=remedy)
    if y is not None:  # which has an answer of its own
        refuse_without_rows(y, name)
    refuse_records(y, name)
    if hasattr(y, "states") and callable(getattr(y, "labels", None)):
        raise TypeError(
            f"`{name}` must be an array or frame of labels; got a {type(y).__name__}. "
            "Pass table.labels(), which takes the policies for uncertain and blank."
        )


def _as_array(y: Any, name: str) -> NDArray[Any]:
    try:
        return np.asarray(y)
    except ValueError as error:
        raise ValueError(
            f"`{name}` must be a rectangular table; its rows have different lengths. "
            "Lists of label names become a table with "
            "sklearn.preprocessing.MultiLabelBinarizer."
        ) from error


def _check_shape(shape: tuple[int, ...], name: str) -> None:
    if len(shape) == 1:
        raise ValueError(
            f"`{name}` must be 2-D with shape (n_samples, n_categories); got 1-D with "
            f"shape {shape}. Use np.reshape({name}, (-1, 1)) for one category."
        )
    if len(shape) == 0:
        raise ValueError(
            f"`{name}` must be 2-D with shape (n_samples, n_categories); got a single "
            "object. Pass a table of labels."
        )
    if len(shape) > 2:
        raise ValueError(
            f"`{name}` must be 2-D with shape (n_samples, n_categories); got "
            f"{len(shape)}-D with shape {shape}. Stack the last axes into columns "
            f"with {name}.reshape(len({name}), -1) if each is a category."
        )
    if 0 in shape:
        raise ValueError(
            f"`{name}` must hold at least one row and one category; got shape "
            f"{tuple(shape)}."
        )


def _category_names(
    categories: Iterable[object] | None, table: NDArray[Any], name: str
) -> NDArray[Any]:
    n_categories = table.shape[1]
    given = range(n_categories) if categories is None else categories
    names = np.array([str(c) for c in given], dtype=object)
    if len(names) != n_categories:
        raise ValueError(
            f"`categories` must name every column of `{name}`; got {len(names)} names "
            f"for {n_categories} columns."
        )
    unique, counts = np.unique(names, return_counts=True)
    if len(unique) != n_categories:
        most = counts.argmax()
        raise ValueError(
            f"Category names must differ; got {unique[most]!r} {counts[most]} times in "
            f"`{name}`. Rename or drop the repeated columns."
        )
    return names


def _frame_as_array(frame: Any) -> NDArray[Any]:
    columns = [_series_as_array(frame.iloc[:, j]) for j in range(frame.shape[1])]
    return np.column_stack(columns) if columns else np.empty(frame.shape)


def _series_as_array(series: Any) -> NDArray[Any]:
    if getattr(series.dtype, "kind", "O") not in "biuf":  # judged cell by cell
        return series.astype(object).to_numpy()
    return series.to_numpy(dtype=np.float64, na_value=np.nan)


def _is_missing(cell: object) -> bool:
    is_nan = isinstance(cell, (float, np.floating)) and cell != cell
    return is_nan or type(cell).__name__ in _MISSING_TYPES


def _read_objects(
    array: NDArray[Any], names: NDArray[Any], name: str
) -> NDArray[np.float64]:
    cells = array.ravel().tolist()
    kinds = set(map(type, cells))
    missing = {kind for kind in kinds if kind.__name__ in _MISSING_TYPES}
    unexpected = {
        kind
        for kind in kinds - missing
        if not issubclass(kind, (int, float, np.bool_, np.integer, np.floating))
    }
    if unexpected:
        at = next(i for i, cell in enumerate(cells) if type(cell) in unexpected)
        row, column = divmod(at, array.shape[1])
        raise TypeError(
            f"`{name}` must hold 0, 1 or NaN; got {cells[at]!r} of type "
            f"{type(cells[at]).__name__} in category {names[column]!r} (column "
            f"{column}, row {row}). {_GENERIC_HINT}"
        )
    if missing:
        cells = [np.nan if type(cell) in missing else cell for cell in cells]
    return np.array(cells, dtype=np.float64).reshape(array.shape)


def refuse_other_values(
    values: NDArray[np.float64], names: NDArray[Any], name: str
) -> None:
    """Raise where a value is neither 1, 0 nor NaN."""
    wrong = (values != 0.0) & (values != 1.0) & ~np.isnan(values)
    if not wrong.any():
        return
    column = int(np.flatnonzero(wrong.any(axis=0))[0])
    rows = np.flatnonzero(wrong[:, column])
    value = values[rows[0], column]
    hint = {2.0: _CROSS_VAL_PREDICT_HINT, -1.0: _UNCERTAIN_HINT}.get(
        value, _GENERIC_HINT
    )
    cells = "1 cell" if len(rows) == 1 else f"{len(rows)} cells"
    n_wrong = np.count_nonzero(wrong.any(axis=0))
    elsewhere = f"; {n_wrong} categories hold such values" if n_wrong > 1 else ""
    raise ValueError(
        f"`{name}` must hold 0 (negative), 1 (positive) or NaN (unknown); got {value} "
        f"in category {names[column]!r} (column {column}, {cells}, first in "
        f"row {rows[0]}{elsewhere}). {hint}"
    )
