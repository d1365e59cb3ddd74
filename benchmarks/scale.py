"""How time and memory grow: with known labels, with categories, and past memory.

``growth``
    Seconds of ``solver="auto"`` over a decade of known labels and of categories, from
    features and initial weights, and the exponent of a power law through them. Draws
    them.
``disk``
    Features of half precision in a file larger than the memory that the fit may have:
    the operating system refuses it more than ``--limit`` GiB of its own.

Features and labels are simulated. Run it from anywhere; about ten minutes, and as much
disk as ``--gigabytes`` says, unless the file system keeps sparse files::

    python benchmarks/scale.py --figure growth.png
    python benchmarks/scale.py --parts disk --gigabytes 20 --limit 4
"""

import argparse
import os
import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from _large import make_features, make_large
from _machine import describe_machine

from cftlearn import CategoryWiseFineTuner
from cftlearn.exceptions import UndefinedCategoryWarning

PARTS = ("growth", "disk")
FEATURES = 1024
KNOWN = (2000, 4000, 8000, 20_000)  # labels, of
KNOWN_CATEGORIES = 4
CATEGORIES = (8, 16, 32, 80)  # of
CATEGORY_LABELS = 2000
POOL = 40_000  # rows that labels are known of
DISK_KNOWN = 20_000
DISK_CATEGORIES = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--figure", type=Path, default=None)
    parser.add_argument("--gigabytes", type=float, default=20.0)
    parser.add_argument("--limit", type=float, default=4.0, help="GiB")
    parser.add_argument("--folder", type=Path, default=None, help="of the large file")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", UndefinedCategoryWarning)
    print(*describe_machine(["cftlearn", "numpy", "scipy", "joblib"]), sep="\n")
    print(f"solver='auto', n_jobs={arguments.jobs}, seed 0")
    for part in arguments.parts:
        print(f"\n--- {part}")
        {"growth": growth, "disk": disk}[part](arguments)


# --- growth -------------------------------------------------------------------------


def growth(arguments: argparse.Namespace) -> None:
    curves = {
        "known labels per category": [
            (known, seconds_of(known, KNOWN_CATEGORIES, arguments)) for known in KNOWN
        ],
        "categories": [
            (count, seconds_of(CATEGORY_LABELS, count, arguments))
            for count in CATEGORIES
        ],
    }
    for name, curve in curves.items():
        sizes = np.array([size for size, _ in curve], dtype=float)
        medians = np.array([np.median(seconds) for _, seconds in curve])
        slope = np.polyfit(np.log(sizes), np.log(medians), 1)[0]
        print(f"\n{name}: seconds, median (and all); exponent {slope:.2f}")
        for (size, seconds), median in zip(curve, medians, strict=True):
            each = ", ".join(f"{one:.2f}" for one in seconds)
            print(f"  {size:>6}  {median:7.2f}  ({each})")
    if arguments.figure is not None:
        draw(curves, arguments.figure)


def seconds_of(known: int, count: int, arguments: argparse.Namespace) -> list[float]:
    problem = make_large(POOL, FEATURES, count, known / POOL)
    tuner = CategoryWiseFineTuner(
        coef_init=problem.coef,
        intercept_init=problem.intercept,
        n_jobs=arguments.jobs,
        random_state=0,
    )
    taken = []
    for _ in range(arguments.repeats):
        started = time.perf_counter()
        tuner.fit(problem.Z, problem.y)
        taken.append(time.perf_counter() - started)
    return taken


def draw(curves: dict[str, list[tuple[int, list[float]]]], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    notes = (
        f"{KNOWN_CATEGORIES} categories, {FEATURES} features",
        f"{CATEGORY_LABELS} known labels each, {FEATURES} features",
    )
    for ax, (name, curve), note in zip(axes, curves.items(), notes, strict=True):
        sizes = np.array([size for size, _ in curve], dtype=float)
        medians = np.array([np.median(seconds) for _, seconds in curve])
        ax.loglog(sizes, medians, "o-", color="#0072b2", label="measured, median")
        line = medians[-1] * sizes / sizes[-1]
        ax.loglog(sizes, line, "--", color="#777777", label="linear")
        ax.set_xticks(sizes, [f"{size:,.0f}" for size in sizes], minor=False)
        ax.minorticks_off()
        ax.set_xlabel(name)
        ax.set_ylabel("seconds of a refit")
        ax.set_title(note, fontsize=10)
        ax.legend(frameon=False)
    figure.savefig(path, dpi=150)
    print(f"\nfigure: {path}")


# --- past memory --------------------------------------------------------------------


def disk(arguments: argparse.Namespace) -> None:
    n = int(arguments.gigabytes * 1e9 / 2 / FEATURES)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        place = Path(folder) / "features.npy"
        started = time.perf_counter()
        y, coef, intercept = write(place, n)
        size = place.stat().st_size
        print(
            f"{n:,} x {FEATURES} float16, {size / 1e9:.1f} GB in a file, of which "
            f"{place.stat().st_blocks * 512 / 1e9:.1f} GB are not zero; written in "
            f"{time.perf_counter() - started:.0f} s"
        )
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                fit_within(place, y, coef, intercept, arguments)
                status = 0
            finally:
                sys.stdout.flush()
                os._exit(status)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
            sys.exit("scale: the fit from disk failed")


def write(place: Path, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Write features of the rows that have labels; the others stay holes of zeros."""
    Z = np.lib.format.open_memmap(
        place, mode="w+", dtype=np.float16, shape=(n, FEATURES)
    )
    rng = np.random.default_rng(0)
    rows = np.sort(rng.choice(n, DISK_KNOWN, replace=False))
    known = make_features(DISK_KNOWN, FEATURES)
    Z[rows] = known
    Z.flush()
    rules = rng.standard_normal((FEATURES, DISK_CATEGORIES)) / np.sqrt(FEATURES)
    scores = known @ rules
    scores = 2 * (scores - scores.mean(axis=0)) / scores.std(axis=0)
    scores += rng.standard_normal(scores.shape)
    y = np.full((n, DISK_CATEGORIES), np.nan, dtype=np.float32)
    y[rows] = scores > 1.5
    coef = rules.T + rng.standard_normal(rules.T.shape) / np.sqrt(FEATURES)
    return y, coef, np.zeros(DISK_CATEGORIES)


def fit_within(
    place: Path,
    y: np.ndarray,
    coef: np.ndarray,
    intercept: np.ndarray,
    arguments: argparse.Namespace,
) -> None:
    limit = int(arguments.limit * 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    Z = np.load(place, mmap_mode="r")
    tuner = CategoryWiseFineTuner(
        coef_init=coef, intercept_init=intercept, n_jobs=arguments.jobs, random_state=0
    )
    started = time.perf_counter()
    tuner.fit(Z, y)
    seconds = time.perf_counter() - started
    statuses = [line["status"] for line in tuner.report_]
    print(f"  refitted within {arguments.limit:g} GiB in {seconds:.0f} s: {statuses}")
    started = time.perf_counter()
    logits = tuner.transform(Z)
    print(f"  logits of all rows in {time.perf_counter() - started:.0f} s, ", end="")
    print(f"shape {logits.shape}")


if __name__ == "__main__":
    main()
