"""Faults while models are saved: kills, full disks, other writers. POSIX only.

    python benchmarks/faults.py --n 5000

Processes that save a model are killed by SIGKILL and SIGTERM, at each step on the
file system in turn and at random moments. After each kill, `load_model` must find the
earlier model or the new one, whole, and the next save must leave no litter. Then models
are saved to disks with too little room, and read while others overwrite them. The exit
code is 1 if anything was not as it must be.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _fault_disks import fill_disks, limit_sizes, write_together
from _fault_kills import kill_saves
from _machine import describe_machine
from _trials import trial_parser

_WRONG = ("BAD", "litter", "errors", "next is wrong")
_FIT = """
import sys
from pathlib import Path
from cftlearn import CategoryWiseFineTuner, CFTEnsemble, save_model
from cftlearn.datasets import make_partial_multilabel

for number in range(3):
    Z, y, _ = make_partial_multilabel(80, n_categories=number + 2, random_state=number)
    tuner = CategoryWiseFineTuner("proximal", random_state=0)
    members = [("a", tuner), ("b", CategoryWiseFineTuner("bce", random_state=1))]
    folder = Path(sys.argv[1])
    save_model(tuner.fit(Z, y), folder / f"tuner{number}")
    save_model(CFTEnsemble(members).fit(Z, y), folder / f"ensemble{number}")
"""


def make_models(folder: Path) -> dict[str, list[Any]]:
    """Fit three models of two kinds, in a process that takes its threads with it."""
    from cftlearn import load_model

    subprocess.run([sys.executable, "-c", _FIT, str(folder)], check=True)
    return {
        kind: [load_model(folder / f"{kind}{number}") for number in range(3)]
        for kind in ("tuner", "ensemble")
    }


def run(n: int, seed: int, folder: Path) -> int:
    """Run everything, print it, and return the number of wrong outcomes."""
    models = make_models(folder)
    started = time.perf_counter()
    records = kill_saves(models, n, folder, seed)
    seconds = time.perf_counter() - started
    columns = ["killed", "finished", "earlier", "new", "none", *_WRONG]
    print(f"{'model':10}{'place':28}{'steps':>6}", *(f"{c:>9}" for c in columns[:5]))
    n_wrong = 0
    for record in records:
        counts = [record.get(name, 0) for name in columns[:5]]
        wrong = {name: record[name] for name in _WRONG if record.get(name)}
        n_wrong += sum(wrong.values())
        print(
            f"{record['model']:10}{record['place']:28}{record['steps']:6}",
            *(f"{count:9}" for count in counts),
            wrong or "",
        )
    total = {name: sum(record.get(name, 0) for record in records) for name in columns}
    print(f"all {total} in {seconds:.0f} s")
    others = {"too large files": limit_sizes(models["ensemble"], folder)}
    full = fill_disks(models["ensemble"], folder)
    if full is None:
        print("a full disk: left out, this process may not mount one")
    else:
        others["full disk"] = full
    others["two writers"] = write_together(models["tuner"], n, folder)
    for name, found in others.items():
        shown = {key: count for key, count in found.items() if count}
        print(f"{name:18}", shown)
        n_wrong += sum(n for key, n in found.items() if key.startswith(_WRONG))
    print("nothing was wrong" if not n_wrong else f"{n_wrong} WRONG OUTCOMES")
    return n_wrong


def main() -> None:
    parser = trial_parser(__doc__, 1000, "kills, and of loads beside writers")
    parser.add_argument("--folder", type=Path, help="where to save; temporary if none")
    arguments = parser.parse_args()
    for line in describe_machine(["cftlearn", "numpy", "safetensors"]):
        print(line)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        sys.exit(run(arguments.n, arguments.seed, Path(folder)) > 0)


if __name__ == "__main__":
    main()
