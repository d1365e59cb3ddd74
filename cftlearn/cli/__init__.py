"""The command line: ``cftlearn fit``, ``predict``, ``evaluate`` and others."""

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import TextIO

from cftlearn.cli._commands import make_parser
from cftlearn.cli._console import (
    end_output,
    in_words,
    prepare_streams,
    print_problem,
)
from cftlearn.exceptions import NonFiniteLossError

__all__ = ["main"]

# Errors that users can cause. Any other error is a defect of cftlearn: its traceback
# is needed.
_EXPECTED = (
    ImportError,
    MemoryError,
    NonFiniteLossError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, default=None
        The arguments. None takes those of the process.

    Returns
    -------
    status : int
        0 on success. 1 on an error, which is printed to stderr. 3 if
        ``--skip-unreadable`` left images out. 130 after Ctrl-C. Wrong arguments exit
        with 2.
    """
    argv = sys.argv[1:] if argv is None else argv
    prepare_streams()
    try:
        arguments = make_parser(argv).parse_args(argv)
    except SystemExit:  # of --help, --version and wrong arguments
        if not _flushed("cftlearn"):
            raise SystemExit(1) from None
        raise
    with warnings.catch_warnings():
        warnings.showwarning = _warning_printer(arguments.command)
        return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    """Run a command, and turn what stops it into a line on stderr and an exit code."""
    run: Callable[[argparse.Namespace], int] = arguments.run
    name = f"cftlearn {arguments.command}"
    try:
        status = run(arguments)
    except BrokenPipeError:
        end_output()
        return 0
    except KeyboardInterrupt:
        print_problem(f"{name}: interrupted")
        return 130
    except _EXPECTED as error:
        print_problem(f"{name}: {in_words(error)}")
        try:
            sys.stdout.flush()
        except OSError:  # the error was that of stdout, on a full disk say
            end_output()
        return 1
    return status if _flushed(name) else 1


def _flushed(name: str) -> bool:
    """Write out what was printed; say why that fails, but where nobody reads it."""
    try:
        sys.stdout.flush()  # so that it fails here, not at exit
    except BrokenPipeError:
        # The reader, such as `head`, has closed the pipe: this is no failure.
        end_output()
    except OSError as error:
        end_output()
        print_problem(f"{name}: {in_words(error)}")
        return False
    return True


def _warning_printer(command: str) -> Callable[..., None]:
    """Return a function that prints a warning as one line."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        print_problem(f"cftlearn {command}: warning: {message}")

    return show
