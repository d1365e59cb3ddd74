"""Weights of labels: how they are read, and that a weight of 0 is an unknown label."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal

from cftlearn.labels import check_partial_labels
from cftlearn.labels._label_split import (
    LabelSplit,
    hold_out_given,
    hold_out_nothing,
    split_labels,
)
from cftlearn.labels._weights import (
    effective_count,
    joined_weights,
    relative_weights,
    taken,
    total_weight,
    weigh_labels,
)

Y = np.array([[1.0, np.nan], [0.0, 1.0], [np.nan, 0.0]])
LABELS = check_partial_labels(Y)
weights = arrays(np.float64, (3, 2), elements=st.sampled_from([0.0, 0.5, 1.0, 2.0]))


def test_no_weights_are_no_weights():
    labels, none = weigh_labels(LABELS, None)
    assert labels is LABELS
    assert none is None


@pytest.mark.parametrize("ones", [np.ones(3), np.ones((3, 2)), [1, 1, 1]], ids=repr)
def test_weights_of_one_are_no_weights(ones):
    labels, none = weigh_labels(LABELS, ones)
    assert labels is LABELS
    assert none is None


def test_one_weight_per_row_counts_in_all_categories():
    _, found = weigh_labels(LABELS, [2, 3, 4])
    assert_array_equal(found, [[2, 1], [3, 3], [1, 4]])


@given(weights)
def test_a_weight_of_zero_is_an_unknown_label(table):
    table[0, 0] = 1.0  # all labels of weight 0 are refused
    labels, found = weigh_labels(LABELS, table)
    hidden, same = weigh_labels(check_partial_labels(np.where(table, Y, np.nan)), table)
    assert_array_equal(labels.values, hidden.values)
    assert_array_equal(labels.known, hidden.known)
    assert_array_equal(found, same)
    if found is not None:
        assert_array_equal(found, np.where(labels.known, table, 1.0))


@pytest.mark.parametrize("anything", [np.nan, np.inf, -1.0])
def test_weights_of_unknown_labels_may_be_anything(anything):
    table = np.where(np.isnan(Y), anything, 2.0)
    assert_array_equal(weigh_labels(LABELS, table).weights, [[2, 1], [2, 2], [1, 2]])


def test_names_of_rows_and_columns_must_be_those_of_the_labels():
    pandas = pytest.importorskip("pandas")
    y = pandas.DataFrame(Y, index=["a", "b", "c"], columns=["cat", "dog"])
    labels = check_partial_labels(y)
    table = pandas.DataFrame(np.full((3, 2), 2.0), index=y.index, columns=y.columns)
    assert_array_equal(weigh_labels(labels, table, y).weights[1], [2, 2])
    assert weigh_labels(labels, table["cat"], y).weights is not None
    with pytest.raises(ValueError, match="must have the categories of `y` in the same"):
        weigh_labels(labels, table[["dog", "cat"]], y)
    with pytest.raises(ValueError, match="must have their rows in the same order"):
        weigh_labels(labels, table[::-1], y)
    with pytest.raises(ValueError, match="unexpected: 'cow'"):
        weigh_labels(labels, table.rename(columns={"cat": "cow"}), y)


# ------------------------------------------------------------------------------- sums
def test_relative_weights_have_the_mean_one():
    found = relative_weights(np.array([1.0, 2.0, 6.0]))
    assert found.mean() == pytest.approx(1.0)
    assert_array_equal(found * 3.0, [1, 2, 6])


@pytest.mark.parametrize("equal", [0.1, 1.0, 3.0])
def test_equal_weights_are_no_weights(equal):
    assert relative_weights(np.full(7, equal)) is None
    assert relative_weights(np.empty(0)) is None
    assert relative_weights(None) is None


@given(st.integers(0, 20), st.floats(1e-3, 1e3))
def test_equal_weights_count_as_labels(n, weight):
    chosen = np.arange(25) < n
    assert effective_count(None, chosen) == n
    assert effective_count(np.full(25, weight), chosen) == pytest.approx(n)


def test_unequal_weights_count_less():
    chosen = np.array([True, True, False])
    own = np.array([1.0, 3.0, 100.0])
    assert effective_count(own, chosen) == pytest.approx(16 / 10)
    assert total_weight(own, chosen) == 4.0
    assert total_weight(None, chosen) == 2.0


def test_parts_without_weights_are_joined_as_ones():
    assert joined_weights([None, None], [1, 2]) is None
    assert joined_weights([None, np.array([2.0])], [2, 1]).tolist() == [1, 1, 2]
    assert taken(None, [0]) is None


# ------------------------------------------------------------------------------ splits
def a_split(**changes):
    rng = np.random.default_rng(0)
    y = np.where(rng.random((40, 2)) < 0.5, rng.integers(0, 2, (40, 2)), np.nan)
    table = rng.uniform(0.5, 2.0, y.shape)
    return check_partial_labels(y), table


def test_what_is_held_out_does_not_depend_on_weights():
    labels, table = a_split()
    seeds = np.arange(2)
    plain = split_labels(labels, 0.25, seeds)
    weighted = split_labels(labels, 0.25, seeds, weights=table)
    assert not plain.is_weighted
    assert weighted.is_weighted
    for j in range(2):
        for own, other in zip(
            plain.of_category(j), weighted.of_category(j), strict=True
        ):
            assert_array_equal(own.rows, other.rows)
            assert own.weight is None


def test_weights_of_a_category_have_the_mean_one_over_both_parts():
    labels, table = a_split()
    split = split_labels(labels, 0.25, np.arange(2), weights=table)
    to_fit, to_judge = split.relative_tables()
    assert to_fit is to_judge
    for j in range(2):
        fitted, held_out = split.of_category(j)
        both = np.concatenate([fitted.weight, held_out.weight])
        assert both.mean() == pytest.approx(1.0)
        factor = fitted.weight[0] / table[fitted.rows[0], j]
        np.testing.assert_allclose(fitted.weight, factor * table[fitted.rows, j])
        np.testing.assert_allclose(held_out.weight, factor * table[held_out.rows, j])
        assert_array_equal(to_fit[fitted.rows, j], fitted.weight)
        assert_array_equal(to_fit[held_out.rows, j], held_out.weight)
    assert (to_fit[~labels.known] == 1.0).all()


def test_other_rows_have_weights_relative_to_their_own_mean():
    labels, table = a_split()
    split = hold_out_given(
        labels, labels, same_rows=False, weights=table, weights_val=100 * table**2
    )
    for own in split.of_category(0):
        assert own.weight.mean() == pytest.approx(1.0)
    only = LabelSplit(labels, labels, same_rows=False, weights_val=table)
    assert only.is_weighted
    assert only.of_category(0)[0].weight is None
    tables = only.relative_tables()
    assert (tables[0] == 1.0).all()
    assert not (tables[1] == 1.0).all()


def test_labels_of_the_same_rows_bring_their_own_weights():
    labels, table = a_split()
    nothing = hold_out_nothing(labels, weights=table)
    first = np.arange(40)[:, None] < 20
    fitted, held_out = labels.restricted_to(first), labels.restricted_to(~first)
    split = hold_out_given(
        fitted, held_out, same_rows=True, weights=table, weights_val=2 * table
    )
    assert split.weights_val is None
    assert_array_equal(split.weights[held_out.known], 2 * table[held_out.known])
    assert_array_equal(split.weights[fitted.known], nothing.weights[fitted.known])
