"""Labels, problems and estimators that the tests of splits share."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin


class MeanDifference(ClassifierMixin, BaseEstimator):
    """Score along the difference of class means, over known labels."""

    def __init__(self, power=1.0):
        self.power = power

    def fit(self, X, y, sample_weight=None, note=None):
        self.y_seen_ = y
        self.fit_arguments_ = {"sample_weight": sample_weight, "note": note}
        X, y = np.asarray(X, dtype=float), np.asarray(y, dtype=float)
        self.classes_ = np.tile([0, 1], (y.shape[1], 1))
        self.coef_ = np.array(
            [
                X[column == 1].mean(axis=0) - X[column == 0].mean(axis=0)
                for column in y.T
            ]
        )
        return self

    def decision_function(self, X):
        scores = np.asarray(X, dtype=float) @ self.coef_.T
        return np.sign(scores) * np.abs(scores) ** self.power

    def predict_proba(self, X):
        return 1 / (1 + np.exp(-self.decision_function(X)))

    def predict(self, X):
        return (self.decision_function(X) > 0).astype(np.int64)


class Echo(BaseEstimator):
    """Return features as predictions, and remember what fit was given."""

    log: list

    def __init__(self, log=None):
        self.log = log

    def __sklearn_clone__(self):
        return Echo(self.log)  # a common log

    def fit(self, X, y, **params):
        self.classes_ = np.tile([0, 1], (np.shape(y)[1], 1))
        if self.log is not None:
            self.log.append((X, y, params))
        return self

    def transform(self, X):
        return np.asarray(X)

    def predict(self, X):
        return np.asarray(X).astype(np.int64)

    predict_proba = decision_function = transform


def make_labels(n_samples, n_categories, seed, *, known=0.5, prevalence=(0.03, 0.4)):
    rng = np.random.default_rng(seed)
    rates = rng.uniform(*prevalence, n_categories)
    y = (rng.random((n_samples, n_categories)) < rates).astype(float)
    y[rng.random(y.shape) > known] = np.nan
    return y


def make_problem(n_samples=150, n_categories=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_samples, 4))
    scores = X @ rng.standard_normal((4, n_categories))
    y = (scores + rng.standard_normal(scores.shape) > 0.5).astype(float)
    y[rng.random(y.shape) < 0.4] = np.nan
    return X, y


def folds_of(cv, y, groups=None):
    """Return the fold that tests every row, -1 if none does."""
    n_samples = len(y)
    folds = np.full(n_samples, -1)
    for fold, (train, test) in enumerate(cv.split(np.zeros(n_samples), y, groups)):
        assert np.array_equal(np.setdiff1d(np.arange(n_samples), test), train)
        assert np.all(folds[test] == -1)
        folds[test] = fold
    return folds


def counts_of(y, folds, state):
    return np.array([(y[folds == f] == state).sum(axis=0) for f in np.unique(folds)])


def unevenness(y, folds, n_splits):
    """Chi-squared sum over the folds of known positives and known negatives."""
    table = np.hstack([y == 1, y == 0])
    counts = np.array([table[folds == f].sum(axis=0) for f in range(n_splits)])
    expected = table.sum(axis=0) / n_splits
    used = expected > 0
    return np.sum((counts[:, used] - expected[used]) ** 2 / expected[used])
