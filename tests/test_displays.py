"""Figures: what is drawn, on which axes, and what is refused."""

import functools
import importlib

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgba
from numpy.testing import assert_allclose
from sklearn.exceptions import NotFittedError
from sklearn.metrics import average_precision_score, roc_auc_score

from cftlearn import CategoryWiseFineTuner, CFTClassifier
from cftlearn.displays import CategoryScoreDisplay, FitnessCurveDisplay
from cftlearn.exceptions import UndefinedCategoryWarning
from cftlearn.solvers import GeneticSolver, GradientSolver

pytestmark = pytest.mark.usefixtures("closed_figures")


@pytest.fixture
def predictions(partial_problem, rng):
    """Labels and two sets of scores, the second a better one."""
    _, y, y_full = partial_problem
    noise = rng.standard_normal(y.shape)
    return y, y_full + 2.0 * noise, y_full + 0.5 * noise


@pytest.fixture
def genetic(partial_problem):
    """Give a fine-tuner whose categories ran different numbers of generations."""
    solver = GeneticSolver(n_generations=12, patience=3)
    tuner = CategoryWiseFineTuner(solver, random_state=0)
    return tuner.fit(*partial_problem[:2])


def points(display):
    """Give the places of the scores before and after, from the bottom up."""
    dots = [dots.get_offsets().data for dots in display.ax_.collections[2:]]
    after = np.concatenate(dots[1:])
    return dots[0][:, 0], after[np.argsort(after[:, 1]), 0]


def legend(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


# ------------------------------------------------------------- CategoryScoreDisplay
@pytest.mark.parametrize(
    ("metric", "oracle", "label"),
    [
        ("average_precision", average_precision_score, "average precision"),
        ("roc_auc", roc_auc_score, "ROC AUC"),
    ],
)
def test_scores_are_those_of_known_labels(predictions, metric, oracle, label):
    y, before, after = predictions
    display = CategoryScoreDisplay.from_predictions(y, before, after, metric=metric)
    for scores, drawn in ((before, display.before), (after, display.after)):
        expected = [
            oracle(y[~np.isnan(y[:, j]), j], scores[~np.isnan(y[:, j]), j])
            for j in range(3)
        ]
        assert_allclose(drawn, expected)
    assert display.ax_.get_xlabel() == label
    assert display.categories.tolist() == ["0", "1", "2"]


def test_the_best_category_is_on_top():
    display = CategoryScoreDisplay(
        ["cat", "dog", "bat"], [0.5, 0.6, 0.2], [0.7, 0.6, 0.9], "AP"
    ).plot()
    ticks = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert ticks == ["dog", "cat", "bat"]
    before, after = points(display)
    assert before.tolist() == [0.6, 0.5, 0.2]
    assert after.tolist() == [0.6, 0.7, 0.9]
    assert legend(display) == ["before (mean 0.433)", "after (mean 0.733)"]


def test_a_category_that_lost_is_marked():
    display = CategoryScoreDisplay(["a", "b"], [0.5, 0.6], [0.4, 0.7], "AP").plot()
    assert legend(display)[2] == "after, lower"
    lost = display.ax_.collections[-1]
    assert lost.get_offsets().data.tolist() == [[0.4, 0.0]]
    kept = display.ax_.collections[-2]
    assert to_rgba("#D55E00") == tuple(lost.get_facecolor()[0])
    assert tuple(kept.get_facecolor()[0]) != tuple(lost.get_facecolor()[0])


def test_undefined_categories_are_left_out(predictions):
    y, before, after = predictions
    y[:, 1] = np.nan
    with pytest.warns(UndefinedCategoryWarning, match="undefined for 1"):
        display = CategoryScoreDisplay.from_predictions(
            y, before, after, categories=["cat", "dog", "bat"]
        )
    ticks = {text.get_text() for text in display.ax_.get_yticklabels()}
    assert ticks == {"cat", "bat"}
    assert np.isnan(display.before[1])
    assert "nan" not in "".join(legend(display))


def test_nothing_defined_can_be_drawn():
    display = CategoryScoreDisplay(["cat"], [np.nan], [0.5], "AP").plot()
    assert display.ax_.get_yticklabels() == []
    display.ax_.figure.canvas.draw()


@pytest.mark.parametrize(
    ("n_categories", "n_ticks"), [(1, 1), (2, 2), (14, 14), (60, 60)]
)
def test_any_number_of_categories(rng, n_categories, n_ticks):
    before, after = rng.random((2, n_categories))
    names = [f"category {j}" for j in range(n_categories)]
    display = CategoryScoreDisplay(names, before, after, "AP").plot()
    figure = display.ax_.figure
    figure.canvas.draw()
    assert len(display.ax_.get_yticks()) == n_ticks
    assert 3 <= figure.get_size_inches()[1] <= 20
    assert_allclose(points(display)[1], np.sort(after))


def test_one_dimensional_targets_can_be_drawn(rng):
    y = rng.integers(0, 2, 30)
    scores = rng.random((2, 30))
    display = CategoryScoreDisplay.from_predictions(y, *scores, metric="roc_auc")
    assert_allclose(display.after, [roc_auc_score(y, scores[1])])


def test_frames_can_be_drawn(predictions):
    y, before, after = predictions
    labels = pd.DataFrame(y, columns=["cat", "dog", "bat"])
    display = CategoryScoreDisplay.from_predictions(
        labels, before, after, categories=labels.columns
    )
    ticks = {text.get_text() for text in display.ax_.get_yticklabels()}
    assert ticks == {"cat", "dog", "bat"}


def test_axes_of_ones_own(predictions, genetic):
    figure, (left, right) = plt.subplots(1, 2)
    assert CategoryScoreDisplay.from_predictions(*predictions, ax=left).ax_ is left
    assert FitnessCurveDisplay.from_estimator(genetic, ax=right).ax_ is right
    assert plt.get_fignums() == [figure.number]


def test_a_display_can_be_drawn_again(predictions):
    display = CategoryScoreDisplay.from_predictions(*predictions)
    first = display.ax_
    assert display.plot() is display
    assert display.ax_ is not first


def test_wrong_scores_are_refused(predictions):
    y, before, after = predictions
    draw = CategoryScoreDisplay.from_predictions
    with pytest.raises(ValueError, match=r"`metric` must be .*; got 'f1'"):
        draw(y, before, after, metric="f1")
    with pytest.raises(ValueError, match=r"must have the shape of `y_true`"):
        draw(y, before, after[:, :2])
    assert plt.get_fignums() == []


@pytest.mark.parametrize(
    ("names", "before", "after"),
    [
        pytest.param(list("abcd"), [0.1] * 3, [0.2] * 3, id="names too many"),
        pytest.param(list("ab"), [0.1] * 3, [0.2] * 3, id="names too few"),
        pytest.param(list("abc"), [0.1] * 3, [0.2], id="scores"),
    ],
)
def test_every_category_has_a_name_and_two_scores(names, before, after):
    with pytest.raises(ValueError, match="one value per category; got"):
        CategoryScoreDisplay(names, before, after, "AP")


# -------------------------------------------------------------- FitnessCurveDisplay
def test_curves_are_those_of_the_history(genetic):
    display = FitnessCurveDisplay.from_estimator(genetic)
    assert set(display.curves) == {"0", "1", "2"}
    for name, curve in display.curves.items():
        rows = [
            row
            for row in genetic.history_
            if row["category"] == name and row["phase"] == "choose"
        ]
        assert_allclose(curve[0], np.arange(1, len(rows) + 1))
        assert_allclose(curve[1], [row["fitness_best"] for row in rows])
        assert_allclose(curve[2], [row["score_val"] for row in rows])
    assert display.ax_.get_xlabel() == "generation"
    assert display.ax_.get_ylabel() == "roc auc of the best row"
    assert legend(display) == ["fitted labels, mean", "held-out labels, mean"]


def test_bold_curves_are_means_over_categories():
    """A category that stopped early goes on with its last value."""
    curves = {
        "cat": np.array([[1, 2, 3], [0.5, 0.6, 0.7], [0.4, 0.4, 0.5]]),
        "dog": np.array([[1, 2], [0.7, 0.8], [0.6, 0.6]]),
    }
    ax = FitnessCurveDisplay(curves, "AP").plot().ax_
    assert len(ax.lines) == 6
    bold = [line for line in ax.lines if line.get_linewidth() > 2]
    assert_allclose(bold[0].get_xdata(), [1, 2, 3])
    assert_allclose(bold[0].get_ydata(), [0.6, 0.7, 0.75])
    assert_allclose(bold[1].get_ydata(), [0.5, 0.5, 0.55])


def test_categories_can_be_chosen(genetic):
    display = FitnessCurveDisplay.from_estimator(genetic, categories=["0", "2"])
    assert set(display.curves) == {"0", "2"}


def test_classifiers_have_curves(partial_problem):
    solvers = [GeneticSolver(n_generations=5), GradientSolver(max_epochs=5)]
    tuner = CategoryWiseFineTuner(solvers)
    model = CFTClassifier(fine_tuner=tuner, random_state=0).fit(*partial_problem[:2])
    display = FitnessCurveDisplay.from_estimator(model)
    assert {curve.shape for curve in display.curves.values()} == {(3, 5)}


class Separation:
    """An objective that has no name."""

    def __call__(self, y_true, y_score):
        return float(np.mean(y_score[y_true == 1]) - np.mean(y_score[y_true == 0]))


def named(y_true, y_score):
    return Separation()(y_true, y_score)


@pytest.mark.parametrize(
    ("objective", "label"),
    [
        (named, "named of the best row"),
        (Separation(), "Separation of the best row"),
        (functools.partial(named), "partial of the best row"),
    ],
    ids=["function", "object", "partial"],
)
def test_objectives_of_ones_own(partial_problem, objective, label):
    solver = GeneticSolver(n_generations=3)
    tuner = CategoryWiseFineTuner(solver, objective=objective, random_state=0)
    display = FitnessCurveDisplay.from_estimator(tuner.fit(*partial_problem[:2]))
    assert display.ax_.get_ylabel() == label


def test_estimators_without_generations_are_refused(quick_tuner, genetic):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        FitnessCurveDisplay.from_estimator(quick_tuner)
    with pytest.raises(ValueError, match="must name fitted categories; got 'cat'"):
        FitnessCurveDisplay.from_estimator(genetic, categories=["cat"])


def test_gradient_solvers_have_no_generations(quick_tuner, partial_problem):
    quick_tuner.fit(*partial_problem[:2])
    with pytest.raises(ValueError, match="Fit with solver='ga'"):
        FitnessCurveDisplay.from_estimator(quick_tuner)
    assert plt.get_fignums() == []


# --------------------------------------------------------------- without matplotlib
@pytest.fixture
def _no_matplotlib(monkeypatch):
    real = importlib.import_module

    def absent(name, *args):
        if name.split(".")[0] == "matplotlib":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *args)

    monkeypatch.setattr(importlib, "import_module", absent)


@pytest.mark.usefixtures("_no_matplotlib")
def test_without_matplotlib_the_extra_is_named(genetic):
    display = CategoryScoreDisplay(["cat"], [0.5], [0.6], "AP")
    with pytest.raises(
        ImportError,
        match=r'CategoryScoreDisplay needs matplotlib.* "cftlearn\[plots\]"',
    ):
        display.plot()
    with pytest.raises(ImportError, match="FitnessCurveDisplay needs matplotlib"):
        FitnessCurveDisplay.from_estimator(genetic)
