"""Mixtures of rows, and what is known of their labels: by truth table."""

import importlib.util
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, chisquare
from sklearn.base import clone

from cftlearn.training import LogicMix, PartialMixUp
from cftlearn.training._mixing import Mixture

NAN = float("nan")
MIXES = [LogicMix(), LogicMix(1.0, 2, 5), PartialMixUp(), PartialMixUp(0.0)]
by_mix = pytest.mark.parametrize("mix", MIXES, ids=str)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(n_rows, n_categories=4, seed=0):
    rng = np.random.default_rng(seed)
    X = torch.from_numpy(rng.standard_normal((n_rows, 2, 3)).astype(np.float32))
    labels = rng.choice([0, 1, NAN], size=(n_rows, n_categories))
    return X, torch.from_numpy(labels.astype(np.float32))


def same(one, other):
    torch.testing.assert_close(one, other, equal_nan=True, rtol=0, atol=0)


# ------------------------------------------------------------------- labels of mixtures
def logic_or(labels):
    """Return Kleene's OR, written as its table: unknown may be either."""
    could_be = {
        max(values)
        for values in itertools.product(
            *[(0.0, 1.0) if np.isnan(label) else (label,) for label in labels]
        )
    }
    return could_be.pop() if len(could_be) == 1 else NAN


@pytest.mark.parametrize("k", [2, 3, 4])
def test_logic_by_truth_table(k):
    table = torch.tensor(list(itertools.product([0.0, 1.0, NAN], repeat=k)))
    # Every combination is a category; the images of the mixture are the rows.
    rows = torch.arange(k).repeat(k, 1)
    mixture = Mixture(rows, torch.full((k, k), 1 / k))
    found = LogicMix().mix_labels(table.T, mixture)
    expected = torch.tensor([logic_or(labels) for labels in table.numpy()])
    same(found, expected.expand(k, -1))


def test_logic_of_soft_labels_is_that_of_independent_events():
    rng = np.random.default_rng(0)
    soft = rng.random(3)
    events = rng.random((200_000, 3)) < soft
    mixture = Mixture(torch.tensor([[0, 1, 2]] * 3), torch.full((3, 3), 1 / 3))
    found = LogicMix().mix_labels(torch.from_numpy(soft).unsqueeze(1), mixture)
    assert found[0].item() == pytest.approx(events.any(axis=1).mean(), abs=5e-3)
    # A known positive outweighs anything, and an unknown one all that is not known.
    labels = torch.tensor([[0.3, 0.3], [1.0, 0.0], [NAN, NAN]])
    same(LogicMix().mix_labels(labels, mixture)[0], torch.tensor([1.0, NAN]))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ((1, 1), 1),
        ((1, 0), 0.8),
        ((1, NAN), 0.9),
        ((0, 1), 0.2),
        ((0, 0), 0),
        ((0, NAN), 0.1),
        ((NAN, 1), NAN),
        ((NAN, 0), NAN),
        ((NAN, NAN), NAN),
        ((0.5, 0.25), 0.45),
    ],
)
def test_mixup_by_truth_table(labels, expected):
    mixture = Mixture(torch.tensor([[0, 1]]), torch.tensor([[0.8, 0.2]]))
    column = torch.tensor(labels, dtype=torch.float64).unsqueeze(1)
    found = PartialMixUp().mix_labels(column, Mixture(*mixture))
    assert found[0].item() == pytest.approx(expected, nan_ok=True)


@by_mix
@given(n_rows=st.integers(1, 7), seed=st.integers(0, 1000))
def test_inputs_and_labels_are_those_of_the_drawn_mixture(mix, n_rows, seed):
    X, labels = batch(n_rows, seed=seed)
    mixed, mixed_labels = mix(X, labels, seeded(seed))
    mixture = mix.draw(n_rows, seeded(seed))
    for i in range(n_rows):
        pairs = zip(mixture.rows[i].tolist(), mixture.shares[i].tolist(), strict=True)
        parts = [(row, share) for row, share in pairs if share > 0]
        torch.testing.assert_close(
            mixed[i], sum(share * X[row] for row, share in parts)
        )
        for j in range(labels.shape[1]):
            own = [labels[row, j].item() for row, _ in parts]
            if isinstance(mix, LogicMix):
                expected = logic_or(own)
            else:
                filled = np.nan_to_num(own, nan=0.5)
                expected = np.dot([share for _, share in parts], filled)
                expected = NAN if np.isnan(own[0]) else expected
            assert mixed_labels[i, j].item() == pytest.approx(expected, nan_ok=True)


# ----------------------------------------------------------------------- what is drawn
@given(
    n_rows=st.integers(1, 9),
    k=st.tuples(st.integers(2, 6), st.integers(0, 3)),
    seed=st.integers(0, 1000),
)
def test_a_mixture_has_different_rows_and_the_row_itself(n_rows, k, seed):
    mix = LogicMix(1.0, k[0], k[0] + k[1])
    rows, shares = mix.draw(n_rows, seeded(seed))
    for i in range(n_rows):
        parts = rows[i, shares[i] > 0].tolist()
        assert parts[0] == i
        assert len(set(parts)) == len(parts)
        assert min(k[0], n_rows) <= len(parts) <= min(k[0] + k[1], n_rows)
        assert set(parts) <= set(range(n_rows))
        torch.testing.assert_close(
            shares[i, : len(parts)], torch.full((len(parts),), 1 / len(parts))
        )


def test_other_rows_and_their_number_are_equally_likely():
    shares = LogicMix(1.0, 2, 4).draw(6000, seeded()).shares
    counts = torch.bincount((shares > 0).sum(dim=1), minlength=5)[2:]
    assert chisquare(counts.numpy()).pvalue > 1e-3
    drawn = [LogicMix(1.0, 3, 3).draw(5, seeded(i)).rows[1, 1:] for i in range(4000)]
    pairs = [tuple(sorted(each.tolist())) for each in drawn]
    counts = [pairs.count(pair) for pair in itertools.combinations([0, 2, 3, 4], 2)]
    assert sum(counts) == 4000
    assert chisquare(counts).pvalue > 1e-3


def test_rows_are_mixed_with_the_probability():
    shares = LogicMix(0.3).draw(5000, seeded()).shares
    n_mixed = int((shares[:, 0] < 1).sum())
    assert binomtest(n_mixed, 5000, 0.3).pvalue > 1e-3
    for probability, n in ((0.0, 0), (1.0, 5000)):
        shares = LogicMix(probability).draw(5000, seeded()).shares
        assert int((shares[:, 0] < 1).sum()) == n


def test_a_pair_is_mostly_the_row_itself():
    rows, shares = PartialMixUp(0.6).draw(5000, seeded())
    own = shares[:, 0]
    assert own.min() >= 0.6
    assert own.max() <= 1
    assert own.mean().item() == pytest.approx(0.8, abs=0.01)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(5000))
    assert (rows[:, 0] == torch.arange(5000)).all()
    assert (rows[:, 1] != rows[:, 0]).all()


# ----------------------------------------------------------------------------- and else
@by_mix
def test_a_row_alone_stays_as_it_is(mix):
    X, labels = batch(1)
    mixed, mixed_labels = mix(X, labels)
    same(mixed, X)
    same(mixed_labels, labels)


def test_rows_that_are_not_mixed_stay_bit_for_bit():
    X, labels = batch(50)
    labels = torch.where(torch.rand(labels.shape) < 0.3, 0.1, labels)
    X[3] = torch.inf
    mix = LogicMix(0.4)
    mixture = mix.draw(50, seeded(1))
    mixed, mixed_labels = mix(X, labels, seeded(1))
    alone = mixture.shares[:, 0] == 1
    assert 0 < alone.sum() < 50
    same(mixed[alone], X[alone])
    same(mixed_labels[alone], labels[alone])


@by_mix
def test_a_generator_says_what_is_drawn(mix):
    X, labels = batch(30)
    before = torch.get_rng_state()
    one, two = mix(X, labels, seeded(3)), mix(X, labels, seeded(3))
    assert torch.equal(torch.get_rng_state(), before)
    for own, other in zip(one, two, strict=True):
        same(own, other)
    assert not torch.equal(mix(X, labels, seeded(4))[0], one[0])
    torch.manual_seed(3)
    own = mix(X, labels)
    same(own[0], one[0])


@by_mix
def test_what_is_given_is_left_alone(mix):
    X, labels = batch(20)
    copies = X.clone(), labels.clone()
    mix(X, labels)
    same(X, copies[0])
    same(labels, copies[1])


@by_mix
@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_types_are_kept(mix, dtype):
    X, labels = batch(20)
    mixed, mixed_labels = mix(X.to(dtype), labels.double(), seeded())
    assert mixed.dtype == dtype
    assert mixed_labels.dtype == torch.float64
    assert mixed.shape == X.shape


@by_mix
def test_it_is_cloned_with_its_parameters(mix):
    assert clone(mix).get_params() == mix.get_params()
    assert set(mix._parameter_constraints) == set(mix.get_params())


# -------------------------------------------------------------------------- with a peer
def peer(name):
    """Load a module of mlcpl 0.1.7 that needs torch alone, without its package."""
    found = importlib.util.find_spec("mlcpl")
    if found is None:
        pytest.skip("needs mlcpl, which is not on every machine")
    path = Path(found.submodule_search_locations[0]) / "augs" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"peer_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_logic_is_that_of_a_peer():
    theirs = peer("logic_mix")
    X, labels = batch(40, 50)
    mix = LogicMix(1.0, 2, 4)
    mixed, mixed_labels = mix(X, labels, seeded(2))
    mixture = mix.draw(40, seeded(2))
    for i in range(40):
        rows = mixture.rows[i, mixture.shares[i] > 0]
        torch.testing.assert_close(mixed[i], theirs.logic_mix_images(X[rows]))
        same(mixed_labels[i], theirs.logic_mix_target(labels[rows]))


def test_mixup_is_that_of_a_peer(monkeypatch):
    theirs = peer("mixup_pme")
    X, labels = batch(40, 50)
    monkeypatch.setattr(np.random, "uniform", lambda low, high: 0.8)
    expected, expected_labels = theirs.mixup_pme_with_batch(X, labels, alpha=0.75)
    # It mixes the first half with the second, by one number for all.
    rows = torch.stack([torch.arange(20), torch.arange(20, 40)], dim=1)
    rows = torch.cat([rows, rows.flip(1)])
    whole = Mixture(rows, torch.tensor([[0.8, 0.2]]).repeat(40, 1))
    torch.testing.assert_close(whole.inputs(X)[:20], expected)
    found = PartialMixUp().mix_labels(labels, whole)[:20]
    torch.testing.assert_close(found, expected_labels, equal_nan=True)
