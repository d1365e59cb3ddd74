"""Architectures by their names, and weights from files."""

import pickle
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.base import clone
from torch import nn

from cftlearn import CFTClassifier, load_model, save_model
from cftlearn.exceptions import ModelFormatError, PartialWeightsWarning
from cftlearn.networks import Architecture
from cftlearn.networks._weights import read_state

N_FEATURES = 6


def make_network(n_hidden=8, n_outputs=3):
    return nn.Sequential(
        nn.Linear(N_FEATURES, n_hidden),
        nn.BatchNorm1d(n_hidden),
        nn.Linear(n_hidden, n_outputs),
    )


@pytest.fixture
def own(monkeypatch):
    """The name of a module that can be imported."""
    module = ModuleType("networks_of_mine")
    module.make_network = make_network
    module.not_callable = 3
    monkeypatch.setitem(sys.modules, "networks_of_mine", module)
    return "networks_of_mine:make_network"


def outputs(network, n_rows=5):
    x = torch.arange(n_rows * N_FEATURES).reshape(n_rows, N_FEATURES).sin()
    with torch.inference_mode():
        return network.eval()(x)


# ------------------------------------------------------------------ Architecture
def test_an_own_callable_is_imported_and_called(own):
    network = Architecture(own, n_outputs=3, options={"n_hidden": 5})()
    assert network[0].out_features == 5


def test_a_layer_of_another_size_is_replaced(own):
    network = Architecture(own, n_outputs=7)()
    assert network[2].weight.shape == (7, 8)
    assert network[2].bias.shape == (7,)


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("torchvision:mobilenet_v3_small", "classifier.3"),
        ("timm:test_vit", "head"),
        ("timm:test_resnet", "fc"),
    ],
)
def test_libraries_make_networks(name, head):
    pytest.importorskip(name.partition(":")[0], reason="the vision extra")
    network = Architecture(name, n_outputs=4)()
    assert network.get_submodule(head).out_features == 4


def test_it_is_a_value(own):
    one = Architecture(own, n_outputs=3, options={"n_hidden": 5})
    again = Architecture(own, n_outputs=3, options={"n_hidden": 5})
    assert one == again
    assert hash(one) == hash(again)
    assert pickle.loads(pickle.dumps(one)) == one
    assert one != Architecture(own, n_outputs=4, options={"n_hidden": 5})
    assert clone(CFTClassifier(one)).module == one


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "resnet50"}, r"must be 'torchvision:<model>'.*got 'resnet50'"),
        ({"name": "timm:hf-hub:me/net"}, r"must be .* got 'timm:hf-hub:me/net'"),
        ({"name": "timm:local-dir:/x"}, r"must be .* got"),
        ({"name": None}, "must be .* got None"),
        ({"n_outputs": 0}, "1 or more; got 0"),
        ({"n_outputs": True}, "1 or more; got True"),
        ({"n_outputs": 2.5}, r"1 or more; got 2\.5"),
        ({"n_outputs": "3"}, "1 or more; got '3'"),
        ({"options": {"act": nn.ReLU}}, "plain values, which JSON can write"),
        ({"options": {"rate": float("nan")}}, "plain values, which JSON can write"),
        ({"options": {"sizes": (1, 2)}}, r"which JSON reads as \{'sizes': \[1, 2\]\}"),
        ({"options": {"pretrained": True}}, "not hold 'pretrained'; pass it as"),
        ({"options": {"checkpoint_path": "x"}}, "not hold 'checkpoint_path'"),
        ({"name": "a.b:c", "weights": "DEFAULT"}, "path of a state dict.*'DEFAULT'"),
    ],
)
def test_what_no_architecture_is(arguments, message):
    with pytest.raises(ValueError, match=message):
        Architecture(**{"name": "timm:resnet18", "n_outputs": 3} | arguments)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("networks_of_mine:missing", ImportError, "callable that can be imported"),
        ("no_such_package:make", ImportError, "No module named 'no_such_package'"),
    ],
)
def test_a_callable_that_is_not_there(own, name, error, message):
    with pytest.raises(error, match=message):
        Architecture(name, n_outputs=3)()


def test_an_option_that_there_is_not(own):
    architecture = Architecture(own, n_outputs=3, options={"width": 5})
    with pytest.raises(ValueError, match=r"arguments of 'networks_of_mine:.*'width'"):
        architecture()
    with pytest.raises(ValueError, match="`options` must be arguments of"):
        CFTClassifier(architecture).fit(np.ones((9, 6)), np.eye(9)[:, :3])


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_an_architecture_that_the_library_has_not(library):
    pytest.importorskip(library, reason="the vision extra")
    with pytest.raises(ValueError, match=f"of {library}.*got 'resnet51'"):
        Architecture(f"{library}:resnet51", n_outputs=3)()


def test_a_segmentation_network_is_not_for_classification():
    pytest.importorskip("torchvision", reason="the vision extra")
    with pytest.raises(ValueError, match="must be a classification network"):
        Architecture("torchvision:fcn_resnet50", n_outputs=3)()


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_a_missing_library_names_the_extra(monkeypatch, library):
    for name in [name for name in sys.modules if name.split(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [])
    sys.path_importer_cache.clear()
    with pytest.raises(ImportError, match=r'pip install "cftlearn\[vision\]"'):
        Architecture(f"{library}:resnet18", n_outputs=3)()


# ---------------------------------------------------------------- weights of files
def under(prefix):
    return lambda state: {prefix + key: value for key, value in state.items()}


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(lambda state: state, id="bare"),
        pytest.param(lambda state: {"state_dict": state, "epoch": 3}, id="state_dict"),
        pytest.param(lambda state: {"model_state_dict": state}, id="model_state_dict"),
        pytest.param(lambda state: {"model": state}, id="model"),
        pytest.param(under("module."), id="DataParallel"),
        pytest.param(under("_orig_mod."), id="compiled"),
        pytest.param(lambda s: {"state_dict": under("model.")(s)}, id="Lightning"),
        pytest.param(
            lambda s: {"model": under("module._orig_mod.")(s)}, id="two prefixes"
        ),
    ],
)
def test_a_state_dict_is_found_in_its_wrapping(own, tmp_path, wrap):
    trained = make_network()
    path = tmp_path / "weights.pth"
    torch.save(wrap(trained.state_dict()), path)
    network = Architecture(own, n_outputs=3, weights=path)()
    assert torch.equal(outputs(network), outputs(trained))


def test_safetensors_and_text_paths(own, tmp_path):
    trained = make_network()
    save_file(trained.state_dict(), tmp_path / "w.safetensors")
    network = Architecture(own, n_outputs=3, weights=f"{tmp_path}/w.safetensors")()
    assert torch.equal(outputs(network), outputs(trained))


def test_a_saved_layer_of_another_size_is_told_and_replaced(own, tmp_path):
    trained = make_network(n_outputs=10)
    torch.save(trained.state_dict(), tmp_path / "w.pt")
    factory = Architecture(own, n_outputs=3, weights=tmp_path / "w.pt")
    with pytest.warns(PartialWeightsWarning, match="'2' is new.*10 outputs .* not 3"):
        network = factory()
    assert network[2].out_features == 3
    assert torch.equal(network[0].weight, trained[0].weight)


def test_a_file_without_classification_layer_is_told(own, tmp_path):
    state = make_network().state_dict()
    torch.save({k: v for k, v in state.items() if k[0] != "2"}, tmp_path / "w.pt")
    with pytest.warns(PartialWeightsWarning, match="the file has no outputs for it"):
        Architecture(own, n_outputs=3, weights=tmp_path / "w.pt")()


def test_weights_that_are_not_used_are_told(own, tmp_path):
    state = make_network().state_dict() | {"aux.weight": torch.zeros(2)}
    torch.save(state, tmp_path / "w.pt")
    factory = Architecture(own, n_outputs=3, weights=tmp_path / "w.pt")
    with pytest.warns(PartialWeightsWarning, match=r"does not have aux\.weight"):
        network = factory()
    assert torch.equal(network[2].bias, state["2.bias"])


def test_missing_weights_and_other_shapes_are_refused(own, tmp_path):
    state = make_network(n_hidden=5).state_dict()
    del state["1.running_mean"]
    torch.save(state, tmp_path / "w.pt")
    message = r"lacks 1\.running_mean; has another shape in 0\.weight \(5, 6\) for"
    with pytest.raises(ModelFormatError, match=message):
        Architecture(own, n_outputs=3, weights=tmp_path / "w.pt")()


class Danger:
    """Unpickles by calling what it names."""

    def __reduce__(self):
        return (exec, ("raise AssertionError('was executed')",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"no archive", "must be a state dict", id="text"),
        pytest.param(b"hello", "must be a state dict", id="short text"),
        pytest.param(b"", "must be a state dict", id="empty"),
        pytest.param(Danger(), "of tensors alone.*If you trust", id="code"),
        pytest.param({"hyperparameters": {"lr": 1.0}}, "holds a dict", id="no tensor"),
        pytest.param([1.0], "holds a list", id="list"),
    ],
)
def test_a_file_that_is_no_state_dict(own, tmp_path, content, message):
    path = tmp_path / "w.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(ModelFormatError, match=message):
        read_state(path)


def test_damaged_safetensors_and_no_file(tmp_path):
    (tmp_path / "w.safetensors").write_bytes(b"\x00")
    with pytest.raises(ModelFormatError, match="must be a state dict"):
        read_state(tmp_path / "w.safetensors")
    with pytest.raises(FileNotFoundError, match="must be a file"):
        read_state(tmp_path / "absent.pt")


# ------------------------------------------------------------------- persistence
def fitted(architecture, rng, shape=(N_FEATURES,)):
    X = rng.standard_normal((40, *shape)).astype(np.float32)
    y = (rng.random((40, 3)) < 0.5).astype(float)
    model = CFTClassifier(architecture, max_epochs=1, random_state=0)
    return model.fit(X, y), X


def test_a_saved_model_of_a_library_needs_no_module(tmp_path, rng):
    pytest.importorskip("timm", reason="the vision extra")
    architecture = Architecture("timm:test_resnet", n_outputs=3)
    model, X = fitted(architecture, rng, (3, 32, 32))
    loaded = load_model(save_model(model, tmp_path / "model"))
    assert loaded.module == architecture
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


def test_a_saved_callable_is_never_imported_from_a_folder(own, tmp_path, rng):
    model, X = fitted(Architecture(own, n_outputs=3), rng)
    folder = save_model(model, tmp_path / "model")
    with pytest.raises(ValueError, match=r"`module` must be given: .* any code"):
        load_model(folder)
    loaded = load_model(folder, module=model.module)
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


def test_a_loaded_model_does_not_read_the_weights_it_started_from(own, tmp_path, rng):
    torch.save(make_network().state_dict(), tmp_path / "w.pt")
    model, X = fitted(Architecture(own, n_outputs=3, weights=tmp_path / "w.pt"), rng)
    folder = save_model(model, tmp_path / "model")
    (tmp_path / "w.pt").unlink()
    loaded = load_model(folder, module=model.module)
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


def test_a_folder_with_a_forged_architecture_is_damaged(own, tmp_path, rng):
    model, _ = fitted(Architecture(own, n_outputs=3), rng)
    document = save_model(model, tmp_path / "model") / "model.json"
    forged = document.read_text().replace(own, "timm:hf-hub:evil/net")
    document.write_text(forged)
    with pytest.raises(ModelFormatError, match="damaged"):
        load_model(tmp_path / "model")
