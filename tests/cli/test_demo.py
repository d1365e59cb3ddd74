"""The command line: arguments, what the demo prints and writes, errors."""

import contextlib
import importlib
import io

import pytest
from sklearn.utils import Bunch

from cftlearn import load_model
from cftlearn.cli import _demo, main
from cftlearn.cli._demo import make_demo_network, run_demo
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
    folder = tmp_path_factory.mktemp("demo") / "new" / "folder"
    printed, scores = io.StringIO(), {}
    with contextlib.redirect_stdout(printed), pytest.MonkeyPatch.context() as patch:
        patch.setattr(_demo, "run_demo", lambda **kw: scores.update(run_demo(**kw)))
        status = main([*QUICK, "--output", str(folder)])
    return status, printed.getvalue(), folder, scores


@pytest.fixture
def _no_training(monkeypatch):
    """Fail where the demo goes on to its long work."""

    def fail(*_, **__):
        raise AssertionError("the demo should have stopped before")

    monkeypatch.setattr("cftlearn.cli._demo.CFTClassifier.fit", fail)


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
    for option in ("--known", "--seed", "--max-epochs", "--output", "--n-jobs"):
        assert option in shown
    assert "(default: 0.1)" in shown


# ------------------------------------------------------------------------ the demo
def test_the_demo_prints_a_table_per_refit(demo):
    status, printed, _, _ = demo
    assert status == 0
    assert "150 training, 80 validation and 60 test panels" in printed
    assert "50% of the training and validation labels stay known" in printed
    tables = printed.split("\nCFT by ")[1:]
    assert len(tables) == 3
    for table, solver in zip(tables, ("proximal", "ga", "bce"), strict=True):
        lines = table.splitlines()[2:13]
        assert [line.split()[0] for line in lines] == [*"0123456789", "mean"]
        for line in lines[:10]:
            outcome = line.split()[9]
            assert outcome in ("refitted:", "kept:")
            assert (line.split()[6] == solver) is (outcome == "refitted:")
        assert "mean AP " in lines[10]


def test_the_demo_writes_a_figure_and_a_model(demo):
    _, printed, folder, _ = demo
    assert {file.name for file in folder.iterdir()} == {"demo.png", "model"}
    assert (folder / "demo.png").read_bytes().startswith(b"\x89PNG")
    model = load_model(folder / "model", module=make_demo_network)
    images = load_digit_panels("test", n_samples=5, random_state=0).images
    assert model.predict_proba(images).shape == (5, 10)
    assert f"load_model({str(folder / 'model')!r}, module=make_demo_net" in printed


def test_the_demo_gives_the_means_of_its_tables(demo):
    _, printed, _, scores = demo
    assert set(scores) == {"before", "auto", "ga", "bce"}
    means = [words.split() for words in printed.splitlines() if "  mean AP" in words]
    for words, name in zip(means, ("auto", "ga", "bce"), strict=True):
        shown = [float(words[3]), float(words[4])]
        assert shown == pytest.approx([scores["before"], scores[name]], abs=6e-4)


def test_the_network_is_trained_once(monkeypatch):
    made = []

    class Recorder:
        module_ = "the trained network"
        report_ = ({"status": "refitted"},)

        def __init__(self, module, **parameters):
            made.append((module, parameters["train"], parameters["fine_tuner"].solver))

        def fit(self, X, y, *, validation_data):
            assert (X, y, validation_data) == ("images", "y", ("others", "y_val"))

    monkeypatch.setattr(_demo, "CFTClassifier", Recorder)
    panels = {"train": Bunch(images="images"), "validation": Bunch(images="others")}
    assert list(_demo._fit_all(panels, "y", "y_val", 0.1, {})) == ["auto", "ga", "bce"]
    assert made == [
        (make_demo_network, True, "auto"),
        ("the trained network", False, "ga"),
        ("the trained network", False, "bce"),
    ]


# -------------------------------------------------------------------------- errors
@pytest.mark.usefixtures("few_panels", "_no_training")
def test_an_output_that_is_a_file(tmp_path, capsys):
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
    _demo._check_reload(OnADevice("cuda"), tmp_path)
    monkeypatch.setattr(
        "cftlearn.persistence.load_model", lambda *_, **__: Other("cpu")
    )
    with pytest.raises(ValueError, match="does not predict as the one saved"):
        _demo._check_reload(OnADevice("cuda"), tmp_path)


class Other(OnADevice):
    def decision_function(self, X):
        return 1 + super().decision_function(X)
