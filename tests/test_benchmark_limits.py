"""What stops trials by chance: time and memory; and the options that all take."""

import importlib
import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")


@pytest.fixture
def limits(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("_limits")


@pytest.mark.parametrize(
    ("patience", "processor", "text"),
    [(1, 0, "more than 1 s"), (60, 1, "more than 60 s, or 1 s of the processor")],
)
def test_what_hangs_is_stopped(limits, patience, processor, text):
    before = [signal.getsignal(each) for each in (signal.SIGALRM, signal.SIGPROF)]
    with (
        pytest.raises(limits.TooSlow, match=f"^{text}$"),
        limits.time_limit(patience, processor=processor),
    ):
        sum(1 for _ in itertools.count())
    after = [signal.getsignal(each) for each in (signal.SIGALRM, signal.SIGPROF)]
    assert after == before


def test_what_ends_in_time_is_not_stopped_later(limits):
    with limits.time_limit(1):
        pass
    time.sleep(1.1)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_memory_is_limited_beside_what_is_taken():
    code = (
        "from _limits import *; limit_memory(2**26); assert peak_bytes() > 2**20\n"
        "bytearray(2**25)\n"
        "try: bytearray(2**27)\n"
        "except MemoryError: print('refused')"
    )
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, cwd=BENCHMARKS, capture_output=True, text=True)
    assert done.stdout == "refused\n", done.stderr


def test_all_trials_take_the_same_options(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    parser = importlib.import_module("_trials").trial_parser("What.\nMore.", 7, "tries")
    assert vars(parser.parse_args([])) == {"n": 7, "seed": 0}
    assert parser.description == "What."
    scripts = [*BENCHMARKS.glob("fuzz_*.py"), *BENCHMARKS.glob("faults*.py")]
    assert len(scripts) == 6
    for script in scripts:
        assert "trial_parser(__doc__" in script.read_text()
