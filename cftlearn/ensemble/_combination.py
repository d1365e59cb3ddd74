"""Combine several scores for one label: of several models, or of several views."""

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, log_expit, logit, logsumexp

from cftlearn._dependencies import StrOptions, validate_params
from cftlearn.labels._groups import number_groups
from cftlearn.labels._names import (
    align_by_category,
    check_columns,
    check_same_rows,
    column_names,
)
from cftlearn.labels._plain_arrays import (
    read_numbers,
    refuse_masked,
    refuse_without_rows,
)

Floats = NDArray[np.float64]
Combination = Literal["mean", "logit_mean", "rank_mean"]

COMBINATIONS = StrOptions({"mean", "logit_mean", "rank_mean"})
_MOST_REFERENCE_ROWS = 10_000
_HOW_SCORES_ARE = (
    "A category may be NaN in all rows, if a model cannot score it, or in none."
)


@validate_params({"how": [COMBINATIONS]}, prefer_skip_nested_validation=True)
def combine_scores(
    scores: Any,
    *,
    how: Combination = "mean",
    weights: ArrayLike | None = None,
    reference: Any = None,
) -> Floats:
    """Combine the scores of several models for the same rows and categories.

    Parameters
    ----------
    scores : array-like of shape (n_members, n_samples, n_categories)
        Or a list of tables, one per model. Finite numbers; or NaN in all rows of a
        category that a model cannot score, where it does not count.
    how : {"mean", "logit_mean", "rank_mean"}, default="mean"
        ``"mean"`` averages scores as they are, ``"logit_mean"`` the log odds of
        probabilities, ``"rank_mean"`` the ranks: then scores need no common scale.
    weights : array-like of shape (n_members,) or (n_members, n_categories), \
default=None
        0 or more, of any sum above 0 per category. None weighs all models equally.
    reference : array-like of shape (n_members, n_reference, n_categories), default=None
        With ``"rank_mean"``, scores of the same models among which the rows are
        ranked. None ranks the rows among themselves: then a row's result depends on
        the others.

    Returns
    -------
    combined : ndarray of shape (n_samples, n_categories), float64
        Scores on the members' scale, probabilities for ``"logit_mean"``, fractions in
        (0, 1) for ``"rank_mean"``: 0.9 is better than nine tenths of the reference.
        NaN in a category that no model with a weight can score.

    Raises
    ------
    TypeError, ValueError
        If scores are not finite numbers, shapes or column names differ, weights are
        negative or all 0, or ``"logit_mean"`` gets anything but probabilities.

    See Also
    --------
    select_members : Weights by held-out labels.

    Examples
    --------
    >>> from cftlearn.ensemble import combine_scores
    >>> sure, unsure = [[0.9], [0.2]], [[0.5], [0.4]]
    >>> combine_scores([sure, unsure])
    array([[0.7],
           [0.3]])
    >>> combine_scores([sure, unsure], how="rank_mean")
    array([[0.75],
           [0.25]])
    """
    table, silent = read_member_scores(scores, "scores")
    named = [names for names in map(column_names, scores) if names is not None]
    if named:
        weights = in_order_of_names(weights, None, named[0])
        for one in () if reference is None else reference:
            _check_columns(one, named[0], "reference")
    normed = member_weights(weights, len(table), table.shape[2])
    if reference is not None and how != "rank_mean":
        raise ValueError(
            f'`reference` must be None with how={how!r}. Pass how="rank_mean" to rank '
            "scores among it."
        )
    others = table
    if reference is not None:
        others, also_silent = read_member_scores(reference, "reference")
        if others.shape[::2] != table.shape[::2]:
            raise ValueError(
                "`reference` must hold scores of the same models and categories as "
                f"`scores`, {table.shape[::2]}; got {others.shape[::2]}."
            )
        silent = silent | also_silent
    shares, has_member = weights_without(normed, silent)
    combined = _combine(table, how, shares, others)
    combined[:, ~has_member] = np.nan
    return combined


def _combine(
    table: Floats, how: Combination, weights: Floats, reference: Floats
) -> Floats:
    """Combine scores, which are 0 where a model without weight has none."""
    if how == "mean":
        return weighted_mean(table, weights)
    if how == "logit_mean":
        if table.min() < 0 or table.max() > 1:
            raise ValueError(
                '`scores` must hold probabilities in [0, 1] with how="logit_mean"; got '
                f"values from {table.min():.4g} to {table.max():.4g}. Average logits "
                'with how="mean".'
            )
        mean_logits: Floats = expit(weighted_mean(log_odds(table), weights))
        return mean_logits
    return weighted_mean(ranks_among(table, np.sort(reference, axis=1)), weights)


@validate_params(
    {"how": [StrOptions({"max", "mean"})]}, prefer_skip_nested_validation=True
)
def merge_views(
    scores: ArrayLike, groups: ArrayLike, *, how: Literal["max", "mean"] = "max"
) -> tuple[Floats, NDArray[Any]]:
    """Merge the scores of rows that show the same case, such as views of a study.

    CheXpert's labels belong to studies of one or more X-rays, so scores of images are
    merged before they are compared with them.

    Parameters
    ----------
    scores : array-like of shape (n_samples, n_categories) or (n_samples,)
        One row per view. Finite numbers; or NaN in all rows of a category that the
        model cannot score, which stays NaN.
    groups : array-like of shape (n_samples,)
        The study of every row; rows of one study need not be neighbours.
    how : {"max", "mean"}, default="max"
        ``"max"``: a finding seen in one view is there; or the mean of the views.

    Returns
    -------
    merged : ndarray of shape (n_groups, n_categories) or (n_groups,), float64
        One row per study.
    names : ndarray of shape (n_groups,)
        The studies, in the order of their first rows.

    Raises
    ------
    TypeError, ValueError
        If scores are not finite numbers, lengths differ, or a row has no group.

    Examples
    --------
    >>> from cftlearn.ensemble import merge_views
    >>> merge_views([[0.1], [0.7], [0.3]], ["study2", "study1", "study2"])
    (array([[0.3],
           [0.7]]), array(['study2', 'study1'], dtype='<U6'))
    """
    check_same_rows(scores=scores, groups=groups)
    table = read_numbers(scores, "scores").astype(np.float64)
    if table.ndim not in (1, 2):
        raise ValueError(
            "`scores` must have shape (n_samples, n_categories) or (n_samples,); got "
            f"shape {table.shape}."
        )
    silent = np.zeros(table.shape[1:], dtype=bool)
    if table.ndim == 2 and table.size:
        silent = silent_columns(table)
    _check_finite(table if silent.all() else np.where(silent, 0.0, table), "scores")
    group_of_row, _ = number_groups(groups)
    if len(group_of_row) != len(table) or not len(table):
        raise ValueError(
            "`groups` must name the group of every row of `scores`; got "
            f"{len(group_of_row)} for {len(table)} rows."
        )
    order = np.argsort(group_of_row, kind="stable")
    sizes = np.bincount(group_of_row)
    starts = np.cumsum(sizes) - sizes
    names = np.asarray(groups)[order[starts]]
    if how == "max":
        return np.maximum.reduceat(table[order], starts), names
    total = np.add.reduceat(table[order], starts)
    return (total.T / sizes).T, names


def read_member_scores(scores: Any, name: str) -> tuple[Floats, NDArray[np.bool_]]:
    """Read scores of several models as one array.

    Parameters
    ----------
    scores : array-like of shape (n_members, n_samples, n_categories)
        Or a list of arrays or frames.
    name : str
        What errors call it.

    Returns
    -------
    table : ndarray of shape (n_members, n_samples, n_categories), float64
        Finite; 0 where a model has no scores.
    silent : ndarray of shape (n_members, n_categories), bool
        Which models have none of a category: they are NaN in all rows.

    Raises
    ------
    TypeError, ValueError
        If they are not such numbers of one shape, columns are named or ordered
        differently, or a model has scores of no category.
    """
    refuse_masked(scores, name)
    refuse_without_rows(scores, name)
    check_same_rows(**{f"{name}[{i}]": one for i, one in enumerate(scores)})
    columns = [names for names in map(column_names, scores) if names is not None]
    for other in columns[1:]:
        if other != columns[0]:
            raise ValueError(
                f"`{name}` must have the same columns in the same order for every "
                f"model; got {other[:5]} for {columns[0][:5]}. Reorder them."
            )
    shapes = [np.shape(one) for one in scores]
    if not shapes or set(shapes) != {shapes[0]} or len(shapes[0]) != 2:
        raise ValueError(
            f"`{name}` must have shape (n_members, n_samples, n_categories); got "
            f"{len(shapes)} tables of shapes {list(dict.fromkeys(shapes))[:5]}. Pass "
            "one table per model, with the same rows and categories."
        )
    table = np.stack([read_numbers(one, name) for one in scores]).astype(np.float64)
    if not table.size:
        raise ValueError(
            f"`{name}` must hold at least one row and category; got shape "
            f"{table.shape}."
        )
    silent = silent_columns(table)
    mute = np.flatnonzero(silent.all(axis=1))
    if len(mute):
        raise ValueError(
            f"`{name}` must hold scores of every model in some category; got NaN in "
            f"all cells of model {mute[0]}. Leave this model out."
        )
    table[np.broadcast_to(silent[:, np.newaxis], table.shape)] = 0.0
    _check_finite(table, name)
    return table, silent


def silent_columns(logits: Floats) -> NDArray[np.bool_]:
    """Return the categories, of the last axis, that a model cannot score.

    Their scores are NaN in all rows: the model was fitted without a label of them.
    """
    silent: NDArray[np.bool_] = np.logical_and.reduce(np.isnan(logits), axis=-2)
    return silent


def weights_without(
    weights: Floats, silent: NDArray[np.bool_]
) -> tuple[Floats, NDArray[np.bool_]]:
    """Distribute the weights of models without scores to the others.

    Parameters
    ----------
    weights : ndarray of shape (n_members, n_categories)
        They sum to 1 in every category.
    silent : ndarray of shape (n_members, n_categories), bool
        Which models have no scores of a category.

    Returns
    -------
    weights : ndarray of shape (n_members, n_categories)
        They sum to 1.
    has_member : ndarray of shape (n_categories,), bool
        Whether a model with a weight has scores.
    """
    if not silent.any():
        return weights, np.ones(weights.shape[1], dtype=bool)
    heard = np.where(silent, 0.0, weights)
    total = heard.sum(axis=0)
    has_member = total > 0
    shares = np.where(has_member, heard / np.where(has_member, total, 1.0), weights)
    return shares, has_member


def in_order_of_names(weights: Any, members: list[str] | None, categories: Any) -> Any:
    """Put weights with names in the order of the members, and check their columns.

    Parameters
    ----------
    weights : array-like of shape (n_members,) or (n_members, n_categories)
        A frame has members as rows and categories as columns.
    members : list of str or None
        Names of the members; None if they have none.
    categories : sequence of str
        Names of the categories.

    Returns
    -------
    weights : array-like
        In the order of the members.

    Raises
    ------
    ValueError
        If there are other names, or columns stand in another order.
    """
    _check_columns(weights, categories, "weights")
    if members is None:
        return weights
    return align_by_category(weights, members, "weights", noun="member")


def _check_columns(table: Any, categories: Any, name: str) -> None:
    names = column_names(table)
    if names is not None and names != [str(j) for j in range(len(names))]:
        check_columns(
            table,
            categories,
            name=name,
            owner="the columns of the scores",
            order="categories",
        )


def member_weights(
    weights: ArrayLike | None, n_members: int, n_categories: int
) -> Floats:
    """Read weights of models, so that they sum to 1 in every category.

    Parameters
    ----------
    weights : array-like of shape (n_members,) or (n_members, n_categories), or None
        None weighs all models equally.
    n_members, n_categories : int
        How many there are.

    Returns
    -------
    weights : ndarray of shape (n_members, n_categories), float64
        They sum to 1 in every category.

    Raises
    ------
    TypeError, ValueError
        If the shape is another, a weight is negative or not finite, or all are 0.
    """
    if weights is None:
        return np.full((n_members, n_categories), 1 / n_members)
    table = read_numbers(weights, "weights").astype(np.float64)
    _check_finite(table, "weights", "Write 0 for a model that is not to count.")
    if table.shape not in ((n_members,), (n_members, n_categories)):
        raise ValueError(
            "`weights` must have one number per model, or per model and category, "
            f"shape {(n_members,)} or {(n_members, n_categories)}; got {table.shape}."
        )
    table = np.broadcast_to(table.reshape(n_members, -1), (n_members, n_categories))
    total = table.sum(axis=0)
    if table.min() < 0 or not total.all():
        raise ValueError(
            "`weights` must be 0 or more, and above 0 for some model in every "
            f"category; got {table.min():.4g} at the least and sums down to "
            f"{total.min():.4g}."
        )
    normed: Floats = table / total
    return normed


def weighted_mean(scores: Floats, weights: Floats) -> Floats:
    """Compute the weighted mean of the scores of models."""
    return np.einsum("mnc,mc->nc", scores, weights)


def mean_log_odds(logits: Floats, weights: Floats) -> Floats:
    r"""Compute the log odds of the mean probability.

    Notes
    -----
    With weights :math:`w_m` that sum to 1 these are

    .. math:: \log \sum_m w_m \sigma(l_m) - \log \sum_m w_m \sigma(-l_m).

    Sums of logarithms stay exact for logits beyond 37, where probabilities round to 1.
    """
    by_member = weights[:, np.newaxis, :]
    positive = logsumexp(log_expit(logits), axis=0, b=by_member)
    negative = logsumexp(log_expit(-logits), axis=0, b=by_member)
    difference: Floats = positive - negative
    return difference


def log_odds(proba: Floats) -> Floats:
    """Compute finite logits of probabilities; 0 and 1 are clipped by the epsilon."""
    tiny = np.finfo(np.float64).eps
    logits: Floats = logit(np.clip(proba, tiny, 1 - tiny))
    return logits


def reference_rows(scores: Floats) -> Floats:
    """Sort scores of models, to rank others among; of many rows keep 10,000.

    Parameters
    ----------
    scores : ndarray of shape (n_members, n_samples, n_categories)
        Scores.

    Returns
    -------
    reference : ndarray of shape (n_members, n_reference, n_categories), float64
        Sorted along its second axis, from the least to the greatest.
    """
    ordered = np.sort(scores, axis=1)
    n_samples = scores.shape[1]
    if n_samples <= _MOST_REFERENCE_ROWS:
        return ordered
    kept = np.linspace(0, n_samples - 1, _MOST_REFERENCE_ROWS).round().astype(int)
    return ordered[:, kept]


def ranks_among(scores: Floats, reference: Floats) -> Floats:
    """Rank scores among reference scores.

    Parameters
    ----------
    scores : ndarray of shape (n_members, n_samples, n_categories)
        Scores.
    reference : ndarray of shape (n_members, n_reference, n_categories)
        Sorted scores of the same models.

    Returns
    -------
    ranks : ndarray of the shape of ``scores``, float64
        Fraction in (0, 1) of the reference that is below, plus half of what is equal.
        Linear between two reference scores, and still rising beyond the outermost
        ones, so that no order is lost.
    """
    ranks = np.empty(scores.shape)
    for member in range(len(scores)):
        for j in range(scores.shape[2]):
            ordered = np.ascontiguousarray(reference[member, :, j])
            ranks[member, :, j] = _ranks_in_one(scores[member, :, j], ordered)
    return ranks


def _ranks_in_one(scores: Floats, ordered: Floats) -> Floats:
    """Rank the scores of one member and category.

    Notes
    -----
    Beyond the highest of :math:`n` reference scores, at a distance of :math:`d` spreads
    of the reference, the rank is :math:`n - (n - r) / (1 + d)` with the rank :math:`r`
    of the highest one: it rises toward :math:`n` and never reaches it. Below the lowest
    it falls toward 0 in the same way.
    """
    n = len(ordered)
    lower = ordered[np.maximum(np.searchsorted(ordered, scores, "right") - 1, 0)]
    upper = ordered[np.minimum(np.searchsorted(ordered, scores, "left"), n - 1)]
    rank_lower, rank_upper = _mid_ranks(lower, ordered), _mid_ranks(upper, ordered)
    gap = np.where(upper > lower, upper - lower, 1.0)
    ranks = rank_lower + (rank_upper - rank_lower) * ((scores - lower) / gap)
    spread = ordered[-1] - ordered[0] or 1.0
    above, below = (scores - ordered[-1]) / spread, (ordered[0] - scores) / spread
    ranks = np.where(above > 0, n - (n - rank_upper) / (1 + above.clip(0)), ranks)
    ranks = np.where(below > 0, rank_lower / (1 + below.clip(0)), ranks)
    fractions: Floats = ranks / n
    return fractions


def _mid_ranks(values: Floats, ordered: Floats) -> Floats:
    left = np.searchsorted(ordered, values, "left")
    mid: Floats = (left + np.searchsorted(ordered, values, "right")) / 2
    return mid


def _check_finite(numbers: Floats, name: str, remedy: str = _HOW_SCORES_ARE) -> None:
    wrong = ~np.isfinite(numbers)
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(
            f"`{name}` must be finite numbers; got {numbers[index]} at {index} "
            f"({np.count_nonzero(wrong)} such cells). {remedy}"
        )
