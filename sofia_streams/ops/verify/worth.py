"""What bars may say of their worth by the log alone: where a feed was heard, and which of its gaps are open. Pure.

A fold of its own over trades, punctuation and gaps, beside `core.bars.candles`. It says only what is certain: near a
gap that was ever said, before an instrument's first record and where windows are not closed yet it says nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from sofia_streams.core.bars.closing import Closing, Record
from sofia_streams.core.bars.ohlcv import window_start_ns
from sofia_streams.core.bars.quality import known_until_ns
from sofia_streams.core.bars.windows import Hole, Name, Rules, Span, instrument_key, is_live, joins_consolidated
from sofia_streams.model import CONSOLIDATED, NS_PER_HOUR, NS_PER_SECOND, Gap, TradeBatch
from sofia_streams.ops.verify.rows import Bucket

UNKNOWN, ALIVE, DEAD = 0, 1, 2
"""Of a second: not certain; the feed was alive, so it has a bar; it was not heard, so it has one if it has trades."""
_HOUR = NS_PER_HOUR // NS_PER_SECOND


class _Feed:
    """One instrument of one venue."""

    def __init__(self) -> None:
        self.reached_ns = self.closed_ns = 0
        self.began_ns: int | None = None
        self.is_heard = False
        self.unsure: list[Span] = []
        self.alive: list[Span] = []
        self.open: dict[str, Hole] = {}
        self.joint: set[str] = set()  # those of the open gaps that consolidated bars lack for certain
        self.said: dict[Span, None] = {}  # the stretches that any gap leaves open


class Worth:
    """Takes the records of `trades` that `ohlcv` has done, in their order; it may begin anywhere in the log."""

    def __init__(self, rules: Rules) -> None:
        self.closing = Closing(rules)
        self._quiet_max_ns = rules.quiet_max_ns
        self._feeds: dict[Name, _Feed] = defaultdict(_Feed)

    def add(self, record: Record) -> None:
        """The next record."""
        self.closing.add(record)
        feed = self._feeds[record.venue, record.market, record.symbol]
        closed_ns = self.closing.closed_ns(instrument_key(record.venue, record.market, record.symbol))
        if isinstance(record, Gap):
            self._note(feed, record)
        elif isinstance(record, TradeBatch):
            for trade in record.trades:
                if not trade.snapshot:
                    self._hear(feed, trade.exchange_ns)
        elif record.alive:
            self._hear(feed, record.exchange_ns)
        elif closed_ns > feed.closed_ns:
            feed.unsure.append((feed.reached_ns, closed_ns))
        feed.is_heard = feed.is_heard or is_live(record)
        if closed_ns > feed.closed_ns:
            _close(feed, closed_ns)

    def doubt(self, gap: Gap) -> None:
        """A record that `ohlcv` may have done or not: nothing is certain of its gap."""
        feed = self._feeds[gap.venue, gap.market, gap.symbol]
        feed.open.pop(gap.gap_id, None)
        feed.said[self._reach(gap)] = None

    def venues(self, market: str, symbol: str) -> list[str]:
        """Those that have records of a symbol, and the consolidated."""
        return [*sorted(name[0] for name in self._feeds if name[1:] == (market, symbol)), CONSOLIDATED]

    def buckets(self) -> Iterator[Bucket]:
        """Every hour of seconds' bars in which a feed was alive."""
        for (venue, market, symbol), feed in self._feeds.items():
            for from_ns, until_ns in feed.alive:
                for hour_ns in range(from_ns - from_ns % NS_PER_HOUR, until_ns, NS_PER_HOUR):
                    yield Bucket("bars_1s", venue, market, symbol, hour_ns)

    def seconds(self, bucket: Bucket) -> bytearray:
        """UNKNOWN, ALIVE or DEAD for each second of a venue's hour."""
        found, begin_ns = bytearray(_HOUR), bucket.hour_ns
        feed = self._feeds.get((bucket.venue, bucket.market, bucket.symbol))  # type: ignore[arg-type]
        if feed is None or feed.began_ns is None:
            return found
        first_ns = window_start_ns(feed.began_ns, NS_PER_SECOND) + NS_PER_SECOND
        _fill(found, begin_ns, (first_ns, feed.closed_ns), DEAD)
        for span in feed.alive:
            _fill(found, begin_ns, (max(span[0], first_ns), span[1]), ALIVE)
        for span in feed.said:
            _fill(found, begin_ns, span, UNKNOWN)
        return found

    def holes(self, bucket: Bucket) -> list[Hole]:
        """The gaps that are open in an hour; for the consolidated those that have an end, of feeds that were heard."""
        end_ns = bucket.hour_ns + NS_PER_HOUR
        found: list[Hole] = []
        for name, feed in self._feeds.items():
            if name[1:] != (bucket.market, bucket.symbol):
                continue
            if bucket.venue == name[0]:
                found += feed.open.values()
            elif bucket.venue == CONSOLIDATED and joins_consolidated(*name[:2]):
                found += [hole for gap_id, hole in feed.open.items() if gap_id in feed.joint]
        return [hole for hole in found if hole.overlaps(bucket.hour_ns, end_ns)]

    def _hear(self, feed: _Feed, at_ns: int) -> None:
        if at_ns <= feed.reached_ns:
            return
        if at_ns - feed.reached_ns > self._quiet_max_ns:
            feed.unsure.append((feed.reached_ns, at_ns))
        feed.reached_ns = at_ns
        if feed.began_ns is None:
            feed.began_ns = at_ns

    def _note(self, feed: _Feed, gap: Gap) -> None:
        feed.said[self._reach(gap)] = None
        hole = Hole(gap.from_ns, gap.until_ns, gap.cause == "stale") if gap.state == "open" else None
        known = feed.open.pop(gap.gap_id, None)
        if hole is not None:
            feed.open[gap.gap_id] = hole
        if hole == known:
            return
        feed.joint.discard(gap.gap_id)
        if hole is not None and hole.until_ns is not None and feed.is_heard:
            feed.joint.add(gap.gap_id)
        elif hole is None and (until_ns := known_until_ns(feed.reached_ns, gap)) > feed.reached_ns:
            feed.unsure.append((feed.reached_ns, until_ns))
            feed.reached_ns = until_ns

    def _reach(self, gap: Gap) -> Span:
        """The seconds of which a gap leaves open whether they have a bar."""
        until_ns = 2**63 if gap.until_ns is None else gap.until_ns + self._quiet_max_ns + NS_PER_SECOND
        return gap.from_ns - self._quiet_max_ns, until_ns


def _close(feed: _Feed, closed_ns: int) -> None:
    at_ns = feed.closed_ns
    for from_ns, until_ns in [*feed.unsure, (closed_ns, closed_ns)]:
        end_ns = min(window_start_ns(from_ns, NS_PER_SECOND), closed_ns)
        if at_ns < end_ns:
            if feed.alive and feed.alive[-1][1] == at_ns:
                at_ns = feed.alive.pop()[0]
            feed.alive.append((at_ns, end_ns))
        at_ns = max(at_ns, window_start_ns(until_ns, NS_PER_SECOND) + NS_PER_SECOND)
    feed.unsure = [span for span in feed.unsure if span[1] > closed_ns]
    feed.closed_ns = closed_ns


def _fill(seconds: bytearray, begin_ns: int, span: Span, value: int) -> None:
    """Set those that a span touches, its end left out."""
    first = max(0, (span[0] - begin_ns) // NS_PER_SECOND)
    last = min(_HOUR, -((begin_ns - span[1]) // NS_PER_SECOND))
    if first < last:
        seconds[first:last] = bytes([value]) * (last - first)
