"""A few hundred damaged images and networks, and what the runner makes of findings."""

import importlib
import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("PIL", reason="the images extra")

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def fuzz():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        yield importlib.import_module("fuzz_images")


def test_damaged_images_are_read_or_refused(fuzz):
    outcomes = {fuzz.image_case(seed) for seed in range(300)}
    assert {"PNG refused", "BMP read", "TIFF read", "TIFF refused"} <= outcomes


def test_damaged_networks_are_loaded_or_refused(fuzz, monkeypatch):
    monkeypatch.setattr(fuzz, "keras_networks", dict)  # they take seconds
    fuzz.networks.cache_clear()
    outcomes = {fuzz.network_case(seed) for seed in range(150)}
    fuzz.networks.cache_clear()
    assert {"state.pt refused", "state.pt loaded", "program.pt2 refused"} <= outcomes


def test_damage_depends_on_the_seed_alone(fuzz):
    data = bytes(range(200))
    changed = [fuzz.mutated(data, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert changed[0] == changed[1] != data
    assert changed[2] != changed[0]


def test_what_goes_wrong_is_found(fuzz, monkeypatch, tmp_path, capsys):
    fuzzing = importlib.import_module("_fuzzing")
    monkeypatch.setattr(fuzzing, "SECONDS", 2)

    def case(seed):
        if seed == 3:
            raise KeyError("foreign")
        if seed == 5:
            os._exit(7)
        if seed == 7:
            fuzzing.time.sleep(60)
        return "fine"

    outcomes, found = fuzzing.try_all(case, list(range(10)))
    assert outcomes == {"fine": 7}
    assert [(one.seed, one.what.split(":")[0]) for one in found] == [
        (3, "KeyError"),
        (5, "ended with 7"),
        (7, "hung for 2 s"),
    ]
    assert not fuzzing.report("few", outcomes, found, tmp_path)
    assert "few: 10 cases, 3 found" in capsys.readouterr().out
    assert len((tmp_path / "few.txt").read_text().splitlines()) == 3
