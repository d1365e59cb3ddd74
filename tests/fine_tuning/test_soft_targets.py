"""Probabilities of unknown labels, against brute force."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import bisect, minimize
from scipy.special import expit
from sklearn.metrics import log_loss, roc_auc_score

from cftlearn.fine_tuning._soft_targets import mean_held_out_auc, soft_targets
from cftlearn.labels._held_out_scores import HeldOutColumn, HeldOutScores

N_ROWS, N_CATEGORIES = 200, 3


@pytest.fixture
def problem(rng):
    """Logits whose right slope is 0.6 at unit spread, and their held-out labels."""
    spread = np.array([0.2, 1.0, 30.0])
    latent = rng.standard_normal((N_ROWS, N_CATEGORIES))
    logits = latent * spread + np.array([3.0, 0.0, -100.0])
    y = rng.random(latent.shape) < expit(0.6 * latent - 0.5)
    unknown = rng.random(latent.shape) < 0.6
    columns = []
    for j in range(N_CATEGORIES):
        rows = np.flatnonzero(~unknown[:, j])[::2]
        columns.append(HeldOutColumn(rows, y[rows, j], logits[rows, j]))
    share = np.array([0.1, 0.5, 0.93])
    return logits, unknown, share, HeldOutScores(N_ROWS, columns)


def brute_force(logits, unknown, share, columns):
    """Fit a slope and a bias per category at once, then each bias by bisection."""
    spread = logits.std(axis=0)
    judging = [j for j, (_, y, *_) in enumerate(columns) if 0 < y.sum() < len(y)]

    def loss(parameters):
        slope, bias = math.exp(parameters[0]), parameters[1:]
        total = 0.0
        for j, own in zip(judging, bias, strict=True):
            _, y, held_out, *_ = columns[j]
            proba = expit(slope * held_out / spread[j] + own)
            total += log_loss(y, proba, normalize=False)
        return total

    centres = [-(columns[j].logits / spread[j]).mean() for j in judging]
    found = minimize(loss, [0.0, *centres], method="Nelder-Mead", options=TIGHT)
    slope = math.exp(found.x[0])
    targets = np.full(logits.shape, np.nan)
    for j in range(logits.shape[1]):
        own = slope * logits[unknown[:, j], j] / spread[j]

        def excess(bias, own=own, j=j):
            return expit(own + bias).mean() - share[j]

        bias = bisect(excess, -1e4, 1e4)
        targets[unknown[:, j], j] = expit(own + bias)
    return slope, targets


TIGHT = {"xatol": 1e-8, "fatol": 1e-10, "maxiter": 20000, "maxfev": 20000}


def slope_of(targets, logits):
    """Return the slope of log-odds of one category at unit spread."""
    used = ~np.isnan(targets)
    proba = targets[used].astype(np.float64)
    log_odds = np.log(proba / (1 - proba))
    return np.polyfit(logits[used] / logits.std(), log_odds, 1)[0]


def test_the_slope_is_the_likeliest_of_all_categories(problem):
    logits, unknown, share, held_out = problem
    targets = soft_targets(*problem)
    slope, expected = brute_force(logits, unknown, share, held_out.columns)
    assert 0.3 < slope < 1.2
    assert targets.dtype == np.float32
    assert_allclose(targets, expected, atol=1e-4)
    for j in range(N_CATEGORIES):
        assert slope_of(targets[:, j], logits[:, j]) == pytest.approx(slope, rel=1e-3)


def test_the_mean_over_unknown_cells_is_the_share(problem):
    _, unknown, share, _ = problem
    targets = soft_targets(*problem)
    assert_array_equal(np.isnan(targets), ~unknown)
    assert_allclose(np.nanmean(targets, axis=0), share, atol=1e-5)


@pytest.mark.parametrize(("share", "least"), [(0.0, 1e-4), (1.0, 1 - 1e-4)])
def test_no_label_is_sure(problem, share, least):
    logits, unknown, _, held_out = problem
    targets = soft_targets(logits, unknown, np.full(3, share), held_out)
    assert_allclose(np.nanmean(targets, axis=0), least, atol=1e-6)


def test_neither_scale_nor_position_of_logits_matters(problem):
    logits, unknown, share, held_out = problem
    moved = [
        own._replace(logits=5 * own.logits - 8) if j == 1 else own
        for j, own in enumerate(held_out.columns)
    ]
    other = logits.copy()
    other[:, 1] = 5 * other[:, 1] - 8
    targets = soft_targets(other, unknown, share, HeldOutScores(N_ROWS, moved))
    assert_allclose(targets, soft_targets(*problem), atol=1e-5)


def test_constant_logits_have_no_target(problem):
    """Nor do they disturb the other categories."""
    logits, unknown, share, held_out = problem
    logits[:, 1] = 4.0
    columns = list(held_out.columns)
    columns[1] = columns[1]._replace(logits=np.full(len(columns[1].y), 4.0))
    targets = soft_targets(logits, unknown, share, HeldOutScores(N_ROWS, columns))
    assert np.isnan(targets[:, 1]).all()
    kept = [0, 2]
    expected = soft_targets(
        logits[:, kept],
        unknown[:, kept],
        share[kept],
        HeldOutScores(N_ROWS, [columns[0], columns[2]]),
    )
    assert_allclose(targets[:, kept], expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["none", "positive", "negative"])
def test_the_slope_is_one_where_no_label_can_tell(problem, kind):
    logits, unknown, share, held_out = problem
    columns = []
    for own in held_out.columns:
        keep = np.zeros(len(own.y), bool) if kind == "none" else own.y
        keep = ~own.y if kind == "negative" else keep
        columns.append(HeldOutColumn(own.rows[keep], own.y[keep], own.logits[keep]))
    targets = soft_targets(logits, unknown, share, HeldOutScores(N_ROWS, columns))
    for j in range(N_CATEGORIES):
        assert slope_of(targets[:, j], logits[:, j]) == pytest.approx(1, rel=1e-3)
    assert_allclose(np.nanmean(targets, axis=0), share, atol=1e-5)


def test_a_category_without_unknown_labels_has_no_target(problem):
    logits, unknown, share, held_out = problem
    unknown[:, 2] = False
    targets = soft_targets(logits, unknown, share, held_out)
    assert np.isnan(targets[:, 2]).all()
    assert not np.isnan(targets[unknown]).any()


def test_the_auc_is_weighted_by_labels(problem):
    columns = problem[3].columns
    columns[2] = columns[2]._replace(y=np.zeros(len(columns[2].y), bool))
    auc = [roc_auc_score(own.y, own.logits) for own in columns[:2]]
    counts = [(own.y.sum(), (~own.y).sum()) for own in columns[:2]]
    weights = [1 / (1 / p + 1 / n) for p, n in counts]
    expected = np.average(auc, weights=weights)
    assert mean_held_out_auc(problem[3]) == pytest.approx(expected)
    nothing = [own._replace(y=np.ones(len(own.y), bool)) for own in columns]
    assert math.isnan(mean_held_out_auc(HeldOutScores(N_ROWS, nothing)))
    empty = HeldOutColumn(np.zeros(0, int), np.zeros(0, bool), np.zeros(0))
    assert math.isnan(mean_held_out_auc(HeldOutScores(N_ROWS, [empty])))
