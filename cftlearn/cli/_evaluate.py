"""``cftlearn evaluate``: AUC and AP of every category, with intervals and cases."""

import csv
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cftlearn._files import open_atomically
from cftlearn.cli._features import find_rows
from cftlearn.cli._labels import Labelled, read_known_categories
from cftlearn.cli._predictor import Predictor, ReadingOptions
from cftlearn.cli._settings import Settings, SettingsError
from cftlearn.cli._tables import print_intervals
from cftlearn.ensemble import merge_views
from cftlearn.exceptions import UndefinedCategoryWarning
from cftlearn.labels import PartialLabels
from cftlearn.metrics import bootstrap_intervals

_METRICS = ("roc_auc", "average_precision")
_ESTIMATES = ("estimate", "low", "high")

Intervals = dict[str, list[dict[str, Any]]]


def run_evaluate(
    settings: Settings,
    *,
    model: Path | None,
    scores: Path | None,
    reading: ReadingOptions,
    merge: str | None,
    n_resamples: int,
    seed: int,
    as_json: bool,
    output: Path | None,
) -> Intervals:
    """Score a model, or scores, on labelled images, and print the table.

    Parameters
    ----------
    settings : Settings
        The labels, and the network where a model's folder cannot say it.
    model : Path or None
        A saved model.
    scores : Path or None
        A CSV that ``cftlearn predict`` wrote, in its place.
    reading : ReadingOptions
        How images are read and computed.
    merge : {"max", "mean"} or None
        Merge the scores of a group, whose labels must agree, before scoring.
    n_resamples : int
        Draws of the bootstrap.
    seed : int
        Their seed.
    as_json : bool
        Print JSON instead of a table.
    output : Path or None
        A CSV to write the table to.

    Returns
    -------
    intervals : dict of list of dict
        By metric, as :func:`cftlearn.metrics.bootstrap_intervals` gives them.
    """
    data = settings.data
    if data.labels is None:
        raise SettingsError("`labels` must be given: --labels FILE.")
    if merge is not None and data.group is None:
        raise SettingsError("`--merge-views` needs --group COLUMN, of the studies.")
    if scores is not None:
        table = ScoreTable.read(scores)
        labelled = read_known_categories(data.labels, data, table.categories)
        values, categories = table.of(labelled), table.categories
    elif model is not None:
        predictor = Predictor.read(model, settings.network.name, reading)
        categories = predictor.categories
        labelled = read_known_categories(data.labels, data, categories)
        values = predictor.of_labelled(labelled, data)
    else:
        raise SettingsError("A model or --scores FILE must be given.")
    values = values[:, [categories.index(name) for name in labelled.y.categories]]
    y_true, groups = labelled.y, labelled.groups
    if merge is not None:
        values, y_true = _merged(labelled, values, merge)
        groups = None
    intervals = _intervals(y_true, values, groups, n_resamples, seed)
    names = [str(name) for name in labelled.y.categories]
    if as_json:
        print(json.dumps(_records(names, intervals), indent=1, ensure_ascii=False))
    else:
        units = "rows" if groups is None else f"groups of {data.group}"
        print(
            f"{len(values)} rows; 95 % intervals from {n_resamples} resamples of "
            f"{units}"
        )
        print_intervals(names, intervals)
    if output is not None:
        _write(output, _records(names, intervals))
    return intervals


def _intervals(
    y_true: PartialLabels,
    values: NDArray[np.float64],
    groups: NDArray[Any] | None,
    n_resamples: int,
    seed: int,
) -> Intervals:
    intervals = {}
    with warnings.catch_warnings():
        for metric in _METRICS:
            intervals[metric] = bootstrap_intervals(
                y_true,
                values,
                metric=metric,
                groups=groups,
                n_resamples=n_resamples,
                random_state=seed,
            )
            # said once: it is the same for both
            warnings.simplefilter("ignore", UndefinedCategoryWarning)
    return intervals


def _merged(
    labelled: Labelled, scores: NDArray[np.float64], how: str
) -> tuple[NDArray[np.float64], PartialLabels]:
    """Merge scores of a group, and take its labels, which must agree."""
    groups: Any = labelled.groups
    merged, names = merge_views(scores, groups, how=how)
    first = {name: row for row, name in reversed(list(enumerate(groups)))}
    y = labelled.y.values
    of_first = y[[first[name] for name in groups]]
    differ = np.argwhere(~((y == of_first) | (np.isnan(y) & np.isnan(of_first))))
    if len(differ):
        row, column = differ[0]
        raise SettingsError(
            "Views that are merged must have the same labels; they differ in group "
            f"{str(groups[row])!r}, category {labelled.y.categories[column]!r}. Leave "
            "--merge-views out, or name another --group."
        )
    return merged, labelled.take([first[name] for name in names]).y


class ScoreTable:
    """Scores that ``cftlearn predict --format csv`` wrote.

    Parameters
    ----------
    paths : list of str
        The images.
    categories : list of str
        The columns.
    values : ndarray of shape (n_images, n_categories)
        The scores.
    """

    def __init__(
        self, paths: list[str], categories: list[str], values: NDArray[np.float64]
    ) -> None:
        self.categories = categories
        self.values = values
        self.paths = paths

    @classmethod
    def read(cls, path: Path) -> "ScoreTable":
        """Read a file.

        Raises
        ------
        SettingsError
            If it is no such table, or a cell is no finite number.
        """
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as f:
            lines = list(csv.reader(f))
        if not lines or lines[0][:1] != ["path"] or len(lines[0]) < 2:
            raise SettingsError(
                f"{path} must start with a line of 'path' and the categories, as "
                "`cftlearn predict --format csv` writes it."
            )
        categories, rows = lines[0][1:], lines[1:]
        values = np.empty((len(rows), len(categories)))
        for number, row in enumerate(rows):
            if len(row) != len(lines[0]):
                raise SettingsError(
                    f"{path} must have {len(lines[0])} columns in every row; got "
                    f"{len(row)} in row {number + 1}."
                )
            for column, cell in enumerate(row[1:]):
                place = f"column {categories[column]!r}, row {number + 1} of {path}"
                values[number, column] = _finite(cell, place)
        return cls([row[0] for row in rows], categories, values)

    def of(self, labelled: Labelled) -> NDArray[np.float64]:
        """Give the scores of labelled rows, found by their paths."""
        return self.values[find_rows(self.paths, list(labelled.table.paths), "scores")]


def _finite(cell: str, place: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise SettingsError(
            f"Scores must be finite numbers; got {cell!r} in {place}. Predict without "
            "--threshold if the column is no category's."
        )
    return value


def _records(names: list[str], intervals: Intervals) -> list[dict[str, Any]]:
    """List all scores; None for a mean's category, and for what is not defined."""
    return [
        {"metric": metric, **record, "category": name}
        | {k: None for k in _ESTIMATES if np.isnan(record[k])}
        for metric, records in intervals.items()
        for name, record in zip([*names, None], records, strict=True)
    ]


def _write(path: Path, records: list[dict[str, Any]]) -> None:
    with open_atomically(path) as file:
        writer = csv.DictWriter(file, list(records[0]), lineterminator="\n")
        writer.writeheader()
        for record in records:
            is_mean = record["category"] is None
            writer.writerow(record | ({"category": "mean"} if is_mean else {}))
