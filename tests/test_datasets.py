"""Data made on the spot: digit panels and synthetic tables."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits

from cftlearn.datasets import load_digit_panels, make_partial_multilabel

SUBSETS = ("train", "validation", "test")


# -------------------------------------------------------------------- digit panels
def test_subsets_share_no_scan_whatever_the_seed():
    scans = {
        subset: {
            scan
            for seed in range(3)
            for scan in load_digit_panels(subset, random_state=seed).scans.ravel()
        }
        for subset in SUBSETS
    }
    assert not scans["train"] & scans["validation"]
    assert not scans["train"] & scans["test"]
    assert not scans["validation"] & scans["test"]
    assert set.union(*scans.values()) == set(range(1797))
    shares = [len(scans[subset]) / 1797 for subset in SUBSETS]
    assert_allclose(shares, [0.6, 0.15, 0.25], atol=0.005)


@pytest.mark.parametrize("subset", SUBSETS)
def test_targets_are_the_digits_of_the_scans(subset):
    """Oracle: scikit-learn's own table of digits."""
    digits = load_digits().target
    panels = load_digit_panels(subset, n_samples=200, random_state=0)
    for scans, target in zip(panels.scans, panels.target, strict=True):
        assert set(np.flatnonzero(target)) == set(digits[scans])
    assert panels.target.dtype == np.float64
    assert_array_equal(np.unique(panels.target), [0.0, 1.0])
    assert panels.target_names == list("0123456789")


@pytest.mark.parametrize("n_digits", [1, 3, 5])
def test_without_noise_panels_are_the_scans(n_digits):
    images = load_digits().images
    panels = load_digit_panels(
        "test", n_samples=20, n_digits=n_digits, noise=0.0, random_state=0
    )
    assert panels.images.shape == (20, 1, 8, 8 * n_digits)
    assert panels.images.dtype == np.float32
    for panel, scans in zip(panels.images, panels.scans, strict=True):
        expected = np.hstack([images[scan] for scan in scans])
        assert_array_equal(16.0 * panel[0], expected)


@pytest.mark.parametrize("noise", [0.1, 0.5])
def test_noise_has_the_spread_asked_for(noise):
    noisy = load_digit_panels("test", noise=noise, random_state=0)
    clean = load_digit_panels("test", noise=0.0, random_state=0)
    assert_array_equal(noisy.scans, clean.scans)
    added = noisy.images - clean.images
    assert_allclose(added.std(), noise, rtol=0.01)
    assert_allclose(added.mean(), 0.0, atol=0.01 * noise)


@pytest.mark.parametrize(
    ("subset", "n_samples"), [("train", 3000), ("validation", 1000), ("test", 2000)]
)
def test_default_sizes(subset, n_samples):
    panels = load_digit_panels(subset, random_state=0)
    assert panels.images.shape == (n_samples, 1, 8, 24)
    assert panels.target.shape == (n_samples, 10)
    assert_allclose(panels.target.mean(axis=0), 1 - 0.9**3, atol=0.05)


def test_seeds_of_panels():
    first, again, other = (
        load_digit_panels("train", n_samples=30, random_state=seed)
        for seed in (0, 0, 1)
    )
    assert_array_equal(first.images, again.images)
    assert_array_equal(first.target, again.target)
    assert not np.array_equal(first.images, other.images)
    assert not np.array_equal(first.scans, other.scans)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"subset": "all"}, "'subset' parameter of load_digit_panels must be"),
        ({"n_samples": 0}, "'n_samples' parameter"),
        ({"n_digits": 0}, "'n_digits' parameter"),
        ({"n_digits": 2.5}, "'n_digits' parameter"),
        ({"noise": -0.1}, "'noise' parameter"),
        ({"noise": np.inf}, "'noise' parameter"),
        ({"random_state": "zero"}, "'random_state' parameter"),
    ],
    ids=str,
)
def test_wrong_parameters_of_panels(params, message):
    with pytest.raises(ValueError, match=message):
        load_digit_panels(**params)


# ---------------------------------------------------------------- synthetic tables
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
