"""Unknown cells by the likelihood of staying unknown."""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from cftlearn.labels._known_rates import KnownRates
from cftlearn.losses._unknown._protocol import UnknownLoss


class SelectionLoss(UnknownLoss):
    r"""Charge an unknown cell what it says against a label that it stayed unknown.

    This is ``unknown="auto"``. Without rates (see :meth:`set_rates`) it is 0.

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

    Examples
    --------
    >>> import torch
    >>> from cftlearn.losses import SelectionLoss
    >>> loss = SelectionLoss()
    >>> loss(torch.zeros(1, 2), torch.full((1, 2), float("nan")))
    tensor(0.)
    """

    estimates_rates = True

    def __init__(self) -> None:
        super().__init__()
        self._log_unknown: tuple[Tensor, Tensor] | None = None

    def default_weight(self, n_unknown_per_known: float) -> float:
        """Return half of the square root."""
        return 0.5 * n_unknown_per_known**0.5

    @property
    def is_active(self) -> bool:
        """Whether rates differ."""
        return self._log_unknown is not None

    def set_rates(self, rates: KnownRates) -> None:
        """Take the rates, in [0, 1), of all categories."""
        self._log_unknown = None
        if rates.say_something:
            positive = torch.from_numpy(rates.positive).neg().log1p().float()
            negative = torch.from_numpy(rates.negative).neg().log1p().float()
            self._log_unknown = positive, negative

    def cell_losses(self, logits: Tensor) -> Tensor:
        """Compute minus the log-likelihood of staying unknown."""
        if self._log_unknown is None:
            return 0.0 * logits  # which has a gradient, as other losses have
        positive, negative = (each.to(logits) for each in self._log_unknown)
        return negative - torch.logaddexp(
            logsigmoid(logits) + positive, logsigmoid(-logits) + negative
        )
