"""The check of thresholds: shapes, the ends of the range, and what is refused."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from cftlearn.calibration._thresholds import check_threshold


@pytest.mark.parametrize("threshold", [0, 0.3, 1.0, [0.0, 0.5, 1.0]], ids=str)
def test_one_number_or_one_per_category_is_handed_back(threshold):
    found = check_threshold(threshold, ["cat", "dog", "bat"])
    assert found.dtype == np.float64
    assert_array_equal(found, threshold)


@pytest.mark.parametrize("shape", [(2,), (3, 1), (1,), (0,)], ids=str)
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"shape \(3,\); got shape \("):
        check_threshold(np.full(shape, 0.5), ["cat", "dog", "bat"])


@pytest.mark.parametrize("wrong", [-0.1, 1.1, np.nan, np.inf], ids=str)
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=rf"in \[0, 1\]; got {wrong} to {wrong}"):
        check_threshold(wrong, ["cat", "dog", "bat"])
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]; got"):
        check_threshold([0.5, wrong, 0.5], ["cat", "dog", "bat"])


def test_a_series_goes_by_its_names():
    pd = pytest.importorskip("pandas")
    named = pd.Series([0.1, 0.2, 0.3], index=["bat", "cat", "dog"])
    assert_array_equal(check_threshold(named, ["cat", "dog", "bat"]), [0.2, 0.3, 0.1])
    by_place = named.reset_index(drop=True)
    found = check_threshold(by_place, ["cat", "dog", "bat"])
    assert_array_equal(found, [0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match="every category once; missing: 'cow'; unexp"):
        check_threshold(named, ["cat", "dog", "cow"])
