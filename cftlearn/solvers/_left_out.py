"""How candidates rank labels that they were not fitted to."""

from abc import ABCMeta, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cftlearn.metrics._ranking import batch_roc_auc

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

    def ranking_evidence(
        self, positives: NDArray[np.intp], negatives: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """Compute the ROC AUC of rows by fits without them.

        Parameters
        ----------
        positives, negatives : ndarray of int
            Numbers of the rows, by their label.

        Returns
        -------
        auc : ndarray of shape (n_candidates,)
            One value per candidate.
        """
        rows = np.concatenate([positives, negatives])
        y = np.arange(len(rows)) < len(positives)
        return batch_roc_auc(round_logits(self.left_out(rows)), y, exact=False)


def round_logits(logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Round each candidate's logits to steps, so that equal rows get equal logits.

    Sums of equal rows can differ in their last digits, and a metric of ranks would
    take these for an order.
    """
    step = RELATIVE_STEP * np.abs(logits).max(axis=1, initial=0.0, keepdims=True)
    return np.round(logits / np.maximum(step, np.finfo(np.float64).tiny))
