"""What notebooks show of estimators: diagrams, reports, and nothing that runs."""

import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from optional import optional
from sklearn import config_context
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cftlearn import (
    CategoryWiseFineTuner,
    CFTClassifier,
    CFTEnsemble,
    load_model,
    save_model,
)
from cftlearn._report._html import report_as_html

pd = optional("pandas")

HOSTILE = '<script>alert("x")</script>&amp;\'"<img src=x onerror=alert(1)>'


class Table(HTMLParser):
    """The cells of a table, as a browser reads them."""

    def __init__(self, html):
        super().__init__()
        self.rows, self.tags, self.attributes = [], [], []
        self._is_cell = False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        if tag == "tr":
            self.rows.append([])
        self._is_cell = tag in ("td", "th")
        if self._is_cell:
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        self._is_cell = False

    def handle_data(self, data):
        if self._is_cell:
            self.rows[-1][-1] += data


class Reported:
    """Something with a report."""

    def __init__(self, report):
        self.report_ = report


def estimators():
    return [
        CategoryWiseFineTuner("bce", random_state=0),
        CFTClassifier(random_state=0),
        CFTEnsemble(n_estimators=2, weights="best", random_state=0),
    ]


def name_of(estimator):
    return type(estimator).__name__


@pytest.mark.parametrize("estimator", estimators(), ids=name_of)
def test_fitted_estimators_show_their_report_below_the_diagram(
    estimator, partial_problem
):
    estimator = clone(estimator).fit(*partial_problem[:2])
    html = estimator._repr_html_()
    diagram, table = html.split('<div class="cftlearn-report">')
    assert "sk-top-container" in diagram
    assert "sk-top-container" not in table
    head, *rows = Table(table).rows
    assert [row[0] for row in rows] == ["0", "1", "2"]
    for row, line in zip(rows, estimator.report_, strict=True):
        shown = dict(zip(head, row, strict=True))
        assert shown["positive"] == f"{line['n_positive']:,}"
        assert shown["status"].endswith(line["status"])
    bundle = estimator._repr_mimebundle_()
    assert bundle["text/html"].count('<div class="cftlearn-report">') == 1
    assert bundle["text/plain"] == repr(estimator)


@pytest.mark.parametrize("estimator", estimators(), ids=name_of)
def test_unfitted_estimators_show_their_diagram(estimator):
    assert "sk-top-container" in estimator._repr_html_()
    assert "cftlearn-report" not in estimator._repr_html_()
    assert "cftlearn-report" not in estimator._repr_mimebundle_()["text/html"]


@pytest.mark.parametrize("estimator", estimators(), ids=name_of)
def test_text_is_shown_where_no_diagram_is_wanted(estimator, partial_problem):
    estimator = clone(estimator).fit(*partial_problem[:2])
    with config_context(display="text"):
        assert not hasattr(estimator, "_repr_html_")
        assert list(estimator._repr_mimebundle_()) == ["text/plain"]


def test_names_of_categories_cannot_run(partial_problem):
    Z, y, _ = partial_problem
    labels = pd.DataFrame(y, columns=[HOSTILE, "<b>dog", "bat\n</table>"])
    model = CFTClassifier(random_state=0).fit(Z, labels)
    assert "<script>alert" not in model._repr_html_()
    assert "onerror=alert(1)>" not in model._repr_html_()
    table = Table(report_as_html(model))
    assert [row[0] for row in table.rows[1:]] == list(labels.columns)
    allowed = {"style", "div", "details", "summary"}
    assert set(table.tags) <= allowed | {"table", "thead", "tbody", "tr", "th", "td"}
    assert set(table.attributes) <= {"class", "open", "style"}


@pytest.mark.parametrize("key", ["status", "reason", "solver", "members"])
def test_other_texts_cannot_run_either(key):
    for value in (HOSTILE, [HOSTILE]):
        html = report_as_html(Reported([{"category": "cat", key: value}]))
        assert "<script>" not in html
        assert "<img" not in html


@pytest.mark.parametrize(("n_categories", "unfolded"), [(1, 1), (30, 1), (31, 0)])
def test_long_tables_are_folded(n_categories, unfolded):
    report = [{"category": str(j), "status": "kept"} for j in range(n_categories)]
    html = report_as_html(Reported(report))
    assert html.count("<details open>") == unfolded
    noun = "category" if n_categories == 1 else "categories"
    assert f"<summary>{n_categories} {noun}: {n_categories} kept</summary>" in html


def test_very_long_tables_end_and_say_so():
    report = [{"category": str(j), "status": "kept"} for j in range(1205)]
    html = report_as_html(Reported(report))
    assert len(Table(html).rows) == 1001
    assert "first 1,000 of 1,205 categories" in html


def test_statuses_are_told_by_words_too():
    statuses = ["refitted", "kept", "skipped"]
    report = [{"category": status, "status": status} for status in statuses]
    html = report_as_html(Reported(report))
    assert [row[1] for row in Table(html).rows[1:]] == [
        "✓ refitted",
        "= kept",
        "! skipped",
    ]
    assert len(set(re.findall(r"color: (#\w+)", html))) == 3


def test_numbers_are_legible():
    line = {
        "category": "cat",
        "n_positive": np.int64(12345),
        "n_held_out_positive": 3,
        "metric": "roc_auc",
        "roc_auc_before": float("nan"),
        "roc_auc_after": 2 / 3,
        "roc_auc_after_low": 0.25,
        "roc_auc_after_high": 0.875,
        "solver": None,
    }
    head, row = Table(report_as_html(Reported([line]))).rows
    assert dict(zip(head, row, strict=True)) == {
        "category": "cat",
        "positive": "12,345",
        "held out, positive": "3",
        "roc_auc_before": "",
        "roc_auc_after": "0.667 (0.250 to 0.875)",
        "solver": "",
    }


@pytest.mark.parametrize("report", [None, [], "text", [1, 2], {"a": 1}, math.nan])
def test_what_is_no_report_is_not_shown(report):
    assert report_as_html(Reported(report)) == ""
    assert report_as_html(object()) == ""


def test_loaded_and_nested_models_are_shown(partial_problem, tmp_path):
    Z, y, _ = partial_problem
    model = CFTClassifier(random_state=0).fit(Z, y)
    save_model(model, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert report_as_html(loaded) == report_as_html(model)
    nested = make_pipeline(StandardScaler(), model)
    assert "CFTClassifier" in nested._repr_html_()
