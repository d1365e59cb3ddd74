"""What is known: shares of the states of labels, per category."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cftlearn.displays._axes import BLACK, BLUE, ORANGE, PALE, read_names
from cftlearn.displays._fitted import unwrap
from cftlearn.displays._stacked_shares import State, plot_shares, read_counts
from cftlearn.labels import label_summary
from cftlearn.labels._names import check_new_names, column_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cftlearn.datasets import LabelTable

_POSITIVE = State("positive", BLUE)
_NEGATIVE = State("negative", ORANGE)
_UNCERTAIN = State("uncertain", "white", hatch="////", edge=BLACK)


class LabelCoverageDisplay:
    """How many labels of every category are known.

    Stacked shares of samples, best known category first. Up to 60 categories have a
    named bar each, with the count of known positives; more are drawn as one
    silhouette, beside which the best and the least known are named. Where less than
    half is known anywhere, the axis ends early.

    Parameters
    ----------
    categories : array-like of shape (n_categories,)
        Names.
    n_positive, n_negative, n_unknown : array-like of shape (n_categories,)
        Counts of labels, 0 or more. A category without any label is left out.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Where :meth:`plot` drew.

    Raises
    ------
    ValueError
        If there are not as many names and counts, or a count is negative.

    See Also
    --------
    LabelStateDisplay : The four states of a label table.

    Examples
    --------
    >>> from cftlearn.displays import LabelCoverageDisplay
    >>> y = [[1, None], [0, None], [None, 1]]
    >>> display = LabelCoverageDisplay.from_labels(y, categories=["cat", "dog"])
    >>> display.n_unknown
    array([1, 2])
    """

    def __init__(
        self,
        categories: ArrayLike,
        n_positive: ArrayLike,
        n_negative: ArrayLike,
        n_unknown: ArrayLike,
    ) -> None:
        self.categories = read_names(categories)
        self.n_positive, self.n_negative, self.n_unknown = read_counts(
            self.categories,
            n_positive=n_positive,
            n_negative=n_negative,
            n_unknown=n_unknown,
        )

    @classmethod
    def from_labels(
        cls,
        y: ArrayLike,
        *,
        categories: ArrayLike | None = None,
        ax: "Axes | None" = None,
    ) -> Self:
        """Count labels and draw them.

        Parameters
        ----------
        y : array-like of shape (n_samples, n_categories)
            1 positive, 0 negative, NaN unknown, in any form that
            :func:`cftlearn.labels.check_partial_labels` accepts.
        categories : array-like of shape (n_categories,), default=None
            Names; by default those of ``y``, or the columns' numbers.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : LabelCoverageDisplay
            Drawn on ``display.ax_``.

        Raises
        ------
        TypeError, ValueError
            If labels are not accepted.
        """
        if categories is not None:
            categories = read_names(categories)
            check_new_names(categories, column_names(y), "y")
        return cls._from_counts(label_summary(y), categories).plot(ax)

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: "Axes | None" = None) -> Self:
        """Draw which labels an estimator was fitted on, by its report.

        Parameters
        ----------
        estimator : CategoryWiseFineTuner, CFTClassifier or CFTEnsemble
            Fitted, or a fitted pipeline or search that ends in one.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : LabelCoverageDisplay
            Drawn on ``display.ax_``.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        TypeError
            If the estimator has no report.
        """
        model = unwrap(estimator).model
        if not hasattr(model, "report_"):
            raise TypeError(
                "`estimator` must have a report_, as those of cftlearn have; got "
                f"{type(model).__name__}. Pass its labels to from_labels."
            )
        return cls._from_counts(model.report_, None).plot(ax)

    @classmethod
    def _from_counts(
        cls, lines: list[dict[str, Any]], categories: ArrayLike | None
    ) -> Self:
        keys = ("n_positive", "n_negative", "n_unknown")
        counts = [[line[key] for line in lines] for key in keys]
        names = [line["category"] for line in lines]
        return cls(names if categories is None else categories, *counts)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw, best known category first.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; a new figure by default. What stands beside it needs the
            room that ``layout="constrained"`` makes.

        Returns
        -------
        display : LabelCoverageDisplay
            Itself.
        """
        counts = {
            _POSITIVE: self.n_positive,
            _NEGATIVE: self.n_negative,
            State("unknown", PALE): self.n_unknown,
        }
        self.ax_ = plot_shares(ax, type(self).__name__, self.categories, counts)
        return self


class LabelStateDisplay:
    """The four states of a label table: positive, negative, uncertain, blank.

    Drawn as :class:`LabelCoverageDisplay` is. What *uncertain* and *blank* shall count
    as is decided after a look at it.

    Parameters
    ----------
    categories : array-like of shape (n_categories,)
        Names.
    n_positive, n_negative, n_uncertain, n_blank : array-like of shape (n_categories,)
        Counts of labels, 0 or more. A category without any label is left out.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Where :meth:`plot` drew.

    Raises
    ------
    ValueError
        If there are not as many names and counts, or a count is negative.

    See Also
    --------
    cftlearn.labels.resolve_labels : From four states to ``y``.

    Examples
    --------
    >>> from cftlearn.datasets import LabelTable
    >>> from cftlearn.displays import LabelStateDisplay
    >>> table = LabelTable.from_cells(
    ...     ["a.jpg", "b.jpg"], ["cat", "dog"], rows=[0, 0, 1], columns=[0, 1, 1],
    ...     states=[2, 1, 3],
    ... )
    >>> LabelStateDisplay.from_table(table).n_blank
    array([1, 0])
    """

    def __init__(
        self,
        categories: ArrayLike,
        n_positive: ArrayLike,
        n_negative: ArrayLike,
        n_uncertain: ArrayLike,
        n_blank: ArrayLike,
    ) -> None:
        self.categories = read_names(categories)
        counts = read_counts(
            self.categories,
            n_positive=n_positive,
            n_negative=n_negative,
            n_uncertain=n_uncertain,
            n_blank=n_blank,
        )
        self.n_positive, self.n_negative, self.n_uncertain, self.n_blank = counts

    @classmethod
    def from_table(cls, table: "LabelTable", *, ax: "Axes | None" = None) -> Self:
        """Count the states of a table and draw them.

        Parameters
        ----------
        table : LabelTable
            As the loaders of :mod:`cftlearn.datasets` give it. A sparse one is not
            made dense.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : LabelStateDisplay
            Drawn on ``display.ax_``.

        Raises
        ------
        TypeError
            If it is no table.
        """
        if not hasattr(table, "summary") or not hasattr(table, "states"):
            raise TypeError(
                f"`table` must be a LabelTable; got {type(table).__name__}. For y with "
                "1, 0 and NaN there is LabelCoverageDisplay.from_labels."
            )
        lines = table.summary()
        keys = ("n_positive", "n_negative", "n_uncertain", "n_blank")
        counts: list[NDArray[np.int64]]
        counts = [np.array([line[key] for line in lines]) for key in keys]
        return cls([line["category"] for line in lines], *counts).plot(ax)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw, the category with the most known labels first.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; a new figure by default. What stands beside it needs the
            room that ``layout="constrained"`` makes.

        Returns
        -------
        display : LabelStateDisplay
            Itself.
        """
        counts = {
            _POSITIVE: self.n_positive,
            _NEGATIVE: self.n_negative,
            _UNCERTAIN: self.n_uncertain,
            State("blank", PALE): self.n_blank,
        }
        self.ax_ = plot_shares(ax, type(self).__name__, self.categories, counts)
        return self
