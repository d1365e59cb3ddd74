"""Losses of unknown cells that look at each cell alone."""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from cftlearn.losses._checks import (
    check_count,
    check_non_negative,
    check_pair,
    check_probability,
)
from cftlearn.losses._known._focusing import focusing_weight
from cftlearn.losses._unknown._protocol import UnknownLoss


class WeakNegativeLoss(UnknownLoss):
    """Take unknown cells for negatives of a smaller weight.

    In a training all unknown cells together count half as much as all known ones,
    unless ``NetworkTrainer(unknown_weight=...)`` says otherwise.

    See Also
    --------
    SelectionLoss : Learns how negative unknown cells are.

    Examples
    --------
    >>> import torch
    >>> from cftlearn.losses import WeakNegativeLoss
    >>> WeakNegativeLoss()(torch.zeros(1, 2), torch.tensor([[1.0, float("nan")]]))
    tensor(0.6931)
    """

    def default_weight(self, n_unknown_per_known: float) -> float:
        """Return 0.5."""
        return 0.5

    def cell_losses(self, logits: Tensor) -> Tensor:
        """Compute binary cross-entropy with the label 0."""
        return softplus(logits)


class SmoothedNegativeLoss(UnknownLoss):
    """Take unknown cells for negatives with a smoothed label.

    Parameters
    ----------
    smoothing : float, default=0.1
        The label of an unknown cell, in [0, 1). Known labels stay 0 and 1.

    Raises
    ------
    TypeError, ValueError
        If ``smoothing`` is out of its range.

    Notes
    -----
    Binary cross-entropy with the target ``smoothing``. The paper [1]_ writes half of
    its constant into the target, its authors' code the whole of it; this is the code's.

    References
    ----------
    .. [1] Cole et al., "Multi-Label Learning from Single Positive Labels", CVPR 2021,
       "assume negative with label smoothing".

    Examples
    --------
    >>> import torch
    >>> from cftlearn.losses import SmoothedNegativeLoss
    >>> SmoothedNegativeLoss()(torch.zeros(1, 1), torch.tensor([[float("nan")]]))
    tensor(0.6931)
    """

    def __init__(self, *, smoothing: float = 0.1) -> None:
        super().__init__()
        self.smoothing = check_probability(smoothing, "smoothing", below_one=True)

    def cell_losses(self, logits: Tensor) -> Tensor:
        """Compute binary cross-entropy with the smoothed label."""
        return softplus(logits) - self.smoothing * logits


class HillLoss(UnknownLoss):
    r"""Take unknown cells for negatives, unless the network is sure that they are not.

    In a training all unknown cells together count half as much as all known ones,
    unless ``NetworkTrainer(unknown_weight=...)`` says otherwise.

    Parameters
    ----------
    peak : float, default=1.5
        The published :math:`\lambda`, 1 or more. With 1.5 the slope is largest at the
        probability 0.5.

    Raises
    ------
    TypeError, ValueError
        If ``peak`` is below 1.

    Notes
    -----
    For the probability :math:`p` the loss is :math:`(\lambda - p) p^2`, equation 6 of
    [1]_. Its slope falls to 0 on both sides, so that a network is not taught against
    what it is sure of. The paper's loss of positives is
    ``PartialFocalLoss(margin=1)``.

    References
    ----------
    .. [1] Zhang et al., "Simple and Robust Loss Design for Multi-Label Learning with
       Missing Labels", arXiv 2112.07368.

    Examples
    --------
    >>> import torch
    >>> from cftlearn.losses import HillLoss
    >>> HillLoss()(torch.zeros(1, 1), torch.tensor([[float("nan")]]))
    tensor(0.2500)
    """

    def __init__(self, *, peak: float = 1.5) -> None:
        super().__init__()
        if not 1.0 <= peak < float("inf"):
            raise ValueError(f"`peak` must be 1 or more; got {peak}.")
        self.peak = peak

    def default_weight(self, n_unknown_per_known: float) -> float:
        """Return 0.5."""
        return 0.5

    def cell_losses(self, logits: Tensor) -> Tensor:
        """Compute the Hill loss."""
        p = torch.sigmoid(logits)
        return (self.peak - p) * p**2


class SelfPacedCorrectionLoss(UnknownLoss):
    r"""Take unknown cells for negatives, and confident ones for positives (SPLC).

    From ``first_epoch`` on, an unknown cell whose probability is above ``threshold``
    is a positive.

    Parameters
    ----------
    threshold : float, default=0.6
        Probability in (0, 1].
    first_epoch : int, default=1
        The epoch that corrects first, from 0.
    gamma : float, default=2.0
        Focusing power of both classes, 0 or more.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range.

    Notes
    -----
    A cell costs :math:`-p^\gamma \log(1 - p)`, or :math:`-(1 - p)^\gamma \log p` once
    it is corrected [1]_. The published code corrects known negatives as well; here
    known labels stay what they are. The paper's loss of positives is
    ``PartialFocalLoss(margin=1)``.

    References
    ----------
    .. [1] Zhang et al., "Simple and Robust Loss Design for Multi-Label Learning with
       Missing Labels", arXiv 2112.07368.

    Examples
    --------
    >>> import torch
    >>> from cftlearn.losses import SelfPacedCorrectionLoss
    >>> loss = SelfPacedCorrectionLoss()
    >>> target = torch.tensor([[float("nan")]])
    >>> loss.set_epoch(0, 20)
    >>> loss(torch.tensor([[3.0]]), target)
    tensor(2.7663)
    >>> loss.set_epoch(1, 20)
    >>> loss(torch.tensor([[3.0]]), target)
    tensor(0.0001)
    """

    follows_epochs = True

    def __init__(
        self, *, threshold: float = 0.6, first_epoch: int = 1, gamma: float = 2.0
    ) -> None:
        super().__init__()
        self.threshold = check_probability(threshold, "threshold", from_zero=False)
        self.first_epoch = check_count(first_epoch, "first_epoch")
        self.gamma = check_non_negative(gamma, "gamma")

    def cell_losses(self, logits: Tensor) -> Tensor:
        """Compute the focal loss of the label that a cell has now."""
        log_q = logsigmoid(-logits)
        negative = -log_q * focusing_weight(log_q, self.gamma, detach=False)
        if self.epoch < self.first_epoch:
            return negative
        log_p = logsigmoid(logits)
        positive = -log_p * focusing_weight(log_p, self.gamma, detach=False)
        return torch.where(torch.sigmoid(logits) > self.threshold, positive, negative)


class EntropyMaximizationLoss(UnknownLoss):
    r"""Keep the network unsure of unknown cells (EM).

    Parameters
    ----------
    alpha : float, default=0.1
        Factor, 0 or more; published values are from 0.01 to 0.2.

    Raises
    ------
    TypeError, ValueError
        If ``alpha`` is negative.

    Notes
    -----
    A cell costs :math:`-\alpha H(p)` with the entropy :math:`H` [1]_, so its loss is
    negative. Probabilities move toward 0.5: calibrate them, or choose thresholds anew.

    References
    ----------
    .. [1] Zhou et al., "Acknowledging the Unknown for Multi-label Learning with Single
       Positive Labels", ECCV 2022; arXiv 2203.16219.

    Examples
    --------
    >>> import torch
    >>> from cftlearn.losses import EntropyMaximizationLoss
    >>> EntropyMaximizationLoss()(torch.zeros(1, 1), torch.tensor([[float("nan")]]))
    tensor(-0.0693)
    """

    def __init__(self, *, alpha: float = 0.1) -> None:
        super().__init__()
        self.alpha = check_non_negative(alpha, "alpha")

    def cell_losses(self, logits: Tensor) -> Tensor:
        """Compute the negative entropy."""
        return self.alpha * negative_entropy(logits)


class GeneralizedRobustLoss(UnknownLoss):
    r"""Take unknown cells for what the network makes of them, robustly (GR loss).

    Each unknown cell is a positive with the weight :math:`k(p)` and a negative with
    the rest; and cells far from the probability ``centre`` count less. All of it moves
    in a straight line over the epochs of a training [1]_.

    Parameters
    ----------
    slope : tuple of two floats, default=(0.0, 10.0)
        The published :math:`w`, in the first and in the last epoch.
    offset : tuple of two floats, default=(-2.0, -8.0)
        The published :math:`b`, likewise.
    centre : tuple of two floats, default=(0.5, 0.8)
        The published :math:`\mu`, likewise.
    width : tuple of two floats, default=(2.0, 0.5)
        The published :math:`\sigma`, likewise, above 0.
    power_positive : float, default=0.01
        The published :math:`q_2`, in (0, 1.5].
    power_negative : float, default=1.0
        The published :math:`q_3`, in (0, 1.5].

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range.

    Notes
    -----
    With :math:`k = \sigma(w p + b)` and :math:`v = e^{-(p - \mu)^2 / (2 \sigma^2)}`,
    both without gradient, a cell costs

    .. math:: v \left( k \frac{1 - p^{q_2}}{q_2}
              + (1 - k) \frac{1 - (1 - p)^{q_3}}{q_3} \right).

    The defaults are those of the authors for MS-COCO; for PASCAL VOC they have
    ``slope=(0, 2), offset=(-2, -2)``.

    References
    ----------
    .. [1] Chen et al., "Boosting Single Positive Multi-label Classification with
       Generalized Robust Loss", IJCAI 2024; arXiv 2405.03501.

    Examples
    --------
    >>> import torch
    >>> from cftlearn.losses import GeneralizedRobustLoss
    >>> loss = GeneralizedRobustLoss()
    >>> loss.set_epoch(0, 10)
    >>> loss(torch.zeros(1, 1), torch.tensor([[float("nan")]]))
    tensor(0.5227)
    """

    follows_epochs = True

    def __init__(
        self,
        *,
        slope: tuple[float, float] = (0.0, 10.0),
        offset: tuple[float, float] = (-2.0, -8.0),
        centre: tuple[float, float] = (0.5, 0.8),
        width: tuple[float, float] = (2.0, 0.5),
        power_positive: float = 0.01,
        power_negative: float = 1.0,
    ) -> None:
        super().__init__()
        self.slope = check_pair(slope, "slope")
        self.offset = check_pair(offset, "offset")
        self.centre = check_pair(centre, "centre")
        self.width = check_pair(width, "width")
        if not min(width) > 0:
            raise ValueError(f"`width` must hold two numbers above 0; got {width}.")
        for name, power in (
            ("power_positive", power_positive),
            ("power_negative", power_negative),
        ):
            if not 0 < check_non_negative(power, name) <= 1.5:
                raise ValueError(f"`{name}` must be in (0, 1.5]; got {power}.")
        self.power_positive, self.power_negative = power_positive, power_negative

    def cell_losses(self, logits: Tensor) -> Tensor:
        """Compute the robust losses of both classes, mixed."""
        done = self.epoch / max(self.n_epochs - 1, 1)
        slope, offset, centre, width = (
            first + (last - first) * done
            for first, last in (self.slope, self.offset, self.centre, self.width)
        )
        p = torch.sigmoid(logits.detach())
        share = torch.sigmoid(slope * p + offset)
        near = torch.exp(-((p - centre) ** 2) / (2 * width**2))
        positive = _box_cox(logsigmoid(logits), self.power_positive)
        negative = _box_cox(logsigmoid(-logits), self.power_negative)
        return near * (share * positive + (1 - share) * negative)


def _box_cox(log_right: Tensor, power: float) -> Tensor:
    """Compute ``(1 - r ** power) / power`` from the logarithm of ``r``."""
    return -torch.expm1(power * log_right) / power


def negative_entropy(logits: Tensor) -> Tensor:
    """Compute ``p log p + (1 - p) log(1 - p)``."""
    p = torch.sigmoid(logits)
    return p * logsigmoid(logits) + (1 - p) * logsigmoid(-logits)
