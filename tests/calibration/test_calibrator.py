"""Calibration per category: the maps, the estimator, and a classifier that has one."""

import inspect
import pickle
import re
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit, logit
from sklearn.exceptions import NotFittedError
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import cftlearn.fine_tuning
from cftlearn import (
    CategoryWiseFineTuner,
    CFTClassifier,
    CFTEnsemble,
    load_model,
    save_model,
)
from cftlearn.calibration import CategoryCalibrator, held_out_predictions
from cftlearn.calibration._calibrator import calibrate, calibrated_weights
from cftlearn.calibration._maps import (
    KnownScores,
    smoothed_targets,
)
from cftlearn.datasets import make_partial_multilabel
from cftlearn.exceptions import UndefinedCategoryWarning
from cftlearn.metrics import (
    partial_average_precision_score,
    partial_log_loss,
    partial_roc_auc_score,
)
from cftlearn.solvers import GeneticSolver, GradientSolver

METHODS = ("sigmoid", "isotonic")


@pytest.fixture
def scored(rng):
    """Logits that are too sure of themselves, known labels, and all labels."""
    truth = rng.normal(-1.0, 1.5, size=(3000, 4))
    y = (rng.random(truth.shape) < expit(truth)).astype(float)
    hidden = rng.random(y.shape) < 0.5
    return 3.0 * truth + 1.0, np.where(hidden, np.nan, y), y


def problems():
    """Logits and labels of up to four categories; every one has both classes."""

    def with_both_classes(drawn):
        logits, y = drawn
        y = y.copy()
        y[0], y[1] = 1.0, 0.0
        return logits, y

    shapes = st.tuples(st.integers(6, 25), st.integers(1, 4))
    return shapes.flatmap(
        lambda shape: st.tuples(
            arrays(
                np.float64,
                shape,
                elements=st.floats(-30, 30).map(lambda value: round(value, 3)),
            ),
            arrays(np.float64, shape, elements=st.sampled_from([0.0, 1.0, np.nan])),
        )
    ).map(with_both_classes)


# The maps


# The estimator


@pytest.mark.parametrize("method", METHODS)
def test_too_sure_logits_become_right(scored, method):
    X, y, full = scored
    proba = CategoryCalibrator(method).fit(X, y).transform(X)
    before = partial_log_loss(full, expit(X))
    assert partial_log_loss(full, proba) < before - 0.1
    for j in range(4):
        likely = np.abs(proba[:, j] - 0.3) < 0.1
        assert full[likely, j].mean() == pytest.approx(0.3, abs=0.08)


def test_isotonic_is_that_of_scikit_learn(scored):
    X, y, _ = scored
    found = CategoryCalibrator("isotonic").fit(X, y).transform(X)[:, 2]
    known = ~np.isnan(y[:, 2])
    oracle = IsotonicRegression(out_of_bounds="clip").fit(
        X[known, 2],
        smoothed_targets(KnownScores(X[known, 2], y[known, 2] == 1.0)),
    )
    np.testing.assert_allclose(found, oracle.predict(X[:, 2]), rtol=1e-9)
    assert 0 < found.min() < found.max() < 1


def test_isotonic_without_enough_labels_is_a_sigmoid_and_says_so(scored):
    X, y, _ = scored
    y[200:, 1] = np.nan
    calibrator = CategoryCalibrator("isotonic").fit(X, y)
    methods = [line["method"] for line in calibrator.report_]
    assert methods == ["isotonic", "sigmoid", "isotonic", "isotonic"]
    assert "isotonic needs 100 known labels" in calibrator.report_[1]["reason"]
    plain = CategoryCalibrator().fit(X, y)
    assert calibrator.slope_[1] == plain.slope_[1]
    assert np.isnan(calibrator.slope_[[0, 2, 3]]).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_category_without_a_class_stays_as_it_is(scored, method):
    X, y, _ = scored
    y[:, 1] = np.nan
    y[y[:, 3] == 0, 3] = np.nan
    calibrator = CategoryCalibrator(method, prevalence=0.2)
    with pytest.warns(UndefinedCategoryWarning) as caught:
        proba = calibrator.fit(X, y).transform(X)
    assert len(caught) == 1
    text = str(caught[0].message)
    assert "2 categories lack" in text
    assert "'1' (no known label); '3' (no known negative)" in text
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(proba[:, [1, 3]], expit(X[:, [1, 3]]))
    assert [line["method"] for line in calibrator.report_][1::2] == [None, None]


@pytest.mark.parametrize("method", METHODS)
def test_prevalence_shifts_log_odds(scored, method):
    X, y, _ = scored
    prevalence = [0.1, np.nan, 0.9, None]
    plain = CategoryCalibrator(method).fit(X, y)
    moved = CategoryCalibrator(method, prevalence=prevalence).fit(X, y)
    shift = logit(moved.transform(X)) - logit(plain.transform(X))
    for j, wanted in ((0, 0.1), (2, 0.9)):
        expected = logit(wanted) - logit(np.nanmean(y[:, j]))
        np.testing.assert_allclose(shift[:, j], expected, atol=1e-8)
        assert moved.report_[j]["shift"] == pytest.approx(expected)
    np.testing.assert_array_equal(shift[:, [1, 3]], 0.0)


def test_prevalence_repairs_labels_of_which_positives_are_known_more_often(rng):
    truth = rng.normal(-2.0, 1.5, size=(20_000, 2))
    y = (rng.random(truth.shape) < expit(truth)).astype(float)
    known = rng.random(y.shape) < np.where(y == 1, 0.9, 0.1)
    partial = np.where(known, y, np.nan)
    share = y.mean(axis=0)
    off = CategoryCalibrator().fit(truth, partial).transform(truth)
    right = CategoryCalibrator(prevalence=share).fit(truth, partial).transform(truth)
    assert np.abs(off.mean(axis=0) - share).min() > 0.1
    np.testing.assert_allclose(right.mean(axis=0), share, atol=0.02)


@settings(max_examples=50)
@given(problems(), st.sampled_from([0, 10, 1000.0]))
def test_order_and_ranking_metrics_stay(problem, shrinkage):
    X, y = problem
    X = X / 10  # probabilities of greater logits are equal in floating point
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        calibrator = CategoryCalibrator(shrinkage=shrinkage).fit(X, y)
    slope, intercept = calibrator.slope_, calibrator.intercept_
    assert (slope > 0).all()
    assert np.isfinite(slope).all()
    assert np.isfinite(intercept).all()
    logits = slope * X + intercept
    for metric in (partial_roc_auc_score, partial_average_precision_score):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            np.testing.assert_array_equal(
                metric(y, logits, average=None), metric(y, X, average=None)
            )


@settings(max_examples=50)
@given(problems(), st.sampled_from(METHODS))
def test_probabilities_rise_with_logits(problem, method):
    X, y = problem
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        calibrator = CategoryCalibrator(method, min_isotonic=1).fit(X, y)
    grid = np.tile(np.linspace(-40, 40, 101)[:, None], X.shape[1])
    proba = calibrator.transform(grid)
    assert (np.diff(proba, axis=0) >= 0).all()
    assert proba.min() >= 0
    assert proba.max() <= 1


@settings(max_examples=50)
@given(problems(), st.randoms(use_true_random=False))
def test_permuting_categories_permutes_probabilities(problem, random):
    X, y = problem
    order = list(range(X.shape[1]))
    random.shuffle(order)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one = CategoryCalibrator().fit(X, y).transform(X)
        other = CategoryCalibrator().fit(X[:, order], y[:, order])
        np.testing.assert_allclose(
            other.transform(X[:, order]), one[:, order], rtol=1e-4, atol=1e-9
        )


def test_unknown_rows_have_no_influence(scored):
    X, y, _ = scored
    changed = np.where(np.isnan(y), 100.0, X)
    one, other = (CategoryCalibrator().fit(scores, y) for scores in (X, changed))
    np.testing.assert_array_equal(one.slope_, other.slope_)
    np.testing.assert_array_equal(one.intercept_, other.intercept_)


def test_names_come_from_frames(scored):
    pandas = pytest.importorskip("pandas")
    X, y, _ = scored
    names = ["cat", "dog", "Ödem", "cow"]
    frame = pandas.DataFrame(y, columns=names)
    calibrator = CategoryCalibrator().fit(pandas.DataFrame(X, columns=names), frame)
    assert list(calibrator.get_feature_names_out()) == names
    assert [line["category"] for line in calibrator.report_] == names


def test_a_single_target_calibrates_every_column(scored):
    X, _, full = scored
    words = np.where(full[:, 0] == 1, "yes", "no")
    calibrator = CategoryCalibrator(shrinkage=0).fit(X, words)
    both = CategoryCalibrator(shrinkage=0).fit(X, np.tile(full[:, :1], 4))
    np.testing.assert_array_equal(calibrator.transform(X), both.transform(X))
    assert list(calibrator.classes_) == ["no", "yes"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"prevalence": [0.1, 0.2]}, r"one per category, shape \(4,\); got shape"),
        ({"prevalence": [0.1, 0.2, 20, 0.3]}, r"lie in \(0, 1\).*got 20.0.*percent"),
        ({"prevalence": 0.0}, "'prevalence' parameter"),
        ({"method": "temperature"}, "'method' parameter"),
        ({"shrinkage": -1}, "'shrinkage' parameter"),
        ({"min_isotonic": 0}, "'min_isotonic' parameter"),
    ],
)
def test_parameters_are_checked(scored, parameters, message):
    X, y, _ = scored
    with pytest.raises(ValueError, match=message):
        CategoryCalibrator(**parameters).fit(X, y)


def test_scores_must_have_the_categories_of_labels(scored):
    X, y, _ = scored
    with pytest.raises(ValueError, match=r"one column of scores.*got 3 columns for 4"):
        CategoryCalibrator().fit(X[:, :3], y)
    with pytest.raises(ValueError, match="contains NaN"):
        CategoryCalibrator().fit(np.where(X > 0, np.nan, X), y)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        CategoryCalibrator().transform(X)
    fitted = CategoryCalibrator().fit(X, y)
    with pytest.raises(ValueError, match="3 features, but CategoryCalibrator is exp"):
        fitted.transform(X[:, :3])


def test_documented_attributes_are_those_of_a_fitted_calibrator(scored):
    pandas = pytest.importorskip("pandas")
    X, y, _ = scored
    fitted = CategoryCalibrator().fit(pandas.DataFrame(X, columns=list("abcd")), y)
    body = inspect.getdoc(CategoryCalibrator).split("Attributes\n----------\n")[1]
    body = re.split(r"\n\w[\w ]*\n-+\n", body)[0]
    documented = {
        name
        for names in re.findall(r"(?m)^(\w+_(?:, \w+_)*) :", body)
        for name in names.split(", ")
    }
    assert documented == {name for name in vars(fitted) if name.endswith("_")}


# A classifier that has one


def fitted_classifier(calibration, **parameters):
    X, y, full = make_partial_multilabel(1500, known=0.3, random_state=0)
    model = CFTClassifier(calibration=calibration, random_state=0, **parameters)
    return model.fit(X[:900], y[:900]), X[900:], full[900:]


@pytest.mark.parametrize("calibration", METHODS)
def test_a_classifier_is_calibrated_by_its_held_out_labels(calibration):
    chosen = calibration
    if calibration == "isotonic":
        chosen = CategoryCalibrator("isotonic", min_isotonic=5)
    model, X, _ = fitted_classifier(chosen)
    held_out = model.fine_tuner_.held_out_
    expected = CategoryCalibrator(calibration, min_isotonic=5)
    calibrate(expected, held_out, model.categories_, model.classes_, stacklevel=1)
    logits = model.decision_function(X)
    expected.classes_ = model.classes_
    np.testing.assert_array_equal(model.predict_proba(X), expected.transform(logits))
    np.testing.assert_array_equal(model.predict(X), model.predict_proba(X) >= 0.5)
    plain, _, _ = fitted_classifier(None)
    np.testing.assert_array_equal(logits, plain.decision_function(X))
    assert plain.calibrator_ is None
    assert model.score(X, model.predict(X)) == plain.score(X, model.predict(X))


def test_held_out_logits_come_from_fits_without_the_label():
    """A category is scored on noise: what a row has seen, it would know by heart."""
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((120, 60))
    y = (rng.random((120, 3)) < 0.5).astype(float)
    y[rng.random(y.shape) < 0.2] = np.nan
    for solver in ("auto", GradientSolver(max_epochs=50)):
        tuner = CategoryWiseFineTuner(solver, random_state=0).fit(Z, y)
        y_held, proba = held_out_predictions(tuner)
        unseen = partial_roc_auc_score(y_held, np.nan_to_num(proba))
        seen = partial_roc_auc_score(y_held, tuner.transform(Z))
        assert unseen < 0.65, solver
        if (tuner.coef_ != tuner.coef_init_).any():
            assert seen > unseen, solver


@pytest.mark.parametrize("cross_fit", [None, 3])
def test_held_out_probabilities_agree_with_labels(cross_fit):
    """Left-out logits and the row get one bias; they once had it twice."""
    X, y, _ = make_partial_multilabel(1500, known=0.3, random_state=0)
    tuner = CategoryWiseFineTuner(cross_fit=cross_fit, random_state=0).fit(X + 3, y)
    refitted = [line["status"] == "refitted" for line in tuner.report_]
    assert sum(refitted) >= 3
    y_held, proba = (table[:, refitted] for table in held_out_predictions(tuner))
    assert (np.isnan(y_held) == np.isnan(proba)).all()
    shares = np.nanmean(y_held, axis=0)
    np.testing.assert_allclose(np.nanmean(proba, axis=0), shares, atol=0.05)


def test_held_out_predictions_of_kept_categories_are_those_of_the_initial_weights(rng):
    Z = rng.standard_normal((200, 5))
    y = (rng.random((200, 2)) < 0.5).astype(float)
    y_val = np.where(rng.random(y.shape) < 0.5, y, np.nan)
    coef, intercept = rng.standard_normal((2, 5)), np.array([0.3, -0.3])
    solver = GradientSolver(max_epochs=1, learning_rate=1e-12)
    tuner = CategoryWiseFineTuner(
        solver, coef_init=coef, intercept_init=intercept, random_state=0
    ).fit(Z, np.where(np.isnan(y_val), y, np.nan), validation_data=(Z, y_val))
    assert {line["status"] for line in tuner.report_} == {"kept"}
    y_held, proba = held_out_predictions(tuner)
    np.testing.assert_array_equal(y_held, y_val)
    expected = np.where(np.isnan(y_val), np.nan, expit(Z @ coef.T + intercept))
    np.testing.assert_allclose(proba, expected)


def test_auto_scores_a_category_by_the_initial_weights_where_it_keeps_them():
    Z, y, full = make_partial_multilabel(2000, known=0.1, random_state=3)
    others = [LogisticRegression().fit(Z[1000:], labels) for labels in full[1000:].T]
    Z, y = Z[:1000], y[:1000]
    tuner = CategoryWiseFineTuner(
        coef_init=np.concatenate([one.coef_ for one in others]),
        intercept_init=np.concatenate([one.intercept_ for one in others]),
        random_state=0,
    ).fit(Z, y)
    kept = [j for j, line in enumerate(tuner.report_) if line["status"] == "kept"]
    assert kept
    logits = tuner.transform(Z)
    for j in kept:
        own = tuner.held_out_.columns[j]
        np.testing.assert_allclose(own.logits, logits[own.rows, j])


@pytest.mark.parametrize("where", ["batched", "one by one"])
def test_held_out_logits_are_those_of_the_rows_before_the_last_refit(
    where, rng, monkeypatch
):
    Z, y, _ = make_partial_multilabel(400, n_categories=5, known=0.4, random_state=3)
    y[200:, 1] = np.nan  # categories of different sizes
    y_val = np.where(rng.random(y.shape) < 0.3, y, np.nan)
    y[~np.isnan(y_val)] = np.nan
    if where == "batched":  # on torch's CPU, taken for a GPU
        monkeypatch.setattr(
            cftlearn.fine_tuning._solver_names, "batch_device", lambda *_: "cpu"
        )
    # with little patience categories end at different times, and change their slots
    solver = GeneticSolver(
        n_generations=40, population_size=20, patience=2, pooled=False
    )
    chosen, final = (
        CategoryWiseFineTuner(solver, refit=refit, random_state=0).fit(
            Z + 2, y, validation_data=(Z + 2, y_val)
        )
        for refit in (False, True)
    )
    assert any(line["status"] == "refitted" for line in final.report_)
    logits = chosen.transform(Z + 2)
    for tuner in (chosen, final):
        for j, own in enumerate(tuner.held_out_.columns):
            np.testing.assert_array_equal(
                own.rows, np.flatnonzero(~np.isnan(y_val[:, j]))
            )
            np.testing.assert_allclose(own.logits, logits[own.rows, j], rtol=1e-9)


def test_a_single_binary_target_is_calibrated():
    X, _, full = make_partial_multilabel(600, random_state=0)
    words = np.where(full[:, 0] == 1, "yes", "no")
    model = CFTClassifier(calibration="sigmoid", random_state=0).fit(X, words)
    proba = model.predict_proba(X)
    assert proba.shape == (600, 2)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    assert set(model.predict(X)) == {"no", "yes"}
    logits = model.decision_function(X)
    calibrator = model.calibrator_
    expected = expit(calibrator.slope_[0] * logits + calibrator.intercept_[0])
    np.testing.assert_allclose(proba[:, 1], expected)


@pytest.mark.parametrize(
    ("calibration", "message"),
    [
        ("platt", "'calibration' parameter"),
        (CategoryCalibrator(prevalence=[0.1]), r"one per category, shape \(5,\)"),
        (CategoryCalibrator(shrinkage=-1), "'shrinkage' parameter"),
    ],
    ids=["name", "prevalence", "shrinkage"],
)
def test_a_wrong_calibration_is_told_before_the_training(calibration, message):
    X, y, _ = make_partial_multilabel(100, random_state=0)

    def make_network():
        raise AssertionError("the network was made")

    with pytest.raises(ValueError, match=message):
        CFTClassifier(make_network, calibration=calibration).fit(X, y)


def test_a_calibrator_given_is_not_fitted():
    given = CategoryCalibrator()
    model, _, _ = fitted_classifier(given)
    assert not hasattr(given, "slope_")
    assert model.get_params()["calibration__shrinkage"] == 10


def test_a_sigmoid_is_folded_into_the_network():
    model, X, _ = fitted_classifier(CategoryCalibrator(prevalence=0.2))
    network = model.to_torch(calibrated=True)
    with torch.inference_mode():
        logits = network(torch.from_numpy(X).float()).numpy()
        plain = model.to_torch()(torch.from_numpy(X).float()).numpy()
    np.testing.assert_allclose(expit(logits), model.predict_proba(X), atol=1e-5)
    np.testing.assert_allclose(plain, model.decision_function(X), atol=1e-4)


def test_an_isotonic_curve_cannot_be_folded():
    model, _, _ = fitted_classifier(CategoryCalibrator("isotonic", min_isotonic=5))
    with pytest.raises(ValueError, match="5 categories have an isotonic curve"):
        model.to_torch(calibrated=True)
    model.to_torch()


def test_the_onnx_file_gives_calibrated_probabilities(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from cftlearn.networks import export_onnx

    model, X, _ = fitted_classifier("sigmoid")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = export_onnx(model, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(path))
    got = session.run(None, {"input": X.astype(np.float32)})[0]
    np.testing.assert_allclose(got, model.predict_proba(X), atol=1e-4)


@pytest.mark.parametrize(
    "calibration",
    [
        "sigmoid",
        CategoryCalibrator(prevalence=[0.1, np.nan, 0.3, 0.4, 0.5]),
        CategoryCalibrator("isotonic", min_isotonic=5),
    ],
    ids=["sigmoid", "prevalence", "isotonic"],
)
def test_a_calibrated_model_is_saved_and_loaded(tmp_path, calibration):
    model, X, _ = fitted_classifier(calibration)
    loaded = load_model(save_model(model, tmp_path / "model"))
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert str(loaded.calibrator_.report_) == str(model.calibrator_.report_)
    again = load_model(save_model(loaded, tmp_path / "again"))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    with pytest.raises(ValueError, match="fitted in this session or unpickled"):
        held_out_predictions(loaded)
    for one, other in zip(
        held_out_predictions(pickle.loads(pickle.dumps(model))),
        held_out_predictions(model),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_a_model_saved_before_there_was_calibration_is_loaded(tmp_path):
    import json

    model, X, _ = fitted_classifier(None)
    file = save_model(model, tmp_path / "model") / "model.json"
    document = json.loads(file.read_text()) | {"format": 1}
    del document["digest"], document["files"]
    del document["model"]["calibrator_"]
    del document["model"]["params"]["calibration"]
    file.write_text(json.dumps(document))
    loaded = load_model(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


def test_an_ensemble_averages_calibrated_probabilities():
    model, X, _ = fitted_classifier("sigmoid")
    plain, _, _ = fitted_classifier(None)
    together = CFTEnsemble([("one", model), ("two", plain)], prefit=True)
    expected = (model.predict_proba(X) + plain.predict_proba(X)) / 2
    y = make_partial_multilabel(1500, known=0.3, random_state=0)[1]
    Z = make_partial_multilabel(1500, known=0.3, random_state=0)[0]
    together.fit(Z[:900], y[:900])
    np.testing.assert_allclose(together.predict_proba(X), expected, rtol=1e-9)


def test_an_ensemble_sees_calibration_in_a_pipeline():
    X, y, _ = make_partial_multilabel(600, known=0.5, random_state=0)
    member = make_pipeline(
        StandardScaler(), CFTClassifier(calibration="sigmoid", random_state=0)
    ).fit(X, y)
    together = CFTEnsemble([("one", member)], prefit=True).fit(X, y)
    np.testing.assert_allclose(
        together.predict_proba(X), member.predict_proba(X), rtol=1e-9
    )


def test_held_out_predictions_need_a_fitted_model_of_ours():
    with pytest.raises(NotFittedError, match="not fitted yet"):
        held_out_predictions(CFTClassifier())
    other = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    with pytest.raises(TypeError, match="got LogisticRegression"):
        held_out_predictions(other)


def test_a_network_is_calibrated(rng):
    from torch import nn

    X = rng.standard_normal((200, 6)).astype(np.float32)
    y = (X[:, :2] + rng.standard_normal((200, 2)) > 0.5).astype(float)
    y[rng.random(y.shape) < 0.3] = np.nan
    network = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
    model = CFTClassifier(network, calibration="sigmoid", max_epochs=2, random_state=0)
    model.fit(X, y)
    with torch.inference_mode():
        logits = model.to_torch(calibrated=True)(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(expit(logits), model.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("prevalence", [{"a": 0.2}, ["low", "high", "low"]])
def test_prevalence_that_is_no_number(prevalence, rng):
    y = np.tile([[1.0, 0, 1], [0, 1, 0]], (10, 1))
    calibrator = CategoryCalibrator(prevalence=prevalence)
    with pytest.raises((TypeError, ValueError), match=r"`prevalence`|'prevalence'"):
        calibrator.fit(rng.standard_normal(y.shape), y)


# What mutants showed to be unguarded


@pytest.mark.parametrize("n_rarer", [9, 10, 11])
def test_isotonic_needs_so_many_labels_of_the_rarer_class(rng, n_rarer):
    for rarer in (0.0, 1.0):
        y = np.full((40, 2), 1.0 - rarer)
        y[:n_rarer] = rarer
        logits = rng.normal(size=y.shape) + 2 * y
        calibrator = CategoryCalibrator("isotonic", min_isotonic=10).fit(logits, y)
        line = calibrator.report_[0]
        assert line["method"] == ("isotonic" if n_rarer >= 10 else "sigmoid")
        assert line["n_positive"] == y[:, 0].sum()
        assert line["n_negative"] == 40 - y[:, 0].sum()
        if n_rarer < 10:
            assert line["reason"].endswith("of the rarer class; there are 9")
        else:
            assert line["reason"] == "40 known labels"


def test_the_report_has_the_map(scored):
    X, y, _ = scored
    calibrator = CategoryCalibrator(prevalence=[0.1, 0.2, None, 0.4]).fit(X, y)
    for j, line in enumerate(calibrator.report_):
        assert line["category"] == str(j)
        assert line["method"] == "sigmoid"
        assert line["slope"] == calibrator.slope_[j]
        assert line["intercept"] == calibrator.intercept_[j]
        assert line["shift"] == calibrator.shift_[j]
        mapped = line["slope"] * X[:, j] + line["intercept"]
        found = calibrator.transform(X)[:, j]
        np.testing.assert_allclose(found, expit(mapped), rtol=1e-12)
    assert calibrator.shift_[2] == 0.0


@pytest.mark.parametrize("n_missing", [1, 2, 10, 11, 13])
def test_of_many_categories_without_a_class_ten_are_named(rng, n_missing):
    y = np.zeros((20, 14))
    y[:5] = 1.0
    y[:, :n_missing] = 0.0
    with pytest.warns(UndefinedCategoryWarning) as caught:
        CategoryCalibrator().fit(rng.normal(size=y.shape) + y, y)
    text = str(caught[0].message)
    assert text.startswith(
        f"{n_missing} categor{'y' if n_missing == 1 else 'ies'} lack"
    )
    assert text.count("no known positive") == min(n_missing, 10)
    assert f"; and {n_missing - 10} more" in text or n_missing <= 10
    assert ("more." in text) == (n_missing > 10)


@pytest.mark.parametrize("wrong", [0.0, 1.0, -0.5, 2.0])
def test_a_prevalence_lies_strictly_between_0_and_1(scored, wrong):
    prevalence = [0.5, wrong, 0.5, None]
    with pytest.raises(ValueError, match=r"lie in \(0, 1\), .*; got -?\d\S+\. "):
        CategoryCalibrator(prevalence=prevalence).fit(*scored[:2])


def test_held_out_predictions_are_unknown_where_no_label_was_held_out():
    X, y, _ = make_partial_multilabel(random_state=0)
    model = CFTClassifier(random_state=0, calibration=None).fit(X, y)
    y_true, y_proba = held_out_predictions(model)
    np.testing.assert_array_equal(np.isnan(y_true), np.isnan(y_proba))
    for j, own in enumerate(model.fine_tuner_.held_out_.columns):
        np.testing.assert_array_equal(y_proba[own.rows, j], expit(own.logits))
        np.testing.assert_array_equal(y_true[own.rows, j], y[own.rows, j])
        assert np.count_nonzero(~np.isnan(y_true[:, j])) == len(own.rows) > 0


def test_the_first_category_with_a_curve_is_named(scored):
    X, y, _ = scored
    y[200:, :2] = np.nan
    calibrator = CategoryCalibrator("isotonic").fit(X, y)
    message = "2 categories have an isotonic curve, the first '2'"
    with pytest.raises(ValueError, match=message):
        calibrated_weights(np.ones((4, 3)), np.zeros(4), calibrator)


def test_a_series_of_prevalences_goes_by_its_names(scored):
    pandas = pytest.importorskip("pandas")
    X, y, _ = scored
    names = ["cat", "dog", "bat", "hen"]
    named = pandas.Series([0.1, 0.4, np.nan, 0.8], index=names)
    frame = pandas.DataFrame(y, columns=names)
    expected = CategoryCalibrator(prevalence=named.to_numpy()).fit(X, frame)
    for order in (names, names[::-1]):
        found = CategoryCalibrator(prevalence=named[order]).fit(X, frame)
        np.testing.assert_array_equal(found.intercept_, expected.intercept_)
    with pytest.raises(ValueError, match="missing: 'hen'"):
        CategoryCalibrator(prevalence=named[:3]).fit(X, frame)


def test_scores_with_names_stand_in_the_order_of_the_labels(scored):
    pandas = pytest.importorskip("pandas")
    X, y, _ = scored
    names = ["cat", "dog", "bat", "hen"]
    scores, labels = (pandas.DataFrame(t, columns=names) for t in (X, y))
    expected = CategoryCalibrator().fit(X, y).transform(X)
    for fitted in (
        CategoryCalibrator().fit(scores, labels),
        CategoryCalibrator().fit(scores, y),
    ):
        np.testing.assert_array_equal(fitted.transform(scores), expected)
    with pytest.raises(ValueError, match=r"same order.* pass X\[y\.columns\]"):
        CategoryCalibrator().fit(scores[names[::-1]], labels)
    with pytest.raises(ValueError, match="categories of `y`; missing: 'cat'; unexp"):
        CategoryCalibrator().fit(scores.rename(columns={"cat": "cow"}), labels)
    with pytest.raises(ValueError, match=r"pass X\[calibrator\.categories_\]"):
        CategoryCalibrator().fit(X, labels).transform(scores[names[::-1]])
