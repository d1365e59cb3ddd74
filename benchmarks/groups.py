"""Does ``groups=`` help where patients have several images? The 1,000 chest X-rays.

Test patients are other patients. Of the training rows a quarter of the known labels is
held out before stage one: label by label ("rows"), or all labels of a patient in a
category together ("groups"). Each is a start of its own, since stage one is trained on
other labels. From each start ``solver="auto"`` refits; from the second one also without
``groups=`` in the fit, so that it judges each label by a fit without this label alone
("alone"). Printed are test mAP and mAUC, means over seeds, of start and refit.

    python benchmarks/groups.py --cache problems
    python benchmarks/groups.py --trunks raw --known 0.1 --seeds 1
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
from _machine import describe_machine
from _problems import (
    DATA_FOLDER,
    AbsentDataError,
    Problem,
    make_problem,
    training_patients,
)
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from cftlearn import CategoryWiseFineTuner
from cftlearn.exceptions import UndefinedCategoryWarning
from cftlearn.metrics import partial_average_precision_score, partial_roc_auc_score

COLUMNS = ("rows", "auto", "groups", "alone", "auto")
Scores = tuple[float, float]  # mAP and mAUC


def refit(problem: Problem, groups: NDArray[np.intp] | None, seed: int) -> Scores:
    """Refit from the problem's start, and score on its test rows."""
    tuner = CategoryWiseFineTuner(
        coef_init=problem.coef, intercept_init=problem.intercept, random_state=seed
    )
    tuner.fit(
        problem.Z, problem.y, X_val=problem.Z, y_val=problem.y_held, groups=groups
    )
    return score(problem, tuner.transform(problem.Z_test))


def score(problem: Problem, logits: NDArray[np.float64]) -> Scores:
    return (
        partial_average_precision_score(problem.y_test, logits),
        partial_roc_auc_score(problem.y_test, logits),
    )


def compare(
    by_rows: Problem, by_groups: Problem, groups: NDArray[np.intp], seed: int
) -> list[Scores]:
    """Return the scores of all columns."""
    starts = [
        score(problem, problem.Z_test @ problem.coef.T + problem.intercept)
        for problem in (by_rows, by_groups)
    ]
    return [
        starts[0],
        refit(by_rows, None, seed),
        starts[1],
        refit(by_groups, None, seed),
        refit(by_groups, groups, seed),
    ]


def line_of(table: NDArray[np.float64]) -> str:
    """Write means over seeds of all columns, for both metrics."""
    means = table.mean(axis=0)
    return "  ".join(
        " ".join(f"{value:>6.3f}" for value in means[:, metric]) for metric in range(2)
    )


def summary(tables: list[NDArray[np.float64]]) -> list[str]:
    """Write mean changes against the own start, and how often a cell falls."""
    every = np.array([table.mean(axis=0) for table in tables])
    lines = []
    for name, start, column in (
        ("held out by rows", 0, 1),
        ("by groups, judged alone", 2, 3),
        ("by groups, judged by groups", 2, 4),
    ):
        change = every[:, column] - every[:, start]
        parts = [
            f"{metric} {own.mean():+.4f} (worst {own.min():+.3f}, below the start in "
            f"{int(np.sum(own < 0))} of {len(own)})"
            for metric, own in zip(("mAP", "mAUC"), change.T, strict=True)
        ]
        lines.append(f"{name:<28} {', '.join(parts)}")
    change = every[:, 4] - every[:, 1]
    lines.append(
        "refits, groups less rows     "
        f"mAP {change[:, 0].mean():+.4f}, mAUC {change[:, 1].mean():+.4f}"
    )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trunks", nargs="+", default=["raw", "mlp"])
    parser.add_argument("--schemes", nargs="+", default=["uniform", "report_like"])
    parser.add_argument("--known", type=float, nargs="+", default=[0.1, 0.3, 0.6, 0.9])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", type=Path, default=DATA_FOLDER)
    parser.add_argument("--cache", type=Path, default=None)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", UndefinedCategoryWarning)
    print(*describe_machine(["cftlearn", "numpy", "scipy", "torch"]), sep="\n")
    try:
        groups = training_patients(arguments.data)
    except AbsentDataError as error:
        print(f"skipped   nih1000: {error}")
        return
    print(
        f"nih1000: {len(groups)} training rows of {groups.max() + 1} patients; seeds 0 "
        f"to {arguments.seeds - 1}\n"
    )
    head = " ".join(f"{name:>6}" for name in COLUMNS)
    print(f"{'trunk':<5} {'scheme':<11} {'known':>5}  {head}  {head}   seconds")
    tables = []
    for trunk in arguments.trunks:
        for scheme in arguments.schemes:
            for known in arguments.known:
                started = time.perf_counter()
                table = []
                for seed in range(arguments.seeds):
                    by_rows, by_groups = (
                        make_problem(
                            "nih1000",
                            trunk,
                            scheme,
                            known,
                            seed,
                            groups=own,
                            folder=arguments.data,
                            cache=arguments.cache,
                        )
                        for own in (None, groups)
                    )
                    table.append(compare(by_rows, by_groups, groups, seed))
                tables.append(np.array(table))
                print(
                    f"{trunk:<5} {scheme:<11} {known:>5g}  {line_of(tables[-1])}   "
                    f"{time.perf_counter() - started:.0f}",
                    flush=True,
                )
    print("\nmean change against the own start, over these lines")
    print(*summary(tables), sep="\n")


if __name__ == "__main__":
    with threadpool_limits(limits=1):
        main()
