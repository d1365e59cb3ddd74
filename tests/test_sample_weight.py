"""Weights of labels in the estimators: what they mean, and that they are passed on."""

import pickle

import numpy as np
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from cftlearn import (
    CategoryWiseFineTuner,
    CFTClassifier,
    CFTEnsemble,
    load_model,
    save_model,
)
from cftlearn.calibration import (
    CategoryCalibrator,
    held_out_predictions,
    tune_thresholds,
)
from cftlearn.datasets import make_partial_multilabel
from cftlearn.ensemble import select_members
from cftlearn.metrics import partial_roc_auc_score, partial_roc_auc_scorer
from cftlearn.model_selection import PartialLabelKFold
from cftlearn.solvers import GeneticSolver, GradientSolver
from cftlearn.training import NetworkTrainer

X, Y, _ = make_partial_multilabel(
    240, n_features=8, n_categories=3, known=0.5, random_state=0
)
RNG = np.random.default_rng(1)
W = RNG.choice([0.0, 0.5, 1.0, 3.0], size=Y.shape)
HIDDEN = np.where(W > 0, Y, np.nan)
BINARY = (X[:, 0] + RNG.standard_normal(240) > 0).astype(int)

TUNERS = {
    "auto": CategoryWiseFineTuner(),
    "auto without refit": CategoryWiseFineTuner(refit=False),
    "cross-fit": CategoryWiseFineTuner(cross_fit=3),
    "proximal": CategoryWiseFineTuner("proximal"),
    "bce": CategoryWiseFineTuner(GradientSolver(max_epochs=16)),
    "ga": CategoryWiseFineTuner(GeneticSolver(n_generations=4)),
    "ga alone": CategoryWiseFineTuner(GeneticSolver(n_generations=4, pooled=False)),
    "list": CategoryWiseFineTuner(
        [GradientSolver(max_epochs=8), GeneticSolver(n_generations=2)],
        objective="average_precision",
    ),
}


def network(**parameters):
    module = nn.Sequential(nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 3))
    return CFTClassifier(module, max_epochs=2, device="cpu", **parameters)


ESTIMATORS = {
    **TUNERS,
    "classifier": CFTClassifier(),
    "calibrated": CFTClassifier(unknown="ignore", calibration="sigmoid"),
    "classifier, cross-fit": CFTClassifier(
        fine_tuner=CategoryWiseFineTuner(cross_fit=3)
    ),
    "network": network(),
    "network, Negative mode": network(unknown="negative", retrain=True),
    "network, rounds": network(rounds=2, trainer=NetworkTrainer(pos_weight="balanced")),
    "network, cross-fit": network(fine_tuner=CategoryWiseFineTuner(cross_fit=2)),
    "ensemble": CFTEnsemble(n_estimators=2),
    "greedy": CFTEnsemble(n_estimators=2, weights="greedy", combine="logit_mean"),
}
estimators = pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)
tuners = pytest.mark.parametrize("tuner", TUNERS.values(), ids=TUNERS)
pytestmark = pytest.mark.filterwarnings(
    "ignore::cftlearn.exceptions.UndefinedCategoryWarning"
)


def fitted(estimator, y, weight=None, X=X, **others):
    model = clone(estimator).set_params(random_state=0)
    return model.fit(X, y, sample_weight=weight, **others)


def scores_of(model, X=X):
    has_proba = hasattr(model, "predict_proba")
    return model.predict_proba(X) if has_proba else model.transform(X)


# --------------------------------------------------------------------- what they mean
@estimators
@pytest.mark.parametrize(
    "ones", [np.ones(240), np.ones(Y.shape)], ids=["rows", "cells"]
)
def test_weights_of_one_are_no_weights(estimator, ones):
    plain, weighted = fitted(estimator, Y), fitted(estimator, Y, ones)
    assert_array_equal(scores_of(weighted), scores_of(plain))


@estimators
def test_a_weight_of_zero_is_an_unknown_label(estimator):
    weighted, hidden = fitted(estimator, Y, W), fitted(estimator, HIDDEN, W)
    assert_array_equal(scores_of(weighted), scores_of(hidden))
    for line, other in zip(weighted.report_, hidden.report_, strict=True):
        line, other = (
            {k: v for k, v in own.items() if k != "seconds"} for own in (line, other)
        )
        assert str(line) == str(other)


@estimators
def test_a_weight_of_zero_or_one_is_an_unknown_label_or_none(estimator):
    weighted = fitted(estimator, Y, (W > 0).astype(float))
    assert_array_equal(scores_of(weighted), scores_of(fitted(estimator, HIDDEN)))


@estimators
def test_weights_change_the_model(estimator):
    weighted, plain = fitted(estimator, HIDDEN, W), fitted(estimator, HIDDEN)
    assert not np.allclose(scores_of(weighted), scores_of(plain), rtol=1e-3)


# Of a network see the next test.
@pytest.mark.parametrize(
    "estimator",
    [own for own in ESTIMATORS.values() if getattr(own, "module", None) is None],
    ids=[
        name for name, own in ESTIMATORS.items() if getattr(own, "module", None) is None
    ],
)
def test_a_factor_of_a_categorys_weights_changes_nothing(estimator):
    factor = np.array([7.0, 0.2, 1.0])
    one, other = fitted(estimator, Y, W), fitted(estimator, Y, W * factor)
    assert_allclose(scores_of(one), scores_of(other), rtol=1e-4, atol=1e-6)


def test_in_a_network_a_category_may_count_more():
    """Its loss is one of all categories; only a factor of all changes nothing."""

    own = network(retrain=False)

    def logits(weight):
        model = fitted(own, Y, weight)
        return model.decision_function(X, initial=True)

    assert_allclose(logits(7 * W), logits(W), rtol=1e-3, atol=1e-5)
    factor = np.array([7.0, 0.2, 1.0])
    assert not np.allclose(logits(W * factor), logits(W), rtol=1e-2)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10_000))
def test_only_weights_of_known_labels_matter(seed):
    rng = np.random.default_rng(seed)
    weight = np.where(np.isnan(Y), rng.choice([np.nan, -1.0, 1e9], Y.shape), W)
    one, other = (fitted(CategoryWiseFineTuner(), Y, own) for own in (weight, W))
    assert_array_equal(one.coef_, other.coef_)


# A greedy ensemble draws the rows that choose among all rows.
@pytest.mark.parametrize(
    "name", sorted(n for n in ESTIMATORS if n != "greedy" and "network" not in n)
)
def test_a_row_of_a_binary_target_of_weight_zero_is_left_out(name):
    estimator, weight = ESTIMATORS[name], W[:, 0]
    rows = weight > 0
    weighted = fitted(estimator, BINARY, weight)
    other = fitted(estimator, BINARY[rows], weight[rows], X[rows])
    assert_array_equal(scores_of(weighted), scores_of(other))


def test_a_row_of_weight_zero_trains_no_network():
    module = nn.Sequential(nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 1))
    model, weight = CFTClassifier(module, max_epochs=2, device="cpu"), W[:, 0]
    rows = weight > 0
    weighted = fitted(model, BINARY, weight, X.astype(np.float32))
    other = fitted(model, BINARY[rows], weight[rows], X[rows].astype(np.float32))
    assert_array_equal(weighted.predict_proba(X), other.predict_proba(X))


def test_held_out_predictions_are_of_the_rows_that_were_passed():
    model = fitted(CFTClassifier(calibration="sigmoid"), BINARY, W[:, 0])
    y_true, y_proba = held_out_predictions(model)
    judged = ~np.isnan(y_true[:, 0])
    assert y_true.shape == y_proba.shape == (240, 1)
    assert_array_equal(y_true[judged, 0], BINARY[judged])
    assert (W[judged, 0] > 0).all()


def test_labels_that_mislead_can_be_weighed_down():
    rng = np.random.default_rng(3)
    truth = (X[:, :2] > 0).astype(float)
    wrong = rng.random(truth.shape) < 0.4
    y = np.where(wrong, 1 - truth, truth)
    sure = np.where(wrong, 0.05, 1.0)
    plain, weighted = (
        partial_roc_auc_score(truth, fitted(CategoryWiseFineTuner(), y, w).transform(X))
        for w in (None, sure)
    )
    assert weighted > plain + 0.02


# ------------------------------------------------------------- labels that only judge
@tuners
def test_the_reported_score_is_weighted(tuner):
    model = fitted(tuner, Y, W)
    for j, line in enumerate(model.report_):
        rows, y, logits, weight = model.held_out_.columns[j]
        assert_allclose(weight / weight[0], W[rows, j] / W[rows[0], j])
        scored = partial_roc_auc_score if line["metric"] == "roc_auc" else None
        if scored is not None:
            expected = scored(
                y[:, None].astype(float), logits[:, None], sample_weight=weight
            )
            assert line["roc_auc_after"] == pytest.approx(expected, abs=1e-9)
            assert line["roc_auc_after_low"] <= line["roc_auc_after"]


@pytest.mark.parametrize("same_rows", [False, True], ids=["other rows", "same rows"])
@pytest.mark.parametrize("kind", [CategoryWiseFineTuner, CFTClassifier, network])
def test_validation_rows_have_weights_of_their_own(kind, same_rows):
    first = np.arange(240) < 160
    if same_rows:
        y, y_val = (
            np.where(first[:, None], Y, np.nan),
            np.where(first[:, None], np.nan, Y),
        )
        parts = X, y, W, X, y_val, W
    else:
        parts = X[first], Y[first], W[first], X[~first], Y[~first], W[~first]
    rows, y, weight, rows_val, y_val, weight_val = parts
    hidden_val = np.where(weight_val > 0, y_val, np.nan)
    model = kind()
    models = [
        fitted(
            model, y, weight, rows, X_val=rows_val, y_val=own, sample_weight_val=given
        )
        for own, given in ((y_val, weight_val), (hidden_val, weight_val), (y_val, None))
    ]
    assert_array_equal(models[0].coef_, models[1].coef_)
    assert not np.allclose(models[0].coef_, models[2].coef_, rtol=1e-6)


def test_an_ensemble_chooses_by_weights():
    """One model is right where labels weigh much, the other elsewhere."""
    truth = np.arange(200) % 2 == 0
    heavy = np.arange(200) < 100
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(200)
    scores = [
        np.where(heavy == own, truth + 0.1 * noise, noise) for own in (True, False)
    ]
    table = [np.clip(own, -3, 3)[:, None] for own in scores]
    for weight, expected in ((heavy + 0.01, [1, 0]), (~heavy + 0.01, [0, 1])):
        chosen = select_members(
            truth[:, None].astype(float), table, how="best", sample_weight=weight
        )
        assert_array_equal(chosen[:, 0], expected)


def test_validation_rows_of_an_ensemble_have_weights():
    members = [("one", CFTClassifier()), ("other", CFTClassifier(unknown="ignore"))]
    model = CFTEnsemble(members, weights="greedy")
    first = np.arange(240) < 160
    models = [
        fitted(
            model,
            Y[first],
            W[first],
            X[first],
            X_val=X[~first],
            y_val=own,
            sample_weight_val=W[~first],
        )
        for own in (Y[~first], HIDDEN[~first])
    ]
    assert_array_equal(models[0].weights_, models[1].weights_)


def test_members_get_one_weight_per_row_as_it_was_passed():
    members = [("lr", LogisticRegression()), ("cft", CFTClassifier(random_state=0))]
    model = fitted(CFTEnsemble(members), BINARY, W[:, 0])
    alone = LogisticRegression().fit(X, BINARY, sample_weight=W[:, 0])
    assert_array_equal(model.named_estimators_["lr"].coef_, alone.coef_)


@pytest.mark.parametrize("routing", [False, True])
def test_pipelines_among_members_get_weights(routing):
    with sklearn.config_context(enable_metadata_routing=routing):
        inner, scaler = CFTClassifier(random_state=0), StandardScaler()
        if routing:
            inner.set_fit_request(sample_weight=True)
            scaler.set_fit_request(sample_weight=False)
        model = fitted(CFTEnsemble([("one", make_pipeline(scaler, inner))]), Y, W)
        alone = CFTClassifier(random_state=0).fit(
            StandardScaler().fit_transform(X), Y, sample_weight=W
        )
        own = model.named_estimators_["one"].steps[-1][1]
        assert_array_equal(own.coef_, alone.coef_)


# --------------------------------------------------------------- scores and thresholds
@pytest.mark.parametrize("kind", [CFTClassifier, CFTEnsemble])
def test_score_is_weighted(kind):
    model = fitted(kind(), Y)
    found = model.score(X, Y, sample_weight=W)
    logits = model.decision_function(X)
    assert found == pytest.approx(partial_roc_auc_score(Y, logits, sample_weight=W))
    assert found != model.score(X, Y)
    assert model.score(X, Y, np.ones(240)) == model.score(X, Y)


@pytest.mark.parametrize(
    "metric", ["f1", "f2", "youden", "recall>=0.8", "precision>=0.6"]
)
def test_thresholds_of_integer_weights_are_those_of_repeated_rows(metric):
    proba = np.round(
        np.clip(0.5 * RNG.random(Y.shape) + 0.4 * np.nan_to_num(Y), 0, 1), 2
    )
    counts = RNG.integers(0, 4, 240)
    rows = np.repeat(np.arange(240), counts)
    extra = {"metric": metric, "min_labels": 1, "rare": "default"}
    found = tune_thresholds(Y, proba, sample_weight=counts, **extra)
    assert_allclose(found, tune_thresholds(Y[rows], proba[rows], **extra))
    ones = tune_thresholds(Y, proba, sample_weight=np.ones(240), **extra)
    assert_array_equal(ones, tune_thresholds(Y, proba, **extra))


def test_a_callable_threshold_metric_gets_weights():
    from sklearn.metrics import f1_score

    proba = np.clip(0.5 * RNG.random(Y.shape) + 0.4 * np.nan_to_num(Y), 0, 1)
    extra = {"sample_weight": W, "min_labels": 1}
    assert_allclose(
        tune_thresholds(Y, proba, metric=f1_score, **extra),
        tune_thresholds(Y, proba, **extra),
    )


def test_few_effective_labels_have_no_threshold_of_their_own():
    proba = np.clip(0.5 * RNG.random(Y.shape) + 0.4 * np.nan_to_num(Y), 0, 1)
    weight = np.full(240, 1e-3)
    weight[:8] = 1.0
    _, report = tune_thresholds(Y, proba, sample_weight=weight, return_report=True)
    assert {line["source"] for line in report} == {"pooled"}
    assert "effective labels of the rarer class, fewer than 10" in report[0]["reason"]


@pytest.mark.parametrize(
    "calibrator",
    [
        CategoryCalibrator(),
        CategoryCalibrator(shrinkage=0, prevalence=0.3),
        CategoryCalibrator("isotonic", min_isotonic=1),
    ],
    ids=str,
)
def test_calibration_by_integer_weights_is_that_by_repeated_rows(calibrator):
    logits = 2 * np.nan_to_num(Y) + RNG.standard_normal(Y.shape)
    counts = RNG.integers(0, 4, 240)
    rows = np.repeat(np.arange(240), counts)
    found = clone(calibrator).fit(logits, Y, counts).transform(logits)
    expected = clone(calibrator).fit(logits[rows], Y[rows]).transform(logits)
    assert_allclose(found, expected, rtol=1e-6)
    hidden = np.where(counts[:, None] > 0, Y, np.nan)
    again = clone(calibrator).fit(logits, hidden, counts).transform(logits)
    assert_array_equal(found, again)
    plain = clone(calibrator).fit(logits, Y)
    ones = clone(calibrator).fit(logits, Y, np.ones(240))
    assert_array_equal(ones.transform(logits), plain.transform(logits))


# ------------------------------------------------------------------- passed by routing
@pytest.fixture
def routed():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def asks_for_weights(model):
    model.set_fit_request(sample_weight=True)
    return model.set_score_request(sample_weight=True)


@pytest.mark.usefixtures("routed")
@pytest.mark.parametrize("kind", [CFTClassifier, CFTEnsemble])
def test_a_pipeline_passes_weights_on(kind):
    small = {"n_estimators": 1} if kind is CFTEnsemble else {}
    model = asks_for_weights(kind(random_state=0, **small))
    scaler = StandardScaler().set_fit_request(sample_weight=False)
    pipeline = make_pipeline(scaler, model).fit(X, Y, sample_weight=W)
    scaled = StandardScaler().fit_transform(X)
    alone = clone(model).fit(scaled, Y, sample_weight=W)
    assert_array_equal(pipeline.decision_function(X), alone.decision_function(scaled))
    expected = alone.score(scaled, Y, sample_weight=W)
    assert pipeline.score(X, Y, sample_weight=W) == expected
    assert pipeline.score(X, Y) == alone.score(scaled, Y)


@pytest.mark.usefixtures("routed")
def test_cross_validation_slices_weights_of_cells_by_folds():
    scorer = partial_roc_auc_scorer.set_score_request(sample_weight=True)
    done = cross_validate(
        asks_for_weights(CFTClassifier(random_state=0)),
        X,
        Y,
        cv=PartialLabelKFold(2),
        scoring=scorer,
        params={"sample_weight": W},
        return_indices=True,
    )
    for k, found in enumerate(done["test_score"]):
        train, test = done["indices"]["train"][k], done["indices"]["test"][k]
        model = CFTClassifier(random_state=0).fit(
            X[train], Y[train], sample_weight=W[train]
        )
        assert found == model.score(X[test], Y[test], sample_weight=W[test])


@pytest.mark.usefixtures("routed")
def test_a_grid_search_passes_weights_on():
    model = asks_for_weights(CFTClassifier(random_state=0))
    grid = {"unknown": ["negative", "ignore"]}
    search = GridSearchCV(model, grid, cv=PartialLabelKFold(2))
    search.fit(X, Y, sample_weight=W)
    best = clone(model).set_params(**search.best_params_).fit(X, Y, sample_weight=W)
    assert_array_equal(search.best_estimator_.coef_, best.coef_)
    assert search.score(X, Y, sample_weight=W) == best.score(X, Y, sample_weight=W)


@pytest.mark.usefixtures("routed")
def test_a_calibrator_and_a_fine_tuner_can_ask_for_weights():
    tuner = CategoryWiseFineTuner(random_state=0).set_fit_request(sample_weight=True)
    calibrator = CategoryCalibrator().set_fit_request(sample_weight=True)
    both = make_pipeline(tuner, calibrator).fit(X, Y, sample_weight=W)
    alone = CategoryWiseFineTuner(random_state=0).fit(X, Y, sample_weight=W)
    logits = alone.transform(X)
    expected = CategoryCalibrator().fit(logits, Y, sample_weight=W).transform(logits)
    assert_array_equal(both.transform(X), expected)


# ------------------------------------------------------------------ nothing else stays
def test_a_checkpoint_belongs_to_its_weights(tmp_path):
    tuner = CategoryWiseFineTuner(checkpoint=tmp_path / "folder")
    first = fitted(tuner, Y, W)
    assert_array_equal(fitted(tuner, Y, W).coef_, first.coef_)
    with pytest.raises(ValueError, match="sample_weight"):
        fitted(tuner, HIDDEN, 2 * W**2)
    with pytest.raises(ValueError, match="`checkpoint`"):
        fitted(tuner, HIDDEN)


def test_weights_are_not_saved(tmp_path):
    model = fitted(CFTClassifier(), Y, W)
    save_model(model, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    held = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert not any("weight" in name and "sample" in name for name in held)
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_weights_are_not_changed():
    weight, y = W.copy(), Y.copy()
    fitted(CFTClassifier(), y, weight)
    assert_array_equal(weight, W)
    assert_array_equal(y, Y)


@pytest.mark.parametrize("n_jobs", [2])
def test_workers_change_nothing(n_jobs):
    tuner = CategoryWiseFineTuner("proximal", n_jobs=n_jobs)
    one, other = fitted(CategoryWiseFineTuner("proximal"), Y, W), fitted(tuner, Y, W)
    assert_array_equal(one.coef_, other.coef_)


def test_groups_and_weights_go_together():
    groups = np.arange(240) // 2
    one, other = (
        fitted(CategoryWiseFineTuner(), y, W, groups=groups) for y in (Y, HIDDEN)
    )
    assert_array_equal(one.coef_, other.coef_)


@pytest.mark.parametrize(
    "make", [CategoryWiseFineTuner, CFTClassifier, lambda: CFTEnsemble(n_estimators=2)]
)
def test_other_arguments_of_fit_are_refused_as_python_does(make, partial_problem):
    X, y, _ = partial_problem
    match = r"\.fit\(\) got an unexpected keyword argument 'sample_weigth'"
    with pytest.raises(TypeError, match=match):
        make().fit(X, y, sample_weigth=np.ones(len(y)))
