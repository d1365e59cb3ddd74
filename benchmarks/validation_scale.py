"""Count when the warning about the scale of validation rows comes.

For each data set: the share of random splits that warn, of splits in which the rows of
one class are the validation rows, and of mismatches by a scaler of scikit-learn that
only one side went through.

    python benchmarks/validation_scale.py
    python benchmarks/validation_scale.py --repeats 200
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
from _machine import describe_machine
from _problems import DATA_FOLDER
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from cftlearn.exceptions import ValidationScaleWarning
from cftlearn.fine_tuning._validation_rows import warn_of_scale

SIZES = (20, 50, 100)
FILES = ("scene", "emotions", "birds", "enron", "medical", "corel5k", "tox21")
LOADERS = ("breast_cancer", "wine", "digits", "diabetes", "iris")
Floats = NDArray[np.float64]


def tables(folder: Path) -> dict[str, tuple[Floats, NDArray[np.bool_]]]:
    """Load features, and one column per class or category that says who has it."""
    found = {}
    for name in FILES:
        path = folder / f"{name}.npz"
        if not path.exists():
            print(f"skipped   {path} is absent")
            continue
        with np.load(path) as file:
            found[name] = file["X"].astype(np.float64), file["Y"] == 1
    for name in LOADERS:
        X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        few = len(np.unique(y)) < 20  # diabetes is a regression
        classes = y[:, None] == np.unique(y) if few else np.zeros((len(y), 0), bool)
        found[name] = X, classes
    return found


def warns(rows: Floats, others: Floats) -> bool:
    """Return whether the warning comes."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_scale(rows, others, stacklevel=1)
    return any(each.category is ValidationScaleWarning for each in caught)


def main() -> None:
    """Print one line per data set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--data", type=Path, default=DATA_FOLDER)
    arguments = parser.parse_args()
    print(*describe_machine(["numpy", "scikit-learn"]), sep="\n")
    print(f"seeds     0 to {arguments.repeats - 1}; random splits of {SIZES} rows")
    for name, (X, classes) in tables(arguments.data).items():
        print(f"{name:14}", line(X, classes, arguments.repeats))


def line(X: Floats, classes: NDArray[np.bool_], repeats: int) -> str:
    """Describe one data set."""
    alarms = []
    for seed in range(repeats):
        order = np.random.default_rng(seed).permutation(len(X))
        sizes = [size for size in SIZES if size <= len(X) // 2]
        alarms += [warns(X[order[size:]], X[order[:size]]) for size in sizes]
    others = [own for own in classes.T if 20 <= own.sum() <= len(X) - 20][:50]
    by_class = [warns(X[~own], X[own]) for own in others]
    order = np.random.default_rng(0).permutation(len(X))
    rows, held = X[order[len(X) // 4 :]], X[order[: len(X) // 4]]
    found = []
    for scaler in (StandardScaler(), MinMaxScaler(), RobustScaler()):
        scaler.fit(rows)
        found += [warns(scaler.transform(rows), held)]
        found += [warns(rows, scaler.transform(held))]
    return (
        f"random {sum(alarms)} of {len(alarms)}, one class {sum(by_class)} of "
        f"{len(by_class)}; standard, min-max, robust scaler of one side: "
        f"{' '.join(str(int(each)) for each in found)}"
    )


if __name__ == "__main__":
    main()
