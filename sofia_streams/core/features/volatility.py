"""Volatility of log returns: realised over some bars, and the deviation over more of them. Not annualised.

rv_n         sqrt of the sum of squares of the last n log returns (no mean removed), a fraction per n bars
vol_sigma    sample deviation (ddof 1) of the last m log returns, times sqrt(m): a fraction per m bars
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log, sqrt

from sofia_streams.core.features.sums import Sums
from sofia_streams.scored import Candle, Value


class Volatility:
    """rv and vol_sigma."""

    __slots__ = ("_close", "_long", "_short", "warm_up")

    def __init__(self, short: int, long: int) -> None:
        self._close: Value = None
        self._short, self._long = Sums(short), Sums(long)
        self.warm_up = long + 1

    def update(self, candle: Candle) -> tuple[Value, ...]:
        """Both, as fractions."""
        before, self._close = self._close, candle.close
        if before is None:
            return None, None
        change = log(candle.close / before)
        short, long = self._short, self._long
        short.push(change)
        long.push(change)
        realised = short.root_of_squares() if short.is_full else None
        return realised, long.sample_deviation() * sqrt(long.size) if long.is_full else None

    def memory(self) -> list[float]:
        """The last close if there was one, then the log returns of the longer window."""
        return [] if self._close is None else [self._close, *self._long.memory()]

    def resume(self, memory: Sequence[float]) -> None:
        """As `memory` gave it."""
        self._close = memory[0] if memory else None
        self._long.resume(memory[1:])
        self._short.resume(memory[1:][-self._short.size :])
