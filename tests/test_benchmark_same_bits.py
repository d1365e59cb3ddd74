"""The proof that a change of the code changed no result: digests, words, comparison."""

import ast
import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from optional import optional

pd = optional("pandas")

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def same_bits(monkeypatch):
    """Import the script; what it sets in the environment goes again."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    script = importlib.import_module("same_bits")
    for name in (*script._ONE_THREAD, "CUDA_VISIBLE_DEVICES", "COLUMNS"):
        monkeypatch.setenv(name, "1")
    return script


@pytest.fixture
def bits(same_bits):
    return importlib.import_module("_bits")


def test_equal_values_have_equal_digests(bits):
    zero, other = {"a": [1, None, "x"], "b": 0.5}, {"b": np.float64(0.5)}
    assert bits.digest(zero) == bits.digest(other | {"a": (np.int64(1), None, "x")})
    quiet, payload = np.float64(np.nan), np.array([0x7FF8000000000001]).view(np.float64)
    assert bits.digest(np.array([quiet])) == bits.digest(payload)
    assert bits.digest(float("nan")) == bits.digest(payload[0])
    array = np.arange(6.0).reshape(2, 3)
    assert bits.digest(array) == bits.digest(np.asfortranarray(array))
    assert bits.digest(array) == bits.digest(torch.from_numpy(array))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (0.1, np.nextafter(0.1, 1)),
        (0.0, -0.0),
        (1, 1.0),
        (True, 1),
        ("1", 1),
        (["ab", "c"], ["a", "bc"]),
        ([[1], 2], [[1, 2]]),
        ({"a": 1}, ["a", 1]),
        (np.zeros(6), np.zeros((2, 3))),
        (np.zeros(2, np.float32), np.zeros(2)),
        (np.array(["a", None], object), np.array(["a", "None"], object)),
        (pd.DataFrame({"a": [1.0]}), pd.DataFrame({"b": [1.0]})),
        (pd.DataFrame({"a": [1.0]}), pd.DataFrame({"a": [1]})),
    ],
)
def test_other_values_have_other_digests(bits, one, other):
    assert bits.digest(one) != bits.digest(other)


def test_what_cannot_be_written_as_bytes_is_refused(bits):
    with pytest.raises(TypeError, match=r"plain values; got <class 'object'>"):
        bits.digest([object()])


def test_words_stand_apart_from_numbers_and_times_do_not_count(bits):
    line = {"category": "dog", "reason": "it rose", "weight": 0.5, "seconds": 1.0}
    assert bits.split("report", [line]) == {
        "report.numbers": [{"category": "dog", "weight": 0.5}],
        "report.words": ["category", "reason", "it rose", "weight", "seconds"],
    }
    assert bits.split_text("out", "40 rows of t2 in 1.5 s, AUC -0.5") == {
        "out.numbers": ["40", "-0.5"],
        "out.words": "40 rows of t2 in <time>, AUC -0.5",
    }


def test_differences_are_named_for_the_cases_that_ran(same_bits):
    before = {"a/x": "1", "a/y": "2", "b/a": "3"}
    after = {"a/x": "1", "a/y": "0", "a/z": "4"}
    changes = ["differs  a/y", "new      a/z"]
    assert same_bits.differences(before, after, ["a"]) == changes
    assert same_bits.differences(before, after, []) == [*changes, "gone     b/a"]


def test_a_run_is_the_same_again_and_a_changed_result_is_named(
    same_bits, tmp_path, capsys
):
    file, words = (
        tmp_path / "before.txt",
        ["--only", "labels", "--only", "classifier.few"],
    )
    assert same_bits.main([*words, "--output", str(file)]) == 0
    lines = file.read_text().splitlines()
    assert lines[0].startswith("versions")
    assert lines[1:] == sorted(lines[1:])
    assert len(lines) > 20
    assert same_bits.main([*words, "--compare", str(file)]) == 0
    changed = [line for line in lines if line.startswith("classifier.few/coef_ ")]
    text = file.read_text().replace(changed[0], "classifier.few/coef_ 0")
    file.write_text(text)
    capsys.readouterr()
    assert same_bits.main([*words, "--compare", str(file)]) == 1
    assert "differs  classifier.few/coef_\n" in capsys.readouterr().out


def test_a_case_that_fails_is_a_result(same_bits, bits, monkeypatch, capsys):
    def fail(folder):
        raise KeyError("absent")

    monkeypatch.setitem(bits.CASES, "broken", fail)
    assert list(same_bits.compute(["broken"])) == ["broken/raised"]
    assert "KeyError: 'absent'" in capsys.readouterr().err


def test_folders_warnings_and_log_are_results(bits, monkeypatch, tmp_path):
    import logging
    import warnings

    from cftlearn.exceptions import SeenLabelsWarning

    def speak(folder):
        warnings.warn(f"in {folder}", SeenLabelsWarning, stacklevel=1)
        warnings.warn("of others", UserWarning, stacklevel=1)
        logging.getLogger("cftlearn").info("done")
        return {"path": [f"{folder}/a"]}

    monkeypatch.setitem(bits.CASES, "speaks", speak)
    assert bits.run_case("speaks", tmp_path) == {
        "speaks/path": ["<folder>/a"],
        "speaks/warnings.numbers": ["SeenLabelsWarning"],
        "speaks/warnings.words": ["in <folder>"],
        "speaks/log.words": ["done"],
    }


def test_the_genetic_algorithm_is_batched_on_a_gpu_that_is_not_there(same_bits, bits):
    same_bits.prepare()
    problems = sys.modules["_bits_problems"]
    tuner = sys.modules["_bits_tuner"]
    Z, y = problems.features(80, 4, 2, known=0.8)
    solver = tuner.GeneticSolver(n_generations=3, population_size=6)
    with tuner.pretended_gpu():
        batched = tuner.fit(Z, y, solver, device="cuda")
    alone = tuner.fit(Z, y, solver)  # with other random numbers
    assert not torch.cuda.is_available()
    numbers = [
        [record["fitness_mean"] for record in model.history_]
        for model in (batched, alone)
    ]
    assert numbers[0] != numbers[1]


@pytest.mark.parametrize(
    "file", sorted(BENCHMARKS.glob("*_bits*.py")), ids=lambda f: f.name
)
def test_only_public_names_are_used(file):
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
            "cftlearn"
        ):
            names = [node.module, *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names if a.name.startswith("cftlearn")]
        assert not any(
            part.startswith("_") for name in names for part in name.split(".")
        )
