"""Random numbers that depend on what they are for, and on nothing else.

A generator with a state gives what its device, its library and the order of calls make
of a seed. Here every number is a hash of the category's seed, the generation, the
purpose and the number's index: the bits are those of integer arithmetic, equal on
every device, and no other category has a part in them.

The hash is SplitMix64 [1]_, a Weyl sequence through a 64-bit finaliser: thirteen
integer operations for 64 bits, few enough to draw a number for every gene.

References
----------
.. [1] Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA
   2014, figure 17.
"""

from enum import IntEnum
from math import tau

import torch
from torch import Tensor


def _signed(word: int) -> int:
    """Write 64 bits as the signed integer that torch knows."""
    return word - 2**64 if word >= 2**63 else word


_GOLDEN = _signed(0x9E3779B97F4A7C15)
_STAGES = (
    (30, _signed(0xBF58476D1CE4E5B9)),
    (27, _signed(0x94D049BB133111EB)),
)
_LOW = 2**32 - 1
_STREAMS = 4  # of a generation


class Purpose(IntEnum):
    """What numbers of a generation are for."""

    SELECT = 0
    MATE = 1
    STEP = 2
    MUTATE = 3
    LENGTH = 2**40  # beyond all generations of the others


class CounterRandom:
    """Draws for several categories at once, each from its own seed.

    Parameters
    ----------
    seeds : Tensor of shape (n_categories,), int64
        Their order does not matter.
    """

    def __init__(self, seeds: Tensor) -> None:
        self.seeds = seeds
        self.generation = 0

    def of(self, categories: Tensor) -> "CounterRandom":
        """Draw for some of the categories only, and go on where they were."""
        some = CounterRandom(self.seeds[categories])
        some.generation = self.generation
        return some

    def bits(self, purpose: Purpose, n: int) -> Tensor:
        """Draw 64 bits, (n_categories, n), int64."""
        stream = (self.generation * _STREAMS + purpose + 1) * _GOLDEN
        start = mix64(mix64(self.seeds) + _signed(stream % 2**64))
        counter = torch.arange(1, n + 1, device=self.seeds.device)
        return mix64(start[:, None] + counter * _GOLDEN)

    def words(self, purpose: Purpose, n: int) -> Tensor:
        """Draw integers in [0, 2**32), (n_categories, n), int64."""
        bits = self.bits(purpose, (n + 1) // 2)
        return torch.cat([_high(bits), bits & _LOW], dim=1)[:, :n]

    def indices(self, purpose: Purpose, n: int, below: int) -> Tensor:
        """Draw integers in [0, below), (n_categories, n), int64."""
        return (self.words(purpose, n) * below) >> 32

    def happens(self, purpose: Purpose, n: int, probability: float) -> Tensor:
        """Draw events, (n_categories, n), bool; the probability is kept to 2**-32."""
        return self.words(purpose, n) < round(probability * 2**32)

    def uniforms(self, purpose: Purpose, n: int, dtype: torch.dtype) -> Tensor:
        """Draw from [0, 1], (n_categories, n)."""
        return self.words(purpose, n).to(dtype) * 2.0**-32

    def exponentials(self, purpose: Purpose, n: int, dtype: torch.dtype) -> Tensor:
        """Draw standard exponential numbers, (n_categories, n).

        A longer draw starts with the shorter one, so that padding has no influence.
        """
        uniforms = (_high(self.bits(purpose, n)).to(dtype) + 0.5).mul_(2.0**-32)
        return uniforms.log_().neg_()

    def normals(self, purpose: Purpose, n: int, dtype: torch.dtype) -> Tensor:
        """Draw standard normal numbers, (n_categories, n), by Box and Muller.

        Their last digits are those of the device's logarithm and cosine.
        """
        bits = self.bits(purpose, (n + 1) // 2)
        radius = (_high(bits).to(dtype) + 0.5).mul_(2.0**-32)
        radius = radius.log_().mul_(-2).sqrt_()
        angle = (bits & _LOW).to(dtype).mul_(tau * 2.0**-32)
        return torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1)[:, :n]


def mix64(words: Tensor) -> Tensor:
    """Apply SplitMix64's finaliser to 64-bit words; overflow wraps, as it must."""
    for shift, factor in _STAGES:
        words = (words ^ _shifted(words, shift)).mul_(factor)
    return words ^ _shifted(words, 31)


def _shifted(words: Tensor, shift: int) -> Tensor:
    """Shift right as if unsigned."""
    return (words >> shift).bitwise_and_(2 ** (64 - shift) - 1)


def _high(words: Tensor) -> Tensor:
    return _shifted(words, 32)
