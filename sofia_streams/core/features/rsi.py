"""Relative strength index, Wilder's, 0 to 100: 100 * gains / (gains + losses), both smoothed. Flat: 0, as TA-Lib.

Both are smoothed as `wilder.Smoothed` does it, side by side: a change is a gain or a loss, and 0 of the other.
"""

from __future__ import annotations

from collections.abc import Sequence

from sofia_streams.scored import Candle, Value


class Rsi:
    """rsi_14."""

    __slots__ = ("_before", "_close", "_gain", "_loss", "_missing", "_size", "warm_up")

    def __init__(self, size: int) -> None:
        self._close: Value = None
        self._size, self._before = float(size), float(size - 1)
        self._missing = size
        self._gain = self._loss = 0.0  # sums, until they are means of the first n
        self.warm_up = size + 1

    def update(self, candle: Candle) -> tuple[Value, ...]:
        """The index, 0 to 100."""
        before, self._close = self._close, candle.close
        if before is None:
            return (None,)
        change = self._close - before
        gain, loss = self._gain, self._loss
        if self._missing:
            self._missing -= 1
            gain, loss = gain + max(change, 0.0), loss + max(-change, 0.0)
            if not self._missing:
                gain, loss = gain / self._size, loss / self._size
        elif change > 0.0:
            gain, loss = (gain * self._before + change) / self._size, loss * self._before / self._size
        else:
            gain, loss = gain * self._before / self._size, (loss * self._before - change) / self._size
        self._gain, self._loss = gain, loss
        both = gain + loss
        return (None if self._missing else 100.0 * (gain / both) if both > 0.0 else 0.0,)

    def memory(self) -> list[float]:
        """How many changes were seen, at most `size`; gain and loss; then the last close if there was one."""
        return [self._size - self._missing, self._gain, self._loss, *([] if self._close is None else [self._close])]

    def resume(self, memory: Sequence[float]) -> None:
        """As `memory` gave it."""
        seen, self._gain, self._loss, *last = memory
        self._missing = int(self._size - seen)
        self._close = last[0] if last else None
