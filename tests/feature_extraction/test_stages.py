"""Which layers are chosen in a network."""

import numpy as np
import pytest
import torch
from joined_parts import cnn, images, inputs
from torch import nn

from cftlearn.feature_extraction._layer_trace import trace_layers
from cftlearn.feature_extraction._stages import choose_layers
from cftlearn.networks._heads import last_linear


def chosen(network, X):
    head = last_linear(network)
    return choose_layers(network, head, trace_layers(network, head, inputs(X), "cpu"))


class Tokens(nn.Module):
    """A transformer with a list of blocks, which does not run itself."""

    def __init__(self, n_blocks):
        super().__init__()
        self.patch = nn.Conv2d(1, 8, 4, 4)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8))
            for _ in range(n_blocks)
        )
        self.head = nn.Linear(8, 3)

    def forward(self, X):
        z = self.patch(X).flatten(2).transpose(1, 2)
        for block in self.blocks:
            z = z + block(z)
        return self.head(z[:, 0])


def wrapped(network):
    class Wrapper(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = network

        def forward(self, X):
            return self.net(X)

    return Wrapper()


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        # 2 is the last of the first size; 6 and 7 equal the pooled output of 5.
        pytest.param(cnn(), ["2", "5"], id="cnn"),
        pytest.param(wrapped(cnn()), ["net.2", "net.5"], id="wrapped"),
        pytest.param(
            nn.Sequential(cnn()[:7], nn.Sequential(nn.Flatten(), nn.Linear(5, 3))),
            ["0.2"],  # the features of 0.5 are those of the head
            id="body and classifier",
        ),
        pytest.param(Tokens(8), ["blocks.3", "blocks.5", "blocks.7"], id="transformer"),
        pytest.param(Tokens(2), ["blocks.0", "blocks.1"], id="two blocks"),
    ],
)
def test_stages(rng, network, expected):
    assert chosen(network, images(rng)) == expected


@pytest.mark.parametrize(
    ("n_inputs", "expected"), [(6, [""]), (4096, [""]), (4097, ["2"])]
)
def test_vectors(n_inputs, expected):
    network = nn.Sequential(
        nn.Linear(n_inputs, 8),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(8, 5),
        nn.Tanh(),
        nn.Dropout(),
        nn.Linear(5, 3),
    )
    assert chosen(network, np.ones((2, n_inputs), dtype=np.float32)) == expected


def test_token_numbers_are_no_features():
    network = nn.Sequential(nn.EmbeddingBag(10, 4), nn.Linear(4, 3))
    assert chosen(network, np.ones((2, 6), dtype=np.int64)) == []


def test_a_linear_model_gets_nothing_more():
    assert chosen(nn.Linear(6, 3), np.ones((2, 6), dtype=np.float32)) == []


LIBRARY = {
    ("torchvision", "resnet18"): ["layer1", "layer2", "layer3"],
    ("torchvision", "densenet121"): [
        "features.denseblock2",
        "features.denseblock3",
        "features.norm5",
    ],
    ("torchvision", "vgg11"): ["features.9", "features.14", "features.19"],
    ("torchvision", "swin_t"): ["features.3", "features.5", "features.7"],
    ("torchvision", "efficientnet_b0"): ["features.2", "features.3", "features.5"],
    ("timm", "convnext_atto"): ["stages.1", "stages.2", "stages.3"],
    ("timm", "vit_tiny_patch16_224"): ["blocks.5", "blocks.8", "blocks.11"],
}


@pytest.mark.parametrize(("library", "name"), LIBRARY)
def test_known_networks(library, name):
    package = pytest.importorskip(library, reason="the vision extra")
    make = package.create_model if library == "timm" else None
    network = make(name) if make else getattr(package.models, name)()
    size = 224 if "vit" in name else 96
    X = torch.randn(1, 3, size, size).numpy()
    assert chosen(network, X) == LIBRARY[library, name]
