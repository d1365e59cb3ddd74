import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu

from cftlearn.labels import check_missing_at_random, hide_labels, label_summary


def draw(seed, *, rates, n=1500, n_categories=4):
    rng = np.random.default_rng(seed)
    truth = rng.random((n, n_categories)) < 0.25
    scores = rng.standard_normal(truth.shape) + 2 * truth
    known = rng.random(truth.shape) < np.where(truth, *rates)
    return scores, np.where(known, truth, np.nan), truth


def test_labels_missing_at_random_are_seldom_found_otherwise():
    """At the level of 5 % for all categories together, by Holm."""
    found = 0
    for seed in range(200):
        scores, y, _ = draw(seed, rates=(0.3, 0.3), n=200)
        lines = check_missing_at_random(scores, y)
        found += any(line["at_random"] is False for line in lines)
    assert found <= 20  # of 10 expected at most; more has probability below .002


def test_positives_that_are_known_more_often_are_found():
    scores, y, truth = draw(0, rates=(0.5, 0.1))
    for j, line in enumerate(check_missing_at_random(scores, y)):
        assert line["at_random"] is False
        assert line["reason"].startswith("known rows score higher than unknown ones: ")
        assert line["known_auc_low"] > 0.5
        assert line["positive_share"] > 0.5
        assert line["estimated_share"] == pytest.approx(truth[:, j].mean(), abs=0.08)


def test_negatives_that_are_known_more_often_are_found():
    scores, y, _ = draw(0, rates=(0.1, 0.5))
    for line in check_missing_at_random(scores, y):
        assert line["at_random"] is False
        assert line["reason"].startswith("known rows score lower than unknown ones: ")


def test_the_numbers_are_those_of_scipy():
    scores, y, _ = draw(1, rates=(0.4, 0.2))
    for j, line in enumerate(check_missing_at_random(scores, y)):
        known = ~np.isnan(y[:, j])
        test = mannwhitneyu(scores[known, j], scores[~known, j])
        pairs = known.sum() * (~known).sum()
        assert line["known_auc"] == pytest.approx(test.statistic / pairs)
        assert line["p_value"] == pytest.approx(test.pvalue)
        assert (line["n_known"], line["n_unknown"]) == (known.sum(), (~known).sum())


def test_the_adjustment_can_be_chosen():
    scores, y, _ = draw(3, rates=(0.3, 0.25), n=800)
    holm = check_missing_at_random(scores, y)
    other = check_missing_at_random(scores, y, adjustment="benjamini_hochberg")
    assert [line["p_value"] for line in holm] == [line["p_value"] for line in other]
    pairs = [
        (a["p_adjusted"], b["p_adjusted"]) for a, b in zip(holm, other, strict=True)
    ]
    assert all(one >= two for one, two in pairs)
    assert any(one > two for one, two in pairs)


def test_what_cannot_be_compared_says_why():
    scores, y, _ = draw(0, rates=(0.3, 0.3), n=100)
    y[:, 0] = np.nan
    y[:, 1] = 1.0
    scores[:, 2] = np.nan
    lines = check_missing_at_random(scores, y)
    assert [line["at_random"] for line in lines[:3]] == [None] * 3
    assert [line["reason"] for line in lines[:3]] == [
        "the test needs two rows of each kind; there are 0 known",
        "the test needs two rows of each kind; there are 0 unknown",
        "it has no scores",
    ]
    assert np.isnan(lines[0]["positive_share"])
    assert lines[1]["estimated_share"] == 1.0
    p_value = lines[3]["p_value"]
    assert lines[3]["p_adjusted"] == p_value  # the only test


def test_schemes_of_hiding_are_told_apart():
    rng = np.random.default_rng(0)
    truth = (rng.random((3000, 6)) < 0.25).astype(float)
    scores = rng.standard_normal(truth.shape) + 2 * truth
    found = {}
    for scheme in ("uniform", "report_like"):
        y = hide_labels(truth, known=0.2, scheme=scheme, random_state=0)
        lines = check_missing_at_random(scores, y)
        found[scheme] = sum(line["at_random"] is False for line in lines)
    assert found == {"uniform": 0, "report_like": 6}


def test_the_summary_takes_scores():
    scores, y, _ = draw(0, rates=(0.5, 0.1))
    names = ["a", "b", "c", "d"]
    frame = pd.DataFrame(y, columns=names)
    plain = label_summary(frame)
    lines = label_summary(frame, scores=pd.DataFrame(scores, columns=names))
    checks = check_missing_at_random(scores, y)
    for before, line, check in zip(plain, lines, checks, strict=True):
        assert line.items() >= before.items()
        added = set(line) - set(before)
        assert added == {
            "known_auc",
            "known_auc_low",
            "known_auc_high",
            "p_adjusted",
            "at_random",
            "estimated_share",
        }
        assert {key: line[key] for key in added} == {key: check[key] for key in added}
