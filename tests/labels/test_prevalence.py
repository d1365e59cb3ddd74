import warnings

import numpy as np
import pandas as pd
import pytest

from cftlearn.exceptions import UndefinedCategoryWarning
from cftlearn.labels import estimate_prevalence, hide_labels
from cftlearn.labels._known_rates import LabelTotals, ScoredCells, estimate_known_rates

METHODS = ["best_bin", "elkan_noto", "label_shift", "known_rates"]
PRIORS = np.array([0.05, 0.2, 0.5])


def draw(seed, *, separation=4.0, rates=(0.4, 0.1), n=3000):
    """Scores, labels known at rates of positives and negatives, and the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.random((n, len(PRIORS))) < PRIORS
    scores = rng.standard_normal(truth.shape) + separation * truth
    known = rng.random(truth.shape) < np.where(truth, *rates)
    return scores, np.where(known, truth, np.nan), truth


def estimates(scores, y, **parameters):
    lines = estimate_prevalence(scores, y, random_state=0, **parameters)
    return np.array([line["estimate"] for line in lines])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rates", [(0.4, 0.1), (0.3, 0.3)], ids=["reports", "random"])
def test_estimates_are_near_the_truth(method, rates):
    errors = []
    for seed in range(5):
        scores, y, _ = draw(seed, rates=rates)
        errors.append(estimates(scores, y, method=method, n_resamples=2) - PRIORS)
    assert np.abs(np.mean(errors, axis=0)).max() < 0.02
    assert np.abs(errors).max() < 0.05


@pytest.mark.parametrize("method", ["best_bin", "elkan_noto"])
def test_no_known_negative_is_needed(method):
    scores, y, _ = draw(1, rates=(0.3, 0.0))
    assert np.nanmin(y) == 1.0
    assert np.abs(estimates(scores, y, method=method) - PRIORS).max() < 0.05


@pytest.mark.parametrize("method", ["best_bin", "elkan_noto"])
def test_where_scores_overlap_some_estimates_are_too_high(method):
    """As the docstring says: these two assume that scores are apart."""
    scores, y, truth = draw(0, separation=1.0)
    own = estimates(scores, y, method=method, n_resamples=2)
    assert (own > truth.mean(axis=0)).all()
    assert own[0] > 3 * PRIORS[0]


@pytest.mark.parametrize("method", ["label_shift", "known_rates"])
def test_where_scores_overlap_known_negatives_help(method):
    own = [
        estimates(*draw(s, separation=1.0)[:2], method=method, n_resamples=2)
        for s in range(3)
    ]
    assert np.abs(np.mean(own, axis=0) - PRIORS).max() < 0.08


def test_the_upper_end_of_the_best_bin_needs_no_assumption():
    for separation in (0.5, 1.0, 2.0, 4.0):
        for seed in range(5):
            scores, y, truth = draw(seed, separation=separation)
            lines = estimate_prevalence(scores, y)
            highs = np.array([line["high"] for line in lines])
            assert (highs > truth.mean(axis=0)).all()


@pytest.mark.parametrize("method", METHODS)
def test_intervals_hold_the_estimate(method):
    scores, y, _ = draw(2)
    for line in estimate_prevalence(scores, y, method=method, random_state=0):
        assert 0.0 <= line["low"] <= line["estimate"] <= line["high"] <= 1.0
        assert line["high"] - line["low"] < 0.35


def test_the_best_bin_by_brute_force():
    scores, y, _ = draw(3, n=300)
    for column, line in enumerate(estimate_prevalence(scores, y)):
        z, own = scores[:, column], y[:, column]
        positive, unknown = z[own == 1], z[np.isnan(own)]
        found = []
        errors = [np.sqrt(np.log(40) / 2 / len(part)) for part in (positive, unknown)]
        for threshold in z:
            q_positive = np.mean(positive >= threshold)
            q_unknown = np.mean(unknown >= threshold)
            if q_positive > 0:
                bound = (q_unknown + 1.01 * sum(errors)) / q_positive
                found.append((bound, q_unknown / q_positive))
        share = min(min(found)[1], 1.0)
        assert line["unknown_share"] == pytest.approx(share)
        expected = (len(positive) + share * len(unknown)) / len(z)
        assert line["estimate"] == pytest.approx(expected)


def test_known_rates_are_those_of_the_library():
    scores, y, _ = draw(4)
    totals = LabelTotals.of(y)
    cells = []
    for z, own in zip(scores.T, y.T, strict=True):
        known = ~np.isnan(own)
        cells.append(ScoredCells(z[known], own[known] == 1, z[~known]))
    rates = estimate_known_rates(cells, totals)
    lines = estimate_prevalence(scores, y, method="known_rates", n_resamples=2)
    np.testing.assert_allclose(
        [line["unknown_share"] for line in lines], totals.unknown_share(rates.log_ratio)
    )


@pytest.mark.parametrize("method", METHODS)
def test_only_ranks_matter(method):
    scores, y, _ = draw(5, n=600)
    known = {"method": method, "random_state": 0, "n_resamples": 5}
    first = estimate_prevalence(scores, y, **known)
    again = estimate_prevalence(np.exp(scores), y, **known)
    assert first == again


@pytest.mark.parametrize("method", ["best_bin", "label_shift"])
def test_a_category_does_not_depend_on_the_others(method):
    scores, y, _ = draw(6, n=600)
    together = estimate_prevalence(scores, y, method=method, random_state=0)
    alone = estimate_prevalence(scores[:, :1], y[:, :1], method=method, random_state=0)
    assert together[0] == alone[0]


def test_names_are_kept_and_must_agree():
    scores, y, _ = draw(0, n=600)
    names = ["cat", "dog", "eel"]
    frame = pd.DataFrame(y, columns=names)
    lines = estimate_prevalence(pd.DataFrame(scores, columns=names), frame)
    assert [line["category"] for line in lines] == names
    with pytest.raises(ValueError, match="in the same order"):
        estimate_prevalence(pd.DataFrame(scores, columns=names[::-1]), frame)
    with pytest.raises(ValueError, match="rows in the same order"):
        estimate_prevalence(
            pd.DataFrame(scores, columns=names), frame.loc[frame.index[::-1]]
        )


def test_a_seed_gives_the_same_intervals():
    scores, y, _ = draw(0, n=600)
    one, two, other = (
        estimate_prevalence(scores, y, method="label_shift", random_state=seed)
        for seed in (0, 0, 1)
    )
    assert one == two
    assert one[2]["low"] != other[2]["low"]
    assert one[2]["estimate"] == other[2]["estimate"]


def test_what_cannot_be_told_is_nan_with_one_warning():
    scores, y, _ = draw(0, n=400)
    scores = np.column_stack([scores, scores[:, :1], -scores[:, 1:2]])
    y = np.column_stack([y, y[:, 0], y[:, 1]])
    y[:, 0] = np.nan
    scores[:, 3] = np.nan
    with pytest.warns(UndefinedCategoryWarning) as caught:
        lines = estimate_prevalence(scores, y)
    assert len(caught) == 1
    assert str(caught[0].message).startswith(
        "3 of 5 categories have no estimated prevalence: '0' (it has no known "
        "positive, and 2 are needed); '3' (it has no scores); '4' (scores of its "
        "known positives are not clearly above those of its unknown labels, AUC 0.0"
    )
    assert caught[0].filename == __file__
    assert [np.isnan(line["estimate"]) for line in lines] == [1, 0, 0, 1, 1]
    for line in lines:
        assert (
            np.isnan(line["low"]) == np.isnan(line["estimate"]) == bool(line["reason"])
        )


@pytest.mark.parametrize("method", ["best_bin", "elkan_noto", "label_shift"])
def test_scores_that_are_hardly_above_chance_tell_nothing(method):
    rng = np.random.default_rng(5)
    y = rng.choice([0.0, 1.0, np.nan], size=(200, 1), p=[0.1, 0.1, 0.8])
    scores = rng.standard_normal(y.shape) + 0.1 * (y == 1)
    with pytest.warns(UndefinedCategoryWarning, match="not clearly above those of"):
        line = estimate_prevalence(scores, y, method=method)[0]
    assert 0.5 < float(line["reason"].split()[-1]) < 0.65
    assert np.isnan(line["estimate"])


def test_methods_that_need_negatives_say_so():
    scores, y, _ = draw(0, n=400, rates=(0.3, 0.0))
    for method in ("label_shift", "known_rates"):
        with pytest.warns(UndefinedCategoryWarning, match="no known negative, and 2"):
            lines = estimate_prevalence(scores, y, method=method)
        assert all(np.isnan(line["estimate"]) for line in lines)


@pytest.mark.parametrize("method", METHODS)
def test_known_labels_tell_where_all_are_known(method):
    scores, y, truth = draw(0, n=400)
    y[:, 1] = truth[:, 1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        line = estimate_prevalence(scores, y, method=method, n_resamples=10)[1]
    share = truth[:, 1].mean()
    assert (line["estimate"], line["low"], line["high"]) == (share,) * 3
    assert line["reason"] == "all labels are known"


def test_hidden_labels_of_reports():
    """Known labels mislead here, and scores of a good model do not."""
    rng = np.random.default_rng(0)
    truth = (rng.random((4000, 4)) < 0.25).astype(float)
    y = hide_labels(truth, known=0.2, scheme="report_like", random_state=0)
    scores = rng.standard_normal(truth.shape) + 3 * truth
    known_shares = np.nanmean(y, axis=0)
    assert known_shares.min() > 0.4
    own = estimates(scores, y, method="label_shift", n_resamples=2)
    assert np.abs(own - truth.mean(axis=0)).max() < 0.06


def test_inputs_stay_as_they_are():
    scores, y, _ = draw(0, n=400)
    before = scores.copy(), y.copy()
    estimate_prevalence(scores, y, method="elkan_noto", n_resamples=3)
    np.testing.assert_array_equal(scores, before[0])
    np.testing.assert_array_equal(y, before[1])
