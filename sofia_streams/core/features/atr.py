"""Average true range in percent of the close (TA-Lib's NATR): Wilder's mean of max(h - l, |h - c'|, |l - c'|)."""

from __future__ import annotations

from collections.abc import Sequence

from sofia_streams.core.features.wilder import Smoothed
from sofia_streams.scored import Candle, Value


class AtrPercent:
    """atr_pct_14; the first bar has no true range, since it has no close before it."""

    __slots__ = ("_close", "_range", "warm_up")

    def __init__(self, size: int) -> None:
        self._close: Value = None
        self._range = Smoothed(size)
        self.warm_up = size + 1

    def update(self, candle: Candle) -> tuple[Value, ...]:
        """In percent of the close."""
        before, top, bottom = self._close, candle.high, candle.low
        self._close = close = candle.close
        if before is None:
            return (None,)
        mean = self._range.push((top if top > before else before) - (bottom if bottom < before else before))
        return (None if mean is None else 100.0 * mean / close,)

    def memory(self) -> list[float]:
        """The smoothing, then the last close if there was one."""
        return [*self._range.memory(), *([] if self._close is None else [self._close])]

    def resume(self, memory: Sequence[float]) -> None:
        """As `memory` gave it."""
        self._range.resume(memory[0:2])
        self._close = memory[2] if len(memory) > 2 else None
