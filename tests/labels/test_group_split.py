"""Which groups a category holds out: whole ones, and about the share asked for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from cftlearn.labels._group_split import deal_groups, draw_groups, hold_out_groups

some = settings(max_examples=200, deadline=None)
tables = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 6)), min_size=1, max_size=40
).map(lambda rows: np.array(rows, dtype=np.intp))


def rng_of(seed=0):
    return np.random.default_rng(seed)


def goal(total, fraction):
    return min(max(round(fraction * total), 1), total - 1)


@given(tables, st.floats(0.05, 0.95), st.integers(0, 5))
@some
def test_some_labels_of_both_classes_stay(counts, fraction, seed):
    chosen = hold_out_groups(counts, fraction, rng_of(seed))
    total, held = counts.sum(axis=0), counts[chosen].sum(axis=0)
    for kind in (0, 1):
        if total[kind]:
            assert held[kind] < total[kind]
    assert counts[chosen].any(axis=1).all()  # none without labels


@given(tables, st.floats(0.05, 0.95), st.integers(0, 5))
@some
def test_positives_come_as_near_to_their_share_as_the_last_group_allows(
    counts, fraction, seed
):
    """No group that is left could bring the number nearer, and leave labels."""
    chosen = hold_out_groups(counts, fraction, rng_of(seed))
    total, held = counts.sum(axis=0), counts[chosen].sum(axis=0)
    missing = goal(total[0], fraction) - held[0]
    for own in counts[~chosen & (counts[:, 0] > 0)]:
        leaves = all(own[k] == 0 or held[k] + own[k] < total[k] for k in (0, 1))
        # a group passed over earlier may only fit where later ones were not taken
        assert not leaves or abs(missing - own[0]) >= abs(missing) or missing <= 0


@given(tables, st.integers(0, 5))
@some
def test_a_class_in_several_groups_is_held_out_where_that_leaves_some(counts, seed):
    chosen = hold_out_groups(counts, 0.25, rng_of(seed))
    total, held = counts.sum(axis=0), counts[chosen].sum(axis=0)
    for kind in (0, 1):
        if held[kind] or total[kind] < 2:
            continue
        for own in counts[~chosen & (counts[:, kind] > 0)]:
            assert any(own[k] and held[k] + own[k] >= total[k] for k in (0, 1))


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 0.9])
@pytest.mark.parametrize(("n_positive", "n_negative"), [(40, 100), (3, 50), (2, 2)])
def test_groups_of_one_label_meet_the_share(n_positive, n_negative, fraction):
    counts = np.zeros((n_positive + n_negative, 2), dtype=np.intp)
    counts[:n_positive, 0] = counts[n_positive:, 1] = 1
    chosen = hold_out_groups(counts, fraction, rng_of())
    expected = [goal(n_positive, fraction), goal(n_negative, fraction)]
    assert counts[chosen].sum(axis=0).tolist() == expected


def test_large_groups_among_small_ones_meet_the_share(rng):
    counts = np.zeros((300, 2), dtype=np.intp)
    counts[:, 1] = rng.geometric(0.3, 300)
    counts[:80, 0] = rng.geometric(0.6, 80)
    counts[0] = [9, 30]
    for seed in range(20):
        held = counts[hold_out_groups(counts, 0.25, rng_of(seed))].sum(axis=0)
        assert abs(held / counts.sum(axis=0) - 0.25).max() < 0.03


def test_every_group_is_held_out_by_some_seed():
    counts = np.array([[1, 0]] * 4 + [[0, 2]] * 8 + [[5, 1]])
    drawn = [hold_out_groups(counts, 0.25, rng_of(seed)) for seed in range(60)]
    assert np.any(drawn, axis=0)[:-1].all()
    assert_array_equal(hold_out_groups(counts, 0.25, rng_of(7)), drawn[7])


def test_the_only_group_with_a_class_stays():
    counts = np.array([[4, 1], [0, 2], [0, 2], [0, 2]])
    chosen = hold_out_groups(counts, 0.25, rng_of())
    assert not chosen[0]
    assert chosen.sum() == 1


def test_a_category_without_a_label_holds_nothing_out():
    assert not hold_out_groups(np.zeros((5, 2), dtype=np.intp), 0.5, rng_of()).any()


@given(tables, st.integers(2, 5), st.integers(0, 5))
@some
def test_folds_differ_by_one_group_at_most(counts, n_folds, seed):
    folds = deal_groups(counts, n_folds, rng_of(seed))
    assert folds.min() >= 0
    assert folds.max() < n_folds
    positives = np.bincount(folds, weights=counts[:, 0], minlength=n_folds)
    assert np.ptp(positives) <= counts[:, 0].max()


def test_folds_get_their_part_of_both_classes(rng):
    counts = np.column_stack([rng.integers(0, 3, 200), rng.integers(0, 5, 200)])
    folds = deal_groups(counts, 4, rng_of())
    for own in counts.T:
        assert np.ptp(np.bincount(folds, weights=own)) <= own.max()
    assert (deal_groups(counts, 4, rng_of(1)) != folds).any()


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60), st.floats(0.05, 0.95))
@some
def test_a_share_of_cells_is_drawn(counts, fraction):
    counts = np.array(counts)
    drawn = draw_groups(counts, fraction, rng_of())
    assert not drawn[counts == 0].any()
    assert abs(counts[drawn].sum() - round(fraction * counts.sum())) <= max(counts)
