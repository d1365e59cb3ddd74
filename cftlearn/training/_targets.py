"""What the outputs of a network are compared with, also where rows are mixed."""

from typing import NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cftlearn.labels._label_split import TrainingTargets
from cftlearn.training._mixing import LogicMix, Mixture, PartialMixUp


class Targets(NamedTuple):
    """Targets of cells, of all rows or of a batch.

    Attributes
    ----------
    labels : Tensor of shape (n_rows, n_categories)
        1, 0, or NaN for cells that are no known label; between 1 and 0 after mixing.
    unknown : Tensor of shape (n_rows, n_categories), bool, or None
        Cells that the plan's term for unknown labels counts; None without one.
    soft : Tensor of shape (n_rows, n_categories), or None
        Probabilities of these cells, where the term needs them.
    pseudo : Tensor of shape (n_rows, n_categories), or None
        Targets of other cells, from outside; NaN elsewhere.
    pseudo_weight : Tensor of shape (n_rows, n_categories), or None
        How much each of these counts beside a known label's 1; 0 elsewhere.
    """

    labels: Tensor
    unknown: Tensor | None = None
    soft: Tensor | None = None
    pseudo: Tensor | None = None
    pseudo_weight: Tensor | None = None

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

    def without_unknown(self) -> Self:
        """Return the targets without cells that the term for unknown labels counts."""
        return self._replace(unknown=None, soft=None)

    def mixed(self, mix: LogicMix | PartialMixUp, mixture: Mixture) -> Self:
        """Return the targets of mixed rows.

        Pseudo-labels are mixed as soft labels. A cell that one went into is a
        pseudo-label, and counts the mean of the weights of its parts. A cell is treated
        as unknown if its label is unknown after mixing, and none of its parts is a cell
        that the training must not see. Probabilities of unknown cells are mixed with
        the labels of the other parts.

        Parameters
        ----------
        mix : LogicMix or PartialMixUp
            How labels are mixed.
        mixture : Mixture
            What was drawn, on the device of the targets.

        Returns
        -------
        targets : Targets
            Of the same parts.
        """
        given, pseudo = self.labels, self.pseudo
        if pseudo is not None:
            given = torch.where(torch.isnan(pseudo), given, pseudo)
        values = mix.mix_labels(given, mixture)
        is_open = torch.isnan(values)
        unknown, soft, weight = self.unknown, self.soft, self.pseudo_weight
        if unknown is not None:
            filled = given if soft is None else torch.where(unknown, soft, given)
            seen = ~torch.isnan(given) | unknown
            unknown = is_open & _of_parts(seen, mixture).all(dim=1)
            if soft is not None:
                soft = mix.mix_labels(filled, mixture)
                unknown &= ~torch.isnan(soft)
        if pseudo is not None and weight is not None:
            is_pseudo = ~_of_parts(torch.isnan(pseudo), mixture).all(dim=1) & ~is_open
            weight = torch.where(torch.isnan(self.labels), weight, 1.0)
            weight = _mean_weight(weight, ~torch.isnan(given), mixture)
            weight = torch.where(is_pseudo, weight, 0.0)
            pseudo = torch.where(is_pseudo, values, torch.nan)
            values = torch.where(is_pseudo, torch.nan, values)
        return type(self)(values, unknown, soft, pseudo, weight)


def _mean_weight(weight: Tensor, has_target: Tensor, mixture: Mixture) -> Tensor:
    """Return the mean weight of the parts that have a target, by their shares."""
    shares = mixture.shares.to(weight.dtype).unsqueeze(-1)
    shares = shares * mixture.parts(has_target)
    total = (shares * mixture.parts(weight)).sum(dim=1)
    return total / shares.sum(dim=1).clamp(min=torch.finfo(total.dtype).tiny)


def _of_parts(cells: Tensor, mixture: Mixture) -> Tensor:
    """Return cells of all parts; True for rows that take no part."""
    return mixture.parts(cells) | ~mixture.takes_part()
