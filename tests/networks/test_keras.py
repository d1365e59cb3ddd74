"""Networks of Keras as torch modules."""

import json
import sys
import types
import zipfile

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


def mixed_model(keras, policy, last):
    """A model as mixed precision makes it, whose last layer may be in float32."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        layers = keras.layers
        image = keras.Input((8, 8, 3))
        x = layers.Conv2D(4, 3, groups=1)(layers.Rescaling(1 / 255)(image))
        x = layers.GlobalAveragePooling2D()(layers.DepthwiseConv2D(3)(x))
        options = {} if last is None else {"dtype": last}
        return keras.Model(image, layers.Dense(5, activation="sigmoid", **options)(x))
    finally:
        keras.config.set_dtype_policy(before)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("suffix", ["h5", "keras"])
@pytest.mark.parametrize(
    ("policy", "last"),
    [("mixed_float16", "float32"), ("mixed_bfloat16", None), ("float16", None)],
)
def test_mixed_precision_computes_in_single(keras, tmp_path, policy, last, suffix):
    model = mixed_model(keras, policy, last)
    model.save(tmp_path / f"model.{suffix}")
    network = load_keras(tmp_path / f"model.{suffix}")
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    single = mixed_model(keras, "float32", None)
    single.set_weights([weight.astype(np.float32) for weight in model.get_weights()])
    X = np.random.default_rng(1).uniform(0, 255, (7, 8, 8, 3)).astype(np.float32)
    with torch.inference_mode():
        logits = network(torch.from_numpy(X.transpose(0, 3, 1, 2).copy())).numpy()
    p = keras_output(single, X)
    np.testing.assert_allclose(logits, np.log(p / (1 - p)), atol=1e-4)


def changed_config(path, change):
    """Change the description of a model in its .h5 file."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        for layer in config["config"]["layers"]:
            change(layer["class_name"], layer["config"])
        file.attrs["model_config"] = json.dumps(config)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_settings_that_ask_for_nothing_are_left_out(keras, tmp_path):
    """As Keras 2 wrote them for layers that do not take them in Keras 3."""
    model = mixed_model(keras, "float32", None)
    path = tmp_path / "model.h5"
    model.save(path)

    def change(name, config):
        if name == "DepthwiseConv2D":
            config |= {"groups": 1, "unheard_of": None}
        if name == "GlobalAveragePooling2D":
            config |= {"dilation_rate": [1, 1], "ragged": False}

    changed_config(path, change)
    X = np.random.default_rng(1).uniform(0, 255, (3, 8, 8, 3)).astype(np.float32)
    with torch.inference_mode():
        logits = load_keras(path)(torch.from_numpy(X.transpose(0, 3, 1, 2).copy()))
    p = keras_output(model, X)
    np.testing.assert_allclose(logits, np.log(p / (1 - p)), atol=1e-4)
    changed_config(
        path, lambda name, c: c.update(groups=2) if name.startswith("Dep") else None
    )
    message = r"Unrecognized keyword arguments.*\{'groups': 2\}\. If it has layers"
    with pytest.raises(ValueError, match=message):
        load_keras(path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"units": 10**9}, "'units' is 1e\\+09, more than any network has"),
        ({"units": float("nan")}, "'units' is nan, more than"),
        ({"shape": [10**5, 10**5]}, "'shape' is 1e\\+10, more than"),
        ({"class_name": "Lambda"}, "a layer Lambda, which is code and not executed"),
        ({"activation": {"module": "os", "class_name": "function"}}, "code of os, whi"),
    ],
    ids=["outputs", "nan", "inputs", "lambda", "module"],
)
def test_a_description_is_checked_before_keras_sees_it(
    keras, tmp_path, change, message
):
    mixed_model(keras, "float32", None).save(tmp_path / "model.h5")
    changed_config(
        tmp_path / "model.h5",
        lambda name, config: config.update(change) if name == "Dense" else None,
    )
    with pytest.raises(ValueError, match=f"must be a model that Keras.*{message}"):
        load_keras(tmp_path / "model.h5")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_file_that_declares_more_than_it_holds(keras, tmp_path):
    h5py = pytest.importorskip("h5py")
    mixed_model(keras, "float32", None).save(tmp_path / "model.h5")
    whole = (tmp_path / "model.h5").read_bytes()
    cases = {
        "declare 4,000,000,": lambda f: f.create_dataset("a", (10**9,), "f4"),
        "declare 1,000,000,": lambda f: f.create_dataset("b", (), "S1000000000"),
        "takes weights from other": lambda f: f.update(
            {"c": h5py.ExternalLink("/etc/passwd", "/")}
        ),
    }
    for message, change in cases.items():
        (tmp_path / "model.h5").write_bytes(whole)
        with h5py.File(tmp_path / "model.h5", "r+") as file:
            change(file)
        with pytest.raises(ValueError, match=message):
            load_keras(tmp_path / "model.h5")
    mixed_model(keras, "float32", None).save_weights(tmp_path / "a.weights.h5")
    with pytest.raises(ValueError, match="weights without a model; build it"):
        load_keras(tmp_path / "a.weights.h5")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_archive_of_keras_is_checked(keras, tmp_path):
    mixed_model(keras, "float32", None).save(tmp_path / "model.keras")
    whole = bytearray((tmp_path / "model.keras").read_bytes())
    whole[whole.index(b'"Functional"') + 3] ^= 1
    (tmp_path / "bit.keras").write_bytes(whole)
    with pytest.raises(ValueError, match=r"damaged: Bad CRC-32 for .*json"):
        load_keras(tmp_path / "bit.keras")
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as archive:
        archive.writestr("a.txt", "")
    with pytest.raises(ValueError, match=r"without the config\.json of a model"):
        load_keras(tmp_path / "other.keras")


def test_keras_that_is_not_there(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"file; .* does not exist"):
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
