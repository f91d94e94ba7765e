"""The simulator over real sockets: recordings served by channel, faults that fire and are counted, early errors."""

import asyncio
import json
import os
import signal
import sys
import time
import urllib.request
from collections import Counter
from decimal import Decimal
from itertools import islice
from pathlib import Path

import msgspec
import pytest
import websockets
from simulated import PATIENCE_S, read, serving, trades_of

from sofia_streams.capture import CapturedFrame, CaptureWriter, read_capture
from sofia_streams.errors import BadCapture, ConfigError, DependencyDown
from sofia_streams.model import Control
from sofia_streams.ops.simulate import checked_market, checked_plan, checked_speed, generated, recorded, simulate, taped
from sofia_streams.simulator.channels import asked, carried
from sofia_streams.simulator.faults import Faults, parse_faults
from sofia_streams.simulator.playback import in_a_row, listed_in, paced, played
from sofia_streams.venues.registry import VENUES

ROOT = Path(__file__).parents[2]
CAPTURES = ROOT / "tests" / "captures"
OKX = CAPTURES / "okx-spot-mixed6-20210722.jsonl.gz"
BYBIT = CAPTURES / "bybit-linear-mixed4-20260809.jsonl.gz"
EXCHANGE = CAPTURES / "coinbase-spot-mixed10-20210417-part1.jsonl.gz"
ADVANCED = CAPTURES / "coinbase-spot-btcusd_ethusd-20260809-part1.jsonl.gz"
PLAN = checked_plan("binance,okx,coinbase,bybit", "BTC/USDT,ETH/USDT", 400.0, even=True)


def recorded_trades(path):
    """(listing, trade) of every distinct trade of a recording."""
    frames = [frame for frame in read_capture(path) if frame.direction == "in"]
    return {found for frame in frames for found in trades_of(frame.venue, frame.frame)}


def advanced(channel, products):
    return json.dumps({"type": "subscribe", "product_ids": products, "channel": channel})


@pytest.mark.parametrize(("path", "place"), [(OKX, "okx/spot"), (BYBIT, "bybit/linear"), (EXCHANGE, "coinbase/spot")])
async def test_a_recording_at_full_speed_gives_a_subscriber_every_trade(path, place):
    venue, _, market = place.partition("/")
    source = recorded([path], speed=None)
    listings = sorted(source.listed[venue, market])
    async with serving(source) as (port, running):
        frames = await read(port, place, VENUES[venue].requests(listings, market))
        assert {found for frame in frames for found in trades_of(venue, frame)} == recorded_trades(path)
        stats = await running
        assert sum(stats["sent"].values()) >= len(recorded_trades(path))


async def test_the_other_feed_of_coinbase_has_its_own_path():
    source = recorded([ADVANCED, EXCHANGE], speed=None)
    assert set(source.listed) == {("coinbase", "spot/advanced"), ("coinbase", "spot")}
    products = ["BTC-USD", "ETH-USD"]
    async with serving(source) as (port, _):
        frames = await read(port, "coinbase/spot/advanced", [advanced("market_trades", products)])
    assert {found for frame in frames for found in trades_of("coinbase", frame)} == recorded_trades(ADVANCED)
    channels = Counter(json.loads(frame)["channel"] for frame in frames)
    assert set(channels) == {"subscriptions", "market_trades"}


async def test_a_product_that_the_other_feed_does_not_list_is_an_error():
    async with serving(recorded([ADVANCED], speed=None)) as (port, _):
        request = advanced("market_trades", ["NOPE-USD"])
        (frame,) = await read(port, "coinbase/spot/advanced", [request], enough=len)
    assert "NOPE-USD" in frame
    assert json.loads(frame)["type"] == "error"


async def test_a_client_gets_only_what_it_asked_for():
    request = '{"op":"subscribe","args":["publicTrade.BTCUSDT"]}'
    async with serving(recorded([BYBIT], speed=None)) as (port, _):
        ack, *frames = await read(port, "bybit/linear", [request])
    assert json.loads(ack)["op"] == "subscribe"
    assert {json.loads(frame)["topic"] for frame in frames} == {"publicTrade.BTCUSDT"}
    wanted = {found for found in recorded_trades(BYBIT) if found[0] == "BTCUSDT"}
    assert {found for frame in frames for found in trades_of("bybit", frame)} == wanted


async def test_a_live_market_sends_only_the_channel_that_was_asked_for():
    request = '{"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":1}'
    async with serving(generated(PLAN)) as (port, _):
        _, *frames = await read(port, "binance/spot", [request], enough=lambda found: len(found) > 300)
    assert {json.loads(frame)["stream"] for frame in frames} == {"btcusdt@trade"}


async def test_only_a_client_that_asked_for_heartbeats_gets_them():
    def request(channels):
        return json.dumps({"type": "subscribe", "product_ids": ["BTC-USDT"], "channels": channels})

    slow = generated(checked_plan("coinbase", "BTC/USDT", 1.0, even=True))
    async with serving(slow) as (port, _):
        beating, quiet = await asyncio.gather(
            read(port, "coinbase/spot", [request(["heartbeat"])], enough=lambda found: len(found) > 2),
            read(port, "coinbase/spot", [request(["ticker"])], enough=lambda found: len(found) > 4),
        )
    assert {json.loads(frame)["type"] for frame in beating} == {"subscriptions", "heartbeat"}
    assert {json.loads(frame)["type"] for frame in quiet} == {"subscriptions", "ticker"}


@pytest.mark.parametrize("path", [OKX, BYBIT, EXCHANGE, ADVANCED])
def test_what_the_recording_says_about_itself_is_not_sent_again(path):
    for sent in played(read_capture(path)):
        for text, channels in sent.frames:
            found = VENUES[sent.venue].parse(text.encode(), received_ns=0)
            assert found
            assert not all(isinstance(one, Control) for one in found)
            assert len(channels) == 1


def test_a_frame_that_three_connections_had_is_sent_once():
    frames = [frame for frame in read_capture(OKX) if frame.direction == "in"]
    sent = [text for one in played(frames) for text, _ in one.frames]
    assert len(sent) == len(set(sent))
    assert len(sent) < len({(frame.connection, frame.frame) for frame in frames})


def test_a_frame_nobody_understands_goes_to_every_subscriber_of_its_place():
    (sent,) = played([CapturedFrame(5, "binance", "spot", "c", "in", "\x00garbage")])
    assert sent.frames == [("\x00garbage", frozenset())]


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("market", ["spot", "linear"])
def test_what_ingest_asks_for_is_what_trades_are_sent_on(venue, market):
    listing = VENUES[venue].to_listing("BTC/USDT", market)
    requests = VENUES[venue].requests([listing], market)
    channels = {one.channel for request in requests for one in asked(venue, request) if one.listing == listing}
    events = islice(generated(checked_plan(venue, "BTC/USDT", 10.0)).sent(), 100)
    if market == "spot":
        assert {channel for sent in events for _, carries in sent.frames for channel in carries} <= channels
    else:
        trade = {"binance": "btcusdt@aggTrade", "okx": "trades:BTC-USDT-SWAP", "bybit": "publicTrade.BTCUSDT"}
        assert venue == "coinbase" or trade[venue] in channels


def test_raw_binance_frames_belong_to_the_stream_they_would_be_wrapped_in():
    assert carried("binance", '{"e":"aggTrade","s":"BTCUSDT"}') == {"btcusdt@aggTrade"}
    assert carried("binance", '{"e":"24hrMiniTicker","s":"BTCUSDT"}') == {"btcusdt@miniTicker"}
    assert carried("binance", '{"u":1,"s":"BTCUSDT"}') == {"btcusdt@bookTicker"}
    assert carried("binance", "[]") == carried("okx", "pong") == carried("coinbase", '{"type":"error"}') == frozenset()


def test_a_recording_keeps_its_pace_and_loops_without_going_back():
    runs = [list(played(read_capture(BYBIT))) for _ in range(3)]
    whole = list(paced(in_a_row(runs), start_ns=1_000, speed=10.0))
    times = [sent.at_ns for sent in whole]
    assert len(whole) == 3 * len(runs[0])
    assert times == sorted(times)
    span_ns = runs[0][-1].at_ns - runs[0][0].at_ns
    assert times[0] == 1_000
    assert times[-1] - times[0] == pytest.approx((3 * span_ns + 2e9) / 10, rel=1e-6)
    assert [sent.frames for sent in whole[: len(runs[0])]] == [sent.frames for sent in whole[-len(runs[0]) :]]


async def test_a_looped_recording_goes_on_after_its_end():
    count = len(recorded_trades(EXCHANGE))
    source = recorded([EXCHANGE], speed=None, loop=True)
    requests = VENUES["coinbase"].requests(sorted(source.listed["coinbase", "spot"]), "spot")
    async with serving(source) as (port, _):
        frames = await read(port, "coinbase/spot", requests, enough=lambda found: len(found) > 6 * count)
    found = Counter(one for frame in frames for one in trades_of("coinbase", frame))
    assert set(found) == recorded_trades(EXCHANGE)
    assert max(found.values()) > 1


def test_a_cut_recording_is_refused_before_anything_is_served(tmp_path):
    path = tmp_path / "cut.jsonl.gz"
    path.write_bytes(OKX.read_bytes()[:-200])
    with pytest.raises(BadCapture, match="cut or damaged"):
        recorded([OKX, path])
    with pytest.raises(BadCapture, match="cut or damaged"):
        taped(PLAN, [path])


def test_a_recording_that_says_nothing_of_an_instrument_is_refused(tmp_path):
    path = tmp_path / "acks.jsonl.gz"
    with CaptureWriter(path) as capture:
        capture.write(CapturedFrame(1, "okx", "spot", "c", "in", "pong"))
    assert listed_in(read_capture(path)) == {}
    with pytest.raises(BadCapture, match="found none"):
        recorded([path])


async def test_a_path_that_is_not_served_is_closed_with_the_list_of_those_that_are():
    async with serving(generated(PLAN)) as (port, _):
        socket = await websockets.connect(f"ws://127.0.0.1:{port}/kraken/spot")
        with pytest.raises(websockets.ConnectionClosedError) as caught:
            await socket.recv()
    assert caught.value.rcvd.code == 1008
    assert "/okx/spot" in caught.value.rcvd.reason


async def test_a_taken_port_is_an_error_that_names_it():
    async with serving(generated(PLAN)) as (port, _):
        with pytest.raises(DependencyDown, match=f"{port}.*--port"):
            await simulate(generated(PLAN), port=port, faults={}, say=lambda text: None)


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


def test_speeds_and_markets_are_checked():
    assert checked_speed("max") is None
    assert checked_speed("2.5") == 2.5
    for text in ("0", "-1", "nan", "inf", "fast"):
        with pytest.raises(ConfigError, match="--speed"):
            checked_speed(text)
    assert checked_market(None, []) == "generated"
    assert checked_market(None, [OKX]) == "recorded"
    assert checked_market("tape", [OKX]) == "tape"
    for market, paths in (("recorded", []), ("generated", [OKX])):
        with pytest.raises(ConfigError, match="--market"):
            checked_market(market, paths)


async def test_the_command_ends_on_ctrl_c_with_its_counts_as_json():
    command = [*(sys.executable, "-m", "sofia_streams.cli", "simulate", "--market", "tape"), "--port", "0", "--json"]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env={**os.environ, "PYTHONUNBUFFERED": "1"}, stdout=-1, stderr=-1
    )
    async with asyncio.timeout(PATIENCE_S):
        port = 0
        while not port:
            line = (await process.stderr.readline()).decode()
            assert line, "the simulator ended early"
            port = int(line.rpartition(":")[2]) if "SIMULATOR_URL" in line else 0
        requests = VENUES["bybit"].requests(["BTCUSDT"], "spot")
        await read(port, "bybit/spot", requests, enough=lambda found: len(found) > 9)
        process.send_signal(signal.SIGINT)
        out, _ = await process.communicate()
    assert process.returncode == 0
    stats = json.loads(out)
    assert stats["served"] == 1
    assert stats["fired"] == {}
    assert stats["sent"]["bybit|spot|BTCUSDT"] > 0


async def test_the_numbers_a_client_reads_are_those_of_the_market():
    async with serving(generated(PLAN)) as (port, _):
        frames = await read(port, "okx/spot", OK_REQUESTS, enough=lambda found: len(found) > 500)
    for _, trade in (found for frame in frames for found in trades_of("okx", frame)):
        assert Decimal(10) < trade.price < Decimal(100_000)
