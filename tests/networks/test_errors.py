"""What errors say about networks."""

import pytest

from cftlearn.networks._errors import first_line


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
