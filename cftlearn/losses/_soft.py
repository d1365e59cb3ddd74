"""The loss of cells that have a probability as target."""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits


def soft_target_loss(logits: Tensor, soft: Tensor) -> Tensor:
    """Compute the mean binary cross-entropy with probabilities as targets.

    Parameters
    ----------
    logits : Tensor of shape (n_rows, n_categories)
        Raw scores.
    soft : Tensor of shape (n_rows, n_categories)
        Probabilities in [0, 1]; NaN where a cell has none.

    Returns
    -------
    loss : Tensor, scalar
        0 where no cell has one.
    """
    has_target = ~torch.isnan(soft)
    # NaN must not reach the gradient of other cells.
    losses = binary_cross_entropy_with_logits(
        torch.where(has_target, logits, 0.0),
        torch.nan_to_num(soft).to(logits.dtype),
        reduction="none",
    )
    return torch.where(has_target, losses, 0.0).sum() / has_target.sum().clamp(min=1)
