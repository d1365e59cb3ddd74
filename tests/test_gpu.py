"""What a GPU does, against the CPU: training, features, refits, models, commands.

The kernels have tests of their own beside their CPU twins; ``pytest -m gpu`` runs all.
"""

import csv
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

import cftlearn
from cftlearn import (
    CategoryWiseFineTuner,
    CFTClassifier,
    CFTEnsemble,
    TorchFeatureExtractor,
    load_model,
    save_model,
)
from cftlearn.cli import main
from cftlearn.losses import PartialBCEWithLogitsLoss
from cftlearn.model_selection import PartialLabelKFold, cross_val_predict
from cftlearn.networks import export_onnx, load_network
from cftlearn.solvers import GeneticSolver, GradientSolver
from cftlearn.training import NetworkTrainer

pytestmark = pytest.mark.gpu
DEVICE = "cuda"
QUICK_GA = GeneticSolver(n_generations=15, population_size=20)
TRAINERS = {
    "plain": {},
    "average": {"ema_decay": 0.9},
    "early stopping": {"patience": 2},
    "balanced": {"pos_weight": "balanced"},
    "accumulated": {"accumulation_steps": 3},
    "clipped": {"gradient_clip": 0.1, "optimizer": "sgd"},
    "workers": {"num_workers": 1},
}


class Network(nn.Module):
    """A small network on images, with batch norm and dropout."""

    def __init__(self, dropout=0.0):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(3)
        )
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(72, 3)

    def forward(self, X):
        return self.fc(self.dropout(self.body(X).flatten(1)))


@pytest.fixture(scope="module")
def images():
    """Noise with bright quarters; of the labels of three of them, 40 % are known."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((240, 1, 12, 12)).astype(np.float32)
    y = (rng.random((240, 3)) < 0.4).astype(np.float64)
    for j, corner in enumerate([(0, 0), (0, 6), (6, 0)]):
        rows, columns = (slice(start, start + 6) for start in corner)
        X[:, 0, rows, columns] += y[:, j, None, None]
    return X, np.where(rng.random(y.shape) < 0.4, y, np.nan)


@pytest.fixture
def exact_products():
    """Turn off the shortened single precision of convolutions on recent GPUs."""
    allowed = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = allowed


def make_model(device=DEVICE, dropout=0.0, solver="proximal", **parameters):
    torch.manual_seed(0)
    trainer = parameters.pop("trainer", {})
    return CFTClassifier(
        Network(dropout),
        device=device,
        trainer=NetworkTrainer(**trainer),
        fine_tuner=CategoryWiseFineTuner(solver, device=device),
        **{"max_epochs": 4, "batch_size": 32, "random_state": 0} | parameters,
    )


@pytest.fixture(scope="module")
def fitted(images):
    return make_model().fit(*images)


def losses(model):
    return [row["loss"] for row in model.history_ if row["stage"] == "train"]


def device_of(module):
    return next(module.parameters()).device.type


# ----------------------------------------------------------------------- stage one
@pytest.mark.usefixtures("exact_products")
@pytest.mark.parametrize("loss", ["bce", "asl"])
@pytest.mark.parametrize("trainer", TRAINERS.values(), ids=TRAINERS)
def test_training_ends_as_on_the_cpu(images, trainer, loss):
    if "pos_weight" in trainer and loss == "asl":
        pytest.skip("weights of positives are those of the cross-entropy")
    made = make_model(trainer=trainer, loss=loss).fit(*images)
    expected = make_model("cpu", trainer=trainer, loss=loss).fit(*images)
    assert made.device_ == DEVICE
    assert device_of(made.module_) == DEVICE
    assert_allclose(losses(made), losses(expected), rtol=1e-3)
    for name in ("coef_init_", "intercept_init_"):
        one, other = (getattr(m.fine_tuner_, name) for m in (made, expected))
        assert_allclose(one, other, atol=2e-3)


@pytest.mark.parametrize("accumulation_steps", [1, 2])
def test_half_precision_trains_nearly_the_same(images, accumulation_steps):
    finer = {"accumulation_steps": accumulation_steps, "gradient_clip": 10.0}
    half = make_model(trainer={"amp": True} | finer, max_epochs=8).fit(*images)
    full = make_model("cpu", trainer=finer, max_epochs=8).fit(*images)
    assert {p.dtype for p in half.module_.parameters()} == {torch.float32}
    assert losses(half) != losses(full)
    assert_allclose(losses(half), losses(full), rtol=0.05)
    assert losses(half)[-1] < losses(half)[0]
    assert half.score(*images) == pytest.approx(full.score(*images), abs=0.05)


def loud_loss(logits, target):
    return 1e4 * PartialBCEWithLogitsLoss()(logits, target)


def test_half_precision_gets_over_gradients_that_are_too_large(images, monkeypatch):
    """The scaled loss overflows at first; its steps are left out, and it goes on."""
    update, scales = torch.amp.GradScaler.update, []

    def spy(scaler):
        update(scaler)
        scales.append(scaler.get_scale())

    monkeypatch.setattr(torch.amp.GradScaler, "update", spy)
    model = make_model(
        trainer={"amp": True}, max_epochs=6, loss=loud_loss, retrain=False
    ).fit(*images)
    assert len(scales) == 6 * 8
    assert scales[-1] < 2.0**16  # of torch, to start with
    assert np.isfinite(losses(model)).all()
    assert losses(model)[-1] < losses(model)[0]


@pytest.mark.usefixtures("exact_products")
@pytest.mark.parametrize("amp", [False, True])
def test_a_stopped_training_goes_on_where_it_was(images, amp, tmp_path, monkeypatch):
    finer = {"amp": amp, "ema_decay": 0.9, "patience": 9}
    once = {"dropout": 0.5, "max_epochs": 6, "retrain": False}
    expected = make_model(trainer=finer, **once).fit(*images)
    finer["checkpoint"] = tmp_path / "kept"
    forward, n_calls = Network.forward, []

    def stopped(self, X):
        if self.training and len(X) > 1:
            n_calls.append(1)
            if len(n_calls) == 8 * 3 + 2:  # steps an epoch, epochs, steps of the next
                raise KeyboardInterrupt
        return forward(self, X)

    monkeypatch.setattr(Network, "forward", stopped)
    with pytest.raises(KeyboardInterrupt):
        make_model(trainer=finer, **once).fit(*images)
    made = make_model(trainer=finer, **once).fit(*images)
    assert 0 < len(n_calls) - (8 * 3 + 2) < 6 * 8
    assert_allclose(losses(made), losses(expected), rtol=1e-4)


def test_auto_takes_the_gpu(images):
    model = CFTClassifier(Network(), max_epochs=1, random_state=0).fit(*images)
    assert model.device_ == DEVICE
    network = Network()
    TorchFeatureExtractor(network).fit_transform(images[0][:9])
    assert device_of(network) == "cpu"
    solvers = [
        CategoryWiseFineTuner("ga", random_state=0, device=device).fit(
            images[0].reshape(240, -1)[:, :20], images[1]
        )
        for device in ("auto", DEVICE)
    ]
    assert_array_equal(solvers[0].coef_, solvers[1].coef_)


def test_random_numbers_of_the_gpu_are_put_back(images):
    model = make_model(dropout=0.5, max_epochs=1)
    torch.cuda.manual_seed_all(7)
    before = torch.cuda.get_rng_state()
    model.fit(*images)
    assert torch.equal(torch.cuda.get_rng_state(), before)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_fabric_on_the_gpu(images, precision):
    lightning_fabric = pytest.importorskip("lightning_fabric")
    fabric = lightning_fabric.Fabric(accelerator=DEVICE, devices=1, precision=precision)
    made = make_model("auto", trainer={"fabric": fabric}).fit(*images)
    alone = make_model().fit(*images)
    assert made.device_ == "cuda:0"
    rtol = 1e-3 if precision == "32-true" else 0.05
    assert_allclose(losses(made), losses(alone), rtol=rtol)


# ------------------------------------------------------------------------ features
@pytest.mark.usefixtures("exact_products")
def test_features_are_those_of_the_cpu(images, tmp_path):
    torch.manual_seed(0)
    network = Network()

    def extract(**options):
        options = {"device": DEVICE, "batch_size": 50} | options
        return TorchFeatureExtractor(network, **options).fit_transform(images[0])

    expected = extract(device="cpu")
    assert_allclose(extract(), expected, atol=1e-5)
    assert_array_equal(extract(), extract(num_workers=1))
    assert_array_equal(extract(out=tmp_path / "Z.npy"), extract())
    half = extract(amp=True)
    assert half.dtype == np.float32
    assert np.any(half != expected)
    assert_allclose(half, expected, atol=0.05, rtol=0.05)
    assert device_of(network) == "cpu"


def test_memory_that_runs_out_names_the_batch_size():
    network = nn.Sequential(nn.Linear(6, 4096), nn.ReLU(), nn.Linear(4096, 3))
    X = np.zeros((200_000, 6), dtype=np.float32)  # 3 GiB of what the first layer gives

    def extract(batch_size):
        extractor = TorchFeatureExtractor(network, layer="2", batch_size=batch_size)
        return extractor.set_params(device=DEVICE).fit_transform(X)

    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(2**30 / total)
    try:
        with pytest.raises(torch.OutOfMemoryError, match="Lower `batch_size`"):
            extract(200_000)
        assert device_of(network) == "cpu"
        assert extract(10_000).shape == (200_000, 3)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.usefixtures("exact_products")
@pytest.mark.parametrize("way", ["export", "trace"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_loaded_networks_move_there(images, way):
    network = Network().eval()
    x = torch.from_numpy(images[0][:2])
    if way == "export":
        shapes = ({0: torch.export.Dim.DYNAMIC},)
        program = torch.export.export(network, (x,), dynamic_shapes=shapes)
    else:
        program = torch.jit.trace(network, x)
    model, expected = (
        CFTClassifier(load_network(program), device=device, max_epochs=1)
        .set_params(random_state=0, fine_tuner__solver="proximal")
        .fit(*images)
        for device in (DEVICE, "cpu")
    )
    proba = model.predict_proba(images[0])
    assert_allclose(proba, expected.predict_proba(images[0]), atol=1e-2)


# -------------------------------------------------------------------------- refits
@pytest.mark.parametrize("solver", ["bce", "asl"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradient_solvers_end_as_on_the_cpu(partial_problem, solver, dtype):
    Z, y, _ = partial_problem
    tuners = [
        CategoryWiseFineTuner(
            GradientSolver(loss=solver, max_epochs=40, device=device),
            random_state=0,
            n_jobs=n_jobs,
        ).fit(Z.astype(dtype), y)
        for device, n_jobs in ((DEVICE, None), (DEVICE, 2), ("cpu", None))
    ]
    for other in tuners[1:]:
        assert_allclose(tuners[0].coef_, other.coef_, rtol=1e-3, atol=1e-4)
    assert_array_equal(tuners[0].coef_, tuners[1].coef_)


@pytest.mark.parametrize("objective", ["roc_auc", "average_precision"])
def test_the_genetic_algorithm_of_a_vector_per_category(objective, partial_problem):
    """Features of three axes, in single precision, read from the host."""
    Z, y, _ = partial_problem
    Z = np.stack([Z, 2 * Z, Z + 1], axis=1).astype(np.float32)
    tuner = CategoryWiseFineTuner(QUICK_GA, objective=objective, random_state=0)
    lines = [
        tuner.set_params(device=device).fit(Z, y).report_ for device in (DEVICE, "cpu")
    ]
    for line, twin in zip(*lines, strict=True):
        assert line["roc_auc_before"] == pytest.approx(twin["roc_auc_before"], abs=1e-6)
        assert line["roc_auc_after"] >= line["roc_auc_before"]


@pytest.mark.parametrize("solver", ["auto", "ga", "bce", QUICK_GA])
def test_a_whole_classifier_by_every_solver(images, solver):
    model, twin = (make_model(d, solver=solver).fit(*images) for d in (DEVICE, "cpu"))
    assert model.score(*images) == pytest.approx(twin.score(*images), abs=0.05)
    again = make_model(solver=solver).fit(*images)
    assert again.score(*images) == pytest.approx(model.score(*images), abs=0.02)


# -------------------------------------------------------------------------- models
@pytest.mark.usefixtures("exact_products")
def test_predictions_do_not_depend_on_the_device(fitted, images):
    on_gpu = fitted.predict_proba(images[0])
    fitted.device_ = "cpu"
    try:
        assert_allclose(fitted.predict_proba(images[0]), on_gpu, atol=1e-5)
        assert device_of(fitted.module_) == DEVICE
    finally:
        fitted.device_ = DEVICE


@pytest.mark.usefixtures("exact_products")
def test_to_torch_gives_the_same_logits(fitted, images):
    network = fitted.to_torch()
    assert device_of(network) == DEVICE
    with torch.inference_mode():
        logits = network(torch.from_numpy(images[0]).to(DEVICE)).cpu().numpy()
        at_home = network.cpu()(torch.from_numpy(images[0])).numpy()
    expected = fitted.decision_function(images[0])
    assert_allclose(logits, expected, atol=1e-4)
    assert_allclose(at_home, expected, atol=1e-4)


@pytest.mark.usefixtures("exact_products")
def test_a_saved_model_needs_no_gpu(fitted, images, tmp_path):
    folder = save_model(fitted, tmp_path / "model")
    expected = fitted.predict_proba(images[0])
    loaded = load_model(folder, module=Network)
    assert loaded.device_ == "cpu"
    assert device_of(loaded.module_) == "cpu"
    assert_allclose(loaded.predict_proba(images[0]), expected, atol=1e-5)
    loaded.device_ = DEVICE
    assert_allclose(loaded.predict_proba(images[0]), expected, atol=1e-5)
    code = (
        "import sys, numpy as np, torch\n"
        "sys.path.insert(0, 'tests')\n"
        "from test_gpu import Network\n"
        "from cftlearn import load_model\n"
        "assert not torch.cuda.is_available()\n"
        "model = load_model(sys.argv[1], module=Network)\n"
        "np.save(sys.argv[3], model.predict_proba(np.load(sys.argv[2])))\n"
    )
    np.save(tmp_path / "X.npy", images[0])
    paths = [str(tmp_path / name) for name in ("model", "X.npy", "proba.npy")]
    without_gpu(code, *paths)
    assert_allclose(np.load(tmp_path / "proba.npy"), expected, atol=1e-5)


def without_gpu(code, *arguments):
    own = str(Path(cftlearn.__file__).parent.parent)  # what is tested here, is there
    paths = os.pathsep.join([own, os.environ.get("PYTHONPATH", "")])
    subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=Path(__file__).parent.parent,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": paths},
        check=True,
        timeout=120,
    )


def test_a_pickle_predicts_the_same(fitted, images):
    again = pickle.loads(pickle.dumps(fitted))
    assert_allclose(
        again.predict_proba(images[0]), fitted.predict_proba(images[0]), atol=1e-6
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_file_of_onnx_gives_the_same(fitted, images, tmp_path):
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    path = export_onnx(fitted, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(
        str(path), providers=["CPUExecutionProvider"]
    )
    got = session.run(None, {"input": images[0]})[0]
    assert_allclose(got, fitted.predict_proba(images[0]), atol=2e-3)
    assert device_of(fitted.module_) == DEVICE


def test_an_ensemble_and_folds(images):
    X, y = images
    ensemble = CFTEnsemble([("a", make_model()), ("b", make_model(random_state=1))])
    assert ensemble.fit(X, y).predict_proba(X).shape == y.shape
    proba = cross_val_predict(make_model(), X, y, cv=PartialLabelKFold(2))
    twin = cross_val_predict(make_model("cpu"), X, y, cv=PartialLabelKFold(2))
    assert np.mean(np.abs(proba - twin)) < 0.02


# ------------------------------------------------------------------------ commands
def test_the_command_line_takes_it(photos, tmp_path):
    labels, folder = str(photos / "labels.csv"), str(photos / "images")
    network = ["--network", "cli_parts:make_network", "--device", DEVICE]
    told = ["--labels", labels, "--images", folder, *network, "--size", "8"]
    told += ["--where", "split=train", "--max-epochs", "2", "--quiet"]
    model = str(tmp_path / "model")
    assert main(["fit", *told, "--solver", "ga", "--output", model]) == 0
    tables = []
    for device in (DEVICE, "cpu"):
        path = tmp_path / f"{device}.csv"
        own = [*network[:2], "--device", device, "--format", "csv", "--quiet"]
        assert main(["predict", model, folder, *own, "--output", str(path)]) == 0
        tables.append(path.read_text(encoding="utf-8").splitlines())
    rows = [list(csv.reader(table)) for table in tables]
    assert len(rows[0]) == 61
    assert [row[0] for row in rows[0]] == [row[0] for row in rows[1]]
    values = [np.array([row[1:] for row in t[1:]], dtype=float) for t in rows]
    assert_allclose(*values, atol=5e-3)
    told = [folder, *network, "--size", "8", "--output", str(tmp_path / "Z")]
    assert main(["extract", *told, "--quiet"]) == 0
    assert np.isfinite(np.load(tmp_path / "Z" / "features.npy")).all()
