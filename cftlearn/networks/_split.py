"""A backbone and a classification layer that were cut apart, as one network."""

import logging
from typing import Any

import torch
from torch import Tensor, nn

_LOGGER = logging.getLogger("cftlearn")


class SplitNetwork(nn.Module):
    """A backbone and a linear classification layer, whose logits it gives.

    Parameters
    ----------
    backbone : nn.Module
        Maps inputs to features of shape (n_rows, n_features).
    weight, bias : Tensor of shape (n_outputs, n_features), (n_outputs,) or None
        The rows of the classification layer and their biases.

    Attributes
    ----------
    backbone : nn.Module
        The backbone.
    head : nn.Linear
        The classification layer.
    """

    def __init__(self, backbone: nn.Module, weight: Tensor, bias: Any) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(weight.shape[1], weight.shape[0]).to(weight)
        with torch.no_grad():
            self.head.weight.copy_(weight)
            self.head.bias.copy_(torch.zeros(len(weight)) if bias is None else bias)

    def forward(self, x: Tensor) -> Tensor:
        """Give logits."""
        return self.head(self.backbone(x))


def tell_sigmoid(what: str, removed: bool) -> None:
    """Say that a network gives logits now."""
    if removed:
        _LOGGER.warning(
            "%s ended in a sigmoid, which is removed: the network gives logits.", what
        )


def refuse(what: str, reason: str, remedy: str) -> ValueError:
    """Make the error of a network that cannot be cut apart."""
    return ValueError(
        f"`path` must hold a network that ends in one linear layer; {what} {reason}. "
        f"{remedy}"
    )
