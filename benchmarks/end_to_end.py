"""Compare the whole classifier with plain training loops: network in, scores out.

For every source, scheme of hiding labels, share of known labels and seed, all methods
get the same inputs, partial labels and network, and train it with the same optimiser,
schedule, batches and number of epochs: those that CFTClassifier has by default. Vectors
are standardised on training rows and go into one hidden layer of 256 ReLU units; digit
panels go into the network of the demo. Nothing but the final score sees test rows.

The methods are in ``_end_to_end_methods.py``, and the header of the output gives the
settings of each:

- ``loop_*``: plain loops on known labels, the mean logits of two and three of them (as
  dear as two and three trainings), unknown labels as negatives, or as weak negatives.
- ``lr_*``: logistic regressions on the inputs, where these are vectors.
- ``mlcpl_*``: the same loop with mlcpl's own losses and pseudo-labels.
  ``_mlcpl_loops.py`` says what that package cannot do by itself.
- ``cft*``: variants of this package's classifier, after the refit, and (``_before``)
  the output of the network as stage one left it. Seconds of both are of the whole fit.

What cannot run is named with its reason: a package or data that are absent, a variant
that this version refuses, mlcpl's permanent correction of large losses (LL-Cp), which
mlcpl 0.1.7 does not have. ``cft_published``, ``cft_layers`` and ``cft_rounds`` run on
request only: the first takes hours where there are many categories.

Scores are means over the categories with both classes among the known test labels.
Labels of tox21 are unknown by nature in part; hiding comes on top, and its test
labels are those known. All networks are on the CPU, with one thread.

The CSV grows as problems finish. A run with the same CSV computes only what is not in
it, so a run may be stopped at any time, or extended by seeds, sources or methods::

    pip install --no-deps mlcpl==0.1.7         # optional peers; of it, torch is enough
    python benchmarks/end_to_end.py --output end_to_end.csv --cache cache --jobs 2
    python benchmarks/end_to_end.py --output end_to_end.csv --sources emotions --seeds 1
    python benchmarks/end_to_end.py --output end_to_end.csv --summary-only \
--figure end_to_end.png
    python benchmarks/end_to_end.py --short    # under a minute, synthetic data, no file
"""

import argparse
import sys
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _end_to_end_figure import draw_figure
from _end_to_end_methods import (
    METHODS,
    REFERENCE,
    SLOW,
    TRAINING,
    Runs,
    missing,
    warm_up,
)
from _end_to_end_summary import Cell, Line, pack_ap, print_summary
from _loops import EPOCHS, Problem, make_problem
from _machine import describe_machine
from _problems import (
    DATA_FOLDER,
    TABLES,
    AbsentDataError,
    data_folder,
    present_sources,
)
from _tables import append_csv, read_csv
from joblib import Parallel, delayed
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from cftlearn.exceptions import UndefinedCategoryWarning
from cftlearn.metrics import partial_average_precision_score, partial_roc_auc_score

SOURCES = ("panels", *TABLES, "coco355", "nih1000", "tox21")
SCHEMES = ("uniform", "report_like", "single_positive")
DEFAULT_METHODS = [name for name in METHODS if name not in SLOW]
SHORT = {
    "sources": ["synthetic"],
    "schemes": ["uniform", "report_like"],
    "known": [0.3],
    "seeds": 2,
    "epochs": 3,
    "methods": ["loop_ignore_2", "loop_negative", "lr_known", "cft"],
}
PACKAGES = ["cftlearn", "numpy", "torch", "scikit-learn", "mlcpl"]
FAILURES = (ValueError, RuntimeError, ArithmeticError)


@dataclass(frozen=True)
class Task:
    """A problem, and what is to be measured on it."""

    source: str
    scheme: str
    known: float | None
    seed: int
    epochs: int
    wanted: tuple[str, ...]

    @property
    def cell(self) -> Cell:
        """Name what seeds are averaged over."""
        known = "-" if self.known is None else f"{self.known:g}"
        return self.source, self.scheme, known


# --- measurement --------------------------------------------------------------------


def plan_tasks(arguments: argparse.Namespace, done: set[tuple[Any, ...]]) -> list[Task]:
    """List what the CSV lacks, seed by seed."""
    last = arguments.first_seed + arguments.seeds
    tasks = [
        Task(source, scheme, known, seed, arguments.epochs, ())
        for seed in range(arguments.first_seed, last)
        for source in arguments.sources
        for scheme in arguments.schemes
        for known in ([None] if scheme == "single_positive" else arguments.known)
    ]
    plan = []
    for task in tasks:
        wanted = tuple(
            name
            for name in arguments.methods
            if (*task.cell, task.seed, name) not in done
            and not (task.source == "panels" and METHODS[name].needs_vectors)
        )
        if wanted:
            plan.append(replace(task, wanted=wanted))
    return plan


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
                task.scheme,
                task.known,
                task.seed,
                epochs=task.epochs,
                folder=folder,
                cache=cache,
            )
        except AbsentDataError as error:
            return [], [f"skipped   {task.source}: {error}"]
        warm_up()
        return run_methods(task, problem)


def run_methods(task: Task, problem: Problem) -> tuple[list[Line], list[str]]:
    runs, lines, notes = Runs(problem, task.seed), [], []
    for name in task.wanted:
        try:
            logits, seconds = METHODS[name].run(runs)
            lines.append(score_line(task, problem, name, logits, seconds))
        except FAILURES as error:
            place = " ".join([*task.cell, f"seed {task.seed}"])
            notes.append(f"failed    {name} on {place}: {error!r}")
    return lines, notes


def score_line(
    task: Task,
    problem: Problem,
    method: str,
    logits: NDArray[np.float64],
    seconds: float,
) -> Line:
    """Score logits on the known test labels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedCategoryWarning)
        ap, auc = (
            score(problem.y_test, logits, average=None)
            for score in (partial_average_precision_score, partial_roc_auc_score)
        )
    source, scheme, known = task.cell
    return Line(
        source=source,
        scheme=scheme,
        known=known,
        seed=task.seed,
        epochs=task.epochs,
        method=method,
        n_scored=int(np.sum(~np.isnan(auc))),
        mAP=round(float(np.nanmean(ap)), 6),
        mAUC=round(float(np.nanmean(auc)), 6),
        seconds=round(seconds, 4),
        category_ap=pack_ap(ap),
    )


# --- the command --------------------------------------------------------------------


def main() -> None:
    arguments = parse_arguments()
    if arguments.summary_only:
        lines = read_csv(arguments.output, Line)
    else:
        with data_folder(arguments) as arguments.data, threadpool_limits(limits=1):
            lines = run(arguments)
    if not lines:
        sys.exit("end_to_end: there are no lines to sum up")
    print_summary(lines)
    if arguments.figure is not None:
        draw_figure(lines, arguments.figure)


def run(arguments: argparse.Namespace) -> list[Line]:
    started = time.perf_counter()
    torch.set_num_threads(1)
    print("\n".join(describe_machine(PACKAGES)))
    arguments.methods = present_methods(arguments.methods)
    arguments.sources = present_sources(arguments)
    lines = read_csv(arguments.output, Line)
    check_epochs(lines, arguments)
    tasks = plan_tasks(arguments, {line.key for line in lines})
    print_header(arguments, tasks, len(lines))
    parallel = Parallel(n_jobs=arguments.jobs, return_as="generator_unordered")
    jobs = (delayed(measure_task)(t, arguments.data, arguments.cache) for t in tasks)
    said: set[str] = set()
    for count, (new, notes) in enumerate(parallel(jobs), 1):
        append_csv(arguments.output, new)
        lines += new
        print_notes(notes, said)
        if new:
            place = " ".join((*new[0].cell, f"seed {new[0].seed}"))
            took = (time.perf_counter() - started) / 60
            print(f"[{count}/{len(tasks)}] {place} ({took:.1f} minutes)", flush=True)
    return lines


def print_notes(notes: list[str], said: set[str]) -> None:
    """Print what went wrong, once."""
    for note in notes:
        if note not in said:
            print(note, flush=True)
    said.update(notes)


def check_epochs(lines: list[Line], arguments: argparse.Namespace) -> None:
    """Stop where the CSV is of another number of epochs."""
    other = {line.epochs for line in lines} - {arguments.epochs}
    if other:
        sys.exit(
            f"end_to_end: {arguments.output} is of {min(other)} epochs, and --epochs "
            f"is {arguments.epochs}; write to another file"
        )


def present_methods(names: list[str]) -> list[str]:
    """Leave out what cannot run here, saying why; the reference always counts."""
    present = []
    absent: dict[str, list[str]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in dict.fromkeys([REFERENCE, *names]):
            reason = missing(name)
            if reason is None:
                present.append(name)
            else:
                absent.setdefault(reason, []).append(name)
    for reason, own in absent.items():
        print(f"left out  {', '.join(own)}: {reason}")
    return present


def print_header(
    arguments: argparse.Namespace, tasks: list[Task], n_lines: int
) -> None:
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    print(f"threads   1 in each of {arguments.jobs} processes; seeds {list(seeds)}")
    print(f"hidden    known {arguments.known}, schemes {', '.join(arguments.schemes)}")
    print(f"sources   {', '.join(arguments.sources)}")
    print(f"training  {arguments.epochs} epochs, {TRAINING}")
    for name in arguments.methods:
        print(f"{name:<26}{METHODS[name].settings}")
    wanted = sum(len(task.wanted) for task in tasks)
    print(f"\n{n_lines} lines are in the CSV; {wanted} to compute", flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--sources", nargs="+", choices=SOURCES, default=list(SOURCES))
    add("--known", nargs="+", type=float, default=[0.05, 0.1, 0.3], help="known shares")
    add("--schemes", nargs="+", choices=SCHEMES, default=list(SCHEMES[:2]))
    add("--seeds", type=int, default=2, help="how many seeds")
    add("--first-seed", type=int, default=0, help="the first of them")
    add("--methods", nargs="+", choices=METHODS, default=DEFAULT_METHODS)
    add("--epochs", type=int, default=EPOCHS, help="of every network")
    add("--jobs", type=int, default=1, help="processes, each with one problem")
    add("--cache", type=Path, help="folder that keeps features; nih1000 needs it")
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
