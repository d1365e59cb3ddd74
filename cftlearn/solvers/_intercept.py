"""The bias that fits given logits, found as the root of a monotone function."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit


def intercept_of_mean(
    logits: NDArray[np.float64],
    mean: float,
    log_odds: float,
    weight: NDArray[np.float64] | None = None,
) -> float:
    """Find the bias with which the mean probability is a given one.

    Parameters
    ----------
    logits : ndarray of shape (n,)
        Without a bias.
    mean : float
        Between 0 and 1, both excluded.
    log_odds : float
        Of ``mean``: the bias if all logits were 0. With it the bias of the least logit
        alone, and of the greatest, bracket the root.
    weight : ndarray of shape (n,), default=None
        Weights of the probabilities in their mean; None weighs them equally.

    Returns
    -------
    intercept : float
        The bias.
    """
    low, high = log_odds - logits.max() - 1.0, log_odds - logits.min() + 1.0
    if weight is None:
        return float(brentq(lambda bias: expit(logits + bias).mean() - mean, low, high))
    share = weight / weight.sum()
    return float(brentq(lambda bias: share @ expit(logits + bias) - mean, low, high))


def likeliest_intercept(
    logits: NDArray[np.floating[Any]],
    y: NDArray[np.bool_],
    weight: NDArray[np.float64] | None = None,
) -> float:
    """Find the bias of the greatest likelihood for given logits without a bias.

    The mean predicted probability then equals the share of positives, both weighed by
    ``weight`` if there is one. The labels must hold both classes, so the bias is
    finite.
    """
    share = float(np.average(y, weights=weight))
    log_odds = np.log(share / (1.0 - share))
    return intercept_of_mean(logits.astype(np.float64), share, log_odds, weight)
