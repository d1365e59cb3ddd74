"""Columns that were taken for categories because of what they hold, not by name."""

import re
import warnings
from pathlib import Path

import numpy as np

from cftlearn.datasets import LabelTable
from cftlearn.exceptions import list_some
from cftlearn.labels import LabelState

_MOST_NAMED = 30
# Words of columns that describe the patient, the image or the split.
_DESCRIPTIONS = {
    "age",
    "female",
    "fold",
    "gender",
    "id",
    "index",
    "male",
    "sex",
    "split",
    "test",
    "train",
    "training",
    "val",
    "valid",
    "validation",
}


class GuessedCategoriesWarning(UserWarning):
    """A column of 0 and 1 was taken for a category, and may be something else."""


def warn_of_guesses(table: LabelTable, path: Path) -> None:
    """Warn of categories that may be other columns, such as the sex of a patient.

    Parameters
    ----------
    table : LabelTable
        Read from a file with a column per category, which nobody named.
    path : Path
        The file.

    Warns
    -----
    GuessedCategoriesWarning
        If a column is named as descriptions are; or if all its cells are 0 or 1, while
        other columns have blanks or uncertain labels, as labels do.
    """
    names = [str(name) for name in table.categories]
    states = table.states if isinstance(table.states, np.ndarray) else None
    if states is None:
        return
    known = (states == LabelState.POSITIVE) | (states == LabelState.NEGATIVE)
    is_complete = known.all(axis=0)
    doubtful = [
        name
        for name, complete in zip(names, is_complete, strict=True)
        if _is_description(name) or (complete and not is_complete.all())
    ]
    if not doubtful:
        return
    others = [name for name in names if name not in doubtful]
    remedy = "name the categories by --categories"
    if others:
        quoted = ",".join(f'"{name}"' if "," in name else name for name in others)
        remedy = f"leave out what is none: --categories '{quoted}'"
    if len(others) > _MOST_NAMED:
        remedy = "name the categories in a configuration: data.categories"
    warnings.warn(
        f"{path} names no categories, so every column of 0 and 1 became one. "
        f"{list_some([repr(name) for name in doubtful])} may be something else: such "
        "names describe a patient or a row, or every cell is filled although others "
        f"have blanks. If so, {remedy}. Naming all of them ends this warning.",
        GuessedCategoriesWarning,
        stacklevel=2,
    )


def _is_description(name: str) -> bool:
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)
    return any(word.lower() in _DESCRIPTIONS for word in words)
