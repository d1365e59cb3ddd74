"""The choice of a penalty by labels that no fit saw."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import roc_auc_score

from cftlearn._features._stored import StoredFeatures
from cftlearn.fine_tuning._penalty_choice import (
    PenaltyEvidence,
    choose_penalties,
    combine_evidence,
    judge_penalties,
    path_logits,
)
from cftlearn.fine_tuning._regression_paths import (
    SPREADS,
    USUAL,
    RegressionPaths,
)

N_SPREADS = len(SPREADS)


@pytest.fixture
def paths(rng):
    return RegressionPaths(
        rng.standard_normal((3, N_SPREADS, 4)), rng.standard_normal((3, N_SPREADS))
    )


@pytest.fixture
def held_out(rng):
    labels = (rng.random((50, 3)) < 0.4).astype(float)
    labels[rng.random(labels.shape) < 0.6] = np.nan
    return labels


def judge(paths, Z, held_out):
    return judge_penalties(paths, path_logits(paths, Z, ~np.isnan(held_out)), held_out)


def test_logits_are_those_of_the_cells(paths, held_out, rng):
    Z = rng.standard_normal((50, 4))
    known = ~np.isnan(held_out)
    for j, logits in enumerate(path_logits(paths, Z, known)):
        expected = paths.coef[j] @ Z[known[:, j]].T + paths.intercept[j][:, None]
        assert_allclose(logits, expected)


def test_stored_features_and_features_per_category_are_read(paths, held_out, rng):
    Z = rng.standard_normal((50, 4)).astype(np.float32)
    expected = judge(paths, Z, held_out)
    for other in (StoredFeatures(Z), np.stack([Z] * 3, axis=1)):
        assert_array_equal(judge(paths, other, held_out).gains, expected.gains)


def test_evidence_is_the_gain_in_auc_times_effective_labels(paths, held_out, rng):
    Z = rng.standard_normal((50, 4))
    evidence = judge(paths, Z, held_out)
    for j in range(3):
        known = ~np.isnan(held_out[:, j])
        y = held_out[known, j]
        labels = 1 / (1 / y.sum() + 1 / (1 - y).sum())
        auc = [roc_auc_score(y, Z[known] @ coef) for coef in paths.coef[j]]
        assert evidence.labels[j] == pytest.approx(labels)
        assert_allclose(evidence.gains[j], labels * (np.array(auc) - auc[USUAL]))


def test_a_category_without_a_class_says_nothing(paths, held_out, rng):
    Z = rng.standard_normal((50, 4))
    held_out[:, 0] = np.where(held_out[:, 0] == 1.0, np.nan, held_out[:, 0])
    held_out[:, 1] = np.nan
    paths.coef[2] = 0.0  # nor one whose labels to fit had one class
    evidence = judge(paths, Z, held_out)
    assert_array_equal(evidence.labels, 0)
    assert_array_equal(evidence.gains, 0)
    assert_array_equal(choose_penalties(evidence), USUAL)


def test_the_choice_is_the_documented_one(rng):
    labels = np.array([30.0, 2.0, 0.0, 8.0])
    gains = labels[:, None] * rng.normal(scale=0.1, size=(4, N_SPREADS))
    gains[:, USUAL] = 0.0
    chosen = choose_penalties(PenaltyEvidence(gains, labels))
    for j, own in enumerate(gains):
        scores = []
        for k, spread in enumerate(SPREADS):
            pooled = sum(gains[:, k]) / (sum(labels) + 20)
            scores.append(-(math.log10(spread) ** 2) / 2 + 2 * (own[k] + 20 * pooled))
        assert chosen[j] == np.argmax(scores)
    assert len(set(chosen)) > 1


def test_a_category_with_few_labels_takes_what_suits_all():
    gain = np.array([0.0, 0.0, 0.0, 0.1, 0.0])
    labels = np.array([50.0, 50.0, 1.0])
    gains = labels[:, None] * gain
    gains[2] = [0.0, 0.5, 0.0, -0.3, 0.0]
    assert_array_equal(choose_penalties(PenaltyEvidence(gains, labels)), 3)


def test_a_category_with_many_labels_takes_its_own():
    gain = np.array([0.0, 0.0, 0.0, 0.1, 0.0])
    labels = np.array([20.0, 20.0, 200.0])
    gains = labels[:, None] * gain
    gains[2] = 200 * np.array([0.0, 0.1, 0.0, -0.1, 0.0])
    assert choose_penalties(PenaltyEvidence(gains, labels))[2] == 1


def test_a_slight_gain_on_few_labels_does_not_move_the_choice():
    gains = np.array([[0.0, 0.02, 0.0, 0.0, 0.02]])
    evidence = PenaltyEvidence(gains, np.array([2.0]))
    assert_array_equal(choose_penalties(evidence), USUAL)


def test_the_order_of_categories_does_not_matter(rng):
    labels = rng.uniform(1, 50, 200)
    gains = labels[:, None] * rng.normal(scale=1e-3, size=(200, N_SPREADS))
    order = rng.permutation(200)
    expected = choose_penalties(PenaltyEvidence(gains, labels))
    swapped = choose_penalties(PenaltyEvidence(gains[order], labels[order]))
    assert_array_equal(swapped, expected[order])


def test_rounding_of_sums_does_not_let_the_order_matter():
    gains = np.zeros((4, N_SPREADS))
    gains[:, 1] = [1e16, 1.0, -1e16, 0.0]  # sums to 0 or to 1, step by step
    for order in ([0, 1, 2, 3], [0, 2, 1, 3], [1, 0, 2, 3]):
        chosen = choose_penalties(PenaltyEvidence(gains[order], np.zeros(4)))
        assert chosen[3] == 1


def test_disjoint_labels_add_up(rng):
    parts = [
        PenaltyEvidence(rng.standard_normal((3, N_SPREADS)), rng.random(3))
        for _ in range(3)
    ]
    total = combine_evidence(parts)
    assert_allclose(total.gains, sum(part.gains for part in parts))
    assert_allclose(total.labels, sum(part.labels for part in parts))
