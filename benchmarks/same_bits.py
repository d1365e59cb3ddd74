"""Prove that a change of the code changed no result: digests of exact bytes.

    python benchmarks/same_bits.py --output before.txt      # at the commit before
    python benchmarks/same_bits.py --compare before.txt     # at the commit after

Fits, predicts, loads, saves and prints with all that cftlearn offers, on small problems
and one thread of the CPU, by public names only. Prints a line per result, sorted by its
name: the name, and the first digits of the SHA-256 of its bytes. The name begins with
that of a case. ``words`` are sentences, such as the reasons of a report, and the order
of keys; ``numbers`` are all else, so that a change of wording shows as such. Times,
paths and the version of cftlearn do not count.

With ``--compare`` it ends with 1 if a result differs, is new or is gone, and names it.
Digits depend on processor, libraries and Python, so both runs must be made on one
machine in one environment; the first line names the versions.
"""

import argparse
import contextlib
import importlib
import io
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path

_MODULES = (
    "_bits_classifier",
    "_bits_networks",
    "_bits_tuner",
    "_bits_scores",
    "_bits_files",
    "_bits_command_line",
)
_PACKAGES = ("cftlearn", "numpy", "scipy", "scikit-learn", "torch", "deap", "pandas")
_ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


def prepare() -> None:
    """Use one thread and no GPU, and import the cases.

    Must be called before numpy is imported, which reads the number of threads once.
    """
    os.environ |= dict.fromkeys(_ONE_THREAD, "1")
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    os.environ["COLUMNS"] = "100"
    for name in _MODULES:
        importlib.import_module(name)
    import torch

    torch.set_num_threads(1)


def selected(only: list[str]) -> list[str]:
    """Name the cases that have one of some words in their name; all where none is."""
    from _bits import CASES

    return [name for name in CASES if not only or any(word in name for word in only)]


def compute(names: list[str], *, verbose: bool = False) -> dict[str, str]:
    """Run cases.

    Parameters
    ----------
    names : list of str
        Which.
    verbose : bool, default=False
        Print to stderr how long each took.

    Returns
    -------
    digests : dict of str to str
        By result. A case that fails has one result, ``raised``.
    """
    from _bits import digest, run_case

    digests: dict[str, str] = {}
    for name in names:
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            out = io.StringIO()
            try:
                with contextlib.redirect_stdout(out):
                    results = run_case(name, Path(folder))
                digests |= {item: digest(value) for item, value in results.items()}
            except Exception as error:
                traceback.print_exc()
                digests[f"{name}/raised"] = digest(type(error).__name__)
        if verbose:
            print(f"{time.perf_counter() - started:6.1f} s  {name}", file=sys.stderr)
    return digests


def read_lines(path: Path) -> tuple[str, dict[str, str]]:
    """Read what an earlier run wrote: its first line, and its digests."""
    first, *lines = path.read_text(encoding="utf-8").splitlines()
    return first, dict(line.rsplit(" ", 1) for line in lines)


def differences(
    before: dict[str, str], after: dict[str, str], only: list[str]
) -> list[str]:
    """List what differs between two runs.

    Parameters
    ----------
    before, after : dict of str to str
        Digests by result.
    only : list of str
        Words that chose the cases of the second run.

    Returns
    -------
    lines : list of str
        One per result, sorted by its name.
    """
    before = {
        item: digest
        for item, digest in before.items()
        if not only or any(word in item.split("/")[0] for word in only)
    }
    lines = []
    for item in sorted(before.keys() | after.keys()):
        if item not in after:
            lines.append(f"gone     {item}")
        elif item not in before:
            lines.append(f"new      {item}")
        elif before[item] != after[item]:
            lines.append(f"differs  {item}")
    return lines


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, metavar="FILE", help="write here")
    parser.add_argument(
        "--compare", type=Path, metavar="FILE", help="what an earlier run wrote"
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="WORD",
        help="cases with this in their name; may be repeated",
    )
    parser.add_argument("--list", action="store_true", help="name the cases and stop")
    parser.add_argument(
        "--verbose", action="store_true", help="say how long each takes"
    )
    options = parser.parse_args(argv)
    prepare()
    names = selected(options.only)
    if options.list:
        print(*names, sep="\n")
        return 0
    from _machine import describe_machine

    import cftlearn

    print(f"cftlearn of {Path(cftlearn.__file__).parent}", file=sys.stderr)
    digests = compute(names, verbose=options.verbose)
    first = describe_machine(list(_PACKAGES))[1]
    lines = [first, *(f"{item} {digests[item]}" for item in sorted(digests))]
    if options.output is not None:
        options.output.write_text("\n".join(lines) + "\n", encoding="utf-8")
    n_failed = sum(item.endswith("/raised") for item in digests)
    if options.compare is None:
        if options.output is None:
            print(*lines, sep="\n")
        return int(n_failed > 0)
    first_before, before = read_lines(options.compare)
    if first_before != first:
        print(f"before: {first_before}\nafter:  {first}")
    changes = differences(before, digests, options.only)
    print(*changes, sep="\n", end="\n" if changes else "")
    print(f"{len(digests)} results, {len(changes)} of them not as before")
    return int(n_failed > 0 or bool(changes))


if __name__ == "__main__":
    sys.exit(main())
