"""The benchmark of groups: patients of the training rows, its columns and summary."""

import csv
import importlib
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cftlearn.labels._groups import spread_over_groups

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
N = 100


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("groups")


@pytest.fixture
def problems(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("_problems")


@pytest.fixture
def data(tmp_path):
    """Return a folder like that of the X-rays, with features stored beside it."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, 6)).astype(np.float32)
    Y = (X[:, :2] + rng.standard_normal((N, 2)) > 0).astype(int)
    (tmp_path / "nih1000").mkdir()
    with (tmp_path / "nih1000" / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "patient_id", "view", "split", "one", "two"])
        for i, own in enumerate(Y):
            table.writerow([f"{i}.png", f"p{i // 2}", "PA", "train", *own])
    np.save(tmp_path / "nih1000-features.npy", X)
    return tmp_path


def test_patients_are_those_of_the_training_rows(problems, data):
    patients = problems.training_patients(data)
    source = problems.load_source("nih1000", 0, folder=data, cache=data)
    assert len(patients) == len(source.X) == 60
    X = np.load(data / "nih1000-features.npy")
    rows = [int(np.flatnonzero((own == X).all(axis=1))[0]) for own in source.X]
    for i in range(60):
        assert_array_equal(patients == patients[i], np.array(rows) // 2 == rows[i] // 2)


def test_problems_hold_patients_out_as_a_whole(problems, data):
    patients = problems.training_patients(data)
    options = {"groups": patients, "folder": data, "cache": data}
    problem = problems.make_problem("nih1000", "raw", "uniform", 0.9, 0, **options)
    fitted, held_out = (
        spread_over_groups(~np.isnan(y), patients) for y in (problem.y, problem.y_held)
    )
    assert held_out.any(axis=0).all()
    assert not (fitted & held_out).any()
    again = problems.make_problem("nih1000", "raw", "uniform", 0.9, 0, **options)
    assert_array_equal(again.coef, problem.coef)
    assert list(data.glob("*-groups.npz"))


def test_a_short_run_prints_every_column(benchmark, data, monkeypatch, capsys):
    argv = "groups.py --trunks raw --schemes uniform --known 0.9 --seeds 1"
    folders = ["--data", str(data), "--cache", str(data)]
    monkeypatch.setattr("sys.argv", [*argv.split(), *folders])
    benchmark.main()
    out = capsys.readouterr().out
    assert "nih1000: 60 training rows of 30 patients; seeds 0 to 0" in out
    line = next(line for line in out.splitlines() if line.startswith("raw "))
    values = [float(cell) for cell in line.split()[3:13]]
    assert len(values) == 2 * len(benchmark.COLUMNS)
    assert all(0 < value < 1 for value in values)
    assert out.count("of 1)") == 6
    monkeypatch.setattr("sys.argv", [*argv.split(), "--data", str(data / "absent")])
    benchmark.main()
    assert "skipped   nih1000: no folder" in capsys.readouterr().out


def test_summary_counts_falls_below_the_own_start(benchmark):
    table = np.zeros((1, 5, 2))
    table[0, :, 0] = [0.1, 0.2, 0.3, 0.2, 0.5]
    first, alone, groups, both = benchmark.summary([table])
    assert "mAP +0.1000 (worst +0.100, below the start in 0 of 1)" in first
    assert "mAP -0.1000 (worst -0.100, below the start in 1 of 1)" in alone
    assert "mAP +0.2000" in groups
    assert_allclose(float(both.split()[-3].rstrip(",")), 0.3)
