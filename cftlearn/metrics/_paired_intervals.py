"""Intervals of two scores on the same held-out labels, and of their difference."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cftlearn.labels._weights import effective_count, joined_weights, taken
from cftlearn.metrics._effective_sample import (
    FEWEST,
    t_quantile,
    unbiased_spread,
    wilson_interval,
)
from cftlearn.metrics._objectives import Objective
from cftlearn.metrics._ranking._weighted import (
    rank_rows,
    weighted_average_precision,
    weighted_roc_auc,
)

Floats = NDArray[np.float64]

_CONFIDENCE = 0.95
_DRAWS = 400  # of a standard error, to 4 %
_FEWEST_DRAWS = 100
_MOST_CELLS = 2e7  # of labels times draws; beyond it there are fewer draws
_MOST_UNITS = 2000  # more labels than these are drawn as blocks
_MOST_LEVELS = 2000  # of the positives' scores; an error needs no finer ones
_MOST_WEIGHED = 2**22  # numbers at a time: 32 MiB
_CALLABLE_DRAWS = 100
_MOST_FOR_CALLABLES = 10_000  # labels
_STREAM = 1  # of the category's seed, that other draws do not use
_WEIGHTED = {
    "roc_auc": weighted_roc_auc,
    "average_precision": weighted_average_precision,
}


class HeldOutPair(NamedTuple):
    """Held-out labels of a category, scored before and after its refit.

    Attributes
    ----------
    y : ndarray of shape (n_held_out,), bool
        The labels.
    before, after : ndarray of shape (n_held_out,)
        Logits by weights that were not fitted to these labels.
    weight : ndarray of shape (n_held_out,), or None
        How much each label counts; None if all count alike.
    """

    y: NDArray[np.bool_]
    before: Floats
    after: Floats
    weight: Floats | None = None


class PairedIntervals(NamedTuple):
    """Intervals that hold the true score in 95 % of such samples; NaN if undefined.

    Attributes
    ----------
    before_low, before_high, after_low, after_high : float
        Of both scores.
    gain_low, gain_high : float
        Of the difference, after minus before.
    """

    before_low: float
    before_high: float
    after_low: float
    after_high: float
    gain_low: float
    gain_high: float


NO_INTERVALS = PairedIntervals(*[float("nan")] * len(PairedIntervals._fields))


def paired_intervals(
    parts: Sequence[HeldOutPair],
    scores: tuple[float, float],
    objective: Objective,
    seed: int,
) -> PairedIntervals:
    """Compute intervals by drawing held-out labels, for both scores alike.

    Parameters
    ----------
    parts : sequence of HeldOutPair
        Labels that are ranked together; the score is the mean over parts by their
        numbers of labels.
    scores : tuple (before, after)
        The scores on these labels.
    objective : Objective
        The metric.
    seed : int
        Seed of the draws.

    Returns
    -------
    intervals : PairedIntervals
        NaN with fewer than two labels of a class, and for a callable with more than
        10,000 labels, or that returns no finite number for a draw.

    Notes
    -----
    Labels are drawn with replacement, as many as there are, positives and negatives
    together: the share of positives, on which average precision depends, is known no
    better than that. A draw without a class does not count. More than 2,000 labels are
    drawn in as many blocks, and more than 2,000 positives are ranked by as many levels.
    Of ROC AUC
    and average precision, the standard error of 400 draws (100 at the least, with very
    many labels) goes into Wilson's interval, see
    :func:`~cftlearn.metrics._effective_sample.wilson_interval`; of a callable, 100
    draws go into an interval of Student's t. That of the difference is one of
    Student's t, for ROC AUC and average precision of a standard error of at least
    ``0.5 * n ** -1.5`` for ``n`` labels of the rarer class, since labels that do not
    differ in the sample may do so elsewhere. Equal logits differ by 0.

    Weights of labels enter the scores. Numbers of labels are then effective ones, see
    :func:`~cftlearn.labels._weights.effective_count`.
    """
    y = np.concatenate([part.y for part in parts]) if parts else np.zeros(0, bool)
    lengths = [len(part.y) for part in parts]
    weight = joined_weights([part.weight for part in parts], lengths)
    n_rarer = min(effective_count(weight, y), effective_count(weight, ~y))
    if n_rarer < FEWEST or np.isnan(scores).any():
        return NO_INTERVALS
    is_bounded = objective.name in _WEIGHTED and objective.is_ranking
    if not is_bounded and len(y) > _MOST_FOR_CALLABLES:
        return NO_INTERVALS
    rng = np.random.default_rng((seed, _STREAM))
    score_draws = _ranked_draws if is_bounded else _called_draws
    try:
        draws = score_draws(parts, y, objective, rng)
    except ValueError:  # of a callable that is not defined for a draw
        if is_bounded:
            raise
        return NO_INTERVALS
    ends: list[float] = []
    for score, own in zip(scores, draws, strict=True):
        spread = unbiased_spread(own, n_rarer)
        if is_bounded:
            ends += wilson_interval(score, spread, n_rarer, _CONFIDENCE)
        else:
            ends += _t_interval(score, spread, n_rarer)
    ends += _interval_of_gain(parts, scores, draws, n_rarer, is_bounded)
    return PairedIntervals(*ends)


def _interval_of_gain(
    parts: Sequence[HeldOutPair],
    scores: tuple[float, float],
    draws: Floats,
    n_rarer: float,
    is_bounded: bool,
) -> tuple[float, float]:
    if all(np.array_equal(part.before, part.after) for part in parts):
        return 0.0, 0.0
    gain = scores[1] - scores[0]
    spread = unbiased_spread(draws[1] - draws[0], n_rarer)
    if not is_bounded:
        return _t_interval(gain, spread, n_rarer)
    low, high = _t_interval(gain, np.hypot(spread, 0.5 * n_rarer**-1.5), n_rarer)
    return max(low, -1.0), min(high, 1.0)


def _t_interval(score: float, spread: float, n_rarer: float) -> tuple[float, float]:
    if not spread > 0:  # the draws are all alike, and show no error
        return float("nan"), float("nan")
    reach = t_quantile(n_rarer, _CONFIDENCE) * spread
    return float(score - reach), float(score + reach)


def _ranked_draws(
    parts: Sequence[HeldOutPair],
    y: NDArray[np.bool_],
    objective: Objective,
    rng: np.random.Generator,
) -> Floats:
    """Score every draw, by both logits: (2, n_draws)."""
    weigh = _WEIGHTED[objective.name]
    units = _units(len(y), rng)
    n_units = int(units.max()) + 1
    n_draws = int(np.clip(_MOST_CELLS // len(y), _FEWEST_DRAWS, _DRAWS))
    starts = np.cumsum([0, *(len(part.y) for part in parts)])
    ranked = [
        [
            rank_rows(
                _coarse(logits, part.y),
                part.y,
                units[start : start + len(part.y)],
                n_units,
                part.weight,
            )
            for logits in (part.before, part.after)
        ]
        for part, start in zip(parts, starts[:-1], strict=True)
    ]
    size = max(int(_MOST_WEIGHED // (n_units + 2 * len(y))), 1)
    values = []
    for n in _sizes(n_draws, size):
        weights = _draw_counts(rng, n_units, n)
        values.append(
            np.array([[weigh(own, weights) for own in pair] for pair in ranked])
        )
    return _mean_of_parts(np.concatenate(values, axis=2), np.diff(starts))


def _units(n_labels: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Assign labels to units that are drawn as a whole: each its own, or blocks."""
    if n_labels <= _MOST_UNITS:
        return np.arange(n_labels)
    return rng.permutation(n_labels) % _MOST_UNITS


def _coarse(logits: Floats, y: NDArray[np.bool_]) -> Floats:
    """Let scores between some of the positives' scores tie, where there are many."""
    positives = np.sort(logits[y])
    if len(positives) <= _MOST_LEVELS:
        return logits
    edges = positives[:: -(-len(positives) // _MOST_LEVELS)]
    return np.searchsorted(edges, logits, side="right").astype(np.float64)


def _draw_counts(rng: np.random.Generator, n_units: int, n_draws: int) -> Floats:
    """Count how often each draw takes each unit: (n_units, n_draws)."""
    taken = rng.integers(n_units, size=(n_units, n_draws))
    places = taken * n_draws + np.arange(n_draws)
    counts = np.bincount(places.ravel(), minlength=n_units * n_draws)
    return counts.reshape(n_units, n_draws).astype(np.float64)


def _sizes(n_draws: int, size: int) -> Iterator[int]:
    for start in range(0, n_draws, size):
        yield min(size, n_draws - start)


def _mean_of_parts(values: Floats, n_labels: NDArray[np.intp]) -> Floats:
    """Average (n_parts, 2, n_draws) over the parts that have both classes in a draw."""
    is_defined = ~np.isnan(values)
    weights = n_labels[:, None, None] * is_defined
    total = weights.sum(axis=0)
    summed = (weights * np.where(is_defined, values, 0.0)).sum(axis=0)
    return np.divide(summed, total, out=np.full(total.shape, np.nan), where=total > 0)


def _called_draws(
    parts: Sequence[HeldOutPair],
    y: NDArray[np.bool_],
    objective: Objective,
    rng: np.random.Generator,
) -> Floats:
    """Score draws by a callable, which knows no weights."""
    place = np.arange(len(y))
    starts = np.cumsum([0, *(len(part.y) for part in parts)])
    part_of = np.searchsorted(starts, place, side="right") - 1
    before = np.concatenate([part.before for part in parts])
    after = np.concatenate([part.after for part in parts])
    weight = joined_weights([part.weight for part in parts], list(np.diff(starts)))
    values = np.full((len(parts), 2, _CALLABLE_DRAWS), np.nan)
    for draw in range(_CALLABLE_DRAWS):
        rows = rng.integers(len(y), size=len(y))
        for k in range(len(parts)):
            own = np.sort(rows[part_of[rows] == k])
            if y[own].any() and not y[own].all():
                scores = np.stack([before[own], after[own]])
                values[k, :, draw] = objective(y[own], scores, taken(weight, own))
    return _mean_of_parts(values, np.diff(starts))
