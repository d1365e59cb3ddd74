"""Types of command-line arguments, and what each refuses."""

import argparse


def share(text: str) -> float:
    """Read a share in (0, 1]."""
    value = _number(text)
    if not 0.0 < value <= 1.0:
        raise argparse.ArgumentTypeError(f"must be a share in (0, 1]; got {text}")
    return value


def count(text: str) -> int:
    """Read a number of 1 or more."""
    value = _number(text)
    if not (value >= 1 and value.is_integer()):
        raise argparse.ArgumentTypeError(f"must be 1 or more; got {text}")
    return int(value)


def seed(text: str) -> int:
    """Read a seed that numpy takes."""
    value = _number(text)
    if not (0 <= value < 2**32 - 1 and value.is_integer()):
        raise argparse.ArgumentTypeError(f"must be in [0, 2**32 - 1); got {text}")
    return int(value)


def workers(text: str) -> int:
    """Read a number of workers, -1 for all."""
    value = _number(text)
    if value == 0 or not value.is_integer():
        raise argparse.ArgumentTypeError(
            f"must be a whole number of workers, or -1 for all; got {text}"
        )
    return int(value)


def readers(text: str) -> int:
    """Read a number of processes, 0 for none."""
    value = _number(text)
    if not (value >= 0 and value.is_integer()):
        raise argparse.ArgumentTypeError(f"must be 0 or more; got {text}")
    return int(value)


def rate(text: str) -> float:
    """Read a learning rate."""
    value = _number(text)
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number above 0; got {text}")
    return value


def threshold(text: str) -> float | str:
    """Read a probability, or the word that stands for the model's own."""
    value = _number(text)
    if text != "model" and not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(
            f"must be a probability in [0, 1], or 'model' for its own; got {text}"
        )
    return text if text == "model" else value


def pair(text: str) -> tuple[str, str]:
    """Read ``column=value``."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"must be COLUMN=VALUE; got {text}")
    return name, value


def _number(text: str) -> float:
    """Read a number; what is none becomes NaN, which no range holds."""
    try:
        return float(text)
    except ValueError:
        return float("nan")
