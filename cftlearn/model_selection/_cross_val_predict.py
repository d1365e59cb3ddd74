"""Out-of-fold predictions that leave unknown labels as they are."""

from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import BaseCrossValidator, check_cv
from sklearn.utils.parallel import Parallel, delayed

from cftlearn._dependencies import (
    HasMethods,
    StrOptions,
    end_with_parent,
    validate_params,
)
from cftlearn.labels._names import check_same_rows
from cftlearn.labels._plain_arrays import refuse_masked, refuse_without_rows
from cftlearn.model_selection._split import (
    PartialLabelKFold,
    check_length,
    count_rows,
    take_rows,
)

Method = Literal["predict_proba", "decision_function", "predict", "transform"]
_N_SPLITS = 5
_METHODS = {"predict_proba", "decision_function", "predict", "transform"}


@validate_params(
    {"estimator": [HasMethods(["fit"])], "method": [StrOptions(_METHODS)]},
    prefer_skip_nested_validation=True,
)
def cross_val_predict(
    estimator: BaseEstimator,
    X: Any,
    y: Any,
    *,
    groups: ArrayLike | None = None,
    cv: int | BaseCrossValidator | Iterable[tuple[ArrayLike, ArrayLike]] | None = None,
    n_jobs: int | None = None,
    method: Method = "predict_proba",
    params: Mapping[str, Any] | None = None,
) -> NDArray[Any]:
    """Predict every row by a model that was fitted without it.

    ``y`` reaches ``fit`` unchanged. scikit-learn's function of this name recodes the
    columns of a 2-D ``y`` first, so that NaN arrives as a third class and the classes
    of a category without known negatives arrive shifted.

    Parameters
    ----------
    estimator : estimator object
        Cloned for every fold. With a 2-D ``y`` it must return one table with a
        column per category, not the list of scikit-learn's multi-output classifiers.
    X : array-like of shape (n_samples, ...)
        An array, frame, tensor, sparse matrix or list.
    y : array-like of shape (n_samples, n_categories) or (n_samples,)
        1 positive, 0 negative, NaN unknown, in any form that the estimator accepts.
        1-D: an ordinary target, all known.
    groups : array-like of shape (n_samples,), default=None
        The group of every row, for ``cv``; groups are never split by the default.
        ``params={"groups": groups}`` also passes them to ``fit``.
    cv : int, splitter, iterable of (train, test) or None, default=None
        None is ``PartialLabelKFold(5)``, an int sets its number of folds. Every row
        must be tested exactly once.
    n_jobs : int, default=None
        Number of folds to fit at a time; -1 uses all processors.
    method : {"predict_proba", "decision_function", "predict", "transform"}, \
default="predict_proba"
        Method of the fitted estimator to call on the rows left out.
    params : dict, default=None
        Arguments of ``fit``. Arrays and lists with an entry per row are cut to the
        rows that are fitted.

    Returns
    -------
    predictions : ndarray of shape (n_samples, n_categories)
        In the order of the rows of ``X``. With a 1-D ``y`` the shape is the
        estimator's: (n_samples, 2) for ``predict_proba``, (n_samples,) for
        ``predict`` and ``decision_function``.

    Raises
    ------
    AttributeError
        If the estimator has no such method.
    TypeError, ValueError
        If ``y`` is None, lengths or row labels differ, ``cv`` does not test every row
        exactly once, or the estimator returns no table with a row per sample and a
        column per category.

    See Also
    --------
    PartialLabelKFold : The folds.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.dummy import DummyClassifier
    >>> from cftlearn.model_selection import cross_val_predict
    >>> X, y = np.zeros((6, 1)), np.array(["no", "yes", "no", "yes", "no", "no"])
    >>> cross_val_predict(DummyClassifier(), X, y, cv=2).round(2)[:2]
    array([[0.67, 0.33],
           [0.67, 0.33]])
    """
    if y is None:
        raise ValueError(
            "`y` must be passed, because models are fitted to it; got None. Pass "
            "labels of shape (n_samples, n_categories)."
        )
    refuse_without_rows(y, "y")
    n_samples = count_rows(y)
    check_length("X", X, n_samples)
    refuse_masked(X, "X")
    refuse_masked(y, "y")
    per_row = {f"params[{name!r}]": value for name, value in (params or {}).items()}
    check_same_rows(X=X, y=y, groups=groups, **per_row)
    if not hasattr(estimator, method):
        raise AttributeError(
            f"`method` must be a method of the estimator; got {method!r}, which "
            f"{type(estimator).__name__} does not have. Choose another one of: "
            f"{', '.join(sorted(_METHODS))}."
        )
    splits = list(_make_splitter(cv).split(X, y, groups))
    tested = np.concatenate([np.empty(0, int), *(test for _, test in splits)])
    _check_partition(tested, n_samples, cv)
    results = Parallel(n_jobs=n_jobs)(
        delayed(_fit_and_predict)(
            clone(estimator), X, y, train, test, method, params or {}
        )
        for train, test in splits
    )
    predictions = [prediction for prediction, _ in results]
    _check_consistency(predictions, [classes for _, classes in results], method)
    return np.concatenate(predictions)[np.argsort(tested)]


def _make_splitter(cv: Any) -> Any:
    if cv is None:
        return PartialLabelKFold(_N_SPLITS)
    return PartialLabelKFold(int(cv)) if isinstance(cv, Integral) else check_cv(cv)


def _check_partition(tested: NDArray[np.intp], n_samples: int, cv: object) -> None:
    n_tests = np.bincount(tested, minlength=n_samples)
    if len(n_tests) > n_samples or not np.all(n_tests == 1):
        name = repr(cv) if hasattr(cv, "split") else f"a {type(cv).__name__}"
        raise ValueError(
            "`cv` must test every row exactly once; got "
            f"{name}, which leaves out {int(np.sum(n_tests[:n_samples] == 0))} and "
            f"repeats {int(np.sum(n_tests > 1))} of {n_samples} rows. Use "
            "cftlearn.model_selection.PartialLabelKFold."
        )


def _fit_and_predict(
    estimator: Any,
    X: Any,
    y: Any,
    train: NDArray[np.intp],
    test: NDArray[np.intp],
    method: str,
    params: Mapping[str, Any],
) -> tuple[NDArray[Any], Any]:
    """Predict the test rows; return also the classes that a 1-D ``y`` had."""
    end_with_parent()
    n_samples, shape = count_rows(y), np.shape(y)
    fit_params = {
        name: take_rows(value, train) if _is_per_row(value, n_samples) else value
        for name, value in params.items()
    }
    estimator.fit(take_rows(X, train), take_rows(y, train), **fit_params)
    prediction = getattr(estimator, method)(take_rows(X, test))
    n_columns = shape[1] if len(shape) == 2 and method != "transform" else None
    name = f"{type(estimator).__name__}.{method}"
    classes = getattr(estimator, "classes_", None) if len(shape) == 1 else None
    return _read_prediction(prediction, len(test), n_columns, name), classes


def _is_per_row(value: Any, n_samples: int) -> bool:
    if isinstance(value, list):
        return len(value) == n_samples
    return tuple(getattr(value, "shape", ()))[:1] == (n_samples,)


def _read_prediction(
    prediction: Any, n_rows: int, n_columns: int | None, name: str
) -> NDArray[Any]:
    if isinstance(prediction, (list, tuple)):
        raise TypeError(
            f"`estimator` must return one table with a column per category; {name} "
            f"returned a {type(prediction).__name__} of {len(prediction)} arrays, as "
            "scikit-learn's multi-output classifiers do. Use an estimator that "
            "returns a table, such as cftlearn.CFTClassifier or "
            "sklearn.multiclass.OneVsRestClassifier."
        )
    table = prediction.toarray() if sparse.issparse(prediction) else prediction
    table = np.asarray(table)
    if table.shape[:1] != (n_rows,) or (
        n_columns is not None and table.shape != (n_rows, n_columns)
    ):
        columns = "..." if n_columns is None else n_columns
        raise ValueError(
            f"`estimator` must return a row per sample and a column per category, "
            f"here ({n_rows}, {columns}); {name} returned shape {table.shape}. For one "
            "category, a 1-D y gives scikit-learn's usual shapes."
        )
    return table


def _check_consistency(
    predictions: list[NDArray[Any]], classes: list[Any], method: str
) -> None:
    """Check that the columns of all folds mean the same."""
    shapes = {prediction.shape[1:] for prediction in predictions}
    seen = {tuple(np.ravel(found).tolist()) for found in classes if found is not None}
    if len(shapes) > 1 or (
        len(seen) > 1 and method in ("predict_proba", "decision_function")
    ):
        raise ValueError(
            "Every fold must be fitted to the same classes; got columns "
            f"{sorted(shapes)} and classes {sorted(map(list, seen))} from different "
            "folds. Add rows of the rare class or lower the number of folds."
        )
