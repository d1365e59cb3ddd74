"""Rows that mutations are made of."""

import numpy as np
from numpy.testing import assert_array_equal

from cftlearn.solvers._genetic._donors import MOST_DONORS, draw_donors


def test_few_rows_are_all_taken():
    y = np.array([False, True, False, True, False])
    donors = draw_donors(y, 0)
    assert_array_equal(donors.rows, [1, 3, 0, 2, 4])
    assert_array_equal(donors.y, y[donors.rows])


def test_many_rows_are_drawn_by_class_and_seed():
    y = np.arange(3000) % 7 == 0
    donors, same, other = (draw_donors(y, seed) for seed in (0, 0, 1))
    half = MOST_DONORS // 2
    assert_array_equal(donors.y, np.arange(MOST_DONORS) < half)
    assert_array_equal(donors.y, y[donors.rows])
    assert len(np.unique(donors.rows)) == MOST_DONORS
    assert_array_equal(donors.rows, same.rows)
    assert not np.array_equal(donors.rows, other.rows)
