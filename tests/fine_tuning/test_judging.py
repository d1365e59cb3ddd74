"""How the candidates of one category are judged."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cftlearn.fine_tuning._judging import auc_within_folds


def test_only_labels_of_one_fold_are_compared(rng):
    """Oracle: scikit-learn in each fold, weighted by pairs."""
    folds = rng.integers(0, 3, 60)
    y = rng.random(60) < 0.4
    logits = rng.normal(size=60) + y + 10.0 * folds  # every fold has a bias of its own
    scores, pairs = [], []
    for fold in range(3):
        own = folds == fold
        scores.append(roc_auc_score(y[own], logits[own]))
        pairs.append(np.sum(y[own]) * np.sum(~y[own]))
    expected = np.average(scores, weights=pairs)
    assert auc_within_folds(logits, y, folds) == pytest.approx(expected)
    assert abs(roc_auc_score(y, logits) - expected) > 0.05


def test_folds_of_one_class_compare_nothing(rng):
    y = np.array([True, True, False, False, True])
    folds = np.array([0, 0, 1, 1, 2])
    assert np.isnan(auc_within_folds(rng.normal(size=5), y, folds))
    folds[4] = 1
    logits = np.array([0.0, 0.0, 1.0, 3.0, 2.0])
    assert auc_within_folds(logits, y, folds) == 0.5
