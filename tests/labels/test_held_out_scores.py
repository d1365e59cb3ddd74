"""Held-out labels beside their logits."""

import numpy as np
from numpy.testing import assert_array_equal

from cftlearn.labels import check_partial_labels
from cftlearn.labels._held_out_scores import HeldOutScores


def test_each_category_has_its_labels_and_logits():
    held_out = check_partial_labels([[1, None], [None, 0], [0, 1], [None, None]])
    logits = [np.array([0.5, -2.0]), np.array([-1.0, 3.0])]
    n_rows, (first, second) = HeldOutScores.from_logits(held_out, logits)
    assert n_rows == 4
    assert_array_equal(first.rows, [0, 2])
    assert first.y.tolist() == [True, False]
    assert_array_equal(second.rows, [1, 2])
    assert second.y.tolist() == [False, True]
    assert_array_equal(first.logits, logits[0])
    assert_array_equal(second.logits, logits[1])
