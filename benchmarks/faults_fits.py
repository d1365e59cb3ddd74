"""Interrupt fits of every estimator at random lines, and compare what they leave.

Each fit is a second one of a fitted estimator, with other rows. Attributes (arrays and
parameters of networks too), random generators, limits on threads and filters of
warnings must be those from before. Exits with 1 if one of them is not.

    python benchmarks/faults_fits.py
    python benchmarks/faults_fits.py --n 20 --seed 3
"""

import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from _faults import LineCounter, differences, snapshot
from _machine import describe_machine
from _trials import trial_parser
from torch import nn

from cftlearn import (
    CategoryWiseFineTuner,
    CFTClassifier,
    CFTEnsemble,
    TorchFeatureExtractor,
)
from cftlearn.calibration import CategoryCalibrator
from cftlearn.datasets import make_partial_multilabel
from cftlearn.solvers import GeneticSolver

ERRORS = (KeyboardInterrupt, RuntimeError, MemoryError)


def cases() -> dict[str, tuple[Any, Callable[[Any], Any], Callable[[Any], Any]]]:
    """Return estimators, and how each is fitted first and again."""
    X, y, _ = make_partial_multilabel(60, known=0.7, random_state=0)
    X, y = X.astype(np.float32), y[:, :2]
    network = nn.Sequential(
        nn.Linear(20, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 2)
    )
    quick = {"max_epochs": 1, "random_state": 0}
    genetic = GeneticSolver(n_generations=3, population_size=6)

    def on_rows(estimator: Any) -> Any:
        return estimator.fit(X, y)

    def on_others(estimator: Any) -> Any:
        return estimator.fit(X[:40, ::-1].copy(), y[:40, ::-1].copy())

    estimators = {
        "classifier": CFTClassifier(random_state=0, calibration="sigmoid"),
        "network": CFTClassifier(network, **quick),
        "network, rounds": CFTClassifier(network, rounds=2, **quick),
        "fine-tuner": CategoryWiseFineTuner(random_state=0),
        "genetic": CategoryWiseFineTuner(genetic, random_state=0),
        "gradient": CategoryWiseFineTuner("bce", random_state=0),
        "ensemble": CFTEnsemble(n_estimators=2, weights="greedy", random_state=0),
    }
    found: dict[str, Any] = {
        name: (one, on_rows, on_others) for name, one in estimators.items()
    }
    found["calibrator"] = (
        CategoryCalibrator(),
        lambda one: one.fit(X[:, :2], y),
        lambda one: one.fit(X[:40, 2:4], y[:40, ::-1].copy()),
    )
    found["extractor"] = (
        TorchFeatureExtractor(network, layer="0"),
        lambda one: one.fit(X),
        lambda one: one.set_params(layer="1").fit(X[:5]),
    )
    return found


def interrupt(name: str, n_fits: int, seed: int) -> list[str]:
    """Interrupt fits of one estimator; describe what they changed."""
    estimator, first, again = cases()[name]
    first(estimator)
    if name == "extractor":
        estimator.set_params(layer="1")
    counter = LineCounter()
    other, _, _ = cases()[name]
    first(other)
    failure = counter.run(lambda: again(other))
    if failure is not None:
        raise RuntimeError(f"{name} cannot be fitted again") from failure
    rng = np.random.default_rng(seed)
    before = snapshot(estimator)
    faults = []
    for number in range(n_fits):
        stop = int(rng.integers(1, counter.n_lines + 1))
        injected = LineCounter(stop, ERRORS[number % len(ERRORS)])
        error = injected.run(lambda: again(estimator))
        changed = differences(before, snapshot(estimator))
        if error is None:
            first(estimator)  # the error was answered inside; the fit went on
            before = snapshot(estimator)
        elif changed:
            faults.append(f"{name}, {injected.where}: {', '.join(changed[:5])}")
            return faults
    return faults


def main() -> None:
    """Print one line per estimator."""
    parser = trial_parser(__doc__, 200, "fits of each estimator")
    parser.add_argument("--only", default="", help="name of one estimator")
    arguments = parser.parse_args()
    print(*describe_machine(["numpy", "torch", "scikit-learn"]), sep="\n")
    warnings.simplefilter("ignore")
    n_faults = 0
    for name in cases():
        if arguments.only in ("", name):
            faults = interrupt(name, arguments.n, arguments.seed)
            n_faults += len(faults)
            text = "; ".join(faults) or f"as before after {arguments.n} fits"
            print(f"{name:16} {text}", flush=True)
    sys.exit(1 if n_faults else 0)


if __name__ == "__main__":
    main()
