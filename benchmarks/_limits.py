"""Limits of time and memory for trials by chance. POSIX only."""

import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class TooSlow(BaseException):
    """A trial takes too long; no handler of errors may stop this."""


@contextmanager
def time_limit(seconds: int, processor: int = 0) -> Iterator[None]:
    """Raise TooSlow after so many seconds in all, or of the processor (0: no limit)."""

    def stop(*_: object) -> None:
        of_processor = f", or {processor} s of the processor" if processor else ""
        raise TooSlow(f"more than {seconds} s{of_processor}")

    alarms = (signal.SIGALRM, signal.SIGPROF)
    timers = ((signal.ITIMER_REAL, seconds), (signal.ITIMER_PROF, processor))
    earlier = [signal.signal(alarm, stop) for alarm in alarms]
    for timer, limit in timers:
        signal.setitimer(timer, limit)
    try:
        yield
    finally:
        for timer, _ in timers:
            signal.setitimer(timer, 0)
        for alarm, handler in zip(alarms, earlier, strict=True):
            signal.signal(alarm, handler)


def peak_bytes() -> int:
    """Return the most memory that this process has had."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def limit_memory(n_bytes: int) -> None:
    """Let this process take so many bytes beside what it has, where /proc says that."""
    status = Path("/proc/self/statm")
    if status.is_file():
        taken = int(status.read_text().split()[0]) * resource.getpagesize()
        most = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (taken + n_bytes, most))
