"""Scores in a CSV: what is read, and what is refused."""

import re

import numpy as np
import pytest

from cftlearn.cli._labels import read_labels
from cftlearn.cli._score_table import ScoreTable
from cftlearn.cli._settings import DataSettings, SettingsError


def test_scores_are_found_by_path(tmp_path):
    scores, labels = tmp_path / "scores.csv", tmp_path / "labels.csv"
    scores.write_text("path,red,blue\nx/0.png,0.1,-2\nx/1.png,3e-1,1\n", "utf-8-sig")
    labels.write_text("path,red\n1.png,1\n0.png,0\n")
    table = ScoreTable.read(scores)
    assert table.paths == ["x/0.png", "x/1.png"]
    assert table.categories == ["red", "blue"]
    labelled = read_labels(labels, DataSettings(), None)
    np.testing.assert_array_equal(table.scores_of(labelled), [[0.3, 1], [0.1, -2]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must start with a line of 'path' and the categories"),
        ("image,red\n00.png,1\n", "must start with a line of 'path'"),
        ("path\n00.png\n", "must start with a line of 'path'"),
        ("path,red\n40.png,1,2\n", "must have 2 columns in every row; got 3 in row 1"),
        ("path,red\n4.png,1\n40.png\n", "columns in every row; got 1 in row 2"),
        ("path,red\n40.png,high\n", "got 'high' in column 'red', row 1 of"),
        ("path,red\n40.png,nan\n", "got 'nan' in column 'red', row 1 of"),
        ("path,red\n40.png,inf\n", "got 'inf'.*predict again without --threshold"),
    ],
)
def test_what_is_no_table_of_scores(tmp_path, text, message):
    path = tmp_path / "scores.csv"
    path.write_text(text)
    with pytest.raises(SettingsError, match=message):
        ScoreTable.read(path)
    with pytest.raises(SettingsError, match=re.escape(str(path))):
        ScoreTable.read(path)
