"""Relative strength index, Wilder's, 0 to 100: 100 * gains / (gains + losses), both smoothed. Flat: 0, as TA-Lib."""

from __future__ import annotations

from collections.abc import Sequence

from sofia_streams.core.features.wilder import Smoothed
from sofia_streams.scored import Candle, Value


class Rsi:
    """rsi_14."""

    __slots__ = ("_close", "_gains", "_losses", "warm_up")

    def __init__(self, size: int) -> None:
        self._close: Value = None
        self._gains, self._losses = Smoothed(size), Smoothed(size)
        self.warm_up = size + 1

    def update(self, candle: Candle) -> tuple[Value, ...]:
        """The index, 0 to 100."""
        before, self._close = self._close, candle.close
        if before is None:
            return (None,)
        change = candle.close - before
        gain = self._gains.push(change if change > 0.0 else 0.0)
        loss = self._losses.push(-change if change < 0.0 else 0.0)
        if gain is None or loss is None:
            return (None,)
        return (100.0 * (gain / (gain + loss)) if gain + loss > 0.0 else 0.0,)

    def memory(self) -> list[float]:
        """Both smoothings, then the last close if there was one."""
        last = [] if self._close is None else [self._close]
        return [*self._gains.memory(), *self._losses.memory(), *last]

    def resume(self, memory: Sequence[float]) -> None:
        """As `memory` gave it."""
        self._gains.resume(memory[0:2])
        self._losses.resume(memory[2:4])
        self._close = memory[4] if len(memory) > 4 else None
