"""The metrics as scorers for ``scoring=`` in scikit-learn's searches."""

from sklearn.metrics import make_scorer

from cftlearn.metrics._partial import (
    partial_average_precision_score,
    partial_f1_score,
    partial_log_loss,
    partial_roc_auc_score,
)

_RANKING = ("decision_function", "predict_proba")

partial_roc_auc_scorer = make_scorer(partial_roc_auc_score, response_method=_RANKING)
partial_average_precision_scorer = make_scorer(
    partial_average_precision_score, response_method=_RANKING
)
partial_f1_scorer = make_scorer(partial_f1_score, response_method="predict")
neg_partial_log_loss_scorer = make_scorer(
    partial_log_loss, response_method="predict_proba", greater_is_better=False
)
