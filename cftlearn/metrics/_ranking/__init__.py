"""Exact ROC AUC and average precision of many score vectors at once.

Both metrics need only where the positives stand in the sorted order. So every score
and its label are packed into one integer key, the keys are sorted by value (no
``argsort``, no gather), and the positives are read off the lowest bits. One sort of
``m`` rows of ``n`` keys is nearly the whole cost, O(m n log n).

The order of keys is best score first and, within a tie, negatives first. The last
positive of a tie therefore stands at the end of its group, where average precision
evaluates the group. The pairs that ROC AUC counts as one half are counted group by
group, or, in torch, by the mean rank of every group.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cftlearn.metrics._ranking import _numpy, _row_weights

__all__ = ["batch_average_precision", "batch_roc_auc"]


def batch_roc_auc(
    scores: Any,
    y: ArrayLike,
    *,
    exact: bool = True,
    sample_weight: NDArray[np.float64] | None = None,
) -> Any:
    """Compute the area under the ROC curve of each score vector.

    Parameters
    ----------
    scores : ndarray or torch.Tensor of shape (n_vectors, n_samples)
        Scores without NaN, higher for positives. float32 and float64 keep their
        precision; other types are converted to float64.
    y : array-like of shape (n_samples,)
        True labels, 1 or 0; none unknown.
    exact : bool, default=True
        False rounds float32 scores to 23 significant bits first (one is given to
        the label), which halves the sorting time; float64 is not affected.
    sample_weight : ndarray of shape (n_samples,), default=None
        Weights of rows, 0 or more; then scores are arrays. None weighs all equally.

    Returns
    -------
    score : ndarray or torch.Tensor of shape (n_vectors,), float64
        Between 0 and 1; ties count one half. NaN where ``y`` has one class only.
    """
    checked = _checked(scores, y)
    if sample_weight is not None:
        return _row_weights.roc_auc(*checked, sample_weight)
    return _backend(scores).roc_auc(*checked, exact=exact)


def batch_average_precision(
    scores: Any,
    y: ArrayLike,
    *,
    exact: bool = True,
    sample_weight: NDArray[np.float64] | None = None,
) -> Any:
    """Compute the average precision of each score vector.

    Parameters
    ----------
    scores : ndarray or torch.Tensor of shape (n_vectors, n_samples)
        Scores without NaN, higher for positives. float32 and float64 keep their
        precision; other types are converted to float64.
    y : array-like of shape (n_samples,)
        True labels, 1 or 0; none unknown.
    exact : bool, default=True
        False rounds float32 scores to 23 significant bits first (one is given to
        the label), which halves the sorting time; float64 is not affected.
    sample_weight : ndarray of shape (n_samples,), default=None
        Weights of rows, 0 or more; then scores are arrays. None weighs all equally.

    Returns
    -------
    score : ndarray or torch.Tensor of shape (n_vectors,), float64
        Between 0 and 1; tied scores are one threshold. NaN where ``y`` has one
        class only.
    """
    checked = _checked(scores, y)
    if sample_weight is not None:
        return _row_weights.average_precision(*checked, sample_weight)
    return _backend(scores).average_precision(*checked, exact=exact)


def _is_tensor(scores: object) -> bool:
    return type(scores).__module__.split(".")[0] == "torch"


def _backend(scores: object) -> Any:
    if _is_tensor(scores):
        from cftlearn.metrics._ranking import _torch

        return _torch
    return _numpy


def _checked(scores: Any, y: ArrayLike) -> tuple[Any, NDArray[np.bool_]]:
    if not _is_tensor(scores):
        scores = np.asarray(scores)
        if scores.dtype not in (np.float32, np.float64):
            scores = scores.astype(np.float64)
    labels = np.asarray(y).astype(bool)
    if scores.ndim != 2 or labels.shape != (scores.shape[1],):
        raise ValueError(
            "`scores` must have shape (n_vectors, n_samples) and `y` shape "
            f"(n_samples,); got {tuple(scores.shape)} and {labels.shape}."
        )
    return scores, labels
