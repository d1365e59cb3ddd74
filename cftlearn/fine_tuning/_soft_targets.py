"""Probabilities of unknown labels, as targets of a further training."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit, logit

from cftlearn.fine_tuning._evidence import effective_labels
from cftlearn.labels._held_out_scores import HeldOutColumn, HeldOutScores
from cftlearn.labels._weights import effective_count
from cftlearn.metrics import partial_roc_auc_score
from cftlearn.solvers._intercept import intercept_of_mean, likeliest_intercept

# Logarithms of the slopes among which calibration searches.
_LOG_SLOPES = (-4.0, 4.0)
_LEAST_SHARE = 1e-4  # of positives among unknown labels; a share of 0 has no log-odds


def soft_targets(
    logits: NDArray[np.float64],
    unknown: NDArray[np.bool_],
    unknown_share: NDArray[np.float64],
    held_out: HeldOutScores,
) -> NDArray[np.float32]:
    r"""Compute probabilities of unknown labels from logits of a refit.

    Parameters
    ----------
    logits : ndarray of shape (n_samples, n_categories)
        Of all rows.
    unknown : ndarray of shape (n_samples, n_categories), bool
        The cells whose label is unknown.
    unknown_share : ndarray of shape (n_categories,)
        Estimated share of positives among them, in [0, 1].
    held_out : HeldOutScores
        Held-out labels, and logits of the same refit that did not see them.

    Returns
    -------
    targets : ndarray of shape (n_samples, n_categories), float32
        Probabilities in [0, 1]; NaN where the label is known, and in categories whose
        logits do not vary.

    Notes
    -----
    Logits :math:`s` are divided by their spread over all rows. One slope :math:`a` for
    all categories maximises the likelihood of held-out labels, each category with the
    best bias of its own; single categories have too few labels for a slope. The bias of
    unknown labels is another one, :math:`b_c`: it makes the mean of
    :math:`\sigma(a s + b_c)` over them their estimated share of positives. Known labels
    may be a biased sample, so their bias would be wrong.
    """
    spread = logits.std(axis=0)
    usable = (spread > 0) & unknown.any(axis=0)
    targets = np.full(logits.shape, np.nan, dtype=np.float32)
    slope = _pooled_slope(held_out.columns, np.where(spread > 0, spread, 1.0))
    for j in np.flatnonzero(usable):
        own = slope * logits[unknown[:, j], j] / spread[j]
        share = float(np.clip(unknown_share[j], _LEAST_SHARE, 1 - _LEAST_SHARE))
        bias = intercept_of_mean(own, share, float(logit(share)))
        targets[unknown[:, j], j] = expit(own + bias)
    return targets


def mean_held_out_auc(held_out: HeldOutScores) -> float:
    """Return the ROC AUC of held-out labels, weighted by how many each category has.

    Parameters
    ----------
    held_out : HeldOutScores
        Labels and scores.

    Returns
    -------
    auc : float
        NaN if no category has held-out labels of both classes.
    """
    total = weight = 0.0
    for column in held_out.columns:
        y, own = column.y, column.weight
        n_labels = effective_labels(effective_count(own, y), effective_count(own, ~y))
        if n_labels:
            labels, logits = y.astype(np.float64)[:, None], column.logits[:, None]
            auc = partial_roc_auc_score(labels, logits, sample_weight=own)
            total += n_labels * float(auc)
            weight += n_labels
    return total / weight if weight else float("nan")


def _pooled_slope(columns: list[HeldOutColumn], spread: NDArray[np.float64]) -> float:
    """Return the slope of all categories together; 1 where no label can tell."""
    judging = [
        (own.logits / spread[j], own.y, own.weight)
        for j, own in enumerate(columns)
        if own.y.any() and not own.y.all()
    ]
    if not judging:
        return 1.0

    def loss(log_slope: float) -> float:
        total = 0.0
        for own, y, weight in judging:
            scaled = np.exp(log_slope) * own
            signed = scaled + likeliest_intercept(scaled, y, weight)
            gains = log_expit(np.where(y, signed, -signed))
            total -= float(gains.sum() if weight is None else weight @ gains)
        return total

    found = minimize_scalar(loss, bounds=_LOG_SLOPES, method="bounded")
    return float(np.exp(found.x))
