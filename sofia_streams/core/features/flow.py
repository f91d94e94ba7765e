"""What the trades of the last bars say beside prices: who took, how busy, how far from the average price paid.

imbalance    (bought by takers - sold by takers) / all, -1 to 1, over the window
intensity    trades of this bar / mean of the window, 1 is usual
vwap_bps     close over the volume-weighted price of the window, in basis points

A bar whose source does not say (klines of most venues know no taker side) empties that feature's window.
"""

from __future__ import annotations

from collections.abc import Sequence

from sofia_streams.core.features.sums import Total
from sofia_streams.scored import Candle, Value


class Imbalance:
    """Order-flow imbalance by taker side."""

    __slots__ = ("_all", "_bought", "warm_up")

    def __init__(self, size: int) -> None:
        self._bought, self._all = Total(size), Total(size)
        self.warm_up = size

    def update(self, candle: Candle) -> tuple[Value, ...]:
        """-1 to 1; None where nothing was traded."""
        if candle.buy_volume is None:
            self._bought.forget()
            self._all.forget()
            return (None,)
        bought, total = self._bought.push(candle.buy_volume), self._all.push(candle.volume)
        return (2.0 * bought / total - 1.0 if total and bought is not None else None,)

    def memory(self) -> list[float]:
        """Bought volumes, then all volumes."""
        return [*self._bought.memory(), *self._all.memory()]

    def resume(self, memory: Sequence[float]) -> None:
        """As `memory` gave it."""
        half = len(memory) // 2
        self._bought.resume(memory[:half])
        self._all.resume(memory[half:])


class Intensity:
    """How busy this bar is."""

    __slots__ = ("_counts", "_size", "memory", "resume", "warm_up")

    def __init__(self, size: int) -> None:
        self._counts = Total(size)
        self._size = self.warm_up = size
        self.memory, self.resume = self._counts.memory, self._counts.resume

    def update(self, candle: Candle) -> tuple[Value, ...]:
        """A ratio; None where nothing was traded in the window."""
        if candle.trade_count is None:
            self._counts.forget()
            return (None,)
        total = self._counts.push(float(candle.trade_count))
        return (candle.trade_count / (total / self._size) if total else None,)


class VwapDistance:
    """How far the close is from what was paid on average."""

    __slots__ = ("_paid", "_volumes", "warm_up")

    def __init__(self, size: int) -> None:
        self._paid, self._volumes = Total(size), Total(size)
        self.warm_up = size

    def update(self, candle: Candle) -> tuple[Value, ...]:
        """Basis points; None where nothing was traded in the window."""
        if candle.quote_volume is None:
            self._paid.forget()
            self._volumes.forget()
            return (None,)
        paid, volume = self._paid.push(candle.quote_volume), self._volumes.push(candle.volume)
        return ((candle.close / (paid / volume) - 1.0) * 1e4 if volume and paid else None,)

    def memory(self) -> list[float]:
        """Quote volumes, then volumes."""
        return [*self._paid.memory(), *self._volumes.memory()]

    def resume(self, memory: Sequence[float]) -> None:
        """As `memory` gave it."""
        half = len(memory) // 2
        self._paid.resume(memory[:half])
        self._volumes.resume(memory[half:])
