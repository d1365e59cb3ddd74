"""The metrics as scorers for ``scoring=`` in scikit-learn's searches."""

from collections.abc import Callable
from typing import Any

from cftlearn._dependencies import Scorer
from cftlearn.labels._names import check_columns, check_same_rows, fitted_categories
from cftlearn.metrics._partial import (
    partial_average_precision_score,
    partial_f1_score,
    partial_log_loss,
    partial_roc_auc_score,
)

_RANKING = ("decision_function", "predict_proba")


class _NamedScorer(Scorer):
    """A scorer that compares the names of labels with those of the model.

    Predictions are arrays, so the metric cannot. Weights of labels are passed as
    ``sample_weight``, by metadata routing after ``set_score_request``.
    """

    def _score(
        self,
        method_caller: Callable[..., Any],
        estimator: Any,
        X: Any,
        y_true: Any,
        **kwargs: Any,
    ) -> Any:
        weights = kwargs.get("sample_weight")
        check_same_rows(X=X, y=y_true, sample_weight=weights)
        expected = fitted_categories(estimator)
        if expected is not None:
            check_columns(
                y_true,
                expected,
                name="y",
                owner="the categories of the model",
                order="model.categories_",
                numbers_are_names=False,
            )
        return super()._score(method_caller, estimator, X, y_true, **kwargs)


def _make_scorer(
    metric: Callable[..., Any], response_method: Any, sign: int = 1
) -> _NamedScorer:
    return _NamedScorer(metric, sign, {}, response_method)


partial_roc_auc_scorer = _make_scorer(partial_roc_auc_score, _RANKING)
partial_average_precision_scorer = _make_scorer(
    partial_average_precision_score, _RANKING
)
partial_f1_scorer = _make_scorer(partial_f1_score, "predict")
neg_partial_log_loss_scorer = _make_scorer(partial_log_loss, "predict_proba", -1)
