"""Fitted models as ONNX files."""

import json

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from torch import nn

from cftlearn import CategoryWiseFineTuner, CFTClassifier
from cftlearn._inputs import ArrayInputs
from cftlearn.feature_extraction._widening import scale_blocks, widen_network
from cftlearn.images import ImageTransform
from cftlearn.networks import export_onnx
from cftlearn.networks._heads import head_weights
from cftlearn.networks._joined import join_networks

pytest.importorskip("onnxscript", reason="the onnx extra")
onnxruntime = pytest.importorskip("onnxruntime", reason="the onnx extra")


def make_network():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(4, 3),
    )


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 1, 8, 8)).astype(np.float32)
    y = (rng.random((60, 3)) < 0.5).astype(float)
    return X, np.where(rng.random(y.shape) < 0.2, np.nan, y)


@pytest.fixture(scope="module")
def fitted(problem):
    torch.manual_seed(0)
    pandas = pytest.importorskip("pandas")
    y = pandas.DataFrame(problem[1], columns=["œdème", "b", "c"])
    return CFTClassifier(make_network, max_epochs=1, random_state=0).fit(problem[0], y)


def run(path, X):
    session = onnxruntime.InferenceSession(str(path))
    return session.run(None, {"input": X})[0]


@pytest.fixture(scope="module")
def exported(fitted, tmp_path_factory):
    return export_onnx(fitted, tmp_path_factory.mktemp("onnx") / "model.onnx")


@pytest.mark.parametrize("n_rows", [1, 7])
def test_probabilities_are_those_of_predict_proba(fitted, exported, problem, n_rows):
    X = problem[0][:n_rows]
    got = run(exported, X)
    assert got.shape == (n_rows, 3)
    np.testing.assert_allclose(got, fitted.predict_proba(X), atol=1e-5)


def test_the_file_names_categories_and_output(exported):
    described = onnxruntime.InferenceSession(str(exported)).get_modelmeta()
    metadata = described.custom_metadata_map
    assert json.loads(metadata["categories"]) == ["œdème", "b", "c"]
    assert metadata["output"] == "probability"


def test_nothing_else_is_left_in_the_folder(exported):
    assert [file.name for file in exported.parent.iterdir()] == ["model.onnx"]


def test_logits_of_features(problem, tmp_path):
    X, y = problem[0].reshape(60, -1)[:, :5], problem[1]
    model = CFTClassifier(random_state=0).fit(X, y)
    path = export_onnx(model, tmp_path / "new" / "logits.onnx", sigmoid=False, opset=18)
    np.testing.assert_allclose(run(path, X), model.decision_function(X), atol=1e-5)


def test_a_binary_target_has_one_column(problem, tmp_path):
    X, y = problem[0].reshape(60, -1)[:, :5], (problem[0][:, 0, 0, 0] > 0).astype(int)
    model = CFTClassifier(random_state=0).fit(X, y)
    path = export_onnx(model, tmp_path / "model.onnx")
    np.testing.assert_allclose(
        run(path, X)[:, 0], model.predict_proba(X)[:, 1], atol=1e-5
    )


def test_integers_need_an_example(tmp_path, rng):
    network = nn.Sequential(nn.Embedding(10, 4), nn.Flatten(), nn.Linear(8, 3))
    X, y = rng.integers(0, 10, (60, 2)), (rng.random((60, 3)) < 0.5).astype(float)
    model = CFTClassifier(network, max_epochs=1, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match=r"`example` must .*type torch\.float32"):
        export_onnx(model, tmp_path / "model.onnx")
    path = export_onnx(model, tmp_path / "model.onnx", example=X[:1])
    np.testing.assert_allclose(run(path, X), model.predict_proba(X), atol=1e-5)


class OneByOne(nn.Linear):
    """A network that is written for a fixed number of rows."""

    def forward(self, x):
        return super().forward(torch.stack([x[k] for k in range(len(x))]))


def test_images_are_exported_in_the_shape_of_their_transform(tmp_path, rng):
    image = pytest.importorskip("PIL.Image", reason="the images extra")
    images = [
        image.fromarray(rng.integers(0, 256, size=(9, 12), dtype=np.uint8))
        for _ in range(12)
    ]
    y = np.tile([[1.0, 0, 1], [0, 1, 0]], (6, 1))
    model = CFTClassifier(
        make_network,
        input_transform=ImageTransform((8, 6), mode="L", mean=0.5, std=0.2),
        max_epochs=1,
        random_state=0,
    ).fit(images, y)
    path = export_onnx(model, tmp_path / "images.onnx")
    batch = np.stack([model.input_transform(one).numpy() for one in images[:5]])
    assert batch.shape == (5, 1, 8, 6)
    got = run(path, batch)
    np.testing.assert_allclose(got, model.predict_proba(images[:5]), atol=1e-5)


def test_other_transforms_need_an_example(tmp_path, problem):
    model = CFTClassifier(
        make_network,
        input_transform=np.negative,
        max_epochs=1,
        random_state=0,
    ).fit(*problem)
    with pytest.raises(ValueError, match="`example` must be given for a network whose"):
        export_onnx(model, tmp_path / "model.onnx")
    path = export_onnx(model, tmp_path / "model.onnx", example=problem[0][:2])
    got = run(path, -problem[0][:5])
    np.testing.assert_allclose(got, model.predict_proba(problem[0][:5]), atol=1e-5)


def test_a_network_for_a_fixed_number_of_rows_is_refused(problem, tmp_path):
    X, y = problem[0].reshape(60, -1)[:, :5], problem[1]
    network = nn.Sequential(OneByOne(5, 4), nn.Linear(4, 3))
    model = CFTClassifier(network, max_epochs=1, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="can export for any number of rows"):
        export_onnx(model, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_an_operation_without_a_counterpart_is_named(problem, tmp_path):
    network = nn.Sequential(nn.AdaptiveMaxPool2d((1, 3)), nn.Flatten(), nn.Linear(3, 3))
    model = CFTClassifier(network, max_epochs=1, random_state=0).fit(*problem)
    with pytest.raises(ValueError, match="adaptive_max_pool2d") as caught:
        export_onnx(model, tmp_path / "model.onnx")
    assert "\x1b" not in str(caught.value)


def test_a_file_that_computes_something_else_is_not_written(
    fitted, exported, tmp_path, monkeypatch
):
    content = exported.read_bytes()
    (tmp_path / "model.onnx").write_bytes(content)
    right = torch.sigmoid
    monkeypatch.setattr(  # as if the exporter had a bug
        torch,
        "sigmoid",
        lambda x: torch.tanh(x) if torch.compiler.is_exporting() else right(x),
    )
    with pytest.raises(ArithmeticError, match="gives other numbers than the network"):
        export_onnx(fitted, tmp_path / "model.onnx")
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]
    assert (tmp_path / "model.onnx").read_bytes() == content


def test_what_is_no_fitted_classifier(tmp_path, fitted):
    with pytest.raises(NotFittedError):
        export_onnx(CFTClassifier(), tmp_path / "model.onnx")
    with pytest.raises(TypeError, match="must be a CFTClassifier; got CategoryWise"):
        export_onnx(CategoryWiseFineTuner(), tmp_path / "model.onnx")
    with pytest.raises(ValueError, match="at least one row of them, rows first"):
        export_onnx(fitted, tmp_path / "model.onnx", example=np.empty((0, 1, 8, 8)))


def test_a_folder_is_no_file(fitted, tmp_path):
    with pytest.raises(
        IsADirectoryError, match="`path` must be a file; got the folder"
    ):
        export_onnx(fitted, tmp_path)


def test_joined_and_wide_networks(problem, tmp_path):
    X, y = problem
    fitted = CFTClassifier(make_network, max_epochs=1, retrain=False, random_state=0)
    model = fitted.fit(X, y)
    row, head = ArrayInputs(X), fitted.head_
    pairs = [
        widen_network(net, head, ["2", "0"], row, "cpu")
        for net in (fitted.module_, make_network())
    ]
    model.module_, model.head_ = join_networks(pairs)
    scale_blocks(model.module_, row, batch_size=16, device="cpu")
    model.coef_, model.intercept_ = head_weights(model.module_, model.head_)
    path = export_onnx(model, tmp_path / "model.onnx", sigmoid=False)
    with torch.inference_mode():
        logits = [network.eval()(torch.from_numpy(X)) for network, _ in pairs]
    expected = sum(logits).numpy() / 2
    np.testing.assert_allclose(run(path, X[:7]), expected[:7], rtol=0, atol=1e-5)
    onnx = pytest.importorskip("onnx", reason="the onnx extra")
    names = [tensor.name for tensor in onnx.load(path).graph.initializer]
    assert not any("network.6" in name for name in names)  # the heads of the parts


class Branching(nn.Module):
    """A network whose forward pass depends on its values."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 3)

    def forward(self, x):
        return self.fc(x * 2 if x.sum() > 0 else x)


class Unusual(Branching):
    """A network with an operator that ONNX has not."""

    def forward(self, x):
        return self.fc(torch.special.bessel_j0(x))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Branching, r"depends on the values of its input .*torch\.where instead"),
        (Unusual, r"has the operator prims\.bessel_j0, which ONNX has not\. Compute"),
    ],
)
def test_what_onnx_cannot_say_is_told(kind, message, tmp_path, rng):
    X = rng.standard_normal((40, 6)).astype(np.float32)
    y = (rng.random((40, 3)) < 0.5).astype(float)
    model = CFTClassifier(kind, train=False, random_state=0)
    model.fit(X[:30], y[:30], validation_data=(X[30:], y[30:]))
    with pytest.raises(ValueError, match=message):
        export_onnx(model, tmp_path / "model.onnx")


@pytest.mark.parametrize("opset", [3, 99, "18", True])
def test_an_unknown_opset_is_refused(opset, fitted, tmp_path):
    message = rf"`opset` must be None or a whole number from 7 to .*; got {opset!r}"
    with pytest.raises(ValueError, match=message):
        export_onnx(fitted, tmp_path / "model.onnx", opset=opset)


def test_an_example_is_tried_first(fitted, tmp_path, caplog):
    with pytest.raises(ValueError, match="`example` must hold numbers, at least one"):
        export_onnx(fitted, tmp_path / "model.onnx", example=[["a"]])
    with pytest.raises(ValueError, match=r"rows that the network takes; it failed on"):
        export_onnx(fitted, tmp_path / "model.onnx", example=np.ones((2, 5)))
    assert not caplog.records
