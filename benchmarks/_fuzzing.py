"""Damage files by chance, and try them one by one in processes that may die."""

import io
import multiprocessing
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from _limits import peak_bytes

AT_ONCE = 200  # cases of a process
SECONDS = 60  # of a case, until it counts as hanging
GIB = 2**30

Case = Callable[[int], str]  # a case by its seed; returns its outcome, or raises


class Found(NamedTuple):
    """What went wrong in a case.

    Attributes
    ----------
    seed : int
        The seed of the case.
    what : str
        The foreign error, or how the process ended.
    """

    seed: int
    what: str


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """Damage bytes in one to eight places."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        if len(changed) < 2:
            break
        place = int(rng.integers(len(changed)))
        # Most of what decides is near the beginning.
        place = place if rng.random() < 0.5 else min(place, int(rng.integers(256)))
        length = int(rng.integers(1, 17))
        kind = rng.integers(7)
        if kind == 0:
            changed[place] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            changed[place] = int(rng.choice([0, 1, 127, 128, 255]))
        elif kind == 2:
            changed[place : place + 4] = int(rng.integers(2**32)).to_bytes(4, "little")
        elif kind == 3:
            size = int(rng.choice([0, 2**16 - 1, 2**24, 2**31 - 1, 2**32 - 1]))
            order = "big" if rng.random() < 0.5 else "little"
            changed[place : place + 4] = size.to_bytes(4, order)
        elif kind == 4:
            del changed[place : place + length]
        elif kind == 5:
            changed[place:place] = changed[place : place + length] * int(
                rng.integers(1, 5)
            )
        elif rng.random() < 0.2:
            del changed[place:]
    return bytes(changed)


def mutated_archive(data: bytes, rng: np.random.Generator) -> bytes:
    """Damage one entry of an archive, and give it the right checksum."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        names = old.namelist()
        chosen = names[int(rng.integers(len(names)))]
        for name in names:
            content = old.read(name)
            new.writestr(name, mutated(content, rng) if name == chosen else content)
    return out.getvalue()


def try_all(case: Case, seeds: list[int]) -> tuple[Counter[str], list[Found]]:
    """Try cases; return how often which outcome was, and what went wrong."""
    outcomes: Counter[str] = Counter()
    found: list[Found] = []
    for start in range(0, len(seeds), AT_ONCE):
        waiting = seeds[start : start + AT_ONCE]
        while waiting:
            waiting = _try_some(case, waiting, outcomes, found)
        _show(start + AT_ONCE, len(seeds), len(found))
    return outcomes, found


def _try_some(
    case: Case, seeds: list[int], outcomes: Counter[str], found: list[Found]
) -> list[int]:
    """Try cases in one process; return those that are left if it died."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(case, seeds, sender))
    process.start()
    sender.close()
    n_done = 0
    try:
        while n_done < len(seeds):
            if not receiver.poll(SECONDS):
                found.append(Found(seeds[n_done], f"hung for {SECONDS} s"))
                return seeds[n_done + 1 :]
            is_fine, text = receiver.recv()
            if is_fine:
                outcomes[text] += 1
            else:
                found.append(Found(seeds[n_done], text))
            n_done += 1
    except EOFError:
        process.join()
        found.append(Found(seeds[n_done], f"ended with {process.exitcode}"))
        return seeds[n_done + 1 :]
    finally:
        process.kill()
        process.join()
    return []


def _work(case: Case, seeds: list[int], sender: Any) -> None:
    for seed in seeds:
        before = peak_bytes()
        start = time.monotonic()
        try:
            answer = True, case(seed)
        except Exception as error:
            answer = False, f"{type(error).__name__}: {error}"[:500]
        if peak_bytes() > max(before, 2 * GIB):
            answer = False, f"took {peak_bytes() / GIB:.1f} GiB"
        seconds = time.monotonic() - start
        if seconds > SECONDS / 2:
            answer = False, f"took {seconds:.0f} s"
        sender.send(answer)


def _show(n_done: int, n_all: int, n_found: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{n_done} of {n_all}, {n_found} found", end="", file=sys.stderr)


def report(
    name: str, outcomes: Counter[str], found: list[Found], keep: Path | None
) -> bool:
    """Print outcomes and findings; return whether all is well."""
    n_cases = outcomes.total() + len(found)
    print(f"{name}: {n_cases} cases, {len(found)} found")
    for outcome, count in outcomes.most_common():
        print(f"  {count:6} {outcome}")
    for one in found[:20]:
        print(f"  seed {one.seed}: {one.what}")
    if keep is not None and found:
        keep.mkdir(parents=True, exist_ok=True)
        lines = [f"{one.seed}\t{one.what}\n" for one in found]
        (keep / f"{name}.txt").write_text("".join(lines))
    return not found
