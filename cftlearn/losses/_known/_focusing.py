"""Binary cross-entropy, and losses that weigh easy labels down."""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from cftlearn.losses._known._protocol import KnownLoss, Reduction


class PartialBCEWithLogitsLoss(KnownLoss):
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
    PartialLoss : Adds a loss of unknown labels.

    Examples
    --------
    >>> import torch
    >>> from cftlearn.losses import PartialBCEWithLogitsLoss
    >>> target = torch.tensor([[1.0, float("nan")]])
    >>> PartialBCEWithLogitsLoss()(torch.zeros(1, 2), target)
    tensor(0.6931)
    """

    def cell_losses(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss of every cell."""
        return binary_cross_entropy_with_logits(
            logits, target, pos_weight=self.pos_weight, reduction="none"
        )


class PartialFocalLoss(KnownLoss):
    r"""Compute the focal loss on known labels, if wished with a margin for positives.

    Labels that the network gets right weigh less [1]_. With a margin, positives are
    pushed further [2]_. The loss is computed from log-sigmoids, so it and its gradient
    are finite at any logit.

    Parameters
    ----------
    gamma : float, default=2.0
        Focusing power, 0 or more; raising it weighs easy labels down.
    margin : float, default=0.0
        Subtracted from the logits of positives, 0 or more; the focal margin loss of
        [2]_ has 1.
    detach_weight : bool, default=False
        Do not differentiate the focusing weight.
    pos_weight : Tensor of shape (n_categories,), default=None
        Factor on the loss of positives, above 0; 1 for every category by default.
    reduction : {"mean", "sum", "none"}, default="mean"
        ``"mean"`` divides by the number of known labels, ``"none"`` returns the
        loss of every label.

    Raises
    ------
    ValueError
        If a parameter is out of its range.
    TypeError
        If ``pos_weight`` is no tensor.

    Notes
    -----
    With the logit :math:`s`, :math:`p = \sigma(s)` and :math:`p_m = \sigma(s - m)`, a
    positive costs :math:`-(1 - p_m)^\gamma \log p_m`, and a negative
    :math:`-p^\gamma \log(1 - p)`. The published :math:`\alpha` is ``pos_weight``.

    References
    ----------
    .. [1] Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, equation 4.
    .. [2] Zhang et al., "Simple and Robust Loss Design for Multi-Label Learning with
       Missing Labels", arXiv 2112.07368.

    Examples
    --------
    >>> import torch
    >>> from cftlearn.losses import PartialFocalLoss
    >>> target = torch.tensor([[1.0, float("nan")]])
    >>> PartialFocalLoss(gamma=2.0)(torch.zeros(1, 2), target)
    tensor(0.1733)
    """

    def __init__(
        self,
        *,
        gamma: float = 2.0,
        margin: float = 0.0,
        detach_weight: bool = False,
        pos_weight: Tensor | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(pos_weight=pos_weight, reduction=reduction)
        for name, value in (("gamma", gamma), ("margin", margin)):
            if not 0 <= value < float("inf"):
                raise ValueError(f"`{name}` must be 0 or more; got {value}.")
        self.gamma = gamma
        self.margin = margin
        self.detach_weight = detach_weight

    def class_losses(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the loss of every cell as a positive, and as a negative."""
        log_p = logsigmoid(logits - self.margin) if self.margin else logsigmoid(logits)
        log_q = logsigmoid(-logits)
        detach = self.detach_weight
        return (
            -log_p * focusing_weight(log_p, self.gamma, detach=detach),
            -log_q * focusing_weight(log_q, self.gamma, detach=detach),
        )


class PartialAsymmetricLoss(KnownLoss):
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
    pos_weight : Tensor of shape (n_categories,), default=None
        Factor on the loss of positives, above 0; 1 for every category by default.
    reduction : {"mean", "sum", "none"}, default="mean"
        ``"mean"`` divides by the number of known labels, ``"none"`` returns the
        loss of every label.

    Raises
    ------
    ValueError
        If a parameter is out of its range.
    TypeError
        If ``pos_weight`` is no tensor.

    Notes
    -----
    The authors' code sums over cells, so that the size of a step depends on that of the
    batch; pass ``reduction="sum"`` for that.

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
        pos_weight: Tensor | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(pos_weight=pos_weight, reduction=reduction)
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

    def class_losses(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the loss of every cell as a positive, and as a negative."""
        log_p = logsigmoid(logits)
        log_q = clipped_log_of_negative(logits, self.clip)
        detach = self.detach_weight
        return (
            -log_p * focusing_weight(log_p, self.gamma_positive, detach=detach),
            -log_q * focusing_weight(log_q, self.gamma_negative, detach=detach),
        )


def clipped_log_of_negative(logits: Tensor, clip: float) -> Tensor:
    """Compute the logarithm of ``min(1 - p + clip, 1)``."""
    log_q = logsigmoid(-logits)
    if clip:
        log_q = torch.log((log_q.exp() + clip).clamp(max=1.0))
    return log_q


def focusing_weight(log_right: Tensor, gamma: float, *, detach: bool) -> Tensor:
    """Compute ``(1 - r) ** gamma`` from the log-probability of the right label.

    Parameters
    ----------
    log_right : Tensor
        Logarithm of ``r``, at most 0.
    gamma : float
        0 or more.
    detach : bool
        Whether the weight has no gradient.
    """
    if gamma == 0:
        return torch.ones_like(log_right)
    if detach:
        log_right = log_right.detach()
    wrong = -torch.expm1(log_right)
    # The slope of a power below 1 is infinite at 0, where the weight is 0 anyway.
    return wrong.clamp(min=torch.finfo(wrong.dtype).tiny) ** gamma
