"""Types of command-line arguments: how each is read, and what it refuses."""

import argparse
import csv
from typing import Any

from cftlearn.cli._console import LONGEST, print_problem, shown

_GIVEN = "values by option"  # in a namespace, beside what the options set
MOST_WORKERS = 1024  # a process each: more would take the machine
_MOST_RESAMPLES = 1_000_000
SEEDS_BELOW = 2**32 - 1  # numpy takes one more, but `demo` also uses seed + 1


def fraction(text: str) -> float:
    """Read a fraction in (0, 1]."""
    value = _number(text)
    if not 0.0 < value <= 1.0:
        raise argparse.ArgumentTypeError(f"must be a fraction in (0, 1]; got {text}")
    return value


def count(text: str) -> int:
    """Read a whole number of 1 or more."""
    value = _number(text)
    if not (value >= 1 and value.is_integer()):
        raise argparse.ArgumentTypeError(
            f"must be a whole number, 1 or more; got {text}"
        )
    return int(value)


def count_or_zero(text: str) -> int:
    """Read a whole number of 0 or more."""
    value = _number(text)
    if not (value >= 0 and value.is_integer()):
        raise argparse.ArgumentTypeError(
            f"must be a whole number, 0 or more; got {text}"
        )
    return int(value)


def workers_or_zero(text: str) -> int:
    """Read a number of processes that read images."""
    value = count_or_zero(text)
    if value > MOST_WORKERS:
        raise argparse.ArgumentTypeError(
            f"must be at most {MOST_WORKERS} processes; got {text}"
        )
    return value


def resamples(text: str) -> int:
    """Read a number of bootstrap resamples."""
    value = count(text)
    if value > _MOST_RESAMPLES:
        raise argparse.ArgumentTypeError(
            f"must be at most {_MOST_RESAMPLES} resamples, of which 2000 are plenty; "
            f"got {text}"
        )
    return value


def seed(text: str) -> int:
    """Read a seed of random numbers."""
    value = _number(text)
    if not (0 <= value < SEEDS_BELOW and value.is_integer()):
        raise argparse.ArgumentTypeError(
            f"must be a whole number in [0, 2**32 - 1); got {text}"
        )
    return int(value)


def n_jobs(text: str) -> int:
    """Read a number of workers; -1 is one per CPU core."""
    value = _number(text)
    if value == 0 or not value.is_integer() or abs(value) > MOST_WORKERS:
        raise argparse.ArgumentTypeError(
            f"must be a whole number of workers up to {MOST_WORKERS}, or -1 for all "
            f"cores; got {text}"
        )
    return int(value)


def positive_number(text: str) -> float:
    """Read a finite number above 0."""
    value = _number(text)
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number above 0; got {text}")
    return value


def threshold(text: str) -> float | str:
    """Read a probability, or the word ``model`` for the model's own thresholds."""
    value = _number(text)
    if text != "model" and not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(
            "must be a probability in [0, 1], or 'model' for the model's own; got "
            f"{text}"
        )
    return text if text == "model" else value


def retraining(text: str) -> bool | str:
    """Read ``average``, ``true`` or ``false``."""
    values: dict[str, bool | str] = {"average": "average", "true": True, "false": False}
    if text not in values:
        raise argparse.ArgumentTypeError(f"must be average, true or false; got {text}")
    return values[text]


def layers(text: str) -> list[str] | str:
    """Read ``auto``, or names of layers with commas between them."""
    return text if text == "auto" else text.split(",")


def names(text: str) -> list[str]:
    """Read names with commas between them; quotes hold a name with a comma."""
    try:
        read = next(csv.reader([text], skipinitialspace=True, strict=True), [])
    except csv.Error:
        read = []
    found = [name.strip() for name in read]
    if not found or not all(found) or len(set(found)) < len(found):
        raise argparse.ArgumentTypeError(
            "must be names with commas between them, each once, and quotes around one "
            f"that has a comma; got {text}"
        )
    return found


class StoreLast(argparse.Action):
    """Store the value of an option; say so where it replaces another one.

    The last value counts, so that scripts can override their own defaults. But who
    writes ``--labels a.csv --labels b.csv`` may expect both.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Store a value."""
        given = vars(namespace).setdefault(_GIVEN, {})
        if option_string:
            earlier = given.setdefault(self.dest, values)
            if earlier != values:
                print_problem(
                    f"{parser.prog}: warning: {option_string} is given twice; "
                    f"{_said(values)} is used, {_said(earlier)} is not."
                )
            given[self.dest] = values
        setattr(namespace, self.dest, values)


def column_and_value(text: str) -> tuple[str, str]:
    """Read ``column=value``."""
    column, equals, value = text.partition("=")
    if not (column and equals):
        raise argparse.ArgumentTypeError(f"must be COLUMN=VALUE; got {text}")
    return column, value


def _said(value: Any) -> str:
    """Return a value as it was written, cut where it is long."""
    text = str(value)
    return text if len(text) <= LONGEST else shown(text)


def _number(text: str) -> float:
    """Read a number. Any other text becomes NaN, which is in no range."""
    try:
        return float(text)
    except ValueError:
        return float("nan")
