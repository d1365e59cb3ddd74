"""Moments of features, starting rows, and seeds by name."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from cftlearn._features._moments import feature_moments
from cftlearn._features._per_category import StoredCategoryFeatures
from cftlearn._features._stored import StoredFeatures
from cftlearn._seeding import category_seeds
from cftlearn.fine_tuning._initial_coef import fit_initial_weights
from cftlearn.fine_tuning._regression_paths import USUAL, fit_regression_paths


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_moments_are_numpys_whatever_the_batches(dtype, monkeypatch):
    monkeypatch.setattr("cftlearn._features._stored._BATCH_BYTES", 7 * 12)
    rng = np.random.default_rng(0)
    Z = (rng.standard_normal((100, 3)) * [1, 10, 0.1] + [0, 100, -1]).astype(dtype)
    mean, scale = feature_moments(Z)
    np.testing.assert_allclose(mean, Z.mean(axis=0, dtype=float), rtol=1e-6)
    np.testing.assert_allclose(scale, Z.std(axis=0, dtype=float), rtol=1e-5)


def test_constant_feature_has_scale_one():
    Z = np.column_stack([np.full(50, 1e6), np.zeros(50), np.arange(50.0)])
    mean, scale = feature_moments(Z)
    assert scale.tolist()[:2] == [1.0, 1.0]
    assert mean[0] == 1e6


def fit(Z, targets, held_out=None, n_jobs=None):
    if held_out is None:
        held_out = np.full_like(targets, np.nan)
    return fit_initial_weights(Z, targets, Z, held_out, n_jobs=n_jobs)


@pytest.fixture
def problem(rng):
    """Features, labels to fit and held-out labels: with noise, so penalties matter."""
    Z = rng.standard_normal((300, 30))
    logits = Z[:, :4] @ rng.standard_normal((4, 4)) + rng.logistic(size=(300, 4))
    targets = (logits > 0.5).astype(float)
    held_out = np.where(rng.random(targets.shape) < 0.3, targets, np.nan)
    targets[~np.isnan(held_out)] = np.nan
    return Z, targets, held_out


def test_the_penalty_is_the_one_that_scikit_learn_would_choose(problem):
    Z, targets, held_out = problem
    standard = (Z - Z.mean(axis=0)) / Z.std(axis=0)
    spreads = [0.1, 0.3, 1.0, 3.0, 10.0]
    models, gains, labels = [], [], []
    for target, own in zip(targets.T, held_out.T, strict=True):
        used, judging = ~np.isnan(target), ~np.isnan(own)
        models.append(
            [
                LogisticRegression(C=spread**2 / 30, max_iter=5000, tol=1e-8).fit(
                    standard[used], target[used]
                )
                for spread in spreads
            ]
        )
        auc = [
            roc_auc_score(own[judging], model.decision_function(standard[judging]))
            for model in models[-1]
        ]
        n_positive, n_negative = own[judging].sum(), (1 - own[judging]).sum()
        labels.append(1 / (1 / n_positive + 1 / n_negative))
        gains.append(labels[-1] * (np.array(auc) - auc[2]))
    pooled = np.sum(gains, axis=0) / (sum(labels) + 20)
    prior = -0.5 * np.log10(spreads) ** 2
    initial = fit(Z, targets, held_out)
    chosen = [np.argmax(prior + 2 * (own + 20 * pooled)) for own in gains]
    assert set(chosen) != {2}
    for j, place in enumerate(chosen):
        expected = models[j][place].decision_function(standard)
        logits = Z @ initial.coef[j] + initial.intercept[j]
        assert np.abs(logits - expected).max() < 0.02 * np.ptp(expected)


def test_held_out_labels_choose_and_are_not_fitted(problem, rng):
    Z, targets, held_out = problem
    paths = fit_regression_paths(Z, targets, n_jobs=None)
    chosen = set()
    for _ in range(5):
        coef, intercept, _ = fit(Z, targets, rng.permutation(held_out))
        for j in range(4):
            (place,) = np.flatnonzero((paths.coef[j] == coef[j]).all(axis=1))
            assert paths.intercept[j, place] == intercept[j]
            chosen.add(place)
    assert len(chosen) > 1


def test_without_held_out_labels_the_penalty_is_the_usual_one(problem):
    Z, targets, held_out = problem
    expected = fit_regression_paths(Z, targets, n_jobs=None).coef[:, USUAL]
    only_positives = np.where(held_out == 1.0, held_out, np.nan)
    for none in (None, only_positives):
        np.testing.assert_array_equal(fit(Z, targets, none).coef, expected)


def test_held_out_labels_may_be_of_other_rows(problem, rng):
    Z, targets, held_out = problem
    rows = rng.permutation(300)[:200]
    coef, *_ = fit(
        Z, targets, np.where(np.isin(np.arange(300), rows)[:, None], held_out, np.nan)
    )
    other = Z[rows].astype(np.float64)
    again, *_ = fit_initial_weights(Z, targets, other, held_out[rows], n_jobs=None)
    np.testing.assert_array_equal(again, coef)


def test_neither_order_nor_workers_matter(problem):
    Z, targets, held_out = problem
    coef, intercept, _ = fit(Z, targets, held_out)
    order = np.array([2, 0, 3, 1])
    swapped = fit(Z, targets[:, order], held_out[:, order], n_jobs=2)
    np.testing.assert_array_equal(swapped.coef, coef[order])
    np.testing.assert_array_equal(swapped.intercept, intercept[order])


def test_cells_left_out_do_not_count():
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((80, 4))
    targets = (rng.random((80, 2)) < 0.5).astype(float)
    hidden = targets.copy()
    hidden[60:, 0] = np.nan
    coef, *_ = fit(Z, hidden)
    full, *_ = fit(Z, targets)
    np.testing.assert_array_equal(coef[1], full[1])
    assert not np.allclose(coef[0], full[0])


def test_category_of_one_class_gets_its_log_odds():
    coef, intercept, _ = fit(np.eye(4), np.zeros((4, 1)))
    np.testing.assert_array_equal(coef, 0)
    assert intercept[0] == pytest.approx(np.log(0.5 / 4.5))


@pytest.mark.parametrize("per_category", [False, True])
def test_stored_features_are_refused(problem, per_category):
    Z, targets, _ = problem
    stored = StoredFeatures(Z)
    if per_category:
        stored = StoredCategoryFeatures(np.stack([Z] * 4, axis=1))
    with pytest.raises(ValueError, match="`coef_init` and `intercept_init` must be"):
        fit(stored, targets)


@given(seed=st.integers(0, 2**31 - 1))
def test_seeds_depend_on_names_not_on_places(seed):
    seeds = category_seeds(seed, np.array(["cat", "dog", "cow"], dtype=object))
    moved = category_seeds(seed, np.array(["dog", "hen", "cat"], dtype=object))
    assert moved[0] == seeds[1]
    assert moved[2] == seeds[0]
    assert len(set(seeds)) == 3
    assert seeds.min() >= 0


def test_seeds_depend_on_the_base_seed():
    names = np.array(["cat"], dtype=object)
    assert category_seeds(0, names) != category_seeds(1, names)
