"""Live sockets into the log: every venue's shards connected, frames parsed and logged, progress reported each second.

One venue that cannot be reached never stops the others. Frames wait in their socket while the log is behind.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import structlog

from sofia_streams.codec import Progress
from sofia_streams.ingest.connection import Feed, Pace, Shard
from sofia_streams.ingest.intake import Intake, Line, Record
from sofia_streams.ingest.names import Names
from sofia_streams.ingest.trade_log import TradeLog
from sofia_streams.model import Control, TradeBatch
from sofia_streams.obs import metrics
from sofia_streams.settings import Settings
from sofia_streams.venues.registry import VENUES

_log = structlog.get_logger("live")
_OUTAGE_S = 10.0
_TICK_S = 1.0
_NO_DATA_S = 60.0


def shards(settings: Settings, names: Names) -> list[Shard]:
    """How the configured instruments are spread over connections. Raises UnknownSymbol."""
    found = []
    market = settings.crypto_market
    for venue in settings.crypto_exchanges:
        listings = [names.listing(venue, market, symbol) for symbol in settings.crypto_symbols]
        url = f"{settings.simulator_url}/{venue}/{market}" if settings.simulator_url else VENUES[venue].url(market)
        size = VENUES[venue].limits.symbols_max
        for number, first in enumerate(range(0, len(listings), size)):
            found.append(Shard(venue, market, f"{venue}-{number}", listings[first : first + size], url))
    return found


class LiveDesk:
    """Takes frames of all connections: parsed by the intake, put into the log."""

    def __init__(self, intake: Intake, log: TradeLog) -> None:
        self._intake, self._log = intake, log
        self.frames: dict[str, int] = {}

    async def requested(self, line: Line, text: str, now_ns: int) -> None:
        """Remember when the subscription was asked for."""
        self._intake.requested(line, now_ns)

    async def take(self, line: Line, frame: bytes, now_ns: int) -> list[Control]:
        """Parse and log one frame; waits while the log is behind."""
        self.frames[line.shard] = self.frames.get(line.shard, 0) + 1
        metrics.FRAMES.labels(line.venue).inc()
        records, controls = self._intake.take(line, frame, now_ns)
        for record in records:
            _measure(record, now_ns)
            await self._log.put(record)
        return controls

    def closed(self, line: Line) -> None:
        """Forget what was special about the connection."""
        self._intake.closed(line)


def _measure(record: Record, now_ns: int) -> None:
    if isinstance(record, TradeBatch):
        metrics.TRADES.labels(record.venue).inc(len(record.trades))
        metrics.STALE.labels(record.venue).inc(sum(trade.stale for trade in record.trades))
        newest_ns = max(trade.exchange_ns for trade in record.trades)
        metrics.RECEIVE_LATENCY_MS.labels(record.venue).observe((now_ns - newest_ns) / 1e6)


async def run_live(settings: Settings, intake: Intake, names: Names, log: TradeLog) -> None:
    """Connect to every configured venue and take frames for ever. Raises what the log raises."""
    desk = LiveDesk(intake, log)
    paces: dict[str, Pace] = {venue: Pace(VENUES[venue].limits.connects_per_s) for venue in settings.crypto_exchanges}
    feeds = [Feed(shard, desk, paces[shard.venue]) for shard in shards(settings, names)]
    async with asyncio.TaskGroup() as group:
        for feed in feeds:
            group.create_task(feed.run())
        group.create_task(_tick(feeds, desk, intake, names, log))


async def _tick(feeds: Sequence[Feed], desk: LiveDesk, intake: Intake, names: Names, log: TradeLog) -> None:
    """Each second: punctuation, venues that are out, progress."""
    declared: set[str] = set()
    warned: set[str] = set()
    while True:
        await asyncio.sleep(_TICK_S)
        now_s, now_ns = time.monotonic(), time.time_ns()
        for record in intake.tick(now_ns):
            await log.put(record)
        for feed in feeds:
            down_s = 0.0 if feed.down_since_s is None else now_s - feed.down_since_s
            if down_s < _OUTAGE_S:
                declared.discard(feed.shard.name)
            elif feed.shard.name not in declared:
                declared.add(feed.shard.name)
                line = Line(feed.shard.venue, feed.shard.market, "", feed.shard.name)
                for record in intake.ended(now_ns, line):
                    await log.put(record)
            if feed.shard.name not in warned and _warn_unheard(feed, intake, names, now_ns):
                warned.add(feed.shard.name)
        _show(feeds)
        await log.report(Progress("crypto_ws", now_ns, {**intake.summary(), **_status(feeds, desk)}))


def _warn_unheard(feed: Feed, intake: Intake, names: Names, now_ns: int) -> bool:
    """Whether it was time to look: a name that a venue acknowledges but does not list stays silent."""
    if feed.heard_ns == 0 or feed.down_since_s is not None or now_ns - feed.first_heard_ns < _NO_DATA_S * 1e9:
        return False
    venue, market = feed.shard.venue, feed.shard.market
    for listing in feed.shard.listings:
        if f"{venue}|{market}|{names.unified(venue, market, listing)}" not in intake.counts:
            _log.warning("subscribed, but nothing came; is it listed?", venue=venue, listing=listing)
    return True


def _show(feeds: Sequence[Feed]) -> None:
    for venue in {feed.shard.venue for feed in feeds}:
        of_venue = [feed for feed in feeds if feed.shard.venue == venue]
        metrics.CONNECTED.labels(venue).set(sum(feed.down_since_s is None for feed in of_venue))
        metrics.LAST_FRAME_SECONDS.labels(venue).set(max(feed.heard_ns for feed in of_venue) / 1e9)


def _status(feeds: Sequence[Feed], desk: LiveDesk) -> dict[str, dict[str, int]]:
    """Per connection, beside the counts per instrument."""
    return {
        feed.shard.name: {
            "connected": int(feed.down_since_s is None),
            "reconnects": feed.reconnects,
            "frames": desk.frames.get(feed.shard.name, 0),
            "heard_ns": feed.heard_ns,
        }
        for feed in feeds
    }
