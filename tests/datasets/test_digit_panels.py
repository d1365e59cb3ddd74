"""Digit panels: scans that no two subsets share, and their digits as labels."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits

from cftlearn.datasets import load_digit_panels

SUBSETS = ("train", "validation", "test")


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
