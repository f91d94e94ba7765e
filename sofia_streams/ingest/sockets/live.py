"""Live sockets into the log: every venue's shards connected, frames parsed and logged, progress reported each second.

One venue that cannot be reached never stops the others. Frames wait in their socket while the log is behind. What a
venue refuses or stays silent about is reported by name, in the log and in the progress.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

import structlog

from sofia_streams.core.bars.windows import instrument_key
from sofia_streams.core.feeds.skew import ClockSkew
from sofia_streams.crash_points import passing
from sofia_streams.ingest.intake import Intake, Record
from sofia_streams.ingest.line import Line
from sofia_streams.ingest.names import Names
from sofia_streams.ingest.sockets.clock import CLOCK
from sofia_streams.ingest.sockets.connection import Feed
from sofia_streams.ingest.sockets.escalation import Escalation
from sofia_streams.ingest.sockets.measures import IngestMetrics
from sofia_streams.ingest.sockets.pace import Pace
from sofia_streams.ingest.sockets.shards import instruments_of, listings_of, shards
from sofia_streams.ingest.trade_log import TradeLog
from sofia_streams.model import Alert, Control, Progress, TradeBatch
from sofia_streams.obs import metrics
from sofia_streams.settings import Settings
from sofia_streams.venues.registry import VENUES

_log = structlog.get_logger("live")
_OUTAGE_S = 10.0
_TICK_S = 1.0
_NO_DATA_S = 60.0
Carried = Mapping[str, Mapping[str, str]]
"""What each feed carries, by its name: the listing of each instrument."""


class LiveDesk:
    """Takes frames of all connections: parsed by the intake, put into the log."""

    def __init__(self, intake: Intake, log: TradeLog) -> None:
        self.intake, self._log = intake, log
        self.frames: dict[str, int] = {}

    async def requested(self, line: Line, text: str, now_ns: int) -> None:
        """Remember when the subscription was asked for."""
        self.intake.requested(line, now_ns)

    async def take(self, line: Line, frame: bytes, now_ns: int) -> list[Control]:
        """Parse and log one frame; waits while the log is behind."""
        self.frames[line.shard] = self.frames.get(line.shard, 0) + 1
        metrics.FRAMES.labels(line.venue).inc()
        records, controls = self.intake.take(line, frame, now_ns)
        passing("admitted")
        for record in records:
            _measure(record, self.intake.skews[line.venue], now_ns)
            await self._log.put(record)
        return controls

    def closed(self, line: Line) -> None:
        """Forget what was special about the connection."""
        self.intake.closed(line)

    async def refuse(self, line: Line, reason: str, now_ns: int) -> None:
        """Say in the log that a frame could not even be taken."""
        await self._log.put(self.intake.refused(line, reason, now_ns))


def _measure(record: Record, skew: ClockSkew, now_ns: int) -> None:
    if isinstance(record, TradeBatch):
        newest_ns = max(trade.exchange_ns for trade in record.trades)
        metrics.RECEIVE_LATENCY_MS.labels(record.venue).observe(skew.latency_ns(newest_ns, now_ns) / 1e6)


async def run_live(settings: Settings, intake: Intake, names: Names, log: TradeLog) -> None:
    """Connect to every configured venue and take frames for ever. Raises what the log raises."""
    desk = LiveDesk(intake, log)
    paces: dict[str, Pace] = {venue: Pace(VENUES[venue].limits.connects_per_s) for venue in settings.crypto_exchanges}
    feeds = [Feed(shard, desk, paces[shard.venue], desk.refuse) for shard in shards(settings, names)]
    carried = {feed.shard.name: listings_of(feed.shard, names) for feed in feeds}
    subscribed: dict[str, Line] = {}
    for feed in feeds:
        line = Line(feed.shard.venue, feed.shard.market, "", feed.shard.group)
        subscribed.update(dict.fromkeys(carried[feed.shard.name], line))
        intake.instruments.subscribe(instruments_of(feed.shard, names), line)
    for record in intake.begin(subscribed, CLOCK.now_ns()):
        await log.put(record)
    async with asyncio.TaskGroup() as group:
        for feed in feeds:
            group.create_task(feed.run())
        group.create_task(_tick(feeds, carried, desk, intake, names, log))


async def _tick(
    feeds: Sequence[Feed], carried: Carried, desk: LiveDesk, intake: Intake, names: Names, log: TradeLog
) -> None:
    """Each second: punctuation, venues that are out, progress."""
    declared: set[str] = set()
    drops: dict[str, int] = {}
    escalation = Escalation()
    unheard: dict[str, list[str]] = {}
    gauges = IngestMetrics()
    while True:
        await asyncio.sleep(_TICK_S)
        if moved_ns := CLOCK.adjust():
            await log.alert(_moved(feeds, intake, moved_ns))
        now_s, now_ns = time.monotonic(), CLOCK.now_ns()
        for record in intake.tick(now_ns):
            await log.put(record)
        for feed in feeds:
            await _end_outage(feeds, feed, declared, intake, log, now_s, now_ns)
            if feed.shard.name not in unheard and _has_had_time(feed, now_ns):
                unheard[feed.shard.name] = _unheard(feed, intake, names)
        watch_feeds(feeds, drops, intake, carried, now_ns)
        for feed in feeds:
            for alert in await escalation.act(feed, carried[feed.shard.name], intake.outages.levels, now_ns):
                await log.alert(alert)
        for alert in intake.changes.alerts(now_ns):
            await log.alert(alert)
        counts = intake.summary()
        gauges.show(now_s, counts, feeds, intake.skews)
        await log.report(Progress("crypto_ws", now_ns, progress(counts, feeds, desk, names, unheard)))


def _moved(feeds: Sequence[Feed], intake: Intake, by_ns: int) -> Alert:
    """The wall clock was set: everything that remembers a reading moves with it, and a person is told."""
    intake.moved(by_ns)
    for feed in feeds:
        feed.moved(by_ns)
    text = f"The clock of this machine was set by {by_ns / 1e9:+.1f} s. Trades keep the venues' times."
    _log.error("the wall clock was set", by_s=round(by_ns / 1e9, 1))
    return Alert(f"clock:{CLOCK.now_ns()}", "warning", "crypto_ws", text, CLOCK.now_ns())


def watch_feeds(feeds: Sequence[Feed], drops: dict[str, int], intake: Intake, carried: Carried, now_ns: int) -> None:
    """Tell the intake which feeds dropped and which are live; `drops` is what it was told before, by feed.

    A feed with a live line beside it was not interrupted.
    """
    for feed in feeds:
        shard = feed.shard
        is_live = any(one.down_since_s is None for one in feeds if one.shard.group == shard.group)
        instruments = carried[shard.name]
        if feed.drops != drops.get(shard.name, 0):
            drops[shard.name] = feed.drops
            beside = [one for one in feeds if one.shard.group == shard.group and one is not feed]
            if not any(one.down_since_s is None for one in beside):
                heads = [head for name in instruments if (head := intake.gaps.heads.get(name)) is not None]
                intake.outages.dropped(heads, feed.dropped_ns, now_ns)
        if is_live:
            intake.outages.resumed(instruments, now_ns)


async def _end_outage(
    feeds: Sequence[Feed], feed: Feed, declared: set[str], intake: Intake, log: TradeLog, now_s: float, now_ns: int
) -> None:
    """Say in the log, once, that the instruments of a feed and its lines are dead, so that nobody waits for them."""
    shard = feed.shard
    lines = [one.down_since_s for one in feeds if one.shard.group == shard.group]
    down_s = min(0.0 if since_s is None else now_s - since_s for since_s in lines)
    if down_s < _OUTAGE_S:
        declared.discard(shard.group)
    elif shard.group not in declared:
        declared.add(shard.group)
        for record in intake.ended(now_ns, Line(shard.venue, shard.market, "", shard.group)):
            await log.put(record)


def _has_had_time(feed: Feed, now_ns: int) -> bool:
    return feed.heard_ns != 0 and feed.down_since_s is None and now_ns - feed.first_heard_ns >= _NO_DATA_S * 1e9


def _unheard(feed: Feed, intake: Intake, names: Names) -> list[str]:
    """Listings of which nothing came: a name that a venue acknowledges but does not list stays silent."""
    silent = []
    for listing in feed.shard.listings:
        if not any(name in intake.counts for name in instruments_of(feed.shard._replace(listings=[listing]), names)):
            _log.warning("subscribed, but nothing came; is it listed?", venue=feed.shard.venue, listing=listing)
            silent.append(listing)
    return silent


def progress(
    counts: dict[str, dict[str, int]],
    feeds: Sequence[Feed],
    desk: LiveDesk,
    names: Names,
    unheard: Mapping[str, Sequence[str]],
) -> dict[str, dict[str, int]]:
    """Counts of the intake with those of each connection beside them.

    An instrument that its venue refuses has `rejected` 1, one of which nothing ever came `unheard` 1, one that is
    silent for longer than is usual for it `silent`. A venue has `delay_us`, the smallest receipt minus exchange time of
    its prints lately (negative where its clock is ahead of ours).
    """
    found = dict(counts)
    for feed in feeds:
        shard = feed.shard
        delay_ns = desk.intake.skews[shard.venue].delay_ns
        if delay_ns is not None:
            found[shard.venue] = {**found.get(shard.venue, {}), "delay_us": delay_ns // 1_000}
        found[shard.name] = {
            "connected": int(feed.down_since_s is None),
            "reconnects": feed.reconnects,
            "frames": desk.frames.get(shard.name, 0),
            "heard_ns": feed.heard_ns,
            "rejected": len(feed.rejected),
            "waiting": feed.waiting,
            "wins": counts.get(shard.name, {}).get("wins", 0),
        }
        marks = [(listing, "rejected") for listing in feed.rejected]
        marks += [(listing, "unheard") for listing in unheard.get(shard.name, []) if listing not in feed.rejected]
        for listing, mark in marks:
            name = instrument_key(shard.venue, shard.market, names.unified(shard.venue, shard.market, listing))
            if mark == "rejected" or name not in counts:
                found[name] = {**found.get(name, {}), mark: 1}
    for name, level in desk.intake.outages.levels.items():
        found[name] = {**found.get(name, {}), "silent": level}
    return found
