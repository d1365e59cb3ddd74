"""Rows of CSV: the standard library's, but for blank lines and the limit."""

import csv
import io
import random

import pytest

from cftlearn.datasets import _csv_rows
from cftlearn.datasets._csv_rows import CsvRows


def rows_of(text, separator=None):
    return list(CsvRows(io.StringIO(text, newline=""), "a.csv", separator))


def expected_rows(text):
    try:
        stream = io.StringIO(text, newline="")
        return list(csv.reader(stream, strict=True, skipinitialspace=True))
    except csv.Error:
        return None


def own_rows(text):
    try:
        return rows_of(text, ",")
    except ValueError:
        return None


def filled(rows):
    """Return rows without blank lines, which a line of blanks is here too."""
    return [row for row in rows if len(row) > 1 or "".join(row).strip()]


def test_the_standard_library_reads_the_same_cells():
    rng = random.Random(0)
    n_read = 0
    for _ in range(5_000):
        text = "".join(rng.choice('a"",,\n\r xé') for _ in range(rng.randrange(1, 16)))
        if not text.strip():
            continue
        expected, found = expected_rows(text), own_rows(text)
        if expected is None or found is None:
            assert expected is found is None, text
            continue
        n_read += 1
        assert filled(found) == filled(expected), text
    assert n_read > 1000


def test_blanks_before_quotes_do_not_count():
    assert rows_of('a, "b, c",d\n') == [["a", "b, c", "d"]]
    assert rows_of('"a", "b"\r\n') == [["a", "b"]]
    assert rows_of('a "b" "c"\n', " ") == [["a", "b", "c"]]


def test_quotes_inside_a_cell_are_text():
    assert rows_of('a,5" pipe\nb,"6"" pipe"\n') == [["a", '5" pipe'], ["b", '6" pipe']]


def test_a_cell_may_be_longer_than_the_standard_library_reads():
    limit = csv.field_size_limit()
    report = "x" * (2 * limit)
    for text in (f"a,{report}\n", f'a,"{report}"\n', f'a,"{report}\n{report}"\n'):
        (row,) = rows_of(text)
        assert set(row[1]) <= {"x", "\n"}
        assert len(row[1]) >= len(report)
    assert csv.field_size_limit() == limit


def test_longer_cells_and_lines_are_refused(monkeypatch):
    monkeypatch.setattr(_csv_rows, "LONGEST_CELL", 200_000)
    limit, long = csv.field_size_limit(), "a" * 150_000 + "\n"
    assert rows_of(long) == [[long[:-1]]]
    with pytest.raises(ValueError, match=r"at most 200,000 characters; line 2 of"):
        rows_of("a\n" + "a" * 200_001)
    with pytest.raises(ValueError, match=r"line 2 of .* than field limit \(200000\)"):
        rows_of(f'a\n"{long}{long}"')
    assert csv.field_size_limit() == limit


def test_blank_lines_are_left_out_but_not_without_end(monkeypatch):
    monkeypatch.setattr(_csv_rows, "_MOST_BLANKS", 3)
    assert [row for row in rows_of("a\n\n\n\nb\n") if row] == [["a"], ["b"]]
    with pytest.raises(ValueError, match=r"over 3 blank lines; 'a.csv' does in line 5"):
        rows_of("a\n\n\n\n\nb\n")


def test_lines_are_counted_where_cells_go_on():
    rows = CsvRows(io.StringIO('a\n"b\nc"\n\nd\n', newline=""), "a.csv")
    assert [rows.line for _ in rows] == [1, 3, 4, 5]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('a\n"b\nc\n', r"row of line 2 of 'a.csv' is not \(unexpected end"),
        ('a\n"b"c\n', r"line 2 of 'a.csv' is not \(',' expected after '\"'\)"),
        ("a\nb\0\n", r"without NUL characters; line 2 of 'a.csv' has one\. Delete it"),
    ],
)
def test_other_text_is_refused_with_its_line(text, match):
    with pytest.raises(ValueError, match=match):
        rows_of(text)


def test_errors_name_the_parameter():
    with pytest.raises(ValueError, match=r"^`descriptions` must be text without NUL"):
        CsvRows(io.StringIO("\0"), "a.csv", ",", "descriptions")
