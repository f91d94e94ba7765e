"""The crypto_ws part: exchange sockets in, records out, over real sockets and the simulator.

Nothing that was sent is lost or taken twice: not over reconnects, renewals and restarts. Parsers, golden frames and
hostile input have their own tests in `tests/venues` and `tests/ingest`.
"""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest
from ingest.sockets import Kept, accept, feeding, listening, trade_frame, until
from prometheus_client import REGISTRY
from websockets.asyncio.server import serve

from sofia_streams.ingest.intake import Intake
from sofia_streams.ingest.names import Names
from sofia_streams.ingest.sockets import connection, live
from sofia_streams.ingest.sockets.connection import Feed
from sofia_streams.ingest.sockets.live import LiveDesk, run_live
from sofia_streams.ingest.sockets.pace import Pace
from sofia_streams.ingest.sockets.shards import Shard
from sofia_streams.model import Control, Punctuation, Quarantined
from sofia_streams.obs import metrics
from sofia_streams.settings import Settings
from sofia_streams.simulator.faults import parse_faults
from sofia_streams.simulator.market import Market, Plan
from sofia_streams.simulator.sent import encoded
from sofia_streams.simulator.server import Exchanges
from sofia_streams.venues.registry import VENUES

pytestmark = pytest.mark.slow
PAIRS = ("BTC/USDT", "ETH/USDT")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """The same steps, closer together."""
    monkeypatch.setattr(connection, "_LOOK_S", 0.05)
    monkeypatch.setattr(live, "_TICK_S", 0.1)


@asynccontextmanager
async def market(venue, faults=(), rate=200.0, desk_class=LiveDesk):
    generated = Market(Plan((venue,), PAIRS, rate, even=True), time.time_ns())
    listed = frozenset(instrument.listing for instrument in generated.instruments.values())
    exchanges = Exchanges({(venue, "spot"): listed}, parse_faults(faults))
    log = Kept()
    async with serve(exchanges.serve, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        shard = Shard(venue, "spot", f"{venue}-0", sorted(listed), f"ws://127.0.0.1:{port}/{venue}/spot", f"{venue}-0")
        desk = desk_class(Intake(), log)
        feed = Feed(shard, desk, Pace(100), desk.refuse)
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
    monkeypatch.setattr("sofia_streams.ingest.sockets.pace.pause_s", lambda failures: 0.01)
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
    monkeypatch.setattr("sofia_streams.ingest.sockets.pace.pause_s", lambda failures: pauses.append(failures) or 0.01)
    async with feeding("ws://127.0.0.1:9/okx/spot", "okx", ["BTC-USDT"]) as (feed, _):
        await until(lambda: len(pauses) >= 3)
        assert pauses[:3] == [1, 2, 3]
        assert feed.down_since_s is not None


async def test_a_restart_goes_on_where_the_log_ends():
    """What the venue sends again is not taken again, though the process is new: the log's tail was remembered."""

    async def venue(socket):
        await accept(socket)
        for number in range(1, 101):
            await socket.send(trade_frame(number, at_ms=at_ms))
        await socket.wait_closed()

    at_ms = time.time_ns() // 1_000_000
    async with listening(venue) as url:
        async with feeding(url) as (_, log):
            await until(lambda: len(log.ids("binance")) == 100)
        intake, second = Intake(), Kept()
        for record in log.records[:60]:  # the last forty were not acknowledged
            intake.remember(record)
        desk = LiveDesk(intake, second)
        async with feeding(url, desk=desk, log=second):
            await until(lambda: len(second.ids("binance")) == 40)
    assert [number for _, number in second.ids("binance")] == list(range(61, 101))
    assert intake.summary()["binance|spot|BTC/USDT"]["duplicates"] == 60


async def test_trades_that_overlap_after_a_reconnect_are_taken_once(monkeypatch):
    monkeypatch.setattr("sofia_streams.ingest.sockets.pace.pause_s", lambda failures: 0.01)
    served = []

    async def venue(socket):
        await accept(socket)
        served.append(socket)
        first = 10 * len(served)
        for number in range(first, first + 30):
            await socket.send(trade_frame(number, at_ms=at_ms))
        if len(served) < 5:
            await socket.close()
        await socket.wait_closed()

    at_ms = time.time_ns() // 1_000_000
    async with listening(venue) as url, feeding(url) as (feed, log):
        await until(lambda: len(log.ids("binance")) == 70)
        assert sorted(number for _, number in log.ids("binance")) == list(range(10, 80))
        assert feed.reconnects == 4


def configured(url, *venues, pairs=("BTC/USDT",)):
    return Settings(crypto_exchanges=venues, crypto_symbols=pairs, simulator_url=url)


@asynccontextmanager
async def running(settings, intake):
    """All of live ingest, and its log."""
    log, names = Kept(), Names(guesses=False)
    task = asyncio.create_task(run_live(settings, intake, names, log))
    try:
        yield log
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_venue_that_cannot_be_reached_stops_no_other(monkeypatch):
    monkeypatch.setattr("sofia_streams.ingest.sockets.pace.pause_s", lambda failures: 0.01)

    async def exchanges(socket):
        venue = socket.request.path.split("/")[1]
        if venue == "okx":
            return
        await accept(socket, venue)
        for number in range(1, 51):
            await socket.send(trade_frame(number))
        await socket.wait_closed()

    async with listening(exchanges) as url, running(configured(url, "okx", "binance"), Intake()) as log:
        await until(lambda: log.reports and log.reports[-1].counts["okx-0"]["reconnects"] > 0)
        await until(lambda: log.reports[-1].counts["binance|spot|BTC/USDT"]["trades"] == 50)
        counts = log.reports[-1].counts
        assert counts["okx-0"]["connected"] == 0
        assert counts["binance-0"]["connected"] == 1


async def test_a_venue_that_goes_away_is_declared_dead_and_nothing_new_is_said_of_it(monkeypatch):
    monkeypatch.setattr(live, "_OUTAGE_S", 0.3)
    monkeypatch.setattr("sofia_streams.ingest.sockets.pace.pause_s", lambda failures: 0.01)
    served = []

    async def leaving(socket):
        served.append(socket)
        if len(served) == 1:
            await accept(socket)
            await socket.send(trade_frame(1))
            await until(lambda: log.ids("binance"))

    async with listening(leaving) as url, running(configured(url, "binance"), Intake()) as log:
        await until(lambda: any(isinstance(record, Punctuation) and not record.alive for record in log.records))
        reported = len(log.reports)
        await until(lambda: len(log.reports) > reported + 30)
        dead = [record for record in log.records if isinstance(record, Punctuation) and not record.alive]
        said = {(record.venue, record.symbol, record.exchange_ns, record.last_id) for record in dead}
        assert said == {("binance", "BTC/USDT", dead[0].exchange_ns, "1")}  # then only repeated
        assert 2 <= len(dead) <= 6


INGEST = {
    "trades": "sofia_trades_total", "frames": "sofia_frames_total", "duplicates": "sofia_duplicates_total",
    "stale": "sofia_stale_total", "late": "sofia_late_total", "refused": "sofia_refused_total",
    "parse errors": "sofia_parse_errors_total", "reconnects": "sofia_reconnects_total",
    "stale ratio": "sofia_stale_ratio", "connected": "sofia_connected", "last frame": "sofia_last_frame_seconds",
    "latency": "sofia_receive_latency_ms_count", "odd ids": "sofia_odd_ids_total",
}  # fmt: skip


def shown(name, **labels):
    return REGISTRY.get_sample_value(name, labels or {"venue": "binance"}) or 0.0


async def test_every_metric_of_ingest_is_set_by_a_run(monkeypatch):
    monkeypatch.setattr("sofia_streams.ingest.sockets.pace.pause_s", lambda failures: 0.01)
    before = {name: shown(name) for name in INGEST.values()}
    rates, waiting, served = [], [], []

    async def eventful(socket):
        await accept(socket)
        served.append(socket)
        now_ms = time.time_ns() // 1_000_000
        first = [trade_frame(number, at_ms=now_ms) for number in range(1, 21)]
        old = [trade_frame(21, at_ms=now_ms - 20_000), trade_frame(22, price="9999999"), "not json"]
        for frame in [*first, *first, *old, trade_frame(10**12)]:
            await socket.send(frame)
        if len(served) == 1:
            await socket.close()
            return
        for number in range(100, 1_000_000):  # on and on, so that there is a rate
            await socket.send(trade_frame(number))
            await asyncio.sleep(0.002)

    async with listening(eventful) as url, running(configured(url, "binance"), Intake()):

        def all_set():
            rates.append(shown("sofia_ticks_per_second"))
            waiting.append(REGISTRY.get_sample_value("sofia_queue_frames", {"venue": "binance"}))
            lasting = ("sofia_stale_ratio", "sofia_connected", "sofia_last_frame_seconds")
            grown = all(shown(name) > (0 if name in lasting else before[name]) for name in INGEST.values())
            set_aside = shown("sofia_quarantined_total", source="binance")
            return grown and max(rates) > 0 and waiting[-1] is not None and set_aside

        await until(all_set)
    assert 0 < shown("sofia_stale_ratio") < 1
    assert -1_000 < shown("sofia_clock_skew_ms") < 1_000
    assert b"sofia_ticks_per_second" in metrics.text()


def test_every_metric_of_a_venue_is_in_the_list_that_a_run_must_set():
    named = {
        sample.name
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if metric.name.startswith("sofia_") and set(sample.labels) == {"venue"}
        if not sample.name.endswith(("_created", "_sum"))
    }
    elsewhere = {"sofia_unlisted"}  # tests/ingest/test_listing_check.py
    elsewhere |= {"sofia_left_out_total"}  # tests/ingest/test_joined_prints.py
    elsewhere |= {"sofia_gaps_open", "sofia_backfilled_total", "sofia_backfill_errors_total"}  # another worker's
    here = {*INGEST.values(), "sofia_ticks_per_second", "sofia_queue_frames", "sofia_clock_skew_ms"}
    assert named <= here | elsewhere
