"""Mean and spread of features."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from cftlearn._features._stored import StoredFeatures, batches


def feature_moments(
    Z: NDArray[np.floating[Any]] | StoredFeatures,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each feature, 1 for a constant one."""
    scaler = StandardScaler()
    for rows in batches(Z):  # no copy of all features
        scaler.partial_fit(rows)
    return scaler.mean_, scaler.scale_
