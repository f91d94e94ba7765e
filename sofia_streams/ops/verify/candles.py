"""Bars folded anew from the log's trades, beside the last revision of each in `bars`. Pure; one hour of a symbol.

An independent check: nothing of the worker's state, windows or revisions is used, only the trades, the sums of
`core.bars.ohlcv` over the minutes that `core.bars.rebuild` collects, and the rule by which windows close
(`core.bars.closing`). What it does not do: judge what a bar is worth (`quality`), or windows that the log does not
close yet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from sofia_streams.core.bars.ohlcv import Sums, bar_of, merge, window_start_ns
from sofia_streams.core.bars.rebuild import MinuteTrades, Place
from sofia_streams.core.bars.windows import Minute, joins_consolidated
from sofia_streams.model import CONSOLIDATED, NS_PER_MINUTE, Bar, TradeBatch
from sofia_streams.ops.verify.ledger import Comparison, compare
from sofia_streams.ops.verify.logged import Logged
from sofia_streams.ops.verify.rows import Bucket, Item, bar_item, bucket_of, size_of, table_of


class Judged(NamedTuple):
    """Which windows of a symbol are compared, as the log knows it."""

    begins_ns: int
    """From when on the log has every trade."""
    open_minutes: frozenset[int]
    """Starts of minutes whose trades `ohlcv` may not have done."""
    closed_ns: Callable[[Bucket], int]
    """By what the log says of an instrument: a window that ends at or before it is closed, and must have its bar."""


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
            bar = bar_of(sums, **place._asdict())
            if place.start_ns >= judged.begins_ns:
                item = bar_item(bar)
                bucket = bucket_of(table_of(bar), bar.venue, bar.market, bar.symbol, bar.start_ns)
                folded[bucket][item.identity] = item
        found = {}
        for bucket in sorted(folded.keys() | self._published.keys()):
            expected = folded.get(bucket, {})
            published = self._published.get(bucket, {}).values()
            items = [bar_item(bar.without_revision()) for bar in published if bar.trade_count]
            quiet = [bar_item(bar.without_revision()) for bar in published if not bar.trade_count]
            items += [item for item in quiet if item.identity in expected]
            found[bucket] = expected, self._compared(bucket, expected, items, judged)
        return found

    def _compared(self, bucket: Bucket, expected: dict[str, Item], items: list[Item], judged: Judged) -> Comparison:
        size_ns, closed_ns = size_of(bucket.table), judged.closed_ns(bucket)
        every = {*expected.values(), *items}
        ignored = {item.identity for item in every if window_start_ns(item.at_ns, NS_PER_MINUTE) in judged.open_minutes}
        optional = {item.identity for item in expected.values() if item.at_ns + size_ns > closed_ns}
        return compare(
            expected,
            items,
            optional=optional,
            ignored=ignored,
            judges_surplus=lambda item: item.at_ns >= judged.begins_ns,
        )
