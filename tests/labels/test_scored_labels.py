"""Labels and scores of the same cells, read together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from cftlearn.labels._scored_labels import CategoryScores, read_scored_labels

NAN = np.nan


@given(st.lists(st.sampled_from([0.0, 1.0, NAN]), min_size=1, max_size=9))
def test_scores_are_sorted_by_labels(column):
    """Oracle: one cell after the other."""
    values, scores = np.array(column), np.arange(len(column), dtype=float)
    own = CategoryScores.of(scores, values)
    for part, is_part in (
        (own.positive, lambda v: v == 1),
        (own.negative, lambda v: v == 0),
        (own.unknown, np.isnan),
    ):
        expected = [s for s, v in zip(scores, values, strict=True) if is_part(v)]
        assert_array_equal(part, expected)
    assert sorted(own.known) == [s for s, v in enumerate(values) if not np.isnan(v)]
    assert own.is_scored
    assert not CategoryScores.of(np.full(len(values), NAN), values).is_scored


def test_tables_are_read_together():
    y = np.array([[1.0, NAN], [0.0, 1.0]])
    scores, labels = read_scored_labels([[1, 2], [3, 4]], y)
    assert scores.dtype == np.float64
    assert_array_equal(scores, [[1, 2], [3, 4]])
    assert_array_equal(labels.values, y)
    # A category that the model cannot score.
    scores, _ = read_scored_labels([[1.0, NAN], [3.0, NAN]], y)
    assert np.isnan(scores[:, 1]).all()


@pytest.mark.parametrize(
    ("scores", "match"),
    [
        (np.zeros((2, 3)), r"must have the shape of `y`, \(2, 2\); got \(2, 3\)"),
        (np.zeros((2, 2, 1)), r"got \(2, 2, 1\).*column_stack"),
        ([[0.0, NAN], [0.0, 1.0]], r"got nan in category '1', row 0 \(1 such cell\)"),
        ([[np.inf, 0], [-np.inf, 0]], r"got inf in category '0', .*\(2 such cells\)"),
    ],
)
def test_other_tables_are_refused(scores, match):
    with pytest.raises(ValueError, match=match):
        read_scored_labels(scores, np.array([[1.0, NAN], [0.0, 1.0]]))
