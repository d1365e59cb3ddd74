"""Which models to trust in which category, by labels that none of them saw."""

import warnings
from numbers import Integral
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cftlearn._dependencies import Interval, StrOptions, validate_params
from cftlearn.ensemble._combination import read_member_scores
from cftlearn.exceptions import UndefinedCategoryWarning, list_some
from cftlearn.labels import PartialLabels, check_partial_labels, label_summary
from cftlearn.labels._names import check_same_rows
from cftlearn.labels._plain_arrays import refuse_without_rows
from cftlearn.labels._weights import taken, weigh_labels
from cftlearn.metrics._objectives import (
    Objective,
    ObjectiveLike,
    make_objective,
    try_objective,
)
from cftlearn.metrics._partial import check_score_names

Floats = NDArray[np.float64]
Selection = Literal["best", "greedy"]

SELECTIONS = StrOptions({"best", "greedy"})
N_ROUNDS = 20

_EQUAL = 1e-12  # scores that differ by less are one score, rounded differently
_COUNTS = ("n_positive", "n_negative", "n_unknown")


class MemberChoice(NamedTuple):
    """Weights of the models in one category.

    Attributes
    ----------
    weights : ndarray of shape (n_members,), float64
        They sum to 1.
    score_best : float
        Held-out score of the best model alone. NaN where labels lack a class.
    score : float
        Held-out score of the weighted mean.
    """

    weights: Floats
    score_best: float = float("nan")
    score: float = float("nan")


@validate_params(
    {
        "how": [SELECTIONS],
        "n_rounds": [Interval(Integral, 1, None, closed="left")],
    },
    prefer_skip_nested_validation=True,
)
def select_members(
    y_true: ArrayLike,
    scores: Any,
    *,
    how: Selection = "greedy",
    objective: ObjectiveLike = "roc_auc",
    n_rounds: int = N_ROUNDS,
    sample_weight: ArrayLike | None = None,
) -> Floats:
    """Weigh models, category by category, by known labels that they did not see.

    ``"best"`` keeps the one model with the highest score, as is published for CFT.
    ``"greedy"`` starts from it and adds one model after another, each as often as it
    helps, to the mean of their scores [1]_; of all these means it keeps the one
    with the highest score, and of equal ones the first, which has the fewest parts.

    Parameters
    ----------
    y_true : array-like of shape (n_samples, n_categories)
        Held-out labels: 1 positive, 0 negative, NaN unknown, in any form that
        :func:`cftlearn.labels.check_partial_labels` accepts.
    scores : array-like of shape (n_members, n_samples, n_categories)
        What is averaged: probabilities, logits or ranks of the models, on one scale.
        Finite; or NaN in all rows of a category that a model cannot score.
    how : {"best", "greedy"}, default="greedy"
        One model per category, or a mean of several.
    objective : {"roc_auc", "average_precision"} or callable, default="roc_auc"
        What to maximise; a callable ``metric(y_true, y_score) -> float`` is better
        when higher.
    n_rounds : int, default=20
        The most parts of a mean, at least 1. Weights are multiples of one over the
        number of parts.
    sample_weight : array-like of shape (n_samples,) or (n_samples, n_categories), \
default=None
        How much each label counts, see the :ref:`User Guide <weighted_labels>`: 0 or
        more where a label is known. A label of weight 0 is unknown.

    Returns
    -------
    weights : ndarray of shape (n_members, n_categories), float64
        They sum to 1 in every category; equal where held-out labels lack a class, or
        no model has scores. 0 for a model without scores where another has some.

    Raises
    ------
    TypeError, ValueError
        If labels, scores, weights or the objective are not accepted, or shapes differ.

    Warns
    -----
    UndefinedCategoryWarning
        Once, naming the categories whose held-out labels lack a class.

    See Also
    --------
    combine_scores : The mean with these weights.

    Notes
    -----
    On the labels given, the mean is never worse than the best model. On others it can
    be: with few known positives the choice follows their noise.

    References
    ----------
    .. [1] Caruana et al., "Ensemble Selection from Libraries of Models", ICML 2004.

    Examples
    --------
    >>> from cftlearn.ensemble import select_members
    >>> y_true = [[1], [1], [0], [0]]
    >>> one, other = [[0.9], [0.3], [0.4], [0.1]], [[0.1], [0.8], [0.2], [0.3]]
    >>> select_members(y_true, [one, other])
    array([[0.5],
           [0.5]])
    """
    labels = check_partial_labels(y_true, input_name="y_true")
    refuse_without_rows(scores, "scores")
    tables = {f"scores[{i}]": one for i, one in enumerate(scores)}
    check_same_rows(y_true=y_true, sample_weight=sample_weight, **tables)
    for name, one in tables.items():
        check_score_names(y_true, one, name)
    table, silent = read_member_scores(scores, "scores")
    if table.shape[1:] != labels.values.shape:
        raise ValueError(
            "`scores` must have the rows and categories of `y_true`, "
            f"{labels.values.shape}; got {table.shape[1:]}."
        )
    labels, weights = weigh_labels(labels, sample_weight, y_true, y_name="y_true")
    if weights is not None:
        try_objective(make_objective(objective), weighted=True)
    choices = choose_members(labels, table, how, objective, n_rounds, silent, weights)
    warn_unjudged(labels, choices, stacklevel=3)  # past the decorator
    return np.column_stack([choice.weights for choice in choices])


def choose_members(
    labels: PartialLabels,
    scores: Floats,
    how: Selection,
    objective: ObjectiveLike,
    n_rounds: int = N_ROUNDS,
    silent: NDArray[np.bool_] | None = None,
    sample_weight: Floats | None = None,
) -> list[MemberChoice]:
    """Weigh models in every category; equally where held-out labels lack a class.

    Parameters
    ----------
    labels : PartialLabels
        Held-out labels.
    scores : ndarray of shape (n_members, n_samples, n_categories)
        What is averaged.
    how, objective, n_rounds
        As :func:`select_members`.
    silent : ndarray of shape (n_members, n_categories), bool, default=None
        Which models have no scores of a category: they get no weight in it, unless no
        model has any. None: none.
    sample_weight : ndarray of shape (n_samples, n_categories), default=None
        How much each label counts; None counts them alike.

    Returns
    -------
    choices : list of MemberChoice, one per category
        Weights and held-out scores.
    """
    metric = make_objective(objective)
    choices = []
    for j in range(labels.values.shape[1]):
        rows = labels.known[:, j]
        y = labels.values[rows, j] == 1.0
        heard = np.arange(len(scores))
        if silent is not None and not silent[:, j].all():
            heard = np.flatnonzero(~silent[:, j])
        has_scores = silent is None or not silent[:, j].all()
        if not y.any() or y.all() or not has_scores:
            choice = MemberChoice(np.full(len(heard), 1 / len(heard)))
        else:
            most = n_rounds if how == "greedy" else 1
            weight = taken(sample_weight, (rows, j))
            choice = _choose(y, scores[heard][:, rows, j], metric, most, weight)
        weights = np.zeros(len(scores))
        weights[heard] = choice.weights
        choices.append(choice._replace(weights=weights))
    return choices


def report_choices(
    labels: PartialLabels, choices: list[MemberChoice], names: list[str], status: str
) -> list[dict[str, Any]]:
    """Report for every category which members were chosen, and by which scores.

    Parameters
    ----------
    labels : PartialLabels
        All labels.
    choices : list of MemberChoice
        One per category.
    names : list of str
        Of the members.
    status : str
        Where the weights come from, in categories that held-out labels could judge.

    Returns
    -------
    report : list of dict, one per category
        As :class:`cftlearn.CFTEnsemble` describes it.
    """
    report = []
    for line, choice in zip(label_summary(labels), choices, strict=True):
        heaviest_first = np.argsort(-choice.weights, kind="stable")
        is_unjudged = status == "selected" and np.isnan(choice.score)
        report.append(
            {key: line[key] for key in ("category", *_COUNTS)}
            | {
                "members": [names[i] for i in heaviest_first if choice.weights[i] > 0],
                "score_best": choice.score_best,
                "score": choice.score,
                "status": "unjudged" if is_unjudged else status,
            }
        )
    return report


def warn_unjudged(
    labels: PartialLabels, choices: list[MemberChoice], *, stacklevel: int
) -> None:
    """Warn of the categories in which no model could be preferred.

    Parameters
    ----------
    labels : PartialLabels
        Held-out labels.
    choices : list of MemberChoice
        Of :func:`choose_members`.
    stacklevel : int
        How far the user's code is above the caller.
    """
    names = [
        repr(str(name))
        for name, choice in zip(labels.categories, choices, strict=True)
        if np.isnan(choice.score)
    ]
    if not names:
        return
    warnings.warn(
        f"{len(names)} of {len(choices)} categories have no known positive or no known "
        f"negative among the held-out labels: {list_some(names, 10)}. There "
        "all members weigh the same.",
        UndefinedCategoryWarning,
        stacklevel=stacklevel + 1,
    )


def _choose(
    y: NDArray[np.bool_],
    scores: Floats,
    metric: Objective,
    n_rounds: int,
    weight: Floats | None,
) -> MemberChoice:
    """Add members one by one, each as often as it helps; keep the best mean.

    Scores that differ by rounding alone count as equal: then the first member wins,
    and later one that is in the mean already, so that few members have a weight.
    """
    alone = metric(y, scores, weight)
    first = int(np.argmax(alone >= alone.max() - _EQUAL))
    counts = np.zeros(len(scores))
    counts[first] = 1
    total = scores[first].copy()
    best = MemberChoice(counts.copy(), float(alone[first]), float(alone[first]))
    for n_parts in range(2, n_rounds + 1):
        values = metric(y, (total + scores) / n_parts, weight)
        equal = np.flatnonzero(values >= values.max() - _EQUAL)
        added = equal[np.argmax(counts[equal] > 0)]  # a member already in, if any
        counts[added] += 1
        total += scores[added]
        if values[added] > best.score + _EQUAL:
            best = MemberChoice(counts / n_parts, best.score_best, float(values[added]))
    return best
