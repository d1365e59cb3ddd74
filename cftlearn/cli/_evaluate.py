"""``cftlearn evaluate``: AUC and AP of every category, with intervals and cases."""

import csv
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cftlearn.cli._features import ExtractedFeatures
from cftlearn.cli._labels import Labelled, read_labels
from cftlearn.cli._predictor import Predictor
from cftlearn.cli._settings import Settings, SettingsError
from cftlearn.cli._tables import print_intervals
from cftlearn.ensemble import merge_views
from cftlearn.exceptions import UndefinedCategoryWarning
from cftlearn.labels import PartialLabels
from cftlearn.metrics import bootstrap_intervals

_METRICS = ("roc_auc", "average_precision")

Intervals = dict[str, list[dict[str, Any]]]


def run_evaluate(
    settings: Settings,
    *,
    model: Path | None,
    scores: Path | None,
    merge: str | None,
    n_resamples: int,
    seed: int,
    batch_size: int | None,
    output: Path | None,
) -> Intervals:
    """Score a model, or scores, on labelled images, and print the table.

    Parameters
    ----------
    settings : Settings
        The labels, and the device.
    model : Path or None
        A saved model.
    scores : Path or None
        A CSV that ``cftlearn predict`` wrote, in its place.
    merge : {"max", "mean"} or None
        Merge the scores of a group, whose labels must agree, before scoring.
    n_resamples : int
        Draws of the bootstrap.
    seed : int
        Their seed.
    batch_size : int or None
        Images at a time.
    output : Path or None
        A CSV to write the table to.

    Returns
    -------
    intervals : dict of list of dict
        By metric, as :func:`cftlearn.metrics.bootstrap_intervals` gives them.
    """
    if (model is None) == (scores is None):
        raise SettingsError("Give either a model or --scores FILE.")
    data = settings.data
    if data.labels is None:
        raise SettingsError("`--labels` must be given.")
    if merge is not None and data.group is None:
        raise SettingsError("`--merge-views` needs --group COLUMN, of the studies.")
    if scores is not None:
        table = _ScoreTable.read(scores)
        labelled = read_labels(data.labels, data, data.where, table.categories)
        values = table.of(labelled)
    elif model is not None:
        predictor = Predictor.read(
            model, settings.network, batch_size=batch_size, device=settings.device
        )
        labelled = read_labels(data.labels, data, data.where, predictor.categories)
        values = predictor.of_labelled(labelled, data)
    y_true, groups = labelled.y, labelled.groups
    if merge is not None:
        values, y_true = _merged(labelled, values, merge)
        groups = None
    options = {"groups": groups, "n_resamples": n_resamples, "random_state": seed}
    intervals = {}
    with warnings.catch_warnings():
        for metric in _METRICS:
            intervals[metric] = bootstrap_intervals(
                y_true, values, metric=metric, **options
            )
            # said once: it is the same for both
            warnings.simplefilter("ignore", UndefinedCategoryWarning)
    names = [str(name) for name in labelled.y.categories]
    units = "rows" if groups is None else f"groups of {data.group}"
    print(f"{len(values)} rows; 95 % intervals from {n_resamples} resamples of {units}")
    print_intervals(names, intervals)
    if output is not None:
        _write(output, names, intervals)
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


class _ScoreTable:
    """Scores that ``cftlearn predict --format csv`` wrote."""

    def __init__(
        self, paths: list[str], categories: list[str], values: NDArray[np.float64]
    ) -> None:
        self.categories = categories
        self.values = values
        self.paths = paths

    @classmethod
    def read(cls, path: Path) -> "_ScoreTable":
        with path.open(encoding="utf-8", newline="") as file:
            lines = list(csv.reader(file))
        if not lines or lines[0][:1] != ["path"] or len(lines[0]) < 2:
            raise SettingsError(
                f"{path} must start with a line of 'path' and the categories, as "
                "`cftlearn predict --format csv` writes it."
            )
        for number, line in enumerate(lines[1:], 2):
            if len(line) != len(lines[0]):
                raise SettingsError(
                    f"{path} must have {len(lines[0])} columns in every line; got "
                    f"{len(line)} in line {number}."
                )
        try:
            values = np.array([line[1:] for line in lines[1:]], dtype=np.float64)
        except ValueError as error:
            raise SettingsError(f"{path} must hold numbers; {error}.") from error
        shape = len(lines) - 1, len(lines[0]) - 1
        return cls([line[0] for line in lines[1:]], lines[0][1:], values.reshape(shape))

    def of(self, labelled: Labelled) -> NDArray[np.float64]:
        """Give the scores of labelled rows, found by their paths."""
        stored = ExtractedFeatures(self.values, self.paths, None, None)
        return self.values[stored.rows_of(list(labelled.table.paths))]


def _write(path: Path, names: list[str], intervals: Intervals) -> None:
    lines = [
        {"metric": metric} | record | {"category": record["category"] or "mean"}
        for metric, records in intervals.items()
        for record in records
    ]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
