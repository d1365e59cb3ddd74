"""Protocols that hide labels of a known table, to study partial labels."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from cftlearn.labels._encoding import check_partial_labels

Scheme = Literal["uniform", "single_positive", "fixed_per_category", "report_like"]

# How unevenly reports speak, read off CheXpert's training table: its categories'
# known shares spread over a factor of thirty (1.7 % to 55 %), and a finding that is
# there is several times as likely to be mentioned as one that is not.
_RATE_LOG_SPREAD = 0.9
_ODDS_RANGE = (4.0, 40.0)


def hide_labels(
    y: ArrayLike,
    *,
    known: float | int | None = None,
    scheme: Scheme = "uniform",
    random_state: int | np.random.RandomState | None = None,
) -> NDArray[np.float64]:
    """Hide labels by one of the field's protocols.

    Labels that are unknown already stay unknown.

    Parameters
    ----------
    y : array-like or DataFrame of shape (n_samples, n_categories)
        Labels in any form that :func:`check_partial_labels` accepts.
    known : float or int, default=None
        ``"uniform"``: probability in (0, 1] that a label **stays** known.
        ``"report_like"``: mean share in (0, 1] of labels that stay known.
        ``"fixed_per_category"``: number of positives, and of negatives, that stay
        known in each category (all of them where there are fewer).
        ``"single_positive"``: must be None.
    scheme : {"uniform", "single_positive", "fixed_per_category", "report_like"}, \
default="uniform"
        ``"uniform"`` keeps every label independently, as the MS-COCO protocol does.
        ``"single_positive"`` keeps one random positive per row and nothing else
        [1]_. ``"fixed_per_category"`` keeps equally many positives and negatives
        [2]_. ``"report_like"`` mimics labels mined from reports: categories differ
        in how often they are mentioned, and positives are mentioned more often.
    random_state : int, RandomState instance or None, default=None
        Seed of the choice.

    Returns
    -------
    y : ndarray of shape (n_samples, n_categories), float64
        1 positive, 0 negative, NaN unknown or hidden.

    Raises
    ------
    TypeError, ValueError
        If ``y`` is not accepted, ``scheme`` is none of the four, or ``known`` does
        not fit the scheme.

    References
    ----------
    .. [1] Cole et al., "Multi-Label Learning from Single Positive Labels", CVPR 2021.
    .. [2] Ben-Baruch et al., "Multi-label Classification with Partial Annotations
       using Class-aware Selective Loss", CVPR 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from cftlearn.labels import hide_labels
    >>> y = hide_labels(np.eye(100), known=0.1, random_state=0)
    >>> round(float(np.mean(~np.isnan(y))), 2)
    0.1
    """
    values = check_partial_labels(y).values
    rng = check_random_state(random_state)
    if scheme == "uniform":
        share = _check_share(known, scheme)
        keep = rng.random_sample(values.shape) < share
    elif scheme == "single_positive":
        if known is not None:
            raise ValueError(
                f'`known` must be None with scheme="single_positive"; got {known!r}. '
                "That scheme keeps exactly one positive per row."
            )
        keep = _one_positive_per_row(values, rng)
    elif scheme == "fixed_per_category":
        keep = _equal_counts(values, _check_count(known), rng)
    elif scheme == "report_like":
        keep = _mentioned(values, _check_share(known, scheme), rng)
    else:
        raise ValueError(
            "`scheme` must be 'uniform', 'single_positive', 'fixed_per_category' or "
            f"'report_like'; got {scheme!r}."
        )
    return np.where(keep, values, np.nan)


def _check_share(known: float | int | None, scheme: str) -> float:
    if isinstance(known, bool) or not isinstance(known, (int, float, np.number)):
        raise TypeError(
            f'`known` must be a share in (0, 1] with scheme="{scheme}"; got {known!r}.'
        )
    if not 0.0 < known <= 1.0:
        raise ValueError(
            f'`known` must be a share in (0, 1] with scheme="{scheme}"; got {known!r}. '
            "It is the share that stays known, not the share that is dropped."
        )
    return float(known)


def _check_count(known: float | int | None) -> int:
    if isinstance(known, bool) or not isinstance(known, (int, np.integer)):
        raise TypeError(
            "`known` must be a whole number of labels with "
            f'scheme="fixed_per_category"; got {known!r}.'
        )
    if known < 1:
        raise ValueError(
            '`known` must be at least 1 with scheme="fixed_per_category"; '
            f"got {known!r}."
        )
    return int(known)


def _one_positive_per_row(
    values: NDArray[np.float64], rng: np.random.RandomState
) -> NDArray[np.bool_]:
    positive = values == 1.0
    draw = np.where(positive, rng.random_sample(values.shape), -1.0)
    keep = np.zeros(values.shape, dtype=bool)
    keep[np.arange(len(values)), draw.argmax(axis=1)] = True
    return keep & positive


def _equal_counts(
    values: NDArray[np.float64], count: int, rng: np.random.RandomState
) -> NDArray[np.bool_]:
    keep = np.zeros(values.shape, dtype=bool)
    for j in range(values.shape[1]):
        for state in (1.0, 0.0):
            rows = np.flatnonzero(values[:, j] == state)
            keep[rng.permutation(rows)[:count], j] = True
    return keep


def _mentioned(
    values: NDArray[np.float64], share: float, rng: np.random.RandomState
) -> NDArray[np.bool_]:
    """Hide labels at a rate per category, and negatives more than positives.

    With prevalence p, category rate r and mention ratio q, a negative stays with
    probability a and a positive with min(1, q a), where p min(1, q a) + (1 - p) a = r.
    """
    n_categories = values.shape[1]
    rates = np.exp(_RATE_LOG_SPREAD * rng.standard_normal(n_categories))
    rates = _scale_to_mean(rates, share)
    low, high = np.log(_ODDS_RANGE)
    ratios = np.exp(rng.uniform(low, high, size=n_categories))
    n_known = np.maximum((~np.isnan(values)).sum(axis=0), 1)
    prevalence = np.nansum(values, axis=0) / n_known
    negative = rates / (prevalence * ratios + (1.0 - prevalence))
    positive = ratios * negative
    capped = positive > 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        rest = (rates - prevalence) / (1.0 - prevalence)
    negative = np.where(capped, np.nan_to_num(rest), negative)
    probability = np.where(values == 1.0, np.minimum(positive, 1.0), negative)
    return rng.random_sample(values.shape) < probability


def _scale_to_mean(rates: NDArray[np.float64], mean: float) -> NDArray[np.float64]:
    """Scale positive rates to a mean while none exceeds one."""
    free = np.ones(len(rates), dtype=bool)
    scaled = np.ones_like(rates)
    while free.any():
        room = mean * len(rates) - np.count_nonzero(~free)
        scaled[free] = rates[free] * room / rates[free].sum()
        over = free & (scaled > 1.0)
        if not over.any():
            break
        scaled[over] = 1.0
        free &= ~over
    return scaled
