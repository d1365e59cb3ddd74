"""Seeds: one per category by its name, and torch's own inside a block."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray


def category_seeds(base_seed: int, categories: NDArray[Any]) -> NDArray[np.int64]:
    """Derive one seed per category from one seed and the category's name.

    The results of a category then do not depend on which other categories there are, on
    their order, or on the number of workers.
    """
    return np.array(
        [
            np.random.SeedSequence([base_seed, zlib.crc32(str(name).encode())])
            .generate_state(1)
            .item()
            & 0x7FFFFFFF
            for name in categories
        ],
        dtype=np.int64,
    )


@contextmanager
def seeded_torch(seed: int) -> Iterator[None]:
    """Seed torch's global generators, and restore them afterwards."""
    import torch

    devices = range(torch.cuda.device_count()) or None  # torch warns without names
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield
