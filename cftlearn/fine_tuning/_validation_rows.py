"""Rows that only choose: how ``fit`` gets them, and if they lie near the others."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cftlearn.exceptions import ValidationScaleWarning

Floats = NDArray[np.float64]

# Of 14 real sets, halves of them, groups and classes held out, none but a class of iris
# had this share of columns as far; see `benchmarks/validation_scale.py`.
_MOST_FAR = 0.3
_FARTHEST_SHIFT = 1.25  # of medians, in distances between the 10th and 90th percentile
_LARGEST_RATIO = 4.0  # of these distances
_FEWEST_ROWS, _FEWEST_COLUMNS = 20, 3
_MOST_ROWS, _MOST_COLUMNS = 1000, 200  # to look at
_FEW_VALUES = 10  # of a column that counts or encodes something
_USUAL = 0.6  # share of the rows that have the usual value of a column, such as 0


def validation_pair(
    validation_data: Any, X_val: Any, y_val: Any, sample_weight_val: Any = None
) -> tuple[Any, Any] | None:
    """Return what ``fit`` got to choose by, in either form.

    Parameters
    ----------
    validation_data : tuple of (X_val, y_val), or None
        Both in one.
    X_val, y_val : array-like or None
        Both apart.
    sample_weight_val : array-like or None
        Weights, which only such labels can have.

    Returns
    -------
    pair : tuple of (X_val, y_val), or None
        None if there is neither.

    Raises
    ------
    TypeError, ValueError
        If there is half of them, both forms, or anything but a tuple of two.
    """
    if X_val is None and y_val is None:
        if validation_data is None:
            if sample_weight_val is not None:
                raise ValueError(
                    "`sample_weight_val` must be given with `X_val` and `y_val`, whose "
                    "labels it weighs; got it without them. Pass sample_weight for "
                    "the labels of `y`."
                )
            return None
        if not isinstance(validation_data, tuple) or len(validation_data) != 2:
            items = (
                f" of {len(validation_data)}"
                if isinstance(validation_data, (tuple, list))
                else ""
            )
            raise ValueError(
                "`validation_data` must be a tuple (X_val, y_val); got "
                f"{type(validation_data).__name__}{items}. Pass X_val=..., y_val=... "
                "instead."
            )
        X_val, y_val = validation_data
    elif validation_data is not None:
        raise ValueError(
            "`validation_data` and `X_val`, `y_val` mean the same rows; got both. Pass "
            "X_val=..., y_val=... alone."
        )
    for name, value, other in (("X_val", X_val, "y_val"), ("y_val", y_val, "X_val")):
        if value is None:
            raise ValueError(
                f"`{name}` must be given with `{other}`: rows choose by their labels; "
                f"got None. Pass X_val=..., y_val=..., or neither."
            )
    return X_val, y_val


def warn_of_scale(rows: Any, other_rows: Any, *, stacklevel: int) -> None:
    """Warn if rows to choose by are not in the scale of those to fit.

    This is what a Pipeline does to them that transforms only the latter.

    Parameters
    ----------
    rows, other_rows : ndarray, or Inputs of an array
        Rows to fit, and rows to choose by; anything that does not lie in memory as
        numbers is not looked at.
    stacklevel : int
        In whose name: a caller so many calls up.
    """
    if other_rows is rows:
        return
    fitted, others = _sample(rows), _sample(other_rows)
    if fitted is None or others is None or fitted.shape[1:] != others.shape[1:]:
        return
    if min(len(fitted), len(others)) < _FEWEST_ROWS:
        return
    verdicts = [_is_far(*pair) for pair in zip(fitted.T, others.T, strict=True)]
    judged = [verdict for verdict in verdicts if verdict is not None]
    n_far = sum(judged)
    if len(judged) < _FEWEST_COLUMNS or n_far <= _MOST_FAR * len(judged):
        return
    column = verdicts.index(True)
    low, high = np.quantile(fitted[:, column], [0.1, 0.9])
    other_low, other_high = np.quantile(others[:, column], [0.1, 0.9])
    warnings.warn(
        f"Validation rows lie far outside the scale of the training rows in {n_far} of "
        f"{len(judged)} columns compared; in the first, most values are "
        f"{other_low:.3g} to {other_high:.3g}, and {low:.3g} to {high:.3g} in "
        'training. Transform `X_val` as `X`: with Pipeline(..., transform_input=["X_val'
        '"]), which passes X_val through the steps before.',
        ValidationScaleWarning,
        stacklevel=stacklevel + 1,
    )


def _sample(rows: Any) -> Floats | None:
    """Return some rows and columns of numbers, evenly spaced; None of other inputs."""
    numbers, chosen = getattr(rows, "items", rows), getattr(rows, "rows", None)
    if hasattr(rows, "columns"):
        numbers = np.asarray(rows)
    if not isinstance(numbers, np.ndarray) or numbers.dtype.kind not in "fiub":
        return None
    n_rows = len(numbers) if chosen is None else len(chosen)
    picked = _evenly(n_rows, _MOST_ROWS)
    some = numbers[picked if chosen is None else chosen[picked]]
    flat = some.reshape(len(some), -1)
    return flat[:, _evenly(flat.shape[1], _MOST_COLUMNS)].astype(np.float64)


def _evenly(n: int, most: int) -> NDArray[np.intp]:
    return np.linspace(0, n - 1, min(n, most)).round().astype(np.intp)


def _is_far(fitted: Floats, others: Floats) -> bool | None:
    """Compare two columns; None where they cannot tell.

    A column of few values, or one that is mostly 0, has no scale that some rows could
    estimate. But a scaler moves its usual value.
    """
    low, middle, high = np.quantile(fitted, [0.1, 0.5, 0.9])
    if low < middle < high and len(np.unique(fitted)) > _FEW_VALUES:
        other_low, other_middle, other_high = np.quantile(others, [0.1, 0.5, 0.9])
        spread, other_spread = high - low, other_high - other_low
        ratio = other_spread / spread
        is_shifted = abs(other_middle - middle) > _FARTHEST_SHIFT * max(
            spread, other_spread
        )
        return bool(is_shifted or not 1 / _LARGEST_RATIO <= ratio <= _LARGEST_RATIO)
    usual, other_usual = _usual_value(fitted), _usual_value(others)
    if usual is None or other_usual is None:
        return None
    return usual != other_usual


def _usual_value(column: Floats) -> float | None:
    """Return the value that most rows have; None if there is none."""
    values, counts = np.unique(column, return_counts=True)
    most = int(np.argmax(counts))
    return float(values[most]) if counts[most] >= _USUAL * len(column) else None
