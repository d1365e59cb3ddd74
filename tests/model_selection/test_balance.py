"""The balance of folds: an exchange changes the cost as computed."""

import numpy as np
import pytest
from split_parts import make_labels

from cftlearn.model_selection import (
    _balance,
    _split,
)


@pytest.mark.parametrize("with_groups", [False, True], ids=["rows", "groups"])
def test_an_exchange_changes_the_cost_as_computed(with_groups):
    rng = np.random.default_rng(0)
    for seed in range(20):
        y = make_labels(30, 5, seed, prevalence=(0.05, 0.3))
        groups = rng.integers(0, 12, 30) if with_groups else None
        units, _ = _split._read_units(y, y, groups)
        folds = _balance._Folds(
            units, np.full(3, 1 / 3), None if with_groups else np.full(3, 10)
        )
        folds.deal()
        for column in range(folds.expected.shape[1]):
            taker = int(rng.integers(3))
            free = np.ones(units.shape[0], dtype=bool)
            found = folds._find_exchange(column, taker, free)
            if found is not None:
                before = cost_of(folds)
                folds._exchange(taker, found.given, found.taken)
                assert cost_of(folds) - before == pytest.approx(found.change, abs=1e-5)


def cost_of(folds):
    """Count the cost of folds anew: what is uneven, then what is absent."""
    counts = [folds.units[folds.fold == f].toarray() for f in range(3)]
    uneven = np.array([c.sum(axis=0) for c in counts]) - folds.expected
    absent = np.array([~c.any(axis=0) for c in counts])
    return np.sum(uneven**2 / folds.expected) + np.sum(absent * folds.price)
