"""Scores that ``cftlearn predict --format csv`` wrote."""

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cftlearn._files import check_regular
from cftlearn.cli._features import find_rows
from cftlearn.cli._labels import Labelled
from cftlearn.cli._settings import SettingsError


@dataclass(frozen=True)
class ScoreTable:
    """Scores of images, read from a CSV.

    Attributes
    ----------
    paths : list of str
        The images.
    categories : list of str
        The columns.
    values : ndarray of shape (n_images, n_categories)
        The scores.
    """

    paths: list[str]
    categories: list[str]
    values: NDArray[np.float64]

    @classmethod
    def read(cls, path: Path) -> "ScoreTable":
        """Read a file.

        Raises
        ------
        SettingsError
            If it is not such a table, names a category or a path twice, or a cell is
            not a finite number.
        """
        lines = _read_lines(path)
        if not lines or lines[0][:1] != ["path"] or len(lines[0]) < 2:
            raise SettingsError(
                f"{path} must start with a line of 'path' and the categories, as "
                "`cftlearn predict --format csv` writes it."
            )
        categories, rows = lines[0][1:], lines[1:]
        _refuse_repeated(categories, "category", path)
        _refuse_repeated([row[0] for row in rows if row], "path", path)
        values = np.empty((len(rows), len(categories)))
        for number, row in enumerate(rows):
            if len(row) != len(lines[0]):
                raise SettingsError(
                    f"{path} must have {len(lines[0])} columns in every row; got "
                    f"{len(row)} in row {number + 1}."
                )
            for column, cell in enumerate(row[1:]):
                location = f"column {categories[column]!r}, row {number + 1} of {path}"
                values[number, column] = _finite(cell, location)
        return cls([row[0] for row in rows], categories, values)

    def scores_of(self, labelled: Labelled) -> NDArray[np.float64]:
        """Return the scores of labelled rows, found by their paths."""
        return self.values[find_rows(self.paths, list(labelled.table.paths), "scores")]


def _read_lines(path: Path) -> list[list[str]]:
    subject = f"A file of scores must be a file; {str(path)!r}"
    check_regular(path, subject, SettingsError)
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            return list(reader)
        except csv.Error as error:
            raise SettingsError(
                f"{path} must be a CSV file; it is none in line {reader.line_num}. Is "
                "a quote left open, or the file cut short?"
            ) from error


def _refuse_repeated(names: list[str], what: str, path: Path) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise SettingsError(
            f"{path} must have every {what} once; {repeated[0]!r} is there "
            f"{names.count(repeated[0])} times. Delete what is doubled."
        )


def _finite(cell: str, location: str) -> float:
    """Return the number in a cell, which must be finite; NaN if it is empty.

    A model that was fitted without a label of a category leaves its cells empty.
    """
    if not cell:
        return np.nan
    try:
        value = float(cell)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise SettingsError(
            f"Scores must be finite numbers; got {cell!r} in {location}. If the column "
            "is not a category, predict again without --threshold."
        )
    return value
