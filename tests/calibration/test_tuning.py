"""Thresholds per category: every cut against scikit-learn, ties, conditions."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    balanced_accuracy_score,
    fbeta_score,
    matthews_corrcoef,
    precision_score,
    recall_score,
)

from cftlearn import CFTClassifier
from cftlearn.calibration import held_out_predictions, tune_thresholds
from cftlearn.datasets import make_partial_multilabel
from cftlearn.exceptions import UndefinedCategoryWarning
from cftlearn.metrics import partial_f1_score


def specificity_score(y, decided, **_):
    return recall_score(1 - y, 1 - decided)


def brute_force(y, proba, score):
    """Evaluate every threshold that makes a difference in [0, 1]."""
    cuts = np.unique(np.concatenate([[0.0, 1.0], proba]))
    cuts = np.unique(np.concatenate([cuts, (cuts[1:] + cuts[:-1]) / 2]))
    return max(score(y, (proba >= cut).astype(int)) for cut in cuts)


def at_least(held, free, bound):
    def score(y, decided):
        met = held(y, decided, zero_division=0) >= bound - 1e-12
        return free(y, decided, zero_division=0) if met else -np.inf

    return score


ORACLES = {
    "f1": lambda y, d: fbeta_score(y, d, beta=1, zero_division=0),
    "f2": lambda y, d: fbeta_score(y, d, beta=2, zero_division=0),
    "f0.5": lambda y, d: fbeta_score(y, d, beta=0.5, zero_division=0),
    "youden": lambda y, d: 2 * balanced_accuracy_score(y, d) - 1,
    "recall>=0.9": at_least(recall_score, precision_score, 0.9),
    "precision >= 0.6": at_least(precision_score, recall_score, 0.6),
    "specificity>=.8": at_least(specificity_score, recall_score, 0.8),
}


def samples():
    """Labels of both classes, and probabilities with many ties, 0 and 1."""
    values = st.one_of(
        st.integers(0, 8).map(lambda k: k / 8),
        st.floats(0, 1, allow_subnormal=False),
    )
    pairs = st.lists(st.tuples(st.booleans(), values), min_size=2, max_size=12)
    return pairs.filter(lambda p: len({y for y, _ in p}) == 2)


@pytest.mark.parametrize("metric", ORACLES)
@settings(max_examples=25)
@given(pairs=samples())
def test_no_other_threshold_scores_higher(metric, pairs):
    y = np.array([float(label) for label, _ in pairs])
    proba = np.array([value for _, value in pairs])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        thresholds, report = tune_thresholds(
            y, proba, metric=metric, min_labels=1, return_report=True
        )
        assert 0 <= thresholds[0] <= 1
        best = brute_force(y, proba, ORACLES[metric])
        if best == -np.inf:
            assert report[0]["source"] == "default"
            assert thresholds[0] == 0.5
            return
        reached = ORACLES[metric](y, (proba >= thresholds[0]).astype(int))
    assert reached == pytest.approx(best, abs=1e-12)
    assert report[0]["score"] == pytest.approx(best, abs=1e-12)


@settings(max_examples=10)
@given(pairs=samples())
def test_a_callable_is_maximised_over_all_cuts(pairs):
    y = np.array([float(label) for label, _ in pairs])
    proba = np.array([value for _, value in pairs])
    found = tune_thresholds(y, proba, metric=matthews_corrcoef, min_labels=1)
    reached = matthews_corrcoef(y, proba >= found[0])
    assert reached == pytest.approx(brute_force(y, proba, matthews_corrcoef))


def test_thresholds_lie_midway_and_near_the_default():
    y = np.array([1.0, 1.0, 0.0, 0.0])
    found = tune_thresholds(y, np.array([0.9, 0.8, 0.2, 0.1]), min_labels=1)
    assert found == pytest.approx([0.5])


@pytest.mark.parametrize(("default", "expected"), [(0.1, 0.15), (1.0, 0.8)])
def test_of_equal_cuts_the_nearest_to_the_default_is_taken(default, expected):
    y = np.array([1.0, 0.0, 1.0, 0.0])
    proba = np.array([0.9, 0.7, 0.2, 0.1])
    found = tune_thresholds(y, proba, metric="youden", min_labels=1, default=default)
    assert found == pytest.approx([expected])


def test_neighbouring_floats_are_told_apart():
    low = 0.3
    for _ in range(4):  # midpoints round to one of the two, now and then to the lower
        high = np.nextafter(low, 1)
        found = tune_thresholds([0, 1], np.array([low, high]), min_labels=1)
        assert low < found[0] <= high
        low = high


@pytest.mark.parametrize(
    ("metric", "n_right", "n_wrong"),
    [("recall>=0.9", 9, 0), ("recall>=0.91", 10, 1), ("specificity>=0.9", 10, 1)],
)
def test_a_bound_may_be_met_exactly(metric, n_right, n_wrong):
    y = np.repeat([1.0, 0.0, 1.0, 0.0], [9, 1, 1, 9])
    proba = np.repeat([0.9, 0.2, 0.1, 0.05], [9, 1, 1, 9])
    decided = proba >= tune_thresholds(y, proba, metric=metric, min_labels=1)[0]
    assert (y * decided).sum() == n_right
    assert ((1 - y) * decided).sum() == n_wrong


def test_unknown_labels_have_no_influence(rng):
    y = (rng.random((80, 3)) < 0.4).astype(float)
    proba = rng.random(y.shape)
    hidden = rng.random(y.shape) < 0.4
    partial = np.where(hidden, np.nan, y)
    found = tune_thresholds(partial, proba, min_labels=1)
    changed = np.where(hidden, np.nan, proba)
    np.testing.assert_array_equal(
        found, tune_thresholds(partial, changed, min_labels=1)
    )
    alone = [
        tune_thresholds(y[~own, j], proba[~own, j], min_labels=1)[0]
        for j, own in enumerate(hidden.T)
    ]
    np.testing.assert_array_equal(found, alone)
    order = [2, 0, 1]
    np.testing.assert_array_equal(
        found[order], tune_thresholds(partial[:, order], proba[:, order], min_labels=1)
    )


@pytest.mark.parametrize("rare", ["pooled", "default"])
def test_rare_categories_take_another_threshold_and_are_named(rng, rare):
    y = (rng.random((200, 3)) < 0.3).astype(float)
    proba = np.clip(y * 0.2 + 0.4 * rng.random(y.shape), 0, 1)
    y[:, 1] = np.where(np.arange(200) < 3, 1.0, 0.0)
    y[:, 2] = np.nan
    with pytest.warns(UndefinedCategoryWarning) as caught:
        thresholds, report = tune_thresholds(
            y, proba, rare=rare, default=0.4, return_report=True
        )
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert f"2 of 3 categories have no threshold of their own: '1' ({rare}: 3" in str(
        caught[0].message
    )
    assert [line["source"] for line in report] == ["own", rare, rare]
    expected = 0.4
    if rare == "pooled":
        known = ~np.isnan(y)
        expected = tune_thresholds(y[known], proba[known], default=0.4)[0]
    np.testing.assert_array_equal(thresholds[1:], expected)
    assert np.isnan(report[1]["score"])
    assert report[1]["n_positive"] == 3
    assert report[2]["n_negative"] == 0


def test_a_condition_that_no_cut_meets_leaves_the_default():
    y = np.array([0.0, 1.0, 0.0])
    with pytest.warns(UndefinedCategoryWarning, match="no cut meets the condition"):
        found = tune_thresholds(
            y, np.array([0.9, 0.5, 0.6]), metric="precision>=0.9", min_labels=1
        )
    assert found == [0.5]


def test_no_known_label_at_all_leaves_the_default():
    with pytest.warns(UndefinedCategoryWarning, match="2 of 2 categories"):
        found = tune_thresholds(np.full((5, 2), np.nan), np.full((5, 2), 0.2))
    np.testing.assert_array_equal(found, [0.5, 0.5])


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_one_class_in_all_categories_leaves_the_default(label):
    y, proba = np.full((3, 2), label), np.full((3, 2), 0.2)
    with pytest.warns(UndefinedCategoryWarning, match=r"'0' \(default: 0 known"):
        thresholds, report = tune_thresholds(
            y, proba, min_labels=1, default=0.7, return_report=True
        )
    assert thresholds.tolist() == [0.7, 0.7]
    assert [record["source"] for record in report] == ["default", "default"]


def test_the_cut_above_all_scores_lies_midway_to_one():
    y, proba = [[0.0], [1.0]], [[0.75], [0.25]]
    tune = {"metric": "youden", "min_labels": 1, "default": 0.95}
    assert tune_thresholds(y, proba, **tune) == 0.875
    almost = np.nextafter(1.0, 0.0)
    assert tune_thresholds(y, [[almost], [0.25]], **tune) == 1.0


def test_words_may_be_classes():
    words = np.array(["no", "yes", "no", "yes"])
    proba = np.array([0.1, 0.4, 0.2, 0.3])
    assert tune_thresholds(words, proba, min_labels=1) == pytest.approx([0.25])


@pytest.mark.parametrize(
    "metric", ["accuracy", "f0", "f", "recall>=0", "recall>=1.5", "recall>0.9", "F1"]
)
def test_unknown_metrics_are_refused(metric):
    with pytest.raises(ValueError, match=r"`metric` must be 'f1' or another F-beta"):
        tune_thresholds([0, 1], np.array([0.1, 0.9]), metric=metric)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_callable_must_give_numbers(value):
    with pytest.raises(ValueError, match="`metric` must return one finite number"):
        tune_thresholds(
            [0, 1], np.array([0.1, 0.9]), metric=lambda *_: value, min_labels=1
        )


@pytest.mark.parametrize(
    ("proba", "message"),
    [
        ([[2.0, 0.1], [0.3, 0.4]], r"probabilities in \[0, 1\]"),
        ([[0.2, 0.1], [np.nan, 0.4]], "finite numbers; got nan in row 1, column 0"),
        ([[0.2], [0.4]], r"shape of `y_true`, \(2, 2\)"),
    ],
)
def test_wrong_probabilities_are_refused(proba, message):
    with pytest.raises(ValueError, match=message):
        tune_thresholds([[1.0, 0.0], [0.0, 1.0]], proba)


def test_columns_of_frames_must_agree():
    pandas = pytest.importorskip("pandas")
    y = pandas.DataFrame({"cat": [1.0, 0.0], "dog": [np.nan, 1.0]})
    proba = pandas.DataFrame({"dog": [0.1, 0.9], "cat": [0.1, 0.9]})
    with pytest.raises(ValueError, match="same order"):
        tune_thresholds(y, proba)
    with pytest.warns(UndefinedCategoryWarning, match="'dog'"):
        tune_thresholds(y, proba[["cat", "dog"]], min_labels=1)


def test_a_classifier_decides_better_with_them():
    X, y, full = make_partial_multilabel(4000, known=0.2, random_state=0)
    model = CFTClassifier(calibration="sigmoid", random_state=0).fit(X[:2000], y[:2000])
    thresholds = tune_thresholds(*held_out_predictions(model))
    before = partial_f1_score(full[2000:], model.predict(X[2000:]))
    tuned = model.set_params(threshold=thresholds)
    assert partial_f1_score(full[2000:], tuned.predict(X[2000:])) > before + 0.02


def test_the_report_counts_known_labels(rng):
    y = (rng.random((60, 2)) < 0.4).astype(float)
    y[::3, 1] = np.nan
    _, report = tune_thresholds(y, rng.random(y.shape), return_report=True)
    for j, line in enumerate(report):
        assert line["n_positive"] == np.sum(y[:, j] == 1)
        assert line["n_negative"] == np.sum(y[:, j] == 0)
