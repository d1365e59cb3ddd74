"""Change the code in small ways, and see whether the tests of its module notice.

    python benchmarks/mutants.py --share 0.2
    python benchmarks/mutants.py cftlearn/labels cftlearn/fine_tuning/_auto.py

A mutant is a module with one change: another comparison, arithmetic or boolean sign,
another number or truth value, a negated condition, a statement left out, or None
returned. It is killed if one of its module's tests fails, or if they take three times
as long as without the change. Strings, annotations and docstrings are left alone.

numpy, scikit-learn and torch are imported once. Each mutant then has a forked process
of its own, which imports cftlearn with the changed module and runs the tests of that
module, the fastest first, until one fails. So constants of modules, decorators and
decorated functions are changed like everything else. Processes that a test starts anew
import the module without the change.

Tests mirror the tree: ``cftlearn/labels/_encoding.py`` has
``tests/labels/test_encoding.py``. :data:`TESTS` names the exceptions.
"""

import argparse
import ast
import importlib
import json
import os
import random
import resource
import signal
import sys
import tempfile
import warnings
from contextlib import suppress
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

import pytest
from _mutations import mutations

ROOT = Path(__file__).resolve().parent.parent
PATHS = ["labels", "metrics", "calibration", "model_selection"]
PATHS += [f"fine_tuning/{name}.py" for name in ("_evidence", "_auto", "_judging")]
# Test files of modules that have none of their name, or not all in it.
TESTS = {
    "labels/_policies": "labels/test_encoding",
    "labels/_summary": "labels/test_encoding",
    "metrics/_scorers": "metrics/test_partial",
    "metrics/_ranking/__init__": "metrics/_ranking/test_numpy",
    "metrics/_ranking/_weighted": "metrics/test_bootstrap",
    "calibration/_maps": "calibration/test_calibrator",
    "calibration/_held_out": "calibration/test_calibrator",
    "model_selection/_balance": "model_selection/test_split",
}
# Imported before the first fork: they take seconds, and are never changed.
FOREIGN = "deap.tools hypothesis.extra.numpy pandas scipy.stats sklearn.calibration"
FOREIGN += " sklearn.datasets sklearn.linear_model sklearn.multioutput torch"
LIMIT = 3  # times the processor time that the tests of a module take
SIGNALS = (-signal.SIGALRM, -signal.SIGXCPU, -signal.SIGKILL)


@dataclass
class FastestFirst:
    """A plugin of pytest that orders tests by the time that they took."""

    seconds: dict[str, float]

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Put the fastest tests first."""
        items.sort(key=lambda item: self.seconds.get(item.nodeid, 0.0))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the time of a test."""
        if report.when == "call":
            self.seconds[report.nodeid] = report.duration


def tests_of(path: Path) -> list[str]:
    """Return the test files of a module: the one of its name, and that of ``TESTS``."""
    module = path.relative_to(ROOT / "cftlearn").with_suffix("")
    mirror = module.with_name(f"test_{module.name.removeprefix('_')}")
    named = [ROOT / "tests" / f"{name}.py" for name in (mirror, TESTS.get(str(module)))]
    return [str(file) for file in named if file.exists()]


def run_tests(path: Path, tree: ast.Module, times: Path, limit: int) -> int:
    """Run the tests of a module with this tree as its code; not to be run twice.

    ``times`` is a file with the seconds that each test takes. It is written anew where
    all tests pass.
    """
    os.setpgrp()
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
    signal.alarm(10 * limit)  # on the wall's clock, for tests that wait for ever
    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    with warnings.catch_warnings(action="ignore"):
        code = compile(ast.fix_missing_locations(tree), str(path), "exec")
    plain = SourceFileLoader.get_code
    SourceFileLoader.get_code = lambda loader, name: (  # type: ignore[method-assign]
        code if loader.path == str(path) else plain(loader, name)
    )
    plugin = FastestFirst(json.loads(times.read_text() or "{}"))
    options = ["-x", "--rootdir", str(ROOT), "-p", "no:cacheprovider"]
    options += ["-p", "no:anyio", "-p", "no:xdist"]  # which take time to import
    # hypothesis is imported already, so pytest cannot rewrite its assertions.
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    status = pytest.main([*options, *tests_of(path)], plugins=[plugin])
    if not status:
        times.write_text(json.dumps(plugin.seconds))
    return int(status)


def in_a_fork(*arguments: Any) -> tuple[int, float]:
    """Return the status of :func:`run_tests`, and the processor time that it took."""
    process = os.fork()
    if not process:
        status = 1
        with suppress(BaseException):
            status = run_tests(*arguments)
        os._exit(status)
    _, status, usage = os.wait4(process, 0)
    with suppress(ProcessLookupError):  # processes that its tests left behind
        os.killpg(process, signal.SIGKILL)
    return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime


def examine(path: Path, times: Path, share: float, seed: int) -> list[bool]:
    """Make mutants of a module, print those that survive, return which are killed."""
    tree, name, killed, n_late = ast.parse(path.read_text()), path.name, [], 0
    found = list(mutations(tree))
    draw = random.Random(f"{seed} {name}").sample
    chosen = sorted(draw(range(len(found)), -int(-share * len(found) // 1)))
    tests = tests_of(path)
    status, seconds = in_a_fork(path, tree, times, 3600) if found and tests else (0, 0)
    if status or (found and not tests):
        raise SystemExit(
            f"Tests of {name} must exist, and pass without a change: {tests}."
        )
    for mutation in (found[i] for i in chosen):
        before = mutation.text()
        old = mutation.swap(mutation.new)
        status, _ = in_a_fork(path, tree, times, 5 + int(LIMIT * seconds))
        if not status:
            line = getattr(old, "lineno", getattr(mutation.parent, "lineno", 0))
            print(f"  {name}:{line}: {before} -> {mutation.text()}", flush=True)
        mutation.swap(old)
        killed.append(status != 0)
        n_late += status in SIGNALS
    if chosen:
        counts = f"{sum(killed)} of {len(killed)} killed, {n_late} of them out of time"
        print(f"{path.relative_to(ROOT)}: {counts}; {len(found)} exist", flush=True)
    return killed


def main() -> None:
    """Read the command line, and examine each module."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    default = [str(ROOT / "cftlearn" / path) for path in PATHS]
    parser.add_argument("paths", nargs="*", default=default, help="modules and folders")
    parser.add_argument("--share", type=float, default=1.0, help="of mutants to make")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of mutants")
    parser.add_argument("--least", type=float, default=0.85, help="share to be killed")
    arguments = parser.parse_args()
    os.nice(10)
    sys.path[:0] = [str(ROOT)]
    for name in FOREIGN.split():
        importlib.import_module(name)
    killed: list[bool] = []
    for path in [Path(each).resolve() for each in arguments.paths]:
        for module in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            with tempfile.NamedTemporaryFile() as file:
                times = Path(file.name)
                killed += examine(module, times, arguments.share, arguments.seed)
    print(f"{sum(killed)} of {len(killed)} killed ({sum(killed) / len(killed):.1%})")
    raise SystemExit(sum(killed) < arguments.least * len(killed))


if __name__ == "__main__":
    main()
