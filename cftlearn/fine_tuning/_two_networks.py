"""Weights on the features of two networks, of which the second saw all labels."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cftlearn._features._per_category import category_logits
from cftlearn._features._stored import logits_of
from cftlearn.fine_tuning._initial_coef import InitialWeights
from cftlearn.labels._label_split import LabelSplit
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
        """Compute logits, without biases, of the rows to fit and other rows."""
        compute = category_logits if self.Z.ndim == 3 else logits_of
        no_bias = np.zeros(len(weights.coef))
        parts = [self.Z] if self.Z_val is self.Z else [self.Z, self.Z_val]
        return np.concatenate([compute(Z, weights.coef, no_bias) for Z in parts])


def average_with_head(
    network: NetworkFeatures, refitted: InitialWeights
) -> InitialWeights:
    """Average refitted weights with those of the classification layer.

    Of a network that saw all labels, no label can tell which of the two are better, and
    their mean was better than either on every set that was tried.

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
    factor = _scale_between(network.logits(refitted), network.logits(head))
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
    logits = first.logits(first_weights), second.logits(second_weights)
    factor = _scale_between(*logits)
    shares = np.full(len(factor), 1 - _SECOND_SHARE), _SECOND_SHARE * factor
    parts = [
        InitialWeights(share[:, None] * own.coef, share * own.intercept)
        for share, own in zip(shares, (first_weights, second_weights), strict=True)
    ]
    joined = shares[0] * logits[0] + shares[1] * logits[1]
    values = split.all_of_rows().values
    if not split.same_rows:
        values = np.concatenate([values, split.held_out.values])
    for j, own in enumerate(values.T):
        y = own[~np.isnan(own)] == 1.0
        if y.any() and not y.all():
            parts[0].intercept[j] = likeliest_intercept(joined[~np.isnan(own), j], y)
            parts[1].intercept[j] = 0.0
    return parts[0], parts[1]


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
