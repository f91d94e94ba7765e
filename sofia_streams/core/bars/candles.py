"""The state step of candles: one log record in, bars out, and the rows that changed. A pure fold over `windows` rows.

A venue's second is the sum of its trades. Everything else is derived and never updated on its own: a minute is its
seconds merged, a consolidated second its venues merged. So applying a record again, after a crash between two writes,
mends what is missing and changes nothing else.

The caller must publish `Step.said`, acknowledged, before it stores `Step.rows` in their order (the row with the
offset comes last): a crash between sends the same bars again and loses none.

A second without a trade has a bar only where the feed was alive: where the log's records of the instrument, trades and
punctuation, stand close enough together, and no gap is open. Bars say what they are worth (`quality`).

What it does not do: I/O, clocks, windows older than the kept rows (`Step.rebuild`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, MutableMapping
from typing import NamedTuple

import msgspec

from sofia_streams.core.bars.closing import stopped_ns
from sofia_streams.core.bars.consolidated import consolidate
from sofia_streams.core.bars.ohlcv import merge, sums_of, window_start_ns
from sofia_streams.core.bars.quality import began_in, known_until_ns
from sofia_streams.core.bars.step_rows import StepRows
from sofia_streams.core.bars.watermark import sure_ns
from sofia_streams.core.bars.windows import (
    UNHEARD_NS,
    Feed,
    Heard,
    Hole,
    Minute,
    Name,
    Row,
    Rules,
    Stretch,
    Window,
    joins_consolidated,
)
from sofia_streams.core.feeds.ids import IdSet
from sofia_streams.model import (
    NS_PER_MINUTE,
    NS_PER_SECOND,
    PUNCTUATION_LAG_NS,
    Bar,
    Gap,
    Punctuation,
    Trade,
    TradeBatch,
)
from sofia_streams.scored import Silence

_replace = msgspec.structs.replace


class Step(NamedTuple):
    """What one record did: bars to publish, `silence` behind them, then rows to store in this order (None deletes).

    `applied` counts its trades that were new, `late` those whose window was closed.
    `rebuild` names minutes older than the kept rows that got a trade: their bars come from the log, and from what is
    known of the feeds of the symbol (`heard`). `remark` is a stretch older than the kept rows, of the venue and of the
    consolidated each, whose bars have the same trades, but are worth something else now.
    """

    bars: list[Bar]
    rows: dict[str, Row | None]
    applied: int = 0
    late: int = 0
    rebuild: frozenset[Minute] = frozenset()
    heard: Mapping[Name, Heard] = {}
    remark: Stretch | None = None
    silence: Silence | None = None

    @property
    def said(self) -> list[Bar | Silence]:
        """What is to be published, in this order."""
        return [*self.bars] if self.silence is None else [*self.bars, self.silence]


def apply(stored: Mapping[str, Row], record: TradeBatch | Punctuation | Gap, *, offset: int, rules: Rules) -> Step:
    """Fold one log record. A record at or before the last applied offset of its instrument changes nothing."""
    work = StepRows(stored, record, rules)
    feed = work.feed(record.venue)
    if offset <= feed.offset:
        return Step([], {})
    work.since_ns = feed.since_ns
    if isinstance(record, TradeBatch):
        taken = _take(work, feed, record.trades)
        horizon_ns = taken.newest_ns - rules.lateness_ns
    elif isinstance(record, Gap):
        taken, horizon_ns = _note_gap(work, feed, record), feed.closed_ns
    elif record.alive:
        taken, horizon_ns = _hear(work, feed, record), sure_ns(record.exchange_ns, rules.lateness_ns)
    else:
        horizon_ns = stopped_ns(feed.closed_ns, max(feed.open, default=-1))
        taken = _end(feed, horizon_ns)
    closed = _close(work, taken, horizon_ns)
    floor_ns = closed.closed_ns
    if joins_consolidated(record.venue, record.market):
        floor_ns = min(floor_ns, consolidate(work, closed, record))
    done = (start_ns for start_ns in taken.open if start_ns < closed.closed_ns)
    kept_from_ns = work.forget(record.venue, feed.kept_from_ns, feed.closed_ns, floor_ns, done)
    closed = _replace(closed, offset=offset, kept_from_ns=kept_from_ns, since_ns=work.since_ns)
    work.keep(closed)
    late = closed.late - feed.late + closed.rebuilt - feed.rebuilt
    heard = work.heard() if work.rebuild or work.remark else {}
    applied, rebuild = closed.trades - feed.trades, frozenset(work.rebuild)
    return Step(work.bars, work.changed, applied, late, rebuild, heard, work.remark, work.silence)


def store(stored: MutableMapping[str, Row], rows: Mapping[str, Row | None]) -> None:
    """Put a step's rows into the table, in their order; a step deletes only what is there."""
    for key, row in rows.items():
        if row is not None:
            stored[key] = row
        else:
            del stored[key]


def _take(work: StepRows, feed: Feed, trades: list[Trade]) -> Feed:
    """Put live trades into their seconds: open ones quietly, closed ones at once as revisions."""
    seconds, feed = _by_second(feed, trades, work.rules)
    if seconds and min(seconds) <= work.since_ns:
        live = (one.exchange_ns for one in trades if not (one.snapshot or one.backfilled or one.stale))
        work.since_ns = min([work.since_ns, *live])
    opened = dict(feed.open)
    holes = feed.gaps.values()
    applied = repeated = late = rebuilt = 0
    for start_ns, group in seconds.items():
        if start_ns < feed.kept_from_ns:
            work.name_late(start_ns)
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
            work.publish_second(start_ns, window, holes)
    return _replace(
        feed,
        open=opened,
        trades=feed.trades + applied,
        late=feed.late + late,
        repeated=feed.repeated + repeated,
        rebuilt=feed.rebuilt + rebuilt,
    )


def _by_second(feed: Feed, trades: list[Trade], rules: Rules) -> tuple[dict[int, list[Trade]], Feed]:
    """The live trades by the second they belong to, and how far the feed has come by them."""
    seconds: dict[int, list[Trade]] = defaultdict(list)
    newest_ns, reached_ns, unsure = feed.newest_ns, feed.reached_ns, feed.unsure
    for trade in trades:
        if trade.snapshot:
            continue
        exchange_ns = trade.exchange_ns
        seconds[exchange_ns - exchange_ns % NS_PER_SECOND].append(trade)
        if exchange_ns > newest_ns:
            newest_ns = exchange_ns
            if exchange_ns > reached_ns:
                if exchange_ns - reached_ns > rules.quiet_max_ns:
                    unsure = [*unsure, (reached_ns, exchange_ns)]
                reached_ns = exchange_ns
    return seconds, _replace(feed, newest_ns=newest_ns, reached_ns=reached_ns, unsure=unsure)


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
    if known is not None and not fresh:
        return known, 0
    sums = sums_of(fresh, venue)
    backfilled = any(trade.backfilled for trade in fresh)
    if known is None:
        return Window(sums, ids, backfilled=backfilled), len(fresh)
    merged = sums if known.sums is None else merge(known.sums, sums)
    return Window(merged, ids, known.revision, backfilled=known.backfilled or backfilled), len(fresh)


def _hear(work: StepRows, feed: Feed, spoken: Punctuation) -> Feed:
    """The feed was alive: what lies between this and the last record that spoke was quiet, if it is not too long."""
    until_ns = spoken.exchange_ns
    if work.since_ns == UNHEARD_NS:  # what was read begins after what it speaks of
        work.since_ns = until_ns + min(max(spoken.received_ns - until_ns, 0), PUNCTUATION_LAG_NS)
    if until_ns <= feed.reached_ns:
        return feed
    is_unsure = until_ns - feed.reached_ns > work.rules.quiet_max_ns
    unsure = [*feed.unsure, (feed.reached_ns, until_ns)] if is_unsure else feed.unsure
    return _replace(feed, reached_ns=until_ns, unsure=unsure)


def _end(feed: Feed, end_ns: int) -> Feed:
    """The feed is dead: nobody knows what comes after its last record. Said again it changes nothing."""
    if end_ns <= feed.closed_ns:
        return feed
    return _replace(feed, unsure=[*feed.unsure, (feed.reached_ns, end_ns)])


def _note_gap(work: StepRows, feed: Feed, gap: Gap) -> Feed:
    """A gap opened, closed or is known better: closed windows that it touches are worth something else now."""
    gaps = {name: hole for name, hole in feed.gaps.items() if name != gap.gap_id}
    if gap.state == "open":
        gaps[gap.gap_id] = Hole(gap.from_ns, gap.until_ns, gap.cause == "stale")
    if gaps == feed.gaps and not work.are_gaps_ahead(feed):
        return feed
    joint = work.joint()
    reached_ns = max(feed.closed_ns, joint.closed_ns) if work.venue in joint.venues else feed.closed_ns
    until_ns = reached_ns if gap.until_ns is None else min(gap.until_ns + 1, reached_ns)
    first_ns = max(window_start_ns(gap.from_ns, NS_PER_SECOND), feed.kept_from_ns)
    for start_ns in work.seconds_between(first_ns, until_ns):
        work.touched.add(start_ns)  # what is derived of it changes even where it has no window
        window = work.window(work.venue, NS_PER_SECOND, start_ns)
        if window is not None:
            work.publish_second(start_ns, window, gaps.values())
    name, from_ns = (work.venue, work.market, work.symbol), window_start_ns(gap.from_ns, NS_PER_MINUTE)
    joint_until_ns = min(until_ns, joint.kept_from_ns) if work.venue in joint.venues else from_ns
    older = Stretch(*name, from_ns, min(until_ns, feed.kept_from_ns), joint_until_ns)
    if from_ns < older.end_ns:
        work.remark = older
    feed, known_ns = _replace(feed, gaps=gaps), known_until_ns(feed.reached_ns, gap)
    if gap.state == "open" or known_ns == feed.reached_ns:
        return feed
    return _replace(feed, reached_ns=known_ns, unsure=[*feed.unsure, (feed.reached_ns, known_ns)])


def _close(work: StepRows, feed: Feed, horizon_ns: int) -> Feed:
    """Publish every second that ends at or before the horizon, and every minute that is whole or changed."""
    closed_ns = max(feed.closed_ns, window_start_ns(horizon_ns, NS_PER_SECOND))
    if closed_ns == feed.closed_ns and not work.touched:
        return feed
    holes = list(feed.gaps.values())
    if work.since_ns >= feed.kept_from_ns:
        holes.append(began_in(work.since_ns))
    windows = {start_ns: window for start_ns, window in feed.open.items() if start_ns < closed_ns}
    for start_ns in _quiet(feed, closed_ns):
        windows.setdefault(start_ns, Window(None))
    for start_ns in sorted(windows):
        work.publish_second(start_ns, windows[start_ns], holes)
    work.publish_minutes(work.venue, {feed.closed_ns, *work.touched}, closed_ns, holes)
    if closed_ns == feed.closed_ns:
        return feed
    remaining = {start_ns: window for start_ns, window in feed.open.items() if start_ns >= closed_ns}
    unsure = [span for span in feed.unsure if span[1] > closed_ns]
    return _replace(feed, closed_ns=closed_ns, open=remaining, unsure=unsure)


def _quiet(feed: Feed, closed_ns: int) -> Iterator[int]:
    """The seconds that close now and in which the feed was alive and nothing is known to be missing."""
    at_ns = feed.closed_ns
    for from_ns, until_ns in [*feed.unsure, (closed_ns, closed_ns)]:
        for start_ns in range(at_ns, min(window_start_ns(from_ns, NS_PER_SECOND), closed_ns), NS_PER_SECOND):
            if not any(hole.overlaps(start_ns, start_ns + NS_PER_SECOND) for hole in feed.gaps.values()):
                yield start_ns
        at_ns = max(at_ns, window_start_ns(until_ns, NS_PER_SECOND) + NS_PER_SECOND)
