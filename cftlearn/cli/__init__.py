"""The command line: ``cftlearn fit``, ``predict``, ``evaluate`` and their kin."""

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any, TextIO

import cftlearn
from cftlearn.cli import _commands

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
        0 on success, 1 on an error, which is printed to stderr, 2 on arguments that
        cannot be read, 3 if ``predict --skip-unreadable`` skipped images.
    """
    arguments = _make_parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = arguments.run
    with warnings.catch_warnings():
        warnings.showwarning = _warning_printer(arguments.command)
        try:
            return run(arguments)
        except BrokenPipeError:  # what reads the output has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except KeyboardInterrupt:
            print(f"cftlearn {arguments.command}: interrupted", file=sys.stderr)
            return 130
        except (ImportError, OSError, RuntimeError, TypeError, ValueError) as error:
            print(f"cftlearn {arguments.command}: {error}", file=sys.stderr)
            return 1


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
        epilog="`cftlearn COMMAND --help` tells about one command, with examples.",
    )
    version = f"%(prog)s {cftlearn.__version__}"
    parser.add_argument("--version", action="version", version=version)
    commands: Any = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND"
    )
    for add in _commands.ALL:
        add(commands)
    return parser
