"""Figures in scikit-learn's manner: made from results, drawn on one's own axes."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from cftlearn._dependencies import import_optional
from cftlearn.metrics import partial_average_precision_score, partial_roc_auc_score
from cftlearn.metrics._objectives import make_objective

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["CategoryScoreDisplay", "FitnessCurveDisplay"]

# Okabe and Ito's colours, told apart by colour-blind readers.
_BEFORE, _AFTER, _WORSE = "#999999", "#0072B2", "#D55E00"
_METRICS = {
    "average_precision": (partial_average_precision_score, "average precision"),
    "roc_auc": (partial_roc_auc_score, "ROC AUC"),
}


class CategoryScoreDisplay:
    """Every category's score before and after a refit.

    Parameters
    ----------
    categories : array-like of shape (n_categories,)
        Names.
    before, after : array-like of shape (n_categories,)
        Scores; NaN is left out.
    metric_name : str
        Label of the axis.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Where :meth:`plot` drew.

    Raises
    ------
    ValueError
        If there are not as many names and scores.

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
    ) -> None:
        self.categories = np.asarray(categories, dtype=object)
        self.before = np.asarray(before, dtype=np.float64)
        self.after = np.asarray(after, dtype=np.float64)
        self.metric_name = metric_name
        shapes = [v.shape for v in (self.categories, self.before, self.after)]
        if len(set(shapes)) > 1:
            raise ValueError(
                "`categories`, `before` and `after` must hold one value per category; "
                f"got shapes {', '.join(map(str, shapes))}."
            )

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        before: ArrayLike,
        after: ArrayLike,
        *,
        metric: Literal["average_precision", "roc_auc"] = "average_precision",
        categories: ArrayLike | None = None,
        ax: "Axes | None" = None,
    ) -> Self:
        """Score two sets of predictions and draw them.

        Parameters
        ----------
        y_true : array-like of shape (n_samples, n_categories)
            1, 0, NaN unknown.
        before, after : array-like of shape (n_samples, n_categories)
            Scores of the same rows before and after the refit.
        metric : {"average_precision", "roc_auc"}, default="average_precision"
            What to compare.
        categories : array-like of shape (n_categories,), default=None
            Names; by default those of ``y_true``, or the columns' numbers.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : CategoryScoreDisplay
            Drawn on ``display.ax_``.

        Raises
        ------
        ValueError
            If ``metric`` is neither, or shapes do not match.
        """
        if metric not in _METRICS:
            raise ValueError(
                f"`metric` must be 'average_precision' or 'roc_auc'; got {metric!r}."
            )
        score, name = _METRICS[metric]
        values = [score(y_true, scores, average=None) for scores in (before, after)]
        names = getattr(y_true, "columns", np.arange(len(values[0])))
        names = names if categories is None else categories
        return cls(names, values[0], values[1], name).plot(ax)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw, best category first.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : CategoryScoreDisplay
            Itself.
        """
        shown = np.flatnonzero(np.isfinite(self.before) & np.isfinite(self.after))
        shown = shown[np.argsort(self.after[shown])]
        place = np.arange(len(shown))
        before, after = self.before[shown], self.after[shown]
        height = float(np.clip(1.5 + 0.25 * len(shown), 3, 20))
        ax = _axes(ax, type(self).__name__, (6, height))
        worse = after < before
        for chosen, colour in ((~worse, _AFTER), (worse, _WORSE)):
            ax.hlines(
                place[chosen], before[chosen], after[chosen], color=colour, alpha=0.5
            )
        label = _with_mean("before", before)
        ax.scatter(before, place, color=_BEFORE, label=label, zorder=2)
        label = _with_mean("after", after)
        ax.scatter(after[~worse], place[~worse], color=_AFTER, label=label, zorder=3)
        if worse.any():
            ax.scatter(
                after[worse],
                place[worse],
                color=_WORSE,
                marker="v",
                label="after, lower",
                zorder=3,
            )
        if len(shown) <= 60:
            ax.set_yticks(place, [str(name) for name in self.categories[shown]])
        else:
            ax.set_yticks([])
        ax.set(xlabel=self.metric_name, ylabel="category")
        ax.legend(loc="lower right")
        self.ax_ = ax
        return self


class FitnessCurveDisplay:
    """The genetic algorithm's fitness over the generations.

    Parameters
    ----------
    curves : dict of str to ndarray of shape (3, n_generations)
        Per category: generation, best fitness, and validation score.
    objective : str
        Label of the axis.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Where :meth:`plot` drew.

    Examples
    --------
    >>> from cftlearn import CategoryWiseFineTuner
    >>> from cftlearn.datasets import make_partial_multilabel
    >>> from cftlearn.displays import FitnessCurveDisplay
    >>> from cftlearn.solvers import GeneticSolver
    >>> Z, y, _ = make_partial_multilabel(random_state=0)
    >>> solver = GeneticSolver(n_generations=20)
    >>> tuner = CategoryWiseFineTuner(solver, random_state=0).fit(Z, y)
    >>> FitnessCurveDisplay.from_estimator(tuner).ax_.get_xlabel()
    'generation'
    """

    def __init__(self, curves: dict[str, NDArray[np.float64]], objective: str) -> None:
        self.curves = curves
        self.objective = objective

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        categories: Iterable[str] | None = None,
        ax: "Axes | None" = None,
    ) -> Self:
        """Read the curves off a fitted fine-tuner and draw them.

        Parameters
        ----------
        estimator : CategoryWiseFineTuner or CFTClassifier
            Fitted with a genetic solver.
        categories : iterable of str, default=None
            Which categories; all by default.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : FitnessCurveDisplay
            Drawn on ``display.ax_``.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            If no generation of a genetic algorithm is in the history.
        """
        check_is_fitted(estimator)
        tuner = getattr(estimator, "fine_tuner_", estimator)
        wanted = None if categories is None else set(categories)
        records: dict[str, list[tuple[float, float, float]]] = {}
        for row in tuner.history_:
            name = row["category"]
            is_shown = wanted is None or name in wanted
            if row["solver"] == "ga" and row["phase"] == "choose" and is_shown:
                values = (row["iteration"], row["fitness_best"], row["score_val"])
                records.setdefault(name, []).append(values)
        strangers = (wanted or set()) - set(tuner.categories_)
        if strangers:
            raise ValueError(
                f"`categories` must name fitted categories; got {min(strangers)!r}. "
                f"There are: {', '.join(tuner.categories_[:20])}."
            )
        if not records:
            raise ValueError(
                "There must be generations of a genetic algorithm in `history_`; got "
                "none for these categories. Fit with solver='ga'; a loaded model has "
                "no history."
            )
        curves = {name: np.array(rows).T for name, rows in records.items()}
        name = make_objective(tuner.objective).name
        return cls(curves, name.replace("_", " ")).plot(ax)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw best fitness (solid) and validation score (dotted), means in bold.

        A category that stopped counts in the means with its last value.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : FitnessCurveDisplay
            Itself.
        """
        ax = _axes(ax, type(self).__name__, (6, 4))
        length = max(curve.shape[1] for curve in self.curves.values())
        generation = np.arange(1, length + 1)
        parts = ((1, "fitted labels", _AFTER, "-"), (2, "held-out labels", _WORSE, ":"))
        for part, label, colour, style in parts:
            for curve in self.curves.values():
                ax.plot(curve[0], curve[part], style, color=colour, alpha=0.25, lw=0.8)
            mean = np.mean(
                [
                    np.pad(curve[part], (0, length - curve.shape[1]), mode="edge")
                    for curve in self.curves.values()
                ],
                axis=0,
            )
            ax.plot(
                generation, mean, style, color=colour, lw=2.5, label=f"{label}, mean"
            )
        ax.set(xlabel="generation", ylabel=f"{self.objective} of the best row")
        ax.legend(loc="lower right")
        self.ax_ = ax
        return self


def _with_mean(word: str, scores: NDArray[np.float64]) -> str:
    return f"{word} (mean {scores.mean():.3f})" if len(scores) else word


def _axes(ax: Any, feature: str, size: tuple[float, float]) -> Any:
    if ax is not None:
        return ax
    plt = import_optional("matplotlib.pyplot", feature=feature, extra="plots")
    return plt.subplots(figsize=size, layout="constrained")[1]
