"""Volatility of log returns: realised over some bars, and the deviation over more of them. Not annualised.

rv_n         sqrt of the sum of squares of the last n log returns (no mean removed), a fraction per n bars
vol_sigma    sample deviation (ddof 1) of the last m log returns, times sqrt(m): a fraction per m bars
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log, sqrt

from sofia_streams.core.features.sums import Tailed
from sofia_streams.scored import Candle, Value


class Volatility:
    """rv and vol_sigma."""

    __slots__ = ("_changes", "_close", "_root", "warm_up")

    def __init__(self, short: int, long: int) -> None:
        self._close: Value = None
        self._changes = Tailed(long, short)
        self._root = sqrt(long)
        self.warm_up = long + 1

    def update(self, candle: Candle) -> tuple[Value, ...]:
        """Both, as fractions."""
        close = candle.close
        before, self._close = self._close, close
        if before is None:
            return None, None
        realised, deviation = self._changes.push(log(close / before))
        return realised, None if deviation is None else deviation * self._root

    def memory(self) -> list[float]:
        """The last close if there was one, then the log returns of the longer window."""
        return [] if self._close is None else [self._close, *self._changes.memory()]

    def resume(self, memory: Sequence[float]) -> None:
        """As `memory` gave it."""
        self._close = memory[0] if memory else None
        self._changes.resume(memory[1:])
