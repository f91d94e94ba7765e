"""Live ingest against the simulator over real sockets: nothing lost that was sent, reconnects, renewals, bad frames."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import serve

from sofia_streams.codec import Quarantined
from sofia_streams.errors import ConfigError
from sofia_streams.ingest import connection
from sofia_streams.ingest.connection import Feed, Pace, Shard
from sofia_streams.ingest.intake import Intake
from sofia_streams.ingest.live import LiveDesk
from sofia_streams.model import Control, TradeBatch
from sofia_streams.simulator.faults import parse_faults
from sofia_streams.simulator.market import Market, Plan
from sofia_streams.simulator.server import Exchanges, encoded
from sofia_streams.venues.registry import VENUES

PAIRS = ("BTC/USDT", "ETH/USDT")
PATIENCE_S = 20.0


class Kept:
    """A log in memory."""

    def __init__(self):
        self.records = []

    async def put(self, record):
        self.records.append(record)

    def ids(self, venue):
        batches = [record for record in self.records if isinstance(record, TradeBatch) and record.venue == venue]
        return [(batch.symbol, int(trade.trade_id)) for batch in batches for trade in batch.trades]


async def until(true):
    deadline_s = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline_s, "waited too long"
        await asyncio.sleep(0.02)


@asynccontextmanager
async def market(venue, faults=(), rate=200.0, desk_class=LiveDesk):
    generated = Market(Plan((venue,), PAIRS, rate, even=True), time.time_ns())
    listed = frozenset(instrument.listing for instrument in generated.instruments.values())
    exchanges = Exchanges({(venue, "spot"): listed}, parse_faults(faults))
    log = Kept()
    async with serve(exchanges.serve, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        shard = Shard(venue, "spot", f"{venue}-0", sorted(listed), f"ws://127.0.0.1:{port}/{venue}/spot")
        feed = Feed(shard, desk_class(Intake(), log), Pace(100))
        tasks = [asyncio.create_task(feed.run()), asyncio.create_task(exchanges.run(encoded(generated.events())))]
        try:
            yield feed, log
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("venue", VENUES)
async def test_every_trade_sent_since_the_first_arrives_once_in_order(venue):
    async with market(venue) as (feed, log):
        await until(lambda: len(log.ids(venue)) > 200)
        for symbol in PAIRS:
            ids = [number for name, number in log.ids(venue) if name == symbol]
            assert ids == list(range(ids[0], ids[0] + len(ids)))
        assert feed.reconnects == 0


@pytest.mark.parametrize("venue", VENUES)
async def test_a_cut_connection_is_opened_again_and_repeated_trades_are_dropped(venue, monkeypatch):
    monkeypatch.setattr(connection, "pause_s", lambda failures: 0.01)
    async with market(venue, ["disconnect=0.01", "duplicate=0.2"]) as (feed, log):
        await until(lambda: feed.reconnects >= 3 and len(log.ids(venue)) > 200)
        ids = log.ids(venue)
        assert len(ids) == len(set(ids))


async def test_frames_that_nobody_understands_are_quarantined_and_the_stream_goes_on():
    async with market("binance", ["malformed=0.1", "reorder=0.1"]) as (feed, log):
        await until(lambda: len(log.ids("binance")) > 200)
        bad = [record for record in log.records if isinstance(record, Quarantined)]
        assert bad
        assert all("NaN" in record.data for record in bad)
        assert feed.reconnects == 0


async def test_a_renewed_connection_loses_nothing():
    class Shutdown(LiveDesk):
        """As the desk, but the venue announces once that it will close."""

        announced = False

        async def take(self, line, frame, now_ns):
            controls = await super().take(line, frame, now_ns)
            if not self.announced and len(self._log.ids("binance")) > 50:
                self.announced = True
                return [*controls, Control("notice", "serverShutdown", reconnect=True)]
            return controls

    async with market("binance", desk_class=Shutdown) as (feed, log):
        await until(lambda: feed.reconnects == 1 and len(log.ids("binance")) > 600)
        for symbol in PAIRS:
            ids = [number for name, number in log.ids("binance") if name == symbol]
            assert sorted(ids) == list(range(min(ids), min(ids) + len(ids)))


async def test_an_unreachable_venue_is_tried_again_and_stays_down(monkeypatch):
    pauses = []
    monkeypatch.setattr(connection, "pause_s", lambda failures: pauses.append(failures) or 0.01)
    shard = Shard("okx", "spot", "okx-0", ["BTC-USDT"], "ws://127.0.0.1:9/okx/spot")
    feed = Feed(shard, LiveDesk(Intake(), Kept()), Pace(100))
    task = asyncio.create_task(feed.run())
    await until(lambda: len(pauses) >= 3)
    assert pauses[:3] == [1, 2, 3]
    assert feed.down_since_s is not None
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_pauses_grow_to_a_cap():
    assert all(0 <= connection.pause_s(0) <= 1 for _ in range(100))
    assert all(0 <= connection.pause_s(99) <= 60 for _ in range(100))
    assert max(connection.pause_s(99) for _ in range(200)) > 30


@pytest.mark.parametrize("text", ["drop", "drop=2", "explode=0.5", "drop=x", "drop=-1"])
def test_a_wrong_fault_is_refused(text):
    with pytest.raises(ConfigError, match="--fault"):
        parse_faults([text])


def test_the_same_seed_gives_the_same_market():
    plan = Plan(tuple(VENUES), PAIRS, 100.0)
    first, second = (Market(plan, 1_700_000_000_000_000_000).events() for _ in range(2))
    events = [next(first) for _ in range(2_000)]
    assert events == [next(second) for _ in range(2_000)]
    assert [event.at_ns for event in events] == sorted(event.at_ns for event in events)
