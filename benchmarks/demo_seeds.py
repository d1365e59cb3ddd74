"""Run the demo with several seeds: CFT beside plain loops, on labelled test panels.

    python benchmarks/demo_seeds.py --seeds 0 1 2 3 4 --scheme uniform report_like

Prints machine, versions, and the mean average precision of every way of training, per
seed, with mean and standard deviation; and what CFT is above each loop.
"""

import argparse
import contextlib
import io
import tempfile
from pathlib import Path

import numpy as np
from _machine import describe_machine

from cftlearn.cli._demo_run import run_demo

LOOPS = ("masked", "masked_twice", "negative")
COLUMNS = (*LOOPS, "cft", *(f"+{name[:11]}" for name in LOOPS))


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--known", type=float, default=0.1)
    parser.add_argument("--scheme", nargs="+", default=["uniform"])
    parser.add_argument("--max-epochs", type=int, nargs="+", default=[20])
    options = parser.parse_args()
    packages = ["cftlearn", "numpy", "scikit-learn", "torch"]
    print(*describe_machine(packages), sep="\n")
    for scheme in options.scheme:
        for max_epochs in options.max_epochs:
            run_setting(options.seeds, options.known, scheme, max_epochs)


def run_setting(seeds: list[int], known: float, scheme: str, max_epochs: int) -> None:
    """Run all seeds of one scheme and one length of training."""
    print(f"\ndigit panels, {known:.0%} known ({scheme}), {max_epochs} epochs; mean AP")
    print(f"{'seed':>10} " + " ".join(f"{name:>12}" for name in COLUMNS))
    rows = []
    for seed in seeds:
        with (
            tempfile.TemporaryDirectory() as folder,
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            scores = run_demo(
                known=known,
                seed=seed,
                max_epochs=max_epochs,
                output=Path(folder),
                n_jobs=1,
                scheme=scheme,
            )
        gains = [scores["cft"] - scores[name] for name in LOOPS]
        rows.append((*(scores[name] for name in (*LOOPS, "cft")), *gains))
        print_row(str(seed), rows[-1])
    print_row("mean", np.mean(rows, axis=0))
    if len(rows) > 1:
        print_row("std", np.std(rows, axis=0, ddof=1))


def print_row(name: str, row: np.ndarray | tuple[float, ...]) -> None:
    """Print one line of the table."""
    print(f"{name:>10} " + " ".join(f"{value:>12.3f}" for value in row), flush=True)


if __name__ == "__main__":
    main()
