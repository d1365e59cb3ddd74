"""What ``cftlearn evaluate`` does: scores of labelled rows, and a table of them."""

import argparse
import csv
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cftlearn._files import check_writable_file, open_atomically
from cftlearn.cli._configuration import read_settings
from cftlearn.cli._console import json_text
from cftlearn.cli._labels import Labelled, read_known_categories
from cftlearn.cli._options import (
    options_of_images,
    reading_options,
    settings_given,
)
from cftlearn.cli._predictor import Predictor
from cftlearn.cli._score_table import ScoreTable
from cftlearn.cli._settings import DataSettings, SettingsError
from cftlearn.cli._tables import METRICS, print_intervals
from cftlearn.cli._unused import refuse_given
from cftlearn.ensemble import merge_views
from cftlearn.exceptions import UndefinedCategoryWarning
from cftlearn.labels import PartialLabels
from cftlearn.metrics import bootstrap_intervals

_ESTIMATES = ("estimate", "low", "high")

Records = list[dict[str, Any]]
Intervals = dict[str, Records]


@dataclass(frozen=True)
class Scored:
    """Scores of labelled rows, or of groups of rows that were merged.

    Attributes
    ----------
    y_true : PartialLabels
        The labels.
    values : ndarray of shape (n_rows, n_categories)
        The scores of the categories of ``y_true``.
    groups : ndarray of shape (n_rows,) or None
        Which rows belong together.
    """

    y_true: PartialLabels
    values: NDArray[np.float64]
    groups: NDArray[Any] | None


def evaluate(arguments: argparse.Namespace) -> int:
    """Score a model, or scores, on labelled images; print the table.

    Parameters
    ----------
    arguments : argparse.Namespace
        Those of the command.

    Returns
    -------
    status : int
        0, the exit code.

    Raises
    ------
    OSError, ValueError
        If something cannot be read, or does not fit together.
    """
    data = read_settings(None, settings_given(arguments)).data
    if data.labels is None:
        raise SettingsError("`labels` must be given: --labels FILE.")
    if arguments.merge_views is not None and data.group is None:
        raise SettingsError(
            "`--merge-views` needs --group COLUMN, which names the studies."
        )
    if arguments.output is not None:
        check_writable_file(arguments.output)  # now, not after all images
    if arguments.scores is not None:
        of_images = options_of_images(arguments) | {"--images": data.images}
        refuse_given(
            of_images | {"--features": data.features},
            "the scores are in a file, so that nothing is predicted",
        )
        scored = _score_from_file(arguments.scores, data)
    else:
        scored = _score_by_model(arguments, data)
    if arguments.merge_views is not None:
        scored = _merge(scored, arguments.merge_views)
    intervals = _intervals(scored, arguments.resamples, arguments.seed)
    names = [str(name) for name in scored.y_true.categories]
    records = _records(names, intervals)
    if arguments.output is not None:  # first: nothing printed can stop it
        _write(arguments.output, records)
    if arguments.json:
        print(json_text(records, sys.stdout, indent=1))
    else:
        units = "rows" if scored.groups is None else f"whole groups ({data.group})"
        print(
            f"{len(scored.values)} rows; 95 % intervals from {arguments.resamples} "
            f"resamples of {units}"
        )
        print_intervals(names, intervals)
    return 0


def _score_from_file(path: Path, data: DataSettings) -> Scored:
    """Read the scores of labelled rows."""
    table = ScoreTable.read(path)
    labelled = _read_labelled(data, table.categories)
    return _select(labelled, table.scores_of(labelled), table.categories)


def _score_by_model(arguments: argparse.Namespace, data: DataSettings) -> Scored:
    """Predict the scores of labelled rows."""
    network = settings_given(arguments)["network.name"]
    predictor = Predictor.read(arguments.model, network, reading_options(arguments))
    if data.features is not None and not predictor.is_of_images:
        of_images = options_of_images(arguments) | {"--images": data.images}
        refuse_given(of_images, f"{data.features} holds features")
    labelled = _read_labelled(data, predictor.categories)
    values = predictor.predict_labelled(labelled, data)
    return _select(labelled, values, predictor.categories)


def _read_labelled(data: DataSettings, categories: list[str]) -> Labelled:
    labels: Any = data.labels  # `run` has seen that it is given
    return read_known_categories(labels, data, categories)


def _select(
    labelled: Labelled, values: NDArray[np.float64], categories: list[str]
) -> Scored:
    """Keep the scores of the categories that have labels."""
    columns = [categories.index(name) for name in labelled.y.categories]
    return Scored(labelled.y, values[:, columns], labelled.groups)


def _intervals(scored: Scored, n_resamples: int, seed: int) -> Intervals:
    """Compute the scores with their intervals, by metric."""
    intervals = {}
    with warnings.catch_warnings():
        for metric in METRICS:
            intervals[metric] = bootstrap_intervals(
                scored.y_true,
                scored.values,
                metric=metric,
                groups=scored.groups,
                n_resamples=n_resamples,
                random_state=seed,
            )
            # The same categories are undefined for every metric: one warning is enough.
            warnings.simplefilter("ignore", UndefinedCategoryWarning)
    return intervals


def _merge(scored: Scored, how: str) -> Scored:
    """Merge the scores of every group, whose labels must be the same."""
    groups: Any = scored.groups
    merged, names = merge_views(scored.values, groups, how=how)
    first_row = {name: row for row, name in reversed(list(enumerate(groups)))}
    y = scored.y_true.values
    y_first = y[[first_row[name] for name in groups]]
    differ = np.argwhere(~((y == y_first) | (np.isnan(y) & np.isnan(y_first))))
    if len(differ):
        row, column = differ[0]
        raise SettingsError(
            "Views that are merged must have the same labels; they differ in group "
            f"{str(groups[row])!r}, category {scored.y_true.categories[column]!r}. "
            "Leave --merge-views out, or name another --group."
        )
    kept = [first_row[name] for name in names]
    y_merged = PartialLabels(
        y[kept], scored.y_true.known[kept], scored.y_true.categories
    )
    return Scored(y_merged, merged, None)


def _records(names: list[str], intervals: Intervals) -> Records:
    """List all scores. None stands for the category of a mean and for undefined."""
    return [
        {"metric": metric, **record, "category": name}
        | {k: None for k in _ESTIMATES if np.isnan(record[k])}
        for metric, records in intervals.items()
        for name, record in zip([*names, None], records, strict=True)
    ]


def _write(path: Path, records: Records) -> None:
    """Write the scores as CSV, where "mean" is the category of a mean."""
    with open_atomically(path) as file:
        writer = csv.DictWriter(file, list(records[0]), lineterminator="\n")
        writer.writeheader()
        for record in records:
            is_mean = record["category"] is None
            writer.writerow(record | ({"category": "mean"} if is_mean else {}))
