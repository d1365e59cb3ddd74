"""Figures of what is known: shares of the states, for a few and for many categories."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from optional import optional
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from cftlearn import CategoryWiseFineTuner, CFTClassifier, CFTEnsemble
from cftlearn.datasets import LabelTable
from cftlearn.displays import LabelCoverageDisplay, LabelStateDisplay
from cftlearn.labels import LabelState

pd = optional("pandas")
plt = optional("matplotlib.pyplot")
colors = optional("matplotlib.colors")

pytestmark = pytest.mark.usefixtures("closed_figures")


def bars(ax):
    """Return starts and widths of all bars, by state and from the top down."""
    containers = ax.containers
    starts = [[bar.get_x() for bar in bars] for bars in containers]
    widths = [[bar.get_width() for bar in bars] for bars in containers]
    return np.array(starts), np.array(widths)


def ticks(ax):
    """Return names of rows from the top down."""
    return [text.get_text() for text in ax.get_yticklabels()][::-1]


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def beside(ax):
    return [text.get_text() for text in ax.texts]


def make_table(rng, n_samples, n_categories):
    states = rng.integers(0, 4, (n_samples, n_categories)).astype(np.uint8)
    return LabelTable(
        paths=np.array([f"{i}.jpg" for i in range(n_samples)], dtype=object),
        states=states,
        categories=np.array([f"c{j}" for j in range(n_categories)], dtype=object),
        info={},
    )


def assert_within_the_figure(ax):
    figure = ax.figure
    figure.canvas.draw()
    box = ax.get_tightbbox(figure.canvas.get_renderer())
    width, height = figure.canvas.get_width_height()
    assert min(box.x0, box.y0) >= -1
    assert box.x1 <= width + 1
    assert box.y1 <= height + 1


def test_shares_are_those_of_the_labels():
    y = np.array([[1, 0, np.nan], [1, 0, np.nan], [0, np.nan, np.nan], [0, 1, 0]])
    labels = pd.DataFrame(y, columns=["cat", "dog", "bat"])
    display = LabelCoverageDisplay.from_labels(labels)
    assert display.n_positive.tolist() == [2, 1, 0]
    assert display.n_negative.tolist() == [2, 2, 1]
    assert display.n_unknown.tolist() == [0, 1, 3]
    ax = display.ax_
    assert ticks(ax) == ["cat", "dog", "bat"]
    starts, widths = bars(ax)
    assert_allclose(widths, [[0.5, 0.25, 0], [0.5, 0.5, 0.25], [0, 0.25, 0.75]])
    assert_allclose(starts[1:], np.cumsum(widths, axis=0)[:-1])
    assert legend(ax) == ["positive (25%)", "negative (42%)", "unknown (33%)"]
    assert beside(ax) == ["0", "1", "2", "positives"]
    assert ax.get_xlim() == (0, 1)


def test_the_best_known_category_is_on_top():
    display = LabelCoverageDisplay(
        list("abcd"), [1, 0, 3, 1], [1, 1, 1, 3], [8, 9, 6, 6]
    )
    ax = display.plot().ax_
    assert ticks(ax) == ["c", "d", "a", "b"]  # c and d: the one with more positives
    places = [bar.get_y() + bar.get_height() / 2 for bar in ax.containers[0]]
    assert_allclose(places, [3, 2, 1, 0])


def test_the_axis_ends_where_little_is_known():
    ax = LabelCoverageDisplay(["a"], [2], [8], [90]).plot().ax_
    assert_allclose(ax.get_xlim(), (0, 0.105))
    assert "up to 0.1, the rest is unknown" in ax.get_xlabel()
    ax = LabelCoverageDisplay(["a"], [0], [0], [90]).plot().ax_
    assert ax.get_xlim() == (0, 1)


@pytest.mark.parametrize("is_sparse", [False, True])
def test_states_are_those_of_the_table(rng, is_sparse):
    table = make_table(rng, 50, 4)
    states = table.states
    if is_sparse:
        table = LabelTable(
            table.paths, sparse.csc_array(states), table.categories, info={}
        )
    display = LabelStateDisplay.from_table(table)
    expected = [(states == state).sum(axis=0) for state in LabelState]
    assert display.n_blank.tolist() == expected[LabelState.BLANK].tolist()
    assert display.n_uncertain.tolist() == expected[LabelState.UNCERTAIN].tolist()
    order = [int(name[1:]) for name in ticks(display.ax_)]
    known = expected[LabelState.POSITIVE] + expected[LabelState.NEGATIVE]
    assert (np.diff(known[order]) <= 0).all()  # hedges are not known
    drawn = [LabelState.POSITIVE, LabelState.NEGATIVE, LabelState.UNCERTAIN, 0]
    _, widths = bars(display.ax_)
    assert_allclose(widths, [expected[state][order] / 50 for state in drawn])


def test_hundreds_of_categories_are_a_silhouette(rng):
    table = make_table(rng, 40, 600)
    display = LabelStateDisplay.from_table(table)
    ax = display.ax_
    assert len(ax.patches) == 4
    known = (display.n_positive + display.n_negative) / 40
    order = np.lexsort((-display.n_positive, -known))
    positive, negative, uncertain, blank = (patch.get_data() for patch in ax.patches)
    assert_allclose(positive.values, display.n_positive[order] / 40)
    assert_allclose(negative.values, known[order])
    assert_allclose(negative.baseline, positive.values)
    assert_allclose(
        uncertain.values - uncertain.baseline, display.n_uncertain[order] / 40
    )
    assert_allclose(blank.values, 1.0)
    (text,) = beside(ax)
    lines = text.splitlines()
    assert lines[:2] == ["best known", f"c{order[0]}: {known[order[0]]:.0%}"]
    assert lines[-1] == f"c{order[-1]}: {known[order[-1]]:.0%}"
    assert_within_the_figure(ax)


@pytest.mark.parametrize("n_categories", [1, 60, 61])
def test_rows_end_at_sixty(rng, n_categories):
    display = LabelStateDisplay.from_table(make_table(rng, 10, n_categories))
    assert len(display.ax_.containers) == (4 if n_categories <= 60 else 0)
    assert_within_the_figure(display.ax_)


def test_long_and_foreign_names_are_not_cut_off():
    names = ["Ähnlichkeit " * 20, "$x^{bad$", "_", "Ελληνικά"]
    counts = np.arange(1, 5)
    ax = LabelCoverageDisplay(names, counts, counts, counts * 1_000_000).plot().ax_
    assert_within_the_figure(ax)
    assert "$x^{bad$" in ticks(ax)


def test_empty_tables_are_said():
    display = LabelStateDisplay(list("ab"), [0, 1], [0, 1], [0, 1], [0, 1]).plot()
    assert ticks(display.ax_) == ["b"]
    title = display.ax_.get_legend().get_title().get_text()
    assert title == "1 of 2 have no samples"
    empty = LabelStateDisplay.from_table(
        LabelTable.from_cells([], ["cat"], rows=[], columns=[], states=[])
    )
    empty.ax_.figure.canvas.draw()
    assert legend(empty.ax_)[0] == "positive (none)"


def test_states_differ_in_grey():
    ax = LabelStateDisplay(["a"], [1], [1], [1], [1]).plot().ax_
    first = [container[0] for container in ax.containers]
    grey = [
        np.dot(colors.to_rgb(bar.get_facecolor()), (0.299, 0.587, 0.114))
        for bar in first
    ]
    assert np.abs(np.diff(grey)).min() > 0.08
    assert [bar.get_hatch() for bar in first] == [None, None, "////", None]


@pytest.mark.parametrize(
    "estimator",
    [
        CategoryWiseFineTuner("bce", random_state=0),
        CFTClassifier(random_state=0),
        CFTEnsemble(n_estimators=1, random_state=0),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_estimators_tell_what_they_were_fitted_on(partial_problem, estimator):
    Z, y, _ = partial_problem
    with pytest.raises(NotFittedError, match="not fitted yet"):
        LabelCoverageDisplay.from_estimator(estimator)
    display = LabelCoverageDisplay.from_estimator(estimator.fit(Z, y))
    assert display.n_positive.tolist() == (y == 1).sum(axis=0).tolist()
    assert display.n_unknown.tolist() == np.isnan(y).sum(axis=0).tolist()


def test_what_has_no_labels_is_refused(partial_problem):
    Z, y, y_full = partial_problem
    model = LogisticRegression().fit(Z, y_full[:, 0])
    with pytest.raises(TypeError, match=r"must have a report_.* LogisticRegression"):
        LabelCoverageDisplay.from_estimator(model)
    with pytest.raises(TypeError, match="must be a LabelTable; got ndarray"):
        LabelStateDisplay.from_table(y)
    with pytest.raises(
        ValueError, match=r"must hold 0 .negative., 1 .positive. or NaN"
    ):
        LabelCoverageDisplay.from_labels(y + 1)
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    "counts", [[1, 2], [-1], [0.5], [[1]]], ids=["many", "negative", "share", "2-D"]
)
def test_counts_are_whole_numbers(counts):
    with pytest.raises(ValueError, match="`n_negative` must hold one whole number"):
        LabelCoverageDisplay(["a"], [1], counts, [1])


def test_axes_of_ones_own(rng):
    figure, (left, right) = plt.subplots(1, 2)
    plt.figure()
    current = plt.gcf()
    table = make_table(rng, 10, 3)
    assert LabelStateDisplay.from_table(table, ax=left).ax_ is left
    display = LabelCoverageDisplay.from_labels(table.labels(), ax=right)
    assert display.ax_ is right
    assert plt.gcf() is current
    assert len(plt.get_fignums()) == 2
    assert figure.axes == [left, right]
