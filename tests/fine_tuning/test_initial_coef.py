"""Moments of features, starting rows, and seeds by name."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cftlearn._features._moments import feature_moments
from cftlearn._seeding import category_seeds
from cftlearn.fine_tuning._initial_coef import fit_initial_weights


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


def test_cells_left_out_do_not_count():
    rng = np.random.default_rng(0)
    Z = rng.standard_normal((80, 4))
    targets = (rng.random((80, 2)) < 0.5).astype(float)
    hidden = targets.copy()
    hidden[60:, 0] = np.nan
    flipped = targets.copy()
    flipped[60:, 0] = np.nan
    coef, _ = fit_initial_weights(Z, hidden, n_jobs=None)
    again, _ = fit_initial_weights(Z, flipped, n_jobs=None)
    full, _ = fit_initial_weights(Z, targets, n_jobs=None)
    np.testing.assert_array_equal(coef, again)
    np.testing.assert_array_equal(coef[1], full[1])
    assert not np.allclose(coef[0], full[0])


def test_category_of_one_class_gets_its_log_odds():
    coef, intercept = fit_initial_weights(np.eye(4), np.zeros((4, 1)), n_jobs=None)
    np.testing.assert_array_equal(coef, 0)
    assert intercept[0] == pytest.approx(np.log(0.5 / 4.5))


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
