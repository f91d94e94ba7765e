"""What follows from mean and deviation of the last n closes: SMA, Bollinger bands, z-score. Population deviation.

Sources: TA-Lib 0.8 `SMA`, `BBANDS` (two deviations, ddof 0). The window holds the present close too.
"""

from __future__ import annotations

from sofia_streams.core.features.sums import Window
from sofia_streams.scored import Candle, Value

_FLAT = 1e-12
"""Of the close: a smaller deviation is none, and a z-score of it is not known."""

_NONE = (None, None, None, None, None, None)


class Bands:
    """sma, bb_upper, bb_lower (price), bb_pct_b (0 at the lower band, 1 at the upper), bb_bandwidth, zscore."""

    __slots__ = ("_push", "memory", "resume", "warm_up")

    def __init__(self, size: int) -> None:
        closes = Window(size)
        self.warm_up = size
        self._push, self.memory, self.resume = closes.push, closes.memory, closes.resume

    def update(self, candle: Candle) -> tuple[Value, ...]:
        """In the order above; the last three are None or 0 where prices are flat."""
        close = candle.close
        found = self._push(close)
        if found is None:
            return _NONE
        mean, deviation = found
        upper, lower = mean + 2.0 * deviation, mean - 2.0 * deviation
        if deviation < _FLAT * close:
            return mean, upper, lower, None, 0.0, None
        width = upper - lower
        return mean, upper, lower, (close - lower) / width, width / mean, (close - mean) / deviation
