"""How fast: a generation of the genetic algorithm, a score, a whole refit, a GPU.

``generation``
    One generation of one category with the published operators (population 50) and the
    validation score of its best row: mlcpl 0.1.7 with torchmetrics on all cores against
    ``GeneticSolver.published()``, on one core, and per category where every core has
    one of its own, as ``n_jobs`` does it. ``Python and DEAP`` is what is left of a
    generation beside matrix product and ranking, measured alone.
``score``
    Time until the default setting of the genetic algorithm reaches the best validation
    score that the published one ends with, per category, on one thread; and the time
    that the published one took to reach it.
``refit``
    ``solver="auto"`` from features and initial weights to refitted weights, at the
    sizes of MS-COCO and of CheXpert (its real labels where torchxrayvision is
    installed, else simulated ones), with peak memory beyond the features. Features are
    simulated.
``gpu``
    One generation of all categories at once on a CUDA GPU, with the validation
    scores of their best rows, against mlcpl with torchmetrics on the same GPU: its time
    for one category, times their number. ``--device cpu`` runs small sizes on torch's
    CPU device, which shows that it runs and says nothing of a GPU.

Run it from anywhere; a part takes a few minutes::

    pip install --no-deps mlcpl==0.1.7 torchmetrics==1.9.0 lightning-utilities \
tensorboard protobuf absl-py torchxrayvision      # optional peers and labels
    python benchmarks/speed.py
    python benchmarks/speed.py --parts refit --jobs 2
"""

import argparse
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _gpu import SHAPES as GPU_SHAPES
from _gpu import SMALL_SHAPES, Shape, compare, fits_on
from _large import chexpert_labels, make_features, make_large, mean_difference_rows
from _machine import describe_machine
from _mlcpl import import_mlcpl, linear
from _peers import MLCPL_GA, missing, mlcpl_metric
from _problems import DATA_FOLDER, AbsentDataError, make_problem
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from cftlearn import CategoryWiseFineTuner
from cftlearn.base import CategoryProblem, KnownRows
from cftlearn.exceptions import UndefinedCategoryWarning
from cftlearn.metrics._objectives import make_objective
from cftlearn.solvers import GeneticSolver

PARTS = ("generation", "score", "refit", "gpu")
SHAPES = ((20_000, 1280), (2_000, 1280))
SETS = (
    ("scene", "mlp", 0.1),
    ("emotions", "raw", 0.3),
    ("birds", "raw", 0.3),
    ("coco355", "raw", 0.9),
)
COCO = {"n": 82_000, "d": 2048, "n_categories": 80, "known": 0.1}
CHEXPERT = {"n": 223_414, "d": 1024, "n_categories": 14, "known": 0.227}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--device", default="cuda", help="of the part gpu")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", type=Path, default=DATA_FOLDER)
    parser.add_argument("--cache", type=Path, default=None)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", UndefinedCategoryWarning)
    packages = ["cftlearn", "numpy", "torch", "deap", "mlcpl", "torchmetrics"]
    print(*describe_machine(packages), sep="\n")
    for part in arguments.parts:
        print(f"\n--- {part}")
        {"generation": generation, "score": score, "refit": refit, "gpu": gpu}[part](
            arguments
        )


# --- one generation -----------------------------------------------------------------


def generation(arguments: argparse.Namespace) -> None:
    lacks = missing("mlcpl_ga")
    if lacks:
        print(f"mlcpl is not compared: {lacks} not installed")
    for n, d in SHAPES:
        for name in ("average_precision", "roc_auc"):
            problem = ga_problem(n, d, name)
            print(f"\n{n} known labels x {d} features, {name}; ms per generation")
            ours = spread(arguments, lambda p=problem: published_generation(p))
            shared = spread(
                arguments, lambda p=problem: shared_generations(p, arguments.jobs)
            )
            kernel = spread(arguments, lambda p=problem: kernels_alone(p))
            print(f"  published(), one core          {in_ms(ours)}")
            print(f"  published(), {arguments.jobs} cores, each one  {in_ms(shared)}")
            share = 1 - np.median(kernel) / np.median(ours)
            print(f"  product and ranking alone      {in_ms(kernel)}", end="")
            print(f"  Python and DEAP {100 * share:.0f} %")
            if not lacks:
                peer = spread(arguments, lambda p=problem: peer_generation(p))
                print(f"  mlcpl and torchmetrics, all    {in_ms(peer)}", end="")
                ratios = [np.median(peer) / np.median(x) for x in (ours, shared)]
                print(f"  {ratios[0]:.1f} and {ratios[1]:.1f} times ours")


def ga_problem(n: int, d: int, objective: str, seed: int = 0) -> CategoryProblem:
    """Draw features of unit variance, labels by a noisy rule, and a rough row."""
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((n + n // 4, d), dtype=np.float32)
    rule = rng.standard_normal(d) / np.sqrt(d)
    y = Z @ rule + rng.standard_normal(len(Z)) > 1.5
    return CategoryProblem(
        train=KnownRows(Z[:n], y[:n]),
        validation=KnownRows(Z[n:], y[n:]),
        coef=rule + rng.standard_normal(d) / np.sqrt(d),
        intercept=0.0,
        objective=make_objective(objective),
        feature_mean=Z.mean(axis=0, dtype=np.float64),
        feature_scale=Z.std(axis=0, dtype=np.float64),
        random_state=seed,
    )


def generations(problem: CategoryProblem, count: int) -> float:
    solver = GeneticSolver.published().set_params(n_generations=count, patience=9999)
    started = time.perf_counter()
    solver.fit_row(problem)
    return time.perf_counter() - started


def published_generation(problem: CategoryProblem) -> float:
    """Time one of many generations, without what comes before the first."""
    with threadpool_limits(limits=1):
        return (generations(problem, 32) - generations(problem, 2)) / 30


def shared_generations(problem: CategoryProblem, jobs: int) -> float:
    """Time a generation per category, where each core works on another one."""

    def seconds(count: int) -> float:
        started = time.perf_counter()
        Parallel(n_jobs=jobs, prefer="threads")(
            delayed(generations)(problem, count) for _ in range(jobs)
        )
        return time.perf_counter() - started

    with threadpool_limits(limits=1):
        return (seconds(32) - seconds(2)) / 30 / jobs


def kernels_alone(problem: CategoryProblem) -> float:
    """Time the product and the ranking of 50 rows, and those of the best one."""
    train = np.asfortranarray(problem.train.Z)
    rows = np.random.default_rng(0).standard_normal((50, train.shape[1]))
    rows = rows.astype(np.float32)
    with threadpool_limits(limits=1):
        started = time.perf_counter()
        for _ in range(5):
            problem.objective(problem.train.y, rows @ train.T)
            problem.objective(problem.validation.y, rows[:1] @ problem.validation.Z.T)
        return (time.perf_counter() - started) / 5


def peer_generation(problem: CategoryProblem) -> float:
    """Time the authors' step and the validation score of its row."""
    metric = mlcpl_metric(problem.objective.name)
    solver = import_mlcpl().GAForLinear(device="cpu", metric=metric, **MLCPL_GA)
    solver.set_head(linear(problem.coef, problem.intercept))
    parts = [
        torch.from_numpy(np.asarray(values))
        for known in (problem.train, problem.validation)
        for values in (known.Z, known.y.astype(np.float32)[:, None])
    ]
    started = time.perf_counter()
    for _ in range(5):
        solver.step(parts[0], parts[1])
        with torch.no_grad():
            metric(solver.head(parts[2]), parts[3])
    return (time.perf_counter() - started) / 5


def spread(arguments: argparse.Namespace, measure: Callable[[], float]) -> list[float]:
    measure()
    return [measure() for _ in range(arguments.repeats)]


def in_ms(seconds: list[float]) -> str:
    low, middle, high = 1e3 * np.quantile(seconds, [0, 0.5, 1])
    return f"{middle:7.1f}  ({low:.1f} to {high:.1f})"


# --- time to a score ----------------------------------------------------------------


def score(arguments: argparse.Namespace) -> None:
    print("time to the published setting's last best validation score, one thread")
    print(
        f"{'set':<22} {'reached':>9} {'published s':>12} {'default s':>10} {'ratio':>6}"
    )
    for source, trunk, known in SETS:
        try:
            rows = [
                row
                for seed in range(arguments.seeds)
                for row in race(source, trunk, known, seed, arguments)
            ]
        except AbsentDataError as error:
            print(f"skipped   {source}: {error}")
            continue
        table = np.array(rows)
        reached = np.isfinite(table[:, 1])
        slow, quick = table[reached].sum(axis=0)
        label = f"{source} {trunk} {100 * known:.0f} %"
        print(
            f"{label:<22} {reached.sum():>4}/{len(table):<4} {slow:>12.2f} "
            f"{quick:>10.3f} {slow / quick:>6.0f}"
        )


def race(
    source: str, trunk: str, known: float, seed: int, arguments: argparse.Namespace
) -> list[tuple[float, float]]:
    """Time both settings on every category that the published one improves."""
    problem = make_problem(
        source,
        trunk,
        "uniform",
        known,
        seed,
        folder=arguments.data,
        cache=arguments.cache,
    )
    with threadpool_limits(limits=1):
        slow, quick = (
            by_category(problem, solver, seed)
            for solver in (GeneticSolver.published(), GeneticSolver())
        )
    rows = []
    for name, (history, seconds, before) in slow.items():
        best = max(history)
        if best <= before:
            continue
        other, other_seconds, _ = quick[name]
        hits = np.flatnonzero(np.array(other) >= best)
        taken = seconds * (history.index(best) + 1) / len(history)
        share = (hits[0] + 1) / len(other) if len(hits) else np.inf
        rows.append((taken, other_seconds * share))
    return rows


def by_category(problem: Any, solver: GeneticSolver, seed: int) -> dict[str, Any]:
    """Return validation scores by generation, seconds, and the score at the start."""
    tuner = CategoryWiseFineTuner(
        solver,
        objective="average_precision",
        coef_init=problem.coef,
        intercept_init=problem.intercept,
        refit=False,
        random_state=seed,
    )
    tuner.fit(problem.Z, problem.y, validation_data=(problem.Z, problem.y_held))
    found = {}
    for line in tuner.report_:
        if line["status"] != "skipped":
            name = line["category"]
            own = [r["score_val"] for r in tuner.history_ if r["category"] == name]
            found[name] = own, line["seconds"], line[f"{line['metric']}_before"]
    return found


# --- a whole refit ------------------------------------------------------------------


def refit(arguments: argparse.Namespace) -> None:
    print(
        f"solver='auto', n_jobs={arguments.jobs}; "
        "features and initial weights are given"
    )
    for name, size in (("MS-COCO", COCO), ("CheXpert", CHEXPERT)):
        # a fresh process, so that the peak of memory is its own
        process = get_context("spawn").Process(
            target=one_refit, args=(name, dict(size), arguments.jobs)
        )
        process.start()
        process.join()
        if process.exitcode:
            sys.exit(f"speed: the refit of {name} size failed")


def one_refit(name: str, size: dict[str, Any], jobs: int) -> None:
    real = chexpert_labels() if name == "CheXpert" else None
    if real is None:
        problem = make_large(**size)
        Z, y, coef, intercept = problem.Z, problem.y, problem.coef, problem.intercept
    else:
        y = real[0]
        Z = make_features(len(y), size["d"])
        rng = np.random.default_rng(0)
        for j in range(y.shape[1]):  # a little signal for every category
            Z[y[:, j] == 1, rng.integers(size["d"], size=8)[:, None]] += 0.5
        coef, intercept = mean_difference_rows(Z, y)
    known = np.count_nonzero(~np.isnan(y), axis=0)
    labels = "real labels" if real else "simulated labels"
    print(
        f"\n{name}: {len(Z)} x {Z.shape[1]} float32, {y.shape[1]} categories, "
        f"{known.min()} to {known.max()} known, {labels}"
    )
    tuner = CategoryWiseFineTuner(
        coef_init=coef, intercept_init=intercept, n_jobs=jobs, random_state=0
    )
    started = time.perf_counter()
    tuner.fit(Z, y)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(
        f"  {seconds:.0f} s; peak memory {peak / 2**30:.2f} GiB, "
        f"{(peak - Z.nbytes) / 2**30:.2f} GiB beyond the features"
    )
    statuses = [line["status"] for line in tuner.report_]
    print("  " + ", ".join(f"{statuses.count(s)} {s}" for s in sorted(set(statuses))))


# --- a generation of all categories on a GPU ----------------------------------------


def gpu(arguments: argparse.Namespace) -> None:
    device = arguments.device
    if device != "cpu" and not torch.cuda.is_available():
        print(
            "skipped: torch finds no CUDA GPU here (--device cpu runs small sizes on "
            "torch's CPU device, to show that this part works)"
        )
        return
    if device == "cpu":
        print("ON THE CPU, with small sizes: no figure of a GPU")
    else:
        print(f"on {torch.cuda.get_device_name(device)}")
    lacks = missing("mlcpl_ga")
    if lacks:
        print(f"mlcpl is not compared: {lacks} not installed")
    for shape in SMALL_SHAPES if device == "cpu" else GPU_SHAPES:
        if not fits_on(shape, device):
            print(f"\n{shape} needs more memory than this GPU has")
            continue
        for figure in compare(shape, device, arguments.repeats, with_peer=not lacks):
            print_figure(shape, figure)


def print_figure(shape: Shape, figure: dict[str, Any]) -> None:
    """Print what a generation takes, ours and the authors'."""
    ours, loop = figure["seconds"], figure["peer_seconds"]
    print(
        f"\n{shape.n_categories} categories x {shape.n_known} known labels x "
        f"{shape.n_features} features, {figure['objective']}; ms per generation of all"
    )
    print(f"  all at once                    {in_ms(ours)}")
    if loop is not None:
        print(f"  mlcpl and torchmetrics         {in_ms(loop)}", end="")
        print(f"  {np.median(loop) / np.median(ours):.1f} times ours")


if __name__ == "__main__":
    main()
