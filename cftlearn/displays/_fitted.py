"""What displays need of fitted estimators: scores before and after the refit."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.utils.validation import check_is_fitted

from cftlearn.base import PartialLabelMixin, read_further_targets
from cftlearn.labels._encoding import is_one_dimensional
from cftlearn.labels._names import check_same_rows

Floats = NDArray[np.float64]


class Fitted(NamedTuple):
    """A model of this package, out of its search and its pipeline, and its inputs."""

    model: Any
    inputs: Any


def unwrap(estimator: Any, X: Any = None) -> Fitted:
    """Return the model in a search and a pipeline, with its transformed inputs."""
    check_is_fitted(estimator)
    model = getattr(estimator, "best_estimator_", estimator)
    if hasattr(model, "steps"):
        if X is not None and len(model.steps) > 1:
            X = model[:-1].transform(X)
        return unwrap(model.steps[-1][1], X)
    return Fitted(model, X)


def fine_tuner_of(model: Any, display: str) -> Any:
    """Return the fitted fine-tuner of a model.

    Raises
    ------
    TypeError
        If it has none.
    """
    tuner = getattr(model, "fine_tuner_", model)
    if not hasattr(tuner, "coef_init_"):
        raise TypeError(
            f"`estimator` must be a CategoryWiseFineTuner or a CFTClassifier; got "
            f"{type(model).__name__}, for which {display} has no weights before a "
            "refit. Pass one of its members, or scores to from_predictions."
        )
    return tuner


def logits_before_and_after(
    estimator: Any, X: Any, y: ArrayLike, display: str
) -> tuple[Any, Floats, Floats]:
    """Check labels, and compute logits before and after the refit.

    A network computes features once, some rows at a time.
    """
    check_same_rows(X=X, y=y)
    model, inputs = unwrap(estimator, X)
    tuner = fine_tuner_of(model, display)
    parts = model._feature_parts(inputs) if tuner is not model else [inputs]
    both = [(tuner.transform(Z, initial=True), tuner.transform(Z)) for Z in parts]
    before, after = (np.concatenate(logits) for logits in zip(*both, strict=True))
    labels = read_further_targets(model, after, y)
    return labels._replace(categories=tuner.categories_), before, after


def labels_and_probabilities(
    estimator: Any, X: Any, y: ArrayLike
) -> tuple[Any, NDArray[Any]]:
    """Check labels, and compute the probabilities of positives.

    Raises
    ------
    TypeError
        If the model has none.
    """
    check_same_rows(X=X, y=y)
    model, inputs = unwrap(estimator, X)
    if hasattr(model, "predict_proba"):
        proba = np.asarray(model.predict_proba(inputs))
        if is_one_dimensional(y) and proba.ndim > 1:
            proba = proba[:, 1]  # of the two classes
    elif hasattr(model, "coef_init_"):
        proba = expit(model.transform(inputs))
    else:
        raise TypeError(
            f"`estimator` must have predict_proba; got {type(model).__name__} without "
            "it. A mean of ranks is no probability."
        )
    if not isinstance(model, PartialLabelMixin):
        return y, proba
    table = proba.reshape(len(proba), -1)
    labels = read_further_targets(model, table, y)
    return labels._replace(categories=model.categories_), table
