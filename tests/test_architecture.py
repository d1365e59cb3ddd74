"""The house's plan: layers, owners of foreign imports, sizes, no print, real extras."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "cftlearn"
MODULES = sorted(PACKAGE.rglob("*.py"))

# Who may import whom: a module imports only from layers below its own.
LAYERS = {
    "exceptions": 0,
    "_dependencies": 0,
    "_seeding": 0,
    "_thresholds": 0,
    "_devices": 0,
    "_processes": 1,
    "_groups": 0,
    "_report_html": 0,
    "labels": 1,
    "_ranking": 1,
    "metrics": 2,
    "losses": 2,
    "model_selection": 2,
    "datasets": 2,
    "_stored_features": 1,
    "_feature_spaces": 2,
    "_evidence": 2,
    "_images": 1,
    "_row_reader": 1,
    "_inputs": 2,
    "_heads": 2,
    "_feature_batches": 3,
    "images": 2,
    "base": 3,
    "solvers": 4,
    "_category_features": 2,
    "_initial_rows": 3,
    "_feature_file": 3,
    "_extraction": 4,
    "feature_extraction": 5,
    "_category_data": 4,
    "_networks": 4,
    "networks": 5,
    "displays": 4,
    "_held_out_scores": 2,
    "calibration": 4,
    "training": 3,
    "_optimization": 4,
    "_training_plan": 4,
    "_training_state": 5,
    "_epoch_scores": 5,
    "_training": 6,
    "_stage_one": 7,
    "_stage_two": 7,
    "_label_split": 5,
    "_signed_folders": 3,
    "_checkpoint": 5,
    "_solver_choice": 5,
    "_category_refit": 5,
    "_auto_refit": 5,
    "_workers": 6,
    "_lockstep_refit": 6,
    "fine_tuning": 7,
    "classifier": 8,
    "_combination": 2,
    "_member_selection": 3,
    "_members": 5,
    "ensemble": 9,
    "persistence": 10,
    "cli": 11,
    "__main__": 12,
}
OWNERS = {
    "deap": {"solvers._genetic", "solvers._genetic_lockstep"},
    "torch": {
        "_ranking._torch",
        "losses",
        "solvers._gradient",
        "solvers._genetic_lockstep",
        "solvers._counter_random",
        "solvers._padded_rows",
        "_lockstep_refit",
        "_devices",
        "_extraction",
        "_feature_batches",
        "_heads",
        "_inputs",
        "_row_reader",
        "_networks",
        "_optimization",
        "_processes",
        "_stage_one",
        "_epoch_scores",
        "_training",
        "_training_plan",
        "_training_state",
        "training",
        "classifier",
        "feature_extraction",
        "images",
        "networks._architecture",
        "networks._exported",
        "networks._split",
        "networks._keras",
        "networks._loading",
        "networks._onnx",
        "networks._torchscript",
        "networks._weights",
        "persistence",
        "cli._demo",
    },
    "safetensors": {"networks._weights", "persistence"},
    "tqdm": {
        "_extraction",
        "_workers",
        "_training",
        "_lockstep_refit",
        "cli._predictor",
    },
}
ONLY_INSIDE_FUNCTIONS = {
    "keras",
    "matplotlib",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "pandas",
    "PIL",
    "timm",
    "torchvision",
}
MOST_LINES = 500


def name_of(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path, *, top_level=False):
    """Dotted names that a file imports."""
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module


def part_of(dotted):
    return dotted.split(".")[1] if "." in dotted else ""


def test_there_are_modules():
    assert len(MODULES) > 25


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


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_foreign_imports_have_owners(path):
    for dotted in imports_of(path):
        owners = OWNERS.get(dotted.split(".")[0])
        if owners is not None:
            assert name_of(path) in owners, f"{name_of(path)} imports {dotted}"
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


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_is_small_and_quiet(path):
    text = path.read_text()
    assert len(text.splitlines()) <= MOST_LINES
    tree = ast.parse(text)
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Assert), f"{path}:{node.lineno} assert"
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"{path}:{node.lineno} bare except"
        if isinstance(node, ast.ImportFrom):
            assert all(alias.name != "*" for alias in node.names)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print":
            assert name_of(path).startswith("cli"), f"{path}:{node.lineno} print"


def test_modules_are_small_on_the_whole():
    lengths = sorted(len(path.read_text().splitlines()) for path in MODULES)
    assert lengths[len(lengths) // 2] <= 250


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
