"""Faults of the simulator over real sockets: they fire, are counted, and show at the client."""

import asyncio
import time
import urllib.request

import msgspec
import pytest
from simulated import PATIENCE_S, read, serving, trades_of

from sofia_streams.errors import ConfigError
from sofia_streams.ops.simulate import checked_plan, generated
from sofia_streams.simulator.faults import Faults, parse_faults
from sofia_streams.venues.registry import VENUES

pytestmark = pytest.mark.slow
PLAN = checked_plan("binance,okx,coinbase,bybit", "BTC/USDT,ETH/USDT", 400.0, even=True)
OK_REQUESTS = VENUES["okx"].requests(["BTC-USDT", "ETH-USDT"], "spot")


async def stats_of(port):
    def get():
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats", timeout=PATIENCE_S) as answer:
            return answer.headers["Content-Type"], msgspec.json.decode(answer.read())

    kind, stats = await asyncio.to_thread(get)
    assert kind == "application/json"
    return stats


async def test_every_fault_fires_is_counted_and_shows_at_the_client():
    faults = parse_faults(["drop=0.05", "duplicate=0.05", "reorder=0.05", "malformed=0.05", "late=0.05:0.3"])
    async with serving(generated(PLAN), faults) as (port, _):
        frames = await read(port, "okx/spot", OK_REQUESTS, enough=lambda found: len(found) > 1_500)
        stats = await stats_of(port)
    assert all(count > 20 for count in stats["fired"].values())
    assert set(stats["fired"]) == set(faults)
    garbage = [frame for frame in frames if "NaN" in frame]
    assert abs(len(garbage) - stats["fired"]["malformed"]) <= 5
    ids = [int(t.trade_id) for f in frames if "NaN" not in f for name, t in trades_of("okx", f) if name == "BTC-USDT"]
    assert len(ids) > len(set(ids))
    assert set(range(min(ids), max(ids))) - set(ids)
    assert ids != sorted(ids)


async def test_a_client_is_cut_off_and_the_next_one_is_served():
    async with serving(generated(PLAN), parse_faults(["disconnect=0.02"])) as (port, _):
        for _ in range(3):
            assert await read(port, "okx/spot", OK_REQUESTS)
        assert (await stats_of(port))["fired"] == {"disconnect": 3}


async def test_a_stall_is_as_long_as_asked_and_loses_nothing():
    faults = parse_faults(["stall=0.01:0.2"])
    async with serving(generated(PLAN), faults) as (port, _):
        frames = await read(port, "okx/spot", OK_REQUESTS, enough=lambda found: len(found) > 800)
        assert (await stats_of(port))["fired"]["stall"] > 0
    ids = [int(trade.trade_id) for f in frames for name, trade in trades_of("okx", f) if name == "BTC-USDT"]
    assert ids == list(range(ids[0], ids[0] + len(ids)))


async def test_clocks_of_the_exchanges_can_be_ahead():
    async with serving(generated(PLAN, skew_s=30.0)) as (port, _):
        frames = await read(port, "okx/spot", OK_REQUESTS, enough=lambda found: any(map(is_trade, found)))
    (_, trade) = trades_of("okx", next(filter(is_trade, frames)))[0]
    assert 25 < trade.exchange_ns / 1e9 - time.time() < 31


def is_trade(frame):
    return bool(trades_of("okx", frame))


def test_the_same_seed_hurts_the_same_frames():
    def hurt(seed):
        fired = dict.fromkeys(("drop", "duplicate"), 0)
        faults = Faults(parse_faults(["drop=0.2", "duplicate=0.2"]), seed, fired)
        return [faults.apply(str(number)).frames for number in range(500)], fired

    assert hurt(1) == hurt(1)
    assert hurt(1) != hurt(2)
    assert all(50 < count < 150 for count in hurt(1)[1].values())


def test_reordered_frames_change_places_and_none_is_lost():
    faults = Faults(parse_faults(["reorder=0.5"]), 1, {"reorder": 0})
    sent = [frame for number in range(100) for frame in faults.apply(str(number)).frames]
    assert sent != sorted(sent, key=int)
    assert set(range(99)) <= set(map(int, sent))
    assert len(sent) == len(set(sent))


@pytest.mark.parametrize(
    "text",
    ["drop=nan", "drop=1.01", "drop=0.1:3", "late=0.1:0", "late=0.1:-1", "late=0.1:x", "stall=0.1:inf", "=0.1", "late"],
)
def test_a_wrong_fault_is_refused(text):
    with pytest.raises(ConfigError, match="--fault"):
        parse_faults([text])
