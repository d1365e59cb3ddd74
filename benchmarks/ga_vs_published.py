"""Compare the genetic algorithm with its published setting, in quality and time.

Four ways to refit the same rows on the same features, known labels and held-out
labels, all maximising average precision, all on one thread:

- ``default``: ``GeneticSolver()``, and ``default+refit`` with the last fit on all
  known labels that ``CategoryWiseFineTuner`` does by default;
- ``preset``: ``GeneticSolver.published()``;
- ``mlcpl``: ``CFT`` and ``GAForLinear`` of the authors' own package with the settings
  of their script (population 50, 5000 epochs at most, early stopping 300), on the CPU.

``mlcpl`` cannot be seeded by an argument, so torch's generator is. Its metric gets
``validate_args=False``, which is a fifth faster than in the authors' script. Its
prints go to the null device. It never stores the evolved bias, which average precision
ignores.

Data: digit panels seen by the demo's network, and the sets scene and emotions with
Negative-mode logistic regressions on raw features, where their files are found; of
all labels 10 or 30 % stay known. Digit panels bring validation panels; of the other
sets a quarter of each category's known labels is held out before the rows are fitted.
Scores are mean average precision over categories on fully labelled test rows.

``mlcpl`` needs most of the time, so it runs on fewer seeds where it is slowest; the
output says which, and it is compared on those only. Time is wall time of stage two
alone; the CPU time of the process, which other work on the machine disturbs less, is
given beside it.

Run it from anywhere; the default takes about 20 minutes on a machine without other
work::

    pip install --no-deps mlcpl==0.1.7 torchmetrics==1.9.0 lightning-utilities \
tensorboard protobuf absl-py
    python benchmarks/ga_vs_published.py --output ga_vs_published.csv
    python benchmarks/ga_vs_published.py --skip-mlcpl    # no further package needed
"""

import argparse
import contextlib
import csv
import functools
import importlib
import importlib.util
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _machine import describe_machine
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import nn

from cftlearn import CategoryWiseFineTuner, CFTClassifier
from cftlearn._seeding import category_seeds
from cftlearn.cli._demo import make_demo_network
from cftlearn.datasets import load_digit_panels, make_partial_multilabel
from cftlearn.exceptions import UndefinedCategoryWarning
from cftlearn.labels import check_partial_labels, hide_labels
from cftlearn.metrics import partial_average_precision_score
from cftlearn.model_selection._hold_out import hold_out_labels
from cftlearn.solvers import GeneticSolver

Floats = NDArray[np.floating[Any]]

OBJECTIVE = "average_precision"
KNOWN = {  # share of labels that stay known
    "panels-10": 0.1,
    "panels-30": 0.3,
    "scene-10": 0.1,
    "scene-30": 0.3,
    "emotions-10": 0.1,
    "emotions-30": 0.3,
}
MLCPL_SEEDS = {"panels-30": 1}  # mlcpl takes minutes a seed there; 3 seeds elsewhere
HELD_OUT = 0.25
PUBLISHED_EPOCHS = 5000
PUBLISHED_PATIENCE = 300
PACKAGES = [
    "cftlearn",
    "numpy",
    "torch",
    "scikit-learn",
    "deap",
    "mlcpl",
    "torchmetrics",
]
HOW_TO_INSTALL = (
    "pip install --no-deps mlcpl==0.1.7 torchmetrics==1.9.0 lightning-utilities "
    "tensorboard protobuf absl-py\nand pandas and pillow, if absent; or leave the "
    "authors' package out with --skip-mlcpl"
)


@dataclass(frozen=True)
class Problem:
    """Features, labels and rows that every method starts from."""

    name: str
    seed: int
    Z: Floats
    y: NDArray[np.float64]
    Z_val: Floats
    y_val: NDArray[np.float64]
    Z_test: Floats
    y_test: NDArray[np.float64]
    coef: NDArray[np.float64]
    intercept: NDArray[np.float64]


@dataclass(frozen=True)
class Fit:
    """Rows after a method, and how many generations it ran."""

    coef: NDArray[np.float64]
    intercept: NDArray[np.float64]
    generations: int


@dataclass(frozen=True)
class Result:
    """One line of the output: a method on a problem."""

    data: str
    seed: int
    method: str
    test_before: float
    test_after: float
    held_out_before: float
    held_out_after: float
    seconds: float
    cpu_seconds: float
    generations: int


Method = Callable[[Problem], Fit]


# --- data ---------------------------------------------------------------------------


def make_problem(name: str, seed: int, folder: Path) -> Problem:
    known = KNOWN[name]
    kind = name.split("-")[0]
    if kind == "panels":
        return panel_problem(name, seed, known)
    return table_problem(name, seed, known, folder / f"{kind}.npz")


def panel_problem(name: str, seed: int, known: float) -> Problem:
    """Train the demo's network, and take its features and last layer."""
    panels = {
        subset: load_digit_panels(subset, random_state=seed)
        for subset in ("train", "validation", "test")
    }
    y = hide_labels(panels["train"].target, known=known, random_state=seed)
    y_val = hide_labels(panels["validation"].target, known=known, random_state=seed + 1)
    stage_one = CFTClassifier(
        make_demo_network,
        fine_tuner=CategoryWiseFineTuner(GeneticSolver(n_generations=1)),
        device="cpu",
        random_state=seed,
    )
    validation_data = (panels["validation"].images, y_val)
    stage_one.fit(panels["train"].images, y, validation_data=validation_data)
    backbone, head = stage_one.module_[:-1].eval(), stage_one.module_[-1]
    with torch.inference_mode():
        features = {
            subset: backbone(torch.from_numpy(bunch.images)).numpy()
            for subset, bunch in panels.items()
        }
    return Problem(
        name=name,
        seed=seed,
        Z=features["train"],
        y=y,
        Z_val=features["validation"],
        y_val=y_val,
        Z_test=features["test"],
        y_test=panels["test"].target,
        coef=head.weight.detach().double().numpy(),
        intercept=head.bias.detach().double().numpy(),
    )


def table_problem(name: str, seed: int, known: float, path: Path) -> Problem:
    """Hide labels of a table, hold some out, fit Negative-mode rows on the rest."""
    with np.load(path, allow_pickle=False) as table:
        X, Y, is_test = table["X"], table["Y"].astype(np.float64), table["is_test"]
    labels = check_partial_labels(
        hide_labels(Y[~is_test], known=known, random_state=seed)
    )
    seeds = category_seeds(seed, labels.categories)
    fitted, held_out = hold_out_labels(labels, HELD_OUT, seeds)
    Z = X[~is_test]
    one_generation = CategoryWiseFineTuner(GeneticSolver(n_generations=1))
    one_generation.fit(Z, fitted.values, validation_data=(Z, held_out.values))
    return Problem(
        name=name,
        seed=seed,
        Z=Z,
        y=fitted.values,
        Z_val=Z,
        y_val=held_out.values,
        Z_test=X[is_test],
        y_test=Y[is_test],
        coef=one_generation.coef_init_,
        intercept=one_generation.intercept_init_,
    )


def synthetic_problem(n_known: int, n_features: int, n_val: int) -> Problem:
    """Make two categories of the given size, all labels known, with rough rows."""
    Z, y, _ = make_partial_multilabel(
        n_known + n_val,
        n_features=n_features,
        n_categories=2,
        known=1.0,
        random_state=0,
    )
    Z = Z.astype(np.float32)
    coef = (y[:n_known] - y[:n_known].mean(axis=0)).T @ Z[:n_known] / n_known
    return Problem(
        name=f"synthetic {n_known:,} x {n_features:,}",
        seed=0,
        Z=Z[:n_known],
        y=y[:n_known],
        Z_val=Z[n_known:],
        y_val=y[n_known:],
        Z_test=Z[n_known:],
        y_test=y[n_known:],
        coef=coef.astype(np.float64),
        intercept=np.zeros(2),
    )


# --- methods ------------------------------------------------------------------------


def ours(solver: GeneticSolver, *, refit: bool) -> Method:
    def fit(problem: Problem) -> Fit:
        tuner = CategoryWiseFineTuner(
            solver,
            objective=OBJECTIVE,
            coef_init=problem.coef,
            intercept_init=problem.intercept,
            refit=refit,
            n_jobs=1,
            random_state=problem.seed,
        )
        tuner.fit(problem.Z, problem.y, validation_data=(problem.Z_val, problem.y_val))
        return Fit(tuner.coef_, tuner.intercept_, len(tuner.history_))

    return fit


def published_by_mlcpl(epochs: int = PUBLISHED_EPOCHS) -> Method:
    """Make the authors' own functions a method."""
    CFT, GAForLinear, metric = import_mlcpl()

    def fit(problem: Problem) -> Fit:
        torch.manual_seed(problem.seed)
        solver = GAForLinear(
            device="cpu",
            metric=metric,
            num_pop=50,
            Cr=0.2,
            mutation_p=0.5,
            mutation_range=0.001,
            elitism=1,
        )
        with discarded_prints():
            heads, records = CFT(
                list(map(linear, problem.coef, problem.intercept)),
                training_data=(tensor(problem.Z), tensor(problem.y)),
                validation_data=(tensor(problem.Z_val), tensor(problem.y_val)),
                optimizer=solver,
                epochs=epochs,
                early_stopping=PUBLISHED_PATIENCE,
                validation_metric=metric,
                device="cpu",
            )
        weights = [head.weight.detach().double().numpy()[0] for head in heads]
        biases = [head.bias.detach().double().item() for head in heads]
        return Fit(np.stack(weights), np.array(biases), sum(map(len, records)))

    return fit


@functools.cache
def import_mlcpl() -> tuple[Any, Any, Callable[..., torch.Tensor]]:
    """Import ``mlcpl.cft`` and the metric of the authors' script.

    ``import mlcpl`` would also import its data loaders, which need packages that the
    genetic algorithm does not; so the package is entered without its ``__init__``.
    """
    spec = importlib.util.find_spec("mlcpl")
    if spec is None:
        raise ImportError(f"mlcpl is not installed. To install it:\n{HOW_TO_INSTALL}")
    sys.modules["mlcpl"] = importlib.util.module_from_spec(spec)
    try:
        cft = importlib.import_module("mlcpl.cft")
        torchmetrics = importlib.import_module("torchmetrics.functional.classification")
    except ImportError as error:
        raise ImportError(f"mlcpl.cft: {error}. It needs:\n{HOW_TO_INSTALL}") from error

    def metric(preds: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return torchmetrics.binary_average_precision(
            preds, target.long(), validate_args=False
        )

    return cft.CFT, cft.GAForLinear, metric


def linear(row: NDArray[np.float64], bias: float) -> nn.Linear:
    layer = nn.Linear(len(row), 1)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(row)[None])
        layer.bias.fill_(bias)
    return layer


def tensor(array: Floats) -> torch.Tensor:
    return torch.from_numpy(np.asarray(array, dtype=np.float32))


@contextlib.contextmanager
def discarded_prints() -> Iterator[None]:
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


# --- measurement --------------------------------------------------------------------


def measure(problem: Problem, name: str, method: Method) -> Result:
    started, cpu_started = time.perf_counter(), time.process_time()
    fit = method(problem)
    seconds = time.perf_counter() - started
    cpu_seconds = time.process_time() - cpu_started
    start = Fit(problem.coef, problem.intercept, 0)
    return Result(
        data=problem.name,
        seed=problem.seed,
        method=name,
        test_before=mean_ap(problem.Z_test, problem.y_test, start),
        test_after=mean_ap(problem.Z_test, problem.y_test, fit),
        held_out_before=mean_ap(problem.Z_val, problem.y_val, start),
        held_out_after=mean_ap(problem.Z_val, problem.y_val, fit),
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        generations=fit.generations,
    )


def mean_ap(Z: Floats, y: NDArray[np.float64], fit: Fit) -> float:
    logits = Z @ fit.coef.T + fit.intercept
    return float(partial_average_precision_score(y, logits))


def seconds_per_generation(
    problem: Problem, make: Callable[[int], Method], *, few: int, many: int
) -> float:
    """Take the slope between a short and a long run: setting up is not counted."""
    slopes = []
    for _ in range(3):
        took = [measure(problem, "", make(n)).seconds for n in (few, many)]
        slopes.append((took[1] - took[0]) / (many - few))
    return float(np.median(slopes)) / len(problem.coef)


# --- tables -------------------------------------------------------------------------


def print_result(result: Result) -> None:
    print(
        f"{result.data:<12} {result.seed:>4} {result.method:<14} "
        f"{result.test_before:>7.4f} {result.test_after:>7.4f} "
        f"{result.held_out_before:>9.4f} {result.held_out_after:>7.4f} "
        f"{result.seconds:>8.2f} {result.cpu_seconds:>8.2f} {result.generations:>11}",
        flush=True,
    )


def print_means(results: list[Result]) -> None:
    print("\nMeans over seeds")
    print(
        f"{'data':<12} {'n':>4} {'method':<14} {'test':>7} {'after':>7} "
        f"{'held out':>9} {'after':>7} {'seconds':>8} {'CPU s':>8} {'generations':>11}"
    )
    for data, method in unique((r.data, r.method) for r in results):
        lines = [r for r in results if (r.data, r.method) == (data, method)]
        mean = {
            field.name: float(np.mean([getattr(line, field.name) for line in lines]))
            for field in fields(Result)[3:]
        }
        print(
            f"{data:<12} {len(lines):>4} {method:<14} "
            f"{mean['test_before']:>7.4f} {mean['test_after']:>7.4f} "
            f"{mean['held_out_before']:>9.4f} {mean['held_out_after']:>7.4f} "
            f"{mean['seconds']:>8.2f} {mean['cpu_seconds']:>8.2f} "
            f"{mean['generations']:>11.0f}"
        )


def print_comparisons(results: list[Result]) -> None:
    print(
        "\nPublished against ours on the same seeds. Ratio of times published/ours: "
        "median [min, max]; CPU: median.\nGain: test mAP of ours minus published, mean "
        "[min, max]. Claim: mean gain, to four digits, not below zero, and median "
        "time ratio at least 10."
    )
    print(
        f"{'data':<12} {'published':<10} {'ours':<14} {'n':>2} "
        f"{'ratio of times':>22} {'CPU':>6} {'gain in test mAP':>26} {'claim':>6}"
    )
    pairs = [
        ("preset", "default"),
        ("preset", "default+refit"),
        ("mlcpl", "default"),
        ("mlcpl", "default+refit"),
        ("mlcpl", "preset"),
    ]
    names = unique(r.data for r in results)
    groups = [(name, [r for r in results if r.data == name]) for name in names]
    if len(names) > 1:
        groups.append(("all", results))
    for name, group in groups:
        for published, own in pairs:
            print_comparison(name, group, published, own)


def print_comparison(
    name: str, results: list[Result], published: str, own: str
) -> None:
    theirs = {(r.data, r.seed): r for r in results if r.method == published}
    mine = {(r.data, r.seed): r for r in results if r.method == own}
    both = sorted(theirs.keys() & mine.keys())
    if not both:
        return
    ratio = np.array([theirs[k].seconds / mine[k].seconds for k in both])
    cpu = np.median([theirs[k].cpu_seconds / mine[k].cpu_seconds for k in both])
    gain = np.array([mine[k].test_after - theirs[k].test_after for k in both])
    holds = round(gain.mean(), 4) >= 0 and np.median(ratio) >= 10
    claim = "" if own == "preset" else "holds" if holds else "FAILS"
    times = f"{np.median(ratio):.1f} [{ratio.min():.1f}, {ratio.max():.1f}]"
    gains = f"{gain.mean():+.4f} [{gain.min():+.4f}, {gain.max():+.4f}]"
    print(
        f"{name:<12} {published:<10} {own:<14} {len(both):>2} {times:>22} "
        f"{cpu:>6.1f} {gains:>26} {claim:>6}"
    )


def print_generation_times(sizes: list[tuple[int, int]], *, with_mlcpl: bool) -> None:
    print("\nOne generation with its validation, one category, milliseconds")
    print(f"{'size':<26} {'mlcpl':>8} {'preset':>8} {'ratio':>6} {'default':>8}")
    for n_known, n_features in sizes:
        problem = synthetic_problem(n_known, n_features, n_val=n_known // 4)
        preset = seconds_per_generation(problem, preset_for, few=5, many=45)
        default = seconds_per_generation(problem, default_for, few=5, many=45)
        theirs = (
            seconds_per_generation(problem, published_by_mlcpl, few=2, many=12)
            if with_mlcpl
            else float("nan")
        )
        print(
            f"{problem.name:<26} {1e3 * theirs:>8.1f} {1e3 * preset:>8.2f} "
            f"{theirs / preset:>6.1f} {1e3 * default:>8.2f}",
            flush=True,
        )


def preset_for(n_generations: int) -> Method:
    solver = GeneticSolver.published().set_params(n_generations=n_generations)
    return ours(solver, refit=False)


def default_for(n_generations: int) -> Method:
    return ours(GeneticSolver(n_generations=n_generations), refit=False)


def unique(items: Iterator[Any]) -> list[Any]:
    return list(dict.fromkeys(items))


# --- the command --------------------------------------------------------------------


def main() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(1)
    if not arguments.skip_mlcpl:
        try:
            import_mlcpl()
        except ImportError as error:
            sys.exit(f"ga_vs_published: {error}")
    with threadpool_limits(limits=1):
        run(arguments)


def run(arguments: argparse.Namespace) -> None:
    warnings.simplefilter("ignore", UndefinedCategoryWarning)
    started = time.perf_counter()
    with_mlcpl = not arguments.skip_mlcpl
    warm_up(with_mlcpl=with_mlcpl)
    names = present_sets(arguments.sets, arguments.data)
    plan = {name: mlcpl_seeds(name, arguments) for name in names}
    print_header(arguments, plan)
    results = [
        result
        for name in names
        for seed in seeds_of(arguments)
        for result in measure_all(name, seed, arguments.data, seed in plan[name])
    ]
    print_means(results)
    print_comparisons(results)
    sizes = [(1000, 128)] if arguments.quick else [(1000, 128), (8000, 1280)]
    print_generation_times(sizes, with_mlcpl=with_mlcpl)
    if arguments.output is not None:
        write_csv(results, arguments.output)
    print(f"\ndone in {(time.perf_counter() - started) / 60:.1f} minutes")


def measure_all(name: str, seed: int, folder: Path, with_mlcpl: bool) -> list[Result]:
    problem = make_problem(name, seed, folder)
    methods = {
        "default": ours(GeneticSolver(), refit=False),
        "default+refit": ours(GeneticSolver(), refit=True),
        "preset": ours(GeneticSolver.published(), refit=False),
    }
    if with_mlcpl:
        methods["mlcpl"] = published_by_mlcpl()
    results = []
    for method_name, method in methods.items():
        results.append(measure(problem, method_name, method))
        print_result(results[-1])
    return results


def seeds_of(arguments: argparse.Namespace) -> range:
    return range(arguments.first_seed, arguments.first_seed + arguments.seeds)


def mlcpl_seeds(name: str, arguments: argparse.Namespace) -> range:
    if arguments.skip_mlcpl:
        return range(0)
    count = arguments.mlcpl_seeds
    count = MLCPL_SEEDS.get(name, 3) if count is None else count
    return seeds_of(arguments)[:count]


def print_header(arguments: argparse.Namespace, plan: dict[str, range]) -> None:
    seeds = seeds_of(arguments)
    print("\n".join(describe_machine(PACKAGES)))
    print(f"threads   1; objective {OBJECTIVE}; seeds {list(seeds)}")
    print(f"default   {parameters(GeneticSolver())}")
    print(f"preset    {parameters(GeneticSolver.published())}")
    for name, chosen in plan.items():
        if len(chosen) < len(seeds):
            print(f"limited   {name}: mlcpl runs on seeds {list(chosen)} only")
    print(
        f"\n{'data':<12} {'seed':>4} {'method':<14} {'test':>7} {'after':>7} "
        f"{'held out':>9} {'after':>7} {'seconds':>8} {'CPU s':>8} {'generations':>11}"
    )


def parameters(solver: GeneticSolver) -> str:
    return ", ".join(f"{name}={value}" for name, value in solver.get_params().items())


def present_sets(names: list[str], folder: Path) -> list[str]:
    """Drop the sets whose file is absent, and say so."""
    present = []
    for name in names:
        path = folder / f"{name.split('-')[0]}.npz"
        if name.startswith("panels") or path.exists():
            present.append(name)
        else:
            print(f"skipped   {name}: no file {path}")
    return present


def warm_up(*, with_mlcpl: bool) -> None:
    """Let every method import and allocate before its clock runs."""
    problem = synthetic_problem(200, 5, 50)
    makers = [default_for, preset_for] + [published_by_mlcpl] * with_mlcpl
    for make in makers:
        make(2)(problem)


def write_csv(results: list[Result], path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Result)])
        writer.writeheader()
        writer.writerows(asdict(result) for result in results)
    print(f"\nwritten   {path}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds")
    parser.add_argument("--first-seed", type=int, default=0, help="the first of them")
    parser.add_argument(
        "--mlcpl-seeds",
        type=int,
        default=None,
        help="how many of them mlcpl runs on (by default 3, and 1 on panels-30)",
    )
    parser.add_argument("--sets", nargs="+", choices=KNOWN, default=list(KNOWN))
    parser.add_argument("--skip-mlcpl", action="store_true", help="do not run mlcpl")
    parser.add_argument("--quick", action="store_true", help="one seed of emotions-10")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(__file__).resolve().parents[2] / "shared" / "data",
        help="folder of scene.npz and emotions.npz",
    )
    parser.add_argument("--output", type=Path, default=None, help="CSV file to write")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds, arguments.sets = 1, ["emotions-10"]
    return arguments


if __name__ == "__main__":
    main()
