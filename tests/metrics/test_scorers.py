"""Scorers: those of scikit-learn, and labels with names that the model has, too."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.metrics import check_scoring, make_scorer
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cftlearn import CFTClassifier
from cftlearn.labels import check_partial_labels
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
from cftlearn.model_selection import PartialLabelKFold

pd = pytest.importorskip("pandas")
NAMES, TURNED = ["cat", "dog", "bat"], ["bat", "cat", "dog"]
RANKING = ("decision_function", "predict_proba")
SCORERS = {
    partial_roc_auc_scorer: make_scorer(partial_roc_auc_score, response_method=RANKING),
    partial_average_precision_scorer: make_scorer(
        partial_average_precision_score, response_method=RANKING
    ),
    partial_f1_scorer: make_scorer(partial_f1_score),
    neg_partial_log_loss_scorer: make_scorer(
        partial_log_loss, response_method="predict_proba", greater_is_better=False
    ),
}
by_scorer = pytest.mark.parametrize("scorer", list(SCORERS), ids=repr)


class Counting(ClassifierMixin, BaseEstimator):
    """Scores are the first columns of X; counts how often they are asked for."""

    calls = 0

    def fit(self, X, y):
        self.classes_ = np.tile([0, 1], (np.shape(y)[1], 1))
        self.categories_ = np.array(check_partial_labels(y).categories)
        return self

    def decision_function(self, X):
        type(self).calls += 1
        return np.asarray(X)[:, : len(self.categories_)]


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 5))
    y = (X[:, :3] + rng.standard_normal((60, 3)) > 0).astype(float)
    y[rng.random(y.shape) < 0.2] = np.nan
    return pd.DataFrame(X, columns=list("abcde")), pd.DataFrame(y, columns=NAMES)


@pytest.fixture(scope="module")
def model(problem):
    return CFTClassifier(random_state=0).fit(*problem)


@by_scorer
def test_scores_are_those_of_scikit_learn(scorer, model, problem):
    X, y = problem
    expected = SCORERS[scorer](model, X, y.to_numpy())
    assert scorer(model, X, y) == expected
    assert scorer(model, X, y.to_numpy()) == expected
    assert repr(scorer) == repr(SCORERS[scorer])
    assert check_scoring(model, scoring=scorer) is scorer


@by_scorer
def test_labels_in_another_order_than_the_model_s(scorer, model, problem):
    X, y = problem
    pipeline = make_pipeline(StandardScaler(), CFTClassifier(random_state=0)).fit(X, y)
    search = GridSearchCV(
        clone(model), {"threshold": [0.5]}, cv=PartialLabelKFold(2), scoring=scorer
    ).fit(X, y)
    for estimator in (model, pipeline, search):
        for labels in (y[TURNED], check_partial_labels(y[TURNED])):
            with pytest.raises(ValueError, match=r"\[model\.categories_\]"):
                scorer(estimator, X, labels)
    assert scorer(model, X, y[TURNED][model.categories_]) == scorer(model, X, y)


def test_rows_in_another_order_are_noticed_before_a_pipeline_drops_their_labels(
    problem,
):
    X, y = problem
    pipeline = make_pipeline(StandardScaler(), CFTClassifier(random_state=0)).fit(X, y)
    with pytest.raises(ValueError, match=r"Pass y\.loc\[X\.index\]"):
        partial_roc_auc_scorer(pipeline, X, y[::-1])


def test_a_model_fitted_to_an_array_takes_labels_with_names(problem):
    X, y = problem
    model = CFTClassifier(random_state=0).fit(X, y.to_numpy())
    expected = partial_roc_auc_scorer(model, X, y.to_numpy())
    assert partial_roc_auc_scorer(model, X, y) == expected
    assert model.score(X, y) == expected
    with pytest.raises(ValueError, match=r"y\.rename\(columns=str\)\[model\.cat"):
        partial_roc_auc_scorer(model, X, y.set_axis([2, 0, 1], axis=1))


def test_several_scorers_share_the_predictions_of_a_search(problem):
    X, y = problem
    Counting.calls = 0
    scoring = {
        "auc": partial_roc_auc_scorer,
        "ap": partial_average_precision_scorer,
    }
    scores = cross_validate(Counting(), X, y, cv=PartialLabelKFold(2), scoring=scoring)
    assert Counting.calls == 2
    assert np.isfinite([scores["test_auc"], scores["test_ap"]]).all()
