"""Reliability diagrams: probabilities against shares of positives, by known labels."""

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from cftlearn._dependencies import Interval, StrOptions, validate_params
from cftlearn.displays._axes import BLACK, BLUE, PALE, count_of, new_axes, shown_name
from cftlearn.displays._fitted import labels_and_probabilities
from cftlearn.displays._one_category import (
    KnownCells,
    index_of,
    known_cells,
    read_probabilities,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]
Strategy = Literal["quantile", "uniform"]
_STRIP = -0.2, -0.03  # below the diagram, for the counts


class ReliabilityDisplay:
    """How often labels with a given probability are positive.

    Known labels are binned by their probability. In every bin the share of positives
    should equal the mean probability. Bars in the strip below show how many labels
    each bin has. Only known labels are counted, so this says what a probability means
    *among known labels*: where positives are written down more often than negatives,
    fewer of all samples are positive.

    Parameters
    ----------
    prob_true, prob_pred : array-like of shape (n_bins,)
        Share of positives and mean probability of every bin that is not empty.
    count : array-like of shape (n_bins,)
        Known labels in it.
    interval : array-like of shape (2, n_bins)
        Lower and upper ends of the shares' intervals.
    edges : array-like of shape (2, n_bins)
        Lower and upper ends of the bins.
    name : str, default=None
        What the legend calls it.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Where :meth:`plot` drew.

    Raises
    ------
    ValueError
        If shapes do not match.

    See Also
    --------
    ThresholdDisplay : What follows from a threshold.

    Notes
    -----
    Intervals are Wilson's for a binomial share. They assume independent labels: pooled
    over categories, or with several rows of a patient, they are too short.

    Examples
    --------
    >>> from cftlearn.displays import ReliabilityDisplay
    >>> y_true = [[0], [0], [1], [None], [1]]
    >>> y_proba = [[0.1], [0.3], [0.4], [0.6], [0.8]]
    >>> display = ReliabilityDisplay.from_predictions(y_true, y_proba, n_bins=2)
    >>> display.prob_true, display.count
    (array([0., 1.]), array([2, 2]))
    """

    def __init__(
        self,
        prob_true: ArrayLike,
        prob_pred: ArrayLike,
        count: ArrayLike,
        interval: ArrayLike,
        edges: ArrayLike,
        *,
        name: str | None = None,
    ) -> None:
        self.prob_true = np.asarray(prob_true, dtype=np.float64)
        self.prob_pred = np.asarray(prob_pred, dtype=np.float64)
        self.count = np.asarray(count)
        self.interval = np.asarray(interval, dtype=np.float64)
        self.edges = np.asarray(edges, dtype=np.float64)
        self.name = name
        n_bins = len(self.count)
        shapes = {
            "prob_true": (self.prob_true.shape, (n_bins,)),
            "prob_pred": (self.prob_pred.shape, (n_bins,)),
            "interval": (self.interval.shape, (2, n_bins)),
            "edges": (self.edges.shape, (2, n_bins)),
        }
        for parameter, (shape, expected) in shapes.items():
            if shape != expected:
                raise ValueError(
                    f"`{parameter}` must have shape {expected}, as `count` has "
                    f"{count_of(n_bins, 'bin', 'bins')}; got shape {shape}."
                )

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        category: str | None = None,
        n_bins: int = 10,
        strategy: Strategy = "quantile",
        confidence: float = 0.95,
        ax: "Axes | None" = None,
    ) -> Self:
        """Predict probabilities and draw what they are worth.

        Parameters
        ----------
        estimator : CFTClassifier, CFTEnsemble or CategoryWiseFineTuner
            Fitted, or a fitted pipeline or search that ends in one.
        X : array-like of shape (n_samples, ...)
            What the estimator takes, of rows that it was not fitted on.
        y : array-like of shape (n_samples, n_categories) or (n_samples,)
            Labels, NaN unknown.
        category : str, default=None
            Which one; None pools the known labels of all.
        n_bins : int, default=10
            Number of bins, at least 1; empty ones are left out.
        strategy : {"quantile", "uniform"}, default="quantile"
            Bins of equal counts, or of equal widths.
        confidence : float, default=0.95
            Share in (0, 1) of such intervals that should hold the true share.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : ReliabilityDisplay
            Drawn on ``display.ax_``.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        TypeError, ValueError
            If the estimator has no probabilities, inputs or labels are not accepted,
            or a parameter is out of its range.
        """
        labels, proba = labels_and_probabilities(estimator, X, y)
        return cls.from_predictions(
            labels,
            proba,
            category=category,
            n_bins=n_bins,
            strategy=strategy,
            confidence=confidence,
            ax=ax,
        )

    @classmethod
    @validate_params(
        {
            "n_bins": [Interval(Integral, 1, None, closed="left")],
            "strategy": [StrOptions({"quantile", "uniform"})],
            "confidence": [Interval(Real, 0, 1, closed="neither")],
        },
        prefer_skip_nested_validation=True,
    )
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_proba: ArrayLike,
        *,
        category: str | None = None,
        categories: ArrayLike | None = None,
        n_bins: int = 10,
        strategy: Strategy = "quantile",
        confidence: float = 0.95,
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw what probabilities are worth.

        Parameters
        ----------
        y_true : array-like of shape (n_samples, n_categories) or (n_samples,)
            1, 0, NaN unknown.
        y_proba : array-like of the shape of ``y_true``
            Probabilities of positives, in [0, 1]. Logits are not accepted.
        category : str, default=None
            Which one; None pools the known labels of all.
        categories : array-like of shape (n_categories,), default=None
            Names; by default those of ``y_true``, or the columns' numbers.
        n_bins : int, default=10
            Number of bins, at least 1; empty ones are left out.
        strategy : {"quantile", "uniform"}, default="quantile"
            Bins of equal counts, or of equal widths.
        confidence : float, default=0.95
            Share in (0, 1) of such intervals that should hold the true share.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : ReliabilityDisplay
            Drawn on ``display.ax_``.

        Raises
        ------
        TypeError, ValueError
            If labels or probabilities are not accepted, no label is known, there is
            no such category, or a parameter is out of its range.
        """
        labels, proba = read_probabilities(y_true, y_proba, categories)
        index = None if category is None else index_of(category, labels.categories)
        if len(labels.categories) == 1:
            index = 0
        cells = known_cells(labels, proba, index)
        if index is None:
            name = (
                f"{count_of(len(labels.categories), 'category', 'categories')} pooled"
            )
        else:
            name = shown_name(labels.categories[index])
        if not len(cells.y):
            raise ValueError(f"`y_true` must hold known labels; got none of {name}.")
        edges = _bin_edges(cells.proba, n_bins, strategy)
        return cls(*_summarize_bins(cells, edges, confidence), name=name).plot(ax)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw shares of positives against mean probabilities.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : ReliabilityDisplay
            Itself.
        """
        ax = new_axes(ax, type(self).__name__, (5.5, 5.5))
        ax.plot([0, 1], [0, 1], "--", color=BLACK, lw=0.8, label="as they say")
        known = count_of(int(self.count.sum()), "known label", "known labels")
        below = self.prob_true - self.interval[0]
        above = self.interval[1] - self.prob_true
        ax.errorbar(
            self.prob_pred,
            self.prob_true,
            yerr=np.clip([below, above], 0, None),
            fmt="o-",
            color=BLUE,
            capsize=2,
            markersize=5,
            label=f"{known} of\n{self.name}" if self.name else known,
        )
        self._draw_counts(ax)
        ax.set(
            xlabel="predicted probability\n(bars: known labels per bin, at most "
            f"{self.count.max(initial=0):,})",
            ylabel="share of positives among known labels",
            xlim=(-0.02, 1.02),
            ylim=(_STRIP[0] - 0.02, 1.02),
            yticks=np.linspace(0, 1, 6),
        )
        for text in ax.legend(loc="upper left").get_texts():
            text.set_parse_math(False)  # a dollar in a name starts no formula
        self.ax_ = ax
        return self

    def _draw_counts(self, ax: Any) -> None:
        """Draw counts as bars below 0, the highest as high as the strip."""
        low, high = _STRIP
        most = self.count.max(initial=1)
        ax.bar(
            self.edges[0],
            (high - low) * self.count / most,
            width=np.maximum(self.edges[1] - self.edges[0], 0.002),
            bottom=low,
            align="edge",
            color=PALE,
            edgecolor=BLACK,
            linewidth=0.5,
        )


def _bin_edges(proba: Floats, n_bins: int, strategy: Strategy) -> Floats:
    share = np.linspace(0, 1, n_bins + 1)
    return share if strategy == "uniform" else np.quantile(proba, share)


def _summarize_bins(
    cells: KnownCells, edges: Floats, confidence: float
) -> tuple[Floats, Floats, NDArray[np.int64], Floats, Floats]:
    """Compute share of positives, mean probability, count, interval, edges of bins."""
    n_bins = len(edges) - 1
    bin_of = np.searchsorted(edges[1:-1], cells.proba)
    count = np.bincount(bin_of, minlength=n_bins)
    filled = count > 0
    n = count[filled]
    positives = np.bincount(bin_of[cells.y], minlength=n_bins)
    n_positive = positives[filled].astype(np.float64)
    total = np.bincount(bin_of, weights=cells.proba, minlength=n_bins)[filled]
    ends = np.array([edges[:-1][filled], edges[1:][filled]])
    interval = _wilson(n_positive, n, confidence)
    return n_positive / n, total / n, n, interval, ends


def _wilson(n_positive: Floats, n: NDArray[Any], confidence: float) -> Floats:
    r"""Compute Wilson's interval of a binomial share.

    Notes
    -----
    With :math:`k` positives of :math:`n` and the normal quantile :math:`z`,

    .. math:: \frac{k + z^2 / 2 \pm z \sqrt{k (n - k) / n + z^2 / 4}}{n + z^2}.
    """
    z = ndtri((1 + confidence) / 2)
    centre = (n_positive + z**2 / 2) / (n + z**2)
    half = z * np.sqrt(n_positive * (n - n_positive) / n + z**2 / 4) / (n + z**2)
    return np.clip([centre - half, centre + half], 0.0, 1.0)
