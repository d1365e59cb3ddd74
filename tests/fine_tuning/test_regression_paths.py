"""Regressions along a path of penalties, against scikit-learn."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression

from cftlearn.fine_tuning import _regression_paths
from cftlearn.fine_tuning._regression_paths import (
    SPREADS,
    USUAL,
    fit_regression_paths,
)


def make_problem(n=300, d=12, n_categories=3, dtype=np.float64, known=1.0, seed=0):
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((n, d)) @ rng.standard_normal((d, d))
    Z = (Z * np.geomspace(0.01, 100, d) + 5).astype(dtype)
    logits = (Z - Z.mean(0)) / Z.std(0) @ rng.standard_normal((d, n_categories))
    targets = (logits + rng.logistic(size=logits.shape) > 1.5).astype(float)
    targets[rng.random(targets.shape) > known] = np.nan
    return Z, targets


def sklearn_logits(Z, target, spread):
    """Fit one regression with the documented penalty; give the logits of all rows."""
    varies = Z.std(0) > 0
    standard = (Z[:, varies] - Z[:, varies].mean(0)) / Z[:, varies].std(0)
    used = ~np.isnan(target)
    model = LogisticRegression(C=spread**2 / varies.sum(), tol=1e-8, max_iter=10_000)
    return model.fit(standard[used], target[used]).decision_function(standard)


@pytest.mark.parametrize("known", [1.0, 0.8, 0.3])
@pytest.mark.parametrize(("n", "d"), [(300, 12), (60, 90), (1500, 8)])
def test_fits_are_those_of_scikit_learn(n, d, known):
    Z, targets = make_problem(n, d, known=known)
    Z[:, 3] = 7.0  # does not vary, so it does not count
    paths = fit_regression_paths(Z, targets, n_jobs=None)
    for j, target in enumerate(targets.T):
        for k, spread in enumerate(SPREADS):
            expected = sklearn_logits(Z, target, spread)
            logits = Z @ paths.coef[j, k] + paths.intercept[j, k]
            difference = logits - expected
            # the bias has a slight penalty here, and none there
            assert np.abs(difference.mean()) < 0.01, (j, spread)
            difference -= difference.mean()
            assert np.abs(difference).max() < 0.03 * np.ptp(expected), (j, spread)


def test_single_precision_is_enough():
    Z, targets = make_problem(400, 20, dtype=np.float32)
    single = fit_regression_paths(Z, targets, n_jobs=None)
    double = fit_regression_paths(Z.astype(np.float64), targets, n_jobs=None)
    for j in range(3):
        one, other = (Z.astype(float) @ paths.coef[j].T for paths in (single, double))
        assert np.abs(one - other).max() < 0.01 * np.ptp(other)


def test_the_scale_of_features_does_not_matter():
    Z, targets = make_problem()
    paths = fit_regression_paths(Z, targets, n_jobs=None)
    factors = np.geomspace(1e-3, 1e3, Z.shape[1])
    scaled = fit_regression_paths(Z * factors, targets, n_jobs=None)
    assert_allclose(scaled.coef * factors, paths.coef, rtol=1e-6, atol=1e-9)


def test_strong_penalties_still_rank():
    # one positive: such a fit gains less than a minimiser would move for
    Z, _ = make_problem(12_000, 20, seed=3)
    targets = np.zeros((12_000, 3))
    targets[[5, 6, 7], [0, 1, 2]] = 1.0
    coef, _ = fit_regression_paths(Z, targets, n_jobs=None)
    assert (np.abs(coef[:, 0]).max(axis=1) > 0).all()
    for j, target in enumerate(targets.T):
        expected = sklearn_logits(Z, target, SPREADS[0])
        assert np.corrcoef(Z @ coef[j, 0], expected)[0, 1] > 0.999


def test_where_a_class_is_absent_weights_are_zero():
    Z, targets = make_problem(n_categories=4)
    targets[:, 1], targets[:, 2], targets[:, 3] = 0.0, np.nan, np.nan
    targets[:5, 3] = 1.0
    coef, intercept = fit_regression_paths(Z, targets, n_jobs=None)
    assert_array_equal(coef[1:], 0)
    assert_allclose(intercept[1], np.log(0.5 / 300.5))
    assert_allclose(intercept[2], 0)
    assert_allclose(intercept[3], np.log(5.5 / 0.5))
    assert coef[0].any()


def test_features_that_do_not_vary_leave_the_bias():
    _, targets = make_problem()
    coef, intercept = fit_regression_paths(np.full((300, 4), 2.0), targets, n_jobs=None)
    assert_array_equal(coef, 0)
    rate = targets.mean(axis=0)
    expected = np.tile(np.log(rate / (1 - rate))[:, None], len(SPREADS))
    assert_allclose(intercept, expected, atol=1e-3)


def test_categories_may_have_features_of_their_own():
    Z, targets = make_problem()
    other, _ = make_problem(seed=1)
    own = np.stack([Z, other, Z], axis=1)
    coef, intercept = fit_regression_paths(own, targets, n_jobs=None)
    for j, shared in enumerate((Z, other, Z)):
        expected = fit_regression_paths(shared, targets[:, [j]], n_jobs=None)
        assert_allclose(coef[j], expected.coef[0], rtol=1e-6, atol=1e-9)
        assert_allclose(intercept[j], expected.intercept[0], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("known", [1.0, 0.3])
def test_neither_order_nor_workers_nor_other_categories_matter(known):
    Z, targets = make_problem(n_categories=4, known=known)
    paths = fit_regression_paths(Z, targets, n_jobs=None)
    order = np.array([2, 0, 3])
    swapped = fit_regression_paths(Z, targets[:, order], n_jobs=2)
    assert_array_equal(swapped.coef, paths.coef[order])
    assert_array_equal(swapped.intercept, paths.intercept[order])


def test_rows_that_weigh_nothing_are_as_good_as_absent(monkeypatch):
    Z, targets = make_problem(known=0.8)
    weighed = fit_regression_paths(Z, targets, n_jobs=None)
    monkeypatch.setattr(_regression_paths, "_MOST_COPIED", 1.0)
    copied = fit_regression_paths(Z, targets, n_jobs=None)
    for j in range(3):
        one, other = Z @ weighed.coef[j].T, Z @ copied.coef[j].T
        assert np.abs(one - other).max() < 0.02 * np.ptp(other)


def test_the_usual_spread_is_1():
    assert SPREADS[USUAL] == 1.0
    assert (np.diff(SPREADS) > 0).all()  # the strongest penalty first
