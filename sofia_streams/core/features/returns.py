"""Return over a number of bars, as a fraction: close / close n bars before - 1 (TA-Lib's ROCP). Not logarithmic."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from sofia_streams.scored import Candle, Value


class Return:
    """r_1m, r_5m, r_1h, mom_14 by number of bars.

    >>> one = Return(1)
    >>> [one.update(Candle(c, c, c, c, 1.0))[0] for c in (100.0, 101.0)]
    [None, 0.010000000000000009]
    """

    __slots__ = ("_closes", "bars")

    def __init__(self, bars: int) -> None:
        self.bars = bars
        self._closes: deque[float] = deque(maxlen=bars + 1)

    @property
    def warm_up(self) -> int:
        """One more than its bars."""
        return self.bars + 1

    def update(self, candle: Candle) -> tuple[Value, ...]:
        """The return, as a fraction."""
        closes = self._closes
        closes.append(candle.close)
        return (candle.close / closes[0] - 1.0 if len(closes) > self.bars else None,)

    def memory(self) -> list[float]:
        """Closes, oldest first."""
        return [*self._closes]

    def resume(self, memory: Sequence[float]) -> None:
        """Closes, oldest first."""
        self._closes = deque(memory, maxlen=self.bars + 1)
