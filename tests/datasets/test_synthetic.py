"""Synthetic tables: sizes, prevalence, noise and hidden labels as requested."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cftlearn.datasets import make_partial_multilabel


def test_tables_have_the_sizes_asked_for():
    X, y, y_full = make_partial_multilabel(
        70, n_features=4, n_categories=3, random_state=0
    )
    assert X.shape == (70, 4)
    assert y.shape == y_full.shape == (70, 3)
    assert X.dtype == y.dtype == y_full.dtype == np.float64
    assert_array_equal(np.unique(y_full), [0.0, 1.0])


def test_hidden_labels_are_the_only_difference():
    _, y, y_full = make_partial_multilabel(random_state=0)
    known = ~np.isnan(y)
    assert_array_equal(y[known], y_full[known])
    assert 0 < known.mean() < 1


@pytest.mark.parametrize("prevalence", [0.05, 0.25, 0.8])
def test_prevalence_is_met_in_every_category(prevalence):
    _, _, y_full = make_partial_multilabel(1000, prevalence=prevalence, random_state=0)
    assert_allclose(y_full.mean(axis=0), prevalence, atol=1e-3)


@pytest.mark.parametrize("known", [0.1, 0.5, 1.0])
def test_the_share_asked_for_stays_known(known):
    _, y, _ = make_partial_multilabel(4000, known=known, random_state=0)
    assert_allclose(np.mean(~np.isnan(y)), known, atol=0.015)


@pytest.mark.parametrize(
    ("scheme", "known", "n_known"),
    [("single_positive", None, None), ("fixed_per_category", 7, 14)],
)
def test_other_schemes(scheme, known, n_known):
    _, y, y_full = make_partial_multilabel(scheme=scheme, known=known, random_state=0)
    counts = (~np.isnan(y)).sum(axis=0)
    if scheme == "single_positive":
        assert_array_equal((~np.isnan(y)).sum(axis=1), y_full.any(axis=1))
        assert_array_equal(np.nansum(y), counts.sum())
    else:
        assert_array_equal(counts, n_known)


def test_noise_hides_the_signal():
    """Without noise a category is a half-space of the features; with much, not."""
    for noise, low, high in ((0.0, 0.99, 1.0), (10.0, 0.0, 0.5)):
        X, _, y = make_partial_multilabel(4000, noise=noise, random_state=0)
        slope, *_ = np.linalg.lstsq(np.c_[X, np.ones(4000)], y, rcond=None)
        signal = (np.c_[X, np.ones(4000)] @ slope)[:, 0]
        top = np.argsort(-signal)[:900]
        assert low <= y[top, 0].mean() <= high, noise


def test_seeds_of_tables():
    first, again, other = (make_partial_multilabel(random_state=s) for s in (0, 0, 1))
    for one, two in zip(first, again, strict=True):
        assert_array_equal(one, two)
    assert not np.array_equal(first[0], other[0])
    before = np.random.get_state()[1].copy()
    make_partial_multilabel(random_state=0)
    assert_array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"n_samples": 0}, ValueError, "'n_samples' parameter"),
        ({"n_features": 0}, ValueError, "'n_features' parameter"),
        ({"n_categories": 0}, ValueError, "'n_categories' parameter"),
        ({"prevalence": 1.0}, ValueError, "'prevalence' parameter"),
        ({"noise": -1.0}, ValueError, "'noise' parameter"),
        ({"noise": np.inf}, ValueError, "'noise' parameter"),
        ({"scheme": "random"}, ValueError, "'scheme' parameter"),
        ({"known": 0.0}, ValueError, r"`known` must be a share in \(0, 1\]"),
        ({"known": "half"}, TypeError, r"`known` must be a share in \(0, 1\]"),
    ],
    ids=str,
)
def test_wrong_parameters_of_tables(params, error, message):
    with pytest.raises(error, match=message):
        make_partial_multilabel(**params)
