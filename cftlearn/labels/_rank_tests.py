"""How often scores of one kind rank above those of another, and how sure that is."""

import math
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu, norm, rankdata

# The p-value is exact where nothing is tied and one kind is small; its cost grows with
# the number of pairs.
_FEW, _MOST_PAIRS = 8, 5_000


class RankTest(NamedTuple):
    """Two kinds of scores, compared by their ranks.

    Attributes
    ----------
    auc : float
        Probability that a score of the first kind is above one of the second, ties
        counted half.
    low, high : float
        Its confidence interval within [0, 1].
    p_value : float
        Two-sided, that both kinds have the same distribution.
    """

    auc: float
    low: float
    high: float
    p_value: float

    @classmethod
    def undefined(cls) -> Self:
        """Return what a comparison without scores says."""
        return cls(math.nan, math.nan, math.nan, math.nan)


def rank_auc(higher: NDArray[np.floating], lower: NDArray[np.floating]) -> float:
    """Return how often scores of the first kind rank above those of the second."""
    ranks = rankdata(np.concatenate([higher, lower]))
    n = len(higher)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * len(lower)))


def compare_by_rank(
    first: NDArray[np.floating], second: NDArray[np.floating], confidence: float
) -> RankTest:
    """Compare two kinds of scores by the test of Mann and Whitney.

    The interval is DeLong's, computed in logits so that it stays within [0, 1]. Its
    standard error is at least that of one tied pair, so that scores which are apart do
    not seem certain.

    Parameters
    ----------
    first, second : ndarray of shape (n_first,), ndarray of shape (n_second,)
        Finite scores.
    confidence : float
        Of the interval, in (0, 1).

    Returns
    -------
    test : RankTest
        NaN if a kind has fewer than two scores.
    """
    if min(len(first), len(second)) < 2:
        return RankTest.undefined()
    n_first, n_second = len(first), len(second)
    ranks = rankdata(np.concatenate([first, second]))
    above = (ranks[:n_first] - rankdata(first)) / n_second
    below = 1.0 - (ranks[n_first:] - rankdata(second)) / n_first
    auc = float(above.mean())
    variance = float(np.var(above, ddof=1) / n_first + np.var(below, ddof=1) / n_second)
    half_pair = 0.5 / (n_first * n_second)
    error = max(math.sqrt(variance), half_pair)
    inside = min(max(auc, half_pair), 1.0 - half_pair)
    logit = math.log(inside / (1.0 - inside))
    spread = float(norm.ppf(0.5 + confidence / 2)) * error / (inside * (1.0 - inside))
    low, high = (1.0 / (1.0 + math.exp(-(logit + s))) for s in (-spread, spread))
    is_tied = len(np.unique(ranks)) < len(ranks)
    is_small = min(n_first, n_second) <= _FEW and n_first * n_second <= _MOST_PAIRS
    exact = is_small and not is_tied
    p_value = mannwhitneyu(first, second, method="exact" if exact else "asymptotic")[1]
    return RankTest(auc, min(low, auc), max(high, auc), float(p_value))


def adjust_p_values(p_values: NDArray[np.float64], method: str) -> NDArray[np.float64]:
    """Adjust p-values for their number.

    Parameters
    ----------
    p_values : ndarray of shape (n_tests,), float64
        NaN is no test: it stays NaN, and does not count.
    method : {"holm", "benjamini_hochberg"}
        Control the chance of any false finding [1]_, or the expected share of false
        ones among the findings [2]_.

    Returns
    -------
    adjusted : ndarray of shape (n_tests,), float64
        At most 1.

    References
    ----------
    .. [1] Holm, "A Simple Sequentially Rejective Multiple Test Procedure",
       Scandinavian Journal of Statistics 6, 1979.
    .. [2] Benjamini and Hochberg, "Controlling the False Discovery Rate", Journal of
       the Royal Statistical Society B 57, 1995.
    """
    adjusted = np.full(len(p_values), np.nan)
    tested = np.flatnonzero(~np.isnan(p_values))
    order = tested[np.argsort(p_values[tested], kind="stable")]
    n_tests = len(order)
    places = np.arange(n_tests)
    if method == "holm":
        steps = np.maximum.accumulate(p_values[order] * (n_tests - places))
    else:
        raised = p_values[order] * n_tests / (places + 1)
        steps = np.minimum.accumulate(raised[::-1])[::-1]
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted
