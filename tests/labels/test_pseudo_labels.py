"""How pseudo-labels, and their weights, are read."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from cftlearn.labels import check_partial_labels
from cftlearn.labels._pseudo_labels import read_pseudo_labels

NAN = np.nan
Y = np.array([[1, NAN, NAN], [NAN, 0, NAN]])
PSEUDO = np.array([[NAN, 0.7, 0.2], [1.0, NAN, NAN]])


def read(pseudo=PSEUDO, weight=None, y=Y):
    return read_pseudo_labels(pseudo, weight, y, check_partial_labels(y))


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        (None, [[0, 1, 1], [1, 0, 0]]),
        (0.5, [[0, 0.5, 0.5], [0.5, 0, 0]]),
        (2, [[0, 2, 2], [2, 0, 0]]),
        (np.float32(0.25), [[0, 0.25, 0.25], [0.25, 0, 0]]),
        ([0.5, 3], [[0, 0.5, 0.5], [3, 0, 0]]),
        ([[NAN, 1, 0], [0.5, -1, np.inf]], [[0, 1, 0], [0.5, 0, 0]]),
    ],
    ids=str,
)
def test_weights_of_one_number_of_rows_and_of_cells(weight, expected):
    targets = read(weight=weight)
    assert_array_equal(targets.weights, np.array(expected, dtype=np.float32))
    kept = np.array(expected) > 0
    assert_array_equal(targets.cells, kept)
    assert_array_equal(targets.values, np.where(kept, PSEUDO, NAN).astype(np.float32))


@pytest.mark.parametrize(
    ("pseudo", "weight"), [(None, None), (PSEUDO * NAN, None), (PSEUDO, 0)], ids=str
)
def test_there_may_be_none(pseudo, weight):
    assert read(pseudo, weight) is None


def test_a_square_table_of_weights_is_one_of_cells():
    weight = [1.0, 2.0]
    y, pseudo = Y[:, 1:], PSEUDO[:, 1:]
    assert_array_equal(read(pseudo, weight, y).weights, [[1, 1], [0, 0]])


def test_targets_can_be_restricted():
    cells = np.array([[True, True, False], [True, False, True]])
    own = read(weight=0.5).restricted_to(cells)
    expected = np.where(cells, PSEUDO, NAN).astype(np.float32)
    assert_array_equal(own.values, expected)
    assert_array_equal(own.weights, np.isfinite(expected) * np.float32(0.5))
    assert own.values.dtype == own.weights.dtype == np.float32


def test_what_is_given_is_left_alone():
    pseudo, weight = PSEUDO.copy(), np.ones(PSEUDO.shape)
    read(pseudo, weight)
    assert_array_equal(pseudo, PSEUDO)
    assert_array_equal(weight, np.ones(PSEUDO.shape))


def test_frames_go_by_their_names():
    pd = pytest.importorskip("pandas", reason="the dataframes extra")
    columns = ["a", "b", "c"]
    y, pseudo = (pd.DataFrame(each, columns=columns) for each in (Y, PSEUDO))
    assert_array_equal(read(pseudo, y=y).values, PSEUDO.astype(np.float32))
    with pytest.raises(ValueError, match=r"`pseudo_labels` must have the categories"):
        read(pseudo[["b", "a", "c"]], y=y)
    weight = pd.Series([1.0, 2.0], index=[1, 0])
    with pytest.raises(ValueError, match=r"`y` and `pseudo_weight` must have their ro"):
        read(pseudo, weight, y)
    table = pd.DataFrame(np.ones((2, 3)), columns=["c", "b", "a"])
    with pytest.raises(ValueError, match=r"`pseudo_weight` must have the categories"):
        read(pseudo, table, y)
