"""What each part of ``solver="auto"`` is worth: leave one out, or put another in.

Every variant refits the same rows on the same labels, made as ``quality.py`` makes
them. Printed are the mean over problems of test mAP and mAUC, the change against
``auto`` as it is, and the share of categories that end worse than their initial weights
by more than 0.01 in AP.

    python benchmarks/auto_ablation.py
    python benchmarks/auto_ablation.py --sources emotions --seeds 5 --cache problems

``then ...`` starts the genetic algorithm or gradient descent from the rows that
``auto`` finds without the held-out labels, which then choose the iteration; compare
these with ``auto, refit=False``. ``weights evolved`` lets the genetic algorithm change
the weights of the candidates, by an out-of-fold fitness.
"""

import argparse
import functools
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from _machine import describe_machine
from _problems import DATA_FOLDER, TRUNKS, AbsentDataError, Problem, make_problem
from threadpoolctl import threadpool_limits

from cftlearn import CategoryWiseFineTuner
from cftlearn.base import CategoryProblem, KnownRows
from cftlearn.exceptions import UndefinedCategoryWarning
from cftlearn.fine_tuning import _auto
from cftlearn.metrics import partial_average_precision_score, partial_roc_auc_score
from cftlearn.metrics._objectives import make_objective
from cftlearn.solvers import GeneticSolver, ProximalSolver

EVOLVED = 30  # generations

Fit = Callable[[Problem, int], CategoryWiseFineTuner]


def tune(problem: Problem, seed: int, solver: str = "auto", **settings: Any) -> Any:
    start = {"coef_init": problem.coef, "intercept_init": problem.intercept}
    tuner = CategoryWiseFineTuner(
        solver,
        objective="average_precision",
        random_state=seed,
        device="cpu",
        **{**start, **settings},
    )
    return tuner.fit(problem.Z, problem.y, validation_data=(problem.Z, problem.y_held))


def patched(**values: Any) -> Fit:
    """Run auto with other constants of its evidence."""

    def fit(problem: Problem, seed: int) -> Any:
        with ExitStack() as stack:
            for name, value in values.items():
                stack.enter_context(
                    patch(f"cftlearn.fine_tuning._evidence.{name}", value)
                )
            return tune(problem, seed)

    return fit


def with_candidates(**settings: Any) -> Fit:
    """Run auto with other candidates."""

    def fit(problem: Problem, seed: int) -> Any:
        solver = functools.partial(ProximalSolver, **settings)
        with patch("cftlearn.fine_tuning._auto.ProximalSolver", solver):
            return tune(problem, seed)

    return fit


def continued(solver: str) -> Fit:
    """Return a fit by another solver that starts from auto without held-out labels."""

    def fit(problem: Problem, seed: int) -> Any:
        first = tune(problem, seed, refit=False)
        rows = {"coef_init": first.coef_, "intercept_init": first.intercept_}
        return tune(problem, seed, solver, refit=False, **rows)

    return fit


def evolved(problem: Problem, seed: int) -> Any:
    """Fit auto, and improve how much its candidates count by the genetic algorithm.

    Its fitness is out of fold: the AP of held-out labels by fits that left them out.
    """
    average = _auto.average_weights

    def evolve(task: Any, judged: Any, weights: Any, initial: float) -> Any:
        y = task.held_out.y
        if y.any() and not y.all():
            own = task.initial_logits() / max(judged.initial_spread, 1e-12)
            logits = np.vstack([judged.left_out / judged.spread[:, None], own]).T
            scale = logits.std(axis=0)
            start = CategoryProblem(
                train=KnownRows(logits, y),
                validation=None,
                coef=np.append(weights, initial),
                intercept=0.0,
                objective=make_objective("average_precision"),
                feature_mean=logits.mean(axis=0),
                feature_scale=np.where(scale > 0, scale, 1.0),
                random_state=task.seed,
                n_iter=EVOLVED,
            )
            mixed = GeneticSolver().fit_row(start).coef
            weights, initial = mixed[:-1], mixed[-1]
        return average(task, judged, weights, initial)

    with patch("cftlearn.fine_tuning._auto.average_weights", evolve):
        return tune(problem, seed)


VARIANTS: dict[str, Fit] = {
    "auto": tune,
    "no background": with_candidates(unknown_weights=(1e-6,)),
    "standard features only": with_candidates(scalings=("standard",)),
    "none toward the row": with_candidates(toward=("zero",)),
    "balanced classes": with_candidates(class_weight="balanced"),
    "no pooling": patched(_POOL_WORTH=0.0),
    "held-out evidence only": patched(_FITTED_LABEL=0.0),
    "no prior for refits": patched(MODEST_LOG_ODDS=0.0, LOG_ODDS_PER_MEMORY=0.0),
    "always refit": patched(MODEST_LOG_ODDS=100.0),
    "auto, refit=False": lambda problem, seed: tune(problem, seed, refit=False),
    "then GA": continued("ga"),
    "then BCE": continued("bce"),
    "then ASL": continued("asl"),
    "weights evolved": evolved,
    "proximal": lambda problem, seed: tune(problem, seed, "proximal"),
}


def problems(arguments: argparse.Namespace) -> Iterator[tuple[Problem, int]]:
    for seed in range(arguments.seeds):
        for source in arguments.sources:
            for trunk in TRUNKS[source]:
                for scheme in ("uniform", "report_like"):
                    for known in arguments.known:
                        try:
                            yield (
                                make_problem(
                                    source,
                                    trunk,
                                    scheme,
                                    known,
                                    seed,
                                    folder=arguments.data,
                                    cache=arguments.cache,
                                ),
                                seed,
                            )
                        except AbsentDataError as error:
                            print(f"skipped   {source}: {error}")


def scores(problem: Problem, coef: Any) -> tuple[float, float, Any]:
    logits = problem.Z_test @ coef.T
    ap = partial_average_precision_score(problem.y_test, logits, average=None)
    auc = partial_roc_auc_score(problem.y_test, logits)
    return float(np.nanmean(ap)), float(auc), ap


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sources", nargs="+", default=["emotions", "birds", "scene"])
    parser.add_argument("--known", type=float, nargs="+", default=[0.1])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--data", type=Path, default=DATA_FOLDER)
    parser.add_argument("--cache", type=Path, default=None)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", UndefinedCategoryWarning)
    torch.set_num_threads(1)
    print(*describe_machine(["cftlearn", "numpy", "scipy", "torch", "deap"]), sep="\n")
    table: dict[str, list[tuple[float, float, float]]] = {}
    with threadpool_limits(limits=1):
        for problem, seed in problems(arguments):
            start = scores(problem, problem.coef)
            table.setdefault("initial weights", []).append((*start[:2], 0.0))
            for name, fit in VARIANTS.items():
                ap, auc, each = scores(problem, fit(problem, seed).coef_)
                worse = float(np.nanmean(each < start[2] - 0.01))
                table.setdefault(name, []).append((ap, auc, worse))
    print_table(table)


def print_table(table: dict[str, list[tuple[float, float, float]]]) -> None:
    usual = np.array(table["auto"])
    print(
        f"\n{len(usual)} problems; means\n{'variant':<24} {'mAP':>7} {'change':>8}",
        end="",
    )
    print(f" {'mAUC':>7} {'change':>8} {'worse':>6}")
    for name, rows in table.items():
        ap, auc, worse = np.mean(rows, axis=0)
        change = np.mean(np.array(rows) - usual, axis=0)
        print(
            f"{name:<24} {ap:>7.4f} {change[0]:>+8.4f} {auc:>7.4f} {change[1]:>+8.4f} "
            f"{worse:>6.3f}"
        )


if __name__ == "__main__":
    main()
