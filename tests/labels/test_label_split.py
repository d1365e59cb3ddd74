"""Labels held out, and labels dealt to folds: counts, chance and targets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from cftlearn.labels import check_partial_labels
from cftlearn.labels._groups import spread_over_groups
from cftlearn.labels._label_split import (
    LabelSplit,
    deal_labels,
    hold_out_given,
    hold_out_nothing,
    sample_cells,
    sample_unknown,
    split_labels,
)

SEEDS = np.arange(3)


@pytest.fixture
def labels(rng):
    y = (rng.random((200, 3)) < [0.5, 0.2, 0.05]).astype(float)
    y[rng.random(y.shape) < 0.3] = np.nan
    return check_partial_labels(y)


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 0.9])
def test_each_class_of_each_category_gives_its_share(labels, fraction):
    split = split_labels(labels, fraction, SEEDS)
    assert split.same_rows is True
    for j in range(3):
        for one_class in (0.0, 1.0):
            n = np.count_nonzero(labels.values[:, j] == one_class)
            held_out = np.count_nonzero(split.held_out.values[:, j] == one_class)
            assert held_out == min(max(round(fraction * n), 1), n - 1)


def test_each_known_label_is_in_one_part(labels):
    split = split_labels(labels, 0.3, SEEDS)
    assert not (split.fitted.known & split.held_out.known).any()
    assert_array_equal(split.fitted.known | split.held_out.known, labels.known)
    for part in split[:2]:
        assert_array_equal(part.values[part.known], labels.values[part.known])
        assert np.isnan(part.values[~part.known]).all()


@pytest.mark.parametrize(
    ("n", "n_held_out"), [(0, 0), (1, 0), (2, 1), (3, 1), (10, 1)], ids=str
)
def test_a_class_gives_one_label_at_least_if_it_has_two(n, n_held_out):
    y = np.full((30, 1), np.nan)
    y[:n] = 1.0
    split = split_labels(check_partial_labels(y), 0.01, [0])
    assert split.held_out.known.sum() == n_held_out
    most = split_labels(check_partial_labels(y), 0.99, [0])
    assert most.fitted.known.sum() == min(n, 1)


def test_labels_are_chosen_by_chance_and_by_the_seed_of_their_category(labels):
    known = split_labels(labels, 0.5, SEEDS).held_out.known
    assert_array_equal(split_labels(labels, 0.5, SEEDS).held_out.known, known)
    other = split_labels(labels, 0.5, np.array([0, 9, 2])).held_out.known
    assert_array_equal(other[:, [0, 2]], known[:, [0, 2]])
    assert (other[:, 1] != known[:, 1]).any()
    first_half = known[:100].sum() / known.sum()
    assert 0.4 < first_half < 0.6


def test_targets_leave_held_out_labels_of_the_same_rows_out():
    fitted = check_partial_labels([[1, None], [None, 0], [None, None]])
    held_out = check_partial_labels([[None, None], [0, None], [None, 1]])
    nan = np.nan
    split = LabelSplit(fitted, held_out, same_rows=True)
    assert_array_equal(split.targets(), [[1, 0], [nan, 0], [0, nan]])
    ignored = [[1, nan], [nan, 0], [nan, nan]]
    assert_array_equal(split.targets("ignore"), ignored)
    of_others = LabelSplit(fitted, held_out, same_rows=False)
    assert_array_equal(of_others.targets(), [[1, 0], [0, 0], [0, 0]])
    assert_array_equal(of_others.targets("ignore"), ignored)


def test_folds_of_each_class_differ_by_one_at_most(labels):
    folds = deal_labels(labels, 4, SEEDS)
    assert_array_equal(folds >= 0, labels.known)
    assert_array_equal(folds[~labels.known], -1)
    for j in range(3):
        for one_class in (0.0, 1.0):
            own = folds[labels.values[:, j] == one_class, j]
            counts = np.bincount(own, minlength=4)
            assert len(counts) == 4
            assert np.ptp(counts) <= 1
            assert counts[0] == counts.max()  # the first folds get what is left over


def test_folds_are_dealt_by_chance_and_by_the_seed_of_their_category(labels):
    folds = deal_labels(labels, 2, SEEDS)
    other = deal_labels(labels, 2, np.array([0, 9, 2]))
    assert_array_equal(other[:, [0, 2]], folds[:, [0, 2]])
    assert (other[:, 1] != folds[:, 1]).any()
    in_order = folds[labels.values[:, 0] == 1.0, 0]
    assert_array_equal(np.unique(np.diff(in_order)), [-1, 0, 1])


def test_more_folds_than_labels_are_refused():
    y = np.array([[1.0, 0.0], [0.0, np.nan], [0.0, 1.0]])
    labels = check_partial_labels(y)
    assert deal_labels(labels, 2, np.array([0, 1])).max() == 1
    with pytest.raises(ValueError, match=r"`cross_fit` must be at most 2, .*got 3\."):
        deal_labels(labels, 3, np.array([0, 1]))


# --- groups ---------------------------------------------------------------------------


def draw_problem(seed, n_groups):
    """Draw labels of 60 rows in groups of any size."""
    rng = np.random.default_rng(seed)
    y = (rng.random((60, 3)) < [0.5, 0.2, 0.05]).astype(float)
    y[rng.random(y.shape) < rng.uniform(0, 0.9)] = np.nan
    groups = rng.integers(0, n_groups, 60)
    groups[:2] = 0, n_groups - 1
    return check_partial_labels(y), groups


problems = st.builds(draw_problem, st.integers(0, 10**6), st.integers(2, 60))
some = settings(max_examples=150, deadline=None)


@given(problems, st.floats(0.05, 0.95))
@some
def test_no_group_is_on_both_sides_of_a_category(problem, fraction):
    labels, groups = problem
    split = split_labels(labels, fraction, SEEDS, groups)
    fitted, held_out = (
        spread_over_groups(part.known, groups)
        for part in (split.fitted, split.held_out)
    )
    assert not (fitted & held_out).any()
    assert_array_equal(split.fitted.known | split.held_out.known, labels.known)
    assert_array_equal(split.cells_held_out(), held_out)


@given(problems, st.floats(0.05, 0.95))
@some
def test_no_group_is_trained_and_probed(problem, fraction):
    """Known and unknown cells that are held out, and those that are not."""
    labels, groups = problem
    split = split_labels(labels, fraction, SEEDS, groups)
    drawn = sample_unknown(split, fraction, SEEDS)
    assert not (drawn & labels.known).any()
    aside = drawn | split.held_out.known
    trained = split.fitted.known | (split.unknown_to_fit() & ~drawn)
    assert_array_equal(aside | trained, np.ones_like(aside))
    together = spread_over_groups(aside, groups) & spread_over_groups(trained, groups)
    assert not together.any()


@given(problems, st.integers(2, 4))
@some
def test_no_group_is_in_two_folds(problem, n_folds):
    labels, groups = problem
    try:
        folds = deal_labels(labels, n_folds, SEEDS, groups)
    except ValueError as error:
        assert "`cross_fit` must be at most" in str(error)  # noqa: PT017
        return
    assert_array_equal(folds >= 0, labels.known)
    for fold in range(n_folds):
        own, rest = folds == fold, (folds != fold) & labels.known
        own, rest = (spread_over_groups(cells, groups) for cells in (own, rest))
        assert not (own & rest).any()


def test_rows_that_are_groups_of_their_own_give_the_same_shares(labels):
    groups = np.arange(200)
    own, alone = (split_labels(labels, 0.25, SEEDS, g) for g in (groups, None))
    for j in range(3):
        for one_class in (0.0, 1.0):
            counts = [
                np.count_nonzero(split.held_out.values[:, j] == one_class)
                for split in (own, alone)
            ]
            assert counts[0] == counts[1]


def test_groups_are_chosen_by_the_seed_of_their_category(labels):
    groups = np.arange(200) // 3
    for make in (
        lambda seeds: split_labels(labels, 0.5, seeds, groups).held_out.known,
        lambda seeds: deal_labels(labels, 2, seeds, groups),
    ):
        own, other = make(SEEDS), make(np.array([0, 9, 2]))
        assert_array_equal(other[:, [0, 2]], own[:, [0, 2]])
        assert (other[:, 1] != own[:, 1]).any()


def test_unknown_cells_of_held_out_groups_are_no_negatives():
    y = [[1, None], [None, 0], [0, None], [None, None], [None, 1]]
    fitted = check_partial_labels([[None, None], [None, 0], [0, None], *y[3:]])
    held_out = check_partial_labels([[1, None]] + [[None, None]] * 4)
    nan, groups = np.nan, np.array([0, 0, 1, 1, 2])
    split = LabelSplit(fitted, held_out, same_rows=True, groups=groups)
    assert_array_equal(split.targets(), [[nan, 0], [nan, 0], [0, 0], [0, 0], [0, 1]])
    assert split.unknown_to_fit()[:, 0].tolist() == [False, False, False, True, True]
    of_others = split._replace(same_rows=False)
    assert_array_equal(of_others.targets()[:, 0], [0, 0, 0, 0, 0])


def test_unknown_cells_are_drawn_as_before_without_groups(labels):
    split = split_labels(labels, 0.25, SEEDS)
    expected = sample_cells(split.unknown_cells(), 0.25, SEEDS)
    assert_array_equal(sample_unknown(split, 0.25, SEEDS), expected)


@pytest.mark.parametrize("same_rows", [True, False])
def test_a_share_of_unknown_cells_is_drawn_in_groups(labels, same_rows):
    groups = np.arange(200) // 3
    split = split_labels(labels, 0.25, SEEDS, groups)._replace(same_rows=same_rows)
    drawn = sample_unknown(split, 0.25, SEEDS)
    share = drawn.sum(axis=0) / split.unknown_cells().sum(axis=0)
    assert np.abs(share - 0.25).max() < 0.12
    assert not (drawn & ~split.unknown_cells()).any()


def test_one_group_cannot_be_divided(labels):
    groups = np.zeros(200, dtype=np.intp)
    for call in (
        lambda: split_labels(labels, 0.25, SEEDS, groups),
        lambda: deal_labels(labels, 2, SEEDS, groups),
    ):
        with pytest.raises(ValueError, match=r"at least two .* one group for 200"):
            call()


def test_more_folds_than_groups_are_refused(labels):
    groups = np.arange(200) % 3
    assert deal_labels(labels, 3, SEEDS, groups).max() == 2
    with pytest.raises(ValueError, match=r"at most 3, .* groups .*got 4\. .*=3, say"):
        deal_labels(labels, 4, SEEDS, groups)
    one = check_partial_labels([[1.0], [None], [0.0], [None]])
    with pytest.raises(ValueError, match=r"at most 1, .* got 2\. Pass cross_fit=None"):
        deal_labels(one, 2, np.array([0]), np.array([0, 0, 1, 1]))


def test_labels_held_out_by_hand_are_of_other_groups():
    fitted = check_partial_labels([[1, 0], [None, 1], [0, None]])
    held_out = check_partial_labels([[None, None], [0, None], [None, 1]])
    groups = np.array([5, 5, 7])
    for groups_given, same_rows in ((None, True), (groups, False)):
        split = hold_out_given(fitted, held_out, groups_given, same_rows=same_rows)
        assert (split.groups is groups_given, split.same_rows) == (True, same_rows)
    with pytest.raises(ValueError, match=r"1 labels of `y`.*'0', row 0,.* in row 1 of"):
        hold_out_given(fitted, held_out, groups, same_rows=True)


def test_nothing_is_held_out_for_folds(labels):
    split = hold_out_nothing(labels, np.arange(200))
    assert_array_equal(split.fitted.known, labels.known)
    assert not split.held_out.known.any()
