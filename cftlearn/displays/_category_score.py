"""Every category's score before and after a refit."""

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from cftlearn.displays._axes import (
    BLACK,
    BLUE,
    GREY,
    MOST_ROWS,
    VERMILION,
    height_of_rows,
    list_beside,
    name_rows,
    new_axes,
    read_names,
    shown_name,
    values_per_category,
    without_score,
)
from cftlearn.displays._fitted import logits_before_and_after
from cftlearn.labels import PartialLabels
from cftlearn.labels._names import (
    check_columns,
    check_new_names,
    check_same_rows,
    column_names,
)
from cftlearn.labels._plain_arrays import read_numbers
from cftlearn.metrics import (
    bootstrap_intervals,
    partial_average_precision_score,
    partial_roc_auc_score,
)
from cftlearn.metrics._partial import check_score_tables, read_pair

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Metric = Literal["average_precision", "roc_auc"]
Kind = Literal["auto", "rows", "scatter"]
Floats = NDArray[np.float64]

_METRICS = {
    "average_precision": (partial_average_precision_score, "average precision"),
    "roc_auc": (partial_roc_auc_score, "ROC AUC"),
}
_MOST_NAMED = 5  # gainers, and as many losers
_APART = 0.17  # rows between two scores that have intervals


class CategoryScoreDisplay:
    """Every category's score before and after a refit.

    Up to 60 categories have a row each. More are points over a diagonal, and those
    that changed most are numbered and named beside it.

    Parameters
    ----------
    categories : array-like of shape (n_categories,)
        Names.
    before, after : array-like of shape (n_categories,)
        Scores. Categories without a finite one are left out, and counted in the
        legend's title.
    metric_name : str
        Label of the axis.
    before_interval, after_interval : array-like of shape (2, n_categories), \
default=None
        Lower and upper ends of confidence intervals.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Where :meth:`plot` drew.

    Raises
    ------
    ValueError
        If there are not as many names and scores.

    See Also
    --------
    cftlearn.metrics.compare_scores : Whether a difference is more than chance.

    Examples
    --------
    >>> from cftlearn.displays import CategoryScoreDisplay
    >>> display = CategoryScoreDisplay(["cat", "dog"], [0.5, 0.6], [0.7, 0.6], "AP")
    >>> display.plot().ax_.get_xlabel()
    'AP'
    """

    def __init__(
        self,
        categories: ArrayLike,
        before: ArrayLike,
        after: ArrayLike,
        metric_name: str,
        *,
        before_interval: ArrayLike | None = None,
        after_interval: ArrayLike | None = None,
    ) -> None:
        self.categories = read_names(categories)
        self.before, self.after = (
            values_per_category(given, self.categories, name).astype(np.float64)
            for name, given in (("before", before), ("after", after))
        )
        self.metric_name = metric_name
        shapes = [v.shape for v in (self.categories, self.before, self.after)]
        if len(set(shapes)) > 1:
            raise ValueError(
                "`categories`, `before` and `after` must hold one value per category; "
                f"got shapes {', '.join(map(str, shapes))}."
            )
        self.before_interval, self.after_interval = (
            _read_interval(given, self.categories, name)
            for name, given in (
                ("before_interval", before_interval),
                ("after_interval", after_interval),
            )
        )

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        metric: Metric = "average_precision",
        n_resamples: int | None = None,
        confidence: float = 0.95,
        groups: ArrayLike | None = None,
        random_state: int | np.random.RandomState | None = None,
        kind: Kind = "auto",
        ax: "Axes | None" = None,
    ) -> Self:
        """Score a model before and after its refit, and draw both.

        Parameters
        ----------
        estimator : CategoryWiseFineTuner or CFTClassifier
            Fitted, or a fitted pipeline or search that ends in one. A network
            computes its features once for both.
        X : array-like of shape (n_samples, ...)
            What the estimator takes: features, or inputs of its network. Labels that
            the fit has seen flatter the refit: pass other rows.
        y : array-like of shape (n_samples, n_categories) or (n_samples,)
            Labels, NaN unknown.
        metric : {"average_precision", "roc_auc"}, default="average_precision"
            What to compare.
        n_resamples : int, default=None
            Draws of a bootstrap for intervals, 2 or more. None draws no intervals.
        confidence : float, default=0.95
            Share in (0, 1) of such intervals that should hold the true score.
        groups : array-like of shape (n_samples,), default=None
            What is drawn as a whole: the patient or study of every row.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws.
        kind : {"auto", "rows", "scatter"}, default="auto"
            See :meth:`plot`.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : CategoryScoreDisplay
            Drawn on ``display.ax_``.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        TypeError
            If the estimator has no weights before a refit, such as an ensemble.
        ValueError
            If inputs or labels are not accepted, or a parameter is out of its range.

        Warns
        -----
        UndefinedCategoryWarning
            Once, naming the categories without a score.
        """
        check_same_rows(X=X, y=y, groups=groups)
        labels, before, after = logits_before_and_after(estimator, X, y, cls.__name__)
        return cls.from_predictions(
            labels,
            before,
            after,
            metric=metric,
            n_resamples=n_resamples,
            confidence=confidence,
            groups=groups,
            random_state=random_state,
            kind=kind,
            ax=ax,
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        before: ArrayLike,
        after: ArrayLike,
        *,
        metric: Metric = "average_precision",
        categories: ArrayLike | None = None,
        n_resamples: int | None = None,
        confidence: float = 0.95,
        groups: ArrayLike | None = None,
        random_state: int | np.random.RandomState | None = None,
        kind: Kind = "auto",
        ax: "Axes | None" = None,
    ) -> Self:
        """Score two sets of predictions and draw them.

        Parameters
        ----------
        y_true : array-like of shape (n_samples, n_categories) or (n_samples,)
            1, 0, NaN unknown.
        before, after : array-like of shape (n_samples, n_categories)
            Scores of the same rows before and after the refit.
        metric : {"average_precision", "roc_auc"}, default="average_precision"
            What to compare.
        categories : array-like of shape (n_categories,), default=None
            Names; by default those of ``y_true``, or the columns' numbers.
        n_resamples : int, default=None
            Draws of a bootstrap for intervals, 2 or more. None draws no intervals.
        confidence : float, default=0.95
            Share in (0, 1) of such intervals that should hold the true score.
        groups : array-like of shape (n_samples,), default=None
            What is drawn as a whole: the patient or study of every row.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws.
        kind : {"auto", "rows", "scatter"}, default="auto"
            See :meth:`plot`.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : CategoryScoreDisplay
            Drawn on ``display.ax_``.

        Raises
        ------
        ValueError
            If ``metric`` is neither, shapes do not match, or a parameter is out of
            its range.

        Warns
        -----
        UndefinedCategoryWarning
            Once, naming the categories without a score.
        """
        if metric not in _METRICS:
            raise ValueError(
                f"`metric` must be 'average_precision' or 'roc_auc'; got {metric!r}."
            )
        score, name = _METRICS[metric]
        check_score_tables(before=before, after=after)
        check_same_rows(y_true=y_true, before=before, groups=groups)
        if categories is not None:
            categories = read_names(categories)
            check_new_names(categories, column_names(y_true), "y_true")
        pairs = [
            read_pair(y_true, given, "score", which)
            for which, given in (("before", before), ("after", after))
        ]
        known = pairs[0][0].known & pairs[1][0].known
        labels = pairs[0][0].restricted_to(known)
        values = np.full((2, len(labels.categories)), np.nan)
        values[0] = score(labels, pairs[0][1], average=None)
        defined = np.isfinite(values[0])  # which depends on the labels alone
        intervals: list[Floats | None] = [None, None]
        if defined.any():
            labels = _some_columns(labels, defined)
            scores = [given[:, defined] for _, given in pairs]
            values[1, defined] = score(labels, scores[1], average=None)
            if n_resamples is not None:
                seed = int(check_random_state(random_state).randint(2**31 - 1))
                intervals = [
                    _bootstrap(
                        defined,
                        labels,
                        given,
                        metric=metric,
                        n_resamples=n_resamples,
                        confidence=confidence,
                        groups=groups,
                        random_state=seed,  # the same draws for both
                    )
                    for given in scores
                ]
        return cls(
            pairs[0][0].categories if categories is None else categories,
            values[0],
            values[1],
            name,
            before_interval=intervals[0],
            after_interval=intervals[1],
        ).plot(ax, kind=kind)

    def plot(self, ax: "Axes | None" = None, *, kind: Kind = "auto") -> Self:
        """Draw, best category first.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; a new figure by default. Names beside a scatter need the
            room that ``layout="constrained"`` makes.
        kind : {"auto", "rows", "scatter"}, default="auto"
            A named row per category, or a point per category, before against after,
            where the ten that changed most are named, and have intervals if there are
            any. ``"auto"`` takes rows for up to 60 categories.

        Returns
        -------
        display : CategoryScoreDisplay
            Itself.

        Raises
        ------
        ValueError
            If ``kind`` is none of the three.
        """
        if kind not in ("auto", "rows", "scatter"):
            raise ValueError(
                f"`kind` must be 'auto', 'rows' or 'scatter'; got {kind!r}."
            )
        shown = np.flatnonzero(np.isfinite(self.before) & np.isfinite(self.after))
        shown = shown[np.argsort(self.after[shown], kind="stable")]
        if kind == "auto":
            kind = "rows" if len(shown) <= MOST_ROWS else "scatter"
        size = (6, height_of_rows(len(shown))) if kind == "rows" else (8.5, 5.5)
        ax = new_axes(ax, type(self).__name__, size)
        if kind == "rows":
            self._plot_rows(ax, shown)
        else:
            self._plot_scatter(ax, shown)
        ax.legend(
            loc="best",
            title=without_score(len(self.before) - len(shown), len(self.before)),
        )
        self.ax_ = ax
        return self

    def _plot_rows(self, ax: Any, shown: NDArray[np.intp]) -> None:
        before, after = self.before[shown], self.after[shown]
        height = np.arange(len(shown))
        worse = after < before
        has_intervals = (
            self.before_interval is not None,
            self.after_interval is not None,
        )
        shift = _APART if any(has_intervals) else 0.0
        if any(has_intervals):
            _draw_interval(ax, self.before_interval, shown, height - shift, GREY)
            _draw_interval(ax, self.after_interval, shown, height + shift, BLACK)
        else:
            for chosen, colour in ((~worse, BLUE), (worse, VERMILION)):
                ax.hlines(
                    height[chosen],
                    before[chosen],
                    after[chosen],
                    color=colour,
                    alpha=0.5,
                )
        label = _with_mean("before", before)
        ax.scatter(before, height - shift, color=GREY, label=label, zorder=3)
        label = _with_mean("after", after)
        above = height + shift
        ax.scatter(after[~worse], above[~worse], color=BLUE, label=label, zorder=3)
        _draw_worse(ax, after[worse], above[worse])
        name_rows(ax, self.categories[shown])
        ax.set(xlabel=self.metric_name, ylabel="category")

    def _plot_scatter(self, ax: Any, shown: NDArray[np.intp]) -> None:
        before, after = self.before[shown], self.after[shown]
        worse = after < before
        ends = _limits(before, after)
        ax.plot(ends, ends, color=BLACK, linewidth=0.8, zorder=1)
        label = _with_mean("after", after)
        if len(shown):
            label += f", {np.mean(~worse):.0%} not lower"
        style = {"s": 18, "alpha": 0.6, "linewidths": 0, "zorder": 2}
        ax.scatter(before[~worse], after[~worse], color=BLUE, label=label, **style)
        _draw_worse(ax, before[worse], after[worse], **style)
        list_beside(ax, self._name_extremes(ax, shown, after - before))
        mean = _with_mean("before", before).removeprefix("before")
        ax.set(
            xlabel=f"{self.metric_name} before{mean}",
            ylabel=f"{self.metric_name} after",
            xlim=ends,
            ylim=ends,
        )

    def _name_extremes(
        self, ax: Any, shown: NDArray[np.intp], gain: Floats
    ) -> list[tuple[str, list[str]]]:
        """Write numbers at the points that changed most; list what they are."""
        order = np.argsort(gain, kind="stable")
        gained = [at for at in order[::-1][:_MOST_NAMED] if gain[at] > 0]
        lost = [at for at in order[:_MOST_NAMED] if gain[at] < 0]
        lists, number = [], 0
        for title, points in (("most gained", gained), ("most lost", lost)):
            lines = []
            for at in shown[points]:
                number += 1
                point = self.before[at], self.after[at]
                name = shown_name(self.categories[at])
                lines.append(f"{number}  {name}: {point[0]:.2f} → {point[1]:.2f}")
                ax.annotate(
                    str(number),
                    point,
                    xytext=(3, 3),
                    textcoords="offset points",
                    fontsize="small",
                )
                self._draw_cross(ax, at)
            if lines:
                lists.append((title, lines))
        return lists

    def _draw_cross(self, ax: Any, at: np.intp) -> None:
        """Draw both intervals through a point of the scatter."""
        style = {"color": GREY, "linewidth": 0.8, "zorder": 1}
        if self.before_interval is not None:
            ax.hlines(self.after[at], *self.before_interval[:, at], **style)
        if self.after_interval is not None:
            ax.vlines(self.before[at], *self.after_interval[:, at], **style)


def _bootstrap(
    defined: NDArray[np.bool_], labels: PartialLabels, scores: ArrayLike, **how: Any
) -> Floats:
    """Compute both ends of the intervals of all categories, NaN where undefined."""
    ends = np.full((2, len(defined)), np.nan)
    lines = bootstrap_intervals(labels, scores, **how)[:-1]
    ends[:, defined] = [[line[end] for line in lines] for end in ("low", "high")]
    return ends


def _some_columns(labels: PartialLabels, chosen: NDArray[np.bool_]) -> PartialLabels:
    return PartialLabels(
        labels.values[:, chosen], labels.known[:, chosen], labels.categories[chosen]
    )


def _read_interval(
    interval: ArrayLike | None, categories: NDArray[np.object_], name: str
) -> Floats | None:
    if interval is None:
        return None
    n_categories = len(categories)
    check_columns(
        interval,
        [str(one) for one in categories],
        name=name,
        owner="the names in `categories`",
        order="categories",
    )
    ends = read_numbers(interval, name).astype(np.float64)
    if ends.shape != (2, n_categories):
        raise ValueError(
            "Intervals must hold their lower and their upper ends, shape "
            f"{(2, n_categories)}; got shape {ends.shape}."
        )
    return ends


def _draw_interval(
    ax: Any,
    interval: Floats | None,
    shown: NDArray[np.intp],
    heights: NDArray[Any],
    colour: str,
) -> None:
    if interval is not None:
        ax.hlines(heights, *interval[:, shown], color=colour, linewidth=1.2, zorder=2)


def _draw_worse(ax: Any, x: NDArray[Any], y: NDArray[Any], **style: Any) -> None:
    if len(x):
        style = {"zorder": 3} | style
        ax.scatter(x, y, color=VERMILION, marker="v", label="after, lower", **style)


def _limits(before: Floats, after: Floats) -> tuple[float, float]:
    """Compute the limits of both axes."""
    if not len(before):
        return 0.0, 1.0
    both = np.concatenate([before, after])
    room = max(0.04 * (both.max() - both.min()), 0.005)
    return float(both.min() - room), float(both.max() + room)


def _with_mean(word: str, scores: Floats) -> str:
    return f"{word} (mean {scores.mean():.3f})" if len(scores) else word
