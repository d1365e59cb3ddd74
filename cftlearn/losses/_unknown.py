"""What unknown labels add to the loss of a network, beside that of known labels.

Each term is a mean over unknown cells. All are bounded from below, and finite at any
logit.
"""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import (
    binary_cross_entropy_with_logits,
    logsigmoid,
    softplus,
)

from cftlearn.labels._known_rates import KnownRates

_HILL_LAMBDA = 1.5


class UnknownTerm:
    """The loss of unknown cells; a class per treatment.

    Parameters
    ----------
    weight : float, default=None
        How much all unknown cells count together, where all known ones count 1. None
        takes the treatment's own.
    n_unknown_per_known : float, default=1.0
        How many unknown cells there are for a known one.

    Attributes
    ----------
    estimates_rates : bool
        Whether :meth:`set_rates` changes the term, so that a training estimates rates.
    """

    estimates_rates: ClassVar[bool] = False

    def __init__(
        self, weight: float | None = None, n_unknown_per_known: float = 1.0
    ) -> None:
        own = self.own_weight(n_unknown_per_known)
        self.weight = own if weight is None else weight

    def own_weight(self, n_unknown_per_known: float) -> float:
        """Return how much unknown cells count together, unless a user says it."""
        return 0.5

    @property
    def is_active(self) -> bool:
        """Whether unknown cells have any gradient."""
        return self.weight > 0

    def set_rates(self, rates: KnownRates) -> None:
        """Take the rates at which labels are known; most terms do without."""

    def __call__(
        self, logits: Tensor, unknown: Tensor, soft: Tensor | None = None
    ) -> Tensor:
        """Compute the weighted mean over unknown cells.

        Parameters
        ----------
        logits : Tensor of shape (n_rows, n_categories)
            Raw scores.
        unknown : Tensor of shape (n_rows, n_categories), bool
            The cells that count.
        soft : Tensor of shape (n_rows, n_categories), default=None
            Probabilities of these cells; anything elsewhere.

        Returns
        -------
        loss : Tensor, scalar
            0 where there is no unknown cell.
        """
        losses = torch.where(unknown, self.cell_losses(logits, soft), 0.0)
        return self.weight * losses.sum() / unknown.sum().clamp(min=1)

    def cell_losses(self, logits: Tensor, soft: Tensor | None) -> Tensor:
        """Compute the loss of every cell, as if its label were unknown."""
        raise NotImplementedError


class WeakNegativeTerm(UnknownTerm):
    """Unknown cells are negatives of a smaller weight."""

    def cell_losses(self, logits: Tensor, soft: Tensor | None) -> Tensor:
        """Compute binary cross-entropy with the label 0."""
        return softplus(logits)


class HillTerm(UnknownTerm):
    r"""Unknown cells are negatives, unless the network is confident that they are not.

    Notes
    -----
    For the probability :math:`p` the loss is :math:`(\lambda - p) p^2` with
    :math:`\lambda = 1.5`: its slope is largest at :math:`p = 0.5` and falls to 0 on
    both sides; see Zhang et al., "Simple and Robust Loss Design for Multi-Label
    Learning with Missing Labels", arXiv 2112.07368, equation 6.
    """

    def cell_losses(self, logits: Tensor, soft: Tensor | None) -> Tensor:
        """Compute the Hill loss."""
        p = torch.sigmoid(logits)
        return (_HILL_LAMBDA - p) * p**2


class SelectionTerm(UnknownTerm):
    r"""Unknown cells cost what it says against a label that it stayed unknown.

    Notes
    -----
    Let a positive be known with the probability :math:`\rho_1`, and a negative with
    :math:`\rho_0`. A cell of probability :math:`p` then stays unknown with

    .. math:: P(unknown) = p (1 - \rho_1) + (1 - p) (1 - \rho_0),

    and the loss is :math:`-\log` of it, less what it is at :math:`p = 0`. Where the
    rates are equal it is 0 everywhere: unknown cells are left out. Where positives are
    known more often, it pushes :math:`p` down, but never further than the share of
    positives among unknown cells; with :math:`\rho_0 = 0` and :math:`\rho_1 = 1` it
    would be the loss of a negative.

    In the likelihood every cell counts 1. A network that fits its known labels closely
    should hear less of the unknown ones, the more there are. So with :math:`r` unknown
    cells for a known one, unknown cells count :math:`\sqrt r / 2` together: the
    geometric mean of as much as all known ones, and of :math:`r` times as much, halved.
    """

    estimates_rates = True

    def __init__(
        self, weight: float | None = None, n_unknown_per_known: float = 1.0
    ) -> None:
        super().__init__(weight, n_unknown_per_known)
        self._log_unknown: tuple[Tensor, Tensor] | None = None

    def own_weight(self, n_unknown_per_known: float) -> float:
        """Return half of the square root."""
        return 0.5 * n_unknown_per_known**0.5

    @property
    def is_active(self) -> bool:
        """Whether rates differ."""
        return super().is_active and self._log_unknown is not None

    def set_rates(self, rates: KnownRates) -> None:
        """Take the rates, in [0, 1), of all categories."""
        self._log_unknown = None
        if rates.say_something:
            positive = torch.from_numpy(rates.positive).neg().log1p().float()
            negative = torch.from_numpy(rates.negative).neg().log1p().float()
            self._log_unknown = positive, negative

    def cell_losses(self, logits: Tensor, soft: Tensor | None) -> Tensor:
        """Compute minus the log-likelihood of staying unknown."""
        if self._log_unknown is None:
            return torch.zeros_like(logits)
        positive, negative = (each.to(logits) for each in self._log_unknown)
        return negative - torch.logaddexp(
            logsigmoid(logits) + positive, logsigmoid(-logits) + negative
        )


class SoftTargetTerm(UnknownTerm):
    """Unknown cells have probabilities as targets, which a refit has estimated.

    Together they count as much as the known ones.
    """

    def own_weight(self, n_unknown_per_known: float) -> float:
        """Return 1."""
        return 1.0

    def cell_losses(self, logits: Tensor, soft: Tensor | None) -> Tensor:
        """Compute binary cross-entropy with the probabilities.

        Raises
        ------
        ValueError
            If there are none.
        """
        if soft is None:
            raise ValueError("`soft` must hold the probabilities of unknown labels.")
        # NaN where a label is known, which must not reach the gradient of other cells.
        return binary_cross_entropy_with_logits(
            logits, torch.nan_to_num(soft), reduction="none"
        )
