"""What layers do with one row, and which axis of their output holds channels."""

import pytest
import torch
from joined_parts import cnn, images, inputs
from network_parts import Branched
from torch import nn

from cftlearn.feature_extraction._layer_trace import trace_layers


class Patches(nn.Module):
    """A convolution whose map becomes a sequence of tokens, as in a transformer."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(1, 8, 4, 4)
        self.tokens = Transposed()
        self.norm = nn.LayerNorm(8)
        self.back = Transposed()

    def forward(self, X):
        return self.back(self.norm(self.tokens(self.patch(X).flatten(2))))


class Transposed(nn.Module):
    """The last two axes exchanged."""

    def forward(self, X):
        return X.transpose(1, 2)


class Swapped(nn.Module):
    """A layer norm over the channels of a map, which come first before and after."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(4)

    def forward(self, X):
        return self.norm(X.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Doubled(nn.Module):
    """Channels of a map beside those of a convolution, as in a DenseNet."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(10, 12, 3, padding=1)

    def forward(self, X):
        return torch.cat([X, self.conv(X)], dim=1)


@pytest.mark.parametrize(
    ("network", "axes"),
    [
        pytest.param(Patches(), {"patch": 1, "tokens": -1, "norm": -1, "back": 1}),
        pytest.param(
            nn.Sequential(nn.Conv2d(1, 4, 3), Swapped(), nn.Conv2d(4, 2, 3)),
            {"0": 1, "1.norm": -1, "1": 1, "2": 1},
        ),
        # Its 12 columns must not be taken for the 12 channels of the convolution.
        pytest.param(
            nn.Sequential(nn.Conv2d(1, 10, 1), Doubled()), {"0": 1, "1.conv": 1, "1": 1}
        ),
        pytest.param(nn.Sequential(nn.MaxPool2d(2), nn.ReLU()), {"0": 1, "1": 1}),
        pytest.param(
            nn.Sequential(nn.Flatten(2), nn.Conv1d(1, 144, 1), nn.BatchNorm1d(144)),
            {"0": 1, "1": 1, "2": 1},
        ),
        pytest.param(nn.Sequential(nn.Flatten(), nn.Linear(144, 3)), {"0": None}),
    ],
    ids=["tokens", "swapped", "joined", "no parameters", "signal", "vectors"],
)
def test_channel_axes(rng, network, axes):
    trace = trace_layers(network, None, inputs(images(rng)), "cpu")
    assert {name: trace.runs[name].channel_axis for name in axes} == axes


def test_what_is_noted(rng):
    network = cnn().train()
    X = images(rng)
    trace = trace_layers(network, "10", inputs(X), "cpu")
    assert network.training
    assert not any(layer._forward_hooks for layer in network.modules())
    assert trace.row.tolist() == X[:1].tolist()
    assert [trace.runs[str(n)].order for n in range(11)] == list(range(11))
    assert trace.runs["4"].shape == (1, 5, 3, 3)
    assert trace.runs["4"].n_positions == 9
    assert trace.runs["9"].n_positions == 6
    network.eval()
    expected = network[:10](torch.from_numpy(X[:1]))
    torch.testing.assert_close(trace.head_input, expected.data)
    maps = network[:2](torch.from_numpy(X[:1]))  # a ReLU in place follows
    torch.testing.assert_close(trace.runs["1"].features, maps.mean((2, 3)).data)


def test_outputs_without_features(rng):
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(12, 4, batch_first=True)
            self.last = nn.Linear(4, 2)

        def forward(self, X):
            return self.last(self.lstm(X[:, 0])[0][:, -1])

    trace = trace_layers(Odd(), "last", inputs(images(rng)), "cpu")
    assert trace.runs["lstm"].kind == "tuple"
    assert trace.runs["lstm"].features is None


def test_a_head_that_does_not_run(rng):
    X = rng.standard_normal((2, 6)).astype("float32")
    with pytest.raises(ValueError, match=r"'spare' must run once .*; it ran 0 times"):
        trace_layers(Branched(), "spare", inputs(X), "cpu")
