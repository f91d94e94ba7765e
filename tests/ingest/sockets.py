"""Shared by the tests of live sockets: a log in memory, a venue that does what a test says, a feed on it."""

import asyncio
import time
from contextlib import asynccontextmanager

from websockets.asyncio.server import serve

from sofia_streams.ingest.intake import Intake
from sofia_streams.ingest.sockets.connection import Feed
from sofia_streams.ingest.sockets.live import LiveDesk
from sofia_streams.ingest.sockets.pace import Pace
from sofia_streams.ingest.sockets.shards import Shard
from sofia_streams.model import Gap, Quarantined, TradeBatch
from sofia_streams.venues.registry import VENUES

PATIENCE_S = 60.0


class Kept:
    """A log in memory."""

    def __init__(self):
        self.records = []
        self.reports = []
        self.alerts = []

    async def put(self, record):
        self.records.append(record)

    async def report(self, progress):
        self.reports.append(progress)

    async def alert(self, alert):
        self.alerts.append(alert)

    def gaps(self, symbol, cause):
        """The gaps of an instrument as they were said last."""
        said = [one for one in self.records if isinstance(one, Gap) and (one.symbol, one.cause) == (symbol, cause)]
        return list({gap.gap_id: gap for gap in said}.values())

    def ids(self, venue):
        batches = [record for record in self.records if isinstance(record, TradeBatch) and record.venue == venue]
        return [(batch.symbol, int(trade.trade_id)) for batch in batches for trade in batch.trades]

    def reasons(self):
        return [record.reason for record in self.records if isinstance(record, Quarantined)]


async def until(true):
    """Wait for a condition."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline_s, "waited too long"
        await asyncio.sleep(0.01)


@asynccontextmanager
async def listening(handler, **options):
    """The address of a server that hands each client to `handler`."""
    async with serve(handler, "127.0.0.1", 0, **options) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


@asynccontextmanager
async def feeding(url, venue="binance", listings=("BTCUSDT",), desk=None, log=None):
    """A feed that runs, and its log."""
    log = log or Kept()
    desk = desk or LiveDesk(Intake(), log)
    feed = Feed(Shard(venue, "spot", f"{venue}-0", listings, url, f"{venue}-0"), desk, Pace(1_000), desk.refuse)
    task = asyncio.create_task(feed.run())
    try:
        yield feed, log
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def trade_frame(number, listing="BTCUSDT", at_ms=None, price="100"):
    """A Binance trade of now."""
    at_ms = at_ms or time.time_ns() // 1_000_000
    return (
        f'{{"stream":"{listing.lower()}@trade","data":{{"e":"trade","E":{at_ms},"s":"{listing}","t":{number},'
        f'"p":"{price}","q":"1","T":{at_ms},"m":true,"M":true}}}}'
    )


async def accept(socket, venue="binance", listed=("BTCUSDT",), requests=1):
    """Answer so many requests as the venue does."""
    for _ in range(requests):
        for frame in VENUES[venue].answer(await socket.recv(), frozenset(listed)).frames:
            await socket.send(frame)
