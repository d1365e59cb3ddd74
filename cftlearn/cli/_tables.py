"""Tables that the commands print."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cftlearn.cli._labels import Labelled
from cftlearn.labels import label_summary


def print_coverage(fitted: Labelled, held_out: Labelled | None) -> None:
    """Say how many rows and known labels there are."""
    counts = label_summary(fitted.y)
    positives = sum(line["n_positive"] for line in counts)
    negatives = sum(line["n_negative"] for line in counts)
    share = np.mean(fitted.y.known)
    print(
        f"{len(fitted)} rows, {len(counts)} categories; {share:.1%} of the labels are "
        f"known: {positives} positives and {negatives} negatives"
    )
    if held_out is None:
        print("some known labels of these rows are held out to choose refits")
    else:
        print(f"{len(held_out)} other rows choose refits")


def print_report(report: Sequence[Mapping[str, Any]]) -> None:
    """Print what a fit did for every category."""
    width = max(8, *(len(str(line["category"])) for line in report))
    print(
        f"{'category':<{width}} {'known +/-':>15} {'held-out before':>16} {'after':>6} "
        f"{'solver':>8}  outcome"
    )
    for line in report:
        known = f"{line['n_positive']}/{line['n_negative']}"
        print(
            f"{line['category']:<{width}} {known:>15} "
            f"{_score(line['score_before']):>16} {_score(line['score_after']):>6} "
            f"{line['solver'] or '-':>8}  {line['status']}: {line['reason']}"
        )


def _score(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"


def print_intervals(
    names: Sequence[str], intervals: Mapping[str, Sequence[Mapping[str, Any]]]
) -> None:
    """Print scores with intervals: a line per category, and their mean."""
    titles = {"roc_auc": "AUC", "average_precision": "AP"}
    width = max(8, *(len(name) for name in names))
    print(
        f"{'category':<{width}} {'cases +/-':>15}"
        + "".join(f"  {titles[metric]:<22}" for metric in intervals)
    )
    first = next(iter(intervals.values()))
    for j, line in enumerate(first):
        is_mean = line["category"] is None
        name = "mean" if is_mean else names[j]
        cases = "" if is_mean else f"{line['n_positive']}/{line['n_negative']}"
        cells = (_interval(records[j]) for records in intervals.values())
        print(f"{name:<{width}} {cases:>15}" + "".join(f"  {c:<22}" for c in cells))


def _interval(line: Mapping[str, Any]) -> str:
    if np.isnan(line["estimate"]):
        return "-"
    return f"{line['estimate']:.3f} ({line['low']:.3f} to {line['high']:.3f})"
