"""Intervals of a score from the spread of its bootstrap draws, for few labels too."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

FEWEST = 2  # labels of each class that an interval needs
_MOST_EFFECTIVE = 4  # Bernoulli trials that a label of the rarer class may count for


def unbiased_spread(draws: NDArray[np.float64], n_rarer: float) -> float:
    """Compute the standard error that bootstrap draws show.

    Parameters
    ----------
    draws : ndarray of shape (n_draws,)
        Scores, NaN where a draw has none.
    n_rarer : float
        Labels of the rarer class, 2 or more; their effective number if they have
        weights.

    Returns
    -------
    spread : float
        Their standard deviation, times ``sqrt(n / (n - 1))``: a bootstrap divides
        squares by the number of labels. NaN with fewer than two scores.
    """
    draws = draws[~np.isnan(draws)]
    if len(draws) < FEWEST:
        return float("nan")
    return float(np.std(draws, ddof=1) * np.sqrt(n_rarer / (n_rarer - 1)))


def t_quantile(n_rarer: float, confidence: float) -> float:
    """Return how many standard errors an interval reaches to either side.

    Parameters
    ----------
    n_rarer : float
        Labels of the rarer class, 2 or more; their effective number if they have
        weights.
    confidence : float
        In (0, 1).

    Returns
    -------
    quantile : float
        Of Student's t with ``2 * (n_rarer - 1)`` degrees of freedom: the standard
        error itself rests on so few labels.
    """
    return float(stdtrit(2 * (n_rarer - 1), (1 + confidence) / 2))


def wilson_interval(
    score: float, spread: float, n_rarer: float, confidence: float
) -> tuple[float, float]:
    r"""Compute Wilson's interval of a score in [0, 1].

    Parameters
    ----------
    score : float
        The estimate.
    spread : float
        Its standard error, 0 or more.
    n_rarer : float
        Labels of the rarer class; their effective number if they have weights.
    confidence : float
        In (0, 1).

    Returns
    -------
    low, high : float
        In [0, 1]. NaN with fewer than two labels of the rarer class, and where score
        or spread is NaN.

    Notes
    -----
    A score :math:`p` with the standard error :math:`s` tells as much as the mean of
    :math:`n = p (1 - p) / s^2` Bernoulli trials [1]_. Wilson's interval of such a mean
    [2]_ stays in [0, 1], leans toward 0.5 and has a length where all trials succeed.
    Where :math:`s` is 0, :math:`n` is the number of labels of the rarer class; it is
    never above four times that number, since few labels can agree by chance.

    References
    ----------
    .. [1] Korn and Graubard, "Confidence Intervals for Proportions with Small Expected
       Number of Positive Counts Estimated from Survey Data", Survey Methodology 24,
       1998.
    .. [2] Wilson, "Probable Inference, the Law of Succession, and Statistical
       Inference", Journal of the American Statistical Association 22, 1927.
    """
    if n_rarer < FEWEST or np.isnan(score) or np.isnan(spread):
        return float("nan"), float("nan")
    n_effective = float(n_rarer)
    variance = score * (1 - score)
    if variance > 0 and spread > 0:
        n_effective = min(variance / spread**2, _MOST_EFFECTIVE * n_rarer)
    q = t_quantile(n_rarer, confidence)
    share = q * q / n_effective
    centre = (score + share / 2) / (1 + share)
    reach = np.sqrt(share * (variance + share / 4)) / (1 + share)
    return float(max(centre - reach, 0.0)), float(min(centre + reach, 1.0))
