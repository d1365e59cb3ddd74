"""A short form of the faults that the benchmark makes while models are saved."""

import os
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
]


@pytest.fixture(scope="module")
def faults():
    sys.path.insert(0, str(BENCHMARKS))
    import faults

    yield faults
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def models(faults, tmp_path_factory):
    return faults.make_models(tmp_path_factory.mktemp("models"))


def wrong(faults, found):
    return {key: n for key, n in found.items() if key.startswith(faults._WRONG) and n}


def test_after_every_kill_there_is_a_whole_model(faults, models, tmp_path):
    records = faults.kill_saves(models, 48, tmp_path)
    assert sum(record["killed"] for record in records) == 48
    assert len(records) == 16
    for record in records:
        assert not wrong(faults, record), record


def test_disks_without_room(faults, models, tmp_path):
    for fill in (faults.limit_sizes, faults.fill_disks):
        found = fill(models["tuner"], tmp_path)
        if found is not None:  # without the right to mount one
            assert found["refused"] > 0
            assert not wrong(faults, found), found


def test_writers_leave_a_whole_model(faults, models, tmp_path):
    found = faults.write_together(models["tuner"], 20, tmp_path)
    assert found["loads"] == 20
    assert not found["litter"]
    assert not found.get("BAD writers")
