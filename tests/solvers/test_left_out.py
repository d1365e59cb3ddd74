"""Evidence of labels left out: what a family gets that says logits alone."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.metrics import roc_auc_score

from cftlearn.solvers._left_out import (
    LeftOutEvidence,
    placement_values,
    round_logits,
)


class OfLogits(LeftOutEvidence):
    """Knows the logits of all rows."""

    def __init__(self, logits):
        self.logits = logits

    def left_out(self, rows):
        return self.logits[:, rows]


def test_rankings_are_those_of_logits_left_out():
    rng = np.random.default_rng(0)
    evidence = OfLogits(rng.standard_normal((3, 40)))
    positives, negatives = np.arange(0, 10), np.array([39, 12, 30])
    y = np.arange(13) < 10
    expected = [
        roc_auc_score(y, logits[np.append(positives, negatives)])
        for logits in evidence.logits
    ]
    found = evidence.placements(positives, negatives).mean(axis=1)
    assert found == pytest.approx(expected, abs=1e-12)
    assert evidence.asks_many


def test_rows_that_differ_by_rounding_tie():
    evidence = OfLogits(np.array([[1.0, 1.0 + 1e-12, 0.0]]))
    rows = np.array([1]), np.array([0])
    assert_array_equal(evidence.placements(*rows), [[0.5]])


def test_logits_are_rounded_to_steps_of_the_largest():
    logits = np.array([[1.0, 1.0 + 1e-7, 0.5, -1.0], [0.0, 0.0, 0.0, 0.0]])
    found = round_logits(logits)
    assert found[0, 0] == found[0, 1] > found[0, 2] > found[0, 3]
    assert_array_equal(found[1], 0.0)


def test_placement_values_are_shares_of_negatives_below():
    """Brute force, with ties."""
    rng = np.random.default_rng(0)
    above, below = rng.integers(0, 5, (3, 7)), rng.integers(0, 5, (3, 11))
    pairs = above[:, :, None] - below[:, None, :]
    expected = ((pairs > 0) + 0.5 * (pairs == 0)).mean(axis=2)
    assert_array_equal(placement_values(above, below), expected)
