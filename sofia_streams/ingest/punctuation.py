"""How far the trades of each instrument have come, and the records that say so while it is quiet.

Punctuation stands in the log where no trades do, so that windows close: nothing older than it is to come, or nothing at
all (the feed has ended). Where a connection is silent itself, or gone, what was said last is repeated: so the log says
by itself how far it has come, and its end names the newest id of every instrument. The clock is a parameter; sends
nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sofia_streams.core.bars.watermark import Watermark
from sofia_streams.core.bars.windows import instrument_key, is_live
from sofia_streams.core.feeds.skew import ClockSkew
from sofia_streams.ingest.gap_watch import GapWatch
from sofia_streams.ingest.line import Connections, Line
from sofia_streams.model import Punctuation, Trade, TradeBatch

OVER_NS = 120_000_000_000
"""How much later than its end nothing of a recording is to come."""
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
        self._unheard: dict[str, bool] = {}  # instruments with nothing from this run or since the end; were they alive?

    def remember(self, record: TradeBatch | Punctuation) -> None:
        """A record from before a restart."""
        if not is_live(record) and isinstance(record, TradeBatch):
            return
        name = instrument_key(record.venue, record.market, record.symbol)
        self._feeds[name] = TradeBatch(record.venue, record.market, record.symbol, 0, record.line, [])
        if isinstance(record, Punctuation):
            self._unheard[name] = record.alive
            self._watermarks[name].heard(record.exchange_ns if record.alive else 0)
        else:
            self._unheard[name] = True
            live = (trade.exchange_ns for trade in record.trades if not (trade.snapshot or trade.backfilled))
            self._watermarks[name].saw(max(live))

    def begin(self, subscribed: Mapping[str, Line]) -> None:
        """After everything was remembered: these are read, each with its feed; the others are spoken of no more."""
        for name in [*self._feeds]:
            if name in subscribed:
                self._lines[name] = subscribed[name]
            else:
                del self._feeds[name]

    def carried(self, name: str, feed: TradeBatch, line: Line) -> None:
        """A frame with trades of an instrument came, new or not; `feed` is a batch without trades that names it."""
        self._feeds[name], self._lines[name] = feed, line
        if self._unheard:
            self._unheard.pop(name, None)

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
        """For each quiet instrument: up to where its trades have come, if its connection speaks."""
        found = []
        for name, feed in self._feeds.items():
            if now_ns - self._spoken_ns.get(name, 0) < PUNCTUATE_AFTER_NS:
                continue
            watermark, was_alive = self._watermarks[name], self._unheard.get(name)
            if was_alive is None and self._connections.is_alive(self._lines[name], now_ns):
                until_ns = self._skews[feed.venue].exchange_now_ns(now_ns) - self._lag_ns
                watermark.heard(until_ns)
                found.append(self._record(feed, now_ns, until_ns, alive=True))
            elif watermark.passed_ns or was_alive is False:
                found.append(self._record(feed, now_ns, watermark.passed_ns, alive=was_alive is not False))
        return found

    def over(self, now_ns: int) -> set[str]:
        """Instruments whose recording has ended, or pauses."""
        return {name for name, line in self._lines.items() if self._connections.is_over(line, now_ns)}

    def ended(self, now_ns: int, line: Line | None = None) -> list[Punctuation]:
        """The instruments (of a connection and those it replaced) are dead; nothing new is said of them. Where all end
        (a recording is over), that is said of each, also where it was before, and of two minutes later: whatever closes
        by it ends before that.
        """
        now_ns += OVER_NS if line is None else 0
        lines = {name: self._lines[name] for name in self._feeds if name in self._lines}
        names = [name for name, known in lines.items() if line is None or known.feed() == line.feed()]
        found = []
        for name in names:
            if line is None or self._unheard.get(name) is not False:
                found.append(self._record(self._feeds[name], now_ns, self._watermarks[name].passed_ns, alive=False))
            self._unheard[name] = False
        return found

    def _record(self, feed: TradeBatch, now_ns: int, until_ns: int, *, alive: bool) -> Punctuation:
        kind, last_id, last_ns = self._gaps.newest_id(instrument_key(feed.venue, feed.market, feed.symbol))
        return Punctuation(
            feed.venue, feed.market, feed.symbol, now_ns, feed.line, until_ns, alive, last_id, kind, last_ns
        )
