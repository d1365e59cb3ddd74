"""Scores over known labels only, how sure they are, their scorers, and objectives."""

from cftlearn.metrics._bootstrap import bootstrap_intervals, compare_scores
from cftlearn.metrics._known_cells import partial_score
from cftlearn.metrics._partial import (
    partial_average_precision_score,
    partial_f1_score,
    partial_log_loss,
    partial_roc_auc_score,
)
from cftlearn.metrics._scorers import (
    neg_partial_log_loss_scorer,
    partial_average_precision_scorer,
    partial_f1_scorer,
    partial_roc_auc_scorer,
)

__all__ = [
    "bootstrap_intervals",
    "compare_scores",
    "neg_partial_log_loss_scorer",
    "partial_average_precision_score",
    "partial_average_precision_scorer",
    "partial_f1_score",
    "partial_f1_scorer",
    "partial_log_loss",
    "partial_roc_auc_score",
    "partial_roc_auc_scorer",
    "partial_score",
]
