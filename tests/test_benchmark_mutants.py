"""The runner of mutants: what it changes, and that it sees tests fail."""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def mutants(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("mutants")


def all_mutants(mutants, source):
    tree = ast.parse(source)
    texts = []
    for mutation in list(mutants.mutations(tree)):
        old = mutation.swap(mutation.new)
        texts.append(ast.unparse(ast.fix_missing_locations(tree)))
        mutation.swap(old)
    assert ast.unparse(tree) == ast.unparse(ast.parse(source))
    return texts


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a = b < c", ["a = b <= c"]),
        ("a = b + 1", ["a = b - 1", "a = b + 2"]),
        ("a = b and c", ["a = b or c"]),
        ("a = not b", ["a = b"]),
        ("a = -1", ["a = -2"]),
        ("a = False", ["a = True"]),
        ("if a:\n    b = c", ["if not a:\n    b = c"]),
        ("if a is b:\n    b = c", ["if a is not b:\n    b = c"]),
        ("if not a:\n    b = c", ["if a:\n    b = c"]),
        ("a(b)", ["pass"]),
        ("a.b = c", ["pass"]),
        ("a |= b", ["pass", "a &= b"]),
        ("def f():\n    return a", ["def f():\n    return None"]),
        ("def f() -> 1:\n    return", []),
        ("a: T[1] = 'b'", []),
        ("zip(a, b, strict=True)", ["pass"]),
        ("@dataclass(order=True)\nclass A:\n    '''Text.'''", ["order=False"]),
    ],
)
def test_each_change_stands_alone(mutants, source, expected):
    found = all_mutants(mutants, source)
    assert len(found) == len(expected)
    assert all(part in text for part, text in zip(expected, found, strict=True))


def test_every_module_has_a_test_file(mutants):
    for folder in mutants.PATHS:
        path = ROOT / "cftlearn" / folder
        for module in path.rglob("*.py") if path.is_dir() else [path]:
            if all_mutants(mutants, module.read_text(encoding="utf-8")):
                assert mutants.tests_of(module), module
