"""Networks of saved models: of the right kind and size, before they are made."""

import io
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from model_parts import set_value, sign
from torch import nn

from cftlearn import load_model
from cftlearn.exceptions import ModelFormatError

GOLDEN = Path(__file__).parents[1] / "data" / "model_format_2"


def make_network(n_inputs=4):
    return nn.Sequential(nn.Linear(n_inputs, 5), nn.Tanh(), nn.Linear(5, 2))


@pytest.fixture
def path(tmp_path):
    return Path(shutil.copytree(GOLDEN / "network", tmp_path / "model"))


def change_state(path, **changes):
    state = torch.load(path / "network.pt", weights_only=True)
    for name, value in changes.items():
        state[name.replace("_", ".")] = value
    torch.save(state, path / "network.pt")
    return sign(path)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"0_weight": torch.ones(5, 4, dtype=torch.int8)}, "hold float32; got int8"),
        ({"0_weight": torch.full((5, 4), torch.nan)}, "`0.weight` .* must be finite"),
        ({"2_bias": torch.full((2,), torch.inf)}, "`2.bias` .* must be finite"),
        ({"2_bias": "text"}, "`2.bias` in network.pt must be a tensor; got 'text'"),
    ],
)
def test_weights_that_are_damaged(path, change, match):
    change_state(path, **change)
    with pytest.raises(ModelFormatError, match=match):
        load_model(path, module=make_network)


def test_weights_of_double_precision_go_into_a_network_of_single(path):
    change_state(path, **{"0_weight": torch.ones(5, 4, dtype=torch.float64)})
    model = load_model(path, module=make_network)
    assert model.module_[0].weight.dtype == torch.float32


def test_a_layer_of_another_size(path):
    set_value(path, "model.head_", "0")
    match = r"`0` in network.pt must have shape \(2, 5\), .*; got \(5, 4\)"
    with pytest.raises(ModelFormatError, match=match):
        load_model(path, module=make_network)


@pytest.mark.parametrize("head", ["nowhere", "1"])
def test_a_layer_that_the_network_has_not(path, head):
    set_value(path, "model.head_", head)
    with pytest.raises(ValueError, match="`module` must have the architecture"):
        load_model(path, module=make_network)


def test_another_network(path):
    with pytest.raises(ValueError, match="`module` must have the architecture"):
        load_model(path, module=lambda: make_network(9))


def architecture(name, **options):
    return {"name": name, "n_outputs": 2, "weights": None, "options": options}


@pytest.mark.parametrize(
    ("described", "match"),
    [
        (architecture("torchvision:resnet18"), "must be that of the weights; `"),
        (architecture("torchvision:resnet"), "one that can be built here; got 'torchv"),
        (architecture("torchvision:resnet18", norm_layer=3), "one that can be built"),
        (architecture("torchvision:resnet18", layers=["a"]), "one that can be built"),
        (
            architecture("timm:hf-hub:evil/net"),
            "`architecture` .* is not valid: `name`",
        ),
        (architecture("torchvision:resnet18", x=10**6), "hold numbers up to 100000"),
        (architecture("torchvision:resnet18") | {"options": []}, "an object or null"),
        (
            architecture("torchvision:resnet18") | {"weights": 3},
            "must be a text; got 3",
        ),
        (architecture("torchvision:resnet18") | {"n_outputs": True}, "categories, 2;"),
        (architecture("torchvision:resnet18") | {"more": 1}, "hold name, n_outputs"),
    ],
)
def test_names_of_networks_that_are_not_those_of_the_weights(path, described, match):
    pytest.importorskip("torchvision", reason="the vision extra")
    document = {"architecture": described}
    for key, value in document.items():
        set_value(path, f"model.{key}", value)
    with pytest.raises(ModelFormatError, match=match):
        load_model(path)


def test_a_network_that_an_option_makes_huge_takes_no_memory(path):
    resource = pytest.importorskip("resource")
    pytest.importorskip("torchvision", reason="the vision extra")
    described = architecture("torchvision:mobilenet_v2", width_mult=300)
    set_value(path, "model.architecture", described)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ModelFormatError, match="must be that of the weights"):
        load_model(path)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < 200 * 1024  # KiB; it would be hundreds of GiB


def test_a_bomb_is_not_unpacked(path):
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(path / "network.pt") as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in records.items():
            archive.writestr(name, bytes(10**8) if name.endswith("/0") else data)
    (path / "network.pt").write_bytes(buffer.getvalue())
    sign(path)
    tracemalloc.start()
    with pytest.raises(ModelFormatError, match="uncompressed records"):
        load_model(path, module=make_network)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10**7


def test_the_number_of_joined_networks_is_that_of_the_weights(tmp_path):
    path = Path(shutil.copytree(GOLDEN / "joined", tmp_path / "model"))
    state = torch.load(path / "network.pt", weights_only=True)
    kept = {name: value for name, value in state.items() if "parts.1." not in name}
    torch.save(kept, path / "network.pt")
    sign(path)
    with pytest.raises(ModelFormatError, match=r"2 networks, .* got those of \['0'\]"):
        load_model(path, module=make_network)


def test_buffers_may_be_infinite(tmp_path, network_factory, rng):
    """As the masks of attention are."""
    from cftlearn import CategoryWiseFineTuner, CFTClassifier, save_model
    from cftlearn.solvers import GradientSolver

    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network_factory()
            self.register_buffer("mask", torch.tensor([-torch.inf, 0.0]))

        def forward(self, x):
            return self.network(x)

    X, y = rng.standard_normal((50, 6)).astype(np.float32), rng.integers(0, 2, (50, 3))
    tuner = CategoryWiseFineTuner(GradientSolver(max_epochs=2))
    model = CFTClassifier(Masked, fine_tuner=tuner, max_epochs=1).fit(X, y)
    loaded = load_model(save_model(model, tmp_path / "model"), module=Masked)
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
