"""States of cells: spellings, numbers by value, and what is not a state."""

import pytest

from cftlearn.datasets._cell_states import NO_STATE, STANDARD_VALUES, CellStates
from cftlearn.labels import LabelState

BLANK, NEGATIVE, POSITIVE, UNCERTAIN = (
    int(LabelState[name]) for name in ("BLANK", "NEGATIVE", "POSITIVE", "UNCERTAIN")
)


@pytest.mark.parametrize(
    ("texts", "code"),
    [
        (["1", "1.0", " 1", "1,0", "+1", "1e0", "true", "TRUE", " True "], POSITIVE),
        (["0", "0.0", "-0", "0,00", "false", "False"], NEGATIVE),
        (["-1", "-1.0", "-1,0"], UNCERTAIN),
        (["", " ", "nan", "NaN", "NA", "n/a", "#N/A", "<NA>", "None"], BLANK),
        (["null", "NULL"], BLANK),
        (["2", "0.5", "yes", "inf", "1 0", "-", "10"], NO_STATE),
    ],
)
def test_standard_values(texts, code):
    codes = CellStates(STANDARD_VALUES)
    for _ in range(2):  # new, then kept
        assert codes.encode(texts).tolist() == len(texts) * [code]
    assert (set(texts) <= set(codes)) == (code != NO_STATE)


def test_values_replace_the_standard_ones():
    codes = CellStates({"x": "positive", 2: "negative", "": "uncertain", -1: "blank"})
    cells = ["X", "2.0", "", "-1", "na", "1", "true"]
    expected = [POSITIVE, NEGATIVE, UNCERTAIN, BLANK, BLANK, NO_STATE, NO_STATE]
    assert codes.encode(cells).tolist() == expected


def test_equal_numbers_have_one_state():
    CellStates({1: "positive", "1.0": "positive"})
    with pytest.raises(ValueError, match=r"one state per value; got two for '1\.0'"):
        CellStates({1: "positive", "1.0": "negative"})
    with pytest.raises(ValueError, match="or 'blank'; got 'no' for 1"):
        CellStates({1: "no"})


def test_errors_list_the_values():
    codes = CellStates({1: "positive", "no": "negative"})
    assert codes.description() == "1 (positive), no (negative) or nothing (blank)"
