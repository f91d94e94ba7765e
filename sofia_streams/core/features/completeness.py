"""How far the last bars can be trusted: the share of them whose quality was `complete`, 0 to 1."""

from __future__ import annotations

from sofia_streams.core.features.sums import Total
from sofia_streams.scored import Candle, Value


class Completeness:
    """data_quality."""

    __slots__ = ("_complete", "_size", "memory", "resume", "warm_up")

    def __init__(self, size: int) -> None:
        self._complete = Total(size)
        self._size = self.warm_up = size
        self.memory, self.resume = self._complete.memory, self._complete.resume

    def update(self, candle: Candle) -> tuple[Value, ...]:
        """A share, 0 to 1."""
        total = self._complete.push(1.0 if candle.is_complete else 0.0)
        return (None if total is None else total / self._size,)
