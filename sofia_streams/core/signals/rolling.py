"""What is known of one symbol between records of `bars`: its features' memory, and closes of windows still open.

A window's consolidated bar comes behind those of its venues, in order in their partition, so what has come by then is
what counts: nothing depends on a clock. The first revision of a consolidated bar is taken, later ones are not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from sofia_streams.core.features.book import Book, Memory, candle_of, candle_of_kline, feature_values
from sofia_streams.core.features.sets import FeatureSet
from sofia_streams.model import CONSOLIDATED, Bar, Market
from sofia_streams.scored import Candle, Features, FeatureValues, History, Value

_OPEN_MAX = 128
"""Windows whose consolidated bar waits for the slowest venue: of seconds a minute (`Rules.wait_max_ns`), and as many
that the fastest closes at once.
"""


class RollingRow(msgspec.Struct, frozen=True, array_like=True, tag="rolling"):
    """The row of a symbol in the table `rolling_features`; `history_ns` is where the newest history ended."""

    memory: Memory
    history_ns: int = -1


class OpenRow(msgspec.Struct, frozen=True, array_like=True, tag="open"):
    """A row beside it, which changes more often: closes of venues' bars, by window start and venue."""

    closes: dict[int, dict[str, float]]


class Closed(NamedTuple):
    """A closed bar of a file or a store, in float64; `known` is what was known live behind it, where that was kept."""

    market: Market
    symbol: str
    start_ns: int
    candle: Candle
    known: Mapping[str, FeatureValues] | None = None


class Rolling:
    """One symbol's bars of one size."""

    def __init__(
        self, sets: Sequence[FeatureSet], row: RollingRow | None = None, open_row: OpenRow | None = None
    ) -> None:
        """Begins with what the rows say. Raises ValueError where they are damaged."""
        self.book = Book(sets)
        self._closes: dict[int, dict[str, float]] = {}
        self._history_ns = -1
        if row is not None:
            self.book.resume(row.memory)
            self._history_ns = row.history_ns
        if open_row is not None:
            self._closes = {start_ns: dict(closes) for start_ns, closes in open_row.closes.items()}

    def row(self) -> RollingRow:
        """What must be kept once a consolidated bar or history was taken."""
        return RollingRow(self.book.memory(), self._history_ns)

    def open_row(self) -> OpenRow:
        """What must be kept once any bar was taken."""
        return OpenRow({start_ns: dict(closes) for start_ns, closes in self._closes.items()})

    def is_new(self, bar: Bar) -> bool:
        """Whether the bar is of the right size, and of no window that was taken before."""
        last_ns = self.book.last_ns
        return bar.size_ns == self.book.size_ns and (last_ns is None or bar.start_ns > last_ns)

    def note(self, bar: Bar) -> None:
        """A venue's own bar."""
        if bar.close is None:
            return
        self._closes.setdefault(bar.start_ns, {})[bar.venue] = float(bar.close)
        while len(self._closes) > _OPEN_MAX:
            del self._closes[min(self._closes)]

    def take(self, bar: Bar) -> Features | None:
        """What is known behind a consolidated bar; None behind a venue's, and behind one that is not new."""
        if not self.is_new(bar):
            return None
        if bar.venue != CONSOLIDATED:
            self.note(bar)
            return None
        venues = self._closes.get(bar.start_ns, {})
        self._closes = {start_ns: closes for start_ns, closes in self._closes.items() if start_ns > bar.start_ns}
        candle = candle_of(bar, venues, self.book.close)
        values = feature_values(self.book.sets, self._values(bar.start_ns, candle))
        return Features(bar.market, bar.symbol, bar.size_ns, bar.start_ns, bar.quality, candle, values)

    def take_candle(self, closed: Closed) -> Features | None:
        """As `take`, of a bar that is a candle already; None behind one that is not new."""
        last_ns = self.book.last_ns
        if last_ns is not None and closed.start_ns <= last_ns:
            return None
        found = self._values(closed.start_ns, closed.candle)
        values = feature_values(self.book.sets, found) if closed.known is None else dict(closed.known)
        return Features(
            closed.market, closed.symbol, self.book.size_ns, closed.start_ns,
            "complete" if closed.candle.is_complete else "gap", closed.candle, values,
        )  # fmt: skip

    def _values(self, start_ns: int, candle: Candle | None) -> list[list[Value]]:
        """Of the next window; nothing is known of a quiet one before the first price."""
        if candle is None:
            self.book.pass_over(start_ns)
            return self.book.nothing()
        found = self.book.take(start_ns, candle)
        return self.book.nothing() if found is None else found

    def learn(self, history: History) -> bool:
        """Take up bars from before our own; whether they were new, and so the row must be kept.

        One that ends no later than an earlier one is that one again, maybe read again after a crash, when the book has
        begun anew since: it is passed over.
        """
        end_ns = history.klines[-1].start_ns if history.klines else -1
        if history.size_ns != self.book.size_ns or end_ns <= self._history_ns:
            return False
        self._history_ns = end_ns
        self.book.learn((kline.start_ns, candle_of_kline(kline)) for kline in history.klines)
        return True
