"""Fixtures of the tests of images."""

import numpy as np
import pytest


@pytest.fixture
def colours(rng):
    """Bytes of a small image in colour."""
    return rng.integers(0, 256, (6, 9, 3), dtype=np.uint8)
