"""The trace of a fit: how ``y`` is recognised, and what a fit is said to pass."""

import importlib
import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from cftlearn.labels import PartialLabels, check_partial_labels

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def trace_fit(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("trace_fit")


@pytest.fixture
def y(rng):
    return rng.choice([0.0, 1.0, np.nan], size=(60, 4), p=(0.4, 0.3, 0.3))


@pytest.fixture
def finder(trace_fit, y):
    return trace_fit.LabelFinder(y)


def hidden(y):
    """Hide every third label."""
    return np.where(np.arange(y.size).reshape(y.shape) % 3 == 0, np.nan, y)


FORMS = {
    "as given": (lambda y: y, "ndarray of float64: table of labels (1, 0, NaN)"),
    "to fit": (hidden, "ndarray of float64: table of labels (1, 0, NaN)"),
    "negative mode": (np.nan_to_num, "ndarray of float64: table of labels (1, 0)"),
    "tensor": (
        lambda y: torch.from_numpy(y).float(),
        "Tensor of float32: table of labels (1, 0, NaN)",
    ),
    "known": (lambda y: ~np.isnan(y), "ndarray of bool: table, which are known"),
    "unknown": (np.isnan, "ndarray of bool: table, which are known"),
    "column": (lambda y: y[:, 1], "ndarray of float64: column of labels (1, 0, NaN)"),
    "known of a column": (
        lambda y: ~np.isnan(y[:, 2]),
        "ndarray of bool: column, which are known",
    ),
    "vector": (
        lambda y: y[~np.isnan(y[:, 3]), 3] == 1.0,
        "ndarray of bool: known labels (1, 0)",
    ),
    "with background": (
        lambda y: np.append(y[~np.isnan(y[:, 3]), 3], 0.0),
        "ndarray of float64: known labels (1, 0)",
    ),
    "batch": (
        lambda y: y[[5, 2, 9]],
        "ndarray of float64: batch of labels (1, 0, NaN)",
    ),
}


@pytest.mark.parametrize(("make", "form"), FORMS.values(), ids=FORMS)
def test_labels_are_recognised(finder, y, make, form):
    assert finder.describe(make(y)) == form


def absent_row(y):
    """Make a row of labels that is not there."""
    rows = {tuple(row) for row in np.nan_to_num(y, nan=0.5)}
    return next(row for row in product((0.0, 1.0), repeat=4) if row not in rows)


OTHERS = {
    "other labels": lambda y: 1.0 - y,
    "shuffled": lambda y: y[::-1],
    "positives as negatives": lambda y: np.where(
        np.arange(4) == 2, np.minimum(y, 0), y
    ),
    "rows of others": lambda y: np.vstack([y[:2], absent_row(y)]),
    "numbers": lambda y: np.full(y.shape, 0.5),
    "ones": lambda y: np.ones(len(y)),
    "sorted": lambda y: np.sort(y[~np.isnan(y[:, 3]), 3]),
    "text": lambda y: np.full(y.shape, "1"),
    "empty": lambda y: y[:0],
    "list": lambda y: y.tolist(),
}


@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS)
def test_other_things_are_not(finder, y, make):
    assert finder.describe(make(y)) is None


def test_vectors_are_those_of_two_tables_as_well(finder, y):
    fitted = hidden(y)
    held_out = np.where(np.isnan(fitted), y, np.nan)
    both = [table[~np.isnan(table[:, 0]), 0] for table in (fitted, held_out)]
    assert finder.describe(np.concatenate(both)) is None
    for table in (fitted, held_out):
        assert finder.describe(table) is not None
    assert finder.describe(np.concatenate(both)) is not None


def test_a_call_is_counted_with_its_form_and_its_comprehensions(trace_fit, y):
    tracer = trace_fit.Tracer(y)
    trace = tracer.run(lambda: check_partial_labels(y))
    assert "check_partial_labels" in set.union(*trace.functions.values())
    assert trace.deepest[0] == "check_partial_labels"
    counts = trace.counts()
    assert counts["functions"] <= counts["names"]
    assert counts["forms"] == len(trace.forms) == 1
    labels = PartialLabels(y, ~np.isnan(y), np.arange(4).astype(object))
    assert tracer._forms([{"a": labels}], 5) == ["PartialLabels"]


@pytest.mark.parametrize("name", ["features", "network"])
def test_a_fit_is_traced(trace_fit, name, capsys, monkeypatch):
    monkeypatch.setattr(trace_fit, "N_SAMPLES", 80)
    monkeypatch.setattr(trace_fit, "N_CATEGORIES", 2)
    trace = trace_fit.trace_fit(name)
    assert trace.deepest[0] == "CFTClassifier.fit"
    counts = trace.counts()
    assert counts["files"] == len(trace.names) > 3
    assert counts["deepest_functions"] <= counts["deepest"]
    given, read = list(trace.forms)[:2]
    assert given == "ndarray of float64: table of labels (1, 0, NaN)"
    assert read == "PartialLabels"
    trace_fit.print_trace(name, trace)
    assert f"{counts['names']:>6} names" in capsys.readouterr().out
    document = json.loads(json.dumps(trace_fit.as_document(trace)))
    assert document["counts"] == counts
