"""Labels held out, and labels dealt to folds: counts, chance and targets."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from cftlearn.labels import check_partial_labels
from cftlearn.labels._label_split import LabelSplit, deal_labels, split_labels

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
