"""Our minutes beside the venue's own candles: every pair is compared, over one client, and one's trouble is its own."""

from contextlib import asynccontextmanager
from decimal import Decimal

import msgspec
import pytest
from rest_server import serving_rest

from sofia_streams.core.ohlcv import bar_of, sums_of
from sofia_streams.ingest.names import Names
from sofia_streams.ingest.rest import kline_check
from sofia_streams.ingest.rest.backfill import LINE, Backfill
from sofia_streams.ingest.rest.kline_check import KlineCheck
from sofia_streams.model import NS_PER_MINUTE, NS_PER_SECOND, Gap
from sofia_streams.settings import Settings
from sofia_streams.simulator.instrument import Instrument
from sofia_streams.simulator.rest import Rest

pytestmark = pytest.mark.slow
START_NS = 1_767_225_600 * NS_PER_SECOND
NOW_NS = START_NS + NS_PER_MINUTE + 10 * NS_PER_SECOND
PAIRS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
LOST = Decimal("0.000007")
"""Seven lots of every pair were traded at the venue and did not reach us."""


class Log(list):
    async def put(self, record):
        self.append(record)


class Scene:
    """A check of Bybit's pairs, whose last trade of the minute we lack; `opened` and `closed` count clients."""

    def __init__(self, folder):
        self.rest = Rest([Instrument("bybit", pair, START_NS) for pair in PAIRS])
        self.log, self.bars, self.folder = Log(), [], folder
        self.opened = self.closed = 0
        self.was_at_work_ns, self.all, self.ours, self.known = None, {}, {}, []
        for pair in PAIRS:
            instrument, trades = Instrument("bybit", pair, START_NS), []
            for second, lots in enumerate((5, 11, 7)):
                said = instrument.print(START_NS + second * NS_PER_SECOND, instrument.last, lots, "buy")
                self.rest.add("bybit", said)
                trades.append(said.trade)
            self.all[pair], self.ours[pair] = trades, trades[:2]
            self.note(pair, trades[:2])

    def note(self, pair, trades):
        """A minute as our own log has it."""
        place = {"venue": "bybit", "market": "spot", "symbol": pair, "size_ns": NS_PER_MINUTE, "start_ns": START_NS}
        self.bars.append(bar_of(sums_of(trades, "bybit"), **place))

    async def compare(self, port, now_ns=NOW_NS):
        settings = Settings(simulator_url=f"ws://127.0.0.1:{port}", data_dir=self.folder)
        backfill = Backfill(settings, Names(), self.log)
        for gap in self.known:
            backfill.note(gap)
        check = KlineCheck(settings, backfill, lambda: self.was_at_work_ns)
        for bar in self.bars:
            check.note(bar)
        await check.compare_all(lambda: now_ns)
        return {record.symbol: record.missing_volume for record in self.log if isinstance(record, Gap)}


@pytest.fixture
def scene(monkeypatch, tmp_path):
    found, real = Scene(tmp_path), kline_check.open_rest

    @asynccontextmanager
    async def counted(*place):
        found.opened += 1
        async with real(*place) as rest:
            yield rest
        found.closed += 1

    async def was_subscribed(*stretch):
        return True

    monkeypatch.setattr(kline_check, "open_rest", counted)
    monkeypatch.setattr(kline_check, "has_any", was_subscribed)
    return found


async def test_every_pair_is_compared_over_one_client_that_is_closed(scene):
    async with serving_rest(scene.rest) as port:
        assert await scene.compare(port) == dict.fromkeys(PAIRS, LOST)
    assert (scene.opened, scene.closed) == (1, 1)


async def test_a_pair_that_the_venue_does_not_know_costs_only_itself(scene):
    scene.bars.insert(0, msgspec.structs.replace(scene.bars[0], symbol="ZZZ/USDT"))
    async with serving_rest(scene.rest) as port:
        assert await scene.compare(port) == dict.fromkeys(PAIRS, LOST)
    assert (scene.opened, scene.closed) == (1, 1)


async def test_a_venue_that_is_down_ends_nothing(scene):
    assert await scene.compare(1) == {}
    assert (scene.opened, scene.closed) == (1, 1)


async def test_a_gap_of_a_part_of_a_minute_does_not_speak_for_the_rest_of_it(scene, monkeypatch):
    """An outage of its last second, of which the venue gives no more, and seven lots that are lacking somewhere."""
    outage = Gap(
        "bybit", "spot", "BTC/USDT", received_ns=NOW_NS, line=LINE, gap_id="outage:1", cause="outage", state="open",
        from_ns=START_NS + 59 * NS_PER_SECOND, until_ns=START_NS + 61 * NS_PER_SECOND, opened_ns=NOW_NS,
    )  # fmt: skip
    async with serving_rest(scene.rest) as port:
        scene.known = [outage]
        assert "BTC/USDT" not in await scene.compare(port), "it is still being filled"
        scene.known = [msgspec.structs.replace(outage, detail="the venue gives only its last 60 trades")]
        await scene.compare(port)
    [found] = [record for record in scene.log if record.symbol == "BTC/USDT" and record.cause == "klines"]
    assert (found.from_ns, found.until_ns) == (START_NS, START_NS + NS_PER_MINUTE - 1)
    assert found.missing_volume == LOST


async def test_a_gap_that_reaches_back_beyond_what_is_compared_is_left_open(scene, monkeypatch):
    """Its newest minutes agree; what its oldest one lacked is still lacking."""
    monkeypatch.setattr(kline_check, "_BACK_MINUTES", 1)
    long_ago = Gap(
        "bybit", "spot", "BTC/USDT", received_ns=NOW_NS, line=LINE, gap_id="outage:1", cause="outage", state="open",
        from_ns=START_NS - 3 * NS_PER_MINUTE, until_ns=START_NS + NS_PER_SECOND, opened_ns=NOW_NS,
        missing_volume=Decimal(9), detail="the venue gives only its last 60 trades",
    )  # fmt: skip
    scene.known, scene.bars = [long_ago], []
    for pair in PAIRS:
        scene.note(pair, scene.all[pair])
    async with serving_rest(scene.rest) as port:
        await scene.compare(port)
    assert scene.log == []


@pytest.fixture
def only_the_log(scene, monkeypatch):
    """A process that has only begun: it has seen the bar of a later minute; the one before is in the log alone."""
    asked = []

    async def trades_between(settings, one, from_ns, until_ns):
        asked.append((one.symbol, from_ns, until_ns))
        return scene.ours[one.symbol]

    monkeypatch.setattr(kline_check, "trades_between", trades_between)
    scene.bars = [msgspec.structs.replace(bar, start_ns=START_NS + 3 * NS_PER_MINUTE) for bar in scene.bars]
    return asked


async def test_what_a_process_before_this_one_did_not_come_to_is_compared_after_the_start(scene, only_the_log):
    scene.was_at_work_ns = START_NS + 90 * NS_PER_SECOND
    async with serving_rest(scene.rest) as port:
        assert await scene.compare(port, NOW_NS + 3 * NS_PER_MINUTE) == dict.fromkeys(PAIRS, LOST)
    assert {symbol for symbol, *_ in only_the_log} == set(PAIRS)
    assert len(only_the_log) == len(PAIRS), "one reading an instrument, however many minutes"


async def test_the_very_first_process_compares_nothing_of_before_it(scene, only_the_log):
    async with serving_rest(scene.rest) as port:
        assert await scene.compare(port, NOW_NS + 3 * NS_PER_MINUTE) == {}
