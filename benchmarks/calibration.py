"""Probabilities on fully labelled test rows, before and after calibration.

On every source labels are hidden, logistic regressions are fitted with unknown labels
as negatives, and ``solver="auto"`` refits them. Both rows, as fitted and refitted, are
calibrated on the held-out labels: each category by itself (Platt), drawn toward all
categories (the default), by isotonic curves, and by the default with a shift to the
true prevalence of the training rows. Printed are log loss, Brier score and expected
calibration error (ten bins of equal width), means over categories and seeds, and the
F1 score at 0.5 and at thresholds tuned on the held-out labels.

    python benchmarks/calibration.py
    python benchmarks/calibration.py --sources emotions --seeds 5 --cache problems
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
from _machine import describe_machine
from _problems import DATA_FOLDER, AbsentDataError, Problem, load_source, make_problem
from numpy.typing import NDArray
from scipy.special import expit
from threadpoolctl import threadpool_limits

from cftlearn import CategoryWiseFineTuner
from cftlearn.calibration import (
    CategoryCalibrator,
    held_out_predictions,
    tune_thresholds,
)
from cftlearn.calibration._maps import KnownScores
from cftlearn.exceptions import UndefinedCategoryWarning
from cftlearn.metrics import partial_f1_score, partial_log_loss

Floats = NDArray[np.float64]
N_BINS = 10
COLUMNS = ("log loss", "Brier", "ECE", "F1 at 0.5", "F1 tuned")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--sources", nargs="+", default=["emotions", "scene", "birds", "nih1000"]
    )
    parser.add_argument("--known", type=float, nargs="+", default=[0.1, 0.3])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--data", type=Path, default=DATA_FOLDER)
    parser.add_argument("--cache", type=Path, default=None)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", UndefinedCategoryWarning)
    print(*describe_machine(["cftlearn", "numpy", "scipy", "scikit-learn"]), sep="\n")
    print(f"{arguments.seeds} seeds; a quarter of the known labels held out")
    everything: dict[str, list[dict[tuple[str, str], Floats]]] = {}
    for source in arguments.sources:
        for scheme in ("uniform", "report_like"):
            for known in arguments.known:
                try:
                    runs = [
                        scores_of(source, scheme, known, seed, arguments)
                        for seed in range(arguments.seeds)
                    ]
                except AbsentDataError as error:
                    print(f"skipped   {source}: {error}")
                    continue
                everything.setdefault(scheme, []).append(mean_of(runs))
                show(f"{source}, {scheme}, {known:g} known", mean_of(runs))
    for scheme, cells in everything.items():
        show(f"mean of {len(cells)} settings, {scheme}", mean_of(cells))


def scores_of(
    source: str, scheme: str, known: float, seed: int, arguments: argparse.Namespace
) -> dict[tuple[str, str], Floats]:
    """Score every way to make probabilities, by rows and method."""
    places = {"folder": arguments.data, "cache": arguments.cache}
    problem = make_problem(source, "raw", scheme, known, seed, **places)
    truth = load_source(source, seed, **places).Y.mean(axis=0)
    prevalence = np.where((truth > 0) & (truth < 1), truth, np.nan)
    tuner = CategoryWiseFineTuner(
        coef_init=problem.coef, intercept_init=problem.intercept, random_state=seed
    )
    tuner.fit(problem.Z, problem.y, validation_data=(problem.Z, problem.y_held))
    fitted = problem.Z @ problem.coef.T + problem.intercept
    rows = {
        "as fitted": (
            known_scores(problem.y_held, fitted),
            problem.Z_test @ problem.coef.T + problem.intercept,
        ),
        "refitted": (
            [KnownScores(own.logits, own.y) for own in tuner._held_out.columns],
            tuner.transform(problem.Z_test),
        ),
    }
    y_held, _ = held_out_predictions(tuner)
    names = np.arange(len(tuner.categories_)).astype(str)
    scores = {}
    for name, (columns, logits) in rows.items():
        for method, calibrator in calibrators(prevalence).items():
            proba, held = expit(logits), [expit(own.logits) for own in columns]
            if calibrator is not None:
                calibrator._fit_columns(columns, names)
                proba = calibrator._proba(logits)
                held = [
                    calibrator._proba_of(j, own.logits) for j, own in enumerate(columns)
                ]
            thresholds = tune_thresholds(y_held, table_of(y_held, held))
            scores[name, method] = judge(problem, proba, thresholds)
    return scores


def calibrators(prevalence: Floats) -> dict[str, CategoryCalibrator | None]:
    """Return the ways to calibrate, by what the table calls them."""
    return {
        "none": None,
        "Platt alone": CategoryCalibrator(shrinkage=0),
        "sigmoid": CategoryCalibrator(),
        "isotonic": CategoryCalibrator("isotonic", min_isotonic=1),
        "sigmoid, prevalence": CategoryCalibrator(prevalence=prevalence),
    }


def known_scores(y: Floats, logits: Floats) -> list[KnownScores]:
    """Take the logits of known labels, by category."""
    return [
        KnownScores(logits[~np.isnan(own), j], own[~np.isnan(own)] == 1.0)
        for j, own in enumerate(y.T)
    ]


def table_of(y: Floats, columns: list[Floats]) -> Floats:
    """Put numbers of known labels where these labels are."""
    table = np.full(y.shape, np.nan)
    for j, own in enumerate(columns):
        table[~np.isnan(y[:, j]), j] = own
    return table


def judge(problem: Problem, proba: Floats, thresholds: Floats) -> Floats:
    """Score probabilities on the test rows; the numbers of COLUMNS."""
    y = problem.y_test
    decisions = [(proba >= cut).astype(int) for cut in (0.5, thresholds)]
    return np.array(
        [
            partial_log_loss(y, proba),
            np.mean((proba - y) ** 2),
            np.mean([calibration_error(y[:, j], p) for j, p in enumerate(proba.T)]),
            *(partial_f1_score(y, decided) for decided in decisions),
        ]
    )


def calibration_error(y: Floats, proba: Floats) -> float:
    """Weigh how far shares of positives are from probabilities, in bins."""
    bins = np.minimum((proba * N_BINS).astype(int), N_BINS - 1)
    gaps = np.bincount(bins, proba - y, N_BINS)
    return float(np.abs(gaps).sum() / len(y))


def mean_of(
    runs: list[dict[tuple[str, str], Floats]],
) -> dict[tuple[str, str], Floats]:
    """Average scores over runs."""
    return {key: np.mean([run[key] for run in runs], axis=0) for key in runs[0]}


def show(title: str, scores: dict[tuple[str, str], Floats]) -> None:
    """Print a table."""
    print(f"\n{title}")
    print(f"{'rows':<10} {'calibration':<20}", *(f"{c:>9}" for c in COLUMNS))
    for (rows, method), values in scores.items():
        print(f"{rows:<10} {method:<20}", *(f"{value:>9.4f}" for value in values))


if __name__ == "__main__":
    with threadpool_limits(limits=1):
        main()
