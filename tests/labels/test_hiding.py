"""Hiding labels: each scheme against its definition."""

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from optional import optional
from scipy.optimize import brentq

from cftlearn.labels import hide_labels

pd = optional("pandas")

NAN = np.nan
SCHEMES = {
    "uniform": 0.3,
    "single_positive": None,
    "fixed_per_category": 4,
    "report_like": 0.3,
}
by_scheme = pytest.mark.parametrize(
    ("scheme", "known"), SCHEMES.items(), ids=SCHEMES.keys()
)


def full_table(n_samples=400, prevalence=(0.1, 0.3, 0.5, 0.9), seed=0):
    """Make a table whose columns have exactly the given shares of positives."""
    rng = np.random.default_rng(seed)
    quantile = np.arange(n_samples) / n_samples
    columns = [rng.permutation(quantile < share) for share in prevalence]
    return np.column_stack(columns).astype(np.float64)


def known_shares(y):
    return np.mean(~np.isnan(y), axis=0)


# --- every scheme -----------------------------------------------------------------


@by_scheme
def test_labels_are_hidden_but_never_changed(scheme, known):
    y = full_table()
    before = y.copy()
    hidden = hide_labels(y, known=known, scheme=scheme, random_state=0)
    shown = ~np.isnan(hidden)
    assert hidden.dtype == np.float64
    assert hidden.shape == y.shape
    assert 0 < shown.mean() < 1
    assert_array_equal(hidden[shown], y[shown])
    assert_array_equal(y, before)


@by_scheme
def test_unknown_labels_stay_unknown(scheme, known):
    y = full_table()
    y[::3] = NAN
    y[:, 1] = NAN
    hidden = hide_labels(y, known=known, scheme=scheme, random_state=0)
    assert np.isnan(hidden[np.isnan(y)]).all()
    assert not np.isnan(hidden).all()


@by_scheme
def test_a_seed_fixes_the_choice(scheme, known):
    y = full_table()
    first, again, other = (
        hide_labels(y, known=known, scheme=scheme, random_state=seed)
        for seed in (3, 3, 4)
    )
    generator = np.random.RandomState(3)
    drawn = hide_labels(y, known=known, scheme=scheme, random_state=generator)
    drawn_next = hide_labels(y, known=known, scheme=scheme, random_state=generator)
    assert_array_equal(first, again)
    assert_array_equal(first, drawn)
    assert not np.array_equal(first, other, equal_nan=True)
    assert not np.array_equal(first, drawn_next, equal_nan=True)


@by_scheme
def test_the_global_generator_is_left_alone(scheme, known):
    before = np.random.get_state()[1].copy()
    hide_labels(full_table(), known=known, scheme=scheme, random_state=0)
    assert_array_equal(np.random.get_state()[1], before)


@by_scheme
@pytest.mark.parametrize("form", ["Int8", "integers", "list"])
def test_every_accepted_form_is_hidden_alike(scheme, known, form):
    y = full_table(40)
    y[::4, 0] = NAN
    expected = hide_labels(y, known=known, scheme=scheme, random_state=0)
    given = {
        "Int8": pd.DataFrame(y, columns=list("abcd")).astype("Int8"),
        "integers": np.nan_to_num(y, nan=-1).astype(int),
        "list": np.where(np.isnan(y), None, y.astype(object)).tolist(),
    }[form]
    hidden = hide_labels(given, known=known, scheme=scheme, random_state=0)
    assert_array_equal(hidden, expected)


@by_scheme
def test_a_table_without_any_known_label_stays_so(scheme, known):
    y = np.full((5, 3), NAN)
    assert np.isnan(hide_labels(y, known=known, scheme=scheme, random_state=0)).all()


# --- uniform ----------------------------------------------------------------------


@pytest.mark.parametrize("known", [0.05, 0.3, 0.9])
def test_uniform_keeps_each_label_with_the_same_probability(known):
    y = full_table(10_000)
    shown = ~np.isnan(hide_labels(y, known=known, random_state=0))
    for positive in (0.0, 1.0):
        for j in range(y.shape[1]):
            cells = shown[y[:, j] == positive, j]
            deviation = np.sqrt(known * (1 - known) / len(cells))
            assert abs(cells.mean() - known) < 4.5 * deviation
    both = np.mean(shown[:, 0] & shown[:, 1])
    assert_allclose(both, known**2, atol=0.02)  # cells are independent


@pytest.mark.parametrize("known", [1, 1.0, np.float32(1)], ids=["int", "float", "f32"])
def test_uniform_one_keeps_everything(known):
    y = full_table()
    assert_array_equal(hide_labels(y, known=known, random_state=0), y)


# --- single positive --------------------------------------------------------------


def test_single_positive_keeps_one_positive_of_each_row_that_has_any():
    y = full_table()
    hidden = hide_labels(y, scheme="single_positive", random_state=0)
    assert_array_equal((hidden == 1).sum(axis=1), y.any(axis=1))
    assert not (hidden == 0).any()
    assert not y.any(axis=1).all()  # rows without positives were among them


def test_single_positive_chooses_evenly_among_the_positives():
    y = np.tile([1.0, 0.0, 1.0, NAN, 1.0], (9_000, 1))
    hidden = hide_labels(y, scheme="single_positive", random_state=0)
    counts = (hidden == 1).sum(axis=0)
    assert_array_equal(counts[[1, 3]], 0)
    assert_allclose(counts[[0, 2, 4]], 3_000, atol=4.5 * np.sqrt(9_000 * 2 / 9))


# --- fixed per category -----------------------------------------------------------


@pytest.mark.parametrize("known", [1, 7, np.int64(30)])
def test_fixed_per_category_keeps_as_many_positives_as_negatives(known):
    y = full_table(100)
    hidden = hide_labels(y, known=known, scheme="fixed_per_category", random_state=0)
    n_positive, n_negative = (y == 1).sum(axis=0), (y == 0).sum(axis=0)
    assert_array_equal((hidden == 1).sum(axis=0), np.minimum(known, n_positive))
    assert_array_equal((hidden == 0).sum(axis=0), np.minimum(known, n_negative))


def test_fixed_per_category_chooses_among_all_rows():
    y = full_table(50, prevalence=(0.5,))
    chosen = sum(
        ~np.isnan(hide_labels(y, known=5, scheme="fixed_per_category", random_state=i))
        for i in range(200)
    )
    assert_allclose(chosen, 200 * 5 / 25, atol=30)


# --- report-like ------------------------------------------------------------------

MIXED = (0.0, 0.02, 0.1, 0.3, 0.5, 0.7, 0.95, 1.0)


@pytest.mark.parametrize("known", [0.01, 0.2, 0.5, 0.8, 0.97])
@pytest.mark.parametrize("seed", range(3))
def test_report_like_keeps_the_share_asked_for_on_average(known, seed):
    y = full_table(20_000, prevalence=MIXED)
    hidden = hide_labels(y, known=known, scheme="report_like", random_state=seed)
    assert_allclose(known_shares(hidden).mean(), known, atol=0.006)


@pytest.mark.parametrize("known", [0.05, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("prevalence", [0.001, 0.03, 0.3, 0.9, 0.999, 1.0])
def test_report_like_rates_do_not_depend_on_the_prevalence(known, prevalence):
    """One seed draws one rate per category, which the algebra must then hit."""
    n_samples, n_categories = 20_000, 12

    def shares(prevalence):
        y = full_table(n_samples, (prevalence,) * n_categories)
        hidden = hide_labels(y, known=known, scheme="report_like", random_state=0)
        return known_shares(hidden)

    assert_allclose(shares(prevalence), shares(0.0), atol=0.025)


@pytest.mark.parametrize("known", [0.05, 0.3])
def test_report_like_mentions_positives_more_often(known):
    prevalence = np.full(20, 0.2)
    y = full_table(20_000, prevalence)
    hidden = hide_labels(y, known=known, scheme="report_like", random_state=0)
    positive_shares = np.nanmean(hidden, axis=0)
    assert (positive_shares >= prevalence).all()
    assert np.median(positive_shares) > 2.5 * 0.2
    n_shown = (~np.isnan(hidden)).sum(axis=0)
    ratio = ((hidden == 1).sum(axis=0) / 0.2) / ((hidden == 0).sum(axis=0) / 0.8)
    not_capped = (hidden == 1).sum(axis=0) < 0.999 * (y == 1).sum(axis=0)
    precise = not_capped & (n_shown > 500)
    assert precise.any()
    assert ratio[precise].min() > 3.0
    assert ratio[precise].max() < 60.0


def test_report_like_keeps_all_positives_of_a_category_that_is_mentioned_much():
    y = full_table(10_000, (0.1,) * 8)
    hidden = hide_labels(y, known=0.9, scheme="report_like", random_state=0)
    assert not np.isnan(hidden[y == 1]).any()
    assert np.isnan(hidden[y == 0]).any()


def test_report_like_rates_differ_between_categories():
    y = full_table(5_000, (0.2,) * 30)
    shares = known_shares(
        hide_labels(y, known=0.2, scheme="report_like", random_state=0)
    )
    assert shares.max() > 5 * shares.min()


@pytest.mark.parametrize("prevalence", [0.0, 0.4, 1.0])
def test_report_like_one_keeps_everything(prevalence):
    y = full_table(500, (prevalence,) * 6)
    for seed in range(20):
        hidden = hide_labels(y, known=1.0, scheme="report_like", random_state=seed)
        assert_array_equal(hidden, y)


def test_report_like_counts_shares_among_the_labels_that_were_known():
    y = full_table(40_000, (0.3,) * 4)
    y[::2] = NAN
    hidden = hide_labels(y, known=0.4, scheme="report_like", random_state=0)
    assert_allclose(known_shares(hidden[1::2]).mean(), 0.4, atol=0.01)


def test_report_like_works_on_a_single_category_and_on_one_without_known_labels():
    alone = full_table(20_000, (0.3,))
    hidden = hide_labels(alone, known=0.25, scheme="report_like", random_state=0)
    assert_allclose(known_shares(hidden), 0.25, atol=0.015)
    beside = np.column_stack([alone, np.full(len(alone), NAN)])
    hidden = hide_labels(beside, known=0.25, scheme="report_like", random_state=0)
    assert known_shares(hidden)[1] == 0


# --- refusals ---------------------------------------------------------------------

shares_of = pytest.mark.parametrize("scheme", ["uniform", "report_like"])


@shares_of
@pytest.mark.parametrize("known", [0.0, -0.1, 1.01, 2, NAN], ids=str)
def test_shares_out_of_range_are_refused(scheme, known):
    message = (
        rf'share in \(0, 1\] with scheme="{scheme}"; got {known!r}\. It is the share'
    )
    with pytest.raises(ValueError, match=message):
        hide_labels(full_table(), known=known, scheme=scheme)


@shares_of
@pytest.mark.parametrize("known", [None, "0.3", True, np.True_, [0.3]], ids=repr)
def test_shares_that_are_no_numbers_are_refused(scheme, known):
    message = re.escape(
        f'`known` must be a share in (0, 1] with scheme="{scheme}"; got {known!r}.'
    )
    with pytest.raises(TypeError, match=message):
        hide_labels(full_table(), known=known, scheme=scheme)


@pytest.mark.parametrize("known", [None, 0.3, 3.0, "3", True], ids=repr)
def test_counts_that_are_no_whole_numbers_are_refused(known):
    message = re.escape(
        '`known` must be a whole number of labels with scheme="fixed_per_category"; '
        f"got {known!r}."
    )
    with pytest.raises(TypeError, match=message):
        hide_labels(full_table(), known=known, scheme="fixed_per_category")


@pytest.mark.parametrize("known", [0, -2])
def test_counts_below_one_are_refused(known):
    with pytest.raises(ValueError, match=rf"must be at least 1 with.*got {known}\."):
        hide_labels(full_table(), known=known, scheme="fixed_per_category")


def test_single_positive_takes_no_amount():
    message = (
        r'must be None with scheme="single_positive"; got 0\.5\. That scheme keeps'
    )
    with pytest.raises(ValueError, match=message):
        hide_labels(full_table(), known=0.5, scheme="single_positive")


@pytest.mark.parametrize("scheme", ["Uniform", "", None], ids=repr)
def test_other_schemes_are_refused(scheme):
    message = rf"`scheme` must be 'uniform', 'single_positive', .*; got {scheme!r}\."
    with pytest.raises(ValueError, match=message):
        hide_labels(full_table(), known=0.5, scheme=scheme)


def test_labels_that_are_not_accepted_are_refused():
    with pytest.raises(ValueError, match=r"`y` must hold 0.*got -1\.0"):
        hide_labels([[0.5, -1.0], [-1.0, 0.0]][1:], known=0.5)


def test_report_like_solves_the_equation_of_its_rates():
    """The same draws, each category's rate then found by a root finder."""
    y = full_table(300, (0.0, 0.05, 0.3, 0.8, 0.2, 0.6))
    y[::3, 2] = NAN
    hidden = hide_labels(y, known=0.3, scheme="report_like", random_state=5)
    rng = np.random.RandomState(5)
    rates = np.exp(0.9 * rng.standard_normal(6))
    rates *= 0.3 / rates.mean()
    assert rates.max() < 1
    ratios = np.exp(rng.uniform(np.log(4), np.log(40), size=6))
    draw = rng.random_sample(y.shape)
    for j, (rate, ratio) in enumerate(zip(rates, ratios, strict=True)):
        share = np.nanmean(y[:, j])

        def surplus(a, rate=rate, ratio=ratio, share=share):
            return share * min(1, ratio * a) + (1 - share) * a - rate

        a = brentq(surplus, 0, 1) if surplus(0) < 0 < surplus(1) else rate
        probability = np.where(y[:, j] == 1, min(1, ratio * a), a)
        kept = (draw[:, j] < probability) & ~np.isnan(y[:, j])
        assert_array_equal(~np.isnan(hidden[:, j]), kept)
