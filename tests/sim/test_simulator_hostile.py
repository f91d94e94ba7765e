"""What a client may send to the simulator: any text, any query, a bomb; the others are served as before."""

import asyncio
import json
import zlib
from functools import cache

import pytest
import websockets
from simulated import PATIENCE_S, serving, trades_of
from websockets.exceptions import ConnectionClosed

from sofia_streams.ops.simulate import checked_plan, generated
from sofia_streams.simulator import channels
from sofia_streams.simulator.market import Market, Plan
from sofia_streams.simulator.rest import Rest
from sofia_streams.venues.registry import VENUES

pytestmark = pytest.mark.slow
NESTED = "[" * 100_000
TEXTS = {
    "a nest": NESTED,
    "a nest in an argument": f'{{"op":"subscribe","args":{NESTED}',
    "a name that is a list": '{"op":"subscribe","args":[{"channel":"trades","instId":[]}]}',
    "a name that is an object": '{"op":"subscribe","args":[{"channel":"trades","instId":{}}]}',
    "a name that is a number": '{"op":"subscribe","args":[{"instId":5}],"params":[5],"product_ids":[5]}',
    "no object": '"subscribe"',
    "nothing": "",
    "no JSON": "\x00",
    "a number of 5,000 digits": '{"id":' + "9" * 5_000 + "}",
    "a key twice": '{"op":"subscribe","op":"ping","method":"SUBSCRIBE","method":[]}',
}
TARGETS = [
    "http://[", "//[x", "/", "", "*", "/okx", "/okx/api/../..", "/okx/api/v5/market/candles",
    "/okx/api/v5/market/candles?instId=BTC-USDT&after=99999999999999999999",
    "/okx/api/v5/market/candles?instId=BTC-USDT&after=-1&limit=0",
    "/okx/api/v5/market/candles?instId=BTC-USDT&limit=１２",
    "/coinbase/products/BTC-USDT/candles?start=0001-01-01T00:00:00",
    "/coinbase/products/BTC-USDT/candles?start=0001-01-01T00:00:00%2B23:59&end=9999-12-31T23:59:59-23:59",
    "/coinbase/products/BTC-USDT/candles?start=never", "/coinbase/products/../../etc/passwd/candles",
    "/binance/api/v3/aggTrades?symbol=BTCUSDT&startTime=99999999999999999999&endTime=0",
    "/binance/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=1e9",
    "/bybit/v5/market/kline?category=spot" + "&a=b" * 1_000,
]  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("venue", VENUES)
def test_any_text_of_a_client_gets_an_answer_and_subscribes_to_nothing(venue, name):
    for market in ("spot", channels.ADVANCED) if venue == "coinbase" else ("spot",):
        answer = channels.answer(venue, market, TEXTS[name], frozenset({"BTC-USDT", "BTCUSDT"}))
        assert list(answer.symbols) == []
        assert all(len(frame) < 300_000 for frame in answer.frames)
        channels.asked(venue, TEXTS[name])


@pytest.mark.parametrize("target", TARGETS)
def test_any_query_gets_a_json_answer_or_is_no_path_of_a_venue(target):
    rest = Rest(Market(Plan(tuple(VENUES), ("BTC/USDT",), 1.0, 1), 10**18).instruments.values())
    reply = rest.answer(target)
    assert reply is None or (json.loads(reply.body) is not None and reply.status in (200, 400, 404))


def market():
    return generated(checked_plan(",".join(VENUES), "BTC/USDT", 200.0))


async def is_served(port):
    """Whether a client that asks properly gets trades."""
    async with asyncio.timeout(PATIENCE_S), websockets.connect(f"ws://127.0.0.1:{port}/okx/spot") as socket:
        for text in VENUES["okx"].requests(["BTC-USDT"], "spot"):
            await socket.send(text)
        async for frame in socket:
            if trades_of("okx", frame):
                return True
    return False


async def test_a_client_that_sends_hostile_texts_keeps_its_connection_and_others_are_served():
    async with serving(market()) as (port, _):
        for venue in VENUES:
            async with asyncio.timeout(PATIENCE_S), websockets.connect(f"ws://127.0.0.1:{port}/{venue}/spot") as socket:
                for text in TEXTS.values():
                    await socket.send(text)
                await socket.send(b"\xff\xfe")
                await (await socket.ping())
        assert await is_served(port)


@cache
def bomb(size):
    press = zlib.compressobj(9, wbits=-15)
    body = b"".join(press.compress(b"0" * 2**20) for _ in range(size // 2**20)) + press.flush(zlib.Z_SYNC_FLUSH)
    return body[:-4]


def masked(body):
    """A compressed text frame as a client sends it, with a mask of zeros."""
    return b"\xc1" + bytes([0x80 | 127]) + len(body).to_bytes(8, "big") + bytes(4) + body


async def test_a_message_that_would_grow_to_a_gibibyte_is_refused_since_compression_is_never_agreed():
    async with serving(market()) as (port, _):
        async with websockets.connect(f"ws://127.0.0.1:{port}/okx/spot", compression="deflate") as socket:
            assert socket.protocol.extensions == []
            socket.transport.write(masked(bomb(2**30)))
            async with asyncio.timeout(PATIENCE_S):
                await socket.wait_closed()
            assert socket.close_code == 1002
        assert await is_served(port)


@pytest.mark.parametrize("more", [1, 2, 3])
async def test_a_compressed_message_a_little_over_the_limit_is_refused_and_never_cut(more):
    """A release of websockets cut such messages; see the floor in pyproject.toml."""
    taken = []

    async def keep(socket):
        async for message in socket:
            taken.append(message)

    text = "".join(chr(33 + number * number % 94) for number in range(50_000 + more))
    async with websockets.serve(keep, "127.0.0.1", 0, max_size=50_000) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with asyncio.timeout(PATIENCE_S), websockets.connect(f"ws://127.0.0.1:{port}") as socket:
            await socket.send(text[:50_000])
            with pytest.raises(ConnectionClosed):
                await socket.send(text)
                await socket.recv()
            assert socket.close_code == 1009
    assert taken == [text[:50_000]]
