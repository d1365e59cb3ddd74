"""Measure how near estimated prevalences are, and how often intervals hold the truth.

Scores of positives and negatives are normal, a number of standard deviations apart;
labels become known at rates of their class. Of every setting and method: the mean error
of the estimate, its root mean square, how often the interval holds the true share, how
often its upper end alone does, its mean width, and how often there was no estimate.
Then how often `check_missing_at_random` finds a difference.

    python benchmarks/priors.py
    python benchmarks/priors.py --trials 50 --rows 500 --methods best_bin label_shift
"""

import argparse
import warnings
from typing import Any, NamedTuple

import numpy as np
from _machine import describe_machine
from _tables import print_table
from scipy.stats import norm

from cftlearn.exceptions import UndefinedCategoryWarning
from cftlearn.labels import check_missing_at_random, estimate_prevalence

NEED_NEGATIVES = ("label_shift", "known_rates")
METHODS = ("best_bin", "elkan_noto", *NEED_NEGATIVES)
PRIORS = np.array([0.05, 0.2, 0.5])
SEPARATIONS = (1.2, 2.0, 3.3, 5.0)
RATES = {  # of positives, and of negatives
    "at random": (0.2, 0.2),
    "reports": (0.4, 0.05),
    "positives": (0.3, 0.0),
}


class Problem(NamedTuple):
    """Scores, labels of which some are known, and all labels."""

    scores: Any
    y: Any
    truth: Any

    @classmethod
    def draw(
        cls, rates: tuple[float, float], separation: float, n_rows: int, seed: int
    ) -> "Problem":
        """Draw one."""
        rng = np.random.default_rng(seed)
        truth = rng.random((n_rows, len(PRIORS))) < PRIORS
        scores = rng.standard_normal(truth.shape) + separation * truth
        known = rng.random(truth.shape) < np.where(truth, *rates)
        return cls(scores, np.where(known, truth, np.nan), truth)


def measure(
    method: str, problems: list[Problem], n_resamples: int, seed: int
) -> list[list[str]]:
    """Return a line of numbers for each prevalence."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedCategoryWarning)
        lines = [
            estimate_prevalence(
                problem.scores,
                problem.y,
                method=method,  # type: ignore[arg-type]
                n_resamples=n_resamples,
                random_state=seed,
            )
            for problem in problems
        ]
    estimate, low, high = (
        np.array([[line[key] for line in own] for own in lines])
        for key in ("estimate", "low", "high")
    )
    rows = []
    for j, prior in enumerate(PRIORS):
        told = ~np.isnan(estimate[:, j]) & ~np.isnan(low[:, j])
        if not told.any():
            rows.append([f"{prior:g}", *"-----", "1.00"])
            continue
        error = estimate[told, j] - prior
        above = prior <= high[told, j]
        holds = above & (low[told, j] <= prior)
        numbers = (
            error.mean(),
            np.sqrt((error**2).mean()),
            holds.mean(),
            above.mean(),
            (high[told, j] - low[told, j]).mean(),
        )
        cells = [f"{numbers[0]:+.3f}", *(f"{number:.3f}" for number in numbers[1:])]
        rows.append([f"{prior:g}", *cells, f"{1 - told.mean():.2f}"])
    return rows


def measure_findings(problems: list[Problem]) -> list[str]:
    """Return how often a difference is found: in any category, and in each."""
    found = np.array(
        [
            [
                line["at_random"] is False
                for line in check_missing_at_random(problem.scores, problem.y)
            ]
            for problem in problems
        ]
    )
    return [f"{share:.3f}" for share in (found.any(axis=1).mean(), *found.mean(axis=0))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--resamples", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    options = parser.parse_args()
    print("\n".join(describe_machine(["cftlearn", "numpy", "scipy", "scikit-learn"])))
    seeds = range(options.seed, options.seed + options.trials)
    print(
        f"seeds     {seeds[0]} to {seeds[-1]}; {options.rows} rows, "
        f"{options.resamples} draws for an interval of 95 %"
    )
    head = ["known", "AUC", "method", "prior"]
    head += ["error", "rms", "holds", "below high", "width", "none"]
    table, findings = [], []
    for name, rates in RATES.items():
        for separation in SEPARATIONS:
            problems = [
                Problem.draw(rates, separation, options.rows, seed) for seed in seeds
            ]
            auc = f"{norm.cdf(separation / np.sqrt(2)):.3f}"
            findings.append([name, auc, *measure_findings(problems)])
            for method in options.methods:
                if method in NEED_NEGATIVES and not rates[1]:
                    continue
                rows = measure(method, problems, options.resamples, options.seed)
                table += [[name, auc, method, *row] for row in rows]
    print()
    print_table(head, table)
    print("\ncheck_missing_at_random: share of trials that find a difference")
    priors = [f"prior {prior:g}" for prior in PRIORS]
    print_table(["known", "AUC", "any category", *priors], findings)


if __name__ == "__main__":
    main()
