"""Processes of joblib end when the one that started them is killed."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from cftlearn._dependencies import end_with_parent

CODES = {
    "refits": """
        from cftlearn import CategoryWiseFineTuner
        from cftlearn.datasets import make_partial_multilabel
        from cftlearn.solvers import GradientSolver

        class Slow(GradientSolver):
            def fit_row(self, problem):
                say()
                time.sleep(300)

        Z, y, _ = make_partial_multilabel(100, random_state=0)
        CategoryWiseFineTuner(Slow(), n_jobs=2, random_state=0).fit(Z, y)
    """,
    "folds": """
        from sklearn.dummy import DummyClassifier
        from cftlearn.datasets import make_partial_multilabel
        from cftlearn.model_selection import cross_val_predict

        class Slow(DummyClassifier):
            def fit(self, X, y):
                say()
                time.sleep(300)

        Z, y, _ = make_partial_multilabel(100, random_state=0)
        cross_val_predict(Slow(), Z, y, n_jobs=2)
    """,
}
SAY = """
import os, sys, time

def say():
    with open(sys.argv[1], "a") as file:
        file.write(f"{os.getpid()}\\n")
"""


def is_alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
        return state.rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="looks into /proc")
@pytest.mark.parametrize(
    ("what", "sent"),
    [
        ("refits", signal.SIGKILL),
        ("refits", signal.SIGTERM),
        ("folds", signal.SIGKILL),
    ],
)
def test_workers_of_a_killed_fit_end(tmp_path, what, sent):
    pids = tmp_path / "pids"
    pids.touch()
    fit = subprocess.Popen(
        [sys.executable, "-c", SAY + textwrap.dedent(CODES[what]), pids]
    )
    deadline = time.monotonic() + 120
    while len(workers := set(pids.read_text().split())) < 2:
        assert fit.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    fit.send_signal(sent)
    fit.wait(timeout=20)
    deadline = time.monotonic() + 20
    while any(map(is_alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    alive = [pid for pid in workers if is_alive(pid)]
    for pid in alive:
        os.kill(int(pid), signal.SIGKILL)
    assert not alive


def test_other_processes_go_on():
    end_with_parent.cache_clear()
    end_with_parent()
    import threading

    assert "end-with-parent" not in {thread.name for thread in threading.enumerate()}
