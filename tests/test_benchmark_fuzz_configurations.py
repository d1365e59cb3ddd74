"""The fuzzer of the command line: a short run of it, and that it sees faults."""

import importlib
import os
import random
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = [
    pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs POSIX"),
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture
def fuzzer(monkeypatch):
    pytest.importorskip("yaml")
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("fuzz_configurations")


def test_commands_answer_what_is_spoiled(fuzzer):
    n_reached = 0
    for number, answer in enumerate(fuzzer.answers(300, seed=2026)):
        assert answer.fault() is None, (number, answer.argv, answer.err)
        n_reached += "the training begins" in answer.err
    assert n_reached > 5, "most inputs should be nearly sound"


@pytest.mark.parametrize(
    ("status", "err", "changed", "fault"),
    [
        (1, "cftlearn fit: `seed` must be 1.\n", [], None),
        (2, "usage: cftlearn\ncftlearn fit: error: no\n", [], None),
        (1, "cftlearn fit: warning: a\ncftlearn fit: b\n", [], None),
        (0, "", ["model"], None),
        (1, "cftlearn fit: b\n", ["model"], "it failed, but wrote ['model']"),
        (1, "", [], "0 messages"),
        (1, "cftlearn fit: a\ncftlearn fit: b\n", [], "2 messages"),
        (1, "cftlearn fit: unhashable type\n", [], "words that are not ours"),
        (1, f"cftlearn fit: {'x' * 9000}\n", [], "a long message"),
        (7, "cftlearn fit: b\n", [], "exit status 7"),
        ("Traceback", "", [], "an error that is not caught"),
    ],
)
def test_what_is_wrong_is_seen(fuzzer, status, err, changed, fault):
    found = fuzzer.Answer(["fit"], status, err, 0.1, changed).fault()
    assert found is None if fault is None else found.startswith(fault)


def test_a_seed_gives_the_same_inputs(fuzzer):
    inputs = importlib.import_module("_fuzz_inputs")
    for make in (inputs.random_document, inputs.random_arguments):
        assert make(random.Random(3)) == make(random.Random(3))


def test_it_counts_what_went_wrong(fuzzer, monkeypatch, capsys):
    wrong = fuzzer.Answer(["fit"], 1, "cftlearn fit: KeyError\n", 0.1, [])
    monkeypatch.setattr(fuzzer, "answers", lambda n, seed: iter([wrong] * n))
    monkeypatch.setattr(fuzzer, "limit_memory", lambda n_bytes: None)
    with warnings.catch_warnings():
        assert fuzzer.main(["--n", "2"]) == 1
    assert "2 commands, seed 0: 2 wrong; exit 1: 2" in capsys.readouterr().out
