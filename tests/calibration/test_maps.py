"""Maps from logits to probabilities: Platt's, shrunken, rising."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.calibration import _SigmoidCalibration
from sklearn.linear_model import LogisticRegression

from cftlearn.calibration import CategoryCalibrator
from cftlearn.calibration._maps import (
    KnownScores,
    fit_affine_maps,
    smoothed_targets,
)


def test_a_map_alone_is_that_of_platt(rng):
    logits = rng.normal(size=200)
    y = rng.random(200) < expit(2 * logits - 1)
    own = KnownScores(logits, y)
    found = fit_affine_maps([own], shrinkage=0)[0]
    oracle = _SigmoidCalibration().fit(logits, y.astype(int))
    assert found.slope == pytest.approx(-oracle.a_, rel=1e-4)
    assert found.intercept == pytest.approx(-oracle.b_, rel=1e-4)


def test_a_map_minimises_the_cross_entropy_of_its_targets(rng):
    logits = 4 * rng.normal(size=300) + 7
    y = rng.random(300) < expit(logits - 7)
    found = fit_affine_maps([KnownScores(logits, y)], shrinkage=0)[0]
    targets = smoothed_targets(KnownScores(logits, y))
    oracle = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(
        np.tile(logits, 2)[:, None],
        np.repeat([1, 0], 300),
        sample_weight=np.concatenate([targets, 1 - targets]),
    )
    assert found.slope == pytest.approx(oracle.coef_[0, 0], rel=1e-5)
    assert found.intercept == pytest.approx(oracle.intercept_[0], rel=1e-5)
    assert found.proba(logits).mean() == pytest.approx(targets.mean(), abs=1e-9)


@pytest.mark.parametrize("scale", [1e-8, 1e-3, 1.0, 1e6])
def test_a_map_does_not_depend_on_the_scale_of_logits(rng, scale):
    logits = rng.normal(size=100) + 3
    y = rng.random(100) < 0.3
    y[np.argmax(logits)] = True
    proba = [
        fit_affine_maps([KnownScores(factor * logits, y)], 10)[0].proba(factor * logits)
        for factor in (1.0, scale)
    ]
    np.testing.assert_allclose(*proba, rtol=1e-6)


def test_few_labels_follow_all_categories_and_many_their_own(rng):
    logits = rng.normal(size=5000)
    common = KnownScores(logits, rng.random(5000) < expit(2 * logits))
    rare = KnownScores(np.array([-1.0, 0.0, 1.0]), np.array([True, False, True]))
    maps = fit_affine_maps([common, rare], shrinkage=10)
    alone = fit_affine_maps([common, rare], shrinkage=0)
    assert maps[0].slope == pytest.approx(alone[0].slope, rel=0.01)
    assert maps[1].slope == pytest.approx(maps[0].slope, rel=0.05)
    assert abs(alone[1].slope - maps[0].slope) > 1.0
    heavy = fit_affine_maps([common, rare], shrinkage=1e9)
    assert heavy[0] == pytest.approx(heavy[1], rel=1e-4)


def test_scores_that_rank_the_wrong_way_keep_their_order():
    logits = np.linspace(-3, 3, 40)
    y = np.column_stack([logits < 0, logits < 1]).astype(float)
    X = np.column_stack([logits, logits])
    calibrator = CategoryCalibrator().fit(X, y)
    assert (calibrator.slope_ > 0).all()
    assert (np.diff(calibrator.transform(X), axis=0) > 0).all()
    assert "order stays" in calibrator.report_[0]["reason"]
    assert calibrator.transform(X)[:, 0].mean() == pytest.approx(0.5, abs=0.05)


def test_equal_scores_become_the_share_of_positives():
    X = np.full((40, 1), 5.0)
    y = np.repeat([[1.0], [0.0]], [10, 30], axis=0)
    with pytest.warns(Warning, match="column-vector"):
        calibrator = CategoryCalibrator().fit(X, y)
    assert calibrator.transform(X)[0, 0] == pytest.approx(0.25, abs=0.02)
