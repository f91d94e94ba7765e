"""The lower end of a mean's interval by a block bootstrap: rows that stand together are drawn together.

Labels that overlap are not independent, so single rows would promise too much. Draws come from a fixed generator
(splitmix64), so the same numbers give the same interval on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate

DRAWS = 1_000
_MASK = 2**64 - 1


def lower_bound(values: Sequence[float], *, block: int, tail: float, draws: int = DRAWS) -> float:
    """The `tail` quantile (0 to 1) of the mean over draws of blocks of `block` values; -inf without values.

    >>> lower_bound([1.0] * 50, block=5, tail=0.025)
    1.0
    """
    count = len(values)
    if not count:
        return float("-inf")
    block = max(1, min(block, count))
    sums = [0.0, *accumulate(values)]
    means = [sums[start + block] - sums[start] for start in range(count - block + 1)]
    random, blocks = _numbers(len(means)), -(-count // block)
    found = sorted(sum(means[next(random)] for _ in range(blocks)) / (blocks * block) for _ in range(draws))
    return found[int(tail * draws)]


def _numbers(below: int) -> Iterator[int]:
    """From 0 to before `below`, for ever."""
    state = 0
    while True:
        state = (state + 0x9E3779B97F4A7C15) & _MASK
        mixed = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        yield (mixed ^ (mixed >> 31)) % below
