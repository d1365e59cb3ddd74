"""Some hundred damaged label files: a table, or an error that helps; nothing else."""

import importlib
import random
from pathlib import Path

import numpy as np
import pytest

from cftlearn.datasets import LabelTable

ROOT = Path(__file__).parent.parent


@pytest.fixture
def fuzz_labels(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("fuzz_labels")


def test_damaged_files_end_in_a_table_or_in_an_error_that_helps(fuzz_labels):
    assert fuzz_labels.fuzz(600, seed=20) == []


def test_a_case_is_repeated_by_its_number(fuzz_labels):
    texts = [
        fuzz_labels.changed(fuzz_labels.WIDE, random.Random("0 3")) for _ in range(2)
    ]
    assert texts[0] == texts[1] != fuzz_labels.WIDE


def fault_of(fuzz_labels, error):
    folder = Path("/folder")
    try:
        raise error
    except type(error) as caught:
        return fuzz_labels.fault_of_error(caught, folder)


def test_errors_of_others_are_faults(fuzz_labels, tmp_path):
    for error in (
        KeyError("x"),
        ValueError("`path` must be in /folder."),
        MemoryError(),
    ):
        assert "foreign error" in fault_of(fuzz_labels, error)
    with pytest.raises(FileNotFoundError) as caught:
        fuzz_labels.datasets.load_coco(tmp_path / "absent")
    assert fuzz_labels.fault_of_error(caught.value, tmp_path) is None
    other = fuzz_labels.fault_of_error(caught.value, tmp_path / "other")
    assert other == "the error does not name the file"


@pytest.mark.parametrize(
    ("paths", "categories", "fault"),
    [
        (["a", "b"], ["x"], None),
        (["a", "a"], ["x"], "a path twice"),
        (["a", "b "], ["x"], "blanks around it"),
        (["a", "b"], ["nan"], "a name that is NaN"),
        (["a", "b\x1b"], ["x"], "control characters"),
    ],
)
def test_unsound_tables_are_faults(fuzz_labels, paths, categories, fault):
    table = LabelTable(
        np.array(paths, dtype=object),
        np.zeros((2, 1), dtype=np.uint8),
        np.array(categories, dtype=object),
        {},
    )
    found = fuzz_labels.fault_of_table(table, may_repeat=False)
    assert found is None if fault is None else fault in found
