"""How often labels of each class are known: estimates on data where it is decided."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from cftlearn.labels._known_rates import (
    KnownRates,
    LabelTotals,
    ScoredCells,
    estimate_known_rates,
)


def simulate(rng, n=4000, ratio=1.0, *, known=0.1, n_categories=5, strength=1.5):
    """Return scored cells and totals; positives are known ``ratio`` times as often.

    A quarter of the known cells, and of the unknown ones, are scored.
    """
    prevalence = np.linspace(0.1, 0.5, n_categories)
    full = (rng.random((n, n_categories)) < prevalence).astype(float)
    scores = strength * full + rng.standard_normal(full.shape)
    rate = known * np.where(full == 1, ratio, 1.0)
    values = np.where(rng.random(full.shape) < rate, full, np.nan)
    is_scored = rng.random(full.shape) < 0.25
    return scored_cells(scores, values, is_scored), LabelTotals.of(values)


def scored_cells(scores, values, is_scored):
    cells = []
    for own, labels, scored in zip(scores.T, values.T, is_scored.T, strict=True):
        known = ~np.isnan(labels) & scored
        unknown = np.isnan(labels) & scored
        cells.append(ScoredCells(own[known], labels[known] == 1, own[unknown]))
    return cells


def assert_valid(rates, n_categories):
    for values in (rates.positive, rates.negative):
        assert values.shape == (n_categories,)
        assert values.dtype == np.float64
        assert np.all((values >= 0) & (values < 1))
    assert np.all(rates.positive >= rates.negative)
    assert type(rates.log_ratio) is type(rates.z) is float  # what checkpoints can hold
    assert np.isfinite(rates.log_ratio)
    assert rates.log_ratio >= 0
    assert not np.isinf(rates.z)


# --------------------------------------------------------------------- simulations
@pytest.mark.parametrize("ratio", [2.0, 5.0, 9.0])
def test_the_ratio_is_found(rng, ratio):
    cells, totals = simulate(rng, 60_000, ratio)
    rates = estimate_known_rates(cells, totals)
    assert rates.log_ratio == pytest.approx(np.log(ratio), rel=0.1)
    assert rates.z > 5
    np.testing.assert_allclose(rates.positive / rates.negative, ratio, rtol=0.25)
    np.testing.assert_allclose(rates.negative, 0.1, rtol=0.2)


@pytest.mark.parametrize(("n", "known"), [(20_000, 0.05), (4000, 0.3), (4000, 0.7)])
def test_equally_hidden_labels_say_little(rng, n, known):
    """By chance some estimates are above 1, but only just."""
    estimates = []
    for _ in range(20):
        cells, totals = simulate(rng, n, known=known)
        estimates.append(estimate_known_rates(cells, totals))
    equal = [rates for rates in estimates if not rates.say_something]
    assert len(equal) >= 12
    for rates in equal:
        assert rates.log_ratio == 0
        np.testing.assert_array_equal(rates.positive, rates.negative)
    assert max(rates.log_ratio for rates in estimates) < 0.4


def test_negatives_known_more_often_are_no_evidence(rng):
    cells, totals = simulate(rng, 20_000, 0.2, known=0.5)
    rates = estimate_known_rates(cells, totals)
    assert rates.z < -5
    assert not rates.say_something


def test_scores_without_separation_say_nothing(rng):
    cells, totals = simulate(rng, 4000, 8.0, strength=0.0)
    assert estimate_known_rates(cells, totals).log_ratio < 1.0


def test_held_out_cells_selected_otherwise(rng):
    """Known cells from a sample of all rows: the totals, not they, have the ratio."""
    n, ratio = 40_000, 6.0
    full = (rng.random((n, 3)) < 0.2).astype(float)
    scores = 1.5 * full + rng.standard_normal(full.shape)
    values = np.where(
        rng.random(full.shape) < 0.1 * np.where(full == 1, ratio, 1), full, np.nan
    )
    cells = scored_cells(scores, values, np.ones_like(full, dtype=bool))
    other = (rng.random((n, 3)) < 0.2).astype(float)
    other_scores = 1.5 * other + rng.standard_normal(other.shape)
    # All labels of other rows are known: their cells rank above unknown cells, because
    # positives among these are fewer than among all rows.
    cells = [
        ScoredCells(other_scores[:, j], other[:, j] == 1, own.unknown)
        for j, own in enumerate(cells)
    ]
    rates = estimate_known_rates(cells, LabelTotals.of(values))
    assert rates.log_ratio == pytest.approx(np.log(ratio), rel=0.25)


@pytest.mark.parametrize("seed", range(8))
def test_what_held_out_labels_explain_is_no_ratio(seed):
    """Positive-heavy held-out labels of rows that were chosen for it."""
    rng = np.random.default_rng(seed)
    cells, totals = simulate(rng, 4000, known=0.4)
    chosen = []
    for own in cells:
        kept = own.y | (rng.random(len(own.y)) < 0.2)
        chosen.append(ScoredCells(own.known[kept], own.y[kept], own.unknown))
    rates = estimate_known_rates(chosen, totals)
    assert rates.z > 3
    assert rates.log_ratio < 0.5


def test_a_larger_ratio_gives_a_larger_estimate(rng):
    found = [
        estimate_known_rates(*simulate(np.random.default_rng(3), 20_000, ratio))
        for ratio in (1.5, 3.0, 6.0)
    ]
    estimates = [rates.log_ratio for rates in found]
    assert estimates == sorted(estimates)
    assert estimates[0] > 0


# --------------------------------------------------------------------- what is fixed
def test_rates_give_the_known_labels_of_every_category(rng):
    """Oracle: the expected number of known labels under the estimate."""
    cells, totals = simulate(rng, 20_000, 4.0)
    rates = estimate_known_rates(cells, totals)
    ratio = np.exp(rates.log_ratio)
    np.testing.assert_allclose(rates.positive, ratio * rates.negative)
    n_positive = totals.n_positive / rates.positive  # of all rows
    n_negative = totals.n_negative / rates.negative
    np.testing.assert_allclose(n_positive + n_negative, totals.n_rows, rtol=0.01)


def test_z_is_the_distance_of_known_from_unknown_scores(rng):
    """Oracle: scikit-learn's AUC of one category, and the variance of Mann-Whitney."""
    cells, totals = simulate(rng, 4000, 4.0, n_categories=1)
    (own,) = cells
    scores = np.concatenate([own.known, own.unknown])
    is_known = np.arange(len(scores)) < len(own.known)
    auc = roc_auc_score(is_known, scores)
    variance = (1 / len(own.known) + 1 / len(own.unknown)) / 12
    rates = estimate_known_rates(cells, totals)
    assert rates.z == pytest.approx((auc - 0.5) / np.sqrt(variance))


def test_the_order_of_categories_does_not_matter(rng):
    cells, totals = simulate(rng, 4000, 4.0)
    order = rng.permutation(5)
    rates = estimate_known_rates(cells, totals)
    other = estimate_known_rates(
        [cells[j] for j in order],
        LabelTotals(totals.n_rows, totals.n_positive[order], totals.n_negative[order]),
    )
    assert other.log_ratio == pytest.approx(rates.log_ratio, abs=1e-5)
    assert other.z == pytest.approx(rates.z)
    np.testing.assert_allclose(other.positive, rates.positive[order], rtol=1e-4)
    np.testing.assert_allclose(other.negative, rates.negative[order], rtol=1e-4)


def test_a_monotone_function_of_scores_changes_nothing(rng):
    cells, totals = simulate(rng, 4000, 4.0)
    rates = estimate_known_rates(cells, totals)
    steeper = [
        own._replace(known=np.exp(own.known), unknown=np.exp(own.unknown))
        for own in cells
    ]
    other = estimate_known_rates(steeper, totals)
    assert other.log_ratio == rates.log_ratio
    np.testing.assert_array_equal(other.positive, rates.positive)


# ------------------------------------------------------------------- what is missing
def nothing():
    return ScoredCells(np.empty(0), np.empty(0, dtype=bool), np.empty(0))


def test_without_cells_rates_are_equal(rng):
    _, totals = simulate(rng, 400)
    rates = estimate_known_rates([nothing()] * 5, totals)
    assert np.isnan(rates.z)
    assert rates.log_ratio == 0
    assert not rates.say_something
    assert_valid(rates, 5)


@pytest.mark.parametrize("label", [True, False])
def test_without_a_held_out_class_rates_are_equal(rng, label):
    cells, totals = simulate(rng, 4000, 5.0)
    one_class = [
        ScoredCells(own.known[own.y == label], own.y[own.y == label], own.unknown)
        for own in cells
    ]
    rates = estimate_known_rates(one_class, totals)
    assert np.isnan(rates.z)
    assert not rates.say_something


def test_one_category_with_both_classes_is_enough(rng):
    cells, totals = simulate(rng, 20_000, 5.0)
    one_class = [
        ScoredCells(own.known[own.y], own.y[own.y], own.unknown) for own in cells[:-1]
    ]
    rates = estimate_known_rates([*one_class, cells[-1]], totals)
    assert rates.say_something
    assert_valid(rates, 5)


def test_without_unknown_cells_rates_are_equal(rng):
    cells, totals = simulate(rng, 4000, 5.0)
    rates = estimate_known_rates(
        [own._replace(unknown=np.empty(0)) for own in cells], totals
    )
    assert np.isnan(rates.z)
    assert not rates.say_something


def test_a_category_without_unknown_cells_does_not_take_part(rng):
    cells, totals = simulate(rng, 4000, 5.0)
    without = [cells[0]._replace(unknown=np.empty(0)), *cells[1:]]
    part = LabelTotals(totals.n_rows, totals.n_positive[1:], totals.n_negative[1:])
    rates = estimate_known_rates(without, totals)
    expected = estimate_known_rates(cells[1:], part)
    assert rates.log_ratio == expected.log_ratio
    np.testing.assert_array_equal(rates.positive[1:], expected.positive)


def test_where_no_negative_is_known_none_ever_is(rng):
    cells, totals = simulate(rng, 4000)
    totals.n_negative[2] = 0
    cells[2] = ScoredCells(cells[2].known[cells[2].y], cells[2].y[cells[2].y], [0.0])
    totals.n_positive[3] = totals.n_negative[3] = 0  # no known label at all
    cells[3] = nothing()
    rates = estimate_known_rates(cells, totals)
    assert rates.negative[2] == 0
    assert rates.positive[2] == 0.9
    assert rates.positive[3] == rates.negative[3] == 0
    assert rates.say_something
    assert_valid(rates, 5)


def test_equal_scores_say_nothing(rng):
    cells, totals = simulate(rng, 400, 5.0)
    tied = [
        own._replace(known=np.zeros(len(own.known)), unknown=np.zeros(len(own.unknown)))
        for own in cells
    ]
    rates = estimate_known_rates(tied, totals)
    assert not rates.say_something
    assert_valid(rates, 5)


def test_rounded_scores_change_little(rng):
    cells, totals = simulate(rng, 20_000, 5.0)
    rounded = [
        own._replace(known=own.known.round(1), unknown=own.unknown.round(1))
        for own in cells
    ]
    rates, other = (estimate_known_rates(each, totals) for each in (cells, rounded))
    assert other.log_ratio == pytest.approx(rates.log_ratio, rel=0.03)


def test_equal_rates_are_arrays_of_their_own():
    rates = KnownRates.equal(3)
    assert rates.positive is not rates.negative
    assert not rates.say_something
    assert rates._replace(positive=np.array([0, 0.5, 0])).say_something


def test_totals_count_known_labels():
    values = np.array([[1, np.nan], [0, np.nan], [1, 0]])
    totals = LabelTotals.of(values)
    assert totals.n_rows == 3
    assert totals.n_positive.tolist() == [2, 0]
    assert totals.n_negative.tolist() == [1, 1]


@given(
    st.integers(0, 2**31),
    st.integers(1, 60),
    st.sampled_from([0.02, 0.3, 1.0]),
    st.sampled_from([1.0, 1e6]),
)
def test_rates_are_always_probabilities(seed, n, known, ratio):
    """Few rows, few labels, ties: any estimate is one that a loss can take."""
    rng = np.random.default_rng(seed)
    cells, totals = simulate(rng, n, ratio, known=known, n_categories=3)
    if rng.random() < 0.5:
        cells = [
            own._replace(known=own.known.round(), unknown=own.unknown.round())
            for own in cells
        ]
    rates = estimate_known_rates(cells, totals)
    assert_valid(rates, 3)
