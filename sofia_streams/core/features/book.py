"""The features of one symbol, bar by bar: what stands between closed bars and indicators. Pure but for its own memory.

Every window counts once, in order. A window that no bar tells of repeats the close before it, with unknown quantities;
behind more than `FILLED_MAX` of them in a row nothing is known any more and everything begins anew. A quiet window
repeats the close too, with quantities of 0; while more than `FILLED_MAX` are quiet in a row every feature is None.

What it does not do: join venues, decide which revision of a bar counts (the caller hands each window over once).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from sofia_streams.core.features.indicator import Candle, Value
from sofia_streams.core.features.sets import FeatureSet
from sofia_streams.model import Bar

FILLED_MAX = 5


class Memory(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a book knows, as plain data: it stands in a table, and a book made from it goes on as if never stopped.

    `schemas` are those of its sets: memory of others is of no use. `seen` counts bars since it began, filled ones too.
    """

    schemas: list[str]
    last_ns: int | None = None
    close: float | None = None
    seen: int = 0
    filled: int = 0
    indicators: list[list[float]] = []


class Vector(msgspec.Struct, frozen=True):
    """The values of one set behind one bar, in the set's order; `is_ready` when none that a model uses is None."""

    values: list[Value]
    is_ready: bool


class Book:
    """The sets of one symbol and bar size."""

    def __init__(self, sets: Sequence[FeatureSet]) -> None:
        self._sets = sets
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._indicators = [[part.indicator() for part in one.parts] for one in self._sets]
        self._last_ns: int | None = None
        self._close: Value = None
        self._seen = self._filled = 0

    @property
    def seen(self) -> int:
        """Bars since it began, filled ones too."""
        return self._seen

    def take(self, bar: Bar, venues: Mapping[str, float]) -> list[Vector] | None:
        """The vector of each set behind this bar; None for a window that was taken before.

        `bar` is consolidated or a venue's own, `venues` the closes of the venues' bars of that window.
        """
        if self._last_ns is not None:
            missing = (bar.start_ns - self._last_ns) // bar.size_ns - 1
            if missing < 0:
                return None
            if missing + self._filled > FILLED_MAX and missing:
                self._begin_anew()
            elif self._close is not None:
                for _ in range(missing):
                    self._update(_flat(self._close, is_complete=False, quantity=None))
                self._filled += missing
        self._last_ns = bar.start_ns
        candle = _candle(bar, venues, self._close)
        if candle is None:
            return [Vector([None] * len(one.features), is_ready=False) for one in self._sets]
        self._filled = 0 if bar.close is not None else self._filled + 1
        found = self._update(candle)
        if self._filled > FILLED_MAX:
            return [Vector([None] * len(values), is_ready=False) for values in found]
        return [
            Vector(values, all(values[place] is not None for place in one.inputs))
            for one, values in zip(self._sets, found, strict=True)
        ]

    def _update(self, candle: Candle) -> list[list[Value]]:
        self._seen += 1
        self._close = candle.close
        return [
            [value for indicator in indicators for value in indicator.update(candle)]
            for indicators in self._indicators
        ]

    def memory(self) -> Memory:
        """What it knows."""
        return Memory(
            [one.schema for one in self._sets], self._last_ns, self._close, self._seen, self._filled,
            [indicator.memory() for indicators in self._indicators for indicator in indicators],
        )  # fmt: skip

    def resume(self, memory: Memory) -> None:
        """Go on from there; from the beginning where it is of other sets."""
        self._begin_anew()
        if memory.schemas != [one.schema for one in self._sets]:
            return
        self._last_ns, self._close = memory.last_ns, memory.close
        self._seen, self._filled = memory.seen, memory.filled
        indicators = [indicator for indicators in self._indicators for indicator in indicators]
        for indicator, numbers in zip(indicators, memory.indicators, strict=True):
            indicator.resume(numbers)


def _candle(bar: Bar, venues: Mapping[str, float], close: Value) -> Candle | None:
    """The bar in float64; None for a quiet one before the first price."""
    is_complete = bar.quality == "complete"
    if bar.open is None or bar.high is None or bar.low is None or bar.close is None:
        return None if close is None else _flat(close, is_complete=is_complete, quantity=0.0)
    return Candle(
        float(bar.open), float(bar.high), float(bar.low), float(bar.close), float(bar.volume),
        float(bar.quote_volume), None if bar.buy_volume is None else float(bar.buy_volume), bar.trade_count,
        is_complete, dict(venues),
    )  # fmt: skip


def _flat(close: float, *, is_complete: bool, quantity: Value) -> Candle:
    count = None if quantity is None else 0
    return Candle(close, close, close, close, quantity or 0.0, quantity, quantity, count, is_complete)
