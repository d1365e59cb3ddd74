"""The classification layer of a network: found, read, replaced."""

import copy

import numpy as np
import pytest
import torch
from network_parts import Branched, TwoNames, extract, make_network
from torch import nn
from torch.nn.utils import parametrizations

from cftlearn.networks._heads import find_head, head_weights, with_head_weights


# --------------------------------------------------------------------- find_head
@pytest.mark.parametrize(
    ("module", "name", "n_categories", "expected"),
    [
        pytest.param(make_network(), None, 3, "2", id="last"),
        pytest.param(make_network(), "0", 8, "0", id="named"),
        pytest.param(Branched(), None, 5, "spare", id="last registered"),
        pytest.param(Branched(), "tail.classifier", 3, "tail.classifier", id="nested"),
        pytest.param(nn.Linear(6, 3), None, 3, "", id="network is the layer"),
        pytest.param(TwoNames(), None, 3, "fc", id="two names"),
    ],
)
def test_find_head(module, name, n_categories, expected):
    assert find_head(module, name, n_categories) == expected


@pytest.mark.parametrize(
    ("module", "name", "message"),
    [
        pytest.param(
            nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten()),
            None,
            "must have an nn.Linear as its classification layer; got a Sequential",
            id="no linear layer",
        ),
        pytest.param(make_network(), "fc", r"got 'fc'. It has: '0', '2'", id="missing"),
        pytest.param(make_network(), "1", r"got '1'. It has: '0', '2'", id="Tanh"),
        pytest.param(
            make_network(),
            "0",
            "got 8 outputs for 3 categories. Change the layer",
            id="named, wrong size",
        ),
        pytest.param(Branched(), None, "'spare' .* got 5 outputs", id="wrong size"),
    ],
)
def test_find_head_refuses(module, name, message):
    with pytest.raises(ValueError, match=message):
        find_head(module, name, 3)


LIBRARY_NETWORKS = [
    ("torchvision", "convnext_tiny", "classifier.2"),
    ("torchvision", "densenet121", "classifier"),
    ("torchvision", "efficientnet_b0", "classifier.1"),
    ("torchvision", "mobilenet_v3_small", "classifier.3"),
    ("torchvision", "resnet18", "fc"),
    ("torchvision", "swin_t", "head"),
    ("torchvision", "vgg11", "classifier.6"),
    ("torchvision", "vit_b_32", "heads.head"),
    ("timm", "convnext_atto", "head.fc"),
    ("timm", "mixer_s32_224", "head"),
    ("timm", "mobilenetv3_small_050", "classifier"),
    ("timm", "regnety_002", "head.fc"),
    ("timm", "resnet18", "fc"),
    ("timm", "swin_tiny_patch4_window7_224", "head.fc"),
    ("timm", "vit_tiny_patch16_224", "head"),
]


def library_network(library, name, **options):
    pytest.importorskip(library, reason="the vision extra")
    if library == "timm":  # which reads numbers from tensors before 1.0.20
        import timm

        return timm.create_model(name, num_classes=3, **options)
    from torchvision.models import get_model

    with torch.device("meta"):  # without weights
        return get_model(name, weights=None, num_classes=3, **options)


@pytest.mark.parametrize(("library", "name", "expected"), LIBRARY_NETWORKS)
def test_the_head_of_a_library_network(library, name, expected):
    assert find_head(library_network(library, name), None, 3) == expected


def test_two_averaged_heads_are_refused():
    network = library_network("timm", "deit_tiny_distilled_patch16_224")
    with pytest.raises(ValueError, match=r"one classification layer; .* has 2 and"):
        find_head(network, None, 3)


def test_a_convolution_as_head_is_refused():
    message = r"without any\. Its last convolution is 'classifier\.1': .*Linear\(512"
    with pytest.raises(ValueError, match=message):
        find_head(library_network("torchvision", "squeezenet1_1"), None, 3)


def test_auxiliary_outputs_are_left_out_in_evaluation(rng):
    pytest.importorskip("torchvision", reason="the vision extra")
    from torchvision.models import get_model

    network = get_model("googlenet", num_classes=3, init_weights=False).train()
    X = rng.standard_normal((3, 3, 32, 32)).astype(np.float32)
    Z = extract(network, X)
    changed = with_head_weights(
        network, "fc", np.ones((3, Z.shape[1])), np.zeros(3)
    ).eval()
    with torch.no_grad():
        logits = changed(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(logits, Z.sum(1, keepdims=True).repeat(3, 1), rtol=1e-4)


class CategoryRows(nn.Module):
    """One row per category, for a vector of its own."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 2))
        self.bias = nn.Parameter(torch.randn(3))

    def forward(self, z):
        return (z * self.weight).sum(-1) + self.bias


def test_rows_per_category_are_named_read_and_written(rng):
    module = nn.Sequential(nn.Unflatten(1, (3, 2)), CategoryRows())
    with pytest.raises(ValueError, match="without any"):
        find_head(module, None, 3)
    assert find_head(module, "1", 3) == "1"
    with pytest.raises(ValueError, match="got 3 outputs for 4 categories"):
        find_head(module, "1", 4)
    X = rng.standard_normal((5, 6)).astype(np.float32)
    Z = extract(module, X, head="1")
    np.testing.assert_array_equal(Z, X.reshape(5, 3, 2))
    coef, intercept = head_weights(module, "1")
    changed = with_head_weights(module, "1", 2 * coef, intercept + 1)
    with torch.no_grad():
        logits = changed(torch.from_numpy(X)).numpy()
        before = module(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(logits, 2 * before - intercept + 1, atol=1e-5)


@pytest.mark.parametrize(
    "layer",
    [nn.LayerNorm(3), nn.Embedding(3, 6), nn.Conv2d(6, 3, 1), nn.Bilinear(2, 2, 3)],
)
def test_other_layers_are_no_head(layer):
    with pytest.raises(
        ValueError, match=r"must name an nn\.Linear of the network, or a"
    ):
        find_head(nn.Sequential(nn.Linear(6, 6), layer), "1", 3)


class CosineLinear(nn.Linear):
    """A layer that normalises what it multiplies."""

    def forward(self, z):
        z, rows = (nn.functional.normalize(part, dim=1) for part in (z, self.weight))
        return 10 * z @ rows.T


def test_a_cosine_layer_is_refused(X):
    module = nn.Sequential(nn.Linear(6, 8), CosineLinear(8, 3))
    with pytest.raises(ValueError, match="this CosineLinear computes something else"):
        extract(module, X)


def test_networks_without_modules_are_sent_to_load_network():
    program = torch.export.export(make_network(), (torch.zeros(2, 6),))
    with pytest.raises(ValueError, match=r"cftlearn\.networks\.load_network"):
        find_head(program.module(), None, 3)


def test_layers_that_fit_are_named():
    with pytest.raises(
        ValueError, match=r"with 3 outputs there are: 'tail\.classifier'"
    ):
        find_head(Branched(), None, 3)


def test_a_lazy_layer_is_found(X):
    module = nn.Sequential(nn.Linear(6, 8), nn.LazyLinear(3))
    assert find_head(module, None, 3) == "1"
    assert extract(module, X).shape == (20, 8)


# ----------------------------------------------- head_weights, with_head_weights
@pytest.mark.parametrize("bias", [True, False])
def test_head_weights_reads_weight_and_bias(bias):
    module = nn.Sequential(nn.ReLU(), nn.Linear(4, 3, bias=bias))
    coef, intercept = head_weights(module, "1")
    assert coef.dtype == intercept.dtype == np.float64
    np.testing.assert_array_equal(coef, module[1].weight.detach().numpy())
    expected = module[1].bias.detach().numpy() if bias else np.zeros(3)
    np.testing.assert_array_equal(intercept, expected)


def test_head_weights_returns_copies():
    module = nn.Linear(4, 3)
    before = copy.deepcopy(module.state_dict())
    coef, intercept = head_weights(module, "")
    coef += 1.0
    intercept += 1.0
    assert torch.equal(module.weight, before["weight"])
    assert torch.equal(module.bias, before["bias"])


@pytest.mark.parametrize(
    ("module", "head"),
    [
        pytest.param(make_network(), "2", id="Sequential"),
        pytest.param(Branched(), "tail.classifier", id="nested"),
        pytest.param(nn.Linear(6, 3), "", id="network is the layer"),
        pytest.param(
            nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 3, bias=False)),
            "1",
            id="without bias",
        ),
        pytest.param(TwoNames(), "fc", id="two names"),
        pytest.param(
            nn.Sequential(
                nn.Linear(6, 8), parametrizations.weight_norm(nn.Linear(8, 3))
            ),
            "1",
            id="weight norm",
        ),
    ],
)
def test_with_head_weights_computes_their_logits(module, head, X, rng):
    n_features = module.get_submodule(head).in_features
    coef, intercept = rng.standard_normal((3, n_features)), rng.standard_normal(3)
    before = copy.deepcopy(module.state_dict())
    Z = extract(module, X, head=head)
    changed = with_head_weights(module, head, coef, intercept).eval()
    with torch.no_grad():
        logits = changed(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(logits, Z @ coef.T + intercept, rtol=1e-4, atol=1e-5)
    for key, value in module.state_dict().items():
        assert torch.equal(value, before[key]), f"the original's {key} changed"


@pytest.mark.parametrize("training", [True, False])
def test_with_head_weights_keeps_mode_and_precision(training):
    module = make_network().to(torch.float64).train(training)
    changed = with_head_weights(
        module, "2", np.zeros((3, 8)), np.array([1.0, 2.0, 3.0])
    )
    assert changed[2].training is training
    assert changed[2].weight.dtype == torch.float64
    assert changed[2].bias.tolist() == [1.0, 2.0, 3.0]
