"""Intervals and tests against scikit-learn's weighted metrics, loops and DeLong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from optional import optional
from scipy.stats import bootstrap, norm, t
from sklearn.metrics import average_precision_score, roc_auc_score

from cftlearn.exceptions import UndefinedCategoryWarning
from cftlearn.metrics import (
    _bootstrap,
    bootstrap_intervals,
    compare_scores,
    partial_average_precision_score,
    partial_roc_auc_score,
)
from cftlearn.metrics._ranking._weighted import (
    rank_rows,
    weighted_average_precision,
    weighted_roc_auc,
)

pd = optional("pandas")

NAN = np.nan
KERNELS = {
    "roc_auc": (weighted_roc_auc, roc_auc_score, partial_roc_auc_score),
    "average_precision": (
        weighted_average_precision,
        average_precision_score,
        partial_average_precision_score,
    ),
}
metrics = pytest.mark.parametrize("metric", list(KERNELS))


def problem(n_rows=200, n_categories=3, *, known=0.7, seed=0):
    """Labels, of which some are unknown, and scores with ties."""
    rng = np.random.default_rng(seed)
    y = (rng.random((n_rows, n_categories)) < 0.3).astype(float)
    scores = np.round(rng.standard_normal(y.shape) + y, 1)
    y[rng.random(y.shape) > known] = NAN
    return y, scores


@metrics
@given(
    rows=st.lists(
        st.tuples(st.integers(-3, 3), st.booleans(), st.integers(0, 4)), min_size=1
    )
)
def test_weighted_kernels_are_scikit_learns(metric, rows):
    scores, y, weights = (np.array(column) for column in zip(*rows, strict=True))
    kernel, oracle, _ = KERNELS[metric]
    units = np.arange(len(y))
    ranked = rank_rows(scores.astype(float), y, units, len(y))
    (value,) = kernel(ranked, weights[:, np.newaxis].astype(float))
    if weights[y].sum() == 0 or weights[~y].sum() == 0:
        assert np.isnan(value)
    else:
        assert_allclose(value, oracle(y, scores, sample_weight=weights), atol=1e-12)


@metrics
def test_intervals_are_those_of_a_loop_over_scikit_learn(metric):
    y, scores = problem()
    found = bootstrap_intervals(
        y, scores, metric=metric, method="percentile", n_resamples=60, random_state=3
    )
    (weights,) = _bootstrap._draws(len(y), 60, 3)
    oracle = KERNELS[metric][1]
    values = np.empty((3, 60))
    for j in range(3):
        known = ~np.isnan(y[:, j])
        for draw in range(60):
            drawn = weights[known, draw]
            values[j, draw] = oracle(y[known, j], scores[known, j], sample_weight=drawn)
    values = np.vstack([values, values.mean(axis=0)])
    low, high = np.quantile(values, [0.025, 0.975], axis=1)
    assert_allclose([line["low"] for line in found], low)
    assert_allclose([line["high"] for line in found], high)


@metrics
def test_estimates_and_counts_are_the_scores_over_known_labels(metric):
    y, scores = problem()
    found = pd.DataFrame(bootstrap_intervals(y, scores, metric=metric, random_state=0))
    own = KERNELS[metric][2]
    assert_allclose(found["estimate"][:3], own(y, scores, average=None))
    assert_allclose(found["estimate"][3], own(y, scores))
    assert found["category"].tolist()[:3] == ["0", "1", "2"]
    assert pd.isna(found["category"][3])
    assert_array_equal(found["n_positive"][:3], np.nansum(y == 1, axis=0))
    assert_array_equal(found["n_negative"][:3], np.nansum(y == 0, axis=0))
    assert found["n_positive"][3] == (y == 1).sum()
    assert (found["low"] < found["estimate"]).all()
    assert (found["estimate"] < found["high"]).all()
    assert (found["n_undefined"] == 0).all()


def pairwise_auc(y, scores):
    gaps = scores[y == 1][:, np.newaxis] - scores[y == 0]
    return np.mean((gaps > 0) + 0.5 * (gaps == 0))


def test_corrected_interval_is_scipys():
    y, scores = problem(80, 1, known=1.0)
    asked = {"n_resamples": 20_000, "random_state": 0}
    (found, _) = bootstrap_intervals(y, scores, method="bca", **asked)
    expected = bootstrap(
        (y[:, 0], scores[:, 0]),
        pairwise_auc,
        paired=True,
        vectorized=False,
        n_resamples=5000,
        rng=np.random.default_rng(0),
    ).confidence_interval
    assert_allclose([found["low"], found["high"]], expected, atol=0.01)
    plain = bootstrap_intervals(y, scores, method="percentile", **asked)[0]
    assert abs(found["low"] - plain["low"]) > 0.002  # the correction does something


def test_draws_do_not_depend_on_how_many_are_held_at_a_time(monkeypatch):
    y, scores = problem()
    whole = bootstrap_intervals(y, scores, n_resamples=50, random_state=0)
    monkeypatch.setattr(_bootstrap, "_MOST_WEIGHTS", 7 * len(y))
    assert bootstrap_intervals(y, scores, n_resamples=50, random_state=0) == whole
    monkeypatch.setattr(_bootstrap, "_MOST_WEIGHTS", 1)
    assert bootstrap_intervals(y, scores, n_resamples=50, random_state=0) == whole


@pytest.mark.parametrize("method", ["wilson", "bca", "percentile"])
@metrics
@settings(max_examples=20)
@given(seed=st.integers(0, 2**16))
def test_monotone_transforms_change_nothing(metric, method, seed):
    y, scores = problem(40, 2, known=1.0, seed=seed)
    y[:2] = [[0, 1], [1, 0]]
    asked = {"metric": metric, "method": method, "n_resamples": 20}
    first = bootstrap_intervals(y, scores, random_state=0, **asked)
    warped = scores.copy()
    warped[:, 0] = np.exp(3 * scores[:, 0])
    warped[:, 1] = 5 - 2 / (1 + np.exp(scores[:, 1]))
    assert bootstrap_intervals(y, warped, random_state=0, **asked) == first


def test_permuted_categories_are_permuted():
    y, scores = problem()
    names = ["Edema", "Überguß", "cat"]
    frame = pd.DataFrame(y, columns=names)
    order = [2, 0, 1]
    first = bootstrap_intervals(frame, scores, random_state=0)
    second = bootstrap_intervals(frame.iloc[:, order], scores[:, order], random_state=0)
    assert [line["category"] for line in first] == [*names, None]
    assert second[:3] == [first[j] for j in order]
    assert_allclose(second[3]["low"], first[3]["low"])


def test_hiding_a_category_leaves_the_others_as_they_are():
    y, scores = problem()
    first = bootstrap_intervals(y, scores, random_state=0)
    y[:, 1] = NAN
    with pytest.warns(UndefinedCategoryWarning, match="1 of 3 categories.*'1'"):
        second = bootstrap_intervals(y, scores, random_state=0)
    assert second[0] == first[0]
    assert second[2] == first[2]
    for key in ("estimate", "low", "high"):
        assert np.isnan(second[1][key])
    assert second[1]["n_undefined"] == 2000
    both = (first[0]["estimate"] + first[2]["estimate"]) / 2
    assert_allclose(second[3]["estimate"], both)
    assert second[3]["n_positive"] == first[0]["n_positive"] + first[2]["n_positive"]


@pytest.mark.parametrize("only", [0.0, 1.0])
def test_a_category_of_one_class_is_named_and_left_out(only):
    y, scores = problem()
    y[~np.isnan(y[:, 1]), 1] = only
    with pytest.warns(UndefinedCategoryWarning, match="1 of 3 categories.*'1'"):
        lines = bootstrap_intervals(y, scores, n_resamples=20, random_state=0)
    assert np.isnan(lines[1]["estimate"])
    for key in ("n_positive", "n_negative"):  # labels of the mean's categories
        assert lines[3][key] == lines[0][key] + lines[2][key]


def test_draws_without_a_class_are_left_out_and_counted():
    y = np.array([[1.0]] + [[0.0]] * 9)
    scores = np.arange(10.0)[::-1, np.newaxis]
    asked = {"n_resamples": 4000, "random_state": 0}
    (found, mean) = bootstrap_intervals(y, scores, method="bca", **asked)
    assert abs(found["n_undefined"] / 4000 - 0.9**10) < 0.03
    assert mean["n_undefined"] == found["n_undefined"]
    assert found["low"] == found["high"] == found["estimate"] == 1.0
    (found, _) = bootstrap_intervals(y, scores, **asked)
    assert np.isnan([found["low"], found["high"]]).all()  # of one positive: not honest


@metrics
def test_few_labels_have_wilsons_interval_of_what_the_draws_tell(metric):
    y, scores = problem(40, 2, known=1.0)
    asked = {"metric": metric, "n_resamples": 300, "random_state": 3}
    found = bootstrap_intervals(y, scores, **asked)
    (weights,) = _bootstrap._draws(len(y), 300, 3)
    for j, line in enumerate(found[:2]):
        truth = y[:, j] == 1
        values = [
            KERNELS[metric][1](truth, scores[:, j], sample_weight=drawn)
            for drawn in weights.T
        ]
        n = min(line["n_positive"], line["n_negative"])
        p, variance = line["estimate"], np.var(values, ddof=1) * n / (n - 1)
        q = t.ppf(0.975, 2 * n - 2) ** 2 / min(p * (1 - p) / variance, 4 * n)
        # Wilson: the roots of (p - x)^2 = q x (1 - x)
        ends = np.sort(np.roots([1 + q, -2 * p - q, p * p]))
        assert_allclose([line["low"], line["high"]], ends)


def test_a_perfect_score_of_few_labels_is_not_sure():
    y = np.array([[1.0]] * 5 + [[0.0]] * 20)
    scores = np.arange(25.0)[::-1, np.newaxis]
    (found, _) = bootstrap_intervals(y, scores, random_state=0)
    assert found["estimate"] == found["high"] == 1.0
    assert 0.3 < found["low"] < 0.7


def test_copies_of_rows_tell_no_more_than_their_group():
    y, scores = problem(60, 1, known=1.0)
    copies = np.repeat(np.arange(60), 5)
    alone = bootstrap_intervals(y, scores, random_state=0)[0]
    grouped = bootstrap_intervals(
        y[copies], scores[copies], groups=copies, random_state=0
    )[0]
    assert_allclose([grouped["low"], grouped["high"]], [alone["low"], alone["high"]])


def test_rows_of_a_group_are_drawn_together():
    y, scores = problem(100, 1, known=1.0)
    copies = np.repeat(np.arange(100), 4)
    study = np.array([f"study{i}" for i in copies])
    shuffled = np.random.default_rng(1).permutation(400)
    copies, study = copies[shuffled], study[shuffled]
    asked = {"n_resamples": 4000, "random_state": 0, "method": "percentile"}
    alone = bootstrap_intervals(y, scores, **asked)[0]
    rows = bootstrap_intervals(y[copies], scores[copies], **asked)[0]
    grouped = bootstrap_intervals(y[copies], scores[copies], groups=study, **asked)
    width = alone["high"] - alone["low"]
    assert_allclose(grouped[0]["high"] - grouped[0]["low"], width, rtol=0.05)
    assert_allclose(rows["high"] - rows["low"], width / 2, rtol=0.1)


def test_groups_of_one_row_are_rows():
    y, scores = problem()
    rows = bootstrap_intervals(y, scores, random_state=0)
    assert rows == bootstrap_intervals(
        y, scores, groups=range(100, 300), random_state=0
    )


def test_one_dimensional_labels_of_any_kind():
    y, scores = problem(100, 1, known=1.0)
    words = np.where(y[:, 0] == 1, "yes", "no")
    expected = bootstrap_intervals(y, scores, random_state=0)
    assert bootstrap_intervals(words, scores[:, 0], random_state=0) == expected


def test_same_seed_same_intervals_and_another_seed_others():
    y, scores = problem()
    first = bootstrap_intervals(y, scores, random_state=1, n_resamples=100)
    assert bootstrap_intervals(y, scores, random_state=1, n_resamples=100) == first
    assert bootstrap_intervals(y, scores, random_state=2, n_resamples=100) != first


def test_wider_confidence_is_a_wider_interval():
    y, scores = problem()
    narrow, wide = (
        bootstrap_intervals(y, scores, random_state=0, confidence=share)[-1]
        for share in (0.5, 0.99)
    )
    assert wide["low"] < narrow["low"] < narrow["high"] < wide["high"]


@pytest.mark.parametrize("unsettled", [1e-9, 0.5, 1 - 1e-9])
def test_corrected_levels_stay_levels(unsettled):
    values = np.concatenate([np.zeros(5), np.ones(995)])
    left_out = np.append(np.ones(99), -1e6)
    for influence in (left_out, -left_out):
        levels = _bootstrap._corrected(
            np.array([0.025, 0.975]), unsettled, values, influence
        )
        assert ((levels >= 0) & (levels <= 1)).all()
        assert levels[0] <= levels[1]


def delong(y, a, b):
    """Two-sided p-value of DeLong's test, straight from the definition."""
    positive, negative = y == 1, y == 0
    placements = []
    for s in (a, b):
        wins = (s[positive][:, None] > s[negative]) + 0.5 * (
            s[positive][:, None] == s[negative]
        )
        placements.append((wins.mean(axis=1), wins.mean(axis=0)))
    (a10, a01), (b10, b01) = placements
    variance = np.var(a10 - b10, ddof=1) / len(a10) + np.var(a01 - b01, ddof=1) / len(
        a01
    )
    z = (a10.mean() - b10.mean()) / np.sqrt(variance)
    return 2 * norm.sf(abs(z)), np.sqrt(variance)


@pytest.mark.parametrize("noise", [0.5, 1.0, 1.5])
def test_comparison_agrees_with_delong(noise):
    rng = np.random.default_rng(5)
    y = (rng.random(600) < 0.3).astype(float)
    a = rng.standard_normal(600) + y
    b = a + noise * rng.standard_normal(600)
    found = compare_scores(
        y[:, np.newaxis], a[:, np.newaxis], b[:, np.newaxis], random_state=0
    )[0]
    p_value, deviation = delong(y, a, b)
    assert_allclose(found["difference"], roc_auc_score(y, a) - roc_auc_score(y, b))
    assert_allclose(found["high"] - found["low"], 2 * 1.96 * deviation, rtol=0.08)
    assert_allclose(found["p_value"], p_value, atol=0.02)


def test_p_values_of_equal_models_are_uniform_enough():
    rng = np.random.default_rng(0)
    y = (rng.random((300, 200)) < 0.3).astype(float)
    common = rng.standard_normal(y.shape) + y
    a, b = (common + rng.standard_normal(y.shape) for _ in range(2))
    found = compare_scores(y, a, b, n_resamples=400, random_state=0)[:-1]
    p_values = np.array([line["p_value"] for line in found])
    assert 0.01 <= np.mean(p_values < 0.05) <= 0.1
    assert 0.4 <= np.mean(p_values < 0.5) <= 0.6


@metrics
def test_swapping_the_models_turns_the_difference_round(metric):
    y, a = problem()
    b = a + np.random.default_rng(1).standard_normal(a.shape)
    asked = {"metric": metric, "random_state": 0, "n_resamples": 201}
    one, other = (
        compare_scores(y, a, b, **asked),
        compare_scores(y, b, a, **asked),
    )
    for line, turned in zip(one, other, strict=True):
        assert line["difference"] == -turned["difference"]
        assert_allclose([line["low"], line["high"]], [-turned["high"], -turned["low"]])
        assert line["p_value"] == turned["p_value"]
        assert line["score_a"] == turned["score_b"]
    mean = KERNELS[metric][2](y, a) - KERNELS[metric][2](y, b)
    assert_allclose(one[-1]["difference"], mean)


def test_a_model_does_not_differ_from_itself():
    y, scores = problem()
    for line in compare_scores(y, scores, 2 * scores + 1, random_state=0):
        assert line["p_value"] == 1.0
        assert line["difference"] == line["low"] == line["high"] == 0.0


def test_no_p_value_is_zero():
    y = np.array([[1.0], [0.0]] * 50)
    line = compare_scores(y, y, -y, n_resamples=99, random_state=0)[0]
    assert line["difference"] == 1.0
    assert line["p_value"] == 2 / 100


def test_comparison_of_undefined_categories_is_nan():
    y, scores = problem()
    y[:, 2] = 1.0
    with pytest.warns(UndefinedCategoryWarning, match="'2'"):
        found = compare_scores(y, scores, -scores, random_state=0, n_resamples=10)
    assert np.isnan([found[2][key] for key in ("score_a", "low", "p_value")]).all()
    assert found[3]["score_a"] == (found[0]["score_a"] + found[1]["score_a"]) / 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric": "f1"}, "'metric' parameter of bootstrap_intervals"),
        ({"n_resamples": 1}, "'n_resamples' parameter of bootstrap_intervals"),
        ({"confidence": 1.0}, "'confidence' parameter of bootstrap_intervals"),
        ({"confidence": 95}, "'confidence' parameter of bootstrap_intervals"),
        ({"method": "basic"}, "'method' parameter of bootstrap_intervals"),
        ({"groups": ["a"] * 200}, "at least two groups to draw from; got 'a'"),
        ({"groups": [1, 2]}, "every row of `y_true`; got 2 for 200 rows"),
        ({"groups": [None, *range(199)]}, "`groups` must name the group of every row"),
        ({"groups": np.zeros((200, 2))}, "`groups` must be 1-D"),
        ({"y_score": np.zeros((200, 2))}, "Scores must have the shape of `y_true`"),
        ({"y_score": np.full((200, 3), NAN)}, "Scores must be finite numbers; got nan"),
        ({"y_true": np.full((200, 3), -1.0)}, r"write -1\.0 for uncertain"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_is_not_accepted(changes, message):
    y, scores = problem()
    with pytest.raises(ValueError, match=message):
        bootstrap_intervals(**{"y_true": y, "y_score": scores} | changes)


def test_columns_in_another_order_are_refused():
    y, scores = problem()
    frame = pd.DataFrame(y, columns=list("abc"))
    other = pd.DataFrame(scores, columns=list("bac"))
    with pytest.raises(ValueError, match="same order"):
        compare_scores(frame, scores, other)
