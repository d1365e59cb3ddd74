"""Tables that the commands print."""

import shutil
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from cftlearn._report._columns import ScoreColumns, score_columns
from cftlearn.cli._labels import Labelled
from cftlearn.exceptions import list_some
from cftlearn.labels import label_summary

METRICS = {"roc_auc": "AUC", "average_precision": "AP"}  # that `evaluate` prints

_LEAST_BESIDE = 24  # characters that a text needs to stand beside a table
_MOST_NAMES = 8  # in a line
_FEW_CASES = 10  # below, intervals are so long that a reader should know why


def on_one_line(name: object) -> str:
    """Return a name with escapes for what would break a line or a table."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii")
        for c in str(name)
    )


def print_coverage(fitted: Labelled, held_out: Labelled | None, by_itself: str) -> None:
    """Print how many rows and known labels there are, and which are held out.

    ``by_itself`` is what the fit holds out where there are no other rows for it.
    """
    counts = label_summary(fitted.y)
    positives = sum(line["n_positive"] for line in counts)
    negatives = sum(line["n_negative"] for line in counts)
    known = np.mean(fitted.y.known)
    print(
        f"{len(fitted)} rows, {len(counts)} categories; {known:.1%} of the labels are "
        f"known: {positives} positive, {negatives} negative"
    )
    print(f"categories: {_listed(fitted.y.categories)}")
    if fitted.table.info:
        print(f"other columns: {_listed(fitted.table.info)}")
    if held_out is None:
        print(f"held out to choose the refits: {by_itself}")
    else:
        print(f"held out to choose the refits: {len(held_out)} other rows")


def _listed(names: Iterable[object]) -> str:
    return list_some([on_one_line(name) for name in names], _MOST_NAMES)


def print_report(report: Sequence[Mapping[str, Any]]) -> None:
    """Print what a fit did for every category, no wider than the terminal."""
    names = [on_one_line(line["category"]) for line in report]
    width = max(8, *map(len, names))
    metric = report[0]["metric"]
    columns = score_columns(metric)
    short = on_one_line(METRICS.get(metric, metric))
    head = (
        f"{'category':<{width}} {'known +/-':>9} {'held out':>8} "
        f"{f'{short} before':<20} {f'{short} after':<20} {'solver':>6}  "
    )
    print(f"{head}outcome")
    for name, line in zip(names, report, strict=True):
        known = f"{line['n_positive']}/{line['n_negative']}"
        before, after = _scores(line, columns)
        cells = (
            f"{name:<{width}} {known:>9} {_held_out(line):>8} "
            f"{before:<20} {after:<20} {line['solver'] or '-':>6}  "
        )
        print(_beside(cells, f"{line['status']}: {line['reason']}"))
    print(
        f"{short} before, {short} after: {on_one_line(metric)} on held-out labels, "
        "with 95 % intervals"
    )


def _held_out(line: Mapping[str, Any]) -> str:
    counts = [line[f"n_held_out_{kind}"] for kind in ("positive", "negative")]
    # models of older versions do not tell the classes apart
    return "-" if np.isnan(counts).any() else "/".join(f"{n:.0f}" for n in counts)


def _scores(line: Mapping[str, Any], columns: ScoreColumns) -> list[str]:
    """Write both scores, each with its interval where it has one."""
    shown = []
    for key in (columns.before, columns.after):
        text = _score(line[key])
        low, high = line[f"{key}_low"], line[f"{key}_high"]
        if not np.isnan([low, high]).any():
            text += f" ({low:.2f} to {high:.2f})"
        shown.append(text)
    return shown


def _beside(cells: str, text: str) -> str:
    """Append a text to cells, or write it below them if the terminal is narrow."""
    columns = shutil.get_terminal_size(fallback=(0, 0)).columns
    if not columns or len(cells) + len(text) <= columns:
        return cells + text
    if columns - len(cells) >= _LEAST_BESIDE:
        return textwrap.fill(
            text, columns, initial_indent=cells, subsequent_indent=" " * len(cells)
        )
    below = textwrap.fill(
        text, columns, initial_indent="    ", subsequent_indent="    "
    )
    return f"{cells.rstrip()}\n{below}"


def _score(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"


def print_intervals(
    names: Sequence[str], intervals: Mapping[str, Sequence[Mapping[str, Any]]]
) -> None:
    """Print scores with intervals: one line per category, and the means."""
    shown = [on_one_line(name) for name in names]
    width = max(8, *map(len, shown))
    print(
        f"{'category':<{width}} {'cases +/-':>15}"
        + "".join(f"  {METRICS[metric]:<22}" for metric in intervals).rstrip()
    )
    first = next(iter(intervals.values()))
    for j, line in enumerate(first):
        is_mean = line["category"] is None
        name = "mean" if is_mean else shown[j]
        cases = "" if is_mean else f"{line['n_positive']}/{line['n_negative']}"
        cells = (_interval(records[j]) for records in intervals.values())
        shown_cells = "".join(f"  {cell:<22}" for cell in cells).rstrip()
        print(f"{name:<{width}} {cases:>15}{shown_cells}")
    fewest = [min(line["n_positive"], line["n_negative"]) for line in first[:-1]]
    if any(0 < number < _FEW_CASES for number in fewest):
        print(f"with fewer than {_FEW_CASES} cases of a class, intervals tell little")


def _interval(line: Mapping[str, Any]) -> str:
    if np.isnan(line["estimate"]):
        return "-"
    return f"{line['estimate']:.3f} ({line['low']:.3f} to {line['high']:.3f})"
