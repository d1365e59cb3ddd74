"""Measure how long bootstrap intervals take and how often they hold the true score.

Speed: :func:`bootstrap_intervals` beside a loop over scikit-learn's metrics on fewer
draws, whose time is scaled up to the same number. Coverage: on samples of a known
population, how often 95 % intervals miss its score, above and below.

    python benchmarks/bootstrap.py
    python benchmarks/bootstrap.py --coverage --trials 1000
"""

import argparse
import time

import numpy as np
from _machine import describe_machine
from sklearn.metrics import average_precision_score, roc_auc_score

from cftlearn.metrics import bootstrap_intervals

METRICS = {"roc_auc": roc_auc_score, "average_precision": average_precision_score}
SIZES = [(500, 14), (5_000, 14), (20_000, 80)]
POPULATIONS = [  # rows, share of positives, distance of their scores
    (200, 0.05, 2.0),
    (500, 0.06, 1.0),
    (500, 0.06, 1.8),
    (500, 0.3, 1.5),
    (150, 0.5, 2.5),
]


def sample(n_rows, shape, positive, distance, rng):
    """Draw labels and normal scores, positives further up."""
    y = (rng.random((n_rows, shape)) < positive).astype(float)
    return y, rng.standard_normal(y.shape) + distance * y


def loop(y, scores, metric, n_resamples, rng):
    """Resample by scikit-learn, one category and one draw after another."""
    values = np.full((n_resamples, y.shape[1]), np.nan)
    for draw in range(n_resamples):
        rows = rng.integers(len(y), size=len(y))
        for j in range(y.shape[1]):
            truth = y[rows, j]
            if 0 < truth.sum() < len(truth):
                values[draw, j] = METRICS[metric](truth, scores[rows, j])
    return np.nanquantile(values, [0.025, 0.975], axis=0)


def speed(n_resamples: int, n_looped: int, n_sizes: int) -> None:
    print(f"{n_resamples} draws; the loop ran {n_looped} and is scaled up\n")
    print(f"{'rows':>7} {'categories':>10}  {'metric':<18} {'method':<11}", end="")
    print(f" {'seconds':>8} {'loop':>9} {'times':>6}")
    for n_rows, n_categories in SIZES[:n_sizes]:
        rng = np.random.default_rng(0)
        y, scores = sample(n_rows, n_categories, 0.2, 1.0, rng)
        for metric in METRICS:
            loop(y, scores, metric, 1, rng)  # warm
            start = time.perf_counter()
            loop(y, scores, metric, n_looped, rng)
            looped = (time.perf_counter() - start) * n_resamples / n_looped
            for method in ("percentile", "bca"):
                start = time.perf_counter()
                bootstrap_intervals(
                    y,
                    scores,
                    metric=metric,
                    n_resamples=n_resamples,
                    method=method,
                    random_state=0,
                )
                own = time.perf_counter() - start
                print(
                    f"{n_rows:>7} {n_categories:>10}  {metric:<18} {method:<11}"
                    f" {own:>8.2f} {looped:>9.1f} {looped / own:>6.0f}",
                    flush=True,
                )


def coverage(n_trials: int, n_resamples: int) -> None:
    print(f"share of {n_trials} intervals of {n_resamples} draws, nominally 0.95\n")
    print(f"{'rows':>5} {'positives':>9} {'metric':<18} {'score':>5}", end="")
    print(f"  {'method':<11} {'too high':>8} {'too low':>8} {'holds':>6} {'width':>6}")
    for n_rows, positive, distance in POPULATIONS:
        rng = np.random.default_rng(0)
        truth = sample(400_000, 1, positive, distance, rng)
        y, scores = sample(n_rows, n_trials, positive, distance, rng)
        for metric, score in METRICS.items():
            true_score = score(*truth)
            for method in ("percentile", "bca"):
                missed_above = missed_below = width = 0.0
                for j in range(n_trials):
                    found = bootstrap_intervals(
                        y[:, [j]],
                        scores[:, [j]],
                        metric=metric,
                        n_resamples=n_resamples,
                        method=method,
                        random_state=j,
                    )[0]
                    missed_above += found["low"] > true_score
                    missed_below += found["high"] < true_score
                    width += found["high"] - found["low"]
                above, below = missed_above / n_trials, missed_below / n_trials
                print(
                    f"{n_rows:>5} {n_rows * positive:>9.0f} {metric:<18}"
                    f" {true_score:>5.3f}  {method:<11} {above:>8.3f} {below:>8.3f}"
                    f" {1 - above - below:>6.3f} {width / n_trials:>6.3f}",
                    flush=True,
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--resamples", type=int, default=2000)
    parser.add_argument("--looped", type=int, default=10)
    parser.add_argument("--sizes", type=int, default=len(SIZES))
    parser.add_argument("--coverage", action="store_true")
    parser.add_argument("--trials", type=int, default=500)
    arguments = parser.parse_args()
    print(*describe_machine(["cftlearn", "numpy", "scipy", "scikit-learn"]), sep="\n")
    if arguments.coverage:
        coverage(arguments.trials, arguments.resamples)
    else:
        speed(arguments.resamples, arguments.looped, arguments.sizes)


if __name__ == "__main__":
    main()
