"""How much refits count beside the initial weights."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import roc_auc_score

from cftlearn.fine_tuning._share import (
    COST,
    SHARES,
    Trial,
    _gain_curve,
    choose_shares,
)

few = settings(max_examples=40)
EVEN = np.array([0.5, 0.5])


def trial(quality, initial, *, n=40, labels=10.0, seed=0):
    """Draw labels, two candidates and initial weights of some quality."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2 == 0
    strengths = np.array([quality, quality, initial])[:, None]
    return Trial(strengths * y + rng.normal(size=(3, n)), y, labels)


def choose(trials, *, memory=0.5, weights=None):
    weights = np.tile(EVEN, (len(trials), 1)) if weights is None else weights
    return choose_shares(trials, weights, memory)


def test_the_curve_is_the_gain_in_auc_of_the_mixtures():
    """Oracle: scikit-learn, on one mixture after the other."""
    logits, y, _ = own = trial(1.5, 0.5)
    weights = np.array([0.3, 0.7])
    start = roc_auc_score(y, logits[2])
    expected = [
        roc_auc_score(y, (1 - t) * logits[2] + t * (weights @ logits[:2])) - start
        for t in SHARES
    ]
    assert_allclose(_gain_curve([own], weights), expected, atol=1e-9)


def test_trials_count_by_their_labels():
    one, two = trial(2.0, 0.0, labels=3.0), trial(0.0, 1.0, labels=1.0, seed=1)
    curves = [_gain_curve([own], EVEN) for own in (one, two)]
    assert_allclose(_gain_curve([one, two], EVEN), (3 * curves[0] + curves[1]) / 4)
    assert_array_equal(_gain_curve([], EVEN), 0.0)


def test_a_candidate_that_is_missing_does_not_count():
    logits, y, labels = trial(1.5, 0.5)
    lacking = logits.copy()
    lacking[1] = np.nan
    alone = _gain_curve([Trial(lacking, y, labels)], np.array([1.0, 0.0]))
    assert_allclose(
        alone, _gain_curve([Trial(logits, y, labels)], np.array([1.0, 0.0]))
    )


def test_refits_that_are_better_take_over():
    shares = choose([[trial(2.0, 0.0, n=400, labels=100.0)] for _ in range(4)])
    assert all(share.refits > 0.8 for share in shares)
    assert all(share.gain > 0.2 for share in shares)
    assert all(share.pooled_gain > 0.1 for share in shares)


def test_refits_that_are_worse_leave_the_initial_weights():
    shares = choose([[trial(0.0, 2.0, n=400, labels=100.0)]], memory=1.0)
    assert shares[0].refits == 0.0
    assert shares[0].gain == 0.0


def test_own_evidence_that_is_strong_is_a_veto():
    """All other categories gain, and one of them loses."""
    gaining = [[trial(2.0, 0.0, n=200, labels=50.0, seed=k)] for k in range(8)]
    losing = [trial(0.0, 2.0, n=200, labels=50.0, seed=9)]
    *others, last = choose([*gaining, losing])
    assert last.gain >= -0.5 / np.sqrt(50)
    assert last.refits < 0.6
    assert min(share.refits for share in others) > 0.7
    *_, sure = choose([*gaining, [losing[0]._replace(labels=5000.0)]])
    assert sure.gain >= 0.0


def test_a_category_without_labels_follows_the_others():
    gaining = [[trial(2.0, 0.0, n=200, labels=50.0, seed=k)] for k in range(8)]
    *_, silent = choose([*gaining, []])
    assert silent.refits > 0.8
    assert silent.gain == 0.0


@pytest.mark.parametrize(("memory", "expected"), [(0.5, 0.0), (1.0, 0.95)])
def test_without_labels_memory_decides(memory, expected):
    """The share at which one more would gain less than it costs."""
    share = choose([[]], memory=memory)[0]
    assert share.refits == pytest.approx(expected)
    slopes = 0.2 * (memory - 0.6) * np.diff(SHARES * (2 - SHARES)) / 0.05
    assert expected == pytest.approx(0.05 * np.count_nonzero(slopes > COST))


def test_a_change_that_gains_nothing_is_not_made():
    logits, y, labels = trial(1.0, 1.0, n=200, labels=1e6)
    same = Trial(np.tile(logits[2], (3, 1)), y, labels)
    assert choose([[same]], memory=1.0)[0].refits == 0.0


@few
@given(seed=st.integers(0, 1000), memory=st.floats(0, 1))
def test_the_order_of_categories_does_not_matter(seed, memory):
    rng = np.random.default_rng(seed)
    trials = [
        [trial(*rng.normal(size=2), n=20, labels=20 * rng.random(), seed=k)]
        for k in range(5)
    ]
    weights = rng.dirichlet(np.ones(2), 5)
    order = rng.permutation(5)
    before = choose_shares(trials, weights, memory)
    after = choose_shares([trials[k] for k in order], weights[order], memory)
    assert after == [before[k] for k in order]


@few
@given(seed=st.integers(0, 1000), memory=st.floats(0, 1))
def test_shares_maximise_what_they_gain_less_what_they_cost(seed, memory):
    """Brute force over all shares, in plain loops."""
    rng = np.random.default_rng(seed)
    trials = [
        [
            trial(*rng.normal(size=2), n=20, labels=20 * rng.random(), seed=j)
            for j in range(rng.integers(0, 3))
        ]
        for _ in range(4)
    ]
    labels = [sum(own.labels for own in each) for each in trials]
    curves = [_gain_curve(each, EVEN) for each in trials]
    for c, share in enumerate(choose(trials, memory=memory)):
        values = []
        for k, t in enumerate(SHARES):
            total = 40 * 0.2 * (memory - 0.6) * t * (2 - t)
            total += sum(m * g[k] for m, g in zip(labels, curves, strict=True))
            pooled = total / (sum(labels) + 40)
            own = (labels[c] * curves[c][k] + 40 * pooled) / (labels[c] + 40)
            harms = curves[c][k] < -0.5 / np.sqrt(labels[c]) if labels[c] else False
            values.append(-np.inf if harms else own - 0.01 * t)
        chosen = int(np.argmin(np.abs(SHARES - share.refits)))
        assert values[chosen] == pytest.approx(max(values), abs=1e-12)
