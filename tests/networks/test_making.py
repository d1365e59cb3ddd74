"""The split of a network into backbone and classification layer."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from cftlearn._inputs import to_tensor
from cftlearn._seeding import seeded_torch
from cftlearn.feature_extraction._in_memory import extract_features
from cftlearn.networks._heads import find_head, head_weights, with_head_weights
from cftlearn.networks._making import copy_or_make


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


def fail(*_):
    raise OSError("out of order")


def make_network():
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))


def extract(module, X, head=None, **options):
    head = find_head(module, None, 3) if head is None else head
    return extract_features(
        module, head, X, **{"batch_size": 7, "device": "cpu"} | options
    )


@pytest.fixture
def X(rng):
    return rng.standard_normal((20, 6)).astype(np.float32)


# ------------------------------------------------------------------ copy_or_make
def test_a_module_is_copied():
    module = make_network()
    copied = copy_or_make(module, seed=0)
    assert copied is not module
    assert copied[0].weight is not module[0].weight
    torch.testing.assert_close(copied[0].weight, module[0].weight, rtol=0, atol=0)


@pytest.mark.parametrize(
    "factory", [make_network, Branched], ids=["function", "module class"]
)
def test_a_factory_is_seeded(factory):
    first, again, other = (copy_or_make(factory, seed) for seed in (1, 1, 2))
    for one, two in zip(first.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=0)
    weights = [module.state_dict() for module in (first, other)]
    assert any(not torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_a_factory_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    copy_or_make(make_network, seed=3)
    assert torch.equal(torch.get_rng_state(), before)


def test_what_is_no_module_is_refused():
    with pytest.raises(TypeError, match=r"callable that makes one; got str"):
        copy_or_make("resnet", seed=0)
    with pytest.raises(TypeError, match=r"must return a torch.nn.Module; got dict"):
        copy_or_make(dict, seed=0)


# ------------------------------------------------------------------ seeded_torch
def test_seeded_torch_seeds_inside_and_restores_outside():
    torch.manual_seed(11)
    expected_outside = torch.rand(3)
    torch.manual_seed(5)
    expected_inside = torch.rand(3)
    torch.manual_seed(11)
    with seeded_torch(5):
        inside = torch.rand(3)
    assert torch.equal(inside, expected_inside)
    assert torch.equal(torch.rand(3), expected_outside)


def test_seeded_torch_restores_after_an_exception():
    before = torch.get_rng_state()
    with pytest.raises(OSError, match="out of order"), seeded_torch(5):
        fail(torch.rand(3))
    assert torch.equal(torch.get_rng_state(), before)


def test_seeded_torch_forks_every_gpu_without_a_warning(monkeypatch):
    forked, restored = [], []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda i: forked.append(i) or i)
    monkeypatch.setattr(
        torch.cuda, "set_rng_state", lambda state, i: restored.append((state, i))
    )
    monkeypatch.setattr(torch.random, "_fork_rng_warned_already", False)
    with seeded_torch(5):
        pass
    assert forked == [0, 1]
    assert restored == [(0, 0), (1, 1)]


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
    with torch.device("meta"):  # without weights
        if library == "timm":
            import timm

            return timm.create_model(name, num_classes=3, **options)
        from torchvision.models import get_model

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


# --------------------------------------------------------------- extract_features
def test_features_equal_a_forward_pass_by_hand(X):
    module = Branched().train()
    module.backbone[1].running_mean.normal_()
    with torch.no_grad():
        expected = copy.deepcopy(module).eval().backbone(torch.from_numpy(X)).numpy()
    Z = extract(module, X, head="tail.classifier")
    assert Z.dtype == np.float32
    np.testing.assert_allclose(Z, expected, rtol=1e-6, atol=1e-6)


def test_features_of_a_network_that_is_the_layer_are_its_inputs(X):
    np.testing.assert_array_equal(extract(nn.Linear(6, 3), X), X)


@pytest.mark.parametrize("batch_size", [1, 3, 20, 1000])
def test_features_do_not_depend_on_the_batch_size(X, batch_size):
    module = Branched()
    expected = extract(module, X, head="tail.classifier", batch_size=20)
    Z = extract(module, X, head="tail.classifier", batch_size=batch_size)
    np.testing.assert_allclose(Z, expected, rtol=1e-6, atol=1e-6)


def test_extraction_changes_nothing_in_the_network(X):
    module = Branched().train()
    before = copy.deepcopy(module.state_dict())
    extract(module, X, head="tail.classifier")
    for key, value in module.state_dict().items():
        assert torch.equal(value, before[key]), key
    assert not module.tail["classifier"]._forward_hooks


@pytest.mark.parametrize("fails", [False, True], ids=["success", "exception"])
@pytest.mark.parametrize("frozen", [False, True], ids=["training", "part frozen"])
def test_extraction_restores_the_mode_of_every_layer(X, fails, frozen):
    module = Branched().train()
    module.backbone[1].train(not frozen)
    before = {name: layer.training for name, layer in module.named_modules()}
    if fails:
        module.backbone.register_forward_hook(fail)
        with pytest.raises(OSError, match="out of order"):
            extract(module, X, head="tail.classifier")
    else:
        extract(module, X, head="tail.classifier")
    assert {name: layer.training for name, layer in module.named_modules()} == before
    assert not module.tail["classifier"]._forward_hooks


class Traveller(nn.Linear):
    """A layer that notes where it is sent, and stays where it is."""

    def to(self, device):
        self.__dict__.setdefault("moves", []).append(str(device))
        return self


def test_extraction_restores_the_device_after_an_exception(X):
    module = Traveller(6, 3)
    with pytest.raises(ValueError, match="at least one row"):
        extract(module, X[:0], device="meta")
    assert module.moves == ["meta", "cpu"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("home", ["cpu", "cuda:0"])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_extraction_restores_the_device(X, home, device):
    module = make_network().to(home)
    expected = extract(copy.deepcopy(module).cpu(), X)
    np.testing.assert_allclose(extract(module, X, device=device), expected, atol=1e-2)
    assert str(next(module.parameters()).device) == home


class Misused(nn.Module):
    """Networks whose layer is not the last step, or not run as it must be."""

    def __init__(self, use):
        super().__init__()
        self.fc = nn.Linear(6, 3)
        self.use = use

    def forward(self, X):
        return self.use(self.fc, X)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        pytest.param(
            lambda fc, X: torch.sigmoid(fc(X)),
            "must be the last step of the network.*Remove what follows it",
            id="sigmoid after it",
        ),
        pytest.param(
            lambda fc, X: {"logits": fc(X)}, "must be the last step", id="a dict"
        ),
        pytest.param(
            lambda fc, X: fc(X)[:, :2], "must be the last step", id="a part of it"
        ),
        pytest.param(
            lambda fc, X: fc(X) + fc(-X), "must run once .* it ran 2 times", id="twice"
        ),
        pytest.param(
            lambda _, X: X[:, :3], "must run once .* it ran 0 times", id="never"
        ),
        pytest.param(
            lambda fc, X: fc(X.unsqueeze(1).expand(-1, 4, -1)),
            r"one vector per row; it sees an array of shape \(7, 4, 6\) for 7 rows",
            id="a sequence per row",
        ),
        pytest.param(
            lambda fc, X: fc(torch.cat([X, X])),
            r"it sees an array of shape \(14, 6\) for 7 rows",
            id="two vectors per row",
        ),
    ],
)
def test_a_misplaced_layer_is_refused(X, use, message):
    with pytest.raises(ValueError, match=message):
        extract(Misused(use), X)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_features_that_are_not_finite_name_the_row(X, value):
    X[[11, 13, 17], 2] = value
    with pytest.raises(
        ValueError, match=r"NaN or infinity for 2 of 7 rows.* is row 11\."
    ):
        extract(nn.Linear(6, 3), X)


def test_weights_that_are_not_finite_are_told(X):
    module = make_network()
    nn.init.constant_(module[0].weight, torch.nan)
    with pytest.raises(ValueError, match=r"finite features; .* 7 of 7 rows .* row 0\."):
        extract(module, X)


def test_extraction_needs_a_row(X):
    with pytest.raises(ValueError, match="`X` must hold at least one row; got none"):
        extract(make_network(), X[:0])


# --------------------------------------------------------------------- to_tensor
@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (np.float64, torch.float32),
        (np.float16, torch.float32),
        (np.int64, torch.int64),
        (np.uint8, torch.uint8),
    ],
)
def test_to_tensor_makes_floats_single(dtype, expected):
    array = np.arange(12).reshape(3, 4).astype(dtype)
    tensor = to_tensor(array[:, ::2])  # a view with gaps
    assert tensor.dtype == expected
    assert tensor.tolist() == [[0, 2], [4, 6], [8, 10]]


def test_embeddings_take_integers(rng):
    module = nn.Sequential(nn.Embedding(10, 4), nn.Flatten(), nn.Linear(8, 3))
    X = rng.integers(0, 10, (5, 2))
    expected = module[0].weight.detach().numpy()[X].reshape(5, 8)
    np.testing.assert_array_equal(extract(module, X), expected)


@pytest.mark.parametrize(
    ("X", "what"),
    [
        (
            np.zeros((4, 1, 8, 8), dtype=np.uint8),
            r"shape \(4, 1, 8, 8\) .*torch\.uint8",
        ),
        (np.zeros((4, 8, 8, 1), dtype=np.float32), r"shape \(4, 8, 8, 1\)"),
    ],
    ids=["bytes", "channels last"],
)
def test_inputs_that_do_not_fit_the_network_are_named(X, what):
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 3))
    match = rf"`module` must accept the rows of `X`; it failed on a batch of {what}"
    with pytest.raises(ValueError, match=match):
        extract_features(network, "2", X, batch_size=8, device="cpu")


def test_factory_with_arguments_is_told_to_bind_them():
    with pytest.raises(
        TypeError, match=r"must make a network without arguments; .*Bind"
    ):
        copy_or_make(nn.Linear, seed=0)
