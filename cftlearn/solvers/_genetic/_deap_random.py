"""A generator of its own for DEAP, whose operators draw from Python's global one."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

from cftlearn._seeding import own_generators


@contextmanager
def seeded_deap(generator: random.Random) -> Iterator[None]:
    """Let DEAP's operators, which use Python's global generator, draw from ours.

    Threads that refit other categories wait meanwhile.

    Parameters
    ----------
    generator : random.Random
        Goes on where the operators have left it.
    """
    with own_generators(torch=False):
        outside = random.getstate()
        random.setstate(generator.getstate())
        try:
            yield
        finally:
            generator.setstate(random.getstate())
            random.setstate(outside)
