"""Architectures by their names."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from network_parts import make_sized_network
from sklearn.base import clone
from torch import nn

from cftlearn import CFTClassifier, load_model, save_model
from cftlearn.exceptions import ModelFormatError
from cftlearn.networks import Architecture


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
        ("timm:vit_tiny_patch16_224", "head"),
        ("timm:resnet10t", "fc"),
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
        ({"n_outputs": 0}, "to 1,000,000; got 0"),
        ({"n_outputs": 10**9}, "from 1 to 1,000,000; got 1000000000"),
        ({"n_outputs": True}, "to 1,000,000; got True"),
        ({"n_outputs": 2.5}, r"to 1,000,000; got 2\.5"),
        ({"n_outputs": "3"}, "to 1,000,000; got '3'"),
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


# ------------------------------------------------------------------- persistence
def fitted(architecture, rng, shape=(6,)):
    X = rng.standard_normal((40, *shape)).astype(np.float32)
    y = (rng.random((40, 3)) < 0.5).astype(float)
    model = CFTClassifier(architecture, max_epochs=1, random_state=0)
    return model.fit(X, y), X


def test_a_saved_model_of_a_library_needs_no_module(tmp_path, rng):
    pytest.importorskip("timm", reason="the vision extra")
    architecture = Architecture("timm:resnet10t", n_outputs=3)
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
    torch.save(make_sized_network().state_dict(), tmp_path / "w.pt")
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


def test_importing_networks_stays_light():
    code = (
        "import sys, cftlearn.networks as n; n.Architecture('timm:x', n_outputs=1); "
        "heavy = {'torch', 'timm', 'torchvision', 'keras', 'onnx'} & set(sys.modules); "
        "assert not heavy, heavy; assert 'load_keras' in dir(n)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_weights_that_a_library_does_not_have():
    pytest.importorskip("torchvision")
    named = Architecture("torchvision:resnet18", n_outputs=2, weights="IMAGENET")
    with pytest.raises(ValueError, match=r"'DEFAULT', 'IMAGENET1K_V1'; got"):
        named()


def test_weights_of_timm_that_there_are_not():
    pytest.importorskip("timm")
    named = Architecture("timm:resnet10t", n_outputs=2, weights="none")
    with pytest.raises(ValueError, match=r"'resnet10t': 'DEFAULT', .*; got 'none'"):
        named()


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_weights_without_a_network_connection(monkeypatch, library):
    from urllib.error import URLError

    pytest.importorskip(library)

    def fail(*_, **__):
        raise URLError(OSError(-2, "Name or service not known"))

    monkeypatch.setattr("torchvision.models.get_model", fail)
    monkeypatch.setattr("timm.create_model", fail, raising=False)
    named = Architecture(f"{library}:resnet18", n_outputs=2, weights="DEFAULT")
    with pytest.raises(OSError, match=r"failed \(Name or service not known\)\. Try .*"):
        named()
