"""Labels in the codes of other packages: in and out, by the name of the package."""

from numbers import Integral, Real
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cftlearn._dependencies import StrOptions, validate_params
from cftlearn.labels._encoding import check_partial_labels, read_table

Package = Literal["mlcpl", "csl", "hcp", "torchmetrics", "scikit-activeml"]
_PACKAGES = {"mlcpl", "csl", "hcp", "torchmetrics", "scikit-activeml"}
_IGNORE_INDEX = -1


class _Codes(NamedTuple):
    """What a package writes for each state, and the type of its arrays."""

    negative: float
    unknown: float | None
    dtype: type[Any]


@validate_params({"to": [StrOptions(_PACKAGES)]}, prefer_skip_nested_validation=True)
def encode_labels(
    y: ArrayLike,
    to: Package,
    *,
    ignore_index: int = _IGNORE_INDEX,
    missing_label: float | None = np.nan,
) -> Any:
    """Write labels in the code of another package.

    =================== ======== ======== ========================= =======
    ``to``              positive negative unknown                   dtype
    =================== ======== ======== ========================= =======
    ``mlcpl``           1        0        NaN                       float64
    ``csl``             1        0        -1                        int8
    ``hcp``             1        -1       0                         int8
    ``torchmetrics``    1        0        ``ignore_index``          int64
    ``scikit-activeml`` 1        0        ``missing_label``         float64
    =================== ======== ======== ========================= =======

    CSL is the code of PartialLabelingCSL; HCP that of HCP-MLR-PL, and of the code for
    single positive labels and for large losses. torchxrayvision has the code of mlcpl.

    Parameters
    ----------
    y : array-like or DataFrame of shape (n_samples, n_categories)
        Labels in any form that :func:`check_partial_labels` accepts.
    to : {"mlcpl", "csl", "hcp", "torchmetrics", "scikit-activeml"}
        The package.
    ignore_index : int, default=-1
        What the ``ignore_index`` of torchmetrics is; neither 0 nor 1.
    missing_label : float or None, default=nan
        What the ``missing_label`` of scikit-activeml is: NaN, None, or a number other
        than 0 and 1. With None the result is an array of objects.

    Returns
    -------
    encoded : ndarray or DataFrame of shape (n_samples, n_categories)
        A pandas frame if ``y`` is one, with its index and names of categories.

    Raises
    ------
    TypeError, ValueError
        If ``y`` is not accepted, ``to`` is none of the five, the code of unknown
        labels is that of a class, or belongs to another package.

    See Also
    --------
    decode_labels : The way back.

    Examples
    --------
    >>> from cftlearn.labels import encode_labels
    >>> encode_labels([[1, 0], [None, 1]], to="hcp")
    array([[ 1, -1],
           [ 0,  1]], dtype=int8)
    >>> encode_labels([[1, 0], [None, 1]], to="torchmetrics", ignore_index=-100)
    array([[   1,    0],
           [-100,    1]])
    """
    codes = _codes(to, ignore_index, missing_label)
    values = check_partial_labels(y).values
    encoded = np.empty(values.shape, dtype=codes.dtype)
    encoded[values == 1.0] = 1
    encoded[values == 0.0] = codes.negative
    encoded[np.isnan(values)] = codes.unknown
    return _as_given(encoded, y)


@validate_params(
    {"source": [StrOptions(_PACKAGES)]}, prefer_skip_nested_validation=True
)
def decode_labels(
    y: ArrayLike,
    source: Package,
    *,
    ignore_index: int = _IGNORE_INDEX,
    missing_label: float | None = np.nan,
) -> Any:
    """Read labels in the code of another package.

    Only the codes of the package are accepted, as the table of :func:`encode_labels`
    lists them: another value says that the labels come from elsewhere.

    Parameters
    ----------
    y : array-like or DataFrame of shape (n_samples, n_categories)
        Labels as the package has them. Of mlcpl also **integers** with -1 for unknown;
        its float -1 is refused, since it is *uncertain* in CheXpert's table. Booleans
        are refused with ``source="hcp"``, where False would be unknown.
    source : {"mlcpl", "csl", "hcp", "torchmetrics", "scikit-activeml"}
        The package.
    ignore_index : int, default=-1
        What the ``ignore_index`` of torchmetrics is; neither 0 nor 1.
    missing_label : float or None, default=nan
        What the ``missing_label`` of scikit-activeml is: NaN, None, or a number other
        than 0 and 1. NaN and None are read alike.

    Returns
    -------
    y : ndarray or DataFrame of shape (n_samples, n_categories), float64
        1 positive, 0 negative, NaN unknown. A pandas frame if ``y`` is one, with its
        index and names of categories.

    Raises
    ------
    TypeError, ValueError
        If ``y`` is not 2-D, is empty, or holds any other value; ``source`` is none of
        the five; or the code of unknown labels is that of a class, or belongs to
        another package.

    See Also
    --------
    encode_labels : The way out.
    resolve_labels : For tables that have *uncertain* and *blank* labels.

    Examples
    --------
    >>> from cftlearn.labels import decode_labels
    >>> decode_labels([[1, -1], [0, 1]], source="hcp")
    array([[ 1.,  0.],
           [nan,  1.]])
    >>> decode_labels([[1, -1], [0, 1]], source="csl")
    array([[ 1., nan],
           [ 0.,  1.]])
    """
    codes = _codes(source, ignore_index, missing_label)
    if source == "mlcpl":
        return _as_given(check_partial_labels(y).values.copy(), y)
    table, names = read_table(y, None, "y")
    if source == "hcp" and table.dtype.kind == "b":
        raise TypeError(
            "`y` must hold 1, -1 or 0 with source='hcp'; got booleans, of which False "
            "would be unknown. Pass y.astype(int) if it is; if False is negative, pass "
            "y itself where labels are expected."
        )
    cells = table.astype(np.float64)
    unknown = _equal(cells, codes.unknown)
    values = np.full(cells.shape, np.nan)
    values[cells == 1.0] = 1.0
    values[cells == codes.negative] = 0.0
    wrong = np.isnan(values) & ~unknown
    if wrong.any():
        row, column = (int(i) for i in np.argwhere(wrong)[0])
        n_wrong = np.count_nonzero(wrong)
        shown = "1 such cell" if n_wrong == 1 else f"{n_wrong} such cells"
        raise ValueError(
            f"`y` must hold 1 (positive), {codes.negative:g} (negative) or "
            f"{_shown(codes.unknown)} (unknown) with source={source!r}; got "
            f"{cells[row, column]:g} in category {str(names[column])!r}, row {row} "
            f"({shown}). Pass the `source` whose code it is, or recode these cells."
        )
    return _as_given(values, y)


def _codes(package: Package, ignore_index: Any, missing_label: Any) -> _Codes:
    """Return a package's codes, and check those that it lets its user choose."""
    is_default = isinstance(missing_label, float) and np.isnan(missing_label)
    if package != "torchmetrics" and ignore_index != _IGNORE_INDEX:
        raise ValueError(
            f"`ignore_index` is a code of torchmetrics; got {ignore_index!r} with "
            f"{package!r}. Leave it out."
        )
    if package != "scikit-activeml" and not is_default:
        raise ValueError(
            f"`missing_label` is a code of scikit-activeml; got {missing_label!r} with "
            f"{package!r}. Leave it out."
        )
    if package == "torchmetrics":
        _check_code("ignore_index", ignore_index, Integral, "an integer")
        return _Codes(0, ignore_index, np.int64)
    if package == "scikit-activeml":
        if missing_label is None:
            return _Codes(0, None, object)
        _check_code("missing_label", missing_label, Real, "NaN, None or a number")
        return _Codes(0, float(missing_label), np.float64)
    return {
        "mlcpl": _Codes(0, np.nan, np.float64),
        "csl": _Codes(0, -1, np.int8),
        "hcp": _Codes(-1, 0, np.int8),
    }[package]


def _check_code(name: str, code: Any, kind: type[Any], rule: str) -> None:
    if isinstance(code, (bool, np.bool_)) or not isinstance(code, kind):
        raise TypeError(
            f"`{name}` must be {rule} other than 0 and 1; got {code!r}. Pass the code "
            "of unknown labels."
        )
    if code in (0, 1):
        raise ValueError(
            f"`{name}` must be {rule} other than 0 and 1; got {code!r}, which is a "
            "class. Pass the code of unknown labels."
        )


def _equal(cells: NDArray[np.float64], code: float | None) -> NDArray[np.bool_]:
    """Return which cells hold a code; None is read as NaN."""
    if code is None or np.isnan(code):
        return np.isnan(cells)
    return np.asarray(cells == code)


def _shown(code: float | None) -> str:
    return "None" if code is None else f"{code:g}".replace("nan", "NaN")


def _as_given(values: NDArray[Any], y: Any) -> Any:
    """Return a pandas frame where a pandas frame was given."""
    if hasattr(y, "iloc"):
        return type(y)(values, index=y.index, columns=y.columns)
    return values
