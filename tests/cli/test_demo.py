"""The command line: arguments, what the demo prints and writes, errors."""

import contextlib
import importlib
import io
import re

import numpy as np
import pytest
import torch
from sklearn.utils import Bunch

from cftlearn import load_model
from cftlearn.cli import _demo_run, main
from cftlearn.cli._demo import make_demo_network
from cftlearn.cli._demo_run import run_demo, train_plainly
from cftlearn.datasets import _digit_panels, load_digit_panels

SIZES = {"train": 150, "validation": 80, "test": 60}
QUICK = ["demo", "--max-epochs", "1", "--known", "0.5"]


@pytest.fixture(scope="module")
def few_panels():
    """Make the demo small."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_digit_panels, "_DEFAULT_SIZES", SIZES)
        yield


@pytest.fixture(scope="module")
def demo(few_panels, tmp_path_factory):
    """Run the demo once: its status, what it printed, its folder and its scores."""
    pytest.importorskip("matplotlib", reason="the plots extra")
    folder = tmp_path_factory.mktemp("demo") / "new" / "folder"
    printed, scores = io.StringIO(), {}
    with contextlib.redirect_stdout(printed), pytest.MonkeyPatch.context() as patch:
        patch.setattr(_demo_run, "run_demo", lambda **kw: scores.update(run_demo(**kw)))
        status = main([*QUICK, "--output", str(folder)])
    return status, printed.getvalue(), folder, scores


@pytest.fixture
def _no_training(monkeypatch):
    """Fail where the demo goes on to its long work."""

    def fail(*_, **__):
        raise AssertionError("the demo should have stopped before")

    monkeypatch.setattr("cftlearn.cli._demo_run.CFTClassifier.fit", fail)


# ----------------------------------------------------------------------- arguments
@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["demo", "--known", "half"], "--known: must be a fraction in (0, 1]; got h"),
        (["demo", "--max-epochs", "2.5"], "--max-epochs: must be a whole number, 1"),
        (["demo", "--seed", "-1"], "--seed: must be a whole number in [0, 2**32"),
        (["demo", "--n-jobs", "all"], "--n-jobs: must be a whole number of workers"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
@pytest.mark.usefixtures("_no_training")
def test_wrong_arguments(argv, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=r"^2$"):
        main(argv)
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


def test_help_names_every_option(capsys):
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["demo", "--help"])
    shown = capsys.readouterr().out
    options = ("--known", "--scheme", "--seed", "--max-epochs", "--output", "--n-jobs")
    for option in options:
        assert option in shown
    assert "(default: 0.1)" in shown


# ------------------------------------------------------------------------ the demo
def test_the_demo_prints_a_line_per_digit(demo):
    status, printed, _, _ = demo
    assert status == 0
    assert "150 training panels, 60 test panels" in printed
    assert re.search(r"\n(49|5[01])% of the training labels stay known", printed)
    lines = [line.split() for line in printed.splitlines() if line.startswith("      ")]
    table = [words for words in lines if words[0].isdigit()]
    assert [words[0] for words in table] == list("0123456789")
    for _, counts, *scores in table:
        positives, negatives = map(int, counts.split("/"))
        assert 60 < positives + negatives < 90  # half of 150
        assert len(scores) == 4
        assert all(0.0 < float(score) <= 1.0 for score in scores)
    assert "CFT estimated that positives are known " in printed


def test_the_demo_writes_a_figure_and_a_model(demo):
    _, printed, folder, _ = demo
    assert {file.name for file in folder.iterdir()} == {"demo.png", "model"}
    assert (folder / "demo.png").read_bytes().startswith(b"\x89PNG")
    model = load_model(folder / "model", module=make_demo_network)
    images = load_digit_panels("test", n_samples=5, random_state=0).images
    assert model.predict_proba(images).shape == (5, 10)
    assert f"load_model({str(folder / 'model')!r}, module=make_demo_net" in printed


def test_the_demo_gives_the_means_of_its_table(demo):
    _, printed, _, scores = demo
    assert list(scores) == ["masked", "masked_twice", "negative", "cft"]
    lines = [line.split() for line in printed.splitlines()]
    digits = [
        line[2:] for line in lines if line and line[0].isdigit() and len(line) == 6
    ]
    (means,) = (line[1:] for line in lines if line[:1] == ["mean"] and len(line) == 5)
    expected = np.array(digits, dtype=float).mean(axis=0)
    assert [float(mean) for mean in means] == pytest.approx(expected, abs=1.5e-3)
    assert list(scores.values()) == pytest.approx(expected, abs=6e-4)
    gain = scores["cft"] - scores["negative"]
    assert f"{gain:+.3f} (negatives)" in printed


@pytest.mark.parametrize(
    ("log_ratios", "words"),
    [
        ([], "known as often as negatives"),
        ([1.0, 0.0], "known as often as negatives"),
        ([0.0, np.log(4.0)], "known 4.0 times as often"),
    ],
)
def test_the_demo_says_what_was_estimated_last(log_ratios, words):
    history = [{"stage": "train"}, {"stage": "cft"}]
    history[1:1] = [{"known_log_ratio": value} for value in log_ratios]
    text = _demo_run._estimate(Bunch(history_=history))
    assert words in " ".join(text.split())


def test_the_loop_leaves_unknown_labels_out():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(30, 1, 8, 24)).astype(np.float32)
    y = np.full((30, 10), np.nan)
    y[:12, 3], y[20:, 4] = 1.0, 0.0
    settings = {"max_epochs": 20, "batch_size": 10, "learning_rate": 5e-3, "seed": 0}
    trained = train_plainly(images, y, **settings).cpu()
    torch.manual_seed(0)
    before = make_demo_network()[-1].weight.detach()
    decay = (trained[-1].weight.detach() / before).numpy()
    others = np.delete(decay, [3, 4], axis=0)
    assert np.ptp(others) < 1e-4  # they have weight decay alone, and no gradient
    assert np.ptp(decay[[3, 4]], axis=1).min() > 0.01
    logits = trained(torch.from_numpy(images)).detach().numpy()
    assert logits[:12, 3].min() > 1.0
    assert logits[20:, 4].max() < -1.0


def test_the_loop_goes_on_after_a_batch_without_labels():
    images = np.zeros((6, 1, 8, 24), dtype=np.float32)
    y = np.full((6, 10), np.nan)
    y[0, 0] = 1.0  # two of three batches have none
    network = train_plainly(
        images, y, max_epochs=2, batch_size=2, learning_rate=1e-3, seed=0
    )
    assert all(torch.isfinite(weights).all() for weights in network.parameters())


def test_labels_can_be_hidden_as_in_reports(few_panels, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib", reason="the plots extra")
    schemes = []

    def stop(y, *, scheme, **_):
        schemes.append(scheme)
        raise ValueError("far enough")

    monkeypatch.setattr(_demo_run, "hide_labels", stop)
    for options in ([], ["--scheme", "report_like"]):
        assert main([*QUICK, "--output", str(tmp_path), *options]) == 1
    assert schemes == ["uniform", "report_like"]


# -------------------------------------------------------------------------- errors
@pytest.mark.usefixtures("few_panels", "_no_training")
def test_an_output_that_is_a_file(tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="the plots extra")
    path = tmp_path / "output"
    path.write_text("thesis")
    assert main([*QUICK, "--output", str(path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("cftlearn demo: ")
    assert str(path) in error
    assert path.read_text() == "thesis"


@pytest.mark.usefixtures("_no_training")
def test_without_matplotlib(tmp_path, capsys, monkeypatch):
    real = importlib.import_module

    def absent(name, *args):
        if name.split(".")[0] == "matplotlib":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *args)

    monkeypatch.setattr(importlib, "import_module", absent)
    assert main([*QUICK, "--output", str(tmp_path / "output")]) == 1
    assert 'pip install "cftlearn[plots]"' in capsys.readouterr().err


@pytest.mark.usefixtures("few_panels")
@pytest.mark.filterwarnings("ignore::cftlearn.exceptions.UndefinedCategoryWarning")
def test_too_few_known_labels(tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="the plots extra")
    argv = ["demo", "--max-epochs", "1", "--known", "0.001", "--output", str(tmp_path)]
    assert main(argv) == 1
    assert "no category has the known labels" in capsys.readouterr().err


class OnADevice:
    """A model whose logits depend a little on its device, as on a GPU."""

    def __init__(self, device):
        self.device_ = device

    def decision_function(self, X):
        return X.mean(axis=(1, 2, 3)) + {"cpu": 0.0, "cuda": 1e-4}[self.device_]


def test_the_demo_loads_its_model_for_the_same_device(monkeypatch, tmp_path):
    monkeypatch.setattr(
        "cftlearn.persistence.load_model", lambda *_, **__: OnADevice("cpu")
    )
    _demo_run._check_reload(OnADevice("cuda"), tmp_path)
    monkeypatch.setattr(
        "cftlearn.persistence.load_model", lambda *_, **__: Other("cpu")
    )
    with pytest.raises(ValueError, match="does not predict as the one saved"):
        _demo_run._check_reload(OnADevice("cuda"), tmp_path)


class Other(OnADevice):
    def decision_function(self, X):
        return 1 + super().decision_function(X)
