"""Digit panels: a small multi-label image task with real scans that works offline."""

from numbers import Integral, Real
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.utils import Bunch, check_random_state

from cftlearn._dependencies import Interval, StrOptions, validate_params

# Fractions of the 1,797 scans in each subset. The split never changes, so panels of
# different subsets have no scan in common, for every seed.
_FRACTIONS = {"train": 0.6, "validation": 0.15, "test": 0.25}
_DEFAULT_SIZES = {"train": 3000, "validation": 1000, "test": 2000}
_SPLIT_SEED = 1797


@validate_params(
    {
        "subset": [StrOptions(set(_FRACTIONS))],
        "n_samples": [Interval(Integral, 1, None, closed="left"), None],
        "n_digits": [Interval(Integral, 1, None, closed="left")],
        "noise": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def load_digit_panels(
    subset: Literal["train", "validation", "test"] = "train",
    *,
    n_samples: int | None = None,
    n_digits: int = 3,
    noise: float = 0.25,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    """Return panels of scanned digits, with a label for each of the ten digits.

    The scans are scikit-learn's 1,797 handwritten digits of 8 x 8 pixels. Every panel
    shows ``n_digits`` of them, drawn with replacement, under Gaussian noise; its ten
    labels say which digits appear and are all known. Hide some with
    :func:`cftlearn.labels.hide_labels`.

    Parameters
    ----------
    subset : {"train", "validation", "test"}, default="train"
        60 %, 15 % or 25 % of the scans. The subsets have no scan in common.
    n_samples : int, default=None
        Number of panels; 3000, 1000 and 2000 by default.
    n_digits : int, default=3
        Digits side by side in a panel.
    noise : float, default=0.25
        Standard deviation of the noise; the scans' grey values lie in [0, 1].
    random_state : int, RandomState instance or None, default=None
        Seed of the panels. Subsets have different scans even with the same seed.

    Returns
    -------
    panels : Bunch
        ``images``, ndarray of shape (n_samples, 1, 8, 8 * n_digits), float32;
        ``target``, ndarray of shape (n_samples, 10), float64, 1 where the digit
        appears and 0 elsewhere; ``target_names``, the ten digits as strings;
        ``scans``, ndarray of shape (n_samples, n_digits), the scans of each panel.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> from cftlearn.datasets import load_digit_panels
    >>> panels = load_digit_panels("test", n_samples=5, random_state=0)
    >>> panels.images.shape, panels.target.shape
    ((5, 1, 8, 24), (5, 10))
    """
    digits = load_digits()
    rng = check_random_state(random_state)
    n_samples = _DEFAULT_SIZES[subset] if n_samples is None else n_samples
    scans = rng.choice(_scans_of(subset, digits.target), size=(n_samples, n_digits))
    target = np.zeros((n_samples, 10))
    target[np.arange(n_samples)[:, np.newaxis], digits.target[scans]] = 1.0
    images = (digits.images[scans] / 16.0).astype(np.float32)  # (n, digits, 8, 8)
    images = images.transpose(0, 2, 1, 3).reshape(n_samples, 1, 8, 8 * n_digits)
    images = images + noise * rng.standard_normal(images.shape).astype(np.float32)
    return Bunch(
        images=images.astype(np.float32),
        target=target,
        target_names=[str(digit) for digit in range(10)],
        scans=scans,
    )


def _scans_of(subset: str, digits: NDArray[np.integer]) -> NDArray[np.integer]:
    """Return the scans of a subset, the same fraction of each digit."""
    rng = np.random.RandomState(_SPLIT_SEED)
    names = list(_FRACTIONS)
    edges = np.cumsum([_FRACTIONS[name] for name in names])[:-1]
    chosen = []
    for digit in range(10):
        scans = rng.permutation(np.flatnonzero(digits == digit))
        parts = np.split(scans, np.round(edges * len(scans)).astype(int))
        chosen.append(parts[names.index(subset)])
    return np.concatenate(chosen)
