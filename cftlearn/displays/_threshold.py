"""What a threshold of one category costs and gains, over known labels."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import precision_recall_curve

from cftlearn.calibration._thresholds import check_threshold
from cftlearn.displays._axes import (
    BLACK,
    BLUE,
    GREY,
    VERMILION,
    count_of,
    new_axes,
    shown_name,
)
from cftlearn.displays._fitted import labels_and_probabilities, unwrap
from cftlearn.displays._one_category import (
    KnownCells,
    index_of,
    known_cells,
    read_probabilities,
)
from cftlearn.exceptions import list_some

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]
_CURVES = (("precision", BLUE, "--"), ("recall", VERMILION, "-."), ("f1", BLACK, "-"))


class ThresholdDisplay:
    """Precision, recall and F1 of one category against its threshold.

    The curves are exact: every probability of a known label is a threshold. Unknown
    labels are not counted, so precision is that *among known labels*.

    Parameters
    ----------
    thresholds : array-like of shape (n_thresholds,)
        Probabilities, ascending; positive is what reaches them.
    precision, recall, f1 : array-like of shape (n_thresholds,)
        Scores at the thresholds.
    threshold : float
        The one to mark, in [0, 1].
    category : str
        Name of the category.
    n_positive, n_negative : int
        Its known labels.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Where :meth:`plot` drew.

    Raises
    ------
    ValueError
        If shapes do not match, or the threshold is out of its range.

    See Also
    --------
    ReliabilityDisplay : Whether probabilities are what they say.

    Examples
    --------
    >>> from cftlearn.displays import ThresholdDisplay
    >>> y_true = [[0], [1], [0], [None], [1]]
    >>> y_proba = [[0.1], [0.4], [0.3], [0.6], [0.8]]
    >>> display = ThresholdDisplay.from_predictions(y_true, y_proba)
    >>> display.threshold, display.scores_at(0.5)["recall"]
    (0.4, 0.5)
    """

    def __init__(
        self,
        thresholds: ArrayLike,
        precision: ArrayLike,
        recall: ArrayLike,
        f1: ArrayLike,
        *,
        threshold: float,
        category: str,
        n_positive: int,
        n_negative: int,
    ) -> None:
        self.thresholds = np.asarray(thresholds, dtype=np.float64)
        self.precision = np.asarray(precision, dtype=np.float64)
        self.recall = np.asarray(recall, dtype=np.float64)
        self.f1 = np.asarray(f1, dtype=np.float64)
        for name, _, _ in _CURVES:
            shape = getattr(self, name).shape
            if shape != self.thresholds.shape or len(shape) != 1:
                raise ValueError(
                    f"`{name}` must hold one score per threshold, shape "
                    f"{self.thresholds.shape}; got shape {shape}."
                )
        self.threshold = float(check_threshold(threshold, [category]))
        self.category = category
        self.n_positive = n_positive
        self.n_negative = n_negative

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        category: str | None = None,
        ax: "Axes | None" = None,
    ) -> Self:
        """Predict probabilities and draw; the estimator's own threshold is marked.

        Parameters
        ----------
        estimator : CFTClassifier, CFTEnsemble or CategoryWiseFineTuner
            Fitted, or a fitted pipeline or search that ends in one. Where it has no
            ``threshold``, the one of the best F1 is marked.
        X : array-like of shape (n_samples, ...)
            What the estimator takes. Scores of rows that fitted the model are too
            good to choose a threshold by: pass other rows.
        y : array-like of shape (n_samples, n_categories) or (n_samples,)
            Labels, NaN unknown.
        category : str, default=None
            Which one; may be left out where there is only one.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : ThresholdDisplay
            Drawn on ``display.ax_``.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        TypeError, ValueError
            If the estimator has no probabilities, inputs or labels are not accepted,
            or there is no such category.
        """
        labels, proba = labels_and_probabilities(estimator, X, y)
        threshold = getattr(unwrap(estimator).model, "threshold", None)
        return cls.from_predictions(
            labels, proba, category=category, threshold=threshold, ax=ax
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_proba: ArrayLike,
        *,
        category: str | None = None,
        categories: ArrayLike | None = None,
        threshold: float | ArrayLike | None = None,
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw what thresholds of one category cost and gain.

        Parameters
        ----------
        y_true : array-like of shape (n_samples, n_categories) or (n_samples,)
            1, 0, NaN unknown.
        y_proba : array-like of the shape of ``y_true``
            Probabilities of positives, in [0, 1], best out of fold. Logits are not
            accepted.
        category : str, default=None
            Which one; may be left out where there is only one.
        categories : array-like of shape (n_categories,), default=None
            Names; by default those of ``y_true``, or the columns' numbers.
        threshold : float or array-like of shape (n_categories,), default=None
            The one to mark, or one per category, in [0, 1]. None marks that of the
            best F1, the lowest of equally good ones.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : ThresholdDisplay
            Drawn on ``display.ax_``.

        Raises
        ------
        TypeError, ValueError
            If labels or probabilities are not accepted, there is no such category or
            no known positive of it, or a threshold is out of its range.
        """
        labels, proba = read_probabilities(y_true, y_proba, categories)
        names = labels.categories
        if category is None and len(names) > 1:
            raise ValueError(
                f"`category` must name one of {len(names)} categories; got None. There "
                f"are: {list_some([repr(str(name)) for name in names], 20)}."
            )
        index = 0 if category is None else index_of(category, names)
        cells = known_cells(labels, proba, index)
        if not cells.y.any():
            raise ValueError(
                "`y_true` must hold known positives of category "
                f"{str(names[index])!r}; got none in "
                f"{count_of(len(cells.y), 'known label', 'known labels')}. Without "
                "one there is no recall."
            )
        thresholds, precision, recall, f1 = _scores_by_threshold(cells)
        if threshold is None:
            marked = thresholds[np.argmax(f1)]
        else:
            given = check_threshold(threshold, names)
            marked = np.broadcast_to(given, len(names))[index]
        return cls(
            thresholds,
            precision,
            recall,
            f1,
            threshold=float(marked),
            category=str(names[index]),
            n_positive=int(cells.y.sum()),
            n_negative=int((~cells.y).sum()),
        ).plot(ax)

    def scores_at(self, threshold: float) -> dict[str, float]:
        """Return the scores at a threshold.

        Parameters
        ----------
        threshold : float
            Probability in [0, 1].

        Returns
        -------
        scores : dict of str to float
            ``precision`` (NaN where nothing is positive), ``recall`` and ``f1``.
        """
        at = int(np.searchsorted(self.thresholds, threshold))
        if at == len(self.thresholds):
            return {"precision": float("nan"), "recall": 0.0, "f1": 0.0}
        return {name: float(getattr(self, name)[at]) for name, _, _ in _CURVES}

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw three curves and the threshold.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : ThresholdDisplay
            Itself.
        """
        ax = new_axes(ax, type(self).__name__, (6, 4.2))
        ax.axvline(self.threshold, color=GREY, linewidth=1, zorder=1)
        at = self.scores_at(self.threshold)
        for name, colour, style in _CURVES:
            # what holds at a threshold holds down to the one below it
            x = np.concatenate([[0.0], self.thresholds])
            y = np.concatenate([getattr(self, name)[:1], getattr(self, name)])
            word = "F1" if name == "f1" else name
            value = "undefined" if np.isnan(at[name]) else f"{at[name]:.2f}"
            ax.plot(
                x,
                y,
                style,
                color=colour,
                drawstyle="steps-pre",
                label=f"{word}: {value}",
            )
            ax.plot([self.threshold], [at[name]], "o", color=colour, markersize=5)
        ax.set(xlim=(0, 1), ylim=(-0.02, 1.02), ylabel="score over known labels")
        ax.set_xlabel(
            f"threshold of {shown_name(self.category)}\n({self.n_positive:,} known "
            f"positive, {self.n_negative:,} negative)",
            parse_math=False,
        )
        ax.legend(title=f"at {self.threshold:.3g}", loc="best")
        self.ax_ = ax
        return self


def _scores_by_threshold(cells: KnownCells) -> tuple[Floats, Floats, Floats, Floats]:
    """Compute thresholds, precision, recall and F1."""
    precision, recall, thresholds = precision_recall_curve(cells.y, cells.proba)
    precision, recall = precision[:-1], recall[:-1]  # the last has no threshold
    total = precision + recall
    f1 = 2 * precision * recall / np.where(total > 0, total, 1.0)
    return thresholds, precision, recall, f1
