"""A loss of known labels and one of unknown labels as one."""

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from cftlearn.losses._checks import check_non_negative, check_tensors
from cftlearn.losses._known._protocol import KnownLoss
from cftlearn.losses._registry import (
    estimates_rates,
    make_loss,
    make_unknown_loss,
)
from cftlearn.losses._unknown._protocol import UnknownLoss


class PartialLoss(nn.Module):
    r"""Join a loss of known labels and one of unknown labels, for a loop of one's own.

    Parameters
    ----------
    known : str or KnownLoss, default="bce"
        A name of :func:`cftlearn.losses.available`, or such a loss, which is copied.
        Its own ``reduction`` is not used.
    unknown : str or UnknownLoss, default="ignore"
        A name of ``available("unknown")``, or such a loss, which is copied. Names whose
        loss needs rates that a training of :class:`cftlearn.CFTClassifier` estimates,
        ``"auto"`` and ``"nnpu"`` for example, are refused: pass an object that has
        its shares of positives.
    unknown_weight : float, default=1.0
        How much an unknown cell counts, where a known label counts 1; 0 or more. It
        does not change a loss that replaces that of known labels.

    Attributes
    ----------
    known : KnownLoss
        The loss of known labels, with ``reduction="sum"``.
    unknown : UnknownLoss or None
        The loss of unknown ones; None where they add nothing.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range.

    See Also
    --------
    available : The names.

    Notes
    -----
    With the losses :math:`k` of known and :math:`u` of unknown cells, and the weight
    :math:`w`, the value is :math:`(\sum k + w \sum u) / n` over all :math:`n` cells of
    the batch, as papers write it; with ``"ignore"`` over the known ones alone. The loss
    of a batch as a whole, such as that of :class:`NonNegativePULoss`, stands for the
    mean of :math:`u`. Inside
    :class:`cftlearn.CFTClassifier` known and unknown cells have means of their own, so
    that one batch with few known labels is no smaller a step than others.

    Examples
    --------
    >>> import torch
    >>> from cftlearn.losses import PartialLoss
    >>> loss = PartialLoss("bce", "hill")
    >>> target = torch.tensor([[1.0, float("nan")]])
    >>> loss(torch.zeros(1, 2), target)
    tensor(0.4716)
    """

    def __init__(
        self,
        known: "str | KnownLoss" = "bce",
        unknown: "str | UnknownLoss" = "ignore",
        *,
        unknown_weight: float = 1.0,
    ) -> None:
        super().__init__()
        made: Any = deepcopy(make_loss(known))
        if not isinstance(made, KnownLoss):
            raise TypeError(
                "`known` must be a name or a loss of cftlearn.losses for known labels; "
                f"got {type(made).__name__}. To a loss of your own, add the value of "
                "an UnknownLoss, such as HillLoss()(logits, target)."
            )
        if isinstance(unknown, str) and estimates_rates(unknown):
            raise ValueError(
                "`unknown` must be a treatment without rates that a training of "
                f"CFTClassifier estimates; got {unknown!r}. Pass 'hill', or an object "
                "that has its shares, such as NonNegativePULoss(prior=0.1)."
            )
        made.reduction = "sum"
        self.known = made
        self.is_negative = isinstance(unknown, str) and unknown == "negative"
        self.unknown = make_unknown_loss(unknown)
        self.unknown_weight = check_non_negative(unknown_weight, "unknown_weight")

    def start(self, target: Tensor) -> None:
        """Take the labels of all rows, before a training.

        Parameters
        ----------
        target : Tensor of shape (n_samples, n_categories)
            1, 0, or NaN where unknown.
        """
        check_tensors(target=target)
        if self.unknown is not None:
            self.unknown.start(target)

    def set_epoch(self, epoch: int, n_epochs: int) -> None:
        """Tell the loss where the training is, before every epoch.

        Parameters
        ----------
        epoch : int
            Its number, from 0.
        n_epochs : int
            How many epochs the training has.

        Raises
        ------
        ValueError
            If ``epoch`` is not in [0, n_epochs).
        """
        if self.unknown is not None:
            self.unknown.set_epoch(epoch, n_epochs)

    def forward(
        self, logits: Tensor, target: Tensor, rows: Tensor | None = None
    ) -> Tensor:
        """Compute the loss of a batch.

        Parameters
        ----------
        logits, target : Tensor of shape (n_rows, n_categories)
            Raw scores; 1, 0, a soft label between them, or NaN where unknown.
        rows : Tensor of shape (n_rows,), int, default=None
            Numbers of the rows in the training set, where the loss of unknown labels
            needs them.

        Returns
        -------
        loss : Tensor, scalar
            0 for a batch without cells.

        Raises
        ------
        ValueError
            If shapes differ, a target is out of [0, 1], ``rows`` is missing, or
            :meth:`set_epoch` was not called for a loss that changes over epochs.
        TypeError
            If one of them is no tensor.
        """
        check_tensors(logits=logits, target=target, rows=rows)
        is_unknown = torch.isnan(target)
        n_cells = max(target.numel(), 1)
        if self.is_negative:
            weight = torch.where(is_unknown, self.unknown_weight, 1.0)
            filled = torch.where(is_unknown, 0.0, target)
            return self.known(logits, filled, weight) / n_cells
        total = self.known(logits, target)
        n_unknown = is_unknown.sum()
        if self.unknown is None:
            return total / (target.numel() - n_unknown).clamp(min=1)
        mean = self.unknown(logits, target, rows=rows)
        if self.unknown.replaces_known:
            return mean
        return (total + self.unknown_weight * mean * n_unknown) / n_cells
