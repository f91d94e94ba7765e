"""Wilder's smoothing: the plain mean of the first n values, then (mean * (n - 1) + value) / n.

Source: J. W. Wilder, New Concepts in Technical Trading Systems, 1978, as TA-Lib 0.8 computes it for RSI and ATR.
"""

from __future__ import annotations

from collections.abc import Sequence

from sofia_streams.scored import Value


class Smoothed:
    """Over any series."""

    __slots__ = ("_before", "_missing", "_size", "_value")

    def __init__(self, size: int) -> None:
        self._size, self._before = float(size), float(size - 1)
        self._missing = size
        self._value = 0.0

    def push(self, value: float) -> Value:
        """The smoothed value behind the next one; None before `size` of them."""
        if self._missing:
            return self._begin(value)
        self._value = found = (self._value * self._before + value) / self._size
        return found

    def _begin(self, value: float) -> Value:
        self._missing -= 1
        self._value += value  # a sum, until it is the mean of the first n
        if self._missing:
            return None
        self._value /= self._size
        return self._value

    def memory(self) -> list[float]:
        """How many values were seen, at most `size`, and the mean or the sum of the first."""
        return [self._size - self._missing, self._value]

    def resume(self, memory: Sequence[float]) -> None:
        """As `memory` gave it."""
        seen, self._value = memory
        self._missing = int(self._size - seen)
