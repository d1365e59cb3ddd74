"""Measure how often 95 % intervals hold the true score, with few known positives.

A population of 100,000 rows has known labels by one of two ways of hiding; the score of
fixed weights on all of them is the true one. Samples of its known labels have 5 to 100
positives on the average. Of each, the intervals of ``bootstrap_intervals`` by every
method, and those of ``report_`` after a fit that chooses by these labels: of the score
before, after (true: of the new weights) and of the gain.

    python benchmarks/interval_coverage.py
    python benchmarks/interval_coverage.py --trials 100 --fits 0
"""

import argparse
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from _machine import describe_machine

from cftlearn import CategoryWiseFineTuner
from cftlearn.datasets import make_partial_multilabel
from cftlearn.labels import hide_labels
from cftlearn.metrics import (
    bootstrap_intervals,
    partial_average_precision_score,
    partial_roc_auc_score,
)

SCORES = {
    "roc_auc": partial_roc_auc_score,
    "average_precision": partial_average_precision_score,
}
SCHEMES = ("uniform", "report_like")
POSITIVES = (5, 10, 30, 100)
METHODS = ("wilson", "bca", "percentile")
KNOWN = 0.3
N_FEATURES, N_CATEGORIES, N_FITTED = 8, 4, 200
NOISE = np.array([0.0, 0.3, 1.0, 2.0])  # of each category's initial weights
N_RESAMPLES = 500


class Population(NamedTuple):
    """Features, known labels, and weights of which some are good, some less so."""

    Z: Any
    y: Any
    coef: Any

    @classmethod
    def of(cls, scheme: str, n_rows: int, seed: int) -> "Population":
        """Draw one."""
        Z, _, full = make_partial_multilabel(
            n_rows,
            n_features=N_FEATURES,
            n_categories=N_CATEGORIES,
            known=1.0,
            random_state=seed,
        )
        y = hide_labels(full, known=KNOWN, scheme=scheme, random_state=seed)
        best = np.linalg.lstsq(Z, full - full.mean(axis=0), rcond=None)[0].T
        best /= np.linalg.norm(best, axis=1, keepdims=True)
        rng = np.random.default_rng(seed)
        noise = rng.standard_normal(best.shape) / np.sqrt(N_FEATURES)
        return cls(Z, y, best + NOISE[:, None] * noise)

    def samples(
        self, n_positive: int, n_trials: int, seed: int
    ) -> Iterator[tuple[Any, Any]]:
        """Draw rows and labels; of each category about so many known positives."""
        rng = np.random.default_rng((seed, n_positive))
        per_row = (self.y == 1).mean(axis=0)
        n_rows = np.round(n_positive / per_row).astype(int)
        for _ in range(n_trials):
            rows = rng.choice(len(self.Z), n_rows.max(), replace=False)
            y = self.y[rows].copy()
            for j, n in enumerate(n_rows):
                y[n:, j] = np.nan
            yield self.Z[rows], y


class Tally:
    """Counts how often intervals hold what they should, and how long they are."""

    def __init__(self) -> None:
        self.held: list[bool] = []
        self.widths: list[float] = []
        self.n_undefined = 0

    def add(self, low: float, high: float, true: float) -> None:
        """Count one interval."""
        if np.isnan([low, high]).any():
            self.n_undefined += 1
            return
        self.held.append(bool(low <= true <= high))
        self.widths.append(high - low)

    def __str__(self) -> str:
        if not self.held:
            return f"{'-':>14}"
        return f"{np.mean(self.held):>7.3f} {np.mean(self.widths):>6.3f}"


def check_functions(n_trials: int, n_rows: int, seed: int) -> None:
    """Print the coverage of ``bootstrap_intervals`` by every method."""
    print(
        f"\nbootstrap_intervals, {n_trials} samples of {N_CATEGORIES} categories each"
    )
    _print_head(METHODS)
    for scheme, population, n_positive in _settings(n_rows, seed):
        for metric, score in SCORES.items():
            true = _true_scores(score, population, population.coef)
            tallies = {method: Tally() for method in METHODS}
            for Z, y in population.samples(n_positive, n_trials, seed):
                logits = Z @ population.coef.T
                for method, tally in tallies.items():
                    lines = bootstrap_intervals(
                        y,
                        logits,
                        metric=metric,
                        method=method,
                        n_resamples=N_RESAMPLES,
                        random_state=0,
                    )
                    for line, own in zip(lines[:-1], true, strict=True):
                        tally.add(line["low"], line["high"], own)
            _print_line(metric, scheme, n_positive, tallies)


def check_reports(n_fits: int, n_rows: int, seed: int) -> None:
    """Print the coverage of the intervals in ``report_``."""
    print(
        f"\nreport_ of solver='auto', {n_fits} fits of {N_CATEGORIES} categories each"
    )
    _print_head(("before", "after", "gain"))
    for scheme, population, n_positive in _settings(n_rows, seed):
        for metric, score in SCORES.items():
            before = _true_scores(score, population, population.coef)
            tallies = {part: Tally() for part in ("before", "after", "gain")}
            fitted = np.random.default_rng(seed)
            for Z_val, y_val in population.samples(n_positive, n_fits, seed):
                rows = fitted.choice(n_rows, N_FITTED, replace=False)
                tuner = CategoryWiseFineTuner(
                    objective=metric,
                    coef_init=population.coef,
                    intercept_init=np.zeros(N_CATEGORIES),
                    random_state=0,
                )
                tuner.fit(
                    population.Z[rows], population.y[rows], X_val=Z_val, y_val=y_val
                )
                after = _true_scores(score, population, tuner.coef_)
                true = {"before": before, "after": after, "gain": after - before}
                for j, line in enumerate(tuner.report_):
                    for part, tally in tallies.items():
                        low, high = (
                            line[f"{metric}_{part}_{end}"] for end in ("low", "high")
                        )
                        if part != "gain" or line["status"] == "refitted":
                            tally.add(low, high, true[part][j])
            _print_line(metric, scheme, n_positive, tallies)


def _settings(n_rows: int, seed: int) -> Iterator[tuple[str, Population, int]]:
    for scheme in SCHEMES:
        population = Population.of(scheme, n_rows, seed)
        for n_positive in POSITIVES:
            yield scheme, population, n_positive


def _true_scores(score: Any, population: Population, coef: Any) -> Any:
    return score(population.y, population.Z @ coef.T, average=None)


def _print_head(titles: tuple[str, ...]) -> None:
    print(
        "share of intervals that hold the true score, mean length; undefined left out"
    )
    columns = "".join(f"  {title:>14}" for title in titles)
    print(f"{'metric':<18} {'hiding':<12} {'positives':>9}{columns}")


def _print_line(
    metric: str, scheme: str, n_positive: int, tallies: dict[str, Tally]
) -> None:
    cells = "".join(f"  {tally!s}" for tally in tallies.values())
    first = next(iter(tallies.values()))
    undefined = f"  ({first.n_undefined} undefined)" if first.n_undefined else ""
    print(f"{metric:<18} {scheme:<12} {n_positive:>9}{cells}{undefined}", flush=True)


def main() -> None:
    """Run both parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=250, help="samples per line")
    parser.add_argument("--fits", type=int, default=100, help="fits per line")
    parser.add_argument("--rows", type=int, default=100_000, help="of the population")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for line in describe_machine(["numpy", "scipy", "scikit-learn", "cftlearn"]):
        print(line)
    print(f"seed      {arguments.seed}; population of {arguments.rows} rows")
    warnings.simplefilter("ignore")  # of samples without a class
    if arguments.trials:
        check_functions(arguments.trials, arguments.rows, arguments.seed)
    if arguments.fits:
        check_reports(arguments.fits, arguments.rows, arguments.seed)


if __name__ == "__main__":
    main()
