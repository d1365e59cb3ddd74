"""Save to disks that are full, and read while others write."""

import os
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from _fault_kills import fingerprint
from _fault_places import mounted, names_in

from cftlearn import load_model, save_model

_PLAIN = ("the disk is full", "larger than the disk or a limit")


def fill_disks(models: list[Any], folder: Path) -> dict[str, int] | None:
    """Overwrite a model on disks with less and less room; None without the right."""
    found: Counter[str] = Counter()
    earlier, later, _ = models
    with mounted(folder / "full", "1m") as disk:
        if disk is None:
            return None
        save_model(earlier, disk / "model")
        for free in range(0, 120_000, 4096):
            ballast = disk / "ballast"
            room = os.statvfs(disk)
            size = room.f_bavail * room.f_bsize - free
            if size <= 0:
                break
            ballast.write_bytes(bytes(size))
            _try(lambda: save_model(later, disk / "model", overwrite=True), found)
            _look(disk / "model", [earlier, later], found)
            found["litter"] += names_in(disk) != ["ballast", "model"]
            ballast.unlink()
            save_model(earlier, disk / "model", overwrite=True)
    return dict(found)


def limit_sizes(models: list[Any], folder: Path) -> dict[str, int]:
    """Overwrite a model where files may have less and less bytes."""
    found: Counter[str] = Counter()
    earlier, later, _ = models
    path = folder / "limited"
    save_model(earlier, path)
    most = max(file.stat().st_size for file in path.iterdir())
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for size in range(1, most + 600, max(most // 40, 1)):
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
            _try(lambda: save_model(later, path, overwrite=True), found)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        _look(path, [earlier, later], found)
        names = [name for name in names_in(folder) if name.startswith(".")]
        found["litter"] += bool(names)
        save_model(earlier, path, overwrite=True)
    return dict(found)


def _try(save: Any, found: Counter[str]) -> None:
    try:
        save()
        found["saved"] += 1
    except OSError as error:
        is_plain = any(words in str(error) for words in _PLAIN)
        found["refused" if is_plain else "BAD words"] += 1
        if not is_plain:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
    except Exception as error:
        found["BAD error"] += 1
        print(f"{type(error).__name__}: {error}", file=sys.stderr)


def _look(path: Path, models: list[Any], found: Counter[str]) -> None:
    is_good = fingerprint(load_model(path)) in [fingerprint(model) for model in models]
    found["BAD model"] += not is_good


def write_together(
    models: list[Any], n_loads: int, folder: Path, *, n_writers: int = 2
) -> dict[str, int]:
    """Load a model again and again while other processes overwrite it."""
    found: Counter[str] = Counter()
    known = [fingerprint(model) for model in models]
    with tempfile.TemporaryDirectory(dir=folder) as made:
        path = Path(made) / "model"
        save_model(models[0], path)
        writers = []
        for first in range(n_writers):
            child = os.fork()
            if not child:
                _overwrite_for_ever(models, first, path)
            writers.append(child)
        started = time.perf_counter()
        while found["loads"] < n_loads:
            found["loads"] += 1
            try:
                found["BAD mixed"] += fingerprint(load_model(path)) not in known
            except Exception as error:
                found["BAD failed"] += 1
                print(f"{type(error).__name__}: {error}", file=sys.stderr)
        found["seconds"] = round(time.perf_counter() - started)
        for child in writers:
            if os.waitpid(child, os.WNOHANG)[0]:  # it ended by itself
                found["BAD writers"] += 1
                continue
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        save_model(models[0], path, overwrite=True)
        found["litter"] = names_in(Path(made)) != ["model"]
    return dict(found)


def _overwrite_for_ever(models: list[Any], first: int, path: Path) -> None:
    number = first
    try:
        while True:
            save_model(models[number % len(models)], path, overwrite=True)
            number += 1
    except BaseException as error:
        print(f"writer: {type(error).__name__}: {error}", file=sys.stderr)
    finally:
        os._exit(1)
