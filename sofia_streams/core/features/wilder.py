"""Wilder's smoothing: the plain mean of the first n values, then (mean * (n - 1) + value) / n.

Source: J. W. Wilder, New Concepts in Technical Trading Systems, 1978, as TA-Lib 0.8 computes it for RSI and ATR.
"""

from __future__ import annotations

from collections.abc import Sequence

from sofia_streams.scored import Value


class Smoothed:
    """Over any series."""

    __slots__ = ("_seen", "_value", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self._seen = 0
        self._value = 0.0

    def push(self, value: float) -> Value:
        """The smoothed value behind the next one; None before `size` of them."""
        size = self.size
        if self._seen >= size:
            self._value = (self._value * (size - 1) + value) / size
            return self._value
        self._seen += 1
        self._value += value  # a sum, until it is the mean of the first n
        if self._seen < size:
            return None
        self._value /= size
        return self._value

    def memory(self) -> list[float]:
        """How many values were seen, at most `size`, and the mean or the sum of the first."""
        return [float(self._seen), self._value]

    def resume(self, memory: Sequence[float]) -> None:
        """As `memory` gave it."""
        seen, self._value = memory
        self._seen = int(seen)
