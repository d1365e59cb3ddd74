"""Errors and warnings that cftlearn raises, each catchable by its name."""

import re
from collections.abc import Sequence

__all__ = [
    "ImageFileError",
    "ModelFormatError",
    "NonFiniteLossError",
    "PartialWeightsWarning",
    "SeenLabelsWarning",
    "SkippedRowsWarning",
    "UndefinedCategoryWarning",
    "WorkerLostWarning",
]


class UndefinedCategoryWarning(UserWarning):
    """Some categories lack the known labels that a score or a refit needs."""


class SeenLabelsWarning(UserWarning):
    """Labels used to choose a refit may have trained the network before."""


class WorkerLostWarning(UserWarning):
    """A process ended before the category that it refitted; another one does it."""


class SkippedRowsWarning(UserWarning):
    """Some rows were left out: asked for, or files of a folder that are no images."""


class PartialWeightsWarning(UserWarning):
    """A file of weights has some that a network has not, or lacks its last layer."""


class NonFiniteLossError(ArithmeticError):
    """Training met a loss that is NaN or infinite and stopped."""


class ModelFormatError(ValueError):
    """A saved model cannot be read: missing parts, damage, or a newer format."""


class ImageFileError(ValueError):
    """An image file is missing, damaged, or nothing that can be read as one image."""


def list_some(items: Sequence[str], most: int = 5, *, separator: str = ", ") -> str:
    """Write the first items of a list, and how many more there are.

    Parameters
    ----------
    items : sequence of str
        What to list.
    most : int, default=5
        How many items to write at most.
    separator : str, default=", "
        What stands between two items.

    Returns
    -------
    text : str
        Such as ``"a, b, c"``, or ``"a, b and 3 more"``.
    """
    n_more = len(items) - most
    listed = separator.join(items[:most])
    if n_more <= 0:
        return listed
    return f"{listed}{'' if separator == ', ' else separator[:-1]} and {n_more} more"


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its type if it has no text.

    Codes for bold and coloured text, which torch writes, are left out.
    """
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip()
    return text.splitlines()[0].rstrip() if text else type(error).__name__
