"""Losses for torch that skip unknown labels and stay finite at any logit.

All take logits and targets of shape (n_samples, n_categories), where a NaN target is
an unknown label: its loss and its gradient are exactly 0. A batch without any known
label has loss 0, not NaN.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

Reduction = Literal["mean", "sum", "none"]


class PartialBCEWithLogitsLoss(nn.Module):
    """Compute binary cross-entropy on known labels.

    Parameters
    ----------
    pos_weight : Tensor of shape (n_categories,), default=None
        Factor on the loss of positives, above 0; 1 for every category by default.
    reduction : {"mean", "sum", "none"}, default="mean"
        ``"mean"`` divides by the number of known labels, ``"none"`` returns the
        loss of every label.

    Raises
    ------
    ValueError
        If a weight is not above 0 or ``reduction`` is none of the three.
    TypeError
        If ``pos_weight`` is no tensor.

    See Also
    --------
    torch.nn.BCEWithLogitsLoss : The same where every label is known.

    Examples
    --------
    >>> import torch
    >>> from cftlearn.losses import PartialBCEWithLogitsLoss
    >>> target = torch.tensor([[1.0, float("nan")]])
    >>> PartialBCEWithLogitsLoss()(torch.zeros(1, 2), target)
    tensor(0.6931)
    """

    pos_weight: Tensor | None

    def __init__(
        self, *, pos_weight: Tensor | None = None, reduction: Reduction = "mean"
    ) -> None:
        super().__init__()
        if pos_weight is not None:
            _check_positive_weights(pos_weight)
        self.register_buffer("pos_weight", pos_weight)
        self.reduction = _check_reduction(reduction)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss.

        Parameters
        ----------
        logits : Tensor of shape (n_samples, n_categories)
            Raw scores, before any sigmoid.
        target : Tensor of shape (n_samples, n_categories)
            1 or 0, or a soft label between them; NaN unknown.

        Returns
        -------
        loss : Tensor, scalar unless ``reduction="none"``
            0 or more.

        Raises
        ------
        ValueError
            If the shapes differ or a target is outside [0, 1].
        """
        logits, target, known = _filled(logits, target)
        weight = self.pos_weight
        if weight is not None and weight.shape not in ((), (1,), logits.shape[1:]):
            raise ValueError(
                "`pos_weight` must hold one factor per category, shape "
                f"{tuple(logits.shape[1:])}; got shape {tuple(weight.shape)}."
            )
        loss = binary_cross_entropy_with_logits(
            logits, target, pos_weight=self.pos_weight, reduction="none"
        )
        return _reduced(loss, known, self.reduction)


def _check_positive_weights(pos_weight: Tensor) -> None:
    if not isinstance(pos_weight, Tensor):
        raise TypeError(
            "`pos_weight` must be a tensor of one factor per category; got "
            f"{type(pos_weight).__name__}. Pass torch.tensor([...])."
        )
    if not bool((pos_weight > 0).all()):
        raise ValueError(f"`pos_weight` must be above 0; got {pos_weight.tolist()}.")


class PartialAsymmetricLoss(nn.Module):
    """Compute the asymmetric loss (ASL) on known labels.

    Easy labels are weighed down by a power of how wrong they are, negatives more
    than positives; negatives below the probability ``clip`` count nothing [1]_. The
    loss is computed from log-sigmoids, so it and its gradient are finite at any logit.

    Parameters
    ----------
    gamma_positive : float, default=0.0
        Focusing power for positives, 0 or more; raising it weighs easy ones down.
    gamma_negative : float, default=4.0
        Focusing power for negatives, 0 or more.
    clip : float, default=0.05
        Probability in [0, 1) by which negatives are shifted down.
    detach_weight : bool, default=True
        Do not differentiate the focusing weight, as its authors' code does.
    reduction : {"mean", "sum", "none"}, default="mean"
        ``"mean"`` divides by the number of known labels, ``"none"`` returns the
        loss of every label.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    References
    ----------
    .. [1] Ridnik et al., "Asymmetric Loss for Multi-Label Classification", ICCV
       2021, equation 7.

    Examples
    --------
    >>> import torch
    >>> from cftlearn.losses import PartialAsymmetricLoss
    >>> target = torch.tensor([[0.0, float("nan")]])
    >>> PartialAsymmetricLoss()(torch.tensor([[-200.0, 0.0]]), target)
    tensor(0.)
    """

    def __init__(
        self,
        *,
        gamma_positive: float = 0.0,
        gamma_negative: float = 4.0,
        clip: float = 0.05,
        detach_weight: bool = True,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__()
        if not (gamma_positive >= 0 and gamma_negative >= 0):
            raise ValueError(
                "`gamma_positive` and `gamma_negative` must be 0 or more; got "
                f"{gamma_positive} and {gamma_negative}."
            )
        if not 0.0 <= clip < 1.0:
            raise ValueError(f"`clip` must be in [0, 1); got {clip}.")
        self.gamma_positive = gamma_positive
        self.gamma_negative = gamma_negative
        self.clip = clip
        self.detach_weight = detach_weight
        self.reduction = _check_reduction(reduction)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss.

        Parameters
        ----------
        logits : Tensor of shape (n_samples, n_categories)
            Raw scores, before any sigmoid.
        target : Tensor of shape (n_samples, n_categories)
            1 or 0; NaN unknown.

        Returns
        -------
        loss : Tensor, scalar unless ``reduction="none"``
            0 or more.

        Raises
        ------
        ValueError
            If the shapes differ or a target is outside [0, 1].
        """
        logits, target, known = _filled(logits, target)
        log_p, log_q = logsigmoid(logits), logsigmoid(-logits)
        if self.clip:  # log(min(1 - p + clip, 1)) with 1 - p = exp(log_q)
            log_q = torch.log((log_q.exp() + self.clip).clamp(max=1.0))
        loss_positive = -log_p * self._weight(log_p, self.gamma_positive)
        loss_negative = -log_q * self._weight(log_q, self.gamma_negative)
        loss = target * loss_positive + (1 - target) * loss_negative
        return _reduced(loss, known, self.reduction)

    def _weight(self, log_right: Tensor, gamma: float) -> Tensor:
        if gamma == 0:
            return torch.ones_like(log_right)
        if self.detach_weight:
            log_right = log_right.detach()
        wrong = -torch.expm1(log_right)
        # The slope of a power below 1 is infinite at 0, where the weight is 0 anyway.
        return wrong.clamp(min=torch.finfo(wrong.dtype).tiny) ** gamma


def _check_reduction(reduction: Reduction) -> Reduction:
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(
            f"`reduction` must be 'mean', 'sum' or 'none'; got {reduction!r}."
        )
    return reduction


def _filled(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Check the targets, and set unknown labels and their logits to 0.

    Both must be finite before the loss is computed: a NaN that is masked afterwards
    still has a NaN gradient.
    """
    if target.shape != logits.shape:
        raise ValueError(
            f"`target` must have the shape of `logits`, {tuple(logits.shape)}; got "
            f"{tuple(target.shape)}."
        )
    known = ~torch.isnan(target)
    filled = torch.where(known, target, 0.0).to(logits.dtype)
    if bool(((filled < 0) | (filled > 1)).any()):
        wrong = filled[(filled < 0) | (filled > 1)][0]
        raise ValueError(
            f"`target` must hold labels in [0, 1] or NaN (unknown); got {wrong:g}. "
            "Read labels with cftlearn.labels.check_partial_labels first."
        )
    return torch.where(known, logits, 0.0), filled, known


def _reduced(loss: Tensor, known: Tensor, reduction: Reduction) -> Tensor:
    """Set the loss of unknown labels to 0, and reduce over the known ones."""
    loss = torch.where(known, loss, 0.0)
    if reduction == "none":
        return loss
    if reduction == "sum":
        return loss.sum()
    return loss.sum() / known.sum().clamp(min=1)
