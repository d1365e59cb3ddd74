"""Losses that leave some unknown cells out, or turn them, by the rest of the batch."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import softplus

from cftlearn.losses._checks import (
    check_count,
    check_non_negative,
    check_probability,
)
from cftlearn.losses._known._focusing import clipped_log_of_negative, focusing_weight
from cftlearn.losses._unknown._per_category import per_category, shares_of_batch
from cftlearn.losses._unknown._protocol import Cells, UnknownLoss, mean_over

Scheme = Literal["rejection", "temporary", "permanent"]
_SHARES = {"rejection": 0.005, "temporary": 0.002, "permanent": 0.001}


class SelectiveLoss(UnknownLoss):
    r"""Take unknown cells for negatives, but not where a positive is likely (CSL).

    Left out are all unknown cells of categories that are frequent, and those unknown
    cells of a batch that the network is surest to be positive [1]_.

    Parameters
    ----------
    gamma : float, default=2.0
        Focusing power of unknown cells, 0 or more. The authors' recipes have 4.
    clip : float, default=0.0
        Probability in [0, 1) by which cells are shifted down, as in
        :class:`PartialAsymmetricLoss`.
    top : int, default=5
        Unknown cells to leave out per row of the batch, 0 or more: the ``top`` times
        the number of rows with the largest logits, whatever rows they are in.
    prior_threshold : float, default=0.05
        Categories with a larger share of positives leave all their unknown cells out;
        in [0, 1].
    prior : float or array-like of shape (n_categories,), default=None
        Shares of positives, in [0, 1]. None: mean predictions of the network at the
        end of a warm-up, in which unknown cells are left out.
    warm_up : float, default=0.3
        Share of the epochs, in (0, 1), before priors are there; at least one epoch. The
        last of them estimates them.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range.

    Notes
    -----
    An unknown cell costs :math:`-p^\gamma \log(1 - p)`, the weight without gradient.
    The authors take priors from a first network that was trained with unknown cells
    left out; here the warm-up of the same network is that. (With unknown labels as
    negatives, predictions rank categories wrongly, they found.) The paper has the
    asymmetric loss on known labels, ``loss="asl"``.

    References
    ----------
    .. [1] Ben-Baruch et al., "Multi-label Classification with Partial Annotations using
       Class-aware Selective Loss", CVPR 2022; arXiv 2110.10955.

    Examples
    --------
    >>> import torch
    >>> from cftlearn.losses import SelectiveLoss
    >>> loss = SelectiveLoss(prior=[0.01, 0.4], top=0)
    >>> loss(torch.zeros(1, 2), torch.full((1, 2), float("nan")))
    tensor(0.0866)
    """

    def __init__(
        self,
        *,
        gamma: float = 2.0,
        clip: float = 0.0,
        top: int = 5,
        prior_threshold: float = 0.05,
        prior: object = None,
        warm_up: float = 0.3,
    ) -> None:
        super().__init__()
        self.gamma = check_non_negative(gamma, "gamma")
        self.clip = check_probability(clip, "clip", below_one=True)
        self.top = check_count(top, "top")
        self.prior_threshold = check_probability(prior_threshold, "prior_threshold")
        self.warm_up = check_probability(
            warm_up, "warm_up", from_zero=False, below_one=True
        )
        self.keeps_state = self.follows_epochs = prior is None
        self.register_buffer("prior", per_category(prior, "prior"))
        self.register_buffer("_sums", torch.zeros(2, 0, dtype=torch.float64))

    prior: Tensor | None
    _sums: Tensor

    def start(self, target: Tensor, unknown: Tensor | None = None) -> None:
        """Forget predictions of an earlier training."""
        self._sums = torch.zeros(
            2, target.shape[1], dtype=torch.float64, device=target.device
        )

    def set_epoch(self, epoch: int, n_epochs: int) -> None:
        """Forget predictions of an earlier epoch, as long as priors are estimated."""
        super().set_epoch(epoch, n_epochs)
        if self._is_warm_up:
            self._sums.zero_()

    @property
    def _is_warm_up(self) -> bool:
        n_first = max(round(self.warm_up * self.n_epochs), 1)
        return self.prior is None and self.epoch < n_first

    def of_batch(self, cells: Cells) -> Tensor:
        """Compute the mean over unknown cells; those left out are 0 in it."""
        if self._is_warm_up:
            self._add(cells)
            return (0.0 * cells.logits).sum()
        log_q = clipped_log_of_negative(cells.logits, self.clip)
        losses = -log_q * focusing_weight(log_q, self.gamma, detach=True)
        frequent = self._prior_of(cells) > self.prior_threshold
        left_out = frequent | largest(
            cells.logits, cells.unknown, self.top * len(cells.logits)
        )
        return mean_over(torch.where(left_out, 0.0, losses), cells.unknown)

    def _prior_of(self, cells: Cells) -> Tensor:
        """Return the share of positives of every category of a batch."""
        if self.prior is not None:
            return shares_of_batch(self.prior, "prior", cells.logits)
        if not self._sums.any():
            raise ValueError(
                "`prior` must be given, or estimated in the first epochs; got none, "
                f"and epoch {self.epoch} of {self.n_epochs} before any batch of these. "
                "Call set_epoch(epoch, n_epochs) from epoch 0 on."
            )
        total, n_cells = self._sums
        return (total / n_cells.clamp(min=1)).to(cells.logits)

    def _add(self, cells: Cells) -> None:
        """Add predictions of a batch to those that estimate priors."""
        if not self.training:
            return
        counted = cells.counted
        p = torch.where(counted, torch.sigmoid(cells.logits.detach()), 0.0)
        sums = torch.stack([p.double().sum(dim=0), counted.double().sum(dim=0)])
        if not self._sums.numel():
            self._sums = torch.zeros_like(sums)
        self._sums += sums.to(self._sums.device)


class LargeLoss(UnknownLoss):
    r"""Take unknown cells for negatives, but not those with the largest losses.

    A network learns from clean labels first, so an unknown cell that it still calls
    positive is probably one [1]_.

    Parameters
    ----------
    scheme : {"rejection", "temporary", "permanent"}, default="rejection"
        What becomes of these cells: they are left out (LL-R), count as positives in
        this step (LL-Ct), or are positives from now on (LL-Cp).
    share_per_epoch : float, default=None
        In [0, 1]. In epoch :math:`t`, counted from 0, the share is :math:`t` times
        this; with ``"permanent"`` it is this in every epoch after the first. None takes
        0.005, 0.002 and 0.001.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range.

    Notes
    -----
    Of :math:`n` unknown cells in a batch, the ``floor(share * n)`` with the largest
    loss are chosen; none in a small batch, while this is below 1. With ``"permanent"``
    :math:`n` counts cells that are not positives yet, and every cell is remembered.
    The authors' code rounds up, takes the share of all cells of the batch, known ones
    included, and where it exceeds the number of unknown cells drops the losses of known
    labels as well.

    References
    ----------
    .. [1] Kim et al., "Large Loss Matters in Weakly Supervised Multi-Label
       Classification", CVPR 2022; arXiv 2206.03740.

    Examples
    --------
    >>> import torch
    >>> from cftlearn.losses import LargeLoss
    >>> loss = LargeLoss(share_per_epoch=0.5)
    >>> logits, target = torch.tensor([[3.0, 0.0]]), torch.full((1, 2), float("nan"))
    >>> loss.set_epoch(1, 20)
    >>> loss(logits, target)
    tensor(0.3466)
    """

    _flipped: Tensor

    def __init__(
        self, scheme: Scheme = "rejection", *, share_per_epoch: float | None = None
    ) -> None:
        super().__init__()
        if scheme not in _SHARES:
            raise ValueError(
                "`scheme` must be 'rejection', 'temporary' or 'permanent'; got "
                f"{scheme!r}."
            )
        if share_per_epoch is None:
            share_per_epoch = _SHARES[scheme]
        self.scheme = scheme
        self.share_per_epoch = check_probability(share_per_epoch, "share_per_epoch")
        self.keeps_state = self.needs_rows = scheme == "permanent"
        self.follows_epochs = True
        self.register_buffer("_flipped", torch.zeros(0, 0, dtype=torch.bool))

    def start(self, target: Tensor, unknown: Tensor | None = None) -> None:
        """Take all cells for what they were."""
        if self.scheme == "permanent":
            self._flipped = torch.zeros_like(target, dtype=torch.bool)

    def of_batch(self, cells: Cells) -> Tensor:
        """Compute the mean over unknown cells."""
        logits, unknown = cells.logits, cells.unknown
        losses = softplus(logits)
        flipped = torch.zeros_like(unknown)
        if self.scheme == "permanent":
            flipped = remembered(self._flipped, cells)
        n_epochs = min(self.epoch, 1) if self.scheme == "permanent" else self.epoch
        share = min(self.share_per_epoch * n_epochs, 1.0)
        free = unknown & ~flipped
        # Rounded down; the small number undoes the rounding of the product.
        n_chosen = int(share * int(free.sum()) + 1e-9)
        chosen = largest(logits, free, n_chosen)
        if self.scheme == "rejection":
            return mean_over(torch.where(chosen, 0.0, losses), unknown)
        chosen = chosen | flipped
        if self.scheme == "permanent" and self.training:
            self._flipped[cells.rows] = chosen
        return mean_over(torch.where(chosen, softplus(-logits), losses), unknown)


def largest(values: Tensor, cells: Tensor, n: int) -> Tensor:
    """Return the ``n`` of some cells that have the largest values, as a mask."""
    chosen = torch.zeros_like(cells)
    n = min(n, int(cells.sum()))
    if n:
        among = torch.where(cells, values.detach(), float("-inf")).flatten()
        chosen.view(-1)[among.topk(n).indices] = True
    return chosen


def remembered(memory: Tensor, cells: Cells) -> Tensor:
    """Return what a loss remembers of the rows of a batch.

    Raises
    ------
    ValueError
        If :meth:`UnknownLoss.start` was not called, or with fewer rows or other
        categories.
    """
    n_rows, n_categories = memory.shape
    remedy = "Call start(target) with the labels of all rows before a training."
    if not n_rows:
        raise ValueError(
            "`rows` must be among those that `start` was called with; got no call. "
            f"{remedy}"
        )
    if n_categories != cells.logits.shape[1]:
        raise ValueError(
            f"`logits` must have the categories that `start` was called with, "
            f"{n_categories}; got {cells.logits.shape[1]}. {remedy}"
        )
    return memory[cells.checked_rows(n_rows, remedy)]
