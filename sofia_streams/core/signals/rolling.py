"""What is known of one symbol between records of `bars`: its features' memory, and closes of windows still open.

A window's consolidated bar comes behind those of its venues, in order in their partition, so what has come by then is
what counts: nothing depends on a clock. The first revision of a consolidated bar is taken, later ones are not.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sofia_streams.core.features.book import Book, Memory, candle_of, candle_of_kline, feature_values
from sofia_streams.core.features.sets import FeatureSet
from sofia_streams.model import CONSOLIDATED, Bar
from sofia_streams.scored import Features, History

_OPEN_MAX = 8


class RollingRow(msgspec.Struct, frozen=True, array_like=True, tag="rolling"):
    """The row of a symbol in the table `rolling_features`; `closes` by window start and venue."""

    memory: Memory
    closes: dict[int, dict[str, float]] = {}


class Rolling:
    """One symbol's bars of one size."""

    def __init__(self, sets: Sequence[FeatureSet], row: RollingRow | None = None) -> None:
        self._book = Book(sets)
        self._closes: dict[int, dict[str, float]] = {}
        if row is not None:
            self._book.resume(row.memory)
            self._closes = {start_ns: dict(closes) for start_ns, closes in row.closes.items()}

    def row(self) -> RollingRow:
        """What must be kept."""
        return RollingRow(self._book.memory(), {start_ns: dict(closes) for start_ns, closes in self._closes.items()})

    def take(self, bar: Bar) -> Features | None:
        """What is known behind a consolidated bar; None behind a venue's, and behind one that was taken before."""
        last_ns = self._book.last_ns
        if bar.size_ns != self._book.size_ns or (last_ns is not None and bar.start_ns <= last_ns):
            return None
        if bar.venue != CONSOLIDATED:
            self._note(bar)
            return None
        venues = self._closes.get(bar.start_ns, {})
        self._closes = {start_ns: closes for start_ns, closes in self._closes.items() if start_ns > bar.start_ns}
        candle = candle_of(bar, venues, self._book.close)
        found = None if candle is None else self._book.take(bar.start_ns, candle)
        values = feature_values(self._book.sets, self._book.nothing() if found is None else found)
        return Features(bar.market, bar.symbol, bar.size_ns, bar.start_ns, bar.quality, candle, values)

    def learn(self, history: History) -> bool:
        """Take up bars from before our own; whether they were of use."""
        if history.size_ns != self._book.size_ns:
            return False
        return self._book.learn((kline.start_ns, candle_of_kline(kline)) for kline in history.klines)

    def _note(self, bar: Bar) -> None:
        if bar.close is None:
            return
        self._closes.setdefault(bar.start_ns, {})[bar.venue] = float(bar.close)
        while len(self._closes) > _OPEN_MAX:
            del self._closes[min(self._closes)]
