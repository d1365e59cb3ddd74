"""The benchmark of prevalences: what it counts, and a short run."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def priors(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("priors")


def test_errors_and_intervals_are_counted(priors, monkeypatch):
    lines = iter([(0.1, 0.0, 0.2), (0.2, 0.15, 0.3), (float("nan"),) * 3])

    def estimate(scores, y, **parameters):
        own = dict(zip(("estimate", "low", "high"), next(lines), strict=True))
        return [own] * 3

    monkeypatch.setattr(priors, "estimate_prevalence", estimate)
    problems = [priors.Problem(None, None, None)] * 3
    rows = priors.measure("best_bin", problems, 2, 0)
    assert rows[0] == ["0.05", "+0.100", "0.112", "0.500", "1.000", "0.175", "0.33"]
    assert rows[2] == ["0.5", "-0.350", "0.354", "0.000", "0.000", "0.175", "0.33"]


def test_a_short_run_prints_machine_seeds_and_tables():
    told = ["--trials", "2", "--rows", "200", "--resamples", "2"]
    run = subprocess.run(
        [sys.executable, "priors.py", *told],
        cwd=BENCHMARKS,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    lines = run.stdout.splitlines()
    assert lines[0].startswith("machine ")
    assert lines[2].startswith("seeds     0 to 1; 200 rows, 2 draws")
    assert sum("best_bin" in line for line in lines) == 36
    assert sum("label_shift" in line for line in lines) == 24
