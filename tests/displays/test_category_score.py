"""Figures: what is drawn, on which axes, and what is refused."""

import functools
import importlib

import numpy as np
import pytest
from numpy.testing import assert_allclose
from optional import optional
from sklearn.exceptions import NotFittedError
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import cftlearn.fine_tuning
from cftlearn import CategoryWiseFineTuner, CFTClassifier, CFTEnsemble
from cftlearn.displays import CategoryScoreDisplay, FitnessCurveDisplay
from cftlearn.exceptions import UndefinedCategoryWarning
from cftlearn.metrics import (
    bootstrap_intervals,
    partial_roc_auc_score,
    partial_roc_auc_scorer,
)
from cftlearn.model_selection import PartialLabelKFold
from cftlearn.solvers import GeneticSolver, GradientSolver

pd = optional("pandas")
plt = optional("matplotlib.pyplot")
colors = optional("matplotlib.colors")

pytestmark = pytest.mark.usefixtures("closed_figures")


@pytest.fixture
def predictions(partial_problem, rng):
    """Labels and two sets of scores, the second a better one."""
    _, y, y_full = partial_problem
    noise = rng.standard_normal(y.shape)
    return y, y_full + 2.0 * noise, y_full + 0.5 * noise


@pytest.fixture
def genetic(partial_problem):
    """Return a fine-tuner whose categories ran different numbers of generations."""
    solver = GeneticSolver(n_generations=12, patience=3)
    tuner = CategoryWiseFineTuner(solver, random_state=0)
    return tuner.fit(*partial_problem[:2])


def points(display):
    """Return the places of the scores before and after, from the bottom up."""
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
    assert colors.to_rgba("#D55E00") == tuple(lost.get_facecolor()[0])
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


def many_scores(rng, n_categories=600):
    before, after = rng.random((2, n_categories))
    return [f"category {j}" for j in range(n_categories)], before, after


def test_hundreds_of_categories_are_a_scatter(rng):
    names, before, after = many_scores(rng)
    before[:7] = np.nan
    after[7:10] = np.inf
    ax = CategoryScoreDisplay(names, before, after, "AP").plot().ax_
    ax.figure.canvas.draw()
    not_lower, lower = (dots.get_offsets().data for dots in ax.collections)
    drawn = np.concatenate([not_lower, lower])
    expected = np.column_stack([before, after])[10:]
    assert_allclose(drawn[np.argsort(drawn[:, 1])], expected[np.argsort(after[10:])])
    assert (not_lower[:, 1] >= not_lower[:, 0]).all()
    assert (lower[:, 1] < lower[:, 0]).all()
    assert ax.get_legend().get_title().get_text() == "10 of 600 have no score"
    assert ax.get_xlim() == ax.get_ylim()


def test_the_scatter_names_what_changed_most(rng):
    names, before, after = many_scores(rng)
    ax = CategoryScoreDisplay(names, before, after, "AP").plot().ax_
    order = np.argsort(after - before)
    numbers = {text.get_text(): text.xy for text in ax.texts if hasattr(text, "xy")}
    named = np.concatenate([order[::-1][:5], order[:5]])
    assert list(numbers) == [str(k) for k in range(1, 11)]
    assert_allclose(list(numbers.values()), np.column_stack([before, after])[named])
    (beside,) = (t.get_text() for t in ax.texts if not hasattr(t, "xy"))
    lines = beside.splitlines()
    assert lines[0] == "most gained"
    best = order[-1]
    assert lines[1] == f"1  {names[best]}: {before[best]:.2f} → {after[best]:.2f}"
    assert "most lost" in lines


def test_the_scatter_names_no_gain_as_a_loss():
    names, before, after = ["cat", "dog"], [0.5, 0.6], [0.7, 0.6]
    ax = CategoryScoreDisplay(names, before, after, "AP").plot(kind="scatter").ax_
    (beside,) = (t.get_text() for t in ax.texts if not hasattr(t, "xy"))
    assert beside == "most gained\n1  cat: 0.50 → 0.70"


def test_names_beside_a_scatter_are_within_the_figure(rng):
    names, before, after = many_scores(rng)
    names = [f"{name} " * 20 for name in names]
    ax = CategoryScoreDisplay(names, before, after, "AP").plot().ax_
    assert_within_the_figure(ax)


def test_undefined_categories_are_counted():
    scores = [0.5, np.nan, 0.6]
    ax = CategoryScoreDisplay(list("abc"), scores, scores, "AP").plot().ax_
    assert ax.get_legend().get_title().get_text() == "1 of 3 has no score"
    ax = CategoryScoreDisplay(list("ab"), scores[::2], scores[::2], "AP").plot().ax_
    assert ax.get_legend().get_title().get_text() == ""


@pytest.mark.parametrize("kind", ["rows", "scatter"])
def test_kinds_can_be_chosen(kind):
    scores = np.linspace(0, 1, 3)
    display = CategoryScoreDisplay(list("abc"), scores, scores, "AP").plot(kind=kind)
    assert (display.ax_.get_ylabel() == "category") == (kind == "rows")
    with pytest.raises(ValueError, match=r"`kind` must be .*; got 'bars'"):
        display.plot(kind="bars")


def test_nothing_defined_is_no_scatter_either():
    scores = [np.nan]
    ax = CategoryScoreDisplay(["cat"], scores, scores, "AP").plot(kind="scatter").ax_
    ax.figure.canvas.draw()
    assert ax.get_xlim() == (0.0, 1.0)


@pytest.mark.parametrize("kind", ["rows", "scatter"])
def test_intervals_are_those_of_the_bootstrap(predictions, kind):
    y, before, after = predictions
    display = CategoryScoreDisplay.from_predictions(
        y, before, after, metric="roc_auc", n_resamples=50, random_state=0, kind=kind
    )
    seed = np.random.RandomState(0).randint(2**31 - 1)
    for scores, drawn in (
        (before, display.before_interval),
        (after, display.after_interval),
    ):
        lines = bootstrap_intervals(
            y, scores, metric="roc_auc", n_resamples=50, random_state=int(seed)
        )
        assert_allclose(drawn[0], [line["low"] for line in lines[:-1]])
        assert_allclose(drawn[1], [line["high"] for line in lines[:-1]])
    segments = [
        part.get_segments()
        for part in display.ax_.collections
        if hasattr(part, "get_segments")
    ]
    low, high = display.after_interval
    axis = 0 if kind == "rows" else 1
    drawn = {tuple(s[:, axis]) for part in segments for s in part}
    assert set(zip(low, high, strict=True)) <= drawn


def test_undefined_categories_have_no_interval(predictions):
    y, before, after = predictions
    y[:, 1] = np.nan
    with pytest.warns(UndefinedCategoryWarning, match="undefined for 1") as caught:
        display = CategoryScoreDisplay.from_predictions(
            y, before, after, n_resamples=20, random_state=0
        )
    assert len(caught) == 1
    assert np.isnan(display.after_interval).tolist() == [[False, True, False]] * 2


def test_nothing_known_has_no_scores(predictions):
    y, before, after = predictions
    with pytest.warns(UndefinedCategoryWarning, match="undefined for 3 of 3"):
        display = CategoryScoreDisplay.from_predictions(
            np.full_like(y, np.nan), before, after, n_resamples=20
        )
    assert np.isnan(display.after).all()


def test_intervals_have_two_ends():
    with pytest.raises(ValueError, match=r"lower and their upper ends, shape \(2, 1\)"):
        CategoryScoreDisplay(["a"], [0.1], [0.2], "AP", after_interval=[0.1])


@pytest.mark.parametrize("wrap", [lambda model: model, make_pipeline])
def test_estimators_are_scored_before_and_after(partial_problem, wrap):
    Z, y, y_full = partial_problem
    tuner = CategoryWiseFineTuner("bce", random_state=0).fit(Z, y)
    display = CategoryScoreDisplay.from_estimator(
        wrap(tuner), Z, y_full, metric="roc_auc"
    )
    before = Z @ tuner.coef_init_.T + tuner.intercept_init_
    assert_allclose(display.before, roc_auc_score(y_full, before, average=None))
    expected = roc_auc_score(y_full, tuner.transform(Z), average=None)
    assert_allclose(display.after, expected)
    assert display.categories.tolist() == list(tuner.categories_)


def test_pipelines_and_searches_are_unwrapped(partial_problem):
    Z, y, _ = partial_problem
    names = ["cat", "dog", "bat"]
    labels = pd.DataFrame(y, columns=names)
    model = make_pipeline(StandardScaler(), CFTClassifier(random_state=0))
    search = GridSearchCV(
        model,
        {"cftclassifier__fine_tuner__solver": ["proximal"]},
        cv=PartialLabelKFold(2),
        scoring=partial_roc_auc_scorer,
    ).fit(Z, labels)
    display = CategoryScoreDisplay.from_estimator(search, Z, labels, metric="roc_auc")
    logits = search.best_estimator_.decision_function(Z)
    expected = partial_roc_auc_score(labels, logits, average=None)
    assert_allclose(display.after, expected)
    assert display.categories.tolist() == names


def test_a_network_computes_features_once(
    network_factory, partial_problem, monkeypatch
):
    Z, y, y_full = partial_problem
    Z = Z.astype(np.float32)
    model = CFTClassifier(
        network_factory(), max_epochs=2, batch_size=1, random_state=0
    ).fit(Z, y)
    rows = []
    extract = CFTClassifier._features

    def counted(fitted, inputs):
        rows.append(len(inputs))
        return extract(fitted, inputs)

    monkeypatch.setattr(CFTClassifier, "_features", counted)
    display = CategoryScoreDisplay.from_estimator(model, Z, y_full, metric="roc_auc")
    assert rows == [32, 32, 32, 24]  # each row once, 32 batches of one row at a time
    logits = model.decision_function(Z)
    assert_allclose(display.after, roc_auc_score(y_full, logits, average=None))


def test_binary_targets_of_an_estimator(partial_problem):
    Z, _, y_full = partial_problem
    y = np.where(y_full[:, 0] == 1, "yes", "no")
    model = CFTClassifier(random_state=0).fit(Z, y)
    display = CategoryScoreDisplay.from_estimator(model, Z, y, metric="roc_auc")
    expected = roc_auc_score(y == "yes", model.decision_function(Z))
    assert_allclose(display.after, [expected])


def test_estimators_without_initial_weights_are_refused(partial_problem, quick_tuner):
    Z, y, _ = partial_problem
    draw = CategoryScoreDisplay.from_estimator
    with pytest.raises(NotFittedError, match="not fitted yet"):
        draw(quick_tuner, Z, y)
    ensemble = CFTEnsemble([("a", quick_tuner)]).fit(Z, y)
    with pytest.raises(TypeError, match="got CFTEnsemble, for which CategoryScore"):
        draw(ensemble, Z, y)
    with pytest.raises(TypeError, match="got CFTEnsemble, for which FitnessCurve"):
        FitnessCurveDisplay.from_estimator(ensemble)
    with pytest.raises(ValueError, match="must have the 3 categories that `fit` saw"):
        CategoryScoreDisplay.from_estimator(quick_tuner.fit(Z, y), Z, y[:, :2])
    assert plt.get_fignums() == []


HOSTILE_NAMES = [
    "a broken $x^{bad$ formula",
    "_hidden",
    "Ähnlichkeit Ελληνικά Кириллица",
    "line\nbreak\tand\x00control",
    "left " + "very " * 60 + "right",
    "",
    12,
]


def assert_within_the_figure(ax):
    """Check that nothing that is drawn is cut off."""
    figure = ax.figure
    figure.canvas.draw()
    box = ax.get_tightbbox(figure.canvas.get_renderer())
    width, height = figure.canvas.get_width_height()
    assert box.x0 >= -1
    assert box.y0 >= -1
    assert box.x1 <= width + 1
    assert box.y1 <= height + 1


def test_any_names_can_be_written():
    scores = np.linspace(0.2, 0.8, len(HOSTILE_NAMES))
    ax = CategoryScoreDisplay(HOSTILE_NAMES, scores, scores, "AP").plot().ax_
    assert_within_the_figure(ax)
    ticks = [text.get_text() for text in ax.get_yticklabels()]
    assert ticks[0] == "a broken $x^{bad$ formula"
    assert ticks[2] == "Ähnlichkeit Ελληνικά Кириллица"
    assert ticks[3] == "line break and control"
    assert ticks[4].startswith("left very")
    assert "…" in ticks[4]
    assert ticks[4].endswith("very right")
    assert max(map(len, ticks)) <= 36
    assert ticks[5:] == ["", "12"]


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
        assert_allclose(curve[0], [row["iteration"] for row in rows])
        assert_allclose(curve[1], [row["fitness_best"] for row in rows])
        assert_allclose(curve[2], [row["score_val"] for row in rows])
    assert display.ax_.get_xlabel() == "generation"
    assert display.ax_.get_ylabel() == "roc auc of the best weights"
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
    judged = {tuple(curve[0]) for curve in display.curves.values()}
    assert judged == {(1, 2, 4, 5)}


class Separation:
    """An objective that has no name."""

    def __call__(self, y_true, y_score):
        return float(np.mean(y_score[y_true == 1]) - np.mean(y_score[y_true == 0]))


def named(y_true, y_score):
    return Separation()(y_true, y_score)


@pytest.mark.parametrize(
    ("objective", "label"),
    [
        (named, "named of the best weights"),
        (Separation(), "Separation of the best weights"),
        (functools.partial(named), "partial of the best weights"),
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


def test_curves_of_a_batched_refit(partial_problem, monkeypatch):
    monkeypatch.setattr(
        cftlearn.fine_tuning._solver_names, "batch_device", lambda *_: "cpu"
    )
    solver = GeneticSolver(n_generations=8, patience=3, population_size=10)
    tuner = CategoryWiseFineTuner(solver, random_state=0).fit(*partial_problem[:2])
    display = FitnessCurveDisplay.from_estimator(tuner)
    assert set(display.curves) == {"0", "1", "2"}
    for name, curve in display.curves.items():
        rows = [
            row
            for row in tuner.history_
            if row["category"] == name and row["phase"] == "choose"
        ]
        assert_allclose(curve[0], [row["iteration"] for row in rows])
        assert_allclose(curve[1], [row["fitness_best"] for row in rows])
        assert_allclose(curve[2], [row["score_val"] for row in rows])


def test_hundreds_of_curves_are_bands(rng):
    values = rng.random((600, 2, 5))
    curves = {
        str(j): np.vstack([np.arange(1, 6), part]) for j, part in enumerate(values)
    }
    ax = FitnessCurveDisplay(curves, "AP").plot().ax_
    assert len(ax.lines) == 2
    for part, band in enumerate(ax.collections):
        low, high = np.quantile(values[:, part], (0.1, 0.9), axis=0)
        corners = band.get_paths()[0].vertices
        assert_allclose(corners[:, 1].min(), low.min())
        assert_allclose(corners[:, 1].max(), high.max())
        assert_allclose(ax.lines[part].get_ydata(), values[:, part].mean(axis=0))


@pytest.mark.parametrize(
    "curves", [{}, {"cat": np.zeros((2, 5))}, {"cat": np.zeros((3, 0))}]
)
def test_there_must_be_curves(curves):
    with pytest.raises(ValueError, match=r"`curves` must hold .* got (none|one of)"):
        FitnessCurveDisplay(curves, "AP")


# --------------------------------------------------------------- without matplotlib
@pytest.fixture
def _no_matplotlib(closed_figures, monkeypatch):
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
