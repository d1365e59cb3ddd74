"""Run the demo with several seeds: what CFT gains on fully labelled test panels.

    python benchmarks/demo_seeds.py --seeds 0 1 2 3 4

Prints machine, versions, and the mean average precision before and after, per seed,
with mean and standard deviation. Longer stage one (``--max-epochs``) shows how the gain
shrinks as the network itself gets better on the known labels.
"""

import argparse
import contextlib
import io
import tempfile
from pathlib import Path

import numpy as np
from _machine import describe_machine

from cftlearn.cli._demo import run_demo


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--known", type=float, default=0.1)
    parser.add_argument("--max-epochs", type=int, nargs="+", default=[20])
    options = parser.parse_args()
    packages = ["cftlearn", "numpy", "scikit-learn", "torch", "deap"]
    print(*describe_machine(packages), sep="\n")
    for max_epochs in options.max_epochs:
        run_setting(options.seeds, options.known, max_epochs)


def run_setting(seeds: list[int], known: float, max_epochs: int) -> None:
    """Run all seeds of one length of stage one."""
    print(f"\ndigit panels, {known:.0%} known, {max_epochs} epochs; test mean AP")
    names = ("seed", "before", "auto", "gain", "GA", "gain", "BCE", "gain")
    print(f"{names[0]:>10} " + " ".join(f"{name:>8}" for name in names[1:]))
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
            )
        before = scores["before"]
        after = [scores[solver] for solver in ("auto", "ga", "bce")]
        rows.append((before, *(x for ap in after for x in (ap, ap - before))))
        print_row(str(seed), rows[-1])
    print_row("mean", np.mean(rows, axis=0))
    if len(rows) > 1:
        print_row("std", np.std(rows, axis=0, ddof=1))


def print_row(name: str, row: np.ndarray | tuple[float, ...]) -> None:
    """Print one line of the table."""
    print(f"{name:>10} " + " ".join(f"{value:>8.3f}" for value in row), flush=True)


if __name__ == "__main__":
    main()
