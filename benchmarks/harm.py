"""Count categories that a refit harms, and those that only the test rows harm.

For every problem (``_problems.py``), ``solver="auto"`` refits the initial weights. For
every category the benchmark takes the change of its test score, and the standard error
of this change: the standard deviation over draws of test rows with replacement,
positives and negatives apart, the same rows before and after. Printed are the shares of
categories that end worse and better by more than 0.01, and how many of them by more
than 1.96 standard errors. The last column is an estimate of the share whose true change
is below -0.01: the distribution of true changes that makes the observed ones likeliest,
given their errors (nonparametric maximum likelihood, by expectation maximisation).

    python benchmarks/harm.py
    python benchmarks/harm.py --sources emotions --known 0.3 --seeds 1
    python benchmarks/harm.py --short     # seconds, synthetic data, no file
"""

import argparse
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from _machine import describe_machine
from _problems import DATA_FOLDER, TRUNKS, AbsentDataError, Problem, make_problem
from _tables import print_table
from numpy.typing import NDArray
from scipy.stats import norm
from threadpoolctl import threadpool_limits

from cftlearn import CategoryWiseFineTuner
from cftlearn.datasets import make_partial_multilabel
from cftlearn.exceptions import UndefinedCategoryWarning
from cftlearn.labels import hide_labels
from cftlearn.metrics._objectives import make_objective

Floats = NDArray[np.floating[Any]]

MOVED = 0.01
Z_TWO_SIDED = 1.96
DRAWS = 100
TRUE_CHANGES = np.linspace(-0.6, 0.9, 301)
EM_STEPS = 500
SMALLEST_ERROR = 1e-3  # a change of weights that no draw shows has an error, too


def changes(problem: Problem, objective: str, seed: int) -> Floats:
    """Refit a problem; return changes of test scores and their standard errors.

    Returns
    -------
    changes : ndarray of shape (n_categories, 2)
        Of categories that have two positives and two negatives in the test rows.
    """
    tuner = CategoryWiseFineTuner(
        objective=objective,
        coef_init=problem.coef,
        intercept_init=problem.intercept,
        random_state=seed,
    )
    tuner.fit(problem.Z, problem.y, X_val=problem.Z, y_val=problem.y_held)
    metric = make_objective(objective)
    rng = np.random.default_rng(seed)
    found = []
    for j, own in enumerate(problem.y_test.T):
        rows = np.flatnonzero(~np.isnan(own))
        y = own[rows] == 1.0
        if min(np.count_nonzero(y), np.count_nonzero(~y)) < 2:
            continue
        coefs = np.stack([problem.coef[j], tuner.coef_[j]])
        scores = coefs @ problem.Z_test[rows].T.astype(np.float64)
        before, after = metric(y, scores)
        drawn = [np.diff(metric(y[k], scores[:, k])) for k in _draw(rng, y)]
        found.append((after - before, np.std(drawn)))
    return np.array(found).reshape(-1, 2)


def _draw(rng: np.random.Generator, y: NDArray[np.bool_]) -> Iterator[NDArray[np.intp]]:
    """Draw test rows with replacement, positives and negatives apart."""
    classes = np.flatnonzero(y), np.flatnonzero(~y)
    for _ in range(DRAWS):
        yield np.concatenate([rng.choice(own, len(own)) for own in classes])


def true_share_below(change: Floats, error: Floats, limit: float) -> float:
    """Estimate the share of true changes below a limit, given noisy ones.

    Parameters
    ----------
    change, error : ndarray of shape (n_categories,)
        Observed changes, and their standard errors.
    limit : float
        Where to count.

    Returns
    -------
    share : float
        In [0, 1].
    """
    error = np.maximum(error, SMALLEST_ERROR)[:, None]
    likelihood = norm.pdf(change[:, None], TRUE_CHANGES, error)
    weight = np.full(len(TRUE_CHANGES), 1 / len(TRUE_CHANGES))
    for _ in range(EM_STEPS):
        posterior = likelihood * weight
        total = posterior.sum(axis=1, keepdims=True)
        weight = (posterior / np.maximum(total, np.finfo(float).tiny)).mean(axis=0)
    return float(weight[limit > TRUE_CHANGES].sum() / weight.sum())


def summarise(found: Floats) -> list[str]:
    """Return the cells of one line of the table."""
    change, error = found.T
    beyond = np.abs(change) > Z_TWO_SIDED * error
    worse, better = change < -MOVED, change > MOVED
    shares = (worse, worse & beyond, better, better & beyond)
    return [
        str(len(change)),
        f"{change.mean():+.4f}",
        f"{np.median(error):.3f}",
        *(f"{np.mean(share):.1%}" for share in shares),
        f"{true_share_below(change, error, -MOVED):.1%}",
    ]


def synthetic_problem(seed: int) -> Problem:
    """Make a small problem whose initial weights are worth a refit."""
    Z, _, full = make_partial_multilabel(400, n_categories=6, random_state=seed)
    hidden = hide_labels(full[:200], known=0.5, random_state=seed)
    is_held = np.random.default_rng(seed).random(hidden.shape) < 0.25
    rng = np.random.default_rng(seed)
    coef = rng.normal(size=(6, Z.shape[1]))
    return Problem(
        Z=Z[:200],
        y=np.where(is_held, np.nan, hidden),
        y_held=np.where(is_held, hidden, np.nan),
        Z_test=Z[200:],
        y_test=full[200:].astype(np.float64),
        coef=coef,
        intercept=np.zeros(6),
    )


def problems(arguments: argparse.Namespace) -> Iterator[tuple[str, Problem, int]]:
    """Make the problems, source by source."""
    for seed in range(arguments.seeds):
        if arguments.short:
            yield "synthetic", synthetic_problem(seed), seed
            continue
        for source in arguments.sources:
            for trunk in TRUNKS[source]:
                for scheme in ("uniform", "report_like"):
                    for known in arguments.known:
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
                        else:
                            yield source, problem, seed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--sources", nargs="+", default=["emotions", "birds", "scene", "medical"])
    add("--known", type=float, nargs="+", default=[0.1, 0.3])
    add("--seeds", type=int, default=2)
    add("--objective", default="average_precision")
    add("--data", type=Path, default=DATA_FOLDER)
    add("--cache", type=Path, default=None, help="a folder that keeps problems")
    add("--short", action="store_true", help="a small run on synthetic data")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", UndefinedCategoryWarning)
    print(*describe_machine(["cftlearn", "numpy", "scipy", "torch"]), sep="\n")
    print(f"seeds     {list(range(arguments.seeds))}; {arguments.objective}\n")
    found: dict[str, list[Floats]] = {}
    with threadpool_limits(limits=1):
        for source, problem, seed in problems(arguments):
            own = changes(problem, arguments.objective, seed)
            for name in (source, "all"):
                found.setdefault(name, []).append(own)
    head = ["source", "categories", "mean", "error", "worse", "beyond", "better"]
    lines = [[name, *summarise(np.concatenate(own))] for name, own in found.items()]
    print_table([*head, "beyond", "truly worse"], lines)


if __name__ == "__main__":
    main()
