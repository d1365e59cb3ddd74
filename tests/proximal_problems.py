"""Problems for penalised regressions, for tests."""

from dataclasses import replace

import numpy as np
from sklearn.preprocessing import StandardScaler

from cftlearn._features._principal_axes import make_feature_spaces
from cftlearn.metrics._objectives import make_objective
from cftlearn.solvers._protocol import CategoryProblem, KnownRows, UnknownRows


def make_problem(
    n=60, d=6, n_unknown=300, *, seed=0, factors=1.0, dtype=np.float64, **changes
):
    """Make a problem of n labels to fit and n held-out ones, and its unknown rows."""
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((2 * n + n_unknown, d)) + 1.0
    Z[:, 1:] += 1.5 * Z[:, :-1]  # neighbours go together
    Z *= np.logspace(-0.5, 0.5, d)
    direction = rng.standard_normal(d) / Z.std(axis=0)
    logits = (Z - Z.mean(axis=0)) @ direction
    logits /= logits.std()
    y = logits + 0.5 * rng.standard_normal(len(Z)) > 0.5
    trained = direction + 0.7 * rng.standard_normal(d) / Z.std(axis=0)
    Z = (Z * factors).astype(dtype)
    moments = StandardScaler().fit(Z)
    mean, scale = moments.mean_, moments.scale_
    names = ("standard", "tempered")
    problem = CategoryProblem(
        train=KnownRows(Z[:n], y[:n]),
        validation=KnownRows(Z[n : 2 * n], y[n : 2 * n]),
        coef=trained / factors,
        intercept=-1.0,
        objective=make_objective("roc_auc"),
        feature_mean=mean,
        feature_scale=scale,
        random_state=seed,
        spaces=make_feature_spaces(Z, mean, scale, names),
        unknown=UnknownRows(n_unknown, Z[2 * n :].mean(axis=0, dtype=np.float64))
        if n_unknown
        else None,
    )
    return replace(problem, **changes), Z
