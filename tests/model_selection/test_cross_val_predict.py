"""Out-of-fold predictions: in order, unchanged labels, refusals."""

import numpy as np
import pytest
import torch
from joblib import parallel_config
from optional import optional
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    ShuffleSplit,
)
from sklearn.model_selection import cross_val_predict as sklearn_cross_val_predict
from sklearn.multioutput import MultiOutputClassifier
from split_parts import Echo, MeanDifference, make_labels, make_problem

from cftlearn.metrics import partial_roc_auc_score
from cftlearn.model_selection import (
    PartialLabelKFold,
    cross_val_predict,
)

pd = optional("pandas")


@pytest.mark.parametrize(
    "cv",
    [None, 3, KFold(4), PartialLabelKFold(4, shuffle=True, random_state=0)],
    ids=["default", "int", "scikit-learn", "shuffled"],
)
@pytest.mark.parametrize(
    "method", ["predict_proba", "decision_function", "predict", "transform"]
)
def test_predictions_are_in_the_order_of_the_rows(cv, method):
    y = make_labels(50, 2, 0)
    X = np.arange(100.0).reshape(50, 2)
    predictions = cross_val_predict(Echo(), X, y, cv=cv, method=method)
    np.testing.assert_array_equal(predictions, X)
    assert predictions.dtype == (np.int64 if method == "predict" else np.float64)


def test_every_row_is_predicted_by_a_model_that_did_not_see_it():
    X, y = make_problem()
    expected = np.empty(y.shape)
    for train, test in PartialLabelKFold(5).split(X, y):
        model = MeanDifference().fit(X[train], y[train])
        expected[test] = model.predict_proba(X[test])
    predictions = cross_val_predict(MeanDifference(), X, y)
    np.testing.assert_array_equal(predictions, expected)
    assert partial_roc_auc_score(y, predictions) > 0.6


def test_unknown_labels_reach_fit_unchanged_where_scikit_learn_recodes_them():
    """Regression: NaN became class 2 and {1, NaN} columns were inverted."""
    X = np.arange(24.0).reshape(12, 2)
    y = np.tile([[1.0, 0.0], [np.nan, 1.0], [1.0, np.nan]], (4, 1))
    ours, theirs = [], []
    cross_val_predict(Echo(ours), X, y, cv=KFold(3))
    sklearn_cross_val_predict(Echo(theirs), X, y, cv=KFold(3), method="predict_proba")
    for fold, (train, _) in enumerate(KFold(3).split(X)):
        np.testing.assert_array_equal(ours[fold][0], X[train])
        np.testing.assert_array_equal(ours[fold][1], y[train])
    # The reason for a function of our own; if this fails, scikit-learn has mended it.
    recoded = theirs[0][1]
    assert set(recoded[:, 0]) == {0, 1}
    assert not np.array_equal(recoded[:, 0], np.nan_to_num(y[4:, 0], nan=-1.0))
    assert set(recoded[:, 1]) == {0, 1, 2}


def test_a_column_of_positives_and_unknowns_is_not_inverted():
    """Regression: scikit-learn's function scored 0.05 on such columns."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((120, 2))
    y = (X > 0).astype(float)
    y[rng.random(120) < 0.3, 1] = np.nan
    predictions = cross_val_predict(MeanDifference(), X, y, cv=4)
    assert partial_roc_auc_score(y, predictions, average=None).min() > 0.9


@pytest.mark.parametrize("method", ["predict_proba", "decision_function", "predict"])
def test_fully_known_binary_targets_give_what_scikit_learn_gives(method):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 3))
    y = np.where(X[:, 0] + rng.standard_normal(60) > 0.3, "yes", "no")
    model, cv = LogisticRegression(), PartialLabelKFold(4)
    ours = cross_val_predict(model, X, y, cv=cv, method=method)
    theirs = sklearn_cross_val_predict(model, X, y, cv=cv, method=method)
    np.testing.assert_array_equal(ours, theirs)
    if method == "predict_proba":
        assert ours.shape == (60, 2)
    assert not hasattr(model, "coef_")


def test_other_kinds_of_rows_keep_their_kind():
    X, y = make_problem(40)
    log = []
    X_frame, y_frame = pd.DataFrame(X), pd.DataFrame(y, columns=list("abc"))
    cross_val_predict(Echo(log), X_frame, y_frame, cv=2, method="transform")
    assert all(list(fitted[1].columns) == list("abc") for fitted in log)
    expected = cross_val_predict(MeanDifference(), X, y, cv=2)
    for X_other, y_other in (
        (X_frame, y_frame),
        (torch.from_numpy(X), torch.from_numpy(y)),
        (X.tolist(), y.tolist()),
    ):
        predictions = cross_val_predict(MeanDifference(), X_other, y_other, cv=2)
        np.testing.assert_array_equal(predictions, expected)


def test_the_number_of_jobs_changes_nothing():
    X, y = make_problem()
    one = cross_val_predict(MeanDifference(), X, y)
    with parallel_config("threading"):  # processes take seconds to start
        two = cross_val_predict(MeanDifference(), X, y, n_jobs=2)
    np.testing.assert_array_equal(one, two)


def test_splits_may_be_given_as_a_list():
    X, y = make_problem(30)
    splits = list(KFold(3).split(X))
    predictions = cross_val_predict(MeanDifference(), X, y, cv=splits[::-1])
    expected = cross_val_predict(MeanDifference(), X, y, cv=KFold(3))
    np.testing.assert_array_equal(predictions, expected)


@pytest.mark.parametrize("cv", [None, GroupKFold(3)], ids=["default", "GroupKFold"])
def test_groups_stay_together(cv):
    X, y = make_problem(60)
    groups = np.arange(60) // 4
    log = []
    X = np.column_stack([groups, X])
    cross_val_predict(Echo(log), X, y, groups=groups, cv=cv, method="transform")
    n_seen = sum(len(set(fitted[0][:, 0])) for fitted in log)
    assert n_seen == (len(log) - 1) * 15  # every group is left out exactly once


def test_fit_arguments_with_an_entry_per_row_are_cut():
    X, y = make_problem(30)
    log = []
    params = {
        "weight": np.arange(30),
        "names": list(range(30)),
        "pair": (np.zeros((3, 2)), np.zeros(3)),
        "scalar": np.float64(2.0),
        "mode": "fast",
    }
    cross_val_predict(Echo(log), X, y, cv=KFold(3), method="transform", params=params)
    for (train, _), (_, _, got) in zip(KFold(3).split(X), log, strict=True):
        assert got["weight"].tolist() == got["names"] == train.tolist()
        assert {key: got[key] for key in ("pair", "scalar", "mode")} == {
            key: params[key] for key in ("pair", "scalar", "mode")
        }
    assert len(params["weight"]) == 30


@pytest.mark.parametrize(
    ("cv", "match"),
    [
        (
            ShuffleSplit(2, test_size=0.5, random_state=0),
            "got ShuffleSplit.*leaves out",
        ),
        (
            [([0, 1], [2, 3])],
            "got a list, which leaves out 28 and repeats 0 of 30 rows",
        ),
        ([], "got a list, which leaves out 30"),
        ([([0], [*range(30), 30])], "test every row exactly once"),
    ],
    ids=["overlapping", "incomplete", "none", "too many"],
)
def test_splits_that_are_no_partition_are_refused(cv, match):
    X, y = make_problem(30)
    with pytest.raises(ValueError, match=match):
        cross_val_predict(MeanDifference(), X, y, cv=cv)


def test_lists_of_arrays_are_refused():
    X, y = make_problem(60)
    model = MultiOutputClassifier(LogisticRegression())
    with pytest.raises(
        TypeError,
        match=r"MultiOutputClassifier\.predict_proba returned a "
        "list of 3 arrays",
    ):
        cross_val_predict(model, X, np.nan_to_num(y), cv=3)
    decisions = cross_val_predict(model, X, np.nan_to_num(y), cv=3, method="predict")
    assert decisions.shape == (60, 3)


@pytest.mark.parametrize("method", ["predict_proba", "decision_function", "predict"])
def test_tables_with_other_columns_are_refused(method):
    X, y = make_problem(30)
    match = (
        rf"a column per category, here \(15, 3\); Echo\.{method} returned shape \(15, 4"
    )
    with pytest.raises(ValueError, match=match):
        cross_val_predict(Echo(), X, y, cv=2, method=method)


class FirstRow(Echo):
    def transform(self, X):
        return np.asarray(X)[:1]


class Sparse(Echo):
    def transform(self, X):
        return sparse.csr_array(np.asarray(X))


def test_tables_with_other_rows_are_refused(monkeypatch):
    X, y = make_problem(30)
    monkeypatch.setattr(Echo, "__sklearn_clone__", lambda self: type(self)())
    with pytest.raises(
        ValueError, match=r"here \(15, \.\.\.\); FirstRow\.transform ret"
    ):
        cross_val_predict(FirstRow(), X, y, cv=2, method="transform")


def test_sparse_tables_become_dense(monkeypatch):
    X, y = make_problem(30)
    monkeypatch.setattr(Echo, "__sklearn_clone__", lambda self: type(self)())
    predictions = cross_val_predict(Sparse(), X, y, cv=2, method="transform")
    np.testing.assert_array_equal(predictions, X)


class Majority(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)


def test_folds_fitted_to_other_classes_are_refused():
    y = np.array([0, 0, 1, 1, 2, 2])
    splits = [([2, 3, 4, 5], [0, 1]), ([0, 1, 4, 5], [2, 3]), ([0, 1, 2, 3], [4, 5])]
    with pytest.raises(
        ValueError, match=r"same classes; .* \[\[0, 1\], \[0, 2\], \[1, 2"
    ):
        cross_val_predict(Majority(), np.zeros((6, 1)), y, cv=splits)


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"y": None}, ValueError, "`y` must be passed"),
        ({"X": np.zeros((5, 4))}, ValueError, r"`X` and `y` .*: \[5, 30\]"),
        ({"cv": 1}, ValueError, "`n_splits` must be an int of at least 2; got 1"),
        ({"cv": 31}, ValueError, "got n_splits=31 for 30 rows"),
        ({"cv": "many"}, ValueError, "Expected `?cv`? as an integer"),
        ({"method": "score"}, ValueError, "'method' parameter .* Got 'score' instead"),
        ({"method": "transform"}, AttributeError, "got 'transform', which MeanDiffer"),
        ({"estimator": object()}, ValueError, "'estimator' parameter"),
    ],
)
def test_cross_val_predict_refuses(changes, error, match):
    X, y = make_problem(30)
    arguments = {"estimator": MeanDifference(), "X": X, "y": y} | changes
    with pytest.raises(error, match=match):
        cross_val_predict(**arguments)


class Wider(Echo):
    """Return as many columns as the first row left out says."""

    def __sklearn_clone__(self):
        return Wider()

    def transform(self, X):
        return np.zeros((len(X), int(X[0, 0]) + 1))


def test_folds_with_other_columns_are_refused():
    X, y = np.arange(6.0)[:, None], np.array([[0.0], [1.0]] * 3)
    folds = [(np.arange(3, 6), np.arange(3)), (np.arange(3), np.arange(3, 6))]
    with pytest.raises(ValueError, match=r"got columns \[\(1,\), \(4,\)\]"):
        cross_val_predict(Wider(), X, y, cv=folds, method="transform")
