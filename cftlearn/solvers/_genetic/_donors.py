"""The known rows that mutations of the genetic algorithm are made of."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Further rows would add little to the directions of steps, and each takes part in a
# product for every child.
MOST_DONORS = 512


class Donors(NamedTuple):
    """Some known rows of both classes of one category.

    Attributes
    ----------
    rows : ndarray of shape (n_donors,), int
        Their numbers among the known rows.
    y : ndarray of shape (n_donors,), bool
        Their labels.
    """

    rows: NDArray[np.intp]
    y: NDArray[np.bool_]


def draw_donors(y: NDArray[np.bool_], seed: int) -> Donors:
    """Draw donors, as many of each class as there are, up to half of ``MOST_DONORS``.

    Parameters
    ----------
    y : ndarray of shape (n_known,), bool
        Labels; both classes occur.
    seed : int
        The category's own.

    Returns
    -------
    donors : Donors
        Positives first.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for label in (True, False):
        own = np.flatnonzero(y == label)
        if len(own) > MOST_DONORS // 2:
            own = np.sort(rng.choice(own, MOST_DONORS // 2, replace=False))
        rows.append(own)
    drawn = np.concatenate(rows)
    return Donors(drawn, y[drawn])
