"""What the outputs of a network are compared with, also where rows are mixed."""

from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cftlearn.labels._label_split import TrainingTargets
from cftlearn.training._mixing import LogicMix, Mixture, PartialMixUp


class Targets(NamedTuple):
    """What the outputs of the network are compared with, of all rows or of a batch.

    Attributes
    ----------
    labels : Tensor of shape (n_rows, n_categories)
        1, 0, or NaN for cells that are no known label; between 1 and 0 after mixing.
    unknown : Tensor of shape (n_rows, n_categories), bool, or None
        Cells that the plan's loss of unknown labels counts; None without one.
    soft : Tensor of shape (n_rows, n_categories), or None
        Probabilities as targets of other cells; NaN elsewhere.
    pseudo : Tensor of shape (n_rows, n_categories), or None
        Pseudo-labels, of other cells again; NaN elsewhere.
    pseudo_weight : Tensor of shape (n_rows, n_categories), or None
        How much each pseudo-label counts beside a known label's 1; 0 elsewhere.
    weights : Tensor of shape (n_rows, n_categories), or None
        How much each label counts; None if all count alike.
    """

    labels: Tensor
    unknown: Tensor | None = None
    soft: Tensor | None = None
    pseudo: Tensor | None = None
    pseudo_weight: Tensor | None = None
    weights: Tensor | None = None

    @classmethod
    def of(cls, targets: TrainingTargets) -> Self:
        """Convert arrays to tensors."""
        values, *others = targets
        return cls(
            torch.from_numpy(values).float(),
            *(None if each is None else torch.from_numpy(each) for each in others),
        )

    def of_rows(self, rows: NDArray[np.intp], device: str) -> Self:
        """Return the targets of some rows, on a device."""
        return type(self)(
            self.labels[rows].to(device),
            *(None if each is None else each[rows].to(device) for each in self[1:]),
        )

    def cells_per_row(self) -> NDArray[np.intp]:
        """Count the cells of each kind in every row, shape (4, n_rows)."""
        kinds = (
            ~torch.isnan(self.labels),
            self.unknown,
            None if self.soft is None else ~torch.isnan(self.soft),
            None if self.pseudo is None else ~torch.isnan(self.pseudo),
        )
        counts = np.zeros((len(kinds), len(self.labels)), dtype=np.intp)
        for own, cells in zip(counts, kinds, strict=True):
            if cells is not None:
                own[:] = cells.sum(dim=1).numpy()
        return counts

    def amounts_per_row(self) -> NDArray[np.float64]:
        """Sum up what cells count in every row, shape (3, n_rows).

        Those of labels and of pseudo-labels together, of unknown cells, and of cells
        with a probability.
        """
        amounts = self.cells_per_row()[:3].astype(np.float64)
        if self.weights is not None:
            amounts[0] = self.label_weights().double().sum(dim=1).numpy()
        if self.pseudo_weight is not None:
            amounts[0] += self.pseudo_weight.double().sum(dim=1).numpy()
        return amounts

    def label_weights(self) -> Tensor:
        """Return how much each label counts; 0 where there is none."""
        known = ~torch.isnan(self.labels)
        own = 1.0 if self.weights is None else self.weights
        return torch.where(known, own, torch.zeros_like(self.labels))

    def mixed(self, mix: LogicMix | PartialMixUp, mixture: Mixture) -> Self:
        """Return the targets of mixed rows.

        A cell is a label, or else has a probability, or else is treated as unknown, by
        what it is after mixing; but not where one of its parts is a cell that the
        training must not see. Pseudo-labels are mixed as labels: a label that one of
        them went into is a pseudo-label. Labels and pseudo-labels count the mean weight
        of their parts.

        Parameters
        ----------
        mix : LogicMix or PartialMixUp
            How labels are mixed.
        mixture : Mixture
            What was drawn, on the device of the targets.

        Returns
        -------
        targets : Targets
            Of the same kinds.
        """
        labels, unknown, soft, pseudo, weight, own = self
        if pseudo is not None:
            labels = torch.where(torch.isnan(pseudo), labels, pseudo)
        mixed = mix.mix_labels(labels, mixture)
        is_open = torch.isnan(mixed) & self._are_seen(mixture)
        if soft is not None:
            both = torch.where(torch.isnan(soft), labels, soft)
            soft = torch.where(is_open, mix.mix_labels(both, mixture), torch.nan)
            is_open &= torch.isnan(soft)
        unknown = None if unknown is None else is_open
        if pseudo is not None and weight is not None:
            is_pseudo = ~_of_parts(torch.isnan(pseudo), mixture).all(dim=1)
            is_pseudo &= ~torch.isnan(mixed)
            weight = weight + self.label_weights()
            weight = _mean_weight(weight, ~torch.isnan(labels), mixture)
            weight = torch.where(is_pseudo, weight, 0.0)
            pseudo = torch.where(is_pseudo, mixed, torch.nan)
            mixed = torch.where(is_pseudo, torch.nan, mixed)
        if own is not None:
            own = _mean_weight(own, ~torch.isnan(self.labels), mixture)
        return type(self)(mixed, unknown, soft, pseudo, weight, own)

    def _are_seen(self, mixture: Mixture) -> Tensor:
        """Mark the cells of which the training may see every part."""
        seen = ~torch.isnan(self.labels)
        if self.unknown is not None:
            seen |= self.unknown
        for values in (self.soft, self.pseudo):
            if values is not None:
                seen |= ~torch.isnan(values)
        return _of_parts(seen, mixture).all(dim=1)


def _mean_weight(weight: Tensor, has_target: Tensor, mixture: Mixture) -> Tensor:
    """Return the mean weight of the parts that have a target, by their shares."""
    shares = mixture.shares.to(weight.dtype).unsqueeze(-1)
    shares = shares * mixture.parts(has_target)
    total = (shares * mixture.parts(weight)).sum(dim=1)
    return total / shares.sum(dim=1).clamp(min=torch.finfo(total.dtype).tiny)


def _of_parts(cells: Tensor, mixture: Mixture) -> Tensor:
    """Return cells of all parts; True for rows that take no part."""
    return mixture.parts(cells) | ~mixture.takes_part()
