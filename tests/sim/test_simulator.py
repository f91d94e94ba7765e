"""The simulator over real sockets: recordings and generated markets served by channel, early errors."""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from decimal import Decimal
from itertools import islice
from pathlib import Path

import pytest
import websockets
from simulated import PATIENCE_S, read, serving, trades_of

from sofia_streams.capture import CapturedFrame, CaptureWriter, read_capture
from sofia_streams.errors import BadCapture, ConfigError, DependencyDown
from sofia_streams.model import Control
from sofia_streams.ops.simulate import checked_market, checked_plan, checked_speed, generated, recorded, simulate, taped
from sofia_streams.simulator.channels import asked, carried
from sofia_streams.simulator.playback import in_a_row, listed_in, paced, played
from sofia_streams.venues.registry import VENUES

pytestmark = pytest.mark.slow
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
    requests = VENUES["okx"].requests(["BTC-USDT", "ETH-USDT"], "spot")
    async with serving(generated(PLAN)) as (port, _):
        frames = await read(port, "okx/spot", requests, enough=lambda found: len(found) > 500)
    for _, trade in (found for frame in frames for found in trades_of("okx", frame)):
        assert Decimal(10) < trade.price < Decimal(100_000)
