"""Counter-based random numbers: known answers, equal bits, fair draws."""

import numpy as np
import pytest
import torch
from scipy import stats

from cftlearn.solvers._genetic._counter_random import CounterRandom, Purpose, mix64

GOLDEN = 0x9E3779B97F4A7C15


def make_random(n_categories=3, generation=7, device="cpu"):
    seeds = torch.arange(n_categories, dtype=torch.int64) * 1_000_003 + 5
    random = CounterRandom(seeds.to(device))
    random.generation = generation
    return random


def as_words(values):
    return torch.from_numpy(np.array(values, dtype=np.uint64).view(np.int64))


def reference(word):
    """SplitMix64's finaliser in numpy's unsigned integers."""
    word = np.atleast_1d(np.asarray(word, dtype=np.uint64))  # a scalar would warn
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        word = (word ^ (word >> np.uint64(shift))) * np.uint64(factor)
    return word ^ (word >> np.uint64(31))


def test_known_answers_of_splitmix64():
    """The first outputs for the seed 1234567, as its author's program prints them."""
    states = [(1234567 + GOLDEN * (k + 1)) % 2**64 for k in range(5)]
    assert mix64(as_words(states)).numpy().view(np.uint64).tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_bits_are_those_of_unsigned_arithmetic(rng):
    words = rng.integers(0, 2**64, 10_000, dtype=np.uint64)
    np.testing.assert_array_equal(
        mix64(as_words(words)).numpy().view(np.uint64), reference(words)
    )


@pytest.mark.parametrize("purpose", Purpose)
def test_a_number_depends_on_seed_generation_purpose_and_place(purpose):
    random = make_random()
    bits = random.bits(purpose, 50).numpy().view(np.uint64)
    place = np.arange(1, 51, dtype=np.uint64)
    for seed, own in zip(random.seeds.tolist(), bits, strict=True):
        stream = np.uint64((7 * 4 + purpose + 1) * GOLDEN % 2**64)
        start = reference(reference(seed) + stream)
        np.testing.assert_array_equal(own, reference(start + place * np.uint64(GOLDEN)))
    later = make_random(generation=8).bits(purpose, 50).numpy().view(np.uint64)
    assert not np.isin(later, bits).any()


def test_a_longer_draw_starts_with_the_shorter_one():
    random = make_random()
    longer = random.bits(Purpose.STEP, 100)
    assert torch.equal(random.bits(Purpose.STEP, 60), longer[:, :60])


def test_some_categories_go_on_with_their_own_numbers():
    random = make_random(5)
    some = torch.tensor([3, 0])
    for draw in ("words", "bits"):
        whole = getattr(random, draw)(Purpose.MATE, 33)
        assert torch.equal(
            getattr(random.of(some), draw)(Purpose.MATE, 33), whole[some]
        )


@pytest.mark.gpu
@pytest.mark.parametrize("purpose", Purpose)
def test_a_gpu_gives_the_same_bits(purpose):
    on_gpu = make_random(device="cuda").bits(purpose, 10_001)
    assert torch.equal(on_gpu.cpu(), make_random().bits(purpose, 10_001))


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_gpu_gives_the_same_normal_numbers(dtype):
    on_gpu = make_random(device="cuda").normals(Purpose.STEP, 10_001, dtype).cpu()
    here = make_random().normals(Purpose.STEP, 10_001, dtype)
    torch.testing.assert_close(on_gpu, here, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [40_000, 40_001])
def test_normals_are_normal(n, dtype):
    values = make_random(1).normals(Purpose.STEP, n, dtype)
    assert values.shape == (1, n)
    assert values.dtype == dtype
    assert torch.isfinite(values).all()
    own = values[0].double().numpy()
    assert stats.kstest(own, "norm").pvalue > 0.01
    halves = own[: n // 2], own[-(n // 2) :]  # cosines and sines of the same angles
    assert abs(np.corrcoef(*halves)[0, 1]) < 0.02
    assert abs(np.corrcoef(np.abs(halves[0]), np.abs(halves[1]))[0, 1]) < 0.02


def test_uniforms_are_uniform():
    values = make_random(1).uniforms(Purpose.STEP, 40_000, torch.float64)[0].numpy()
    assert stats.kstest(values, "uniform").pvalue > 0.01
    assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 0.02


def test_indices_cover_their_range_evenly():
    values = make_random(1).indices(Purpose.SELECT, 50_000, 50)[0].numpy()
    counts = np.bincount(values, minlength=50)
    assert len(counts) == 50
    assert stats.chisquare(counts).pvalue > 0.01


@pytest.mark.parametrize("probability", [0.0, 0.2, 0.5, 1.0])
def test_events_happen_as_often_as_they_should(probability):
    values = make_random(1).happens(Purpose.MATE, 40_000, probability)
    assert float(values.double().mean()) == pytest.approx(probability, abs=0.01)
    if probability in (0.0, 1.0):
        assert bool((values == bool(probability)).all())
