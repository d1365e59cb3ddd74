"""A fitted calibrator as arrays and plain values, and back."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cftlearn.calibration._calibrator import CategoryCalibrator

_LINES = ("slope_", "intercept_", "shift_")
_MAY_BE_NAN = ("slope", "intercept")  # where a curve is isotonic; null in JSON

Arrays = dict[str, NDArray[Any]]


def take_apart(
    calibrator: Any, prefix: str, arrays: Arrays
) -> dict[str, list[dict[str, Any]]]:
    """Put what a calibrator learned among arrays, and give the rest.

    Parameters
    ----------
    calibrator : estimator
        Nothing is done with what is no fitted calibrator.
    prefix : str
        Of the names of the arrays.
    arrays : dict of str to ndarray
        Is added to.

    Returns
    -------
    plain : dict
        Values that JSON has words for.
    """
    if not isinstance(calibrator, CategoryCalibrator):
        return {}
    if not hasattr(calibrator, "slope_"):
        return {}
    for name in _LINES:
        arrays[f"{prefix}{name}"] = getattr(calibrator, name)
    for j, curve in enumerate(calibrator.curves_):
        if curve is not None:
            arrays[f"{prefix}curves_.{j}"] = np.stack(curve)
    report = [
        {key: None if value != value else value for key, value in line.items()}
        for line in calibrator.report_
    ]
    return {"calibrations": report}


def put_together(
    calibrator: Any, document: dict[str, Any], prefix: str, arrays: Arrays
) -> None:
    """Give a calibrator back what :func:`take_apart` took, if it took anything."""
    if "calibrations" not in document:
        return
    for name in _LINES:
        setattr(calibrator, name, arrays[f"{prefix}{name}"])
    report = document["calibrations"]
    stored = [arrays.get(f"{prefix}curves_.{j}") for j in range(len(report))]
    calibrator.curves_ = [None if curve is None else tuple(curve) for curve in stored]
    calibrator.report_ = [
        line | {key: np.nan for key in _MAY_BE_NAN if line[key] is None}
        for line in report
    ]
