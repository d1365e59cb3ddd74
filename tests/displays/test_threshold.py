"""Scores of one category at every threshold, and how they are drawn."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from optional import optional
from scipy.special import expit
from sklearn.metrics import f1_score, precision_score, recall_score

from cftlearn.displays import ReliabilityDisplay, ThresholdDisplay

plt = optional("matplotlib.pyplot")

pytestmark = pytest.mark.usefixtures("closed_figures")


@pytest.fixture
def predictions(partial_problem, rng):
    """Labels of which some are unknown, and their probabilities."""
    _, y, y_full = partial_problem
    return y, expit(2 * y_full - 1 + rng.standard_normal(y.shape))


def legend(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def assert_within_the_figure(ax):
    figure = ax.figure
    figure.canvas.draw()
    box = ax.get_tightbbox(figure.canvas.get_renderer())
    width, height = figure.canvas.get_width_height()
    assert min(box.x0, box.y0) >= -1
    assert box.x1 <= width + 1
    assert box.y1 <= height + 1


def test_scores_are_exact_at_every_threshold(predictions):
    y, proba = predictions
    display = ThresholdDisplay.from_predictions(y, proba, category="2")
    known = ~np.isnan(y[:, 2])
    truth, p = y[known, 2], proba[known, 2]
    assert_allclose(display.thresholds, np.unique(p))
    for cut in [*display.thresholds, 0.0, 0.123, 0.5, 1.0]:
        decided = p >= cut
        expected = {
            "precision": precision_score(truth, decided, zero_division=np.nan),
            "recall": recall_score(truth, decided),
            "f1": f1_score(truth, decided),
        }
        assert display.scores_at(cut) == pytest.approx(expected, nan_ok=True)
    assert display.scores_at(display.threshold)["f1"] == display.f1.max()
    assert (display.n_positive, display.n_negative) == (truth.sum(), (1 - truth).sum())


def test_curves_are_drawn_as_steps_down_to_the_next_threshold(predictions):
    display = ThresholdDisplay.from_predictions(
        *predictions, category="0", threshold=[0.25, 0.5, 0.5]
    )
    upright, *lines = display.ax_.lines
    assert_allclose(upright.get_xdata(), 0.25)
    for name, curve, dot in zip(
        ("precision", "recall", "f1"), lines[::2], lines[1::2], strict=True
    ):
        assert curve.get_drawstyle() == "steps-pre"
        assert_allclose(curve.get_xdata(), [0, *display.thresholds])
        scores = getattr(display, name)
        assert_allclose(curve.get_ydata(), [scores[0], *scores])
        assert_allclose(dot.get_xydata(), [[0.25, display.scores_at(0.25)[name]]])
    assert len({curve.get_linestyle() for curve in lines[::2]}) == 3
    recall = display.scores_at(0.25)["recall"]
    assert legend(display)[1] == f"recall: {recall:.2f}"
    assert display.ax_.get_legend().get_title().get_text() == "at 0.25"


def test_a_threshold_above_all_decides_nothing():
    display = ThresholdDisplay.from_predictions(
        [[0], [1]], [[0.1], [0.6]], threshold=0.9
    )
    assert legend(display) == ["precision: undefined", "recall: 0.00", "F1: 0.00"]
    assert_within_the_figure(display.ax_)


def test_one_dimensional_targets_have_thresholds(rng):
    y = np.array(["no", "yes"])[rng.integers(0, 2, 40)]
    proba = rng.random(40)
    display = ThresholdDisplay.from_predictions(y, proba, threshold=0.5)
    expected = recall_score(y, np.where(proba >= 0.5, "yes", "no"), pos_label="yes")
    assert display.scores_at(0.5)["recall"] == pytest.approx(expected)


def test_long_and_foreign_names_are_not_cut_off(predictions):
    names = ["Ähnlichkeit " * 20, "$x^{bad$", "c"]
    for name in names:
        display = ThresholdDisplay.from_predictions(
            *predictions, categories=names, category=name
        )
        assert_within_the_figure(display.ax_)
    display = ReliabilityDisplay.from_predictions(
        *predictions, categories=names, category=names[0]
    )
    assert_within_the_figure(display.ax_)


def test_wrong_thresholds_are_refused(predictions):
    y, proba = predictions
    draw = ThresholdDisplay.from_predictions
    with pytest.raises(ValueError, match=r"one of 3 categories; got None.* '0', '1'"):
        draw(y, proba)
    with pytest.raises(ValueError, match=r"`threshold` must lie in \[0, 1\]"):
        draw(y, proba, category="0", threshold=1.5)
    with pytest.raises(ValueError, match=r"one per category, shape \(3,\)"):
        draw(y, proba, category="0", threshold=[0.5, 0.5])
    y[y[:, 0] == 1, 0] = np.nan
    with pytest.raises(ValueError, match=r"known positives of category '0'; got none"):
        draw(y, proba, category="0")
    with pytest.raises(ValueError, match="`recall` must hold one score per threshold"):
        ThresholdDisplay(
            [0.5], [1], [1, 1], [1], threshold=0.5, category="", n_positive=1,
            n_negative=1,
        )  # fmt: skip
    assert plt.get_fignums() == []
