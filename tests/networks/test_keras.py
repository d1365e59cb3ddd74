"""Networks of Keras as torch modules."""

import sys
import types

import numpy as np
import pytest
import torch

from cftlearn import CFTClassifier
from cftlearn.networks import export_onnx, load_keras


@pytest.fixture(scope="module")
def keras():
    pytest.importorskip("h5py", reason="the keras extra")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_BACKEND", "torch")
        keras = pytest.importorskip("keras", reason="the keras extra")
    if keras.config.backend() != "torch":
        pytest.skip("keras has another backend here")
    return keras


def radiograph_model(keras, end="sigmoid", *, separate=False):
    """A small CNN like those for radiographs, with batch norm that has seen data."""
    layers = keras.layers
    image = keras.Input((16, 16, 3))
    x = layers.Rescaling(1 / 255)(image)
    x = layers.Conv2D(4, 3, padding="same", use_bias=False)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Concatenate()([x, layers.Conv2D(4, 3, padding="same")(x)])
    x = layers.Dropout(0.3)(layers.GlobalAveragePooling2D()(x))
    x = layers.Dense(5, activation=None if separate else end)(x)
    model = keras.Model(image, layers.Activation(end)(x) if separate else x)
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.02, 0.2, w.shape) for w in model.get_weights()])
    return model


def keras_output(model, X):
    with torch.inference_mode():
        return model(torch.from_numpy(X), training=False).numpy().astype(np.float64)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # inside of Keras
@pytest.mark.parametrize("suffix", ["h5", "keras"])
@pytest.mark.parametrize("separate", [False, True], ids=["in Dense", "Activation"])
def test_a_keras_network_gives_the_logits_of_its_probabilities(
    keras, tmp_path, caplog, suffix, separate
):
    model = radiograph_model(keras, separate=separate)
    path = tmp_path / f"model.{suffix}"
    model.save(path)
    network = load_keras(path)
    X = np.random.default_rng(1).uniform(0, 255, (7, 16, 16, 3)).astype(np.float32)
    with torch.inference_mode():
        logits = network(torch.from_numpy(X.transpose(0, 3, 1, 2).copy())).numpy()
    p = keras_output(model, X)
    assert ((p > 0.01) & (p < 0.999)).all()
    np.testing.assert_allclose(logits, np.log(p / (1 - p)), atol=1e-4)
    assert "ended in a sigmoid, which is removed" in caplog.text


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_keras_network_on_features_is_refitted_and_exported(keras, tmp_path, rng):
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(5, activation="relu"), layers.Dense(3)]
    )
    model.save(tmp_path / "model.keras")
    network = load_keras(tmp_path / "model.keras")
    X = rng.standard_normal((60, 6)).astype(np.float32)
    y = (rng.random((60, 3)) < 0.5).astype(float)
    with torch.inference_mode():
        got = network(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(got, keras_output(model, X), atol=1e-5)
    tuned = CFTClassifier(network, train=False, random_state=0)
    tuned.fit(X[:30], y[:30], validation_data=(X[30:], y[30:]))
    pytest.importorskip("onnxscript", reason="the onnx extra")
    assert export_onnx(tuned, tmp_path / "model.onnx").is_file()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_keras_networks_that_cannot_be_cut(keras, tmp_path):
    radiograph_model(keras, "softmax").save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match=r"ends in softmax.*one sigmoid each"):
        load_keras(tmp_path / "model.keras")
    image = keras.Input((8, 8, 3))
    keras.Model(image, keras.layers.Conv2D(2, 3)(image)).save(tmp_path / "conv.keras")
    with pytest.raises(ValueError, match="ends in a Conv2D layer"):
        load_keras(tmp_path / "conv.keras")
    (tmp_path / "text.h5").write_text("no model")
    with pytest.raises(ValueError, match="must be a model that Keras"):
        load_keras(tmp_path / "text.h5")


def test_keras_that_is_not_there(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="must be a file; there is no"):
        load_keras(tmp_path / "absent.h5")
    (tmp_path / "model.h5").write_bytes(b"")
    other = types.ModuleType("keras")
    other.config = types.SimpleNamespace(backend=lambda: "jax")
    monkeypatch.setitem(sys.modules, "keras", other)
    with pytest.raises(
        ImportError, match=r"is imported with jax already.*KERAS_BACKEND"
    ):
        load_keras(tmp_path / "model.h5")
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(ImportError, match=r'pip install "cftlearn\[keras\]"'):
        load_keras(tmp_path / "model.h5")
