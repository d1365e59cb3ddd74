"""A backbone and its classification layer, as one network."""

import logging

import torch
from torch import Tensor, nn

_LOGGER = logging.getLogger("cftlearn")


class SplitNetwork(nn.Module):
    """A backbone with a linear classification layer; it returns logits.

    Parameters
    ----------
    backbone : nn.Module
        Maps inputs to features of shape (n_rows, n_features).
    weight : Tensor of shape (n_outputs, n_features)
        Weights of the classification layer.
    bias : Tensor of shape (n_outputs,) or None
        Its biases; None for zeros.

    Attributes
    ----------
    backbone : nn.Module
        The backbone.
    head : nn.Linear
        The classification layer.
    """

    def __init__(
        self, backbone: nn.Module, weight: Tensor, bias: Tensor | None
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(weight.shape[1], weight.shape[0]).to(weight)
        with torch.no_grad():
            self.head.weight.copy_(weight)
            self.head.bias.copy_(torch.zeros(len(weight)) if bias is None else bias)

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits."""
        return self.head(self.backbone(x))


def log_removed_sigmoid(source: str) -> None:
    """Log that a network returns logits where it returned probabilities.

    Parameters
    ----------
    source : str
        Name of the file or object.
    """
    _LOGGER.warning(
        "%s ended in a sigmoid, which is removed: the network gives logits.", source
    )
