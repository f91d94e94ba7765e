"""The stationary block bootstrap: how far a figure may lie from the truth, with returns that hang together.

Politis and Romano 1994: blocks that begin anywhere and go round at the end, of geometric length. A draw is a hash of
the seed and its number, so that the same returns and seed give the same interval on any machine.
What it does not do: know which figure it resamples.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

DRAWS = 1_000
LEVEL = 0.95
_PARTS, _PART_BYTES = 8, 8
Figure = Callable[[Sequence[float]], float | None]


class Interval(msgspec.Struct, frozen=True):
    """The central 95 % of a figure over the draws that have it."""

    low: float
    high: float


def uniforms(seed: int, draw: int) -> Iterator[float]:
    """Numbers from 0 to below 1, 53 bits each, without end: BLAKE2b of "seed/draw/count", eight at a time."""
    count = 0
    while True:
        digest = hashlib.blake2b(f"{seed}/{draw}/{count}".encode()).digest()
        for part in range(_PARTS):
            whole = int.from_bytes(digest[part * _PART_BYTES : (part + 1) * _PART_BYTES], "big")
            yield (whole >> 11) * 2.0**-53
        count += 1


def block_length(count: int) -> float:
    """Mean length of a block: count^(1/3), at least 1 (the rate at which the error is least; Politis, White 2004)."""
    return max(1.0, math.pow(count, 1.0 / 3.0))


def rows(count: int, seed: int, draw: int, length: float) -> list[int]:
    """Row numbers of one draw, `count` of them; `length` is the mean of the blocks' geometric lengths."""
    found: list[int] = []
    source, scale = uniforms(seed, draw), math.log1p(-1.0 / length) if length > 1.0 else -math.inf
    while len(found) < count:
        start = int(next(source) * count)
        lasts = 1 + int(math.log1p(-next(source)) / scale)
        found.extend((start + step) % count for step in range(min(lasts, count - len(found))))
    return found


def intervals(
    figures: Mapping[str, Figure], returns: Sequence[float], *, seed: int, draws: int = DRAWS
) -> dict[str, Interval]:
    """Of each figure, over the same `draws`; a figure that fewer than half of them have is left out.

    Percentiles 2.5 and 97.5, linear between draws. {} of fewer than two returns.
    """
    drawn: dict[str, list[float]] = {name: [] for name in figures}
    length = block_length(len(returns))
    for draw in range(draws if len(returns) > 1 else 0):
        some = [returns[row] for row in rows(len(returns), seed, draw, length)]
        for name, figure in figures.items():
            if (value := figure(some)) is not None:
                drawn[name].append(value)
    tail = (1.0 - LEVEL) / 2.0
    return {
        name: Interval(quantile(found, tail), quantile(found, 1.0 - tail))
        for name, found in drawn.items()
        if found and len(found) * 2 >= draws
    }


def quantile(values: Sequence[float], share: float) -> float:
    """Of values in any order, linear between neighbours; must not be empty. `share` is 0 to 1."""
    rising = sorted(values)
    at = share * (len(rising) - 1)
    below = math.floor(at)
    above = min(below + 1, len(rising) - 1)
    return rising[below] + (rising[above] - rising[below]) * (at - below)
