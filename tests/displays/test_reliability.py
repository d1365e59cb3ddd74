"""Reliability diagrams of known labels only, also from estimators."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from optional import optional
from scipy.special import expit
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cftlearn import CategoryWiseFineTuner, CFTClassifier, CFTEnsemble
from cftlearn.displays import ReliabilityDisplay, ThresholdDisplay

pd = optional("pandas")
plt = optional("matplotlib.pyplot")

pytestmark = pytest.mark.usefixtures("closed_figures")
NAMES = ["cat", "dog", "bat"]


@pytest.fixture
def predictions(partial_problem, rng):
    """Labels of which some are unknown, and their probabilities."""
    _, y, y_full = partial_problem
    return y, expit(2 * y_full - 1 + rng.standard_normal(y.shape))


@pytest.fixture
def model(partial_problem):
    Z, y, _ = partial_problem
    model = CFTClassifier(threshold=[0.2, 0.3, 0.4], random_state=0)
    return model.fit(Z, pd.DataFrame(y, columns=NAMES))


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


# --------------------------------------------------------------- ReliabilityDisplay
@pytest.mark.parametrize("strategy", ["quantile", "uniform"])
@pytest.mark.parametrize("category", [None, "1"])
def test_reliability_is_that_of_known_labels(predictions, strategy, category):
    y, proba = predictions
    display = ReliabilityDisplay.from_predictions(
        y, proba, category=category, n_bins=7, strategy=strategy
    )
    columns = slice(None) if category is None else [1]
    known = ~np.isnan(y[:, columns])
    cells = y[:, columns][known], proba[:, columns][known]
    prob_true, prob_pred = calibration_curve(*cells, n_bins=7, strategy=strategy)
    assert_allclose(display.prob_true, prob_true)
    assert_allclose(display.prob_pred, prob_pred)
    assert display.count.sum() == known.sum()
    line = display.ax_.containers[0].lines[0]
    assert_allclose(line.get_xydata(), np.column_stack([prob_pred, prob_true]))


def test_intervals_are_wilsons(predictions):
    display = ReliabilityDisplay.from_predictions(*predictions, confidence=0.9)
    for share, n, ends in zip(
        display.prob_true, display.count, display.interval.T, strict=True
    ):
        result = binomtest(round(share * n), int(n))
        expected = result.proportion_ci(0.9, method="wilson")
        assert_allclose(ends, expected, atol=1e-12)
    (bars,) = display.ax_.containers[0].lines[2]
    drawn = np.array([segment[:, 1] for segment in bars.get_segments()])
    assert_allclose(drawn, display.interval.T)


def test_counts_are_drawn_below_the_diagram(predictions):
    display = ReliabilityDisplay.from_predictions(*predictions, strategy="uniform")
    bars = display.ax_.containers[1]
    heights = np.array([bar.get_height() for bar in bars])
    assert_allclose(heights / heights.max(), display.count / display.count.max())
    assert all(bar.get_y() + bar.get_height() < 0 for bar in bars)
    assert_allclose([bar.get_x() for bar in bars], display.edges[0])
    most = f"at most {display.count.max():,}"
    assert most in display.ax_.get_xlabel()
    assert display.ax_.get_yticks().min() == 0


def test_the_legend_says_whose_labels(predictions):
    y, proba = predictions
    n_known = (~np.isnan(y)).sum(axis=0)
    pooled = ReliabilityDisplay.from_predictions(y, proba)
    assert legend(pooled)[1] == f"{n_known.sum()} known labels of\n3 categories pooled"
    one = ReliabilityDisplay.from_predictions(
        y, proba, category="$x^{bad$", categories=["cat", "$x^{bad$", "_bat"]
    )
    assert legend(one)[1] == f"{n_known[1]} known labels of\n$x^{{bad$"
    assert_within_the_figure(one.ax_)


@pytest.mark.parametrize("strategy", ["quantile", "uniform"])
def test_equal_probabilities_are_one_bin(strategy):
    display = ReliabilityDisplay.from_predictions(
        [[0], [1], [1], [None]], np.full((4, 1), 0.5), strategy=strategy
    )
    assert display.count.tolist() == [3]
    assert_allclose(display.prob_true, 2 / 3)
    display.ax_.figure.canvas.draw()


def test_wrong_reliability_is_refused(predictions):
    y, proba = predictions
    draw = ReliabilityDisplay.from_predictions
    with pytest.raises(ValueError, match=r"probabilities in \[0, 1\]; got values from"):
        draw(y, 4 * proba - 2)
    with pytest.raises(ValueError, match=r"`category` must name .* got 'cow'\. There"):
        draw(y, proba, category="cow")
    with pytest.raises(ValueError, match=r"'n_bins' parameter .* must be an int"):
        draw(y, proba, n_bins=0)
    with pytest.raises(ValueError, match="got 2 names for 3 columns"):
        draw(y, proba, categories=["a", "b"])
    y[:, 0] = np.nan
    with pytest.raises(ValueError, match="must hold known labels; got none of 0"):
        draw(y, proba, category="0")
    with pytest.raises(ValueError, match=r"`interval` must have shape \(2, 1\)"):
        ReliabilityDisplay([0.5], [0.5], [2], [0.5], [[0], [1]])
    assert plt.get_fignums() == []


# ------------------------------------------------------------------ ThresholdDisplay


# --------------------------------------------------------------------- from_estimator
def test_classifiers_draw_their_probabilities(model, partial_problem):
    Z, _, y_full = partial_problem
    display = ThresholdDisplay.from_estimator(model, Z, y_full, category="dog")
    assert display.threshold == 0.3
    assert display.category == "dog"
    proba = model.predict_proba(Z)[:, 1]
    assert_allclose(display.thresholds, np.unique(proba))
    decided = model.predict(Z)[:, 1]
    at = display.scores_at(0.3)
    assert at["f1"] == pytest.approx(f1_score(y_full[:, 1], decided))
    pooled = ReliabilityDisplay.from_estimator(model, Z, y_full, n_bins=4)
    expected = calibration_curve(
        y_full.ravel(), model.predict_proba(Z).ravel(), n_bins=4, strategy="quantile"
    )
    assert_allclose([pooled.prob_true, pooled.prob_pred], expected)


def test_fine_tuners_draw_theirs(partial_problem):
    Z, y, y_full = partial_problem
    tuner = CategoryWiseFineTuner("bce", random_state=0).fit(Z, y)
    display = ThresholdDisplay.from_estimator(tuner, Z, y_full, category=2)
    assert_allclose(display.thresholds, np.unique(expit(tuner.transform(Z))[:, 2]))
    assert display.scores_at(display.threshold)["f1"] == display.f1.max()


@pytest.mark.parametrize(
    "estimator",
    [
        CFTClassifier(random_state=0),
        CFTEnsemble(n_estimators=1, random_state=0),
        make_pipeline(StandardScaler(), CFTClassifier(random_state=0)),
        LogisticRegression(),
    ],
    ids=["classifier", "ensemble", "pipeline", "foreign"],
)
def test_binary_estimators_draw_the_second_class(partial_problem, estimator):
    Z, _, y_full = partial_problem
    y = np.where(y_full[:, 0] == 1, "yes", "no")
    estimator.fit(Z, y)
    display = ThresholdDisplay.from_estimator(estimator, Z, y)
    assert_allclose(display.thresholds, np.unique(estimator.predict_proba(Z)[:, 1]))


def test_ranks_are_no_probabilities(model, partial_problem):
    Z, y, y_full = partial_problem
    ensemble = CFTEnsemble([("a", model)], combine="rank_mean", prefit=True).fit(
        Z, pd.DataFrame(y, columns=NAMES)
    )
    with pytest.raises(TypeError, match="must have predict_proba; got CFTEnsemble"):
        ReliabilityDisplay.from_estimator(ensemble, Z, y_full)


def test_axes_of_ones_own(predictions):
    figure, (left, right) = plt.subplots(1, 2)
    plt.figure()
    current = plt.gcf()
    assert ReliabilityDisplay.from_predictions(*predictions, ax=left).ax_ is left
    display = ThresholdDisplay.from_predictions(*predictions, category="0", ax=right)
    assert display.ax_ is right
    assert plt.gcf() is current
    assert len(plt.get_fignums()) == 2
    assert figure.axes == [left, right]
