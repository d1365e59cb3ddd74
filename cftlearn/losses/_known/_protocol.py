"""What the losses of known labels have in common.

All take logits and targets of shape (n_samples, n_categories), where a NaN target is
an unknown label: its loss and its gradient are exactly 0. A batch without any known
label has loss 0, not NaN.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from cftlearn.losses._checks import check_tensors
from cftlearn.losses._parameters import describe_parameters, parameters_of

Reduction = Literal["mean", "sum", "none"]


class KnownLoss(nn.Module):
    """A loss of known labels; a subclass computes that of cells.

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

    def parameters_given(self) -> dict[str, Any]:
        """Return the parameters of the loss as plain values.

        Returns
        -------
        params : dict
            Numbers, words, lists in place of tensors, and None.
        """
        # Not `get_params`: scikit-learn would take the loss for an estimator.
        return parameters_of(self)

    def extra_repr(self) -> str:
        """Show the parameters."""
        return describe_parameters(self)

    def forward(
        self, logits: Tensor, target: Tensor, weight: Tensor | None = None
    ) -> Tensor:
        """Compute the loss.

        Parameters
        ----------
        logits : Tensor of shape (n_samples, n_categories)
            Raw scores, before any sigmoid.
        target : Tensor of shape (n_samples, n_categories)
            1 or 0, or a soft label between them; NaN unknown.
        weight : Tensor of shape (n_samples, n_categories), default=None
            How much each label counts, 0 or more and finite; what stands at unknown
            labels does not matter. ``"mean"`` then divides by the sum of the weights
            of known labels. None means 1.

        Returns
        -------
        loss : Tensor, scalar unless ``reduction="none"``
            0 or more.

        Raises
        ------
        ValueError
            If the shapes differ, a target is outside [0, 1], or a weight is negative
            or not finite.
        """
        check_tensors(logits=logits, target=target, weight=weight)
        known = ~torch.isnan(target)
        # Both must be finite before the loss is computed: a NaN that is masked
        # afterwards still has a NaN gradient.
        filled = _filled(logits, target, known)
        logits = torch.where(known, logits, 0.0)
        shape = logits.shape[1:]
        if self.pos_weight is not None and self.pos_weight.shape not in (
            (),
            (1,),
            shape,
        ):
            raise ValueError(
                "`pos_weight` must hold one factor per category, shape "
                f"{tuple(shape)}; got shape {tuple(self.pos_weight.shape)}."
            )
        losses = torch.where(known, self.cell_losses(logits, filled), 0.0)
        if weight is None:
            return _reduced(losses, known.sum().clamp(min=1), self.reduction)
        weight = _checked_weight(weight, known, logits)
        total = weight.sum()
        total = torch.where(total > 0, total, torch.ones_like(total))
        return _reduced(losses * weight, total, self.reduction)

    def cell_losses(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss of every cell.

        Parameters
        ----------
        logits, target : Tensor of shape (n_samples, n_categories)
            Scores, and labels in [0, 1], none of them NaN.

        Returns
        -------
        losses : Tensor of shape (n_samples, n_categories)
            One per cell.
        """
        positive, negative = self.class_losses(logits)
        if self.pos_weight is not None:
            positive = positive * self.pos_weight
        return target * positive + (1 - target) * negative

    def class_losses(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the loss of every cell as a positive, and as a negative."""
        raise NotImplementedError


def _check_positive_weights(pos_weight: Tensor) -> None:
    if not isinstance(pos_weight, Tensor):
        raise TypeError(
            "`pos_weight` must be a tensor of one factor per category; got "
            f"{type(pos_weight).__name__}. Pass torch.tensor([...])."
        )
    if not bool(((pos_weight > 0) & torch.isfinite(pos_weight)).all()):
        raise ValueError(
            f"`pos_weight` must be finite and above 0; got {pos_weight.tolist()}."
        )


def _check_reduction(reduction: Reduction) -> Reduction:
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(
            f"`reduction` must be 'mean', 'sum' or 'none'; got {reduction!r}."
        )
    return reduction


def _filled(logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Check the targets, and set those of unknown labels to 0."""
    if target.shape != logits.shape:
        raise ValueError(
            f"`target` must have the shape of `logits`, {tuple(logits.shape)}; got "
            f"{tuple(target.shape)}."
        )
    filled = torch.where(known, target, 0.0).to(logits.dtype)
    if bool(((filled < 0) | (filled > 1)).any()):
        wrong = filled[(filled < 0) | (filled > 1)][0]
        raise ValueError(
            f"`target` must hold labels in [0, 1] or NaN (unknown); got {wrong:g}. "
            "Read labels with cftlearn.labels.check_partial_labels first."
        )
    return filled


def _checked_weight(weight: Tensor, known: Tensor, logits: Tensor) -> Tensor:
    """Check weights, and set those of unknown labels to 0."""
    if weight.shape != known.shape:
        raise ValueError(
            f"`weight` must have the shape of `logits`, {tuple(known.shape)}; got "
            f"{tuple(weight.shape)}."
        )
    weight = torch.where(known, weight, 0.0).to(logits.dtype)
    wrong = ~(torch.isfinite(weight) & (weight >= 0))
    if bool(wrong.any()):
        raise ValueError(
            "`weight` must be finite and 0 or more where a label is known; got "
            f"{weight[wrong][0]:g}."
        )
    return weight


def _reduced(losses: Tensor, total: Tensor, reduction: Reduction) -> Tensor:
    if reduction == "none":
        return losses
    return losses.sum() if reduction == "sum" else losses.sum() / total
