"""Random streams of the search: one per (seed, purpose, generation), nothing carried over.

DEAP draws from Python's global generator. A stream sets it for the length of a block and puts it
back, so that neither the caller nor other libraries see or change the search's draws.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager


def stream_seed(seed: int, purpose: str, generation: int) -> int:
    """Seed of a stream, 128 bits of a hash: equal on every platform."""
    text = f"genesis/search/{seed}/{purpose}/{generation}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "big")


@contextmanager
def stream(seed: int, purpose: str, generation: int) -> Iterator[random.Random]:
    """Yield a generator of its own and seed the global one for DEAP, restored afterwards.

    Parameters
    ----------
    seed : int
        The study's seed.
    purpose : str
        Name of the island or arm.
    generation : int
    """
    number = stream_seed(seed, purpose, generation)
    before = random.getstate()
    random.seed(number)
    try:
        yield random.Random(number ^ 1)  # noqa: S311 a search needs repeatable draws
    finally:
        random.setstate(before)
