"""MACD (12, 26, 9) as TA-Lib has it: line, signal and histogram first come together.

Both averages begin at the 26th close: the fast one is seeded with the mean of the 15th to 26th. Source: TA-Lib 0.8
`MACD`. A fast average seeded with the first twelve differs by 0.17 there on a random walk of 100.
"""

from __future__ import annotations

from collections.abc import Sequence

from sofia_streams.core.features.ema import Average
from sofia_streams.scored import Candle, Value

_NONE = (None, None, None, None)


class Macd:
    """macd, macd_signal, macd_hist in the price's unit; macd_hist_bps, the last of the close in basis points."""

    __slots__ = ("_fast", "_signal", "_slow", "warm_up")

    def __init__(self, fast: int, slow: int, signal: int) -> None:
        self._fast, self._slow = Average(fast, skip=slow - fast), Average(slow)
        self._signal = Average(signal)
        self.warm_up = slow + signal - 1

    def update(self, candle: Candle) -> tuple[Value, ...]:
        """Line, signal line, their difference, and that over the close."""
        close = candle.close
        fast, slow = self._fast.push(close), self._slow.push(close)
        if fast is None or slow is None:
            return _NONE
        line = fast - slow
        signal = self._signal.push(line)
        if signal is None:
            return _NONE
        histogram = line - signal
        return line, signal, histogram, histogram / close * 1e4

    def memory(self) -> list[float]:
        """Of the three averages."""
        return [*self._fast.memory(), *self._slow.memory(), *self._signal.memory()]

    def resume(self, memory: Sequence[float]) -> None:
        """As `memory` gave it."""
        fast, slow, signal = memory[0:2], memory[2:4], memory[4:]
        for average, part in ((self._fast, fast), (self._slow, slow), (self._signal, signal)):
            average.resume(part)
