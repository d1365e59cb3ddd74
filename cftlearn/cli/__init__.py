"""The command line: ``cftlearn demo``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cftlearn

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, default=None
        Arguments; those of the process by default.

    Returns
    -------
    status : int
        0 on success, 1 on an error, which is printed to stderr.
    """
    arguments = _make_parser().parse_args(argv)
    from cftlearn.cli._demo import run_demo

    try:
        run_demo(
            known=arguments.known,
            seed=arguments.seed,
            max_epochs=arguments.max_epochs,
            output=arguments.output,
            n_jobs=arguments.n_jobs,
        )
    except (ImportError, OSError, ValueError) as error:
        print(f"cftlearn demo: {error}", file=sys.stderr)
        return 1
    return 0


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cftlearn",
        description="Category-wise fine-tuning for partially labelled data.",
    )
    version = f"%(prog)s {cftlearn.__version__}"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser(
        "demo",
        help="refit a network on images of which most labels are hidden",
        description=(
            "Paste scikit-learn's scanned digits into panels, hide most labels of "
            "'which digits appear?', train a small network with the hidden ones "
            "assumed negative, refit every category by CFT, and compare on fully "
            "labelled test panels."
        ),
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    demo.add_argument(
        "--known", type=_share, default=0.1, help="share of labels that stay known"
    )
    demo.add_argument("--seed", type=_seed, default=0, help="seed of everything")
    demo.add_argument(
        "--max-epochs", type=_count, default=20, help="epochs to train the network"
    )
    demo.add_argument(
        "--output",
        type=Path,
        default=Path("demo-output"),
        help="folder for the figure and the model",
    )
    demo.add_argument(
        "--n-jobs",
        type=_workers,
        default=1,
        help="workers over categories, -1 for all",
    )
    return parser


def _share(text: str) -> float:
    value = _number(text)
    if not 0.0 < value <= 1.0:
        raise argparse.ArgumentTypeError(f"must be a share in (0, 1]; got {text}")
    return value


def _count(text: str) -> int:
    value = _number(text)
    if not (value >= 1 and value.is_integer()):
        raise argparse.ArgumentTypeError(f"must be 1 or more; got {text}")
    return int(value)


def _seed(text: str) -> int:
    value = _number(text)
    if not (0 <= value < 2**32 - 1 and value.is_integer()):
        raise argparse.ArgumentTypeError(f"must be in [0, 2**32 - 1); got {text}")
    return int(value)


def _workers(text: str) -> int:
    value = _number(text)
    if value == 0 or not value.is_integer():
        raise argparse.ArgumentTypeError(
            f"must be a whole number of workers, or -1 for all; got {text}"
        )
    return int(value)


def _number(text: str) -> float:
    """Read a number; what is none becomes NaN, which no range holds."""
    try:
        return float(text)
    except ValueError:
        return float("nan")
