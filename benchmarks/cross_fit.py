"""Is cross-fitting better than holding labels out? Features, logistic regressions.

On the same labels ``solver="auto"`` refits logistic regressions that were fitted with
unknown labels as negatives: once with a quarter of the known labels held out of them,
once cross-fitted (``cross_fit=4``), so that every known label judges. Printed are test
mAP and mAUC, and mean and standard deviation over seeds of the paired difference.

    python benchmarks/cross_fit.py
    python benchmarks/cross_fit.py --sources emotions --seeds 5 --cache problems
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
from _machine import describe_machine
from _problems import DATA_FOLDER, AbsentDataError, Problem, make_problem
from threadpoolctl import threadpool_limits

from cftlearn import CategoryWiseFineTuner
from cftlearn.exceptions import UndefinedCategoryWarning
from cftlearn.metrics import partial_average_precision_score, partial_roc_auc_score

N_FOLDS = 4


def compare(problem: Problem, seed: int) -> list[tuple[float, float]]:
    """Score both ways of choosing by test mAP and mAUC."""
    y = np.where(np.isnan(problem.y), problem.y_held, problem.y)
    scores = []
    for folds in (None, N_FOLDS):
        tuner = CategoryWiseFineTuner(cross_fit=folds, random_state=seed)
        logits = tuner.fit(problem.Z, y).transform(problem.Z_test)
        scores.append(
            (
                partial_average_precision_score(problem.y_test, logits),
                partial_roc_auc_score(problem.y_test, logits),
            )
        )
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sources", nargs="+", default=["emotions", "birds", "scene"])
    parser.add_argument("--known", type=float, nargs="+", default=[0.05, 0.1, 0.3, 0.9])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--data", type=Path, default=DATA_FOLDER)
    parser.add_argument("--cache", type=Path, default=None)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", UndefinedCategoryWarning)
    print(*describe_machine(["cftlearn", "numpy", "scipy", "scikit-learn"]), sep="\n")
    print(f"{N_FOLDS} folds against a quarter held out, {arguments.seeds} seeds\n")
    print(
        f"{'source':<9} {'scheme':<12} {'known':>5}  {'mAP':>5} {'cross':>6} "
        f"{'difference':>16}  {'mAUC':>5} {'cross':>6} {'difference':>16}"
    )
    everything = []
    for source in arguments.sources:
        for scheme in ("uniform", "report_like"):
            for known in arguments.known:
                try:
                    table = np.array(
                        [
                            compare(
                                make_problem(
                                    source,
                                    "raw",
                                    scheme,
                                    known,
                                    seed,
                                    folder=arguments.data,
                                    cache=arguments.cache,
                                ),
                                seed,
                            )
                            for seed in range(arguments.seeds)
                        ]
                    )
                except AbsentDataError as error:
                    print(f"skipped   {source}: {error}")
                    continue
                everything.append(table[:, 1] - table[:, 0])
                print(f"{source:<9} {scheme:<12} {known:>5g}  {line_of(table)}")
    if everything:
        change = np.mean(everything, axis=(0, 1))
        print(f"\nmean difference: mAP {change[0]:+.4f}, mAUC {change[1]:+.4f}")


def line_of(table: np.ndarray) -> str:
    """Write means of both ways, and the paired difference with its spread."""
    parts = []
    for metric in range(2):
        held, crossed = table[:, 0, metric], table[:, 1, metric]
        change = crossed - held
        parts.append(
            f"{held.mean():.3f} {crossed.mean():>6.3f} "
            f"{change.mean():>+8.4f} ± {change.std():.4f}"
        )
    return "  ".join(parts)


if __name__ == "__main__":
    with threadpool_limits(limits=1):
        main()
