"""Venues of one symbol against each other: how far apart they close, and whether the odd one leads or comes back.

venue_spread_bps   highest close less lowest, over the consolidated close, basis points
venue_lead_bps     signed distance of the venue that is furthest from the median of closes, basis points
lead_lag           correlation, over the window, of that distance with the consolidated return one bar later:
                   towards 1 the others follow the odd one, towards -1 it comes back to them

With fewer than two venues nothing is known, and the window of `lead_lag` begins anew.
"""

from __future__ import annotations

from collections.abc import Sequence

from sofia_streams.core.features.sums import Correlation
from sofia_streams.scored import Candle, Value

_NONE = (None, None, None)


class Across:
    """The three of them."""

    __slots__ = ("_before", "_pairs", "warm_up")

    def __init__(self, size: int) -> None:
        self._before: tuple[float, float] | None = None
        self._pairs = Correlation(size)
        self.warm_up = size + 1

    def update(self, candle: Candle) -> tuple[Value, ...]:
        """In the order above."""
        count = len(candle.venues)
        if count < 2:
            if self._before is not None:
                self.resume([])
            return _NONE
        closes = sorted(candle.venues.values())
        half = count // 2
        middle = closes[half] if count % 2 else (closes[half - 1] + closes[half]) / 2.0
        low, high, close = closes[0], closes[-1], candle.close
        lead_bps = ((low if middle - low > high - middle else high) / middle - 1.0) * 1e4
        before, self._before = self._before, (lead_bps, close)
        spread_bps = (high - low) / close * 1e4
        if before is None:
            return spread_bps, lead_bps, None
        return spread_bps, lead_bps, self._pairs.push(before[0], (close / before[1] - 1.0) * 1e4)

    def memory(self) -> list[float]:
        """What the next return is set against, if anything, then distances and returns."""
        return [] if self._before is None else [*self._before, *self._pairs.memory()]

    def resume(self, memory: Sequence[float]) -> None:
        """As `memory` gave it."""
        self._before = (memory[0], memory[1]) if memory else None
        self._pairs.resume(memory[2:])
