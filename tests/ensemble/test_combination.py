"""Means, ranks and views of plain score arrays, and the choice among models."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from optional import optional
from scipy.special import expit, logit
from scipy.stats import rankdata

from cftlearn.ensemble import combine_scores, merge_views
from cftlearn.ensemble._combination import mean_log_odds, ranks_among, reference_rows

pd = optional("pandas")

NAN = np.nan


@pytest.fixture
def member_scores(rng):
    """Probabilities of three models for forty rows and two categories."""
    return expit(rng.standard_normal((3, 40, 2)))


@pytest.mark.parametrize("weights", [None, [1, 2, 5]])
def test_means_are_numpys(member_scores, weights):
    expected = np.average(member_scores, axis=0, weights=weights)
    assert_allclose(combine_scores(member_scores, weights=weights), expected)
    expected = expit(np.average(logit(member_scores), axis=0, weights=weights))
    found = combine_scores(member_scores, how="logit_mean", weights=weights)
    assert_allclose(found, expected)


def test_weights_may_differ_between_categories(member_scores):
    weights = [[1, 0], [0, 0], [0, 3]]
    found = combine_scores(member_scores, weights=weights)
    assert_array_equal(found[:, 0], member_scores[0, :, 0])
    assert_array_equal(found[:, 1], member_scores[2, :, 1])


def test_rank_mean_is_that_of_scipys_ranks(member_scores):
    scores = np.round(member_scores, 1)  # with ties
    expected = ((rankdata(scores, axis=1) - 0.5) / 40).mean(axis=0)
    assert_allclose(combine_scores(scores, how="rank_mean"), expected)


@pytest.mark.parametrize("how", ["mean", "logit_mean", "rank_mean"])
def test_one_member_keeps_its_order(member_scores, how):
    found = combine_scores(member_scores[:1], how=how)
    assert_array_equal(np.argsort(found, axis=0), np.argsort(member_scores[0], axis=0))


def test_ranks_do_not_depend_on_the_other_rows(member_scores):
    reference, scores = member_scores[:, :30], member_scores[:, 30:]
    settings = {"how": "rank_mean", "reference": reference}
    whole = combine_scores(scores, **settings)
    single = [combine_scores(scores[:, [i]], **settings)[0] for i in range(10)]
    assert_allclose(whole, single)


@settings(max_examples=50)
@given(
    reference=st.lists(st.integers(-5, 5), min_size=1, max_size=8),
    scores=st.lists(st.floats(-20, 20), min_size=2, max_size=10, unique=True),
)
def test_ranks_keep_every_order_and_stay_shares(reference, scores):
    known = np.sort(np.array(reference, dtype=float)).reshape(1, -1, 1)
    scores = np.round(np.sort(scores), 3)
    ranks = ranks_among(scores.reshape(1, -1, 1), known)[0, :, 0]
    assert ((ranks > 0) & (ranks < 1)).all()
    assert ((np.diff(scores) > 0) == (np.diff(ranks) > 0)).all()
    for score, rank in zip(scores, ranks, strict=True):
        below, through = (known < score).sum(), (known <= score).sum()
        assert below / known.size <= rank <= through / known.size or below == through
        if below < through:  # one of the reference
            assert_allclose(rank, (below + through) / 2 / known.size)


def test_ranks_are_the_same_on_any_scale(member_scores):
    scaled = member_scores * np.array([1, 10, 1e6])[:, None, None] - 3
    assert_allclose(
        combine_scores(scaled, how="rank_mean"),
        combine_scores(member_scores, how="rank_mean"),
    )


def test_long_references_are_thinned(rng):
    scores = rng.standard_normal((1, 30_000, 1))
    reference = reference_rows(scores)
    assert reference.shape == (1, 10_000, 1)
    assert reference.min() == scores.min()
    assert reference.max() == scores.max()
    queries = rng.standard_normal((1, 100, 1))
    exact = (scores[0, :, 0] < queries[0]).mean(axis=1)
    assert_allclose(ranks_among(queries, reference)[0, :, 0], exact, atol=2e-4)


def test_log_odds_of_the_mean_do_not_saturate():
    logits = np.array([[[40.0], [50.0], [-60.0], [0.3]], [[40.0], [50.0], [-60], [2]]])
    found = mean_log_odds(logits, np.full((2, 1), 0.5))
    assert_allclose(found[:3, 0], [40, 50, -60])
    assert_allclose(found[3, 0], logit((expit(0.3) + expit(2)) / 2))


@pytest.mark.parametrize("bad", [NAN, np.inf])
@pytest.mark.parametrize("how", ["mean", "logit_mean", "rank_mean"])
def test_scores_must_be_finite(member_scores, how, bad):
    member_scores[1, 3, 0] = bad
    with pytest.raises(ValueError, match=r"got (nan|inf) at \(1, 3, 0\) \(1 such cell"):
        combine_scores(member_scores, how=how)


@pytest.mark.parametrize(
    ("scores", "changes", "message"),
    [
        ([np.zeros((3, 2)), np.zeros((3, 1))], {}, "2 tables of shapes"),
        ([np.zeros(3), np.zeros(3)], {}, "one table per model"),
        ([], {}, "got 0 tables"),
        (np.zeros((2, 0, 3)), {}, "at least one row"),
        (np.zeros((2, 3, 1)), {"weights": [1, 2, 3]}, r"shape \(2,\) or \(2, 1\)"),
        (np.zeros((2, 3, 1)), {"weights": [1, -1]}, "0 or more.*got -1 at the least"),
        (np.zeros((2, 3, 1)), {"weights": [0, 0]}, "above 0 for some model"),
        (np.zeros((2, 3, 1)), {"weights": [NAN, 1]}, "`weights` must be finite"),
        (np.zeros((2, 3, 1)), {"how": "max"}, "'how' parameter of combine_scores"),
        (np.full((2, 3, 1), 4), {"how": "logit_mean"}, "from 4 to 4.*logits"),
        (np.zeros((2, 3, 1)), {"reference": np.zeros((2, 3, 1))}, "with how='mean'"),
        (
            np.zeros((2, 3, 1)),
            {"how": "rank_mean", "reference": np.zeros((3, 3, 1))},
            r"\(2, 1\); got \(3, 1\)",
        ),
        (
            [pd.DataFrame({"a": [1], "b": [0]}), pd.DataFrame({"b": [1], "a": [0]})],
            {},
            r"same columns in the same order.*got \['b', 'a'\] for \['a', 'b'\]",
        ),
    ],
)
def test_what_combine_scores_refuses(scores, changes, message):
    with pytest.raises(ValueError, match=message):
        combine_scores(scores, **changes)


def test_text_is_no_score():
    with pytest.raises(TypeError, match="must hold real numbers; got text"):
        combine_scores([[["a"]], [["b"]]])


@pytest.mark.parametrize("how", ["max", "mean"])
def test_views_are_merged_as_pandas_does(rng, how):
    scores = rng.standard_normal((50, 3))
    groups = rng.integers(0, 12, 50)
    merged, names = merge_views(scores, groups, how=how)
    expected = pd.DataFrame(scores).groupby(groups, sort=False).agg(how)
    assert_array_equal(names, expected.index)
    assert_allclose(merged, expected)
    single, _ = merge_views(scores[:, 0], groups, how=how)
    assert_allclose(single, expected[0])


def test_views_of_studies_with_any_names():
    names = pd.Series(["Prüfung 2", "study1", "Prüfung 2"])
    merged, found = merge_views([[1.0], [2.0], [3.0]], names)
    assert list(found) == ["Prüfung 2", "study1"]
    assert_array_equal(merged, [[3.0], [2.0]])


@pytest.mark.parametrize(
    ("scores", "groups", "message"),
    [
        ([[1.0], [NAN]], [1, 1], r"got nan at \(1, 0\)"),
        ([[1.0], [2.0]], [1], "got 1 for 2 rows"),
        (np.empty((0, 2)), [], "got 0 for 0 rows"),
        ([[1.0], [2.0]], ["a", None], "got None in row 1"),
        (np.zeros((1, 1, 1)), [1], "shape \\(1, 1, 1\\)"),
    ],
)
def test_what_merge_views_refuses(scores, groups, message):
    with pytest.raises(ValueError, match=message):
        merge_views(scores, groups)


@pytest.mark.parametrize("how", ["mean", "logit_mean", "rank_mean"])
def test_a_model_that_cannot_score_a_category_does_not_count_there(member_scores, how):
    others = combine_scores(member_scores[1:], how=how, weights=[2.0, 3.0])
    full = combine_scores(member_scores, how=how, weights=[1.0, 2.0, 3.0])
    member_scores[0, :, 1] = NAN
    found = combine_scores(member_scores, how=how, weights=[1.0, 2.0, 3.0])
    assert_allclose(found[:, 1], others[:, 1])
    assert_array_equal(found[:, 0], full[:, 0])
    member_scores[:, :, 1] = NAN
    found = combine_scores(member_scores, how=how, weights=[1.0, 2.0, 3.0])
    assert np.isnan(found[:, 1]).all()
    assert_array_equal(found[:, 0], full[:, 0])


def test_a_category_whose_models_with_a_weight_have_no_scores_is_nan(member_scores):
    member_scores[0, :, 1] = NAN
    found = combine_scores(member_scores, weights=[1, 0, 0])
    assert np.isnan(found[:, 1]).all()
    assert_allclose(found[:, 0], member_scores[0, :, 0])


def test_a_model_without_scores_in_the_reference_does_not_count(member_scores):
    reference = member_scores.copy()
    reference[0, :, 1] = NAN
    found = combine_scores(member_scores, how="rank_mean", reference=reference)
    others = combine_scores(member_scores[1:], how="rank_mean", reference=reference[1:])
    assert_allclose(found[:, 1], others[:, 1])


def test_views_of_a_model_that_cannot_score_a_category_stay_nan():
    for how in ("max", "mean"):
        merged, _ = merge_views([[0.1, NAN], [0.5, NAN]], [1, 1], how=how)
        assert merged[0, 0] == pytest.approx(0.5 if how == "max" else 0.3)
        assert np.isnan(merged[0, 1])
    with pytest.raises(ValueError, match=r"got nan at \(1, 1\) \(1 such cells\)\."):
        merge_views([[0.1, 0.2], [0.5, NAN]], [1, 1])
