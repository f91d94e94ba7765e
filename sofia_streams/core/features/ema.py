"""Exponential moving average as TA-Lib has it: k = 2 / (n + 1), seeded with the plain mean of the first n values.

Source: TA-Lib 0.8 `EMA`, compatibility "classic". Others seed with the first value (pandas `ewm(adjust=False)`): they
differ until the seed is forgotten, 1 % of it after 2.3 n bars.
"""

from __future__ import annotations

from collections.abc import Sequence

from sofia_streams.scored import Candle, Value


class Average:
    """The recursion itself, over any series; the first `skip` values are left out."""

    __slots__ = ("_k", "_missing", "_value", "size", "skip")

    def __init__(self, size: int, *, skip: int = 0) -> None:
        self.size, self.skip = size, skip
        self._k = 2.0 / (size + 1)
        self._missing = skip + size
        self._value = 0.0

    def push(self, value: float) -> Value:
        """The average behind the next value; None before `skip` + `size` of them."""
        if self._missing:
            return self._begin(value)
        self._value = found = self._value + self._k * (value - self._value)
        return found

    def _begin(self, value: float) -> Value:
        self._missing -= 1
        if self._missing < self.size:
            self._value += value  # a sum, until it is the mean of the first n
        if self._missing:
            return None
        self._value /= self.size
        return self._value

    def memory(self) -> list[float]:
        """How many values were seen, as far as that matters, and the average or the sum of the first."""
        return [float(self.skip + self.size - self._missing), self._value]

    def resume(self, memory: Sequence[float]) -> None:
        """As `memory` gave it."""
        seen, self._value = memory
        self._missing = self.skip + self.size - int(seen)


class Ema:
    """ema (the price's unit) and ema_bps, the close's distance from it in basis points."""

    __slots__ = ("_push", "memory", "resume", "warm_up")

    def __init__(self, size: int) -> None:
        average = Average(size)
        self.warm_up = size
        self._push, self.memory, self.resume = average.push, average.memory, average.resume

    def update(self, candle: Candle) -> tuple[Value, ...]:
        """In the order above."""
        close = candle.close
        average = self._push(close)
        return (None, None) if average is None else (average, (close / average - 1.0) * 1e4)
