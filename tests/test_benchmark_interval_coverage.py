"""The benchmark of intervals: its samples, what it counts, and a short run."""

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def coverage(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("interval_coverage")


def test_samples_have_about_as_many_positives_as_asked(coverage):
    population = coverage.Population.of("report_like", 5000, 0)
    counts = []
    for Z, y in population.samples(20, 40, 0):
        assert len(Z) == len(y)
        counts.append(np.sum(y == 1, axis=0))
    assert np.mean(counts, axis=0) == pytest.approx([20] * 4, rel=0.1)
    assert np.std(counts) > 1


def test_intervals_are_counted(coverage):
    tally = coverage.Tally()
    tally.add(0.5, 0.75, 0.6)
    tally.add(0.5, 0.75, 0.8)
    tally.add(0.5, 1.0, 0.9)
    tally.add(0.5, 0.75, 0.75)
    tally.add(np.nan, np.nan, 0.6)
    assert str(tally).split() == ["0.750", "0.312"]
    assert tally.n_undefined == 1
    assert str(coverage.Tally()).strip() == "-"


def test_a_short_run():
    options = ["--trials", "1", "--fits", "1", "--rows", "10000", "--seed", "0"]
    done = subprocess.run(
        [sys.executable, "interval_coverage.py", *options],
        cwd=BENCHMARKS,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["machine", "versions", "seed"]
    own = [line for line in lines if line.startswith(("roc_auc ", "average_prec"))]
    assert len(own) == 2 * 2 * 2 * 4  # parts, metrics, ways of hiding, positives
    heads = [line.split()[3:] for line in lines if line.startswith("metric ")]
    assert heads == [["wilson", "bca", "percentile"], ["before", "after", "gain"]]
