"""Kill processes that save a model, at every step and at random moments."""

import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from _fault_places import PLACES, Place, names_in

from cftlearn import load_model, save_model
from cftlearn._files import _folders

SIGNALS = (signal.SIGKILL, signal.SIGTERM)
_STEPS = ("open", "os.", "shutil.", "fcntl.")  # events of Python that may change files
_FAILED = 7  # status of a child whose save raised an error


class _Steps:
    """Counts the steps of a save, and ends the process at one of them."""

    def __init__(self, last: int | None, sent: int) -> None:
        self.n = 0
        self._last, self._sent = last, sent
        self.is_on = False

    def step(self) -> None:
        if self.is_on:
            if self.n == self._last:
                self.is_on = False
                os.kill(os.getpid(), self._sent)
                signal.pause()
            self.n += 1

    def listen(self, event: str, _: Any) -> None:
        if event.startswith(_STEPS):
            self.step()

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*args: Any) -> Any:
            self.step()
            result = function(*args)
            self.step()
            return result

        return stepped


def fingerprint(model: Any) -> list[Any]:
    """Return the numbers that tell models apart."""
    if hasattr(model, "estimators_"):
        members = [fingerprint(member) for member in model.estimators_]
        return [model.weights_.tolist(), *members]
    return [np.asarray(model.coef_).tolist(), model.categories_.tolist()]


def kill_saves(
    models: dict[str, list[Any]], n_kills: int, folder: Path, seed: int = 0
) -> list[dict[str, Any]]:
    """Kill saves of models at all places, and look at what is left.

    Parameters
    ----------
    models : dict of str to list
        By kind: the earlier model, the one whose save is killed, the next one.
    n_kills : int
        Number of kills, over all kinds and places.
    folder : Path
        Where to make folders.
    seed : int
        Of the random moments.

    Returns
    -------
    records : list of dict
        For each kind and place: steps, kills, and what was found after them.
    """
    rng = random.Random(seed)
    cells = [(kind, place) for kind in models for place in PLACES]
    measured = []
    for kind, place in cells:
        with place.system():
            measured.append(_measure(place, *models[kind][:2], folder))
    all_steps = sum(n_steps for n_steps, _ in measured)
    records, n_done, n_before = [], 0, 0
    for (kind, place), (n_steps, seconds) in zip(cells, measured, strict=True):
        n_before += n_steps  # of this and the cells before: kills in proportion
        n = round(n_kills * n_before / all_steps) - n_done
        n_done += n
        with place.system():
            found = _kill_at(place, models[kind], n, (n_steps, seconds), folder, rng)
        records.append({"model": kind, "place": place.name, "steps": n_steps, **found})
    return records


def _kill_at(
    place: Place,
    models: list[Any],
    n: int,
    measured: tuple[int, float],
    folder: Path,
    rng: random.Random,
) -> dict[str, Any]:
    earlier, later, last = models
    known = {str(fingerprint(earlier)): "earlier", str(fingerprint(later)): "new"}
    n_steps, seconds = measured
    found: Counter[str] = Counter()
    first = rng.randrange(n_steps)
    number = -1
    while found["killed"] < n:
        number += 1
        sent = SIGNALS[number % 2]
        with _prepared(place, earlier, folder) as (path, names):
            # Every step in turn; and between steps, at a random moment.
            at_random = number % 4 == 3
            step = None if at_random else (first + number - number // 4) % n_steps
            delay = rng.uniform(0, seconds) if at_random else None
            status = _save_in_child(later, path, step, sent, delay)
            found["killed" if os.WIFSIGNALED(status) else "finished"] += 1
            found["errors"] += os.WIFEXITED(status) and os.WEXITSTATUS(status) > 0
            found[_state(path, known, place)] += 1
            save_model(last, path, overwrite=True)
            is_last = fingerprint(load_model(path)) == fingerprint(last)
            found["next is wrong"] += not is_last
            found["litter"] += _names(path) != names
    return dict(found)


@contextmanager
def _prepared(
    place: Place, earlier: Any, folder: Path
) -> Iterator[tuple[Path, list[str]]]:
    """Make a place; yield its path, and the names that should be there in the end."""
    with tempfile.TemporaryDirectory(dir=folder) as made:
        path = place.prepare(Path(made), lambda path: save_model(earlier, path))
        outside = sorted({*names_in(Path(made)), "model"})
        inside = ["arrays.safetensors", "model.json"]
        inside += ["members"] if hasattr(earlier, "estimators_") else []
        yield path, [*outside, "|", *sorted(inside)]


def _names(path: Path) -> list[str]:
    return [*names_in(path.parent), "|", *names_in(path)]


def _state(path: Path, known: dict[str, str], place: Place) -> str:
    """Load what is left after a kill, and say what it is."""
    try:
        return known.get(str(fingerprint(load_model(path))), "BAD")
    except FileNotFoundError:
        return "BAD" if place.has_earlier else "none"
    except Exception as error:  # a load must not fail, whatever the error
        print(f"{place.name}: {type(error).__name__}: {error}", file=sys.stderr)
        return "BAD"


def _measure(place: Place, earlier: Any, later: Any, folder: Path) -> tuple[int, float]:
    """Count the steps of a save that nobody kills, and its seconds."""
    with _prepared(place, earlier, folder) as (path, _):
        read, write = os.pipe()
        started = time.perf_counter()
        child = os.fork()
        if not child:
            steps = _run(later, path, None, signal.SIGKILL)
            os.write(write, str(steps).encode())
            os._exit(0)
        os.close(write)
        with os.fdopen(read) as pipe:
            n_steps = int(pipe.read())
        os.waitpid(child, 0)
        return n_steps, time.perf_counter() - started


def _save_in_child(
    model: Any, path: Path, step: int | None, sent: int, delay: float | None
) -> int:
    """Save in a process that ends at a step, or after a while; return its status."""
    child = os.fork()
    if not child:
        try:
            _run(model, path, step, sent)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            os._exit(_FAILED)
        os._exit(0)
    if delay is not None:
        time.sleep(delay)
        os.kill(child, sent)
    return os.waitpid(child, 0)[1]


def _run(model: Any, path: Path, step: int | None, sent: int) -> int:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    steps = _Steps(step, sent)
    sys.addaudithook(steps.listen)
    with (
        mock.patch.object(os, "fsync", steps.around(os.fsync)),
        mock.patch.object(_folders, "exchange", steps.around(_folders.exchange)),
    ):
        steps.is_on = True
        save_model(model, path, overwrite=True)
        steps.step()
        steps.is_on = False
    return steps.n
