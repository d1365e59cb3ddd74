"""What a notebook shows of a fitted model: its diagram, then its ``report_``."""

import math
from collections import Counter
from collections.abc import Callable, Iterable
from html import escape
from numbers import Integral, Real
from typing import Any

from cftlearn._report._columns import score_columns

_MOST_OPEN = 30  # categories; the table of more is folded
_MOST_ROWS = 1000  # as much as a notebook keeps without growing heavy
_COLUMNS = {
    "category": "category",
    "n_positive": "positive",
    "n_negative": "negative",
    "n_unknown": "unknown",
    "n_held_out_positive": "held out, positive",
    "n_held_out_negative": "held out, negative",
    "status": "status",
    "solver": "solver",
    "members": "members",
    "metric": "metric",  # in its place stand the scores
    "score_best": "best member",
    "score": "ensemble",
    "weight": "weight",
    "reason": "reason",
}
# Sign and colour (Okabe and Ito's, dark enough on white and light enough on black);
# the word itself stands beside them.
_STATUS = {
    "refitted": ("✓", "#0072B2"),
    "selected": ("✓", "#0072B2"),
    "kept": ("=", "#767676"),
    "alike": ("=", "#767676"),
    "given": ("=", "#767676"),
    "skipped": ("!", "#C25400"),
    "unlabelled": ("!", "#C25400"),
    "unjudged": ("!", "#C25400"),
}
_STYLE = """<style>
.cftlearn-report {overflow-x: auto; margin-top: 0.5em; font-size: 0.9em}
.cftlearn-report summary {cursor: pointer}
.cftlearn-report table {border-collapse: collapse; margin: 0.5em 0}
.cftlearn-report th, .cftlearn-report td {
  padding: 0.15em 0.7em; text-align: left; vertical-align: top;
  border-bottom: 1px solid rgba(128, 128, 128, 0.35)}
.cftlearn-report td:first-child {
  min-width: 7em; max-width: 24em; overflow-wrap: anywhere}
.cftlearn-report .cftlearn-reason {min-width: 16em}
.cftlearn-report .cftlearn-number {
  text-align: right; font-variant-numeric: tabular-nums}
.cftlearn-report .cftlearn-status {font-weight: bold; white-space: nowrap}
</style>"""


class ReportMixin:
    """Show the table of ``report_`` below scikit-learn's diagram of an estimator.

    It must come before :class:`sklearn.base.BaseEstimator` among the bases. Without a
    report, or with ``sklearn.set_config(display="text")``, estimators are shown as
    scikit-learn shows them.
    """

    @property
    def _repr_html_(self) -> Callable[[], str]:
        # an AttributeError of scikit-learn's says that no diagram is wanted
        diagram = super()._repr_html_  # type: ignore[misc]
        return lambda: diagram() + report_as_html(self)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        bundle: dict[str, str]
        bundle = super()._repr_mimebundle_(**kwargs)  # type: ignore[misc]
        if "text/html" in bundle:
            bundle["text/html"] += report_as_html(self)
        return bundle


def report_as_html(estimator: object) -> str:
    """Write ``report_`` as a table; an empty text where there is none.

    Parameters
    ----------
    estimator : estimator
        Fitted or not.

    Returns
    -------
    html : str
        One ``div``. Every text in it is escaped: names of categories come from
        files.
    """
    lines = getattr(estimator, "report_", None)
    if not isinstance(lines, list) or not all(isinstance(row, dict) for row in lines):
        return ""
    if not lines:
        return ""
    titles = _titles(lines)
    named = [key for key in titles if any(key in line for line in lines)]
    numeric = {key for key in named if _is_numeric(line.get(key) for line in lines)}
    head = "".join(
        f"<th{_class(key in numeric)}>{escape(titles[key])}</th>" for key in named
    )
    body = "\n".join(
        f"<tr>{''.join(_cell(key, line, key in numeric) for key in named)}</tr>"
        for line in lines[:_MOST_ROWS]
    )
    rest = ""
    if len(lines) > _MOST_ROWS:
        rest = (
            f"<p>These are the first {_MOST_ROWS:,} of {len(lines):,} categories; "
            "report_ has them all.</p>"
        )
    unfolded = " open" if len(lines) <= _MOST_OPEN else ""
    return (
        f'{_STYLE}<div class="cftlearn-report"><details{unfolded}>'
        f"<summary>{_summary(lines)}</summary>\n"
        f"<table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"
        f"{rest}</details></div>"
    )


def _titles(lines: list[dict[str, Any]]) -> dict[str, str]:
    """Return the columns to show; those of scores are named after their metric."""
    titles: dict[str, str] = {}
    for key, title in _COLUMNS.items():
        if key != "metric":
            titles[key] = title
            continue
        for metric in dict.fromkeys(line[key] for line in lines if key in line):
            columns = score_columns(metric)
            titles |= {columns.before: columns.before, columns.after: columns.after}
    return titles


def _summary(lines: list[dict[str, Any]]) -> str:
    """Write how many categories there are of every status."""
    noun = "category" if len(lines) == 1 else "categories"
    counts = Counter(str(line.get("status", "")) for line in lines)
    counts.pop("", None)
    parts = [f"{count:,} {escape(status)}" for status, count in counts.most_common()]
    return f"{len(lines):,} {noun}{': ' if parts else ''}{', '.join(parts)}"


def _cell(key: str, line: dict[str, Any], is_numeric: bool) -> str:
    text = escape(_text(line.get(key)))
    ends = [_text(line.get(f"{key}_{end}")) for end in ("low", "high")]
    if text and all(ends):
        text += f" ({' to '.join(ends)})"
    if key == "status" and text:
        sign, colour = _STATUS.get(text, ("", "inherit"))
        return f'<td class="cftlearn-status" style="color: {colour}">{sign} {text}</td>'
    if key == "reason":
        return f'<td class="cftlearn-reason">{text}</td>'
    return f"<td{_class(is_numeric)}>{text}</td>"


def _class(is_numeric: bool) -> str:
    return ' class="cftlearn-number"' if is_numeric else ""


def _is_numeric(values: Iterable[Any]) -> bool:
    given = [value for value in values if value is not None]
    return bool(given) and all(isinstance(value, Real) for value in given)


def _text(value: Any) -> str:
    """Write a value for people: commas in thousands, three decimals, no NaN."""
    if value is None:
        return ""
    if isinstance(value, Integral):
        return f"{int(value):,}"
    if isinstance(value, Real):
        return "" if math.isnan(value) else f"{float(value):.3f}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value)
