"""Names of the columns of ``report_`` that hold scores, which begin with the metric."""

from collections.abc import Mapping
from typing import Any, NamedTuple

_UNTOLD = ("n_held_out_positive", "n_held_out_negative")


class ScoreColumns(NamedTuple):
    """The columns of one metric: scores, and the ends of their intervals.

    Attributes
    ----------
    before, before_low, before_high : str
        Of the initial weights.
    after, after_low, after_high : str
        Of the weights after the refit.
    gain_low, gain_high : str
        Of the difference, after minus before.
    """

    before: str
    before_low: str
    before_high: str
    after: str
    after_low: str
    after_high: str
    gain_low: str
    gain_high: str


def score_columns(metric: str) -> ScoreColumns:
    """Return the names of the columns that hold the scores of a metric.

    Parameters
    ----------
    metric : str
        As the column ``metric`` says it, such as "roc_auc".

    Returns
    -------
    columns : ScoreColumns
        Such as "roc_auc_before".
    """
    return ScoreColumns(*(f"{metric}_{part}" for part in ScoreColumns._fields))


def before_and_after(line: Mapping[str, Any]) -> tuple[float, float]:
    """Return the two scores of a line, whatever its metric is.

    Parameters
    ----------
    line : mapping
        Of ``report_``.

    Returns
    -------
    before, after : float
        NaN where held-out labels of a class are missing.
    """
    columns = score_columns(line["metric"])
    return line[columns.before], line[columns.after]


def translate_line(line: Mapping[str, Any], metric: str) -> dict[str, Any]:
    """Translate a line of ``report_`` that was saved before columns named the metric.

    Parameters
    ----------
    line : mapping
        With ``n_held_out``, ``score_before`` and ``score_after``, or a newer one.
    metric : str
        Name of the objective of that fit.

    Returns
    -------
    line : dict
        As a fit makes them today, and ``n_held_out``. What the older line does not tell
        is None: the classes of the held-out labels, and intervals.
    """
    if "score_before" not in line:
        return dict(line)
    columns = score_columns(metric)
    scores: dict[str, Any] = dict.fromkeys(columns)
    scores[columns.before] = line["score_before"]
    scores[columns.after] = line.get("score_after")
    translated: dict[str, Any] = {}
    for key, value in line.items():
        if key == "score_before":
            translated |= {"metric": metric, **scores}
        elif key != "score_after":
            translated[key] = value
        if key == "n_held_out":
            translated |= dict.fromkeys(_UNTOLD)
    return translated
