"""Small networks that tests share."""

from torch import nn

from cftlearn.feature_extraction._in_memory import extract_features
from cftlearn.networks._heads import find_head


class Branched(nn.Module):
    """A network with a nested layer, dropout, batch norm, and a layer it never runs."""

    def __init__(self, n_outputs=3):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5)
        )
        self.tail = nn.ModuleDict({"classifier": nn.Linear(8, n_outputs)})
        self.spare = nn.Linear(8, 5)

    def forward(self, X):
        return self.tail["classifier"](self.backbone(X))


class TwoNames(nn.Module):
    """A network that knows its layer by two names."""

    def __init__(self):
        super().__init__()
        self.body = nn.Linear(6, 8)
        self.fc = nn.Linear(8, 3)
        self.alias = self.fc

    def forward(self, X):
        return self.alias(self.body(X))


def make_network():
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))


def extract(module, X, head=None, **options):
    head = find_head(module, None, 3) if head is None else head
    return extract_features(
        module, head, X, **{"batch_size": 7, "device": "cpu"} | options
    )


def make_sized_network(n_hidden=8, n_outputs=3):
    return nn.Sequential(
        nn.Linear(6, n_hidden),
        nn.BatchNorm1d(n_hidden),
        nn.Linear(n_hidden, n_outputs),
    )
