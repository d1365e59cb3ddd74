"""The four label states: their codes, and what policies make of them."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from cftlearn.labels import LabelState
from cftlearn.labels._states import policy_values, resolve_states

NAMES = np.array(["cat", "dog"], dtype=object)
VALUES = {"unknown": np.nan, "positive": 1.0, "negative": 0.0}


def test_codes_are_those_of_stored_tables():
    codes = {state.name: int(state) for state in LabelState}
    assert codes == {"BLANK": 0, "NEGATIVE": 1, "POSITIVE": 2, "UNCERTAIN": 3}


@pytest.mark.parametrize("blank", VALUES)
@pytest.mark.parametrize("uncertain", VALUES)
def test_states_become_labels_by_the_policies(uncertain, blank):
    states = np.array([[0, 1], [2, 3], [3, 0], [1, 2]], dtype=np.uint8)
    values = {0: VALUES[blank], 1: 0.0, 2: 1.0, 3: VALUES[uncertain]}
    expected = [[values[state] for state in row] for row in states]
    found = resolve_states(states, NAMES, uncertain=uncertain, blank=blank)
    assert_array_equal(found, expected)


def test_policies_of_single_categories():
    states = np.array([[0, 0], [3, 3]], dtype=np.uint8)
    found = resolve_states(
        states, NAMES, uncertain={"cat": "positive"}, blank={"dog": "negative"}
    )
    assert_array_equal(found, [[np.nan, 0.0], [1.0, np.nan]])
    assert np.isnan(resolve_states(states, NAMES)).all()


@pytest.mark.parametrize("policy", ["ignore", None, 1, {"dog": "ignore"}], ids=str)
def test_other_policies_are_refused(policy):
    with pytest.raises(ValueError, match=r"`blank` must be 'unknown', .*category '"):
        policy_values(policy, NAMES, "blank")


def test_policies_of_other_categories_are_refused():
    message = r"`blank` must name .* got 'fish'\. The table has: 'cat', 'dog'\."
    with pytest.raises(ValueError, match=message):
        policy_values({"dog": "negative", "fish": "negative"}, NAMES, "blank")
