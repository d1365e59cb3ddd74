"""Bad inputs of validation rows and of initial weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cftlearn import CategoryWiseFineTuner, CFTClassifier, CFTEnsemble

from .case import Case

_X = np.arange(24.0).reshape(8, 3)
_Y = np.array([[0.0, 1.0], [1.0, 0.0]] * 4)
_NONE_KNOWN = np.full((8, 2), np.nan)


def _frame(columns: list[str], values: np.ndarray = _X) -> Any:
    import pandas as pd

    return pd.DataFrame(values, columns=columns)


def _ensemble() -> CFTEnsemble:
    return CFTEnsemble([("one", CFTClassifier(random_state=0))])


def _fit(make: Callable[[], Any], X: Any, **rows: Any) -> Callable[[Path], object]:
    return lambda folder: make().fit(X, _Y, **rows)


def other_width(folder: Path) -> object:
    return _ensemble().fit(_X, _Y, X_val=_X[:, :2] + 1, y_val=_Y)


def masked_validation_rows(folder: Path) -> object:
    rows = np.ma.array(_X + 1, mask=_X > 20)
    return _ensemble().fit(_X, _Y, X_val=rows, y_val=_Y)


def columns_of_validation_rows(folder: Path) -> object:
    X, X_val = _frame(["a", "b", "c"]), _frame(["c", "b", "a"])
    return _ensemble().fit(X, _Y, X_val=X_val, y_val=_Y)


def columns_of_initial_weights(folder: Path) -> object:
    weights = _frame(["b", "a", "c"], _X[:2])
    tuner = CategoryWiseFineTuner(coef_init=weights, intercept_init=[0.0, 0.0])
    return tuner.fit(_frame(["a", "b", "c"]), _Y)


_NO_LABEL = (
    "`y_val` must hold a known label; got none among 16 cells. Write 1 for positive "
    "and 0 for negative, and pass other rows than these if their labels are really "
    "unknown."
)

CASES = [
    Case(
        "CFTEnsemble.fit",
        "validation rows with fewer features, which choose nothing",
        other_width,
        ValueError,
        "`X_val` must have rows of the shape of those of `X`, (3,); got (2,). Pass the "
        "same features.",
    ),
    Case(
        "CFTEnsemble.fit",
        "masked validation rows, which choose nothing",
        masked_validation_rows,
        TypeError,
        "`X_val` must be a plain array; got a masked array, whose mask would be "
        "dropped (3 of 24 cells are masked). Pass numpy.ma.filled(X_val, value), with "
        "the value that masked cells are to have.",
    ),
    Case(
        "CFTEnsemble.fit",
        "validation rows with columns in another order, which choose nothing",
        columns_of_validation_rows,
        ValueError,
        "`X_val` must have the columns of `X` in the same order; got ['c', 'b', 'a'] "
        "for ['a', 'b', 'c']. Reorder its columns: pass X_val[X.columns].",
        needs="pandas",
    ),
    Case(
        "CategoryWiseFineTuner.fit",
        "initial weights with columns in another order than those of Z",
        columns_of_initial_weights,
        ValueError,
        "`coef_init` must have the columns of `Z` in the same order; got ['b', 'a', "
        "'c'] for ['a', 'b', 'c']. Reorder its columns: pass coef_init[Z.columns].",
        needs="pandas",
    ),
    *(
        Case(
            f"{make.__name__ if make is not _ensemble else 'CFTEnsemble'}.fit",
            "validation rows without a known label",
            _fit(make, _X, X_val=_X + 1, y_val=_NONE_KNOWN),
            ValueError,
            _NO_LABEL,
        )
        for make in (CFTClassifier, CategoryWiseFineTuner, _ensemble)
    ),
]
