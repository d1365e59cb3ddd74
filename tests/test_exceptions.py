"""What messages say of long lists and of other errors."""

import pytest

from cftlearn.exceptions import first_line, list_some


@pytest.mark.parametrize(
    ("n_items", "expected"),
    [(0, ""), (1, "0"), (3, "0, 1, 2"), (4, "0, 1, 2 and 1 more")],
)
def test_what_is_left_out_is_counted(n_items, expected):
    assert list_some([str(i) for i in range(n_items)], 3) == expected


def test_longer_items_have_another_separator():
    assert list_some(["a, b", "c", "d"], 2, separator="; ") == "a, b; c; and 1 more"
    assert list_some(["a, b", "c"], 2, separator="; ") == "a, b; c"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("\n too large \nsecond"), "too large"),
        (ValueError(" \n"), "ValueError"),
        (KeyError(), "KeyError"),
    ],
    ids=["two lines", "blank", "empty"],
)
def test_first_line(error, expected):
    assert first_line(error) == expected


def test_codes_of_bold_text_are_left_out():
    error = ValueError("\x1b[1mdo those steps\x1b[0m only\nif")
    assert first_line(error) == "do those steps only"
