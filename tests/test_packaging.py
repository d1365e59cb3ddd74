"""The repository's own files agree: versions, pins, continuous integration."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def names_of(requirements):
    """Names of packages as pip normalises them; our own extras are left out."""
    for requirement in requirements:
        name = re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")
        if name != "cftlearn":
            yield name


def test_one_version_everywhere():
    stated = re.search(r"(?m)^version: (.+)$", (ROOT / "CITATION.cff").read_text())[1]
    assert stated == PROJECT["version"] == version("cftlearn")


def test_everything_that_ci_installs_is_pinned():
    pinned = {
        line.partition("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    }
    extras = PROJECT["optional-dependencies"]
    own = re.search(r"cftlearn\[(.+)\]", extras["tests"][0])[1].split(",")
    wanted = set(names_of(PROJECT["dependencies"]))
    for extra in ["tests", "lint", "docs", *own]:
        wanted |= set(names_of(extras[extra]))
    assert wanted <= pinned


def test_every_requirement_has_a_floor():
    for name, requirements in PROJECT["optional-dependencies"].items():
        for requirement in requirements:
            is_own = requirement.startswith("cftlearn[")
            assert is_own or ">=" in requirement, f"{name}: {requirement}"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit(path):
    used = re.findall(r"uses: (\S+)", path.read_text())
    assert used
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action) for action in used)
    assert "contents: read" in path.read_text()


def test_continuous_integration_runs_what_everybody_runs():
    assert "run: .ci/run" in (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    steps = (ROOT / ".ci" / "run").read_text()
    targets = set(re.findall(r"(?m)^make (\w+)$", steps))
    phony = re.findall(r"\.PHONY: (.+)", (ROOT / "Makefile").read_text())
    declared = set(" ".join(phony).split())
    assert {"test", "lint", "types", "doctest", "docs"} <= targets <= declared


def test_hooks_run_the_tools_of_the_environment():
    text = (ROOT / ".pre-commit-config.yaml").read_text()
    entries = re.findall(r"entry: (\S+)", text)
    assert entries
    assert all(entry.startswith(".venv/bin/") for entry in entries)
    assert "repo: local" in text
