"""Stage one shared by several processes: equal to one process, and never a hang."""

import os
import subprocess
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import fabric_fits
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.model_selection import GridSearchCV, KFold
from training_parts import FakeFabric

import cftlearn
from cftlearn import CFTClassifier, load_model, save_model
from cftlearn.training import NetworkTrainer
from cftlearn.training._distributed import FabricProcesses, OneProcess

MOST_SECONDS = 300  # a hang is a failure

needs_fabric = pytest.mark.skipif(
    find_spec("lightning_fabric") is None,
    reason="lightning-fabric is not installed (the extra 'distributed')",
)
by_name = partial(pytest.mark.parametrize, ids=lambda scenario: scenario.__name__)


# ------------------------------------------------------------------------ device
@pytest.mark.parametrize("device", ["auto", "cuda", "cuda:1"])
def test_the_device_is_the_fabrics(device):
    assert FabricProcesses(FakeFabric()).resolve_device(device) == "cuda:1"


@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
def test_another_device_is_refused(device):
    with pytest.raises(ValueError, match=rf"'cuda:1'; got '{device}'\. Pass device='a"):
        FabricProcesses(FakeFabric()).resolve_device(device)


# ------------------------------------------------------------------------- parts
@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("n_rows", [1, 2, 7, 12])
def test_parts_count_every_known_label_once(rng, size, n_rows):
    rows = rng.permutation(100)[:n_rows]
    n_known = rng.integers(0, 3, n_rows)
    n_known[-1] = 2
    known_of = dict(zip(rows.tolist(), n_known.tolist(), strict=True))
    counted, seen = 0, []
    for rank in range(size):
        processes = FabricProcesses(FakeFabric(size=size))
        processes.rank = rank
        own, factor = processes.own_rows(rows, n_known)
        n_own = sum(known_of[row] for row in own.tolist())
        assert n_own, "no loss expects no label"
        assert factor in (0, size), "the mean over processes is that of the batch"
        if factor:
            seen += own.tolist()
        counted += factor * n_own
    assert counted == size * n_known.sum()
    alone, factor = OneProcess().own_rows(rows, n_known)
    assert_array_equal(alone, rows)
    assert factor == 1
    assert len(seen) == len(set(seen))
    assert {row for row in known_of if known_of[row]} <= set(seen)


def test_processes_draw_numbers_of_their_own():
    """One alone goes on with the generator as it is, which a checkpoint keeps."""
    drawn = set()
    for rank in (0, 1, 1):
        processes = FabricProcesses(FakeFabric())
        processes.rank = rank
        processes.seed(7, 1)
        drawn.add(torch.rand(()).item())
    assert len(drawn) == 2
    before = torch.get_rng_state()
    FabricProcesses(FakeFabric(size=1)).seed(7, 1)
    OneProcess().seed(7, 1)
    assert torch.equal(torch.get_rng_state(), before)


# -------------------------------------------------------------------- one process
@pytest.fixture
def alone():
    fabric = pytest.importorskip("lightning_fabric")
    return fabric.Fabric(accelerator="cpu", devices=1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@needs_fabric
@by_name("scenario", [fabric_fits.everything, fabric_fits.noise_and_norms])
def test_a_fabric_of_one_process_changes_nothing(alone, tmp_path, scenario):
    made, expected = scenario(alone, tmp_path), scenario(None, tmp_path)
    assert made["history"] == expected["history"]
    for name, value in expected["network"].items():
        assert torch.equal(made["network"][name], value), name


@needs_fabric
def test_gradients_are_averaged_once_per_step(alone, tmp_path, monkeypatch):
    """They would be the same otherwise, but later."""
    kept, no_backward_sync = [], alone.no_backward_sync

    def spy(wrapped, *, enabled):
        kept.append(enabled)
        return no_backward_sync(wrapped, enabled=enabled)

    monkeypatch.setattr(alone, "no_backward_sync", spy)
    fabric_fits.everything(alone, tmp_path)  # 9 batches of 5 rows, 3 per step
    assert kept == 3 * 3 * [True, True, False]


@needs_fabric
def test_bfloat16_of_fabric_is_that_of_ours(tmp_path):
    from lightning_fabric import Fabric

    fabric = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
    made = fabric_fits.plain(fabric, tmp_path)
    expected = fabric_fits.bfloat16_of_ours(None, tmp_path)
    assert made["history"] == expected["history"]
    assert made["history"] != fabric_fits.plain(None, tmp_path)["history"]


@needs_fabric
def test_a_search_and_a_saved_model(alone, tmp_path, quick_tuner):
    X, y = fabric_fits.make_problem()
    model = CFTClassifier(
        fabric_fits.make_network(),
        trainer=NetworkTrainer(fabric=alone),
        fine_tuner=quick_tuner,
        max_epochs=1,
        random_state=0,
    )
    grid = {"trainer__weight_decay": [0.0, 0.1]}
    search = GridSearchCV(model, grid, cv=KFold(2)).fit(X, y)
    best = search.best_estimator_
    assert best.trainer.fabric is alone
    loaded = load_model(save_model(best, tmp_path / "m"), module=model.module)
    assert loaded.trainer.fabric is None
    assert_array_equal(loaded.predict_proba(X), best.predict_proba(X))


# ------------------------------------------------------------------ two processes
def run(arguments, cwd=None):
    own = str(Path(cftlearn.__file__).parent.parent)  # what is tested here, is there
    paths = os.pathsep.join([own, os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=MOST_SECONDS,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Run every scenario in two processes, then an error that nobody catches."""
    pytest.importorskip("lightning_fabric")
    folder = tmp_path_factory.mktemp("fabric")
    done = run([fabric_fits.__file__, str(folder)])
    (folder / "said.txt").write_text(f"{done.returncode}\n{done.stdout}{done.stderr}")
    return folder


def results(folder, scenario, tmp_path):
    """What two processes ended with, and one alone."""
    said = (folder / "said.txt").read_text()
    for rank in (0, 1):
        assert (folder / f"{scenario.__name__}.{rank}.pt").exists(), said
    shared = [
        torch.load(folder / f"{scenario.__name__}.{rank}.pt", weights_only=True)
        for rank in (0, 1)
    ]
    return *shared, scenario(None, tmp_path)


def assert_same(one, other):
    assert one["history"] == other["history"]
    assert one["network"].keys() == other["network"].keys()
    for name, value in one["network"].items():
        assert torch.equal(value, other["network"][name]), name


@pytest.mark.slow
@needs_fabric
@by_name("scenario", fabric_fits.LIKE_ONE)
def test_two_processes_end_like_one(folder, scenario, tmp_path):
    first, second, alone = results(folder, scenario, tmp_path)
    assert_same(first, second)
    assert first["class"] == "Sequential", "nothing is left wrapped"
    tolerance = 2e-3 if scenario is fabric_fits.bfloat16_of_ours else 1e-5
    for name, value in alone["network"].items():
        torch.testing.assert_close(
            first["network"][name], value, rtol=tolerance, atol=tolerance
        )
    assert len(first["history"]) == len(alone["history"])
    for one, other in zip(first["history"], alone["history"], strict=True):
        assert one.keys() == other.keys()
        values = {name: other[name] for name in other if name != "stage"}
        assert {name: one[name] for name in values} == pytest.approx(
            values, rel=tolerance
        )


@pytest.mark.slow
@needs_fabric
def test_training_stops_early_and_continues(folder, tmp_path):
    assert len(results(folder, fabric_fits.early_stopping, tmp_path)[0]["history"]) < 3
    made = results(folder, fabric_fits.resumed, tmp_path)[0]
    assert [record["epoch"] for record in made["first"]] == [1]
    assert made["history"][:1] == made["first"]
    files = sorted(path.name for path in (folder / "files" / "kept").iterdir())
    assert files == ["fit.json", "training.pt"]


@pytest.mark.slow
@needs_fabric
def test_processes_agree_on_rates(folder, tmp_path):
    scenario = fabric_fits.positives_known_more_often
    first, second, alone = results(folder, scenario, tmp_path)
    for made in (first, second, alone):
        ratios = [row.get("known_log_ratio") for row in made["history"]]
        assert ratios[0] > 0.5, "the term is active from the second epoch on"
        assert ratios[3] > 0.5
        assert ratios[1:3] + ratios[4:] == 6 * [None]
    torch.testing.assert_close(first["proba"], second["proba"], rtol=0, atol=0)


@pytest.mark.slow
@needs_fabric
def test_cft_follows_in_every_process(folder, tmp_path):
    first, second, alone = results(folder, fabric_fits.a_whole_fit, tmp_path)
    assert torch.equal(first["proba"], second["proba"])
    torch.testing.assert_close(first["proba"], alone["proba"], rtol=1e-4, atol=1e-4)
    network = fabric_fits.make_network()
    loaded = load_model(folder / "files" / "model", module=network)
    X, _ = fabric_fits.make_problem()
    assert_array_equal(loaded.predict_proba(X), first["proba"].numpy())


@pytest.mark.slow
@needs_fabric
@by_name("scenario", fabric_fits.AGREED)
def test_two_processes_agree_on_what_is_random(folder, scenario, tmp_path):
    first, second, alone = results(folder, scenario, tmp_path)
    assert_same(first, second)
    assert first.get("same", True), "a training that goes on draws the same"
    assert first["history"] != alone["history"], "every process draws its own noise"


@pytest.mark.slow
@needs_fabric
@by_name("scenario", fabric_fits.ERRORS)
def test_an_error_of_one_process_ends_both(folder, scenario, tmp_path):
    first, second, alone = results(folder, scenario, tmp_path)
    messages = {
        "a_row_that_is_not_finite": ("NonFiniteLossError", r"(rows 11). Lower"),
        "an_item_that_cannot_be_read": ("ValueError", "the scanner is gone"),
        "a_held_out_row_that_is_not_finite": ("NonFiniteLossError", "(rows 40). Lower"),
        "a_forward_pass_that_fails": ("ValueError", "more than 1 value per channel"),
        "other_labels": ("ValueError", "process 1 differs from process 0 in: labels."),
        "a_folder_of_another_training": ("ValueError", "differs in: trainer. Name"),
        "a_folder_that_only_one_sees": ("ValueError", "in: epochs. Load"),
    }
    kind, text = messages[scenario.__name__]
    assert {first["error"], second["error"]} <= {kind, "RuntimeError"}
    assert kind in (first["error"], second["error"])
    assert text in first["text"]
    assert text in second["text"]
    if kind == "NonFiniteLossError":
        assert first == second
        assert first["text"] == alone["text"]


@pytest.mark.slow
@needs_fabric
def test_an_error_that_nobody_catches_ends_both(folder):
    said = (folder / "said.txt").read_text()
    assert not said.startswith("0\n")
    for rank in (0, 1):
        assert f"[rank{rank}]: cftlearn.exceptions.NonFiniteLossError: The loss" in said


@pytest.mark.slow
@needs_fabric
def test_the_script_of_the_documentation_runs(tmp_path):
    page = (
        Path(__file__).parent.parent.parent
        / "docs"
        / "user_guide"
        / "several_devices.md"
    )
    code = page.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    (tmp_path / "script.py").write_text(code)
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    done = run([*torchrun, "script.py"], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("mean ROC AUC: 0.") == 1
    assert isinstance(load_model(tmp_path / "model", module=network), CFTClassifier)


def network():
    return torch.nn.Sequential(
        torch.nn.Linear(20, 32), torch.nn.ReLU(), torch.nn.Linear(32, 5)
    )


def test_the_script_has_no_scenario_twice():
    every = [*fabric_fits.LIKE_ONE, *fabric_fits.AGREED, *fabric_fits.ERRORS]
    assert len({scenario.__name__ for scenario in every}) == len(every)
    assert Path(fabric_fits.__file__).parent == Path(__file__).parent.parent
