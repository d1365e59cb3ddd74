"""Weights on the features of two networks, of which the second saw all labels."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cftlearn._features._per_category import category_logits
from cftlearn._features._stored import logits_of
from cftlearn.fine_tuning._initial_coef import InitialWeights
from cftlearn.labels._held_out_scores import HeldOutScores
from cftlearn.labels._label_split import LabelSplit
from cftlearn.labels._weights import taken
from cftlearn.solvers._intercept import likeliest_intercept

# Three models count alike: the refits on both networks, and the classification layer of
# the second one, which saw all labels.
_SECOND_SHARE = 2 / 3


class NetworkFeatures(NamedTuple):
    """The features of a network, and its own classification layer.

    Attributes
    ----------
    Z : ndarray of shape (n_samples, n_features)
        Features of the rows to fit; (n_samples, n_categories, n_features) if every
        category has its own.
    Z_val : ndarray of shape (n_val, n_features)
        Features of the rows whose labels choose; ``Z`` itself if they are the same.
    initial : InitialWeights
        Weights of the classification layer.
    """

    Z: NDArray[np.floating[Any]]
    Z_val: NDArray[np.floating[Any]]
    initial: InitialWeights

    def logits(self, weights: InitialWeights) -> NDArray[np.float64]:
        """Compute logits of the rows to fit and of other rows."""
        compute = category_logits if self.Z.ndim == 3 else logits_of
        parts = [self.Z] if self.Z_val is self.Z else [self.Z, self.Z_val]
        return np.concatenate([compute(Z, *weights[:2]) for Z in parts])

    def logits_without_bias(self, weights: InitialWeights) -> NDArray[np.float64]:
        """Compute logits as if all biases were 0."""
        no_bias = np.zeros(len(weights.coef))
        return self.logits(InitialWeights(weights.coef, no_bias))


def average_with_head(
    network: NetworkFeatures, refitted: InitialWeights
) -> InitialWeights:
    """Average refitted weights with those of the classification layer.

    Of a network that saw all labels, no label can tell which of the two are better.

    Parameters
    ----------
    network : NetworkFeatures
        Features and the classification layer.
    refitted : InitialWeights
        Refitted weights on these features.

    Returns
    -------
    average : InitialWeights
        Their mean at equal spread of the logits, that of ``refitted``.
    """
    head = network.initial
    logits = (network.logits_without_bias(each) for each in (refitted, head))
    factor = _scale_between(*logits)
    return InitialWeights(
        (refitted.coef + factor[:, None] * head.coef) / 2,
        (refitted.intercept + factor * head.intercept) / 2,
    )


def share_weights(
    first: NetworkFeatures,
    first_weights: InitialWeights,
    second: NetworkFeatures,
    second_weights: InitialWeights,
    split: LabelSplit,
) -> tuple[InitialWeights, InitialWeights]:
    """Average the logits of two networks, as weights on the features of each.

    Parameters
    ----------
    first, second : NetworkFeatures
        The networks.
    first_weights, second_weights : InitialWeights
        Weights on the features of each.
    split : LabelSplit
        Known labels, which set the biases.

    Returns
    -------
    first_part, second_part : InitialWeights
        Their logits add up to the average, at the spread of the first network's logits.
    """
    logits = (
        first.logits_without_bias(first_weights),
        second.logits_without_bias(second_weights),
    )
    factor = _scale_between(*logits)
    shares = np.full(len(factor), 1 - _SECOND_SHARE), _SECOND_SHARE * factor
    parts = [
        InitialWeights(share[:, None] * own.coef, share * own.intercept)
        for share, own in zip(shares, (first_weights, second_weights), strict=True)
    ]
    joined = shares[0] * logits[0] + shares[1] * logits[1]
    values = split.all_of_rows().values
    weights, others = split.relative_tables()
    if not split.same_rows:
        values = np.concatenate([values, split.held_out.values])
        if weights is not None and others is not None:
            weights = np.concatenate([weights, others])
    for j, own in enumerate(values.T):
        known = ~np.isnan(own)
        y = own[known] == 1.0
        if y.any() and not y.all():
            weight = taken(weights, (known, j))
            parts[0].intercept[j] = likeliest_intercept(joined[known, j], y, weight)
            parts[1].intercept[j] = 0.0
    return parts[0], parts[1]


def move_scores(
    scores: HeldOutScores, before: NDArray[np.float64], after: NDArray[np.float64]
) -> HeldOutScores:
    """Move scores of held-out labels from where some logits lie to where others do.

    No label is left that the final weights have not seen. The order of the scores says
    what is known about it; only their scale and position must be those of the weights
    that are calibrated.

    Parameters
    ----------
    scores : HeldOutScores
        Scores by weights of the first network.
    before, after : ndarray of shape (n_rows, n_categories)
        Logits of all rows, by weights of the first network and by the final ones.

    Returns
    -------
    moved : HeldOutScores
        With the same labels.
    """
    factor = _scale_between(after, before)
    centre, new_centre = before.mean(axis=0), after.mean(axis=0)
    columns = [
        own._replace(logits=new_centre[j] + factor[j] * (own.logits - centre[j]))
        for j, own in enumerate(scores.columns)
    ]
    return scores._replace(columns=columns)


def _scale_between(
    logits: NDArray[np.float64], others: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the factors that give the other logits the spread of these.

    Logits that do not vary, as those of a network whose units are all dead, have no
    scale to change: their factor is 1.
    """
    spread, other_spread = (each.std(axis=0) for each in (logits, others))
    rounding = np.finfo(np.float32).eps * np.abs(others).max(axis=0)
    varies = other_spread > rounding
    return np.divide(spread, other_spread, out=np.ones_like(spread), where=varies)
