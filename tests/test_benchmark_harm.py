"""What the benchmark of harm makes of changes and their errors."""

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def harm(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("harm")


def test_noise_alone_is_not_taken_for_harm(harm, rng):
    """All true changes are 0.05: a third looks worse, and none is."""
    error = np.full(500, 0.13)
    change = 0.05 + error * rng.normal(size=500)
    assert np.mean(change < -0.01) > 0.25
    assert harm.true_share_below(change, error, -0.01) < 0.05


def test_harm_behind_noise_is_found(harm, rng):
    """A fifth of the true changes is -0.2, the others are 0.1."""
    error = np.full(2000, 0.1)
    true = np.where(np.arange(2000) % 5 == 0, -0.2, 0.1)
    found = harm.true_share_below(true + error * rng.normal(size=2000), error, -0.01)
    assert found == pytest.approx(0.2, abs=0.04)


def test_the_short_run_prints_a_table():
    done = subprocess.run(
        [sys.executable, str(BENCHMARKS / "harm.py"), "--short", "--seeds", "1"],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert "truly worse" in done.stdout
    assert "synthetic" in done.stdout
