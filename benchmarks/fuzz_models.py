"""Load saved models that were damaged, by chance or on purpose, and see what happens.

    python benchmarks/fuzz_models.py --n 20000 --seed 0
    python benchmarks/fuzz_models.py --loads 1000  # beside a process that overwrites

Every mutated model must be refused with a ``ModelFormatError``, soon and with little
memory. Without right digests, none may be accepted: not one bit may differ. With
digests that were made right again, one may be accepted if it is a model all the same:
then it predicts finite numbers, or says in a ``ValueError`` what it needs. Format 1 has
no digests, so bytes of its weights may change.

Linux alone: peaks of memory are read from /proc.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _limits import TooSlow, time_limit
from _model_mutations import SIGNED, UNSIGNED, Files, sign
from _trials import trial_parser
from numpy.typing import NDArray
from torch import nn

from cftlearn import (
    CategoryWiseFineTuner,
    CFTClassifier,
    CFTEnsemble,
    load_model,
    save_model,
)
from cftlearn.calibration import CategoryCalibrator
from cftlearn.exceptions import ModelFormatError
from cftlearn.solvers import GradientSolver
from cftlearn.training import NetworkTrainer

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "data" / "model_format_1"
MOST_BYTES = 2**26  # of memory that a load may take
MOST_SECONDS = 1.0  # of the processor
LONGEST = 20  # seconds after which a load counts as one that hangs
_SHARE_SIGNED = 0.5


def make_network() -> nn.Module:
    """Make the network of the models here, and of the one of format 1."""
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))


@dataclass(frozen=True)
class Base:
    """A model that is to be damaged.

    Attributes
    ----------
    files : dict of str to bytes
        As they were saved.
    other : dict of str to bytes
        Those of a model of the same kind, of other numbers and names.
    content : str
        What the model says and predicts.
    module : callable or None
        For ``load_model``.
    format : int
        1 or 2.
    """

    files: Files
    other: Files
    content: str
    module: Any
    format: int


def make_rows(n: int = 60) -> NDArray[np.float32]:
    """Make rows of four features without any random number."""
    rows = np.arange(n)[:, np.newaxis] * [1.0, 2.3, 3.1, 4.7]
    return np.sin(rows).astype(np.float32)


def content_of(model: Any, X: NDArray[np.float32]) -> str:
    """Write what a model says and predicts; it must be finite."""
    if isinstance(model, CategoryWiseFineTuner):
        scores = model.transform(X)
    else:
        scores = model.decision_function(X)
    n_categories = len(model.categories_)
    if scores.reshape(len(X), -1).shape[1] != n_categories:
        raise ValueError(f"scores of shape {scores.shape} for {n_categories} names")
    if not np.isfinite(scores).all():
        raise ArithmeticError("scores that are not finite")
    parts = [repr(model), model.report_, model.categories_.tolist()]
    parts += [model.classes_.tolist(), getattr(model, "feature_names_in_", [])]
    parts += [scores.tobytes().hex(), getattr(model, "calibrator_", None)]
    if hasattr(model, "predict"):
        parts.append(model.predict(X).tolist())
    return "\n".join(map(str, parts))


def make_models(seed: int) -> dict[str, Any]:
    """Fit one model of each kind."""
    X = make_rows()
    rng = np.random.default_rng(seed)
    y = (X[:, :2] + 0.3 * rng.standard_normal((60, 2)) > 0.2 * seed).astype(float)
    y[rng.random(y.shape) < 0.3] = np.nan
    tuner = CategoryWiseFineTuner(GradientSolver(max_epochs=5), random_state=seed)
    calibrator = CategoryCalibrator("isotonic", min_isotonic=1)
    small = {"max_epochs": 1, "fine_tuner": tuner, "random_state": seed}
    plain = CFTClassifier(fine_tuner=tuner, threshold=np.array([0.3, 0.6]))
    network = CFTClassifier(
        make_network, trainer=NetworkTrainer(pos_weight=[1.0, 2.0]), **small
    )
    calibrated = CFTClassifier(fine_tuner=tuner, calibration=calibrator)
    members = [("plain", plain), ("network", network), ("tuner", tuner)]
    return {
        "features": plain.fit(X, y),
        "two classes": CFTClassifier(fine_tuner=tuner, calibration="sigmoid").fit(
            X, np.where(X[:, 0] > 0.1 * seed, "yes", "no")
        ),
        "fine-tuner": CategoryWiseFineTuner(["ga", "proximal"]).fit(X, y),
        "joined networks": network.set_params(retrain="average").fit(X, y),
        "one network": CFTClassifier(make_network, retrain=False, **small).fit(X, y),
        "calibrated": calibrated.fit(X, y),
        "ensemble": CFTEnsemble(members, combine="rank_mean").fit(X, y),
    }


def read_files(folder: Path) -> Files:
    """Read all files of a folder."""
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def module_for(files: Files) -> Any:
    """Return the module for a model; None where it has no network."""
    return make_network if any(name.endswith("network.pt") for name in files) else None


def make_bases(folder: Path) -> dict[str, Base]:
    """Save two models of each kind, and the old one of format 1."""
    pairs = [make_models(seed) for seed in (0, 1)]
    bases, X = {}, make_rows()[:5]
    for name, model in pairs[0].items():
        saved = [
            read_files(save_model(pair[name], folder / f"{name}{i}"))
            for i, pair in enumerate(pairs)
        ]
        module = module_for(saved[0])
        content = content_of(load_model(folder / f"{name}0", module=module), X)
        if not isinstance(model, CFTEnsemble):  # loaded members have other parameters
            scores = content_of(model, X).splitlines()[-3]
            if scores != content.splitlines()[-3]:
                raise ArithmeticError(f"{name}: the loaded model predicts others")
        bases[name] = Base(*saved, content, module, 2)
    old = read_files(GOLDEN)
    content = content_of(load_model(GOLDEN, module=make_network), X)
    other = bases["one network"].files
    bases["format 1"] = Base(old, other, content, make_network, 1)
    return bases


def write_files(files: Files, folder: Path) -> None:
    """Write files, and what is none."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            content(path)


def _memory(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024
    return 0


def judge(folder: Path, base: Base, *, signed: bool) -> str:
    """Load a damaged model, and say how it ended; what begins with "!" is a fault."""
    try:
        with time_limit(LONGEST):
            return _judge(folder, base, signed=signed)
    except TooSlow as error:
        return f"! no answer: {error}"


def _judge(folder: Path, base: Base, *, signed: bool) -> str:
    started = time.process_time()
    Path("/proc/self/clear_refs").write_text("5")  # peaks start anew
    before = _memory("VmRSS")
    try:
        model, outcome = load_model(folder, module=base.module), ""
    except Exception as error:
        model, outcome = None, _judge_error(error)
    taken, seconds = _memory("VmHWM") - before, time.process_time() - started
    if taken > MOST_BYTES:
        return f"! took {taken / 2**20:.0f} MiB"
    if seconds > MOST_SECONDS:
        return f"! took {seconds:.1f} s"
    return outcome if model is None else _judge_model(model, base, signed=signed)


def _judge_error(error: Exception) -> str:
    text = str(error)
    if type(error) is ModelFormatError and str(error).startswith("The model in "):
        return "refused" if len(text) < 1200 else f"! long message {len(text)}"
    if type(error) is FileNotFoundError and "written by save_model" in text:
        return "no model there"
    if type(error) is ValueError and text.startswith("`module` must"):
        return "another module needed"
    return "! " + "".join(traceback.format_exception(error)[-4:])


def _judge_model(model: Any, base: Base, *, signed: bool) -> str:
    try:
        content = content_of(model, make_rows()[:5])
    except ValueError as error:
        return (
            f"accepted, needs other rows ({str(error)[:40]})" if signed else "! fails"
        )
    except Exception as error:
        return "! accepted, " + "".join(traceback.format_exception(error)[-4:])
    if content == base.content and (signed or base.format == 1):
        return "accepted, the same content"
    if signed or base.format == 1:
        return "accepted, a model all the same"
    return "! accepted with other bytes"


def fuzz(n: int, seed: int, work: Path) -> tuple[Counter[str], list[str]]:
    """Make so many damaged models; return how often each outcome was, and the faults.

    Parameters
    ----------
    n : int
        How many.
    seed : int
        Of the mutations; that of number i depends on i and on it.
    work : Path
        An empty folder.

    Returns
    -------
    counts : Counter
        Keys are the kind of the model, whether digests are right, and the outcome.
    faults : list of str
        What must not happen.
    """
    bases = make_bases(work / "bases")
    counts: Counter[str] = Counter()
    faults = []
    for i in range(n):
        rng = random.Random(f"{seed} {i}")
        kind = rng.choice(sorted(bases))
        base = bases[kind]
        signed = rng.random() < _SHARE_SIGNED
        name = rng.choice(sorted(SIGNED if signed else UNSIGNED))
        files = (SIGNED if signed else UNSIGNED)[name](base.files, base.other, rng)
        if signed and name != "bomb_json":
            files = dict(files)
            sign(files)
        folder = work / "model"
        write_files(files, folder)
        # Bombs are signed; what was not changed at all may be loaded.
        may_differ = signed or name == "bomb_json" or files == base.files
        outcome = judge(folder, base, signed=may_differ)
        shutil.rmtree(folder)
        digests = "right" if signed else "wrong"
        by = f" ({name})" if outcome.startswith("accepted, the") else ""
        counts[f"{digests} digests: {outcome.split('(')[0]}{by}"] += 1
        if outcome.startswith("!"):
            faults.append(f"{i}: {kind}, {name}, signed={signed}: {outcome}")
    if Path("executed").exists():
        faults.append("code of a model file ran")
    return counts, faults


_WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from fuzz_models import make_network
from cftlearn import load_model, save_model
models = [load_model(f"{sys.argv[2]}/{i}", module=make_network) for i in "01"]
print("ready", flush=True)
while not Path(sys.argv[2], "stop").exists():
    for model in models:
        save_model(model, f"{sys.argv[2]}/model", overwrite=True)
"""


def load_beside_a_writer(n: int, work: Path) -> Counter[str]:
    """Load a model that another process overwrites with two models in turn.

    Parameters
    ----------
    n : int
        How many loads.
    work : Path
        An empty folder.

    Returns
    -------
    counts : Counter
        How often each of the models came, and each kind of failure.
    """
    kind = "joined networks"
    for i in range(2):
        save_model(make_models(i)[kind], work / str(i))
    X = make_rows()[:5]
    contents = {
        content_of(load_model(work / str(i), module=make_network), X): f"model {i}"
        for i in range(2)
    }
    shutil.copytree(work / "0", work / "model")
    command = [sys.executable, "-c", _WRITER, str(Path(__file__).parent), str(work)]
    counts: Counter[str] = Counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        try:
            writer.stdout.readline()  # type: ignore[union-attr]
            for _ in range(n):
                try:
                    model = load_model(work / "model", module=make_network)
                except Exception as error:
                    counts[f"failed: {type(error).__name__}: {error}"[:300]] += 1
                else:
                    counts[contents.get(content_of(model, X), "mixed")] += 1
        finally:
            (work / "stop").touch()
            writer.wait(60)
    return counts


def main() -> int:
    parser = trial_parser(__doc__, 2000, "damaged models")
    parser.add_argument("--loads", type=int, default=0, help="beside a writer")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # of categories without labels, and of names
    started = time.perf_counter()
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        if arguments.loads:
            (Path(folder) / "writer").mkdir()
            loads = load_beside_a_writer(arguments.loads, Path(folder) / "writer")
            print(f"{arguments.loads} loads beside a process that overwrites:")
            print(json.dumps(loads, indent=1))
            faults += [key for key in loads if not key.startswith("model")]
        else:
            counts, faults = fuzz(arguments.n, arguments.seed, Path(folder))
            for key, count in sorted(counts.items()):
                print(f"{count:7} {key.splitlines()[0][:100]}")
        os.chdir("/")
    seconds = time.perf_counter() - started
    print(f"{len(faults)} faults; {seconds:.0f} s; seed {arguments.seed}")
    print("\n".join(faults[:20]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
