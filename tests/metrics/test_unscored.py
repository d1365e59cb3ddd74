"""Categories that a model cannot score are left out of metrics, and said."""

import numpy as np
import pytest

from cftlearn.exceptions import UndefinedCategoryWarning
from cftlearn.labels import check_partial_labels
from cftlearn.metrics._unscored import leave_out_unscored

NAN = np.nan
LABELS = check_partial_labels(np.array([[1.0, 0.0], [0.0, NAN], [NAN, 1.0]]))


def test_a_category_without_scores_has_no_known_labels_left():
    scores = np.array([[0.1, NAN], [0.2, NAN], [0.3, NAN]])
    with pytest.warns(UndefinedCategoryWarning, match="1 of 2 categories have no"):
        labels, filled = leave_out_unscored(LABELS, scores, are_decisions=False)
    np.testing.assert_array_equal(labels.known, LABELS.known & [True, False])
    np.testing.assert_array_equal(filled, [[0.1, 0.0], [0.2, 0.0], [0.3, 0.0]])


def test_minus_one_is_no_decision_and_a_score_all_the_same():
    scores = np.array([[1.0, -1.0], [0.0, -1.0], [1.0, -1.0]])
    with pytest.warns(UndefinedCategoryWarning):
        labels, _ = leave_out_unscored(LABELS, scores, are_decisions=True)
    assert not labels.known[:, 1].any()
    labels, _ = leave_out_unscored(LABELS, scores, are_decisions=False)
    assert labels is LABELS


@pytest.mark.parametrize(
    "scores",
    [
        np.array([[0.1, NAN], [0.2, 0.3], [0.3, 0.4]]),  # a known label has a score
        np.full((3, 2), NAN),  # nothing at all
        np.ones((3, 2)),
        np.ones((3, 2), dtype=bool),
    ],
    ids=["some", "all", "none", "bool"],
)
def test_other_scores_are_left_as_they_are(scores):
    labels, same = leave_out_unscored(LABELS, scores, are_decisions=False)
    assert labels is LABELS
    assert same is scores
