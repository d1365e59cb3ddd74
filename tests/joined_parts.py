"""Networks that tests of joined and wide networks share."""

import torch
from torch import nn

from cftlearn._inputs import ArrayInputs


class PerCategory(nn.Module):
    """A network with a feature vector and a row of weights for every category."""

    def __init__(self, n_categories=3, n_features=4):
        super().__init__()
        self.shape = (n_categories, n_features)
        self.body = nn.Linear(6, n_categories * n_features)
        self.rows = Rows(n_categories, n_features)

    def forward(self, X):
        return self.rows(self.body(X).tanh().unflatten(1, self.shape))


class Rows(nn.Module):
    """The classification layer of that network."""

    def __init__(self, n_categories, n_features):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_categories, n_features))
        self.bias = nn.Parameter(torch.randn(n_categories))

    def forward(self, z):
        return (z * self.weight).sum(-1) + self.bias


class Picky(nn.Module):
    """A network whose code needs the weights, and the size, of its last layer."""

    def __init__(self):
        super().__init__()
        self.body = nn.Linear(6, 8)
        self.fc = nn.Linear(8, 3)

    def forward(self, X):
        z = self.body(X.to(self.fc.weight.dtype)).tanh()
        return self.fc(z).view(-1, 3)


def mlp(seed=0, first=None, dtype=torch.float32):
    torch.manual_seed(seed)
    return nn.Sequential(
        first or nn.ReLU(inplace=True),
        nn.Linear(6, 8),
        nn.BatchNorm1d(8),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
        nn.Linear(8, 3),
    ).to(dtype)


def cnn(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 5, 3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(5, 6),
        nn.Tanh(),
        nn.Linear(6, 3),
    )


def images(rng, n=9):
    return rng.standard_normal((n, 1, 12, 12)).astype("float32")


def inputs(X):
    return ArrayInputs(X)


def run(network, X):
    """Run a network in evaluation mode, on inputs that it may change."""
    with torch.inference_mode():
        return network.eval()(torch.from_numpy(X).clone()).numpy()
