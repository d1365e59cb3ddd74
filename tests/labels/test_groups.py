"""Groups of rows, and their numbers."""

import numpy as np
import pytest
from optional import optional

from cftlearn.labels._groups import (
    number_groups,
    read_groups,
    spread_over_groups,
)

pd = optional("pandas")


@pytest.mark.parametrize(
    "groups",
    [["b", "a", "b", "c"], np.array([7, 3, 7, 5]), pd.Series([2.5, 1.5, 2.5, 0.5])],
    ids=["texts", "integers", "floats"],
)
def test_groups_are_numbered_as_they_come(groups):
    numbers, names = number_groups(groups)
    assert numbers.dtype == np.intp
    assert numbers.tolist() == [0, 1, 0, 2]
    assert [names[number] for number in numbers] == list(groups)


def test_groups_must_be_one_column():
    message = r"`groups` must be 1-D, .* got shape \(2, 1\)\. Pass one column"
    with pytest.raises(ValueError, match=message):
        number_groups([["a"], ["b"]])


@pytest.mark.parametrize("missing", [None, pd.NA, float("nan"), pd.NaT], ids=str)
def test_every_row_has_a_group(missing):
    groups = np.array(["a", missing, "b", missing], dtype=object)
    message = r"must name the group .* got \S+ in row 1 \(2 such rows\)"
    with pytest.raises(ValueError, match=message):
        number_groups(groups)


def test_masked_groups_are_refused():
    groups = np.ma.array([1, 2, 2], mask=[False, True, False])
    with pytest.raises(
        TypeError, match=r"`groups` must be a plain .* group of its own"
    ):
        number_groups(groups)


def test_groups_of_a_list_keep_their_types():
    numbers, names = number_groups(["1", 1, ("a", 2), 1, "1"])
    assert numbers.tolist() == [0, 1, 2, 1, 0]
    assert names == ["1", 1, ("a", 2)]


@pytest.mark.parametrize("name", [{1}, {"a": 1}], ids=["set", "dict"])
def test_names_must_be_comparable(name):
    groups = np.empty(3, dtype=object)
    groups[:] = ["a", "b", name]
    message = f"`groups` must hold names .*; got {type(name).__name__} in row 2"
    with pytest.raises(TypeError, match=message):
        number_groups(groups)


def test_groups_are_optional_and_have_a_length():
    assert read_groups(None, 3) is None
    assert read_groups(["b", "a", "b"], 3).tolist() == [0, 1, 0]
    with pytest.raises(ValueError, match=r"one row per sample.*\[3, 4\].*Pass one"):
        read_groups(["b", "a", "b"], 4)


def test_marked_cells_mark_those_of_their_group_in_the_same_category(rng):
    """Oracle: a loop over all pairs of rows."""
    groups = rng.integers(0, 8, 30)
    cells = rng.random((30, 3)) < 0.1
    expected = [
        [
            any(cells[k, j] for k in range(30) if groups[k] == groups[i])
            for j in (0, 1, 2)
        ]
        for i in range(30)
    ]
    assert spread_over_groups(cells, groups).tolist() == expected
    assert spread_over_groups(cells, None) is cells
    assert not spread_over_groups(np.zeros_like(cells), groups).any()
