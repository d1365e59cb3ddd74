"""Rules that choose pseudo-labels, by brute force and beside a peer's own."""

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal
from scipy.special import expit
from sklearn.base import clone

from cftlearn.training import PseudoLabels

NAN = np.nan
RULES = ["soft", "threshold", "top_share", "adaptive"]
SCORES = arrays(float, (8, 3), elements=st.integers(0, 20).map(lambda i: i / 20))
LABELS = arrays(float, (8, 3), elements=st.sampled_from([0.0, 1.0, NAN, NAN, NAN]))


@pytest.fixture
def many(rng):
    """Scores that say something of their labels, most of which are unknown."""
    y_full = (rng.random((400, 3)) < 0.4).astype(float)
    scores = expit(2.5 * (y_full - 0.5) + rng.standard_normal(y_full.shape))
    y = np.where(rng.random(y_full.shape) < 0.7, NAN, y_full)
    return scores, y, y_full


# ------------------------------------------------------------------------- what all do
@pytest.mark.parametrize("rule", RULES)
@given(scores=SCORES, y=LABELS)
def test_known_labels_have_none_and_the_rest_are_labels(rule, scores, y):
    before = scores.copy(), y.copy()
    chosen = PseudoLabels(rule, share=0.3, threshold=0.7, error=0.4).select(scores, y)
    assert np.isnan(chosen[~np.isnan(y)]).all()
    given_values = chosen[~np.isnan(chosen)]
    if rule == "soft":
        assert_array_equal(chosen, np.where(np.isnan(y), scores, NAN))
    else:
        assert set(given_values) <= {0.0, 1.0}
    assert_array_equal(scores, before[0])
    assert_array_equal(y, before[1])


@pytest.mark.parametrize("per", ["category", "all"])
@pytest.mark.parametrize("rule", RULES)
@given(scores=SCORES, y=LABELS, order=st.permutations(range(8)))
def test_the_order_of_rows_changes_nothing(rule, per, scores, y, order):
    own = PseudoLabels(rule, per=per, share=0.4, threshold=0.7, error=0.4)
    expected = own.select(scores, y)[order]
    assert_array_equal(own.select(scores[order], y[order]), expected)


@pytest.mark.parametrize("rule", RULES)
@given(scores=SCORES, others=SCORES, y=LABELS)
def test_a_category_does_not_depend_on_others(rule, scores, others, y):
    own = PseudoLabels(rule, share=0.4, threshold=0.7, error=0.4)
    others[:, 1] = scores[:, 1]
    expected = own.select(scores, y)[:, 1]
    assert_array_equal(own.select(others, y)[:, 1], expected)


@pytest.mark.parametrize("rule", RULES[1:])
def test_positives_alone(rule, many):
    scores, y, _ = many
    both = PseudoLabels(rule, threshold=0.8, error=0.1).select(scores, y)
    only = PseudoLabels(rule, threshold=0.8, error=0.1, positive_only=True)
    chosen = only.select(scores, y)
    assert (both == 0).any()
    assert (chosen == 1).any()
    assert not (chosen == 0).any()
    if rule != "top_share":  # which then takes the share from positives
        assert_array_equal(chosen == 1, both == 1)


@pytest.mark.parametrize("rule", RULES)
def test_a_cell_without_a_score_has_none(rule, many):
    scores, y, _ = many
    scores[:50] = NAN
    assert np.isnan(PseudoLabels(rule).select(scores, y)[:50]).all()


def test_names_are_kept():
    pd = pytest.importorskip("pandas", reason="the dataframes extra")
    scores = pd.DataFrame([[0.95, 0.2], [0.5, 0.04]], columns=["a", "b"], index=[3, 4])
    y = pd.DataFrame([[NAN, 1], [0, NAN]], columns=["a", "b"], index=[3, 4])
    chosen = PseudoLabels("threshold").select(scores, y)
    expected = pd.DataFrame([[1, NAN], [NAN, 0]], columns=["a", "b"], index=[3, 4])
    pd.testing.assert_frame_equal(chosen, expected.astype(float))


def test_it_is_cloned_with_its_parameters():
    rule = PseudoLabels("threshold", threshold=(0.2, 0.7), positive_only=True)
    assert clone(rule).get_params() == rule.get_params()
    assert set(rule._parameter_constraints) == set(rule.get_params())


# ----------------------------------------------------------------------- by brute force
@given(
    scores=SCORES, y=LABELS, limits=st.tuples(st.integers(0, 20), st.integers(0, 20))
)
def test_a_threshold_by_brute_force(scores, y, limits):
    low, high = sorted(limit / 20 for limit in limits)
    chosen = PseudoLabels("threshold", threshold=(low, high)).select(scores, y)
    for row, j in np.ndindex(scores.shape):
        expected = NAN
        if np.isnan(y[row, j]):
            p = scores[row, j]
            expected = 1 if p >= high else 0 if p <= low else NAN
        assert_array_equal(chosen[row, j], expected)


@pytest.mark.parametrize("threshold", [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0])
def test_one_threshold_is_a_symmetric_pair(threshold):
    scores = np.array([[threshold, round(1 - threshold, 2), 0.5]])
    chosen = PseudoLabels("threshold", threshold=threshold).select(scores, scores * NAN)
    if threshold == 0.5:
        assert_array_equal(chosen, [[1, 1, 1]])
    else:
        assert_array_equal(chosen, [[1, 0, NAN]])


def top_share_by_brute_force(scores, y, share, per, positive_only):
    chosen = np.full(scores.shape, NAN)
    pools = [np.ones(3, bool)] if per == "all" else list(np.eye(3, dtype=bool))
    for pool in pools:
        cells = [(i, j) for i, j in np.argwhere(np.isnan(y)) if pool[j]]
        sure = {
            cell: scores[cell] if positive_only else abs(scores[cell] - 0.5)
            for cell in cells
        }
        n_taken = round(share * len(cells))
        for cell in cells:
            # Taken, if there is room for it and for all that are as high or higher.
            rivals = sum(other >= sure[cell] - 1e-9 for other in sure.values())
            if rivals <= n_taken:
                label = float(scores[cell] >= 0.5)
                chosen[cell] = NAN if positive_only and not label else label
    return chosen


@pytest.mark.parametrize("positive_only", [False, True])
@pytest.mark.parametrize("per", ["category", "all"])
@given(
    scores=arrays(float, (8, 3), elements=st.integers(0, 32).map(lambda i: i / 32)),
    y=LABELS,
    share=st.sampled_from([0.1, 0.25, 0.5, 0.8, 1.0]),
)
def test_a_top_share_by_brute_force(per, positive_only, scores, y, share):
    rule = PseudoLabels("top_share", share=share, per=per, positive_only=positive_only)
    expected = top_share_by_brute_force(scores, y, share, per, positive_only)
    assert_array_equal(rule.select(scores, y), expected)


def test_a_top_share_is_of_the_whole_set_and_of_unknown_cells(many):
    """Not of batches in the order of rows, and not of known cells as well."""
    scores, y, _ = many
    scores = np.sort(scores, axis=0)
    chosen = PseudoLabels("top_share", share=0.2).select(scores, y)
    n_unknown = np.isnan(y).sum(axis=0)
    assert_array_equal((~np.isnan(chosen)).sum(axis=0), np.round(0.2 * n_unknown))
    for j in range(3):
        rows = np.flatnonzero(~np.isnan(chosen[:, j]))
        rest = np.flatnonzero(np.isnan(chosen[:, j]) & np.isnan(y[:, j]))
        sure = np.abs(scores[:, j] - 0.5)
        assert sure[rows].min() > sure[rest].max()
    pooled = PseudoLabels("top_share", share=0.2, per="all").select(scores, y)
    assert (~np.isnan(pooled)).sum() == round(0.2 * n_unknown.sum())


@given(
    scores=SCORES,
    y=LABELS,
    error=st.sampled_from([0.15, 0.3, 0.5, 0.9]),
)
def test_adaptive_thresholds_by_brute_force(scores, y, error):
    chosen = PseudoLabels("adaptive", error=error).select(scores, y)
    for row, j in np.ndindex(scores.shape):
        expected = NAN
        if np.isnan(y[row, j]):
            s, own = scores[row, j], scores[:, j]
            # Ranks among the known labels of a class and the cell itself.
            above = [t >= s for t in own[y[:, j] == 0]]
            below = [t <= s for t in own[y[:, j] == 1]]
            rare = [
                (1 + sum(each)) / (1 + len(each)) <= error + 1e-9
                for each in (above, below)
            ]
            expected = {(True, False): 1, (False, True): 0}.get(tuple(rare), NAN)
        assert_array_equal(chosen[row, j], expected)


@pytest.mark.parametrize("n_known", [18, 19, 20, 199])
def test_adaptive_thresholds_need_enough_known_labels(n_known):
    scores = np.linspace(0.1, 0.8, n_known + 2).reshape(-1, 1)
    scores[-2:, 0] = 0.95, 0.01
    y = np.vstack([np.zeros((n_known, 1)), [[NAN], [NAN]]])
    chosen = PseudoLabels("adaptive", error=0.05).select(scores, y)
    # No positive is known, so nothing can become a negative.
    assert_array_equal(chosen[-2:, 0], [1 if n_known >= 19 else NAN, NAN])


def test_a_rank_is_not_lost_to_floating_point():
    """25 * (1 - 0.44) is 14, and 14.000000000000002 in floating point."""
    scores = np.append(np.arange(1, 25), [13.5, 14.5]).reshape(-1, 1) / 100
    y = np.append(np.zeros(24), [NAN, NAN]).reshape(-1, 1)
    chosen = PseudoLabels("adaptive", error=0.44).select(scores, y)
    assert_array_equal(chosen[-2:, 0], [NAN, 1])


def test_adaptive_thresholds_err_as_rarely_as_they_say(rng):
    """Of unknown negatives like the known ones, a share of `error` become positive."""
    wrong, total = 0, 0
    for _ in range(200):
        scores = rng.random((60, 1))
        y = np.zeros((60, 1))
        y[40:] = NAN
        chosen = PseudoLabels("adaptive", error=0.1).select(scores, y)
        wrong, total = wrong + int((chosen == 1).sum()), total + 20
    assert wrong / total == pytest.approx(4 / 41, abs=0.015)


def test_rules_find_mostly_right_labels(many):
    scores, y, y_full = many
    for rule in ("threshold", "top_share", "adaptive"):
        chosen = PseudoLabels(rule).select(scores, y)
        has_one = ~np.isnan(chosen)
        assert 50 < has_one.sum() < np.isnan(y).sum()
        assert np.mean(chosen[has_one] == y_full[has_one]) > 0.85


# -------------------------------------------------------------------------- with a peer
class Rows(torch.utils.data.Dataset):
    """Logits as images, and their labels."""

    def __init__(self, logits, y):
        self.logits, self.y = torch.from_numpy(logits), torch.from_numpy(y)
        self.num_categories = y.shape[1]

    def __len__(self):
        return len(self.y)

    def __getitem__(self, row):
        return self.logits[row], self.y[row]


@pytest.fixture
def peer_labels(monkeypatch):
    """Return pseudo-labels of mlcpl 0.1.7 from logits; it moves tensors to a GPU."""
    found = importlib.util.find_spec("mlcpl")
    if found is None:
        pytest.skip("needs mlcpl, which is not on every machine")
    # Its package imports loaders of data sets; this module needs torch alone.
    path = Path(found.submodule_search_locations[0]) / "pseudo_labeling.py"
    spec = importlib.util.spec_from_file_location("peer_pseudo_labeling", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(torch.Tensor, "to", lambda self, *_, **__: self)

    def labels(logits, y, **options):
        own = module.CurriculumLabeling(Rows(logits, y))
        own.update(torch.nn.Identity(), len(y), num_workers=0, verbose=True, **options)
        return np.where(own.selections.numpy(), own.labels.numpy().astype(float), NAN)

    return labels


@pytest.mark.parametrize("threshold", [0.5, 1.5, (-1.0, 2.0)], ids=str)
def test_thresholds_are_those_of_a_peer_in_logits(many, peer_labels, threshold):
    scores, y, _ = many
    logits = np.log(scores / (1 - scores))
    expected = peer_labels(
        logits, y, selection_strategy="score", selection_threshold=threshold
    )
    own = expit(threshold)
    own = tuple(own) if np.ndim(own) else float(own)
    assert_array_equal(
        PseudoLabels("threshold", threshold=own).select(scores, y), expected
    )


def test_positive_thresholds_are_those_of_a_peer(many, peer_labels):
    scores, y, _ = many
    logits = np.log(scores / (1 - scores))
    expected = peer_labels(
        logits, y, selection_strategy="positive_score", selection_threshold=1.0
    )
    own = PseudoLabels("threshold", threshold=expit(1.0), positive_only=True)
    assert_array_equal(own.select(scores, y), expected)


def test_top_shares_are_those_of_a_peer_where_it_is_right(many, peer_labels):
    """In one batch, without known labels; it takes one cell less than its share."""
    scores, y, _ = many
    logits = np.log(scores / (1 - scores))
    for strategy, per, n in (("top%/category", "category", 400), ("top%", "all", 1200)):
        expected = peer_labels(
            logits, y * NAN, selection_strategy=strategy, selection_threshold=0.2
        )
        share = (math.floor(0.2 * n) - 1) / n
        own = PseudoLabels("top_share", share=share, per=per, positive_only=True)
        assert_array_equal(own.select(scores, y * NAN), expected)
