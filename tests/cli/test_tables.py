"""Tables: names that would break lines, and terminals that are narrow."""

import numpy as np
import pytest

from cftlearn._report._columns import score_columns
from cftlearn.cli._tables import on_one_line, print_intervals, print_report

REASON = (
    "refits weigh 0.91, by the labels of all 14 categories together: mean roc_auc "
    "+0.072; here roc_auc +0.014"
)
LINE = {
    "category": "Edema",
    "n_positive": 12,
    "n_negative": 345,
    "n_held_out_positive": 4,
    "n_held_out_negative": 86,
    "metric": "roc_auc",
    **dict.fromkeys(score_columns("roc_auc"), np.nan),
    "roc_auc_before": 0.61249,
    "roc_auc_before_low": 0.2549,
    "roc_auc_before_high": 0.88,
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
        "held",
        "out",
        "AUC",
        "before",
        "AUC",
        "after",
        "solver",
        "outcome",
    ]
    told = ["Edema", "12/345", "4/86", "0.612", "(0.25", "to", "0.88)", "-", "-"]
    assert first.split()[:9] == told
    assert first.endswith(f"kept: {REASON}")
    assert second.startswith(r"a\nb ")
    assert note == (
        "AUC before, AUC after: roc_auc on held-out labels, with 95 % intervals"
    )


def test_older_models_do_not_tell_the_held_out_classes_nor_intervals(capsys):
    older = {"n_held_out_positive": np.nan, "n_held_out_negative": np.nan}
    older |= {"roc_auc_before_low": np.nan, "roc_auc_before_high": np.nan}
    print_report([LINE | older])
    first = capsys.readouterr().out.splitlines()[1]
    assert first.split()[:6] == ["Edema", "12/345", "-", "0.612", "-", "-"]


def test_the_metric_of_a_callable_has_its_name(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    line = {key.replace("roc_auc", "my_score"): value for key, value in LINE.items()}
    print_report([line | {"metric": "my_score"}])
    head, _, note = capsys.readouterr().out.splitlines()
    assert "my_score before " in head
    assert note.startswith("my_score before, my_score after: my_score on")


@pytest.mark.parametrize("columns", [80, 90, 130])
def test_a_report_fits_into_a_terminal(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    print_report([LINE])
    _, first, *rest = capsys.readouterr().out.splitlines()
    assert max(map(len, [first, *rest])) <= columns
    assert (REASON[:7] in first) is (columns == 130)
    rest = [text for text in rest if text.startswith(" ")]  # not the note
    words = " ".join([first, *rest]).split()
    assert " ".join(words[9:]) == f"kept: {REASON}"


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
