"""Compare refits with their peers in quality: mAP and mAUC on fully labelled test rows.

For every source, trunk, scheme of hiding labels, share of known labels and seed a
problem is made (``_problems.py``): labels hidden, 25 % of the known ones held out,
stage one trained on the rest with unknown labels as negatives. Every method
(``_peers.py``) starts from the same rows, fits the same labels and chooses by the same
held-out labels, for each objective, on one thread. The header of the output gives the
settings of all methods. ``an`` is the initial weights as they are: the floor.

Scores are means over the categories with both classes in the test rows. ``worse`` and
``improved`` are shares of these categories whose own score by the objective moved from
that of ``an`` by more than 0.01. Seconds are wall time of stage two.

The CSV grows as problems finish. A run with the same CSV computes only what is not in
it, so a run may be stopped at any time, or extended by seeds, sources or methods.

Run it from anywhere; with all sources, 5 seeds and the default methods it takes many
hours::

    pip install --no-deps libauc==2.0.1 mlcpl==0.1.7 torchmetrics==1.9.0 \
lightning-utilities tensorboard protobuf absl-py      # optional peers
    python benchmarks/quality.py --output quality.csv --figure quality.png --jobs 2
    python benchmarks/quality.py --output quality.csv --sources emotions --seeds 1
    python benchmarks/quality.py --output quality.csv --summary-only
    python benchmarks/quality.py --short       # a minute, synthetic data, no file

``single_positive`` leaves no known negative, so no peer refits anything there. Cells
in which no category is refitted are named, but not compared.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _machine import describe_machine
from _peers import (
    METHODS,
    OBJECTIVES,
    Rows,
    missing,
    refittable,
    warm_up,
)
from _problems import (
    DATA_FOLDER,
    SOURCES,
    TRUNKS,
    AbsentDataError,
    Problem,
    data_folder,
    make_problem,
    present_sources,
)
from _quality_summary import (
    METRIC_NAMES,
    MOVED,
    Cell,
    Line,
    draw_figure,
    print_summary,
)
from _tables import append_csv, read_csv
from joblib import Parallel, delayed
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from cftlearn.exceptions import UndefinedCategoryWarning
from cftlearn.metrics import partial_average_precision_score, partial_roc_auc_score

SCHEMES = ("uniform", "report_like", "single_positive")
KNOWN = (0.01, 0.05, 0.1, 0.3, 0.6, 0.9)
DEFAULT_METHODS = (
    "an",
    "ga_published",
    "bp_published",
    "ignore_lr",
    "ignore_lr_ll",
    "libauc_auc",
    "libauc_ap",
    "ga",
    "bce",
    "proximal",
    "auto",
)
SHORT = {
    "sources": ["synthetic"],
    "trunks": ["raw"],
    "schemes": ["uniform"],
    "known": [0.1, 0.3],
    "seeds": 1,
    "methods": ["an", "ignore_lr", "bce", "auto"],
}
SCORES: dict[str, Callable[..., Any]] = {
    "average_precision": partial_average_precision_score,
    "roc_auc": partial_roc_auc_score,
}
PACKAGES = [
    "cftlearn",
    "numpy",
    "torch",
    "scikit-learn",
    "deap",
    "mlcpl",
    "torchmetrics",
    "libauc",
]
# What methods raise on data they cannot handle; LibAUC checks with assert.
FAILURES = (ValueError, RuntimeError, ArithmeticError, AssertionError)


@dataclass(frozen=True)
class Task:
    """A problem, and what is to be measured on it."""

    source: str
    trunk: str
    scheme: str
    known: float | None
    seed: int
    wanted: tuple[tuple[str, str], ...]  # objective, method

    @property
    def cell(self) -> Cell:
        """Name what seeds are averaged over."""
        known = "-" if self.known is None else f"{self.known:g}"
        return self.source, self.trunk, self.scheme, known


# --- measurement --------------------------------------------------------------------


def plan_tasks(arguments: argparse.Namespace, done: set[tuple[Any, ...]]) -> list[Task]:
    """List what the CSV lacks, seed by seed."""
    last = arguments.first_seed + arguments.seeds
    tasks = [
        Task(source, trunk, scheme, known, seed, ())
        for seed in range(arguments.first_seed, last)
        for source in arguments.sources
        for trunk in trunks_of(source)
        if trunk in arguments.trunks
        for scheme in arguments.schemes
        for known in ([None] if scheme == "single_positive" else arguments.known)
    ]
    pairs = [
        (objective, method)
        for objective in arguments.objectives
        for method in arguments.methods
        if objective in METHODS[method].objectives
    ]
    plan = []
    for task in tasks:
        wanted = tuple(p for p in pairs if (*task.cell, task.seed, *p) not in done)
        if wanted:
            plan.append(replace(task, wanted=wanted))
    return plan


def trunks_of(source: str) -> tuple[str, ...]:
    return TRUNKS.get(source, ("raw",))


def measure_task(
    task: Task, folder: Path, cache: Path | None
) -> tuple[list[Line], list[str]]:
    """Make a problem and run methods on it; give their lines, and what went wrong."""
    torch.set_num_threads(1)
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            problem = make_problem(
                task.source,
                task.trunk,
                task.scheme,
                task.known,
                task.seed,
                folder=folder,
                cache=cache,
            )
        except AbsentDataError as error:
            return [], [f"skipped   {task.source}: {error}"]
        return run_methods(task, problem)


def run_methods(task: Task, problem: Problem) -> tuple[list[Line], list[str]]:
    lines, notes = [], []
    fits: dict[str, tuple[Rows, float]] = {}  # of methods that ignore the objective
    for objective, name in task.wanted:
        warm_up(name)
        try:
            rows, seconds = fits.get(name) or timed(problem, name, objective, task.seed)
            lines.append(score_rows(task, problem, objective, name, rows, seconds))
        except FAILURES as error:
            place = " ".join([*task.cell, f"seed {task.seed}", objective])
            notes.append(f"failed    {name} on {place}: {error!r}")
            continue
        if not METHODS[name].uses_objective:
            fits[name] = rows, seconds
    return lines, notes


def timed(problem: Problem, name: str, objective: str, seed: int) -> tuple[Rows, float]:
    started = time.perf_counter()
    rows = METHODS[name].fit(problem, objective, seed)
    return rows, time.perf_counter() - started


def score_rows(
    task: Task,
    problem: Problem,
    objective: str,
    method: str,
    rows: Rows,
    seconds: float,
) -> Line:
    source, trunk, scheme, known = task.cell
    before = category_scores(problem, Rows(problem.coef, problem.intercept), objective)
    after = category_scores(problem, rows, objective)
    means = {
        METRIC_NAMES[name]: mean(category_scores(problem, rows, name))
        for name in OBJECTIVES
    }
    return Line(
        source=source,
        trunk=trunk,
        scheme=scheme,
        known=known,
        seed=task.seed,
        objective=objective,
        method=method,
        n_scored=len(before),
        n_refittable=int(refittable(problem).sum()),
        worse=mean(after < before - MOVED),
        improved=mean(after > before + MOVED),
        seconds=round(seconds, 4),
        **means,
    )


def mean(values: NDArray[Any]) -> float:
    """Average, with no more digits than the CSV is to hold."""
    return round(float(np.mean(values)), 6)


def category_scores(
    problem: Problem, rows: Rows, objective: str
) -> NDArray[np.float64]:
    """Score the categories that have both classes in the test rows."""
    logits = problem.Z_test @ rows.coef.T + rows.intercept
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedCategoryWarning)
        scores = SCORES[objective](problem.y_test, logits, average=None)
    return scores[~np.isnan(scores)]


# --- the CSV ------------------------------------------------------------------------


def read_lines(path: Path | None) -> list[Line]:
    return read_csv(path, Line)


def append_lines(path: Path | None, lines: list[Line]) -> None:
    append_csv(path, lines)


# --- the command --------------------------------------------------------------------


def main() -> None:
    arguments = parse_arguments()
    if arguments.summary_only:
        lines = read_lines(arguments.output)
    else:
        with data_folder(arguments) as arguments.data, threadpool_limits(limits=1):
            lines = run(arguments)
    if not lines:
        sys.exit("quality: there are no lines to sum up")
    print_summary(lines, arguments.subject)
    if arguments.figure is not None:
        draw_figure(lines, arguments.subject, arguments.figure)


def run(arguments: argparse.Namespace) -> list[Line]:
    started = time.perf_counter()
    torch.set_num_threads(1)
    print("\n".join(describe_machine(PACKAGES)))
    arguments.methods = present_methods(arguments.methods)
    arguments.sources = present_sources(arguments)
    lines = read_lines(arguments.output)
    tasks = plan_tasks(arguments, {line.key for line in lines})
    print_header(arguments, tasks, len(lines))
    parallel = Parallel(n_jobs=arguments.jobs, return_as="generator_unordered")
    jobs = (delayed(measure_task)(t, arguments.data, arguments.cache) for t in tasks)
    said = set()
    for count, (new, notes) in enumerate(parallel(jobs), 1):
        append_lines(arguments.output, new)
        lines += new
        for note in notes:
            if note not in said:
                print(note)
        said.update(notes)
        if new:
            place = " ".join((*new[0].cell, f"seed {new[0].seed}"))
            took = (time.perf_counter() - started) / 60
            print(f"[{count}/{len(tasks)}] {place} ({took:.1f} minutes)", flush=True)
    return lines


def present_methods(names: list[str]) -> list[str]:
    """Leave out what cannot run here, saying why; the initial weights always count."""
    present = []
    for name in dict.fromkeys(["an", *names]):
        reason = missing(name)
        if reason is None:
            present.append(name)
        else:
            print(f"left out  {name}: {reason}")
    return present


def print_header(
    arguments: argparse.Namespace, tasks: list[Task], n_lines: int
) -> None:
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    print(f"threads   1 in each of {arguments.jobs} processes; seeds {list(seeds)}")
    print(f"hidden    known {arguments.known}, schemes {', '.join(arguments.schemes)}")
    print(f"sources   {', '.join(arguments.sources)}")
    for name in arguments.methods:
        print(f"{name:<14}{METHODS[name].settings}")
    wanted = sum(len(task.wanted) for task in tasks)
    print(f"\n{n_lines} lines are in the CSV; {wanted} to compute", flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--sources", nargs="+", choices=SOURCES, default=list(SOURCES))
    trunks = list(dict.fromkeys(t for names in TRUNKS.values() for t in names))
    add("--trunks", nargs="+", choices=trunks, default=trunks)
    add("--known", nargs="+", type=float, default=list(KNOWN), help="known shares")
    add("--schemes", nargs="+", choices=SCHEMES, default=list(SCHEMES))
    add("--seeds", type=int, default=5, help="how many seeds")
    add("--first-seed", type=int, default=0, help="the first of them")
    add("--methods", nargs="+", choices=METHODS, default=list(DEFAULT_METHODS))
    add("--objectives", nargs="+", choices=OBJECTIVES, default=list(OBJECTIVES))
    add("--subject", choices=METHODS, default="auto", help="method the claims are of")
    add("--jobs", type=int, default=1, help="processes, each with one problem")
    add(
        "--cache",
        type=Path,
        help="folder that keeps problems, up to 60 MB each; nih1000 needs it",
    )
    add("--data", type=Path, default=DATA_FOLDER, help="folder of the sources")
    add("--output", type=Path, help="CSV file to write, and to go on with")
    add("--figure", type=Path, help="PNG file to draw")
    add("--summary-only", action="store_true", help="sum up the CSV, measure nothing")
    add("--short", action="store_true", help="a small run on synthetic data")
    arguments = parser.parse_args()
    if arguments.summary_only and arguments.output is None:
        parser.error("--summary-only needs --output, the CSV to read")
    if arguments.short:
        vars(arguments).update(SHORT)
    return arguments


if __name__ == "__main__":
    main()
