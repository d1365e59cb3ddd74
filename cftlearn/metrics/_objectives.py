"""What a refit maximises: a metric of one category, for many candidates at once."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from inspect import signature
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cftlearn.metrics._ranking import batch_average_precision, batch_roc_auc

Weights = NDArray[np.float64]
ObjectiveLike = str | Callable[[NDArray, NDArray], float]


@dataclass(frozen=True)
class Objective:
    """A metric of one category, evaluated for many score vectors.

    Attributes
    ----------
    name : str
        As reports print it.
    is_ranking : bool
        True if adding a constant to all scores changes nothing, so that an intercept
        cannot be fitted by it.
    metric : callable
        Maps scores of shape (n_vectors, n_samples), labels of shape (n_samples,) and
        their weights, or None, to values of shape (n_vectors,).
    takes_weights : bool
        Whether labels may have weights.
    """

    name: str
    is_ranking: bool
    metric: Callable[[NDArray, NDArray, Weights | None], NDArray[np.float64]]
    takes_weights: bool = True

    def __call__(
        self, y_true: NDArray, scores: ArrayLike, sample_weight: Weights | None = None
    ) -> NDArray[np.float64]:
        """Evaluate every score vector; higher is better."""
        return self.metric(np.atleast_2d(scores), y_true, sample_weight)

    def single(
        self, y_true: NDArray, scores: NDArray, sample_weight: Weights | None = None
    ) -> float:
        """Evaluate one score vector."""
        return float(self(y_true, scores, sample_weight)[0])


def _roc_auc(
    scores: NDArray, y: NDArray, weight: Weights | None
) -> NDArray[np.float64]:
    return batch_roc_auc(scores, y, exact=False, sample_weight=weight)


def _average_precision(
    scores: NDArray, y: NDArray, weight: Weights | None
) -> NDArray[np.float64]:
    return batch_average_precision(scores, y, exact=False, sample_weight=weight)


_SIGNATURE = "metric(y_true, y_score) -> float"
_WEIGHTED = "metric(y_true, y_score, *, sample_weight=None)"
_N_TRIED = 40
_RANKING = {"roc_auc": _roc_auc, "average_precision": _average_precision}


def make_objective(objective: ObjectiveLike) -> Objective:
    """Build an :class:`Objective` from the parameter of an estimator.

    Parameters
    ----------
    objective : {"roc_auc", "average_precision"} or callable
        A callable has the signature ``metric(y_true, y_score) -> float``, is called
        with the known labels (1 or 0) and raw logits of one category, and is better
        when higher. Give losses a minus sign. Where labels have weights, it is called
        with ``sample_weight`` too, and must take that.

    Returns
    -------
    objective : Objective
        Evaluates many score vectors at once.

    Raises
    ------
    ValueError
        If it is neither; and on evaluation, if a callable returns NaN or infinity.
    TypeError
        If a callable does not take two arguments; and on evaluation, if it returns
        anything but one number.
    """
    if callable(objective):
        _check_signature(objective)
        return Objective(
            name=_name_of(objective),
            is_ranking=False,
            metric=partial(_call_for_each, objective),
            takes_weights=_takes_weights(objective),
        )
    if not isinstance(objective, str) or objective not in _RANKING:
        raise ValueError(
            "`objective` must be 'roc_auc', 'average_precision' or a callable "
            f"{_SIGNATURE}; got {objective!r}."
        )
    return Objective(objective, is_ranking=True, metric=_RANKING[objective])


def try_objective(objective: Objective, *, weighted: bool = False) -> None:
    """Call an objective once, before training that ends with it costs hours.

    Parameters
    ----------
    objective : Objective
        Of :func:`make_objective`.
    weighted : bool, default=False
        Whether labels have weights.

    Raises
    ------
    TypeError, ValueError
        If it does not return a finite number for 40 labels, half of them positive; or
        takes no weights where there are any.
    """
    if weighted and not objective.takes_weights:
        raise ValueError(
            "`objective` must take the weights of labels where `sample_weight` is "
            f"given, as {_WEIGHTED}; got {objective.name!r}, which does not. Add the "
            "argument, or pass sample_weight=None."
        )
    labels = np.tile([0.0, 1.0], _N_TRIED // 2)
    scores = np.random.default_rng(0).normal(labels, 1.0)
    weights = np.tile([0.5, 1.5], _N_TRIED // 2)[::-1] if weighted else None
    objective.single(labels, scores, weights)


def _name_of(metric: Callable[..., Any]) -> str:
    return str(getattr(metric, "__name__", type(metric).__name__))


def _check_signature(metric: Callable[..., Any]) -> None:
    try:
        parameters = signature(metric)
    except (TypeError, ValueError):  # some functions written in C have none
        return
    try:
        parameters.bind(None, None)
    except TypeError as error:
        raise TypeError(
            f"`objective` must take two arguments, {_SIGNATURE}; got "
            f"{_name_of(metric)}{parameters!s:.80}. Write a function of the labels "
            "and the scores of one category."
        ) from error


def _takes_weights(metric: Callable[..., Any]) -> bool:
    try:
        signature(metric).bind(None, None, sample_weight=None)
    except (TypeError, ValueError):
        return False
    return True


def _call_for_each(
    metric: Callable[..., float],
    scores: NDArray,
    y: NDArray,
    weight: Weights | None,
) -> NDArray[np.float64]:
    labels = y.astype(np.int64)
    extra = {} if weight is None else {"sample_weight": weight}
    values = np.array(
        [_as_number(metric(labels, vector, **extra)) for vector in scores]
    )
    if not np.isfinite(values).all():
        wrong = values[~np.isfinite(values)][0]
        raise ValueError(
            "`objective` must return finite numbers; got "
            f"{wrong} for {len(y)} known labels with {int(np.sum(y))} positives. "
            "Return a number for every pair of labels and scores."
        )
    return values


def _as_number(value: Any) -> float:
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):  # lists of several lengths, tensors
        array = np.array(None)
    if array.ndim or array.dtype.kind not in "biuf":
        shown = f"of shape {array.shape}" if array.ndim else repr(value)[:80]
        raise TypeError(
            "`objective` must return one number per call; got "
            f"{type(value).__name__} {shown}. Write it as {_SIGNATURE}, higher "
            "for better scores."
        )
    return float(value)
