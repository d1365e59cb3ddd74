"""Label files of every format as the commands need them: paths, ``y``, groups."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cftlearn.cli._settings import DataSettings, SettingsError
from cftlearn.datasets import (
    LabelTable,
    load_chexpert,
    load_coco,
    load_label_csv,
    load_lvis,
    load_open_images,
    load_vaw,
)
from cftlearn.labels import PartialLabels, check_partial_labels

FORMATS: dict[str, Callable[..., LabelTable]] = {
    "csv": load_label_csv,
    "chexpert": load_chexpert,
    "coco": load_coco,
    "lvis": load_lvis,
    "open_images": load_open_images,
    "vaw": load_vaw,
}


@dataclass(frozen=True)
class Labelled:
    """Rows of a label file that a command works on.

    Attributes
    ----------
    table : LabelTable
        The rows and categories asked for.
    y : PartialLabels
        Its labels by the policies, with the names of the categories.
    groups : ndarray of shape (n_samples,) or None
        What rows belong together.
    """

    table: LabelTable
    y: PartialLabels
    groups: NDArray[Any] | None

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.table)

    def take(self, rows: ArrayLike) -> "Labelled":
        """Keep some rows."""
        rows = np.asarray(rows)
        y = PartialLabels(self.y.values[rows], self.y.known[rows], self.y.categories)
        groups = None if self.groups is None else self.groups[rows]
        return Labelled(self.table.take(rows), y, groups)

    def image_paths(self, folder: Path | None) -> list[str]:
        """Give the paths of the images, which must exist.

        Raises
        ------
        FileNotFoundError
            If some are missing; says how many, and which is the first.
        """
        root = Path() if folder is None else folder
        paths = [root / path for path in self.table.paths]
        missing = [path for path in paths if not path.is_file()]
        if missing:
            raise FileNotFoundError(
                f"{len(missing)} of {len(paths)} images do not exist, the first is "
                f"{missing[0]}. Name the folder that their paths start from with "
                "--images."
            )
        return [str(path) for path in paths]


def read_labels(
    path: Path,
    data: DataSettings,
    where: Mapping[str, str] | None,
    categories: list[str] | None = None,
) -> Labelled:
    """Read a label file by the settings.

    Parameters
    ----------
    path : Path
        The file, or the folder that a format needs.
    data : DataSettings
        Format, policies and columns.
    where : mapping of str to str, or None
        Keep the rows whose columns have these values.
    categories : list of str, default=None
        Which ones, in this order; None takes those of the settings, or all.

    Returns
    -------
    labelled : Labelled
        Rows, labels and groups.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read, or lacks what the settings name.
    """
    name = data.format or "csv"
    if name not in FORMATS:
        raise SettingsError(
            f"`format` must be one of {', '.join(FORMATS)}; got {name!r}."
        )
    options = {}
    if data.path_column is not None:
        if name != "csv":
            raise SettingsError(
                f"`path_column` must be left out for the format {name!r}, which has "
                "its own."
            )
        options["path_column"] = data.path_column
    table = FORMATS[name](path, **options)
    for column, value in (where or {}).items():
        table = table.take(_column(table, column, path).astype(str) == str(value))
        if not len(table):
            raise SettingsError(f"{path} has no row where {column} is {value!r}.")
    wanted = categories or data.categories
    if wanted is not None:
        table = table.select(wanted)
    groups = None if data.group is None else _column(table, data.group, path)
    y = table.labels(
        uncertain=data.uncertain or "unknown", blank=data.blank or "unknown"
    )
    return Labelled(table, check_partial_labels(y, categories=table.categories), groups)


def _column(table: LabelTable, name: str, path: Path) -> NDArray[Any]:
    if name not in table.info:
        has = ", ".join(map(repr, table.info)) or "no column beside path and labels"
        raise SettingsError(
            f"{path} has no column {name!r} beside its labels; it has {has}."
        )
    return np.asarray(table.info[name])
