"""The state step of candles: one log record in, bars out, and the rows that changed. A pure fold over `windows` rows.

A venue's second is the sum of its trades. Everything else is derived and never updated on its own: a minute is its
seconds merged, a consolidated second its venues merged. So applying a record again, after a crash between two writes,
mends what is missing and changes nothing else.

The caller must publish `Step.bars`, acknowledged, before it stores `Step.rows` in their order (the row with the
offset comes last): a crash between sends the same bars again and loses none.

What it does not do: I/O, clocks, windows older than the kept rows (`Step.rebuild`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, MutableMapping
from typing import NamedTuple

import msgspec

from sofia_streams.core.ids import IdSet
from sofia_streams.core.ohlcv import Sums, bar_of, merge, merge_all, sums_of, window_start_ns
from sofia_streams.core.windows import (
    Feed,
    Joint,
    Minute,
    Row,
    Rules,
    Window,
    instrument_key,
    joins_consolidated,
    window_key,
)
from sofia_streams.model import CONSOLIDATED, NS_PER_MINUTE, NS_PER_SECOND, Bar, Gap, Punctuation, Trade, TradeBatch

_replace = msgspec.structs.replace


class Step(NamedTuple):
    """What one record did: bars to publish, then rows to store in this order (None deletes).

    `applied` counts its trades that were new, `late` those whose window was closed.
    `rebuild` names minutes older than the kept rows that got a trade: their bars come from the log.
    """

    bars: list[Bar]
    rows: dict[str, Row | None]
    applied: int = 0
    late: int = 0
    rebuild: frozenset[Minute] = frozenset()


def apply(stored: Mapping[str, Row], record: TradeBatch | Punctuation | Gap, *, offset: int, rules: Rules) -> Step:
    """Fold one log record. A record at or before the last applied offset of its instrument changes nothing."""
    key = instrument_key(record.venue, record.market, record.symbol)
    feed = stored.get(key)
    feed = feed if isinstance(feed, Feed) else Feed()
    if offset <= feed.offset or isinstance(record, Gap):
        return Step([], {})
    work = _Work(stored, record, rules)
    taken = feed
    if isinstance(record, TradeBatch):
        taken = _take(work, feed, record.trades)
        horizon_ns = taken.newest_ns - rules.lateness_ns
    else:
        horizon_ns = record.exchange_ns if record.alive else _end_ns(feed)
    closed = _close(work, taken, horizon_ns)
    floor_ns = closed.closed_ns
    if joins_consolidated(record.venue, record.market):
        ended = isinstance(record, Punctuation) and not record.alive
        floor_ns = min(floor_ns, _consolidate(work, closed, ended=ended))
    done = (start_ns for start_ns in taken.open if start_ns < closed.closed_ns)
    kept_from_ns = work.forget(record.venue, feed.kept_from_ns, feed.closed_ns, floor_ns, done)
    work.changed[key] = _replace(closed, offset=offset, kept_from_ns=kept_from_ns)  # last: it carries the offset
    late = closed.late - feed.late + closed.rebuilt - feed.rebuilt
    return Step(work.bars, work.changed, closed.trades - feed.trades, late, frozenset(work.rebuild))


def store(stored: MutableMapping[str, Row], rows: Mapping[str, Row | None]) -> None:
    """Put a step's rows into the table, in their order; a step deletes only what is there."""
    for key, row in rows.items():
        if row is not None:
            stored[key] = row
        else:
            del stored[key]


def _take(work: _Work, feed: Feed, trades: list[Trade]) -> Feed:
    """Put live trades into their seconds: open ones quietly, closed ones at once as revisions."""
    seconds: dict[int, list[Trade]] = defaultdict(list)
    newest_ns = feed.newest_ns
    for trade in trades:
        if not trade.snapshot:
            exchange_ns = trade.exchange_ns
            seconds[exchange_ns - exchange_ns % NS_PER_SECOND].append(trade)
            newest_ns = max(newest_ns, exchange_ns)
    opened = dict(feed.open)
    applied = repeated = late = rebuilt = 0
    for start_ns, group in seconds.items():
        if start_ns < feed.kept_from_ns:
            work.name_old(work.venue, start_ns)
            if joins_consolidated(work.venue, work.market):
                work.name_old(CONSOLIDATED, start_ns)
            rebuilt += len(group)
            continue
        is_open = start_ns >= feed.closed_ns
        known = opened.get(start_ns) if is_open else work.window(work.venue, NS_PER_SECOND, start_ns)
        window, fresh = _extend(known, group, work.venue)
        applied += fresh
        repeated += len(group) - fresh
        if is_open:
            opened[start_ns] = window
        else:
            late += fresh
            work.touched.add(start_ns)
            work.publish(work.venue, NS_PER_SECOND, start_ns, window.sums, window.ids)
    return _replace(
        feed,
        newest_ns=newest_ns,
        open=opened,
        trades=feed.trades + applied,
        late=feed.late + late,
        repeated=feed.repeated + repeated,
        rebuilt=feed.rebuilt + rebuilt,
    )


def _extend(known: Window | None, group: list[Trade], venue: str) -> tuple[Window, int]:
    """The second with those trades of `group` that it does not hold yet, and how many they were."""
    by_kind: dict[str, dict[str, Trade]] = defaultdict(dict)
    for trade in group:
        by_kind[trade.id_kind][trade.trade_id] = trade
    ids = dict(known.ids) if known else {}
    fresh: list[Trade] = []
    for kind, candidates in by_kind.items():
        held = ids.get(kind)
        if held is not None:
            candidates = {trade_id: trade for trade_id, trade in candidates.items() if trade_id not in held}
        if candidates:
            fresh += candidates.values()
            ids[kind] = (held or IdSet()).union(candidates.keys())
    if known is None:
        return Window(sums_of(fresh, venue), ids), len(fresh)
    if not fresh:
        return known, 0
    return Window(merge(known.sums, sums_of(fresh, venue)), ids, known.revision), len(fresh)


def _end_ns(feed: Feed) -> int:
    """The end of the minute a feed stopped in: nothing of it stays open."""
    reached_ns = max([feed.closed_ns, *(start_ns + NS_PER_SECOND for start_ns in feed.open)])
    return -(-reached_ns // NS_PER_MINUTE) * NS_PER_MINUTE


def _close(work: _Work, feed: Feed, horizon_ns: int) -> Feed:
    """Publish every second that ends at or before the horizon, and every minute that is whole or changed."""
    closed_ns = max(feed.closed_ns, window_start_ns(horizon_ns, NS_PER_SECOND))
    for start_ns in sorted(start_ns for start_ns in feed.open if start_ns < closed_ns):
        window = feed.open[start_ns]
        work.touched.add(start_ns)
        work.publish(work.venue, NS_PER_SECOND, start_ns, window.sums, window.ids)
    work.publish_minutes(work.venue, {feed.closed_ns, *work.touched}, closed_ns)
    if closed_ns == feed.closed_ns:
        return feed
    remaining = {start_ns: window for start_ns, window in feed.open.items() if start_ns >= closed_ns}
    return _replace(feed, closed_ns=closed_ns, open=remaining)


def _consolidate(work: _Work, feed: Feed, *, ended: bool) -> int:
    """Publish the consolidated windows that this step finished or changed; up to where they are closed."""
    key = instrument_key(CONSOLIDATED, work.market, work.symbol)
    row = work.get(key)
    joint = row if isinstance(row, Joint) else Joint()
    waits_for = {venue: closed_ns for venue, closed_ns in joint.waits_for.items() if venue != work.venue}
    if not ended:
        waits_for[work.venue] = feed.closed_ns
    venues = joint.venues if work.venue in joint.venues else sorted([*joint.venues, work.venue])
    reached_ns = max(joint.reached_ns, feed.closed_ns)
    slowest_ns = max(min(waits_for.values()), max(waits_for.values()) - work.rules.wait_max_ns) if waits_for else 0
    closed_ns = max(joint.closed_ns, slowest_ns if waits_for else reached_ns)
    waiting = {*joint.pending, *(start_ns for start_ns in work.touched if start_ns >= joint.closed_ns)}
    late = {start_ns for start_ns in work.touched if start_ns < joint.closed_ns}
    due = sorted(start_ns for start_ns in waiting | late if start_ns < closed_ns)
    for start_ns in due:
        if start_ns < joint.kept_from_ns:
            work.name_old(CONSOLIDATED, start_ns)
        else:
            work.publish_joint_second(venues, start_ns)
    kept = (start_ns for start_ns in due if start_ns >= joint.kept_from_ns)
    work.publish_minutes(CONSOLIDATED, {joint.closed_ns, *kept}, closed_ns)
    kept_from_ns = work.forget(CONSOLIDATED, joint.kept_from_ns, joint.closed_ns, closed_ns, due)
    pending = sorted(start_ns for start_ns in waiting if start_ns >= closed_ns)
    work.changed[key] = Joint(closed_ns, kept_from_ns, reached_ns, waits_for, venues, pending)
    if work.changed[key] == joint:
        del work.changed[key]
    return closed_ns


class _Work:
    """One step's view of the rows: reads through to the stored ones, keeps what it writes."""

    def __init__(self, stored: Mapping[str, Row], record: TradeBatch | Punctuation, rules: Rules) -> None:
        self.stored, self.rules = stored, rules
        self.venue, self.market, self.symbol = record.venue, record.market, record.symbol
        self.changed: dict[str, Row | None] = {}
        self.bars: list[Bar] = []
        self.touched: set[int] = set()  # venue seconds that closed or changed after closing
        self.rebuild: set[Minute] = set()

    def name_old(self, venue: str, start_ns: int) -> None:
        """A window that is no longer kept has changed: its minute must be made again from the log."""
        self.rebuild.add(Minute(venue, self.market, self.symbol, window_start_ns(start_ns, NS_PER_MINUTE)))

    def get(self, key: str) -> Row | None:
        return self.changed[key] if key in self.changed else self.stored.get(key)

    def window(self, venue: str, size_ns: int, start_ns: int) -> Window | None:
        row = self.get(self.key(venue, size_ns, start_ns))
        return row if isinstance(row, Window) else None

    def key(self, venue: str, size_ns: int, start_ns: int) -> str:
        return window_key(instrument_key(venue, self.market, self.symbol), size_ns, start_ns)

    def publish(self, venue: str, size_ns: int, start_ns: int, sums: Sums, ids: dict[str, IdSet] | None = None) -> None:
        """Store a closed window and its bar: first time revision 0, changed sums one more, equal sums nothing."""
        known = self.window(venue, size_ns, start_ns)
        if known is not None and known.sums == sums:
            return
        revision = 0 if known is None else known.revision + 1
        self.changed[self.key(venue, size_ns, start_ns)] = Window(sums, ids or {}, revision)
        bar = bar_of(
            sums,
            venue=venue,
            market=self.market,
            symbol=self.symbol,
            size_ns=size_ns,
            start_ns=start_ns,
            revision=revision,
        )
        self.bars.append(bar)

    def publish_minutes(self, venue: str, seconds: Iterable[int], closed_ns: int) -> None:
        """Derive the minutes of these seconds that end at or before `closed_ns`."""
        for minute_ns in sorted({window_start_ns(start_ns, NS_PER_MINUTE) for start_ns in seconds}):
            end_ns = minute_ns + NS_PER_MINUTE
            if end_ns <= closed_ns:
                parts = (self.window(venue, NS_PER_SECOND, at_ns) for at_ns in range(minute_ns, end_ns, NS_PER_SECOND))
                sums = merge_all(part.sums for part in parts if part is not None)
                if sums is not None:
                    self.publish(venue, NS_PER_MINUTE, minute_ns, sums)

    def publish_joint_second(self, venues: list[str], start_ns: int) -> None:
        """Derive a consolidated second from the closed seconds of its venues."""
        parts = (self.window(venue, NS_PER_SECOND, start_ns) for venue in venues)
        sums = merge_all(part.sums for part in parts if part is not None)
        if sums is not None:
            self.publish(CONSOLIDATED, NS_PER_SECOND, start_ns, sums)

    def forget(self, venue: str, kept_from_ns: int, was_closed_ns: int, floor_ns: int, done: Iterable[int]) -> int:
        """Delete the windows of minutes that ended `kept_ns` before `floor_ns`; from where rows are kept now.

        Rows stand only between `kept_from_ns` and `was_closed_ns`, and at `done`, which this step closed.
        """
        until_ns = max(kept_from_ns, window_start_ns(max(floor_ns - self.rules.kept_ns, 0), NS_PER_MINUTE))
        known = range(kept_from_ns, min(until_ns, was_closed_ns), NS_PER_SECOND)
        for start_ns in sorted({*known, *(start_ns for start_ns in done if start_ns < until_ns)}):
            for size_ns in (NS_PER_SECOND, NS_PER_MINUTE):
                key = self.key(venue, size_ns, start_ns)
                if start_ns % size_ns == 0 and self.stored.get(key) is not None:
                    self.changed[key] = None
                else:
                    self.changed.pop(key, None)  # made and forgotten in one step
        return until_ns
