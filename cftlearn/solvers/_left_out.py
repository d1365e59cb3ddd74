"""How candidates rank labels that they were not fitted to."""

from abc import ABCMeta, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Of the largest logit: within such a step, rounding may have moved equal rows.
RELATIVE_STEP = 1e-5


class LeftOutEvidence(metaclass=ABCMeta):
    """What candidates would say of rows if they had not been fitted to them.

    So a label can judge the very candidate that used it.

    Attributes
    ----------
    asks_many : bool
        Whether it is cheap to ask about several sets of rows.
    """

    asks_many = True

    @abstractmethod
    def left_out(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Compute logits of rows by fits without them.

        They may miss what each row does to the bias of its own fit. That would set
        every positive back against every negative by the same amount.

        Parameters
        ----------
        rows : ndarray of shape (n_rows,), int
            Numbers of the rows among those that were fitted.

        Returns
        -------
        logits : ndarray of shape (n_candidates, n_rows)
            One line per candidate.
        """

    def placements(
        self,
        positives: NDArray[np.intp],
        negatives: NDArray[np.intp],
        weight: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]:
        """Compute how many rows each positive outranks, by fits without either.

        Parameters
        ----------
        positives, negatives : ndarray of int
            Numbers of the rows to rank, and of those to rank them against.
        weight : ndarray of shape (n_negatives,), default=None
            How much each of the latter counts; None counts them alike.

        Returns
        -------
        placements : ndarray of shape (n_candidates, n_positives)
            Shares of the negatives below each positive; equal ones count half. The
            mean over positives is the ROC AUC.
        """
        rows = np.concatenate([positives, negatives])
        logits = round_logits(self.left_out(rows))
        return placement_values(
            logits[:, : len(positives)], logits[:, len(positives) :], weight
        )


def round_logits(logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Round each candidate's logits to steps, so that equal rows get equal logits.

    Sums of equal rows can differ in their last digits, and a metric of ranks would
    take these for an order.
    """
    step = RELATIVE_STEP * np.abs(logits).max(axis=1, initial=0.0, keepdims=True)
    return np.round(logits / np.maximum(step, np.finfo(np.float64).tiny))


def placement_values(
    positives: NDArray[np.floating[Any]],
    negatives: NDArray[np.floating[Any]],
    weight: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Compute the share of negatives that every positive outranks.

    Parameters
    ----------
    positives : ndarray of shape (n_candidates, n_positives)
        Scores.
    negatives : ndarray of shape (n_candidates, n_negatives)
        Scores; at least one per candidate.
    weight : ndarray of shape (n_negatives,), default=None
        How much each negative counts; None counts them alike.

    Returns
    -------
    placements : ndarray of shape (n_candidates, n_positives)
        Equal scores count half.
    """
    if weight is not None:
        return _weighted_placements(positives, negatives, weight)
    ordered = np.sort(negatives, axis=1)
    below = [
        np.searchsorted(own, scores, "left") + np.searchsorted(own, scores, "right")
        for own, scores in zip(ordered, positives, strict=True)
    ]
    return np.asarray(below, dtype=np.float64) / (2.0 * negatives.shape[1])


def _weighted_placements(
    positives: NDArray[np.floating[Any]],
    negatives: NDArray[np.floating[Any]],
    weight: NDArray[np.float64],
) -> NDArray[np.float64]:
    below = np.empty(positives.shape)
    for own, scores, others in zip(below, positives, negatives, strict=True):
        order = np.argsort(others)
        ordered, sums = others[order], np.append(0.0, np.cumsum(weight[order]))
        own[:] = sums[np.searchsorted(ordered, scores, "left")]
        own += sums[np.searchsorted(ordered, scores, "right")]
    return below / (2.0 * float(weight.sum()))
