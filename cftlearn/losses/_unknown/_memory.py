"""Losses that remember every cell of the training set."""

import math

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from cftlearn.losses._checks import (
    check_above_zero,
    check_non_negative,
    check_probability,
)
from cftlearn.losses._unknown._cells import negative_entropy
from cftlearn.losses._unknown._choosing import remembered
from cftlearn.losses._unknown._protocol import Cells, UnknownLoss, mean_over
from cftlearn.losses._unknown._risks import ExpectedPositiveLoss

_BETAS, _EPSILON = (0.9, 0.999), 1e-8  # Adam's
_SURE = math.log(0.995 / 0.005)  # the logit of a known label among the estimates


class EntropyPseudoLabelLoss(UnknownLoss):
    r"""Keep the network unsure of unknown cells but the least likely ones (EM + APL).

    After a warm-up, in every epoch, the unknown cells of each category with the lowest
    scores of the epoch before get their probability as a soft label, for good. Only
    negatives get labels, hence asymmetric pseudo-labels.

    Parameters
    ----------
    alpha : float, default=0.1
        Factor on the entropy of the other cells, 0 or more; see
        :class:`EntropyMaximizationLoss`.
    beta : float, default=0.9
        Factor on the loss of cells with a pseudo-label, 0 or more.
    negative_share : float, default=0.9
        Share in [0, 1] of the unknown cells of a category that have one in the end.
    warm_up : float, default=0.5
        Share of the epochs before the first of them, in (0, 1); at least one epoch.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range.

    Notes
    -----
    A cell with the pseudo-label :math:`q` costs
    :math:`-\beta (q \log p + (1 - q) \log(1 - p))`, any other unknown cell
    :math:`-\alpha H(p)` [1]_. In each of the epochs after the warm-up the same number
    of cells gets a label. The defaults are those for MS-COCO. The scores of a cell are
    those of its last batch, not of a pass after the epoch.

    References
    ----------
    .. [1] Zhou et al., "Acknowledging the Unknown for Multi-label Learning with Single
       Positive Labels", ECCV 2022; arXiv 2203.16219.

    Examples
    --------
    >>> import torch
    >>> from cftlearn.losses import EntropyPseudoLabelLoss
    >>> loss, target = EntropyPseudoLabelLoss(), torch.full((2, 1), float("nan"))
    >>> loss.start(target)
    >>> loss.set_epoch(0, 10)
    >>> loss(torch.zeros(2, 1), target, rows=torch.tensor([0, 1]))
    tensor(-0.0693)
    """

    follows_epochs = True
    keeps_state = True
    needs_rows = True
    _scores: Tensor
    _soft: Tensor
    _n_unknown: Tensor

    def __init__(
        self,
        *,
        alpha: float = 0.1,
        beta: float = 0.9,
        negative_share: float = 0.9,
        warm_up: float = 0.5,
    ) -> None:
        super().__init__()
        self.alpha = check_non_negative(alpha, "alpha")
        self.beta = check_non_negative(beta, "beta")
        self.negative_share = check_probability(negative_share, "negative_share")
        self.warm_up = check_probability(
            warm_up, "warm_up", from_zero=False, below_one=True
        )
        self.register_buffer("_scores", torch.zeros(0, 0))
        self.register_buffer("_soft", torch.zeros(0, 0))
        self.register_buffer("_n_unknown", torch.zeros(0, dtype=torch.int64))

    def start(self, target: Tensor, unknown: Tensor | None = None) -> None:
        """Forget scores and pseudo-labels of an earlier training."""
        unknown = torch.isnan(target) if unknown is None else unknown
        self._scores = torch.full_like(target, float("nan"), dtype=torch.float32)
        self._soft = self._scores.clone()
        self._n_unknown = unknown.sum(dim=0)

    def set_epoch(self, epoch: int, n_epochs: int) -> None:
        """Give pseudo-labels, from the end of the warm-up on."""
        super().set_epoch(epoch, n_epochs)
        first = max(round(self.warm_up * n_epochs), 1)
        if epoch < first or not self._scores.numel():
            return
        done = (epoch - first + 1) / (n_epochs - first)
        wanted = (self.negative_share * done * self._n_unknown).round().long()
        for j, n_wanted in enumerate(wanted.tolist()):
            has_label = ~torch.isnan(self._soft[:, j])
            free = ~torch.isnan(self._scores[:, j]) & ~has_label
            n_new = min(n_wanted - int(has_label.sum()), int(free.sum()))
            if n_new > 0:
                scores = torch.where(free, self._scores[:, j], float("inf"))
                lowest = scores.topk(n_new, largest=False).indices
                self._soft[lowest, j] = torch.sigmoid(self._scores[lowest, j])

    def of_batch(self, cells: Cells) -> Tensor:
        """Compute the mean over unknown cells."""
        soft, logits = remembered(self._soft, cells), cells.logits
        if self.training:
            scores = logits.detach().float()
            self._scores[cells.rows] = torch.where(cells.unknown, scores, float("nan"))
        has_label = ~torch.isnan(soft)
        labelled = self.beta * binary_cross_entropy_with_logits(
            logits, torch.nan_to_num(soft).to(logits), reduction="none"
        )
        unsure = self.alpha * negative_entropy(logits)
        return mean_over(torch.where(has_label, labelled, unsure), cells.unknown)


class OnlineEstimationLoss(ExpectedPositiveLoss):
    r"""Estimate unknown labels beside the network, each the target of the other (ROLE).

    Every unknown cell has a free logit, its estimated label. Both the network and the
    estimates are kept at the expected share of positives.

    Parameters
    ----------
    n_positive : float, default=None
        As in :class:`ExpectedPositiveLoss`.
    prevalence : float or array-like of shape (n_categories,), default=None
        As in :class:`ExpectedPositiveLoss`.
    learning_rate : float, default=0.02
        Of the estimates, above 0; ten times that of the network is published.
    start_proba : float, default=0.6
        In [0.5, 1): first estimates are drawn between the logit of this and its
        negative, from torch's generator.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range, or both shares are given.

    Notes
    -----
    With the network's probabilities :math:`f`, the estimates :math:`g` and the
    regulariser :math:`R` of :class:`ExpectedPositiveLoss`, the loss of unknown cells is
    :math:`\mathrm{BCE}(f, \bar g) + R(f)`, where a bar stops the gradient. In the same
    call :math:`g` makes a step of Adam on :math:`\mathrm{BCE}(g, \bar f) + R(g)` [1]_.
    The published loss is half of this. It has one optimizer for both, and the rows of a
    batch alone have a gradient there too; here other rows keep their momentum as well.
    The estimates of known labels are 0.995 and 0.005, fixed. They need 12 bytes for
    every cell.

    References
    ----------
    .. [1] Cole et al., "Multi-Label Learning from Single Positive Labels", CVPR 2021,
       equations 6 to 8.

    Examples
    --------
    >>> import torch
    >>> from cftlearn.losses import OnlineEstimationLoss
    >>> loss = OnlineEstimationLoss(n_positive=1)
    >>> target = torch.tensor([[1.0, float("nan")]])
    >>> loss.start(target)
    >>> float(loss(torch.zeros(1, 2), target, rows=torch.tensor([0]))) > 0.5
    True
    """

    keeps_state = True
    needs_rows = True
    _estimates: Tensor
    _momenta: Tensor
    _n_steps: Tensor

    def __init__(
        self,
        *,
        n_positive: float | None = None,
        prevalence: object = None,
        learning_rate: float = 0.02,
        start_proba: float = 0.6,
    ) -> None:
        super().__init__(n_positive=n_positive, prevalence=prevalence)
        self.learning_rate = check_above_zero(learning_rate, "learning_rate")
        if not 0.5 <= check_non_negative(start_proba, "start_proba") < 1:
            raise ValueError(f"`start_proba` must be in [0.5, 1); got {start_proba}.")
        self.start_proba = start_proba
        self.register_buffer("_estimates", torch.zeros(0, 0))
        self.register_buffer("_momenta", torch.zeros(2, 0, 0))
        self.register_buffer("_n_steps", torch.zeros(0, dtype=torch.int64))

    def default_weight(self, n_unknown_per_known: float) -> float:
        """Return ``n_unknown_per_known``: every cell counts alike."""
        return n_unknown_per_known

    def start(self, target: Tensor, unknown: Tensor | None = None) -> None:
        """Draw the first estimates."""
        super().start(target, unknown)
        span = math.log(self.start_proba / (1 - self.start_proba))
        drawn = (2 * torch.rand_like(target, dtype=torch.float32) - 1) * span
        drawn = torch.where(target == 1, _SURE, drawn)
        self._estimates = torch.where(target == 0, -_SURE, drawn)
        self._momenta = torch.zeros(2, *target.shape, device=target.device)
        self._n_steps = torch.zeros(
            len(target), dtype=torch.int64, device=target.device
        )

    def of_batch(self, cells: Cells) -> Tensor:
        """Compute the loss of the network, and move the estimates."""
        estimates = remembered(self._estimates, cells).to(cells.logits)
        loss = self._loss(cells, cells.logits, torch.sigmoid(estimates))
        if self.training:
            self._move(cells, estimates)
        return loss

    def _loss(self, cells: Cells, logits: Tensor, soft: Tensor) -> Tensor:
        """Compute the loss of one side, with the other's probabilities as targets."""
        losses = binary_cross_entropy_with_logits(logits, soft, reduction="none")
        n_counted, n_unknown = cells.counted.sum(), cells.unknown.sum().clamp(min=1)
        # The regulariser counts as in a mean over all cells of the batch.
        excess = super().of_batch(cells._replace(logits=logits))
        return mean_over(losses, cells.unknown) + excess * n_counted / n_unknown

    def _move(self, cells: Cells, estimates: Tensor) -> None:
        """Make a step of Adam on the estimates of the batch."""
        with torch.enable_grad():
            free = estimates.detach().requires_grad_()
            proba = torch.sigmoid(cells.logits.detach())
            (gradient,) = torch.autograd.grad(self._loss(cells, free, proba), free)
        rows = cells.rows
        self._n_steps[rows] += 1
        n_steps = self._n_steps[rows, None]
        first, second = self._momenta[0, rows], self._momenta[1, rows]
        first.lerp_(gradient.float(), 1 - _BETAS[0])
        second.lerp_(gradient.float() ** 2, 1 - _BETAS[1])
        self._momenta[0, rows], self._momenta[1, rows] = first, second
        mean = first / (1 - _BETAS[0] ** n_steps)
        scale = (second / (1 - _BETAS[1] ** n_steps)).sqrt() + _EPSILON
        step = torch.where(cells.unknown, self.learning_rate * mean / scale, 0.0)
        self._estimates[rows] -= step
