"""Networks and a short call that tests of extraction share."""

import os
import signal

import torch
from torch import nn

from cftlearn import TorchFeatureExtractor


class Backbone(nn.Module):
    """A network for images with a named part, dropout and batch norm."""

    def __init__(self, head=None):
        super().__init__()
        self.maps = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.hidden = nn.Linear(4, 5)
        self.fc = nn.Linear(5, 2) if head is None else head

    def forward(self, X):
        return self.fc(self.hidden(self.pool(self.maps(X)).flatten(1)).relu())


class Counting(nn.Module):
    """A network that ends after some batches, and counts them."""

    def __init__(self, n_most=1000, error=KeyboardInterrupt):
        super().__init__()
        self.fc = nn.Linear(6, 3)
        self.calls, self.n_most, self.error = [], n_most, error

    def forward(self, X):
        if len(X) > 1:
            if len(self.calls) == self.n_most:
                raise self.error("stop here")
            self.calls.append(X.clone())
        return self.fc(X.tanh())

    def extra_repr(self):
        return ""


class Fatal(nn.Module):
    """A network that kills its process after some batches."""

    def __init__(self, n_most=1000):
        super().__init__()
        torch.manual_seed(0)
        self.fc = nn.Linear(6, 3)
        self.n_left = n_most

    def forward(self, X):
        if len(X) > 1:
            if self.n_left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            self.n_left -= 1
        return self.fc(X.tanh())


def seeded(make=Backbone, **options):
    torch.manual_seed(0)
    network = make(**options)
    for buffer in network.buffers():
        if buffer.is_floating_point():
            buffer.uniform_(0.5, 1.5)
    return network.train()


def extract(module, X, **options):
    return TorchFeatureExtractor(module, **{"batch_size": 5, **options}).transform(X)
