"""The strictly proper asymmetric loss, and what its logits say of probabilities."""

import math
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from cftlearn.losses._checks import check_above_zero, check_finite
from cftlearn.losses._known._protocol import KnownLoss, Reduction

# Each step at least halves an interval around the solution, or is one of Newton's.
_MOST_STEPS = 100
_TOLERANCE = 1e-12


class PartialStrictlyProperLoss(KnownLoss):
    r"""Compute the strictly proper asymmetric loss (SPA) on known labels.

    Positives and negatives have logistic losses of their own slope and place, and yet
    the loss is smallest at the true probability [1]_. That probability is not the
    sigmoid of the published loss's logits: :meth:`predict_proba` computes it.

    Parameters
    ----------
    zeta_positive : float, default=1.0
        Divides the loss of positives, above 0.
    zeta_negative : float, default=5.0
        Divides that of negatives, above 0.
    slope_positive : float, default=1.0
        How steep the loss of positives is, above 0.
    slope_negative : float, default=3.0
        The same of negatives.
    shift_positive : float, default=0.0
        Where the loss of positives turns.
    shift_negative : float, default=1.0
        Where that of negatives turns.
    link : {"published", "logistic"}, default="published"
        What the logits are. ``"published"``: the argument of the two losses.
        ``"logistic"``: the log-odds of the probability, from which that argument is
        computed. The loss of a probability is the same one. With ``"logistic"``, the
        sigmoid of a logit is a probability, as everything after a training expects;
        ``loss="spa"`` of :class:`cftlearn.CFTClassifier` is this one.
    pos_weight : Tensor of shape (n_categories,), default=None
        Factor on the loss of positives, above 0. It makes probabilities those of other
        shares of positives.
    reduction : {"mean", "sum", "none"}, default="mean"
        ``"mean"`` divides by the number of known labels, ``"none"`` returns the
        loss of every label.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range, or ``pos_weight`` is no tensor.

    Notes
    -----
    With the index :math:`+` for positives and :math:`-` for negatives,

    .. math::
        \ell_+(s) = -\log \sigma(k_+ (s - b_+)) / \zeta_+, \qquad
        \ell_-(s) = -\log \sigma(-k_- (s - b_-)) / \zeta_-,

    and the probability that is best estimated by :math:`s` is

    .. math::
        \psi(s) = \Bigl(1 + \frac{k_+ \zeta_- \sigma(-k_+ (s - b_+))}
        {k_- \zeta_+ \sigma(k_- (s - b_-))}\Bigr)^{-1}.

    mlcpl 0.1.7 computes the losses at :math:`\psi(s)` instead of :math:`s`; most
    probabilities then have no finite optimum.

    References
    ----------
    .. [1] Cheng and Vasconcelos, "Towards Calibrated Multi-label Deep Neural Networks",
       CVPR 2024.

    Examples
    --------
    >>> import torch
    >>> from cftlearn.losses import PartialStrictlyProperLoss
    >>> loss = PartialStrictlyProperLoss()
    >>> loss(torch.zeros(1, 2), torch.tensor([[1.0, float("nan")]]))
    tensor(0.6931)
    >>> loss.predict_proba(torch.zeros(1))
    tensor([0.0538])
    """

    def __init__(
        self,
        *,
        zeta_positive: float = 1.0,
        zeta_negative: float = 5.0,
        slope_positive: float = 1.0,
        slope_negative: float = 3.0,
        shift_positive: float = 0.0,
        shift_negative: float = 1.0,
        link: Literal["published", "logistic"] = "published",
        pos_weight: Tensor | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(pos_weight=pos_weight, reduction=reduction)
        above_zero = {
            "zeta_positive": zeta_positive,
            "zeta_negative": zeta_negative,
            "slope_positive": slope_positive,
            "slope_negative": slope_negative,
        }
        for name, value in above_zero.items():
            check_above_zero(value, name)
        for name, value in (
            ("shift_positive", shift_positive),
            ("shift_negative", shift_negative),
        ):
            check_finite(value, name)
        if link not in ("published", "logistic"):
            raise ValueError(f"`link` must be 'published' or 'logistic'; got {link!r}.")
        self.zeta_positive, self.zeta_negative = zeta_positive, zeta_negative
        self.slope_positive, self.slope_negative = slope_positive, slope_negative
        self.shift_positive, self.shift_negative = shift_positive, shift_negative
        self.link = link

    def predict_proba(self, logits: Tensor) -> Tensor:
        """Compute the probabilities that logits stand for.

        Parameters
        ----------
        logits : Tensor
            Outputs of a network that was trained with this loss.

        Returns
        -------
        proba : Tensor
            In [0, 1], of the shape of ``logits``.
        """
        if self.link == "logistic":
            return torch.sigmoid(logits)
        return torch.sigmoid(self._log_odds(logits))

    def class_losses(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the loss of every cell as a positive, and as a negative."""
        s = logits
        if self.link == "logistic":
            s = _InverseLink.apply(logits, self)
        positive = -logsigmoid(self.slope_positive * (s - self.shift_positive))
        negative = -logsigmoid(-self.slope_negative * (s - self.shift_negative))
        return positive / self.zeta_positive, negative / self.zeta_negative

    def _log_odds(self, s: Tensor) -> Tensor:
        """Compute the log-odds of the probability; they rise with ``s``."""
        ratio = (self.slope_negative * self.zeta_positive) / (
            self.slope_positive * self.zeta_negative
        )
        return (
            math.log(ratio)
            + logsigmoid(self.slope_negative * (s - self.shift_negative))
            + softplus(self.slope_positive * (s - self.shift_positive))
        )

    def _slope(self, s: Tensor) -> Tensor:
        """Compute the derivative of the log-odds, above 0."""
        k_positive, k_negative = self.slope_positive, self.slope_negative
        return k_positive * torch.sigmoid(
            k_positive * (s - self.shift_positive)
        ) + k_negative * torch.sigmoid(-k_negative * (s - self.shift_negative))

    def _solve(self, log_odds: Tensor) -> Tensor:
        """Return where the log-odds are these, in double precision.

        Newton's steps, each replaced by a bisection where it leaves the interval that
        holds the solution.
        """
        is_finite = torch.isfinite(log_odds)
        wanted = torch.where(is_finite, log_odds.detach(), 0.0).double()
        low, high = self._bounds(wanted)
        s = (low + high) / 2
        for _ in range(_MOST_STEPS):
            excess = self._log_odds(s) - wanted
            if bool((excess.abs() <= _TOLERANCE * (1 + wanted.abs())).all()):
                break
            low = torch.where(excess < 0, s, low)
            high = torch.where(excess < 0, high, s)
            step = s - excess / self._slope(s)
            # At a bound as well: a solved cell, whose step is too small to show, stays.
            inside = (low <= step) & (step <= high)
            s = torch.where(inside, step, (low + high) / 2)
        # A network that diverged must show: the loss of these is not finite either.
        return torch.where(is_finite, s.to(log_odds), log_odds)

    def _bounds(self, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """Return two tensors between which the log-odds take the wanted values."""
        width = torch.ones_like(wanted)
        centre = torch.full_like(
            wanted, (self.shift_positive + self.shift_negative) / 2
        )
        low, high = centre - width, centre + width
        while bool((outside := self._log_odds(low) > wanted).any()):
            low = torch.where(outside, centre - 2 * (centre - low), low)
        while bool((outside := self._log_odds(high) < wanted).any()):
            high = torch.where(outside, centre + 2 * (high - centre), high)
        return low, high


class _InverseLink(torch.autograd.Function):
    """The argument of the losses, from the log-odds of a probability."""

    @staticmethod
    def forward(ctx: Any, log_odds: Tensor, loss: PartialStrictlyProperLoss) -> Tensor:
        s = loss._solve(log_odds)
        ctx.save_for_backward(s)
        ctx.loss = loss
        return s

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (s,) = ctx.saved_tensors
        return gradients[0] / ctx.loss._slope(s), None
