"""Bars folded anew from the log's trades, beside the last revision of each in `bars`. Pure; one hour of a symbol.

An independent check: nothing of the worker's state, windows or revisions is used, only the trades, the sums of
`core.bars.ohlcv` over the minutes that `core.bars.rebuild` collects, the rule by which windows close
(`core.bars.closing`), and what is certain of a bar's worth (`worth`): one that overlaps an open gap says so, and a
second without trades has a bar where its feed was alive, and none where it was not heard. What it does not do: judge a
bar that says less than it could, or windows that the log does not close yet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sofia_streams.core.bars.ohlcv import Sums, bar_of, merge, window_start_ns
from sofia_streams.core.bars.quality import mark_of, worst
from sofia_streams.core.bars.rebuild import MinuteTrades, Place
from sofia_streams.core.bars.windows import Hole, Minute, joins_consolidated
from sofia_streams.model import CONSOLIDATED, NS_PER_MINUTE, NS_PER_SECOND, Bar, TradeBatch
from sofia_streams.ops.verify.ledger import Comparison, compare
from sofia_streams.ops.verify.logged import Logged
from sofia_streams.ops.verify.rows import Bucket, Item, bar_item, bucket_of, size_of, table_of, with_quality
from sofia_streams.ops.verify.worth import ALIVE, DEAD


class Judged(NamedTuple):
    """Which windows of a symbol are compared, as the log knows it."""

    begins_ns: int
    """From when on the log has every trade."""
    open_minutes: frozenset[int]
    """Starts of minutes whose trades `ohlcv` may not have done."""
    closed_ns: Callable[[Bucket], int]
    """By what the log says of an instrument: a window that ends at or before it is closed, and must have its bar."""
    worth_ns: int = 0
    """From when on it is certain what bars are worth, and which of them have no trade."""
    until_ns: int = 2**63
    """Up to where what there is was put aside."""
    seconds: Mapping[Bucket, bytes | bytearray] = {}
    """By a venue's bucket of seconds: `worth.ALIVE`, DEAD or UNKNOWN of each."""
    holes: Mapping[str, Sequence[Hole]] = {}
    """By venue, and of the consolidated: the gaps that are open."""
    has_all_quiet: bool = False
    """Whether what was read of the log says of each second that was alive that it was."""


class HourOfBars:
    """Takes the trades and bars of one hour of a symbol, then compares."""

    def __init__(self) -> None:
        self._sums: dict[Place, Sums] = {}
        self._published: dict[Bucket, dict[int, Bar]] = defaultdict(dict)

    def add_trades(self, bucket: Bucket, rows: Sequence[Logged]) -> None:
        """Every copy of one venue's trades, in the order of the log."""
        market: Any = bucket.market
        trades = [row.record for row in rows]
        minutes = {
            Minute(bucket.venue, market, bucket.symbol, window_start_ns(trade.exchange_ns, NS_PER_MINUTE))
            for trade in trades
            if not trade.snapshot
        }
        collected = MinuteTrades(minutes)
        collected.add(TradeBatch(bucket.venue, market, bucket.symbol, 0, "", trades))
        joins = joins_consolidated(bucket.venue, market)
        found = {place: one.sums for place, one in collected.windows({}).items() if one.sums is not None}
        for place, sums in found.items():
            self._sums[place] = sums
            if joins:
                joint = place._replace(venue=CONSOLIDATED)
                known = self._sums.get(joint)
                self._sums[joint] = sums if known is None else merge(known, sums)

    def add_bars(self, bucket: Bucket, rows: Sequence[Logged]) -> None:
        """Every revision of one venue's, or the consolidated, bars, in the order of the log."""
        for row in rows:
            self._published[bucket][row.record.start_ns] = row.record

    def compare(self, judged: Judged) -> dict[Bucket, tuple[dict[str, Item], Comparison]]:
        """By bucket of bars: the folded ones, and what `bars` has beside them."""
        folded: dict[Bucket, dict[str, Item]] = defaultdict(dict)
        for place, sums in self._sums.items():
            if place.start_ns >= judged.begins_ns:
                _put(folded, place, bar_item(bar_of(sums, **place._asdict())))
        for place in self._quiet(judged) if judged.has_all_quiet else ():
            if judged.worth_ns <= place.start_ns < judged.until_ns:
                _put(folded, place, bar_item(bar_of(None, **place._asdict())))
        found = {}
        for bucket in sorted(folded.keys() | self._published.keys()):
            expected = folded.get(bucket, {})
            items = [
                item
                for bar in self._published.get(bucket, {}).values()
                for item in self._items(bucket, bar, expected, judged)
            ]
            found[bucket] = expected, self._compared(bucket, expected, items, judged)
        return found

    def _items(self, bucket: Bucket, bar: Bar, expected: dict[str, Item], judged: Judged) -> Iterator[Item]:
        """What is compared of a bar, if it is; where it claims too much, `expected` is changed to what it may."""
        item, is_certain = bar_item(bar.without_revision()), bar.start_ns >= judged.worth_ns
        best = mark_of(judged.holes.get(bar.venue, ()), bar.start_ns, bar.start_ns + bar.size_ns)
        known = expected.get(item.identity)
        if is_certain and (known or not bar.trade_count) and worst([best, bar.quality]) != bar.quality:
            expected[item.identity] = with_quality(known or item, best)
            yield with_quality(item, bar.quality)
        elif bar.trade_count or known or (is_certain and self._is_invented(bar, judged)):
            yield item

    def _quiet(self, judged: Judged) -> Iterator[Place]:
        """The venues' windows that have no trade and must have a bar."""
        for bucket, seconds in judged.seconds.items():
            name: Any = bucket[1:4]
            for size_ns in (NS_PER_SECOND, NS_PER_MINUTE):
                count = size_ns // NS_PER_SECOND
                alive = bytes([ALIVE]) * count
                for at in range(0, len(seconds), count):
                    place = Place(name[0], name[1], name[2], size_ns, bucket.hour_ns + at * NS_PER_SECOND)
                    if seconds[at : at + count] == alive and place not in self._sums:
                        yield place

    def _is_invented(self, bar: Bar, judged: Judged) -> bool:
        """Whether a bar without trades stands where none can be."""
        seconds = bucket_of("bars_1s", bar.venue, bar.market, bar.symbol, bar.start_ns)
        first, count = (bar.start_ns - seconds.hour_ns) // NS_PER_SECOND, bar.size_ns // NS_PER_SECOND
        if bar.venue != CONSOLIDATED:
            return DEAD in judged.seconds.get(seconds, b"")[first : first + count]
        starts = range(bar.start_ns, bar.start_ns + bar.size_ns, NS_PER_SECOND)
        parts = [bars for one, bars in self._published.items() if one.table == "bars_1s" and one.venue != CONSOLIDATED]
        return not any(at_ns in bars for bars in parts for at_ns in starts)

    def _compared(self, bucket: Bucket, expected: dict[str, Item], items: list[Item], judged: Judged) -> Comparison:
        size_ns, closed_ns = size_of(bucket.table), judged.closed_ns(bucket)
        every = {*expected.values(), *items}
        ignored = {item.identity for item in every if window_start_ns(item.at_ns, NS_PER_MINUTE) in judged.open_minutes}
        if bucket.venue == CONSOLIDATED:
            ignored |= self._half_closed(size_ns, judged)
        optional = {item.identity for item in expected.values() if item.at_ns + size_ns > closed_ns}
        return compare(
            expected,
            items,
            optional=optional,
            ignored=ignored,
            judges_surplus=lambda item: item.at_ns >= judged.begins_ns,
        )

    def _half_closed(self, size_ns: int, judged: Judged) -> set[str]:
        """The windows of which a venue's own is not closed yet: the consolidated one may come without it, and again."""
        return {
            str(place.start_ns)
            for place in self._sums
            if place.size_ns == size_ns and place.venue != CONSOLIDATED
            if place.start_ns + size_ns > judged.closed_ns(_bucket(place))
        }


def _bucket(place: Place) -> Bucket:
    return bucket_of(table_of(place.size_ns), place.venue, place.market, place.symbol, place.start_ns)


def _put(folded: dict[Bucket, dict[str, Item]], place: Place, item: Item) -> None:
    folded[_bucket(place)][item.identity] = item
