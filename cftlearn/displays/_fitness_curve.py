"""The genetic algorithm's fitness over the generations."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from cftlearn.displays._axes import BLUE, VERMILION, new_axes
from cftlearn.displays._fitted import fine_tuner_of, unwrap
from cftlearn.exceptions import list_some
from cftlearn.metrics._objectives import make_objective

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_LINES = 40
_BAND = (0.1, 0.9)


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

    Raises
    ------
    ValueError
        If there is no curve, or one has another shape.

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
        shapes = [np.shape(curve) for curve in curves.values()]
        wrong = [s for s in shapes if len(s) != 2 or s[0] != 3 or s[1] == 0]
        if wrong or not shapes:
            raise ValueError(
                "`curves` must hold a curve of shape (3, n_generations) per category; "
                f"got {f'one of shape {wrong[0]}' if wrong else 'none'}."
            )

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        categories: Iterable[str] | None = None,
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw the curves of a fitted fine-tuner.

        Parameters
        ----------
        estimator : CategoryWiseFineTuner or CFTClassifier
            Fitted with a genetic solver, one category at a time or batched; or a
            pipeline or a search of it.
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
        TypeError
            If the estimator is another one.
        ValueError
            If no generation of a genetic algorithm is in the history.
        """
        tuner = fine_tuner_of(unwrap(estimator).model, cls.__name__)
        wanted = None if categories is None else set(categories)
        unexpected = (wanted or set()) - set(tuner.categories_)
        if unexpected:
            raise ValueError(
                f"`categories` must name fitted categories; got {min(unexpected)!r}. "
                f"There are: {list_some(tuner.categories_, 20)}."
            )
        curves = _read_curves(tuner.history_, wanted)
        if not curves:
            raise ValueError(
                "There must be generations of a genetic algorithm in `history_`; got "
                "none for these categories. Fit with solver='ga'; a loaded model has "
                "no history."
            )
        name = make_objective(tuner.objective).name
        return cls(curves, name.replace("_", " ")).plot(ax)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw best fitness (solid) and validation score (dotted), means in bold.

        A category that stopped counts in the means with its last value. Of more than
        40 categories a band holds the middle four fifths, instead of single curves.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : FitnessCurveDisplay
            Itself.
        """
        ax = new_axes(ax, type(self).__name__, (6, 4))
        parts = (
            (1, "fitted labels", BLUE, "-"),
            (2, "held-out labels", VERMILION, ":"),
        )
        for part, label, colour, style in parts:
            values = self._padded(part)
            generation = np.arange(1, values.shape[1] + 1)
            if len(values) > _MOST_LINES:
                low, high = np.quantile(values, _BAND, axis=0)
                ax.fill_between(
                    generation, low, high, color=colour, alpha=0.15, linewidth=0
                )
            else:
                for curve in self.curves.values():
                    ax.plot(
                        curve[0], curve[part], style, color=colour, alpha=0.25, lw=0.8
                    )
            ax.plot(
                generation,
                values.mean(axis=0),
                style,
                color=colour,
                lw=2.5,
                label=f"{label}, mean",
            )
        ax.set(xlabel="generation", ylabel=f"{self.objective} of the best weights")
        ax.legend(loc="lower right")
        self.ax_ = ax
        return self

    def _padded(self, part: int) -> NDArray[np.float64]:
        """Return one part of all curves, each continued with its last value.

        Where only some generations were judged, lines join them.
        """
        last = int(max(curve[0, -1] for curve in self.curves.values()))
        generation = np.arange(1, last + 1)
        return np.array(
            [
                np.interp(generation, curve[0], curve[part])
                for curve in self.curves.values()
            ]
        )


def _read_curves(
    history: list[dict[str, Any]], wanted: set[str] | None
) -> dict[str, NDArray[np.float64]]:
    records: dict[str, list[tuple[float, float, float]]] = {}
    for row in history:
        name = row["category"]
        is_shown = wanted is None or name in wanted
        if row["solver"] == "ga" and row["phase"] == "choose" and is_shown:
            values = (row["iteration"], row["fitness_best"], row["score_val"])
            records.setdefault(name, []).append(values)
    return {name: np.array(rows).T for name, rows in records.items()}
