"""The house's plan: folders in layers, sizes, owners of foreign imports, no print."""

import ast
import io
import re
import subprocess
import sys
import tokenize
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "cftlearn"
MODULES = sorted(PACKAGE.rglob("*.py"))

# Folders and modules at the root of the package. Each imports only from layers below.
LAYERS = {
    "__main__": 11,
    "cli": 10,
    "persistence": 9,
    "ensemble": 8,
    "classifier": 7,
    "training": 6,
    "fine_tuning": 6,
    "displays": 6,
    "feature_extraction": 5,
    "calibration": 5,
    "networks": 4,
    "base": 4,
    "solvers": 3,
    "_inputs": 3,
    "datasets": 3,
    "model_selection": 3,
    "images": 2,
    "metrics": 2,
    "losses": 2,
    "labels": 1,
    "_features": 1,
    "_devices": 1,
    "_dependencies": 0,
    "_files": 0,
    "_report": 0,
    "_seeding": 0,
    "exceptions": 0,
}
MOST_NAMES_AT_THE_ROOT = 26  # beside __init__, __main__ and py.typed

# Importing one of these must not import torch, which takes seconds.
FREE_OF_TORCH = [
    "_dependencies",
    "_features",
    "_files",
    "_report",
    "_seeding",
    "base",
    "calibration",
    "classifier",
    "cli",
    "datasets",
    "displays",
    "ensemble",
    "exceptions",
    "feature_extraction",
    "fine_tuning",
    "images",
    "labels",
    "losses",
    "metrics",
    "model_selection",
    "networks",
    "solvers",
    "training",
]
OWNERS = {  # of other packages that few places should know
    "deap": {"solvers._genetic"},
    "hashlib": {"_files", "cli._features", "persistence"},
    "safetensors": {"networks", "persistence"},
    "sklearn.utils._param_validation": {"_dependencies"},
    "tempfile": {"_files"},
}
ONLY_INSIDE_FUNCTIONS = {
    "keras",
    "matplotlib",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "pandas",
    "PIL",
    "pyarrow",
    "timm",
    "torchvision",
}
# Lines of code: without blank lines, comments and docstrings.
MOST_LINES, MEDIAN_LINES, MOST_LINES_OF_A_FUNCTION = 350, 150, 60


def name_of(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def tree_of(path):
    return ast.parse(path.read_text())


def imports_of(path, *, top_level=False):
    """Dotted names that a file imports."""
    tree = tree_of(path)
    for node in tree.body if top_level else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module


def docstring_lines(tree):
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            first = node.body[0] if node.body else None
            is_text = isinstance(first, ast.Expr) and isinstance(
                first.value, ast.Constant
            )
            if is_text and isinstance(first.value.value, str):
                yield from range(first.lineno, first.end_lineno + 1)


@cache
def code_lines(path):
    """Numbers of the lines that hold code."""
    text = path.read_text()
    no_code = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT}
    no_code |= {tokenize.DEDENT, tokenize.ENDMARKER, tokenize.ENCODING}
    lines = {
        line
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type not in no_code
        for line in range(token.start[0], token.end[0] + 1)
    }
    return lines - set(docstring_lines(tree_of(path)))


def part_of(dotted):
    return dotted.split(".")[1] if "." in dotted else ""


def test_there_are_modules():
    assert len(MODULES) > 25


def test_the_root_has_room_for_few_names():
    names = {path.stem for path in PACKAGE.iterdir() if path.name != "__pycache__"}
    assert names - {"__init__", "__main__", "py"} == set(LAYERS) - {"__main__"}
    assert len(LAYERS) - 1 <= MOST_NAMES_AT_THE_ROOT


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_run_strictly_downward(path):
    own = name_of(path).split(".")[0]
    if not own:  # the package's own __init__ only imports when asked
        return
    for dotted in imports_of(path):
        if not dotted.startswith("cftlearn."):
            continue
        other = part_of(dotted)
        if other != own:
            assert LAYERS[other] < LAYERS[own], f"{own} imports {dotted}"


def test_no_modules_import_each_other_in_a_circle():
    known = {f"cftlearn.{name_of(path)}".rstrip("."): path for path in MODULES}
    arrows = {
        name: {target for target in imports_of(path, top_level=True) if target in known}
        for name, path in known.items()
        if path.name != "__init__.py"
    }
    done: set[str] = set()

    def visit(name, trail):
        assert name not in trail, " -> ".join([*trail, name])
        if name not in done:
            for target in arrows.get(name, ()):
                visit(target, (*trail, name))
            done.add(name)

    for name in arrows:
        visit(name, ())


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_private_names_stay_in_their_file(path):
    modules = {name_of(other) for other in MODULES}
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("cftlearn"):
            for alias in node.names:
                if alias.name.startswith("_"):
                    dotted = f"{node.module}.{alias.name}".removeprefix("cftlearn.")
                    assert dotted in modules, f"{path}:{node.lineno} {alias.name}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_foreign_imports_have_owners(path):
    own = name_of(path)
    for dotted in imports_of(path):
        for package, owners in OWNERS.items():
            if f"{dotted}.".startswith(f"{package}."):
                assert any(f"{own}.".startswith(f"{o}.") for o in owners), (own, dotted)
    at_top = {dotted.split(".")[0] for dotted in imports_of(path, top_level=True)}
    assert not at_top & ONLY_INSIDE_FUNCTIONS


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_private_names_of_scikit_learn_come_from_one_file(path):
    private = [
        dotted
        for dotted in imports_of(path)
        if dotted.startswith("sklearn.") and "._" in dotted
    ]
    assert not private or name_of(path) == "_dependencies"


def test_what_is_free_of_torch_stays_so():
    names = [f"cftlearn.{name}" for name in FREE_OF_TORCH]
    code = (
        "import importlib, sys\n"
        f"for name in {names}:\n"
        "    importlib.import_module(name)\n"
        "    assert 'torch' not in sys.modules, name\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_is_quiet(path):
    for node in ast.walk(tree_of(path)):
        assert not isinstance(node, ast.Assert), f"{path}:{node.lineno} assert"
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"{path}:{node.lineno} bare except"
        if isinstance(node, ast.ImportFrom):
            assert all(alias.name != "*" for alias in node.names)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print":
            assert name_of(path).startswith("cli"), f"{path}:{node.lineno} print"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_and_its_functions_are_small(path):
    lines = code_lines(path)
    assert len(lines) <= MOST_LINES
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef):
            body = range(node.body[0].lineno, node.end_lineno + 1)  # no signature
            own = len(lines.intersection(body))
            assert own <= MOST_LINES_OF_A_FUNCTION, f"{path}:{node.lineno} {own}"


def test_modules_are_small_on_the_whole():
    lengths = sorted(len(code_lines(path)) for path in MODULES)
    assert lengths[len(lengths) // 2] <= MEDIAN_LINES


def test_extras_named_in_messages_exist():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = set(project["optional-dependencies"])
    text = "\n".join(path.read_text() for path in MODULES)
    named = set(re.findall(r'extra="(\w+)"', text))
    assert named
    assert named <= extras


def test_importing_the_package_stays_light():
    code = (
        "import sys, cftlearn; "
        "heavy = {'torch', 'sklearn', 'deap', 'pandas', 'matplotlib'}; "
        "heavy &= set(sys.modules); "
        "assert not heavy, heavy; "
        "from cftlearn import CFTClassifier, CategoryWiseFineTuner; "
        "CFTClassifier(); CategoryWiseFineTuner(); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_public_names_can_be_imported():
    import cftlearn

    for name in cftlearn.__all__:
        assert getattr(cftlearn, name).__name__ == name
    assert set(cftlearn.__all__) <= set(dir(cftlearn))
    with pytest.raises(AttributeError, match="no attribute 'CFTRegressor'"):
        cftlearn.CFTRegressor  # noqa: B018


def test_version_comes_from_the_project():
    import cftlearn

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert cftlearn.__version__ == project["version"]
