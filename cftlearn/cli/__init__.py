"""The command line: ``cftlearn fit``, ``predict``, ``evaluate`` and their kin."""

import argparse
import io
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any, TextIO

import cftlearn
from cftlearn.cli import _commands
from cftlearn.cli._options import HelpFormatter
from cftlearn.exceptions import NonFiniteLossError

__all__ = ["main"]

_EPILOG = """\
from labels to a prediction:
  cftlearn fit --labels labels.csv --images photos --network torchvision:resnet50 \\
      --weights DEFAULT --where split=train --output model
  cftlearn evaluate model --labels labels.csv --images photos --where split=test
  cftlearn predict model photo.jpg

`cftlearn COMMAND --help` tells about one command, with examples.

exit codes:
  0    done
  1    failed; stderr says why, and what to do
  2    the arguments cannot be read
  3    done, but images that cannot be read were left out (--skip-unreadable)
  130  interrupted (Ctrl-C)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, default=None
        Arguments; those of the process by default.

    Returns
    -------
    status : int
        0 on success, 1 on an error, which is printed to stderr, 3 if
        ``--skip-unreadable`` skipped images, 130 after Ctrl-C. Arguments that cannot
        be read exit with 2.
    """
    arguments = _make_parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = arguments.run
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # names of files, as they are
    with warnings.catch_warnings():
        warnings.showwarning = _warning_printer(arguments.command)
        try:
            status = run(arguments)
            sys.stdout.flush()  # here, where a closed pipe is understood
            return status
        except BrokenPipeError:  # what reads the output has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except KeyboardInterrupt:
            print(f"cftlearn {arguments.command}: interrupted", file=sys.stderr)
            return 130
        except _EXPECTED as error:
            print(f"cftlearn {arguments.command}: {error}", file=sys.stderr)
            return 1


# Whatever else is raised is a defect of ours, whose traceback is wanted.
_EXPECTED = (
    ImportError,
    MemoryError,
    NonFiniteLossError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


def _warning_printer(command: str) -> Callable[..., None]:
    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        print(f"cftlearn {command}: warning: {message}", file=sys.stderr)

    return show


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cftlearn",
        description=(
            "Multi-label learning from partially known labels: train a network with "
            "unknown labels assumed negative, refit every category on its known "
            "labels, predict, and evaluate with intervals."
        ),
        epilog=_EPILOG,
        formatter_class=HelpFormatter,
    )
    version = f"%(prog)s {cftlearn.__version__}"
    parser.add_argument("--version", action="version", version=version)
    commands: Any = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND"
    )
    for add in _commands.ALL:
        add(commands)
    return parser
