"""The weighing of candidates: what labels say of them, alone and together."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, softmax
from scipy.stats import hmean

from cftlearn.fine_tuning._evidence import (
    LOG_ODDS_PER_MEMORY,
    MODEST_LOG_ODDS,
    Evidence,
    Verdict,
    effective_labels,
    weigh,
)

N_CANDIDATES = 4
NOTHING = np.full(N_CANDIDATES, np.nan)
few = settings(max_examples=60)
counts = st.floats(0, 1e4)


def category(held_out=None, labels=10.0, **changes):
    """Make the evidence of a category whose initial weights have an AUC of 0.7.

    Half of its candidates, the even ones, did not start from them.
    """
    plain = Evidence(
        held_out=NOTHING if held_out is None else np.asarray(held_out, np.float64),
        held_out_labels=0.0 if held_out is None else labels,
        against_unknown=NOTHING,
        against_unknown_labels=0.0,
        fitted=NOTHING,
        fitted_labels=0.0,
        initial_held_out=np.nan if held_out is None else 0.7,
        initial_against_unknown=np.nan,
        memory=np.nan,
        memory_labels=0.0,
        independent=np.arange(N_CANDIDATES) % 2 == 0,
        available=np.ones(N_CANDIDATES, dtype=bool),
    )
    return replace(plain, **changes)


def against_unknown(values, labels=10.0):
    return category(
        against_unknown=np.asarray(values, np.float64),
        against_unknown_labels=labels,
        initial_against_unknown=0.7,
    )


def draw_category(rng):
    """Draw a category with any kinds of evidence, as a refit would hand them over."""
    available = rng.random(N_CANDIDATES) < 0.8
    available[rng.integers(N_CANDIDATES)] = True

    def aucs(given):
        return np.where(available & given, rng.random(N_CANDIDATES), np.nan)

    kind = rng.integers(3)
    n = 30 * rng.random(3)
    return category(
        held_out=aucs(kind == 1),
        labels=n[0] * (kind == 1),
        initial_held_out=rng.random() if kind == 1 else np.nan,
        against_unknown=aucs(kind == 2),
        against_unknown_labels=n[1] * (kind == 2),
        initial_against_unknown=rng.random() if kind == 2 else np.nan,
        fitted=aucs(n[2] > 10),
        fitted_labels=n[2] * (n[2] > 10),
        available=available,
        memory=rng.random(),
        memory_labels=n[0],
    )


@st.composite
def many_categories(draw):
    """Draw categories of which one at least has held-out labels, and a log prior."""
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    drawn = [draw_category(rng) for _ in range(draw(st.integers(0, 5)))]
    drawn.insert(int(rng.integers(len(drawn) + 1)), category(rng.random(N_CANDIDATES)))
    return drawn, rng.normal(0, 2, N_CANDIDATES)


def shares(verdict):
    return np.append(verdict.candidates, verdict.initial)


# --- how many labels there are ----------------------------------------------------


@few
@given(p=st.floats(1e-3, 1e4), n=st.floats(1e-3, 1e4))
def test_effective_labels_are_half_of_the_harmonic_mean(p, n):
    assert effective_labels(p, n) == pytest.approx(hmean([p, n]) / 2)


@few
@given(p=counts, n=counts)
def test_effective_labels_are_fewer_than_those_of_either_class(p, n):
    count = effective_labels(p, n)
    rounding = 1e-12 * (p + n)
    assert 0 <= count <= min(p, n) + rounding
    assert count == effective_labels(n, p)
    assert effective_labels(p + 1, n) >= count - rounding
    assert effective_labels(3 * p, 3 * n) == pytest.approx(3 * count)


@pytest.mark.parametrize("pair", [(0, 0), (0, 7), (7, 0)], ids=str)
def test_one_class_has_no_effective_labels(pair):
    assert effective_labels(*pair) == 0.0


# --- any evidence -----------------------------------------------------------------


@few
@given(drawn=many_categories())
def test_weights_are_shares(drawn):
    categories, log_prior = drawn
    verdicts = weigh(categories, log_prior)
    assert len(verdicts) == len(categories)
    for item, verdict in zip(categories, verdicts, strict=True):
        weights = shares(verdict)
        assert (weights >= 0).all()
        assert weights.sum() == pytest.approx(1)
        assert_array_equal(verdict.candidates[~item.available], 0.0)
        assert verdict.initial > 0
        assert np.isfinite(verdict.pooled_gain)


@few
@given(drawn=many_categories(), seed=st.integers(0, 100))
def test_permuted_categories_get_permuted_verdicts(drawn, seed):
    categories, log_prior = drawn
    order = np.random.default_rng(seed).permutation(len(categories))
    before = weigh(categories, log_prior)
    after = weigh([categories[k] for k in order], log_prior)
    for place, k in enumerate(order):
        assert_allclose(shares(after[place]), shares(before[k]), rtol=1e-9)
        assert after[place].pooled_gain == pytest.approx(before[k].pooled_gain)
        assert after[place].gain == pytest.approx(before[k].gain)


@few
@given(drawn=many_categories(), seed=st.integers(0, 100))
def test_permuted_candidates_get_permuted_weights(drawn, seed):
    categories, log_prior = drawn
    order = np.random.default_rng(seed).permutation(N_CANDIDATES)
    moved = [
        replace(
            item,
            **{
                name: getattr(item, name)[order]
                for name in (
                    "held_out",
                    "against_unknown",
                    "fitted",
                    "independent",
                    "available",
                )
            },
        )
        for item in categories
    ]
    before, after = weigh(categories, log_prior), weigh(moved, log_prior[order])
    for one, other in zip(before, after, strict=True):
        assert_allclose(other.candidates, one.candidates[order], rtol=1e-9)
        assert other.initial == pytest.approx(one.initial)


@few
@given(
    drawn=many_categories(),
    which=st.integers(0, N_CANDIDATES - 1),
    rise=st.floats(0.01, 0.5),
)
def test_a_greater_held_out_auc_raises_the_weight(drawn, which, rise):
    categories, log_prior = drawn
    judged = next(k for k, item in enumerate(categories) if item.held_out_labels > 0)
    item = categories[judged]
    assume(item.available[which] and item.available.sum() > 1)
    better = item.held_out.copy()
    better[which] += rise
    raised = list(categories)
    raised[judged] = replace(item, held_out=better)
    before = weigh(categories, log_prior)[judged]
    after = weigh(raised, log_prior)[judged]
    share_before = before.candidates[which] / before.candidates.sum()
    assert after.candidates[which] / after.candidates.sum() > share_before


def test_weights_are_not_marred_by_great_scores():
    verdict = weigh([category([1.0, 0.0, 0.5, 0.5], labels=1e6)], np.zeros(4))[0]
    assert_array_equal(shares(verdict), [1.0, 0.0, 0.0, 0.0, 0.0])


# --- special cases ----------------------------------------------------------------


def test_no_categories_have_no_verdicts():
    assert weigh([], np.zeros(N_CANDIDATES)) == []


def test_no_verdict_where_no_label_can_tell():
    fitted = category(fitted=np.array([0.9, 0.8, 0.7, 0.6]), fitted_labels=50.0)
    assert weigh([category(), fitted], np.zeros(N_CANDIDATES)) == [None, None]


@pytest.mark.parametrize(
    "telling",
    [category([0.8, 0.7, 0.6, 0.5]), against_unknown([0.8, 0.7, 0.6, 0.5])],
    ids=["held-out", "against unknown"],
)
def test_one_telling_category_is_enough_for_verdicts_of_all(telling):
    for verdict in weigh([category(), telling], np.zeros(N_CANDIDATES)):
        best_first = np.argsort(-verdict.candidates)
        assert_array_equal(best_first, np.arange(N_CANDIDATES))
        assert (np.diff(verdict.candidates) < 0).all()


@pytest.mark.parametrize("make", [category, against_unknown])
def test_no_gain_leaves_the_prior(make):
    log_prior = np.array([0.0, -1.0, -2.0, 1.0])
    even = make(np.full(N_CANDIDATES, 0.7))
    remembering = replace(category(), memory=0.6, memory_labels=1e9)
    odds = MODEST_LOG_ODDS + LOG_ODDS_PER_MEMORY * 0.1
    expected = np.append(expit(odds) * softmax(log_prior), expit(-odds))
    for verdict in weigh([even, remembering, even], log_prior):
        assert_allclose(shares(verdict), expected, rtol=1e-6)
        assert verdict.gain == verdict.pooled_gain == 0.0


def test_without_positives_to_compare_the_usual_memory_is_assumed():
    even = category(np.full(N_CANDIDATES, 0.7))
    verdict = weigh([even], np.zeros(N_CANDIDATES))[0]
    odds = MODEST_LOG_ODDS + LOG_ODDS_PER_MEMORY * 0.4
    assert verdict.initial == pytest.approx(expit(-odds))


def test_gains_against_unknown_labels_count_against_the_initial_weights():
    better, worse = (
        weigh([against_unknown(np.full(N_CANDIDATES, auc), 1e3)], np.zeros(4))[0]
        for auc in (0.75, 0.65)
    )
    assert better.initial < 1e-6 < 1 - 1e-6 < worse.initial
    assert better.gain == pytest.approx(0.05)


def test_initial_weights_that_memorised_nothing_are_kept_in_doubt():
    even = category(np.full(N_CANDIDATES, 0.7))
    weights = [
        weigh([replace(even, memory=memory, memory_labels=100.0)], np.zeros(4))[0]
        for memory in (0.5, 0.7, 1.0)
    ]
    trained = [verdict.initial for verdict in weights]
    assert trained[0] > 0.5 > trained[1] > trained[2]


def test_initial_weights_that_are_better_everywhere_are_kept():
    """Although it memorised its positives, and no single category could tell."""
    worse = category(np.full(N_CANDIDATES, 0.5), 3.0, memory=1.0, memory_labels=10.0)
    alone = weigh([worse], np.zeros(N_CANDIDATES))[0]
    together = weigh([worse] * 40, np.zeros(N_CANDIDATES))[0]
    assert alone.initial < 0.5 < together.initial


@pytest.mark.parametrize("initial", [0.4, 0.5, 0.6])
@pytest.mark.parametrize("is_refused", [False, True])
def test_initial_weights_are_kept_by_weight_or_refusal(initial, is_refused):
    verdict = Verdict(initial, np.zeros(1), 0.0, 0.0, is_refused)
    assert verdict.outweighs == (initial < 0.5)
    assert verdict.keeps_initial == (is_refused or initial >= 0.5)


def test_better_candidates_weigh_more():
    verdict = weigh([category([0.75, 0.9, 0.6, 0.7])], np.zeros(N_CANDIDATES))[0]
    assert_array_equal(np.argsort(verdict.candidates), [2, 3, 0, 1])


def test_equal_evidence_is_settled_by_the_prior():
    log_prior = np.array([0.0, 0.5, -0.5, -3.0])
    verdict = weigh([category(np.full(N_CANDIDATES, 0.8))], log_prior)[0]
    ratios = np.log(verdict.candidates / verdict.candidates[0])
    assert_allclose(ratios, log_prior, atol=1e-12)


def test_own_evidence_outweighs_that_of_others():
    one, other = category([0.9, 0.6, 0.7, 0.7]), category([0.6, 0.9, 0.7, 0.7])
    first, second = weigh([one, other], np.zeros(N_CANDIDATES))
    assert first.candidates.argmax() == 0
    assert second.candidates.argmax() == 1


def test_what_is_unavailable_weighs_nothing_and_pools_nothing():
    lacks = np.array([True, True, False, True])
    tempting = category([0.7, 0.7, 0.99, 0.7], labels=1e3, available=lacks)
    other = category(np.full(N_CANDIDATES, 0.7))
    verdicts = weigh([tempting, other], np.zeros(N_CANDIDATES))
    assert verdicts[0].candidates[2] == 0.0
    assert verdicts[1].candidates[2] == pytest.approx(verdicts[1].candidates[0])


def test_the_pool_of_a_candidate_counts_who_has_it():
    """A candidate that few categories have is not set back by those without it."""
    rare = np.array([True, True, True, False])
    having = [category([0.7, 0.7, 0.7, 0.8], labels=1e5)]
    lacking = [category([0.8, 0.7, 0.7, np.nan], labels=1e5, available=rare)] * 9
    silent = weigh([category(), *having, *lacking], np.zeros(N_CANDIDATES))[0]
    assert silent.candidates[3] > silent.candidates[0] > silent.candidates[1]


@few
@given(few_labels=st.floats(0.1, 100), more=st.floats(1.1, 10))
def test_few_labels_shrink_the_pooled_gain(few_labels, more):
    log_prior = np.zeros(N_CANDIDATES)
    even = np.full(N_CANDIDATES, 0.8)
    little = weigh([category(even, few_labels)], log_prior)[0].pooled_gain
    much = weigh([category(even, few_labels * more)], log_prior)[0].pooled_gain
    assert 0 < little < much < 0.1


def test_many_labels_leave_the_pooled_gain_as_it_is():
    even = np.ones(N_CANDIDATES)
    pair = [category(0.9 * even, 1e7), category(0.6 * even, 3e7)]
    for verdict, gain in zip(weigh(pair, 0 * even), (0.2, -0.1), strict=True):
        assert verdict.gain == pytest.approx(gain)
        assert verdict.pooled_gain == pytest.approx((0.2 - 3 * 0.1) / 4, rel=1e-5)


@pytest.mark.parametrize("make", [category, against_unknown])
def test_a_category_that_is_clearly_against_is_refused(make):
    """Forty others gain; one loses more than any standard error of its AUC."""
    others = [category(np.full(N_CANDIDATES, 0.9), 30.0) for _ in range(40)]
    labels = 25.0 if make is category else 125.0  # the same, as a fifth counts
    for gain, is_refused in ((-0.11, True), (-0.09, False)):
        own = make(np.full(N_CANDIDATES, 0.7 + gain), labels)
        assert weigh([*others, own], np.zeros(4))[-1].is_refused == is_refused
    assert not weigh([*others, category()], np.zeros(4))[-1].is_refused


# --- weaker evidence --------------------------------------------------------------


@few
@given(drawn=many_categories(), seed=st.integers(0, 100))
def test_fitted_labels_never_speak_of_rows_that_started_from_the_trained_one(
    drawn, seed
):
    categories, log_prior = drawn
    rng = np.random.default_rng(seed)
    other = [
        replace(
            item,
            fitted=np.where(item.available, rng.random(N_CANDIDATES), np.nan),
            fitted_labels=100 * rng.random(),
        )
        for item in categories
    ]
    before, after = weigh(categories, log_prior), weigh(other, log_prior)
    for item, one, two in zip(categories, before, after, strict=True):
        started = item.available & ~item.independent
        if started.any():
            ratios = one.candidates[started] / one.candidates[started].sum()
            other_ratios = two.candidates[started] / two.candidates[started].sum()
            assert_allclose(other_ratios, ratios, rtol=1e-9)


def test_fitted_labels_compare_independent_rows_with_each_other():
    """A high AUC of all of them is no reason to leave the initial weights."""
    even = np.full(N_CANDIDATES, 0.7)
    silent = weigh([category(even)], np.zeros(N_CANDIDATES))[0]
    same = category(even, fitted=np.full(N_CANDIDATES, 0.99), fitted_labels=1e3)
    assert_allclose(
        shares(weigh([same], np.zeros(N_CANDIDATES))[0]), shares(silent), rtol=1e-9
    )
    fitted = np.array([0.95, 0.99, 0.9, 0.99])
    verdict = weigh(
        [category(even, fitted=fitted, fitted_labels=30.0)], np.zeros(N_CANDIDATES)
    )[0]
    log_odds = np.log(verdict.candidates / silent.candidates)
    assert log_odds[0] > log_odds[1] > log_odds[2]
    assert log_odds[0] - log_odds[1] == pytest.approx(log_odds[3] - log_odds[2])


def test_fitted_labels_of_unavailable_rows_are_ignored():
    even = np.full(N_CANDIDATES, 0.7)
    lacks = np.array([True, True, False, True])
    item = category(even, available=lacks, fitted=even, fitted_labels=50.0)
    other = replace(item, fitted=np.array([0.7, 0.7, np.nan, 0.7]))
    plain, hidden = (weigh([x], np.zeros(N_CANDIDATES))[0] for x in (item, other))
    assert_array_equal(shares(hidden), shares(plain))


@pytest.mark.parametrize(
    "weaker",
    [
        lambda aucs: against_unknown(aucs),
        lambda aucs: category(
            np.full(N_CANDIDATES, 0.7), fitted=np.asarray(aucs), fitted_labels=10.0
        ),
    ],
    ids=["against unknown", "fitted"],
)
def test_other_labels_tell_less_than_held_out_ones(weaker):
    aucs = [0.8, 0.7, 0.6, 0.7]
    strong = weigh([category(aucs)], np.zeros(N_CANDIDATES))[0].candidates
    weak = weigh([weaker(aucs)], np.zeros(N_CANDIDATES))[0].candidates
    assert 1 < weak[0] / weak[2] < strong[0] / strong[2]


# --- what labels of other kinds are worth -----------------------------------------


def test_an_unknown_label_is_worth_a_fifth_of_a_held_out_one():
    gains = [0.75, 0.9, 0.6, 0.7]
    stand_in = weigh([against_unknown(gains, 100.0)], np.zeros(N_CANDIDATES))[0]
    held_out = weigh([category(gains, 20.0)], np.zeros(N_CANDIDATES))[0]
    assert_allclose(shares(stand_in), shares(held_out), rtol=1e-12)


def test_a_fitted_label_is_worth_three_tenths_of_a_held_out_one():
    """Among candidates: of the initial weights, fitted labels say nothing."""
    aucs = np.array([0.75, 0.9, 0.6, 0.7])
    everyone = np.ones(N_CANDIDATES, dtype=bool)
    even = np.full(N_CANDIDATES, 0.7)
    fitted = category(even, 1e-9, fitted=aucs, fitted_labels=100.0)
    fitted = weigh([replace(fitted, independent=everyone)], np.zeros(N_CANDIDATES))[0]
    held_out = weigh([category(aucs, 30.0)], np.zeros(N_CANDIDATES))[0]
    ratios = [
        verdict.candidates / verdict.candidates.sum() for verdict in (fitted, held_out)
    ]
    assert_allclose(*ratios, rtol=1e-6)


def stated_by_hand(categories, kinds):
    """Return gains of candidates, and labels, by kind; constants are written out."""
    n = len(categories)
    gains = {kind: np.zeros((n, N_CANDIDATES)) for kind in kinds}
    labels = {kind: np.zeros(n) for kind in kinds}
    for c, item in enumerate(categories):
        labels["known"][c] = item.held_out_labels
        labels["unknown"][c] = 0.2 * item.against_unknown_labels
        labels["fit"][c] = 0.3 * item.fitted_labels
        rivals = [
            item.fitted[k]
            for k in range(N_CANDIDATES)
            if item.independent[k] and item.available[k]
        ]
        for k in np.flatnonzero(item.available):
            if item.held_out_labels:
                gains["known"][c, k] = item.held_out[k] - item.initial_held_out
            if item.against_unknown_labels:
                gain = item.against_unknown[k] - item.initial_against_unknown
                gains["unknown"][c, k] = gain
            if item.fitted_labels and item.independent[k]:
                gains["fit"][c, k] = item.fitted[k] - np.mean(rivals)
    return gains, labels


@few
@given(drawn=many_categories())
def test_verdicts_are_those_of_the_formula(drawn):
    """A loop over categories and candidates, with all constants written out."""
    categories, log_prior = drawn
    n = len(categories)
    kinds = ("known", "unknown", "fit")
    gains, labels = stated_by_hand(categories, kinds)
    nats = np.tile(log_prior, (n, 1))
    for kind, gain in gains.items():
        for k in range(N_CANDIDATES):
            having = [c for c in range(n) if categories[c].available[k]]
            total = sum(labels[kind][c] * gain[c, k] for c in having)
            pooled = total / (sum(labels[kind][c] for c in having) + 20)
            nats[:, k] += 2 * (labels[kind] * gain[:, k] + 20 * pooled)
    judging = labels["known"] + labels["unknown"]
    own_gain = np.zeros(n)
    weights = np.zeros((n, N_CANDIDATES))
    for c, item in enumerate(categories):
        weights[c, item.available] = softmax(nats[c, item.available])
        own_gain[c] = weights[c] @ (gains["known"] + gains["unknown"])[c]
    pooled_gain = judging @ own_gain / (judging.sum() + 20)
    memory_labels = sum(item.memory_labels for item in categories)
    memory = sum(
        item.memory_labels * item.memory for item in categories if item.memory_labels
    )
    memory = (memory + 4 * 0.9) / (memory_labels + 4)
    prior = -1 + 10 * (memory - 0.5)
    for c, verdict in enumerate(weigh(categories, log_prior)):
        odds = 2 * (judging[c] * own_gain[c] + 20 * pooled_gain) + prior
        assert_allclose(verdict.initial, expit(-odds), rtol=1e-9)
        assert_allclose(verdict.candidates, expit(odds) * weights[c], rtol=1e-9)
        assert verdict.gain == pytest.approx(own_gain[c])
        assert verdict.pooled_gain == pytest.approx(pooled_gain)
        fall = -0.5 / np.sqrt(judging[c]) if judging[c] else -np.inf
        assert verdict.is_refused == (own_gain[c] < fall)
