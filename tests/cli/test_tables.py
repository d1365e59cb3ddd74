"""Tables: names that would break lines, and terminals that are narrow."""

import numpy as np
import pytest

from cftlearn.cli._tables import on_one_line, print_intervals, print_report

REASON = "refits weigh 0.91; held-out AUC +0.014, +0.072 over 14 categories"
LINE = {
    "category": "Edema",
    "n_positive": 12,
    "n_negative": 345,
    "roc_auc_before": 0.61249,
    "roc_auc_after": np.nan,
    "solver": None,
    "status": "kept",
    "reason": REASON,
}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Ödème, 肺", "Ödème, 肺"),
        ("a\nb\tc", r"a\nb\tc"),
        ("\x1b[31m", r"\x1b[31m"),
        ("\udcff.png", r"\udcff.png"),
        (3, "3"),
    ],
)
def test_names_stay_on_their_line(name, shown):
    assert on_one_line(name) == shown


def test_a_report_without_a_terminal_has_a_line_per_category(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    print_report([LINE, LINE | {"category": "a\nb", "solver": "ga"}])
    head, first, second, note = capsys.readouterr().out.splitlines()
    assert head.split() == [
        "category",
        "known",
        "+/-",
        "before",
        "after",
        "solver",
        "outcome",
    ]
    assert first.split()[:5] == ["Edema", "12/345", "0.612", "-", "-"]
    assert first.endswith(f"kept: {REASON}")
    assert second.startswith(r"a\nb ")
    assert note == "before, after: the score on labels that were held out"


@pytest.mark.parametrize("columns", [60, 70, 100])
def test_a_report_fits_into_a_terminal(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    print_report([LINE])
    _, first, *rest = capsys.readouterr().out.splitlines()
    assert max(map(len, [first, *rest])) <= columns
    assert (REASON[:7] in first) is (columns == 100)
    words = " ".join([first, *rest[:-1]]).split()
    assert " ".join(words[5:]) == f"kept: {REASON}"


def test_intervals_stay_in_columns(capsys):
    known = {"n_positive": 2, "n_negative": 3}
    defined = {"estimate": 0.5, "low": 0.25, "high": 0.75}
    undefined = dict.fromkeys(defined, np.nan)
    records = [
        {"category": "a\nb", **known, **defined},
        {"category": "c", **known, **undefined},
        {"category": None, **known, **defined},
    ]
    print_intervals(["a\nb", "c"], {"roc_auc": records, "average_precision": records})
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["category", "cases", "+/-", "AUC", "AP"]
    assert lines[0].split()[:3] == [r"a\nb", "2/3", "0.500"]
    assert lines[1].split() == ["c", "2/3", "-", "-"]
    assert lines[2].split()[:2] == ["mean", "0.500"]
    assert lines[0].index("0.500") == head.index("AUC") == lines[2].index("0.500")
