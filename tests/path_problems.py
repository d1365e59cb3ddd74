"""Paths of penalised regressions on the same rows, for tests."""

import numpy as np

from cftlearn._features._principal_axes import Coordinates
from cftlearn.solvers._batched_loss import PathProblem


def make_problems(n=90, dtype=np.float64, seed=0, *, rotated=False):
    """Draw three paths on the same rows, of two spaces, with different leads."""
    rng = np.random.default_rng(seed)
    base = rng.standard_normal((n, 12)).astype(dtype) * np.linspace(2, 0.3, 12)
    signal = base[:, :3].sum(axis=1)
    y = (signal + rng.standard_normal(n) > 0.5).astype(np.float64)
    y[:2] = [0, 1]
    ones = np.ones((n, 1))
    rotations = [
        np.linalg.qr(rng.standard_normal((12, k)))[0].astype(dtype) for k in (7, 9)
    ]
    spaces = [Coordinates(base.astype(dtype), own) for own in rotations]
    if not rotated:
        spaces = [Coordinates(rows.take()) for rows in spaces]
    settings_of_paths = [(0, 1, 1.0), (0, 2, 3.0), (1, 1, 0.3)]
    return [
        PathProblem(
            rows=spaces[space],
            lead=np.column_stack([ones, signal])[:, :n_lead],
            y=y,
            weight=rng.uniform(0.5, 1.5, n),
            penalties=np.logspace(0.5, -1, 3)[:, None]
            * rng.uniform(size, 2 * size, spaces[space].n_axes),
        )
        for space, n_lead, size in settings_of_paths
    ]
