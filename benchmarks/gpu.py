"""All that cftlearn does on a CUDA GPU: tests, speed, and whole fits, in one run.

``tests``
    ``pytest -m gpu``: every test that needs a GPU.
``generation``
    A generation of the genetic algorithm for all categories together, against the
    authors' loop (mlcpl with torchmetrics, where installed) on the same GPU; the part
    ``gpu`` of ``speed.py``.
``refit``
    ``CategoryWiseFineTuner("ga")`` from features in memory to refitted rows.
``network``
    ResNet-50 (of torchvision, where installed) on images of 224 pixels: training and
    features, in single and in half precision, with the memory that they take.
``panels``
    Digit panels, stage one and two refits, on the GPU and on the CPU with one seed.
``demo``
    ``cftlearn demo``, which takes the GPU by itself.

It takes a few minutes, and 40 GiB of the GPU's memory for its largest part::

    make gpu                       # or: python benchmarks/gpu.py
    python benchmarks/gpu.py --parts tests panels --output results
    python benchmarks/gpu.py --dry-run       # small sizes on the CPU, proves nothing

Everything is written to ``gpu.json`` in the folder of ``--output``, after every part;
the exit status is 1 if a part failed, and 2 where torch finds no CUDA GPU.
"""

import argparse
import gc
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import torch
from _gpu import SHAPES, SMALL_SHAPES, compare, fits_on
from _large import make_large
from _machine import describe_machine
from _peers import missing
from speed import print_figure

from cftlearn import (
    CategoryWiseFineTuner,
    CFTClassifier,
    TorchFeatureExtractor,
    load_model,
    save_model,
)
from cftlearn.cli._demo import make_demo_network
from cftlearn.datasets import load_digit_panels
from cftlearn.labels import hide_labels
from cftlearn.metrics import partial_average_precision_score
from cftlearn.solvers import GeneticSolver
from cftlearn.training import NetworkTrainer

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ["cftlearn", "numpy", "scikit-learn", "torch", "deap", "mlcpl"]
PROOF = """\
What this run proves, where it ends without a failure: tests that need a GPU pass on it;
all categories together evolve on it, and how fast; training, features and predictions
agree with the CPU's; and a whole fit on it ends with the scores of one on the CPU."""
NO_GPU = """\
gpu: torch finds no CUDA GPU here (torch {torch}, built for CUDA {built}). On a machine
with one, install a torch that is built for CUDA, see https://pytorch.org. To try this
script on the CPU, with small sizes that prove nothing, pass --dry-run."""
MOST_APART = 0.03  # mean average precision on the GPU and on the CPU
SECONDS = 300  # that tests, or the demo, may take

Figures = dict[str, Any]


class Setting:
    """Where a run computes, and how large."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.is_dry: bool = arguments.dry_run
        self.device = "cpu" if self.is_dry else "cuda"
        self.repeats: int = arguments.repeats
        self.output: Path = arguments.output


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--output", type=Path, default=Path("build/gpu"))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--dry-run", action="store_true", help="on the CPU, small")
    arguments = parser.parse_args()
    if not arguments.dry_run and not torch.cuda.is_available():
        built = torch.version.cuda or "nothing"
        print(NO_GPU.format(torch=torch.__version__, built=built), file=sys.stderr)
        sys.exit(2)
    setting = Setting(arguments)
    setting.output.mkdir(parents=True, exist_ok=True)
    record = describe(setting)
    print("DRY RUN on the CPU: proves nothing of a GPU" if setting.is_dry else PROOF)
    print(*describe_machine(PACKAGES), sep="\n")
    print(f"card      {record['card']}", flush=True)
    for name in arguments.parts:
        run_part(name, setting, record)
    for failure in record["failures"]:
        print(f"FAILED    {failure}")
    print(f"\n{len(record['failures'])} failures; {setting.output / 'gpu.json'}")
    sys.exit(bool(record["failures"]))


def describe(setting: Setting) -> Figures:
    card: Figures = {"name": "none: the CPU in a dry run"}
    if not setting.is_dry:
        properties = torch.cuda.get_device_properties(0)
        card = {
            "name": properties.name,
            "memory_bytes": properties.total_memory,
            "capability": f"{properties.major}.{properties.minor}",
            "cuda": torch.version.cuda,
        }
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "dry_run": setting.is_dry,
        "machine": describe_machine([])[0].removeprefix("machine").strip(),
        "card": card,
        "versions": {
            "python": platform.python_version(),
            **{name: version_of(name) for name in [*PACKAGES, "torchvision"]},
        },
        "parts": {},
        "failures": [],
    }


def version_of(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def run_part(name: str, setting: Setting, record: Figures) -> None:
    """Run a part; whatever goes wrong in it is written down, and the next one runs."""
    print(f"\n--- {name}", flush=True)
    started = time.perf_counter()
    try:
        figures, failures = PARTS[name](setting)
    except Exception as error:
        traceback.print_exc()
        figures, failures = {}, [f"{type(error).__name__}: {error}"]
    figures["seconds_in_all"] = round(time.perf_counter() - started, 1)
    record["parts"][name] = figures
    record["failures"] += [f"{name}: {failure}" for failure in failures]
    text = json.dumps(record, indent=1) + "\n"
    (setting.output / "gpu.json").write_text(text, encoding="utf-8")
    print(f"({figures['seconds_in_all']} s)", flush=True)


# --- tests --------------------------------------------------------------------------


def run_tests(setting: Setting) -> tuple[Figures, list[str]]:
    results = (setting.output / "gpu-tests.xml").resolve()
    options = ["-m", "gpu", "-q", "-rfE", "--tb=short", "-p", "no:cacheprovider"]
    options += ["-p", "no:benchmark"]  # a plugin that warns beside xdist
    if find_spec("xdist") is not None:
        options += ["-n", str(max(1, min(8, (os.cpu_count() or 1) // 2)))]
    command = [sys.executable, "-m", "pytest", *options, f"--junitxml={results}"]
    done = subprocess.run(command, cwd=ROOT, timeout=SECONDS, check=False)
    cases = list(ElementTree.parse(results).iter("testcase"))
    failures = names_of(cases, "failure") + names_of(cases, "error")
    without_gpu = names_of(cases, "skipped", reason="needs a CUDA GPU")
    if not setting.is_dry and (without_gpu or not cases):
        failures.append(f"{len(without_gpu)} of {len(cases)} tests found no GPU")
    if done.returncode and not failures:
        failures.append(f"pytest ended with {done.returncode}")
    figures = {
        "n_tests": len(cases),
        "n_failed": len(failures),
        "skipped": names_of(cases, "skipped"),
    }
    return figures, failures


def names_of(
    cases: list[ElementTree.Element], outcome: str, *, reason: str = ""
) -> list[str]:
    """Name the tests with an outcome, whose message begins with a reason."""
    found = [(case, case.find(outcome)) for case in cases]
    return [
        f"{case.get('classname')}::{case.get('name')}"
        for case, result in found
        if result is not None and (result.get("message") or "").startswith(reason)
    ]


# --- a generation -------------------------------------------------------------------


def time_generations(setting: Setting) -> tuple[Figures, list[str]]:
    lacks = missing("mlcpl_ga")
    if lacks:
        print(f"mlcpl is not compared: {lacks}")
    found = []
    for shape in SMALL_SHAPES if setting.is_dry else SHAPES:
        if not fits_on(shape, setting.device):
            print(f"\n{shape} needs more memory than this GPU has")
            continue
        for figure in compare(
            shape, setting.device, setting.repeats, with_peer=not lacks
        ):
            print_figure(shape, figure)
            found.append({**shape._asdict(), **figure})
    return {"generations": found}, []


# --- a refit ------------------------------------------------------------------------


def refit(setting: Setting) -> tuple[Figures, list[str]]:
    size = {"n": 20_000, "d": 2048, "n_categories": 80, "known": 0.4}
    if setting.is_dry:
        size = {"n": 2_000, "d": 32, "n_categories": 3, "known": 0.4}
    problem = make_large(**size)
    figures: Figures = {"size": size}
    for name, solver in (
        ("default", GeneticSolver()),
        ("published", GeneticSolver.published().set_params(n_generations=1000)),
    ):
        tuner = CategoryWiseFineTuner(
            solver.set_params(n_generations=20) if setting.is_dry else solver,
            objective="average_precision",
            coef_init=problem.coef,
            intercept_init=problem.intercept,
            device=setting.device,
            random_state=0,
        )
        seconds, peak = timed(
            setting, lambda tuner=tuner: tuner.fit(problem.Z, problem.y)
        )
        held_out = [
            float(np.mean([line[f"{line['metric']}_{key}"] for line in tuner.report_]))
            for key in ("before", "after")
        ]
        n_generations = len({(r["phase"], r["iteration"]) for r in tuner.history_})
        figures[name] = {
            "seconds": seconds,
            "peak_bytes": peak,
            "generations": n_generations,
            "held_out_before_and_after": held_out,
            "statuses": sorted({line["status"] for line in tuner.report_}),
        }
        print(
            f"{name:<10} {seconds:.1f} s, {n_generations} generations; held-out AP "
            f"{held_out[0]:.3f} -> {held_out[1]:.3f}; {peak / 2**30:.1f} GiB"
        )
    return figures, []


def timed(setting: Setting, work: Callable[[], Any]) -> tuple[float, int]:
    """Measure seconds, and the most memory that tensors took on the GPU meanwhile."""
    gc.collect()
    before = 0
    if not setting.is_dry:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    started = time.perf_counter()
    work()
    if setting.is_dry:
        return time.perf_counter() - started, 0
    torch.cuda.synchronize()
    seconds = time.perf_counter() - started
    return seconds, torch.cuda.max_memory_allocated() - before


# --- a large network ----------------------------------------------------------------


def run_network(setting: Setting) -> tuple[Figures, list[str]]:
    try:
        from torchvision.models import resnet18, resnet50
    except ImportError:
        print("skipped: torchvision is not installed")
        return {"skipped": "torchvision is not installed"}, []
    n_rows, pixels, make = (
        (40, 32, resnet18) if setting.is_dry else (768, 224, resnet50)
    )
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, 3, pixels, pixels), dtype=np.float32)
    y = (rng.random((n_rows, 5)) < 0.4).astype(np.float64)
    torch.manual_seed(0)
    network = make(num_classes=5)
    figures: Figures = {"network": make.__name__, "rows": n_rows, "pixels": pixels}
    for name, amp in (("single precision", False), ("half precision", True)):
        rate, peak = training_rate(setting, network, X, y, amp=amp)
        extractor = TorchFeatureExtractor(network, device=setting.device, amp=amp)
        extractor.set_params(batch_size=128).fit(X[:2]).transform(X[:256])
        seconds, peak_of_features = timed(setting, lambda e=extractor: e.transform(X))
        figures[name] = {
            "trained_rows_per_second": rate,
            "peak_bytes_of_training": peak,
            "feature_rows_per_second": n_rows / seconds,
            "peak_bytes_of_features": peak_of_features,
        }
        print(
            f"{name:<17} training {rate:.0f} rows/s, {peak / 2**30:.1f} GiB; features "
            f"{n_rows / seconds:.0f} rows/s, {peak_of_features / 2**30:.1f} GiB"
        )
    return figures, []


def training_rate(
    setting: Setting, network: Any, X: Any, y: Any, *, amp: bool
) -> tuple[float, int]:
    """Count rows per second of an epoch, without what comes before and after."""

    def fit(max_epochs: int) -> CFTClassifier:
        return CFTClassifier(
            network,
            max_epochs=max_epochs,
            batch_size=16 if setting.is_dry else 128,
            trainer=NetworkTrainer(amp=amp, validate=False),
            retrain=False,  # one training is timed
            fine_tuner=CategoryWiseFineTuner(GeneticSolver(n_generations=1)),
            device=setting.device,
            random_state=0,
        ).fit(X, y)

    fit(1)  # to choose kernels
    few, _ = timed(setting, lambda: fit(1))
    many, peak = timed(setting, lambda: fit(4))
    return 3 * len(X) / (many - few), peak


# --- whole fits ---------------------------------------------------------------------


def run_panels(setting: Setting) -> tuple[Figures, list[str]]:
    size = 300 if setting.is_dry else None
    panels = {
        subset: load_digit_panels(subset, n_samples=size, random_state=0)
        for subset in ("train", "validation", "test")
    }
    y, y_val = (
        hide_labels(panels[subset].target, known=0.1, random_state=seed)
        for seed, subset in enumerate(("train", "validation"))
    )
    data = panels["train"].images, y
    validation_data = panels["validation"].images, y_val
    X, target = panels["test"].images, panels["test"].target
    figures: Figures = {}
    models = {}
    for device in (setting.device, "cpu"):
        figures[device], models[device] = fit_panels(
            setting, device, data, validation_data, (X, target)
        )
        print(f"{device:<5} {figures[device]}")
    failures = []
    for name, own in figures[setting.device]["mean_ap"].items():
        other = figures["cpu"]["mean_ap"][name]
        if abs(own - other) > MOST_APART:
            failures.append(f"mean AP {name}: {own:.3f}, and {other:.3f} on the CPU")
    model = models[setting.device]
    on_gpu = model.predict_proba(X)
    with tempfile.TemporaryDirectory() as folder:
        save_model(model, Path(folder) / "model")
        loaded = load_model(Path(folder) / "model", module=make_demo_network)
    apart = float(np.abs(loaded.predict_proba(X) - on_gpu).max())
    figures["most_that_a_loaded_model_differs"] = apart
    print(f"saved, loaded and run on the CPU: probabilities differ by {apart:.2g}")
    if apart > 0.02:
        failures.append(f"a loaded model differs by {apart:.3f}")
    return figures, failures


def fit_panels(
    setting: Setting, device: str, data: Any, validation_data: Any, test: Any
) -> tuple[Figures, CFTClassifier]:
    """Train a network and refit it by two solvers; score all on the test panels."""

    def fit(module: Any, solver: Any, *, train: bool) -> CFTClassifier:
        tuner = CategoryWiseFineTuner(
            solver, objective="average_precision", device=device
        )
        model = CFTClassifier(
            module,
            train=train,
            max_epochs=2 if setting.is_dry else 20,
            fine_tuner=tuner,
            device=device,
            random_state=0,
        )
        return model.fit(*data, validation_data=validation_data)

    started = time.perf_counter()
    model = fit(make_demo_network, "auto", train=True)
    trained = time.perf_counter()
    by_ga = fit(model.module_, "ga", train=False)
    ended = time.perf_counter()
    X, target = test
    Z = TorchFeatureExtractor(model.module_, device=device).fit_transform(X)
    before = model.fine_tuner_.transform(Z, initial=True)
    scores = {
        "before": before,
        "auto": model.decision_function(X),
        "ga": by_ga.decision_function(X),
    }
    mean_ap = {
        name: round(float(partial_average_precision_score(target, logits)), 4)
        for name, logits in scores.items()
    }
    seconds = {"train and auto": trained - started, "ga": ended - trained}
    seconds = {name: round(value, 2) for name, value in seconds.items()}
    return {"mean_ap": mean_ap, "seconds": seconds}, model


def run_demo(setting: Setting) -> tuple[Figures, list[str]]:
    options = ["--known", "0.3", "--max-epochs", "1"] if setting.is_dry else []
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "cftlearn", "demo", "--output", folder, *options],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    lines = [line.strip() for line in done.stdout.splitlines()]
    gains = [line for line in lines if "mean AP" in line]
    print(*gains, *lines[-1:], sep="\n")
    if done.returncode:
        print(done.stderr)
        return {"gains": gains}, [f"ended with {done.returncode}: {done.stderr[-300:]}"]
    return {"gains": gains}, []


PARTS: dict[str, Callable[[Setting], tuple[Figures, list[str]]]] = {
    "tests": run_tests,
    "generation": time_generations,
    "refit": refit,
    "network": run_network,
    "panels": run_panels,
    "demo": run_demo,
}

if __name__ == "__main__":
    main()
