"""Groups of rows, and their numbers."""

import numpy as np
import pytest
from optional import optional

from cftlearn.labels._groups import number_groups

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
