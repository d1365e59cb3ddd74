"""Cells that tell a training how often labels of each class are known."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from cftlearn._inputs import Inputs
from cftlearn.labels._known_rates import (
    KnownRates,
    LabelTotals,
    ScoredCells,
    estimate_known_rates,
)
from cftlearn.training._plan import HeldOut, TrainingPlan
from cftlearn.training._validation import logits_of_rows

# Beyond these rows an estimate gains little, and each row costs a forward pass.
_MOST_ROWS = 10_000
# Of the epochs, before rates are estimated: with the default schedule, the learning
# rate has then reached its peak, and the network knows the categories somewhat.
_WARM_UP = 0.3


@dataclass(frozen=True)
class RateProbe:
    """Cells that are not trained on: held-out labels, and unknown ones.

    Attributes
    ----------
    held_out : HeldOut
        Rows with held-out labels.
    inputs : Inputs
        The rows to train on.
    unknown : ndarray of shape (n_samples, n_categories), bool
        Unknown cells of these rows that no loss counts.
    totals : LabelTotals
        All known labels of these rows.
    """

    held_out: HeldOut
    inputs: Inputs
    unknown: NDArray[np.bool_]
    totals: LabelTotals

    def is_due(self, epoch: int, max_epochs: int) -> bool:
        """Return whether to estimate rates after an epoch.

        The warm-up ends in the middle of a training; the last estimate is for the
        training that follows.
        """
        return epoch in (max(round(_WARM_UP * max_epochs), 1), max_epochs)

    def estimate(
        self, network: nn.Module, plan: TrainingPlan, epoch: int
    ) -> KnownRates:
        """Estimate the rates by a network's scores.

        Parameters
        ----------
        network : nn.Module
            It is left in evaluation mode.
        plan : TrainingPlan
            How to compute.
        epoch : int
            The last epoch, for errors.

        Returns
        -------
        rates : KnownRates
            See :func:`~cftlearn.labels._known_rates.estimate_known_rates`.

        Raises
        ------
        NonFiniteLossError
            If a logit is NaN or infinite.
        """
        labels = self.held_out.labels
        rows = _sampled(~np.isnan(labels), plan.seed)
        unknown_rows = _sampled(self.unknown, plan.seed)
        n_categories = labels.shape[1]
        if not len(rows) or not len(unknown_rows):
            nothing = ScoredCells(np.empty(0), np.empty(0, dtype=bool), np.empty(0))
            return estimate_known_rates([nothing] * n_categories, self.totals)
        scores, unknown_scores = (
            logits_of_rows(network, inputs.take(own), n_categories, plan, epoch).numpy()
            for inputs, own in (
                (self.held_out.inputs, rows),
                (self.inputs, unknown_rows),
            )
        )
        cells = []
        for j in range(n_categories):
            known = ~np.isnan(labels[rows, j])
            is_unknown = self.unknown[unknown_rows, j]
            own_y = labels[rows, j][known] == 1.0
            cells.append(
                ScoredCells(scores[known, j], own_y, unknown_scores[is_unknown, j])
            )
        return estimate_known_rates(cells, self.totals)


def _sampled(cells: NDArray[np.bool_], seed: int) -> NDArray[np.intp]:
    """Return rows that have such a cell, not more than an estimate needs."""
    rows = np.flatnonzero(cells.any(axis=1))
    if len(rows) > _MOST_ROWS:
        rng = np.random.default_rng(seed)
        rows = np.sort(rng.choice(rows, _MOST_ROWS, replace=False))
    return rows
