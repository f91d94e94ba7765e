"""Venues of one symbol against each other: how far apart they close, and whether the odd one leads or comes back.

venue_spread_bps   highest close less lowest, over the consolidated close, basis points
venue_lead_bps     signed distance of the venue that is furthest from the median of closes, basis points
lead_lag           correlation, over the window, of that distance with the consolidated return one bar later:
                   towards 1 the others follow the odd one, towards -1 it comes back to them

With fewer than two venues nothing is known, and the window of `lead_lag` begins anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from sofia_streams.core.features.sums import Sums
from sofia_streams.scored import Candle, Value

_NONE = (None, None, None)


class Across:
    """The three of them."""

    __slots__ = ("_before", "_both", "_leads", "_returns", "warm_up")

    def __init__(self, size: int) -> None:
        self._before: tuple[float, float] | None = None
        self._leads, self._returns, self._both = Sums(size), Sums(size), Sums(size)
        self.warm_up = size + 1

    def update(self, candle: Candle) -> tuple[Value, ...]:
        """In the order above."""
        closes = [*candle.venues.values()]
        if len(closes) < 2:
            self.resume([])
            return _NONE
        middle = median(closes)
        lead_bps = (max(closes, key=lambda close: (abs(close - middle), close)) / middle - 1.0) * 1e4
        spread_bps = (max(closes) - min(closes)) / candle.close * 1e4
        if self._before is not None:
            led_bps, close = self._before
            self._push(led_bps, (candle.close / close - 1.0) * 1e4)
        self._before = lead_bps, candle.close
        return spread_bps, lead_bps, self._correlation()

    def _push(self, led_bps: float, return_bps: float) -> None:
        self._leads.push(led_bps)
        self._returns.push(return_bps)
        self._both.push(led_bps + return_bps)

    def _correlation(self) -> Value:
        if not self._leads.is_full:
            return None
        lead, change, both = self._leads.deviation(), self._returns.deviation(), self._both.deviation()
        if lead * change <= 0.0:
            return None
        return max(-1.0, min(1.0, (both * both - lead * lead - change * change) / (2.0 * lead * change)))

    def memory(self) -> list[float]:
        """What the next return is set against, if anything, then distances and returns."""
        if self._before is None:
            return []
        return [*self._before, *self._leads.memory(), *self._returns.memory()]

    def resume(self, memory: Sequence[float]) -> None:
        """As `memory` gave it."""
        self._before = (memory[0], memory[1]) if memory else None
        half = (len(memory) - 2) // 2
        for sums in (self._leads, self._returns, self._both):
            sums.resume([])
        for led_bps, return_bps in zip(memory[2 : 2 + half], memory[2 + half :], strict=True):
            self._push(led_bps, return_bps)
