"""Throw spoiled configurations and random arguments at every command.

    python benchmarks/fuzz_configurations.py --n 5000 --seed 0

A command that is asked for something wrong must say so in one plain message and exit
with 1 or 2: no traceback, no words of Python's or another library's insides, nothing
written, within memory and time. A fit ends where its training would begin; the other
commands run in full on a few rows.
"""

import contextlib
import io
import os
import random
import re
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from _fuzz_inputs import OF_FEATURES, as_toml, random_arguments, random_document
from _limits import TooSlow, limit_memory, peak_bytes, time_limit
from _trials import trial_parser
from PIL import Image

from cftlearn import cli
from cftlearn.classifier import CFTClassifier
from cftlearn.cli._features import FEATURES, write_paths
from cftlearn.cli._settings import SettingsError
from cftlearn.persistence import save_model

SECONDS = 20  # for one command, of which a loaded machine needs a few
MEMORY = 2 * 2**30  # that a command may take beside what was taken before
LONGEST = 6000  # characters of a message
_BEGINS = "the training begins here"
# Words that no user knows from cftlearn.
_FOREIGN = re.compile(
    r"Traceback|\[Errno|codec can|object is not|has no attribute|unhashable|NoneType|"
    r"invalid literal|recursion|positional argument|index out of|KeyError|"
    r"unexpected keyword|unpack|division by zero|0x[0-9a-f]{6,}|<class|unsupported "
    r"operand|null byte|not supported between|not enough memory|must be str|float\(\)|"
    r"could not convert|says nothing more|cannot be interpreted|object cannot"
)


@dataclass
class Answer:
    """What a command did.

    Attributes
    ----------
    argv : list of str
        Its arguments.
    status : int or str
        Its exit status; the traceback of an error that it did not catch.
    err : str
        What it printed to stderr.
    seconds : float
        What it took.
    changed : list of str
        Files that are there, or gone, since it ran.
    """

    argv: list[str]
    status: int | str
    err: str
    seconds: float
    changed: list[str]

    def fault(self) -> str | None:
        """Return what is wrong with the answer; None if it is right."""
        if isinstance(self.status, str):
            return f"an error that is not caught: {self.status}"
        if self.status not in (0, 1, 2, 3):
            return f"exit status {self.status}"
        if self.seconds > SECONDS:
            return f"{self.seconds:.0f} s"
        if self.status in (0, 3):
            return None
        if self.changed and _BEGINS not in self.err:
            return f"it failed, but wrote {self.changed}"
        foreign = _FOREIGN.search(self.err)
        if foreign:
            return f"words that are not ours: {foreign[0]!r}"
        starts = [
            line
            for line in self.err.splitlines()
            if re.match(r"cftlearn( \w+)?: (?!warning)", line)
        ]
        if len(starts) != 1:
            return f"{len(starts)} messages"
        return "a long message" if len(self.err) > LONGEST else None


def run(argv: list[str], folder: Path) -> Answer:
    """Run a command in a folder that it may change, and look at what it does."""
    before = _files(folder)
    err, started = io.StringIO(), time.perf_counter()
    status: int | str
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(err),
            warnings.catch_warnings(),
            mock.patch.object(CFTClassifier, "fit", _stop),
            mock.patch("cftlearn.cli._demo_run.load_digit_panels", _stop),
            time_limit(SECONDS),
        ):
            warnings.simplefilter("default")
            status = cli.main(argv)
    except SystemExit as error:
        status = int(error.code or 0)
    except (Exception, TooSlow):
        status = traceback.format_exc()
    seconds = time.perf_counter() - started
    changed = sorted(before ^ _files(folder))
    return Answer(argv, status, err.getvalue(), seconds, changed)


def _stop(*_: Any, **__: Any) -> Any:
    raise SettingsError(_BEGINS)


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def make_folder(folder: Path) -> None:
    """Write labels, images, features, scores, a model and a pipe."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir()
    (folder / "features").mkdir()
    names = [f"{i}.png" for i in range(12)]
    lines, scores = ["path,split,person,cat,dog"], ["path,cat,dog"]
    for i, name in enumerate(names):
        pixels = rng.integers(256, size=(8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / name)
        cells = ["" if (i + j) % 3 == 0 else str((i + j) % 2) for j in (0, 1)]
        split = "train" if i < 8 else "test"
        lines.append(",".join([name, split, f"p{i // 2}", *cells]))
        scores.append(f"{name},{rng.random():.3f},{rng.random():.3f}")
    Z = rng.standard_normal((12, 3)).astype(np.float32)
    np.save(folder / "features" / FEATURES, Z)
    write_paths(folder / "features", names)
    y = (Z[:, :2] > 0).astype(float)
    model = CFTClassifier(random_state=0).set_params(fine_tuner__solver="proximal")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save_model(model.fit(Z, y), folder / "model")
    for name, text in (
        ("labels.csv", "\n".join(lines)),
        ("scores.csv", "\n".join(scores)),
        ("broken.csv", 'path,cat\n"a.png,1\n\0,2'),
        ("sound.toml", as_toml(OF_FEATURES)),
    ):
        (folder / name).write_text(text)
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe")


def answers(n: int, seed: int) -> Iterator[Answer]:
    """Yield the answers to some commands, half of them with a configuration.

    Parameters
    ----------
    n : int
        How many.
    seed : int
        Of the commands.

    Yields
    ------
    answer : Answer
        Of one command.
    """
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        make_folder(folder)
        sound = _files(folder)
        os.chdir(folder)
        try:
            for i in range(n):
                rng = random.Random(f"{seed} {i}")
                yield _answer(rng, folder)
                _clean(folder, sound)
        finally:
            os.chdir(here)


def _answer(rng: random.Random, folder: Path) -> Answer:
    if rng.random() < 0.5:
        return run(random_arguments(rng), folder)
    suffix, content = random_document(rng)
    path = folder / f"fuzzed{suffix}"
    path.write_bytes(content)
    return run([rng.choice(["fit", "refit"]), path.name, "--quiet"], folder)


def _clean(folder: Path, sound: set[str]) -> None:
    """Delete what a command wrote."""
    for name in sorted(_files(folder) - sound, reverse=True):
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)


def main(argv: list[str] | None = None) -> int:
    """Run the fuzzer; return 1 if an answer is wrong."""
    parser = trial_parser(__doc__, 1000, "commands")
    parser.add_argument("--keep", type=Path, help="folder for what went wrong")
    arguments = parser.parse_args(argv)
    counts: Counter[str] = Counter()
    slowest, n_wrong = 0.0, 0
    limit_memory(MEMORY)
    for number, answer in enumerate(answers(arguments.n, arguments.seed)):
        counts[f"exit {answer.status}" if isinstance(answer.status, int) else "?"] += 1
        counts["reached the training"] += _BEGINS in answer.err
        slowest = max(slowest, answer.seconds)
        fault = answer.fault()
        if fault is None:
            continue
        n_wrong += 1
        print(f"{number}: {answer.argv}\n  {fault}\n  {answer.err[-600:]}")
        config = Path(next((a for a in answer.argv if a.startswith("fuzzed")), "none"))
        if arguments.keep is not None and config.is_file():
            arguments.keep.mkdir(exist_ok=True)
            target = arguments.keep / f"{number}{config.suffix}"
            target.write_bytes(config.read_bytes())
    listed = ", ".join(f"{name}: {count}" for name, count in sorted(counts.items()))
    print(f"{arguments.n} commands, seed {arguments.seed}: {n_wrong} wrong; {listed}")
    print(f"slowest {slowest:.1f} s; peak memory {peak_bytes() / 2**20:.0f} MiB")
    return 1 if n_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
