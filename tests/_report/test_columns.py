"""Names of the columns of scores, and lines that older versions saved."""

import numpy as np

from cftlearn._report._columns import before_and_after, score_columns, translate_line

OLD = {
    "category": "Edema",
    "n_positive": 12,
    "n_held_out": 5,
    "status": "refitted",
    "solver": "proximal",
    "score_before": 0.5,
    "score_after": 0.75,
    "weight": 0.9,
}


def test_columns_are_named_after_the_metric():
    columns = score_columns("average_precision")
    assert columns.before == "average_precision_before"
    assert columns.gain_high == "average_precision_gain_high"
    assert len(set(columns)) == 8


def test_generic_code_finds_the_scores_of_any_metric():
    line = {"metric": "f", "f_before": 0.25, "f_after": np.nan, "g_before": 1.0}
    before, after = before_and_after(line)
    assert before == 0.25
    assert np.isnan(after)


def test_an_older_line_is_translated_and_says_what_it_cannot_tell():
    line = translate_line(OLD, "average_precision")
    assert list(line)[:6] == [
        "category",
        "n_positive",
        "n_held_out",
        "n_held_out_positive",
        "n_held_out_negative",
        "status",
    ]
    assert line["metric"] == "average_precision"
    assert before_and_after(line) == (0.5, 0.75)
    unknown = {key for key, value in line.items() if value is None}
    columns = score_columns("average_precision")
    assert unknown == {"n_held_out_positive", "n_held_out_negative"} | (
        set(columns) - {columns.before, columns.after}
    )
    assert (line["n_held_out"], line["solver"], line["weight"]) == (5, "proximal", 0.9)
    assert "score_before" not in line
    assert "score_after" not in line


def test_a_line_of_today_stays_as_it_is():
    line = translate_line(OLD, "roc_auc")
    assert translate_line(line, "average_precision") == line
