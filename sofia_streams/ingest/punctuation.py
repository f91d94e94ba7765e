"""How far the trades of each instrument have come, and the records that say so while it is quiet.

Punctuation stands in the log where no trades do, so that windows close: nothing older than it is to come, or nothing at
all (the feed has ended). Where a connection is silent itself nothing is said. The clock is a parameter; sends nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sofia_streams.core.skew import ClockSkew
from sofia_streams.core.watermark import Watermark
from sofia_streams.core.windows import instrument_key
from sofia_streams.ingest.gap_watch import GapWatch
from sofia_streams.ingest.line import Connections, Line
from sofia_streams.model import Punctuation, Trade, TradeBatch

PUNCTUATE_AFTER_NS = 1_000_000_000
"""An instrument that has been quiet for so long is spoken of."""


class Punctuator:
    """The instruments that are read, each with its newest connection. `lag_ns` and `lateness_ns` as in `Limits`."""

    def __init__(
        self,
        connections: Connections,
        skews: Mapping[str, ClockSkew],
        gaps: GapWatch,
        *,
        lag_ns: int,
        lateness_ns: int,
    ) -> None:
        self._connections, self._skews, self._gaps, self._lag_ns = connections, skews, gaps, lag_ns
        self._watermarks: dict[str, Watermark] = defaultdict(lambda: Watermark(lateness_ns))
        self._feeds: dict[str, TradeBatch] = {}
        self._lines: dict[str, Line] = {}
        self._spoken_ns: dict[str, int] = {}

    def carried(self, name: str, feed: TradeBatch, line: Line) -> None:
        """A frame with trades of an instrument came, new or not; `feed` is a batch without trades that names it."""
        self._feeds[name], self._lines[name] = feed, line

    def spoke(self, name: str, trades: Sequence[Trade], received_ns: int) -> int:
        """New trades of an instrument; how many are late, since their second had been passed by their own feed."""
        self._spoken_ns[name] = received_ns
        watermark = self._watermarks[name]
        live = [trade.exchange_ns for trade in trades if not trade.snapshot]
        late = sum(map(watermark.is_late, live))
        if live:
            watermark.saw(max(live))
            self._skews[name.partition("|")[0]].saw(max(live), received_ns)
        return late

    def moved(self, by_ns: int) -> None:
        """The receiver's clock was set."""
        self._spoken_ns = {name: at_ns + by_ns for name, at_ns in self._spoken_ns.items()}

    def quiet(self, now_ns: int) -> list[Punctuation]:
        """For each quiet instrument whose connection speaks: up to where its trades have come."""
        found = []
        for name, feed in self._feeds.items():
            is_quiet = now_ns - self._spoken_ns.get(name, 0) >= PUNCTUATE_AFTER_NS
            if is_quiet and self._connections.is_alive(self._lines[name], now_ns):
                until_ns = self._skews[feed.venue].exchange_now_ns(now_ns) - self._lag_ns
                self._watermarks[name].heard(until_ns)
                found.append(self._record(feed, now_ns, until_ns, alive=True))
        return found

    def over(self, now_ns: int) -> set[str]:
        """Instruments whose recording has ended, or pauses."""
        return {name for name, line in self._lines.items() if self._connections.is_over(line, now_ns)}

    def ended(self, now_ns: int, line: Line | None = None) -> list[Punctuation]:
        """The instruments (of a connection and those it replaced) are dead; they are spoken of no more."""
        names = [name for name in self._feeds if line is None or self._lines[name].feed() == line.feed()]
        return [self._record(self._feeds.pop(name), now_ns, now_ns, alive=False) for name in names]

    def _record(self, feed: TradeBatch, now_ns: int, until_ns: int, *, alive: bool) -> Punctuation:
        last_id = self._gaps.newest_id(instrument_key(feed.venue, feed.market, feed.symbol))
        return Punctuation(feed.venue, feed.market, feed.symbol, now_ns, feed.line, until_ns, alive, last_id)
