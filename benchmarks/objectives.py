"""Objectives that no likelihood serves: the genetic algorithm on them, against `auto`.

Two objectives are callables: F1 of the decisions at a logit of 0, and the greatest
recall at a precision of at least 0.5. The genetic algorithm maximises them as its
``objective``; `auto` is fitted as usual. Decisions are judged on fully labelled test
rows, at the solver's own threshold of 0 and at thresholds tuned on held-out labels. The
recall is that of the best threshold on the test rows, for every method alike.

    python benchmarks/objectives.py
    python benchmarks/objectives.py --sources emotions scene --seeds 3 --cache problems
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from _machine import describe_machine
from _problems import DATA_FOLDER, AbsentDataError, make_problem
from scipy.special import expit
from threadpoolctl import threadpool_limits

from cftlearn import CategoryWiseFineTuner
from cftlearn.calibration import held_out_predictions, tune_thresholds
from cftlearn.exceptions import UndefinedCategoryWarning

LEAST_PRECISION = 0.5
COLUMNS = ("F1 at 0", "F1 tuned", "recall")


def f1(y_true, y_pred):
    """F1, which the genetic algorithm calls too often for scikit-learn's checks."""
    hits = np.count_nonzero(y_pred & (y_true == 1))
    return 2.0 * hits / max(np.count_nonzero(y_pred) + np.count_nonzero(y_true), 1)


def f1_at_zero(y_true, y_score):
    return f1(y_true, y_score > 0)


def recall_at_precision(y_true, y_score):
    order = np.argsort(-y_score, kind="stable")
    hits = np.cumsum(y_true[order] == 1)
    precision = hits / np.arange(1, len(hits) + 1)
    return float(hits[precision >= LEAST_PRECISION].max(initial=0) / hits[-1])


METHODS = {
    "auto": ("auto", "roc_auc"),
    "ga on F1": ("ga", f1_at_zero),
    "ga on recall": ("ga", recall_at_precision),
    "ga on AUC": ("ga", "roc_auc"),
}


def judge(problem, logits, thresholds):
    """Average the three figures over categories that have both classes in test rows."""
    figures = []
    for j, tuned in enumerate(thresholds):
        known = ~np.isnan(problem.y_test[:, j])
        y, own = problem.y_test[known, j], logits[known, j]
        if 0 < y.mean() < 1:
            f1_tuned = f1(y, expit(own) >= tuned)
            figures.append((f1_at_zero(y, own), f1_tuned, recall_at_precision(y, own)))
    return np.mean(figures, axis=0)


def fit(problem, solver, objective, seed):
    tuner = CategoryWiseFineTuner(
        solver,
        objective=objective,
        coef_init=problem.coef,
        intercept_init=problem.intercept,
        random_state=seed,
        device="cpu",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedCategoryWarning)
        tuner.fit(problem.Z, problem.y, X_val=problem.Z, y_val=problem.y_held)
    return tuner


def evaluate(problem, seed):
    """Fit every method, and return its figures and seconds."""
    results = {}
    for name, (solver, objective) in METHODS.items():
        started = time.perf_counter()
        tuner = fit(problem, solver, objective, seed)
        seconds = time.perf_counter() - started
        y, proba = held_out_predictions(tuner)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UndefinedCategoryWarning)
            thresholds = tune_thresholds(y, proba)
        figures = judge(problem, tuner.transform(problem.Z_test), thresholds)
        results[name] = (*figures, seconds)
    start = problem.Z_test @ problem.coef.T + problem.intercept
    halves = np.full(len(problem.coef), 0.5)
    results["initial weights"] = (*judge(problem, start, halves), 0.0)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sources", nargs="+", default=["emotions", "scene", "birds"])
    parser.add_argument("--trunks", nargs="+", default=["raw", "mlp"])
    parser.add_argument("--schemes", nargs="+", default=["uniform"])
    parser.add_argument("--known", type=float, nargs="+", default=[0.3])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--data", type=Path, default=DATA_FOLDER)
    parser.add_argument("--cache", type=Path, default=None)
    arguments = parser.parse_args()
    packages = ["cftlearn", "deap", "numpy", "scikit-learn", "torch"]
    print(*describe_machine(packages), sep="\n")
    print(f"seeds     0 to {arguments.seeds - 1}; means over them and categories\n")
    torch.set_num_threads(1)
    with threadpool_limits(1):
        for source in arguments.sources:
            for trunk in arguments.trunks:
                for scheme in arguments.schemes:
                    for known in arguments.known:
                        compare(arguments, source, trunk, scheme, known)


def compare(arguments, source, trunk, scheme, known) -> None:
    """Print the figures of one source, trunk, scheme and share of known labels."""
    every: dict[str, list[tuple[float, ...]]] = {}
    for seed in range(arguments.seeds):
        try:
            problem = make_problem(
                source,
                trunk,
                scheme,
                known,
                seed,
                folder=arguments.data,
                cache=arguments.cache,
            )
        except AbsentDataError as error:
            print(f"skipped   {source}: {error}")
            return
        for name, values in evaluate(problem, seed).items():
            every.setdefault(name, []).append(values)
    print(f"{source}, {trunk}, {scheme}, {known:g} known")
    print(f"  {'method':<16}", *(f"{name:>9}" for name in (*COLUMNS, "seconds")))
    for name, values in every.items():
        mean = np.mean(values, axis=0)
        print(f"  {name:<16}", *(f"{v:>9.3f}" for v in mean[:3]), f"{mean[3]:>9.1f}")
    print(flush=True)


if __name__ == "__main__":
    main()
