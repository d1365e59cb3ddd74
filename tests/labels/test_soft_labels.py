"""Soft labels of uncertain cells: their intervals, their seed, and what they refuse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal
from scipy.stats import kstest

from cftlearn.labels import resolve_labels, soft_labels

BOUNDS = {"positive": (0.55, 0.85), "negative": (0.0, 0.3)}
TABLE = np.array([[-1.0, 0.0, -1.0], [1.0, -1.0, np.nan], [-1.0, np.nan, 0.0]])


@pytest.mark.parametrize("uncertain", BOUNDS)
def test_draws_are_uniform_in_the_published_intervals(uncertain):
    low, high = BOUNDS[uncertain]
    soft = soft_labels(np.full((20_000, 2), -1), uncertain=uncertain, random_state=0)
    assert soft.min() >= low
    assert soft.max() <= high
    for column in soft.T:
        assert kstest(column, "uniform", args=(low, high - low)).pvalue > 1e-3
    assert abs(np.corrcoef(soft.T)[0, 1]) < 0.05


STATES = arrays(float, (6, 3), elements=st.sampled_from([-1.0, 0.0, 1.0, np.nan]))


@given(table=STATES, policy=st.sampled_from(["positive", "negative"]))
def test_only_uncertain_cells_have_one(table, policy):
    soft = soft_labels(table, uncertain=policy, random_state=0)
    assert_array_equal(~np.isnan(soft), table == -1)
    # So they meet no known label of the y beside them.
    y = resolve_labels(table)
    assert not (~np.isnan(y) & ~np.isnan(soft)).any()


@given(table=STATES, others=STATES, row=st.integers(0, 5))
def test_a_draw_depends_on_its_row_and_category_alone(table, others, row):
    table[row, 1] = others[row, 1] = -1
    one, two = soft_labels(table, random_state=4), soft_labels(others, random_state=4)
    assert one[row, 1] == two[row, 1]


def test_a_draw_goes_by_the_name_of_its_category():
    pd = pytest.importorskip("pandas", reason="the dataframes extra")
    frame = pd.DataFrame(TABLE, columns=["cat", "dog", "fish"], index=[7, 8, 9])
    soft = soft_labels(frame, random_state=1)
    assert list(soft.columns) == ["cat", "dog", "fish"]
    assert list(soft.index) == [7, 8, 9]
    turned = soft_labels(frame[["fish", "cat"]], random_state=1)
    pd.testing.assert_frame_equal(turned, soft[["fish", "cat"]])


def test_seeds():
    same = [soft_labels(TABLE, random_state=5) for _ in range(2)]
    assert_array_equal(*same)
    assert not np.allclose(
        soft_labels(TABLE, random_state=6), same[0], equal_nan=True, atol=1e-4
    )
    state = np.random.RandomState(0)
    first, second = (soft_labels(TABLE, random_state=state) for _ in range(2))
    assert not np.allclose(first, second, equal_nan=True, atol=1e-4)
    assert np.isfinite(soft_labels(TABLE)[0, 0])


def test_a_policy_per_category():
    soft = soft_labels(TABLE, uncertain={"0": "negative", "1": "positive"})
    assert soft[0, 0] < 0.3
    assert soft[1, 1] >= 0.55
    assert np.isnan(soft[:, 2]).all()
    assert_array_equal(
        np.isnan(soft_labels(TABLE, uncertain={"2": "unknown"})), np.full((3, 3), True)
    )


def test_the_table_is_left_alone():
    table = TABLE.copy()
    soft_labels(table)
    assert_array_equal(table, TABLE)
