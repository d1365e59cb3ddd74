"""A category without a known label: not predicted, in one way everywhere."""

import csv
import io
import json
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from cftlearn import (
    CategoryWiseFineTuner,
    CFTClassifier,
    CFTEnsemble,
    load_model,
    save_model,
)
from cftlearn.calibration import CategoryCalibrator, tune_thresholds
from cftlearn.datasets import make_partial_multilabel
from cftlearn.ensemble import augmented_scores
from cftlearn.exceptions import UndefinedCategoryWarning
from cftlearn.metrics import (
    bootstrap_intervals,
    compare_scores,
    partial_f1_score,
    partial_log_loss,
    partial_roc_auc_score,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore::cftlearn.exceptions.UndefinedCategoryWarning"
)
X, Y, FULL = make_partial_multilabel(150, known=0.7, random_state=0)
X = X.astype(np.float32)
Y, FULL = Y[:, :3].copy(), FULL[:, :3]
Y[:, 1] = np.nan
NETWORK = nn.Linear(20, 3)
NO_REFIT = CategoryWiseFineTuner(refit=False)
SILENT = np.array([False, True, False])


def network(**parameters):
    return CFTClassifier(NETWORK, max_epochs=2, random_state=0, **parameters)


def plain(**parameters):
    return CFTClassifier(random_state=0, **parameters)


def ensemble(**parameters):
    members = [("a", CFTClassifier()), ("b", CategoryWiseFineTuner("proximal"))]
    return CFTEnsemble(members, random_state=0, **parameters)


MODELS = {
    "plain": plain(),
    "ignore": plain(unknown="ignore"),
    "calibrated": plain(calibration="sigmoid"),
    "isotonic": plain(calibration=CategoryCalibrator("isotonic", min_isotonic=5)),
    "cross-fitted": plain(fine_tuner=CategoryWiseFineTuner(cross_fit=2)),
    "gradient": plain(fine_tuner=CategoryWiseFineTuner("bce")),
    "two networks": network(),
    "one network": network(retrain=False),
    "second network": network(retrain=True, unknown="negative"),
    "rounds": network(rounds=2),
    "cross-fitted network": network(fine_tuner=CategoryWiseFineTuner(cross_fit=2)),
    "mean": ensemble(),
    "logits": ensemble(combine="logit_mean", weights="greedy"),
    "ranks": ensemble(combine="rank_mean", weights=[1, 0]),
}


@pytest.mark.parametrize("name", MODELS)
def test_predictions_say_so(name, tmp_path):
    model = MODELS[name].fit(X, Y)
    logits = model.decision_function(X)
    np.testing.assert_array_equal(np.isnan(logits), np.tile(SILENT, (150, 1)))
    assert np.isfinite(model.score(X, FULL))
    if name != "ranks":
        assert (np.isnan(model.predict_proba(X)) == SILENT).all()
        decided = model.predict(X)
        assert decided.dtype == np.int64
        assert (decided[:, 1] == -1).all()
        assert set(np.unique(decided[:, ~SILENT])) <= {0, 1}
    if isinstance(model, CFTClassifier):
        assert [line["status"] == "unlabelled" for line in model.report_] == [*SILENT]
        outputs = model.to_torch()(torch.from_numpy(X)).detach().numpy()
        np.testing.assert_allclose(outputs, logits, atol=1e-4)
        assert np.isnan(model.decision_function(X, initial=True)[:, 1]).all()
    save_model(model, tmp_path / "model")
    module = NETWORK if getattr(model, "module_", None) is not None else None
    loaded = load_model(tmp_path / "model", module=module)
    np.testing.assert_allclose(loaded.decision_function(X), logits, rtol=1e-6)


def test_one_warning_names_them():
    y = Y.copy()
    y[:, 2] = np.where(y[:, 2] == 1, np.nan, y[:, 2])
    with pytest.warns(UndefinedCategoryWarning) as caught:
        model = plain().fit(X, y)
    assert [line["status"] for line in model.report_[1:]] == ["unlabelled", "skipped"]
    texts = [str(each.message) for each in caught]
    assert texts[0].startswith("1 category has no known label to fit: '1'.")
    assert texts[1].startswith("1 category lacks known labels and keeps its initial")
    assert {each.filename for each in caught} == {__file__}


@pytest.mark.parametrize("one_class", [0.0, 1.0])
def test_labels_of_one_class_are_enough_to_be_predicted(one_class):
    y = np.where(one_class == Y, Y, np.nan)
    y[:, [0, 2]] = Y[:, [0, 2]]
    y[:3, 1] = one_class
    assert np.isfinite(plain().fit(X, y).decision_function(X)).all()


def test_weights_that_were_trained_elsewhere_stay():
    coef, bias = np.ones((3, 20)), np.zeros(3)
    tuner = CategoryWiseFineTuner(coef_init=coef, intercept_init=bias, random_state=0)
    assert np.isfinite(tuner.fit(X, Y).transform(X)).all()
    assert tuner.report_[1]["status"] == "skipped"
    model = network(train=False).fit(X[:100], Y[:100], X_val=X[100:], y_val=Y[100:])
    assert np.isfinite(model.decision_function(X)).all()


@pytest.mark.parametrize(
    ("model", "is_learned"),
    [
        (plain(fine_tuner=NO_REFIT), False),
        (plain(), True),
        (network(retrain=False, fine_tuner=NO_REFIT), False),
        (network(fine_tuner=NO_REFIT), True),
    ],
)
def test_labels_that_only_choose_teach_nothing(model, is_learned):
    """Unless a refit, or a network that is trained again, fits them too."""
    model.fit(X[:100], Y[:100], X_val=X[100:], y_val=FULL[100:])
    assert np.isfinite(model.decision_function(X)[:, 1]).all() == is_learned


def test_a_member_without_scores_does_not_count():
    whole, silent = plain().fit(X, FULL), plain().fit(X, Y)
    members = [("whole", whole), ("silent", silent)]
    for combine in ("mean", "logit_mean", "rank_mean"):
        for weights in (None, "greedy"):
            model = CFTEnsemble(members, prefit=True, combine=combine, weights=weights)
            scores = model.fit(X, FULL).decision_function(X)
            assert np.isfinite(scores).all()
            if combine != "rank_mean":
                alone = whole.decision_function(X)
                np.testing.assert_allclose(scores[:, 1], alone[:, 1], atol=1e-9)
            if weights:
                np.testing.assert_array_equal(model.weights_[:, 1], [1.0, 0.0])
    model = CFTEnsemble(members, prefit=True, weights=[0, 1]).fit(X, FULL)
    assert np.isnan(model.decision_function(X)[:, 1]).all()
    model = CFTEnsemble(members, prefit=True, combine="logit_mean").fit(X, FULL)
    coef, bias = model.linear_rows()
    np.testing.assert_allclose(X @ coef.T + bias, model.decision_function(X))


def test_a_partly_missing_score_of_a_member_is_an_error():
    class Broken(CategoryWiseFineTuner):
        def transform(self, Z):
            logits = super().transform(Z)
            logits[3, 0] = np.nan
            return logits

    model = CFTEnsemble([("a", Broken(random_state=0))])
    with pytest.raises(ValueError, match="one finite score per row"):
        model.fit(X, FULL).decision_function(X)


def test_a_calibrator_passes_them_on():
    logits = plain().fit(X, Y).decision_function(X)
    for labels in (Y, FULL):
        calibrator = CategoryCalibrator().fit(logits, labels)
        assert calibrator.report_[1]["method"] is None
        assert (np.isnan(calibrator.transform(logits)) == SILENT).all()
        with pytest.raises(ValueError, match="NaN"):
            calibrator.transform(np.where(logits > 0, logits, np.nan))
    logits[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        CategoryCalibrator().fit(logits, Y)


def test_metrics_leave_them_out():
    model = plain().fit(X, Y)
    proba, decided = model.predict_proba(X), model.predict(X)
    kept = ~SILENT
    with pytest.warns(UndefinedCategoryWarning, match="1 of 3 categories have no sco"):
        score = partial_roc_auc_score(FULL, proba)
    assert score == partial_roc_auc_score(FULL[:, kept], proba[:, kept])
    with pytest.warns(UndefinedCategoryWarning, match="no scores: '1'") as caught:
        micro = partial_log_loss(FULL, proba, average="micro")
    assert caught[0].filename == __file__
    assert micro == partial_log_loss(FULL[:, kept], proba[:, kept], average="micro")
    f1 = partial_f1_score(FULL, decided, average=None)
    expected = partial_f1_score(FULL[:, kept], decided[:, kept], average=None)
    np.testing.assert_array_equal(f1, [expected[0], np.nan, expected[1]])
    line = bootstrap_intervals(FULL, proba, n_resamples=5)[1]
    assert np.isnan(line["estimate"])
    other = np.nan_to_num(proba, nan=0.5)
    for pair in ((proba, other), (other, proba)):
        assert np.isnan(compare_scores(FULL, *pair, n_resamples=5)[1]["difference"])
    assert np.isfinite(tune_thresholds(FULL, proba)).all()
    assert np.isnan(augmented_scores(model, X, [lambda X: X])[:, 1]).all()


@pytest.mark.parametrize("row", [0, 149])
def test_a_partly_missing_score_is_an_error(row):
    proba = plain().fit(X, Y).predict_proba(X)
    proba[row, 0] = np.nan
    with pytest.raises(ValueError, match=f"got nan in row {row}, column 0"):
        partial_roc_auc_score(FULL, proba)


def test_no_known_label_at_all_is_refused():
    nothing = np.full((150, 3), np.nan)
    for model in (plain(), network(), CategoryWiseFineTuner(), ensemble()):
        with pytest.raises(ValueError, match="`y` must hold a known label; got none"):
            model.fit(X, nothing)
    with pytest.raises(ValueError, match="got none among 450 cells"):
        CategoryCalibrator().fit(X[:, :3], nothing)


def test_the_command_line_says_unknown():
    from cftlearn.cli import _prediction as _predict

    rows = [("a.png", np.array([0.25, np.nan]))]
    layout = _predict.Layout(["cat", "dog"], np.array([0.2, 0.5]), False)
    texts = {}
    for form, write in _predict._WRITERS.items():
        texts[form] = io.StringIO()
        write(rows, layout, texts[form])
    assert texts["text"].getvalue() == "a.png\ncat: 0.2500 positive\ndog: unknown\n"
    assert list(csv.reader(texts["csv"].getvalue().splitlines()))[1] == [
        "a.png",
        "0.25",
        "",
        "cat",
    ]
    (item,) = json.loads(texts["json"].getvalue())
    assert item["probabilities"] == {"cat": 0.25, "dog": None}


def test_an_empty_cell_of_a_score_table_is_no_score(tmp_path):
    from cftlearn.cli._score_table import ScoreTable

    path = tmp_path / "scores.csv"
    path.write_text("path,cat,dog\na.png,0.5,\n")
    values = ScoreTable.read(path).values
    np.testing.assert_array_equal(values, [[0.5, np.nan]])


def test_no_warning_where_all_are_labelled():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = plain().fit(X, FULL)
        model.score(X, FULL)
