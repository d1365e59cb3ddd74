"""The metrics over known labels against scikit-learn's, and their scorers."""

import re
import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from optional import optional
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    log_loss,
    roc_auc_score,
)
from sklearn.model_selection import GridSearchCV, cross_validate

from cftlearn.exceptions import UndefinedCategoryWarning
from cftlearn.metrics import (
    neg_partial_log_loss_scorer,
    partial_average_precision_score,
    partial_average_precision_scorer,
    partial_f1_score,
    partial_f1_scorer,
    partial_log_loss,
    partial_roc_auc_score,
    partial_roc_auc_scorer,
)

pd = optional("pandas")

NAN = np.nan
METRICS = {
    "roc_auc": (partial_roc_auc_score, roc_auc_score),
    "average_precision": (partial_average_precision_score, average_precision_score),
    "log_loss": (partial_log_loss, log_loss),
    "f1": (partial_f1_score, f1_score),
}
by_metric = pytest.mark.parametrize("name", METRICS)
by_ranking = pytest.mark.parametrize("name", ["roc_auc", "average_precision"])


@pytest.fixture
def problem(rng):
    """Return full labels, the same half hidden, and probabilities with ties."""
    y = (rng.random((200, 4)) < [0.1, 0.3, 0.5, 0.8]).astype(np.float64)
    proba = np.round(np.clip(0.3 * y + 0.7 * rng.random(y.shape), 0, 1), 2)
    hidden = np.where(rng.random(y.shape) < 0.5, NAN, y)
    return y, hidden, proba


def answer(name, proba):
    """Return what the metric asks for: decisions to F1, probabilities to the others."""
    return (proba >= 0.5).astype(np.float64) if name == "f1" else proba


# --- oracle -----------------------------------------------------------------------


@by_metric
def test_each_category_is_scored_on_its_known_rows(name, problem):
    ours, reference = METRICS[name]
    _, y, proba = problem
    scores = answer(name, proba)
    values = ours(y, scores, average=None)
    for j in range(y.shape[1]):
        known = ~np.isnan(y[:, j])
        expected = reference(y[known, j], scores[known, j])
        assert_allclose(values[j], expected, rtol=0, atol=1e-12)
    assert_allclose(ours(y, scores), values.mean(), rtol=0, atol=1e-12)
    assert isinstance(ours(y, scores), float)


@pytest.mark.parametrize("average", ["macro", "micro", "weighted", None], ids=str)
@pytest.mark.parametrize("name", ["roc_auc", "average_precision", "f1"])
def test_averages_equal_scikit_learn_where_all_is_known(name, average, problem):
    ours, reference = METRICS[name]
    y, _, proba = problem
    scores = answer(name, proba)
    expected = reference(y, scores, average=average)
    assert_allclose(ours(y, scores, average=average), expected, rtol=0, atol=1e-12)


def test_averages_of_the_log_loss(problem):
    _, y, proba = problem
    per_category = partial_log_loss(y, proba, average=None)
    n_positive = (y == 1).sum(axis=0)
    weighted = np.sum(per_category * n_positive) / n_positive.sum()
    assert_allclose(partial_log_loss(y, proba, average="weighted"), weighted)
    known = ~np.isnan(y)
    pooled = log_loss(y[known], proba[known])
    assert_allclose(partial_log_loss(y, proba, average="micro"), pooled)


@by_metric
def test_micro_pools_the_known_labels(name, problem):
    ours, reference = METRICS[name]
    _, y, proba = problem
    scores = answer(name, proba)
    known = ~np.isnan(y)
    expected = reference(y[known], scores[known])
    value = ours(y, scores, average="micro")
    assert isinstance(value, float)
    assert_allclose(value, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_log_loss_clips_certain_mistakes_as_scikit_learn_does(dtype):
    y, proba = np.array([1, 0, 1]), np.array([0, 1, 1], dtype=dtype)
    expected = log_loss(y, proba)
    assert np.isfinite(expected)
    assert_allclose(partial_log_loss(y, proba), expected, rtol=1e-6)
    table = partial_log_loss(y.reshape(-1, 1), proba.reshape(-1, 1))
    assert_allclose(table, expected, rtol=1e-6)


def test_single_precision_scores_are_not_rounded():
    y = np.array([[0.0], [1.0]])
    scores = np.array([[1.0], [np.nextafter(np.float32(1), np.float32(2))]], np.float32)
    assert partial_roc_auc_score(y, scores) == 1.0


@by_ranking
def test_raw_logits_rank_as_their_probabilities(name, problem):
    ours, _ = METRICS[name]
    _, y, proba = problem
    logits = np.log((proba + 0.01) / (1.01 - proba))
    assert ours(y, logits) == ours(y, proba)


# --- what hidden labels may change -------------------------------------------------


@by_metric
def test_scores_of_unknown_cells_do_not_matter(name, problem):
    ours, _ = METRICS[name]
    _, y, proba = problem
    scores = answer(name, proba)
    changed = np.where(np.isnan(y), 1 - scores, scores)
    for average in ("macro", "micro", "weighted"):
        before, after = (ours(y, s, average=average) for s in (scores, changed))
        assert after == before


@by_metric
def test_hiding_labels_of_one_category_leaves_the_others_alone(name, problem):
    ours, _ = METRICS[name]
    y, hidden, proba = problem
    scores = answer(name, proba)
    partly = y.copy()
    partly[:, 1] = hidden[:, 1]
    before, after = (ours(table, scores, average=None) for table in (y, partly))
    assert_array_equal(after[[0, 2, 3]], before[[0, 2, 3]])
    assert after[1] != before[1]


@by_metric
def test_permuted_categories_permute_the_values(name, problem):
    ours, _ = METRICS[name]
    _, y, proba = problem
    scores = answer(name, proba)
    order = [2, 0, 3, 1]
    values = ours(y, scores, average=None)
    permuted = ours(y[:, order], scores[:, order], average=None)
    assert_array_equal(permuted, values[order])


@by_metric
def test_the_input_is_not_changed(name, problem):
    ours, _ = METRICS[name]
    _, y, proba = problem
    for array in (y, scores := answer(name, proba)):
        array.flags.writeable = False
    before = y.copy(), scores.copy()
    ours(y, scores)
    assert_array_equal(y, before[0])
    assert_array_equal(scores, before[1])


# --- undefined categories ----------------------------------------------------------

UNDEFINED = pd.DataFrame(
    {
        "cat": [1, 0, 1, 0],
        "dog": [1, 1, NAN, NAN],
        "cow": [0, NAN, 0, 0],
        "ape": [NAN, NAN, NAN, NAN],
        "hen": [0, 1, NAN, 1],
    }
)
ANSWERS = np.tile([[1.0], [0.0], [0.0], [1.0]], (1, 5))


@by_metric
@pytest.mark.parametrize("average", ["macro", "weighted", None], ids=str)
def test_undefined_categories_are_named_once_and_left_out(name, average):
    ours, _ = METRICS[name]
    with pytest.warns(UndefinedCategoryWarning) as records:
        value = ours(UNDEFINED, ANSWERS, average=average)
    assert len(records) == 1
    message = (
        r"is undefined for 3 of 5 categories, because they have no known positive or "
        r"no known negative: 'dog', 'cow', 'ape'\. Their score is NaN and they are "
        r"left out"
    )
    assert re.search(message, str(records[0].message))
    assert records[0].filename == __file__
    defined = ours(UNDEFINED[["cat", "hen"]], ANSWERS[:, [0, 4]], average=average)
    if average is None:
        assert_array_equal(np.isnan(value), [False, True, True, True, False])
        assert_array_equal(value[[0, 4]], defined)
    else:
        assert value == defined


@by_metric
def test_micro_needs_no_category_with_both_classes(name):
    ours, reference = METRICS[name]
    y = np.array([[1, 0], [1, 0], [NAN, 0]])
    scores = np.array([[1, 0], [0, 1], [0, 0.0]])
    known = ~np.isnan(y)
    expected = reference(y[known], scores[known])
    assert_allclose(ours(y, scores, average="micro"), expected, rtol=0, atol=1e-12)


@by_metric
@pytest.mark.parametrize("average", ["macro", "micro", "weighted", None], ids=str)
@pytest.mark.parametrize("label", [0.0, 1.0, NAN], ids=str)
def test_all_undefined_is_nan(name, average, label):
    ours, _ = METRICS[name]
    y = np.full((3, 2), label)
    with pytest.warns(
        UndefinedCategoryWarning, match="for 2 of 2.*'0', '1'"
    ) as records:
        value = ours(y, np.ones((3, 2)), average=average)
    assert len(records) == 1
    assert records[0].filename == __file__
    assert np.isnan(value).all()
    assert np.shape(value) == ((2,) if average is None else ())


def test_a_long_list_of_undefined_categories_is_cut():
    with pytest.warns(UndefinedCategoryWarning, match=r"25 of 25.*'9' and 15 more\."):
        partial_roc_auc_score(np.ones((4, 25)), np.ones((4, 25)))


def test_torchmetrics_reading_of_one_class_as_zero_is_not_ours():
    """Torchmetrics counts a category without negatives as 0 in the macro mean."""
    y, scores = np.array([[1, 1], [0, 1]]), np.array([[0.9, 0.5], [0.1, 0.5]])
    with pytest.warns(UndefinedCategoryWarning, match="'1'"):
        assert partial_roc_auc_score(y, scores) == 1.0


# --- frames and 1-D targets ---------------------------------------------------------


def test_frames_are_read_by_position_and_must_agree_in_their_columns(problem):
    _, y, proba = problem
    names = list("abcd")
    y_frame, score_frame = (pd.DataFrame(t, columns=names) for t in (y, proba))
    expected = partial_roc_auc_score(y, proba)
    assert partial_roc_auc_score(y_frame, score_frame) == expected
    assert partial_roc_auc_score(y_frame.astype("Int8"), proba) == expected
    assert partial_roc_auc_score(y, score_frame) == expected
    shuffled = score_frame[["b", "a", "c", "d"]]
    message = r"same order; got \['b', 'a', 'c', 'd'\] for .*y_score\[y_true\.columns\]"
    with pytest.raises(ValueError, match=message):
        partial_roc_auc_score(y_frame, shuffled)
    assert partial_roc_auc_score(y_frame, shuffled[y_frame.columns]) == expected


@by_metric
def test_other_containers_give_the_same_values(name, problem):
    ours, _ = METRICS[name]
    _, y, proba = problem
    scores = answer(name, proba)
    integers = np.nan_to_num(y, nan=-1).astype(np.int8)
    expected = ours(y, scores)
    assert ours(torch.tensor(y), torch.tensor(scores)) == expected
    assert ours(integers, scores.tolist()) == expected
    assert ours(integers.tolist(), scores.astype(object)) == expected


@pytest.mark.parametrize(
    "classes",
    [("no", "yes"), (-1, 1), (-1.0, 1.0), (1, 2), (False, True), (0, 1)],
    ids=str,
)
@by_metric
def test_one_dimensional_targets_have_any_two_classes(name, classes, problem):
    ours, reference = METRICS[name]
    truth = problem[0][:, 2]
    y = np.array(classes)[truth.astype(int)]
    decided = answer(name, problem[2])[:, 2]
    expected = reference(truth, decided)
    given = np.array(classes)[decided.astype(int)] if name == "f1" else decided
    assert_allclose(ours(y, given), expected, rtol=0, atol=1e-12)
    assert_allclose(ours(pd.Series(y), pd.Series(given)), expected, rtol=0, atol=1e-12)
    assert_allclose(ours(y, given, average=None), [expected], rtol=0, atol=1e-12)


def test_probabilities_that_look_like_classes_stay_probabilities():
    """A certain probability 1.0 is no label of the classes 1 and 2."""
    y, proba = [1, 2, 2, 2], [1.0, 1.0, 1.0, 1.0]
    expected = log_loss(np.array(y) == 2, proba)
    assert_allclose(partial_log_loss(y, proba), expected)


def test_a_one_dimensional_target_with_one_class_is_undefined():
    for y_pred in (["a", "a"], ["a", "b"], [7, 7]):
        with pytest.warns(UndefinedCategoryWarning, match="F1 is undefined for 1 of 1"):
            assert np.isnan(partial_f1_score(["a", "a"], y_pred))
    with pytest.warns(
        UndefinedCategoryWarning, match="ROC AUC is undefined for 1 of 1"
    ):
        assert np.isnan(partial_roc_auc_score([1, 1], [0.2, 0.3]))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0, 1, 2], "multiclass with 3 classes"),
        ([0.0, 1.0, NAN], r"contains NaN.*np\.reshape\(y_true, \(-1, 1\)\)"),
        (["a", None, "b"], "y_true contains NaN"),
        ([0.0, 1.0, np.inf], "y_true contains infinity"),
    ],
    ids=["three classes", "NaN", "None", "inf"],
)
@by_metric
def test_other_one_dimensional_targets_are_refused(name, y, message):
    with pytest.raises(ValueError, match=message):
        METRICS[name][0](y, [0, 1, 0])


# --- refusals -----------------------------------------------------------------------


@by_metric
@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ((3, 3), "Score the rows and categories of y_true, in their order"),
        ((4,), "Score the rows"),
        ((2, 4, 2), r"np\.column_stack\(\[p\[:, 1\] for p in proba\]\)"),
    ],
    ids=["other table", "vector", "list of arrays"],
)
def test_scores_of_another_shape_are_refused(name, shape, hint):
    message = rf"shape of `y_true`, \(4, 2\); got {re.escape(str(shape))}\. .*{hint}"
    y = np.array([[0, 1], [1, 0], [0, 1], [1, 0]])
    with pytest.raises(ValueError, match=message):
        METRICS[name][0](y, np.zeros(shape))


def test_the_calls_named_for_other_shapes_work():
    X = np.linspace(-1, 1, 8).reshape(-1, 1)
    y = np.array([0, 0, 1, 0, 1, 0, 1, 1])
    proba = LogisticRegression().fit(X, y).predict_proba(X)
    with pytest.raises(ValueError, match=r"\(8, 2\)\. Use y_score\[:, 1\], the prob"):
        partial_roc_auc_score(y, proba)
    with pytest.raises(ValueError, match=r"\(8, 2\)\. Use y_score\[:, 1:\], the prob"):
        partial_roc_auc_score(y.reshape(-1, 1), proba)
    expected = roc_auc_score(y, proba[:, 1])
    assert partial_roc_auc_score(y, proba[:, 1]) == expected
    assert partial_roc_auc_score(y.reshape(-1, 1), proba[:, 1:]) == expected
    table = np.column_stack([p[:, 1] for p in [proba, proba]])
    assert partial_roc_auc_score(np.column_stack([y, y]), table) == expected


def test_a_list_of_arrays_of_different_shapes_is_refused():
    message = r"got parts of different shapes\. A list of arrays from predict_proba"
    with pytest.raises(ValueError, match=message):
        partial_roc_auc_score(np.eye(2), [np.zeros((2, 2)), np.zeros((2, 1))])


@by_metric
@pytest.mark.parametrize("value", [NAN, np.inf, -np.inf], ids=str)
def test_scores_must_be_finite_also_where_the_label_is_unknown(name, value):
    scores = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, value]])
    y = np.array([[0, 1], [1, 0], [1, NAN]])
    message = rf"must be finite numbers; got {value} in row 2, column 1 \(1 such cell\)"
    with pytest.raises(ValueError, match=message):
        METRICS[name][0](y, scores)


def test_a_missing_score_in_one_dimension_is_refused():
    with pytest.raises(ValueError, match="finite numbers; got nan in row 1"):
        partial_roc_auc_score([0, 1], [0.5, None])


@by_ranking
def test_text_is_no_score(name):
    with pytest.raises(TypeError, match=r"`y_score` must hold real numbers; got text"):
        METRICS[name][0](["a", "b"], ["a", "b"])


@pytest.mark.parametrize("y", [[[0.0], [1.0]], [0, 1]], ids=["table", "1-D"])
@pytest.mark.parametrize("values", [[-0.1, 0.5], [0.3, 1.5]], ids=["below", "above"])
def test_logits_are_no_probabilities(y, values):
    scores = np.reshape(values, np.shape(y))
    message = rf"\[0, 1\]; got values from {values[0]} to {values[1]}\..*expit"
    with pytest.raises(ValueError, match=message):
        partial_log_loss(y, scores)


def test_probabilities_are_no_decisions():
    message = r"`y_pred` must hold decisions 0 or 1; got 0\.3\. .*y_proba >= threshold"
    with pytest.raises(ValueError, match=message):
        partial_f1_score([[0.0], [1.0]], [[0.3], [1.0]])


@pytest.mark.parametrize(
    ("y", "decisions", "shown"),
    [
        (["a", "b"], ["a", "maybe"], "'maybe'"),
        ([0, 1], [0.3, 1.0], "0.3"),
        ([0, 1], [0.0, NAN], "nan"),
        ([0, 1], ["0", "1"], "'0'"),
        ([1, 1], [2, 3], "2"),
    ],
    ids=["text", "probability", "NaN", "other type", "one class"],
)
def test_decisions_in_one_dimension_are_the_classes(y, decisions, shown):
    message = rf"must hold the classes of `y_true`; got {re.escape(shown)}\. Turn"
    with pytest.raises(ValueError, match=message):
        partial_f1_score(y, decisions)


@by_metric
@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        ([[0.0], [-1.0]], ValueError, r"`y_true` must hold 0.*got -1\.0.*resolve_lab"),
        ([[0.0], [2.0]], ValueError, r"`y_true` must hold 0.*cross_val_predict"),
        ([[0], [0, 1]], ValueError, "`y_true` must be a rectangular table"),
        (sparse.csr_matrix(np.eye(2)), TypeError, "`y_true` must be dense"),
        (np.ma.MaskedArray([[0.0], [1.0]]), TypeError, "`y_true` must be a plain"),
        (np.ma.MaskedArray([0, 1], [True, False]), TypeError, "must be a plain"),
    ],
    ids=["-1", "2", "ragged", "sparse", "masked", "masked 1-D"],
)
def test_labels_that_are_not_accepted_are_refused(name, y, error, message):
    with pytest.raises(error, match=message):
        METRICS[name][0](y, np.zeros((2, 1)))


@by_metric
@pytest.mark.parametrize("average", ["samples", "Macro", "", 1], ids=repr)
def test_other_averages_are_refused(name, average):
    with pytest.raises(
        ValueError, match=r"The 'average' parameter .* must be a str among"
    ):
        METRICS[name][0]([[0], [1]], [[0], [1]], average=average)


# --- scorers ------------------------------------------------------------------------

SCORERS = {
    "roc_auc": partial_roc_auc_scorer,
    "average_precision": partial_average_precision_scorer,
    "log_loss": neg_partial_log_loss_scorer,
    "f1": partial_f1_scorer,
}


SIGNS = {"roc_auc": 1, "average_precision": 1, "log_loss": -1, "f1": 1}


class OnlyProbabilities(ClassifierMixin, BaseEstimator):
    """Takes the first features for logits, and NaN in ``y``."""

    def __init__(self, sign=1.0):
        self.sign = sign

    def fit(self, X, y):
        self.n_categories_ = y.shape[1]
        self.classes_ = np.tile([0, 1], (self.n_categories_, 1))
        return self

    def _logits(self, X):
        return self.sign * X[:, : self.n_categories_]

    def predict_proba(self, X):
        return 1 / (1 + np.exp(-self._logits(X)))

    def predict(self, X):
        return (self._logits(X) > 0).astype(np.int64)


class Logits(OnlyProbabilities):
    """Has a ``decision_function`` too."""

    def decision_function(self, X):
        return self._logits(X)


def partly_known(rng, n_categories):
    X = rng.standard_normal((60, 3))
    y = (X[:, :n_categories] + rng.standard_normal((60, n_categories)) > 0).astype(
        float
    )
    return X, np.where(rng.random(y.shape) < 0.3, NAN, y)


SPLITS = [(np.arange(0, 30), np.arange(30, 60)), (np.arange(30, 60), np.arange(0, 30))]


@pytest.mark.parametrize("n_categories", [1, 2, 3])
@pytest.mark.parametrize("kind", [Logits, OnlyProbabilities])
def test_scorers_work_in_cross_validate(kind, n_categories, rng):
    X, y = partly_known(rng, n_categories)
    found = cross_validate(
        kind(), X, y, cv=SPLITS, scoring=SCORERS, error_score="raise"
    )
    for fold, (_, test) in enumerate(SPLITS):
        logits = X[test, :n_categories]
        for name, sign in SIGNS.items():
            given = logits > 0 if name == "f1" else 1 / (1 + np.exp(-logits))
            expected = sign * METRICS[name][0](y[test], given)
            assert_allclose(found[f"test_{name}"][fold], expected, atol=1e-12)


def test_scorers_rank_logits_where_there_are_any():
    """Probabilities of large logits are ties; the logits are not."""
    X, y = np.array([[100.0], [200.0]]), np.array([[0.0], [1.0]])
    assert partial_roc_auc_scorer(OnlyProbabilities().fit(X, y), X, y) == 0.5
    assert partial_roc_auc_scorer(Logits().fit(X, y), X, y) == 1.0


@pytest.mark.parametrize("name", SCORERS)
def test_scorers_prefer_the_better_estimator(name, rng):
    X, y = partly_known(rng, 3)
    search = GridSearchCV(
        Logits(), {"sign": [-1.0, 1.0]}, cv=SPLITS, scoring=SCORERS[name]
    )
    assert search.fit(X, y).best_params_ == {"sign": 1.0}


@pytest.mark.parametrize("classes", [("no", "yes"), (-1, 1)], ids=str)
def test_scorers_score_ordinary_binary_classifiers(classes, rng):
    X = rng.standard_normal((60, 3))
    y = np.array(classes)[(X[:, 0] + rng.standard_normal(60) > 0).astype(int)]
    model = LogisticRegression().fit(X, y)
    positive = model.predict_proba(X)[:, 1]
    expected = {
        "roc_auc": roc_auc_score(y, positive),
        "average_precision": average_precision_score(y, positive, pos_label=classes[1]),
        "log_loss": -log_loss(y, positive),
        "f1": f1_score(y, model.predict(X), pos_label=classes[1]),
    }
    for name, scorer in SCORERS.items():
        assert_allclose(scorer(model, X, y), expected[name], atol=1e-12)


def test_a_fold_without_known_positives_warns_and_is_nan(rng):
    X, y = partly_known(rng, 2)
    y[30:] = np.where(y[30:] == 1, NAN, y[30:])
    with warnings.catch_warnings(record=True) as records:
        warnings.simplefilter("always")
        found = cross_validate(
            Logits(), X, y, cv=SPLITS[:1], scoring=partial_roc_auc_scorer
        )
    assert [r.category for r in records] == [UndefinedCategoryWarning]
    assert np.isnan(found["test_score"]).all()
