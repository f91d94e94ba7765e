"""A feed against venues that misbehave, over real sockets: it says what is wrong, comes back, and drops nothing."""

import asyncio
import time
from decimal import Decimal
from http import HTTPStatus

import pytest
import websockets
from scripted import hasten
from sockets import Kept, accept, feeding, listening, trade_frame, until
from websockets.exceptions import InvalidStatus

from sofia_streams.ingest.intake import Intake
from sofia_streams.ingest.names import Names
from sofia_streams.ingest.sockets import connection, live
from sofia_streams.ingest.sockets.connection import Feed
from sofia_streams.ingest.sockets.live import LiveDesk, progress
from sofia_streams.ingest.sockets.opening import FRAMES_WAITING_MAX, READ_BYTES_MAX
from sofia_streams.ingest.sockets.pace import Pace, pause_s, wait_s
from sofia_streams.ingest.sockets.shards import Shard
from sofia_streams.model import ParsedTrade, Trade
from sofia_streams.ops.look.watch import Watcher
from sofia_streams.settings import Settings
from sofia_streams.venues.registry import VENUES

pytestmark = pytest.mark.slow
PAUSE_S = pause_s


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """The same steps, closer together."""
    monkeypatch.setattr(connection, "_LOOK_S", 0.02)
    monkeypatch.setattr("sofia_streams.ingest.sockets.pace.pause_s", lambda failures: 0.01)


def limited(feed, **limits):
    feed._limits = feed._limits._replace(**limits)


async def test_a_subscription_that_nobody_answers_ends_the_connection(monkeypatch):
    monkeypatch.setattr(connection, "_ANSWER_S", 0.2)
    served = []

    async def deaf(socket):
        served.append(await socket.recv())
        await socket.wait_closed()

    async with listening(deaf) as url, feeding(url) as (feed, _):
        await until(lambda: len(served) >= 3)
        assert feed.reconnects >= 2
        assert feed.down_since_s is not None


@pytest.mark.parametrize("venue", ["okx", "coinbase", "bybit"])
async def test_a_symbol_that_the_venue_refuses_is_named_and_the_others_go_on(venue):
    good, bad = (VENUES[venue].to_listing(pair, "spot") for pair in ("BTC/USDT", "NOPE/USDT"))
    requests = VENUES[venue].requests([good, bad], "spot")

    async def picky(socket):
        await accept(socket, venue, [good], len(requests))
        await socket.wait_closed()

    async with listening(picky) as url, feeding(url, venue, [good, bad]) as (feed, log):
        await until(lambda: feed.down_since_s is None and feed.rejected)
        assert list(feed.rejected) == [bad]
        found = progress({}, [feed], LiveDesk(Intake(), log), Names(), {})
        assert found[f"{venue}-0"]["rejected"] == 1
        assert found[f"{venue}|spot|NOPE/USDT"] == {"rejected": 1}
        assert feed.reconnects == 0


async def test_a_symbol_that_the_venue_takes_but_does_not_know_is_noticed(monkeypatch):
    monkeypatch.setattr(live, "_NO_DATA_S", 0.0)

    async def silent_about_one(socket):
        await accept(socket)
        await socket.send(trade_frame(1))
        await socket.wait_closed()

    log, intake, names = Kept(), Intake(), Names()
    listings = [names.listing("binance", "spot", pair) for pair in ("BTC/USDT", "ZZZ/USDT")]
    desk = LiveDesk(intake, log)
    async with listening(silent_about_one) as url, feeding(url, "binance", listings, desk, log) as (feed, _):
        await until(lambda: log.ids("binance"))
        assert live._has_had_time(feed, time.time_ns())
        silent = live._unheard(feed, intake, names)
        assert silent == ["ZZZUSDT"]
        found = progress(intake.summary(), [feed], desk, names, {"binance-0": silent})
        assert found["binance|spot|ZZZ/USDT"] == {"unheard": 1}
        watcher = Watcher(Settings())
        watcher._latest = lambda: found
        assert watcher.silent() == [("binance|spot|ZZZ/USDT", "subscribed, but nothing came")]


async def test_a_book_under_another_name_is_no_silent_one(monkeypatch):
    trade = Trade("1", Decimal(5), Decimal(1), "buy", time.time_ns() // 1_000 * 1_000, 1)
    match = VENUES["coinbase"].encode_trade(ParsedTrade("BTC-USD", trade))

    async def coinbase(socket):
        await accept(socket, "coinbase", ["BTC-USDC"])
        await socket.send(match)
        await socket.wait_closed()

    log, intake, names = Kept(), Intake(), Names()
    listings = [names.listing("coinbase", "spot", "BTC/USDC")]
    desk = LiveDesk(intake, log)
    async with listening(coinbase) as url, feeding(url, "coinbase", listings, desk, log) as (feed, _):
        await until(lambda: log.ids("coinbase"))
        assert log.ids("coinbase") == [("BTC/USD", 1)]
        assert live._unheard(feed, intake, names) == []


@pytest.mark.parametrize(
    ("status", "headers", "low_s", "high_s"),
    [
        (403, {}, 600, 600), (451, {}, 600, 600), (418, {}, 600, 600), (429, {}, 600, 600),
        (429, {"Retry-After": "7"}, 7, 7.1), (418, {"Retry-After": "999999"}, 3600, 3600.1),
        (429, {"Retry-After": "soon"}, 600, 600), (503, {}, 0, 0.1), (404, {}, 0, 0.1),
    ],
)  # fmt: skip
async def test_a_refused_handshake_waits_as_long_as_it_should(status, headers, low_s, high_s):
    def refuse(socket, request):
        response = socket.respond(HTTPStatus(status), "no")
        for name, value in headers.items():
            response.headers[name] = value
        return response

    async def never(socket):
        raise AssertionError("the handshake was to fail")

    async with listening(never, process_request=refuse) as url:
        with pytest.raises(InvalidStatus) as caught:
            await websockets.connect(url)
    assert low_s <= wait_s(caught.value, 3) <= high_s


def test_pauses_grow_to_a_cap():
    assert all(0 <= PAUSE_S(0) <= 1 for _ in range(100))
    assert all(0 <= PAUSE_S(99) <= 60 for _ in range(100))
    assert max(PAUSE_S(99) for _ in range(200)) > 30


async def test_pauses_begin_anew_only_after_the_connection_was_live_for_a_while(monkeypatch):
    failures = []
    monkeypatch.setattr(connection, "_STEADY_S", 0.3)
    monkeypatch.setattr("sofia_streams.ingest.sockets.pace.pause_s", lambda count: failures.append(count) or 0.01)
    served = []

    async def brief(socket):
        await accept(socket)
        served.append(socket)
        if len(served) == 4:
            await asyncio.sleep(0.5)  # long enough to count as steady
        await socket.close()

    async with listening(brief) as url, feeding(url):
        await until(lambda: len(failures) >= 5)
    assert failures[:5] == [1, 2, 3, 0, 1]


async def test_a_renewal_that_fails_keeps_the_old_connection(monkeypatch):
    monkeypatch.setattr(connection, "wait_s", lambda error, failures: 0.05)
    served, asked = [], []

    def refuse_some(socket, request):
        asked.append(request)
        return socket.respond(HTTPStatus.FORBIDDEN, "not now") if 2 <= len(asked) <= 4 else None

    async def venue(socket):
        await accept(socket)
        served.append(socket)
        if len(served) == 1:
            await socket.send('{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}')
        number = 1_000 * len(served)
        while True:
            number += 1
            await socket.send(trade_frame(number))
            await asyncio.sleep(0.01)

    async with listening(venue, process_request=refuse_some) as url, feeding(url) as (feed, log):
        await until(lambda: len(asked) >= 4)
        before = len(log.ids("binance"))
        assert feed.reconnects == 0
        await until(lambda: feed.reconnects == 1 and any(number > 2_000 for _, number in log.ids("binance")))
        numbers = [number for _, number in log.ids("binance")]
        first = [number for number in numbers if number < 2_000]
        assert len(first) >= before
        assert first == list(range(1_001, 1_001 + len(first)))
        await until(lambda: served[0].state.name == "CLOSED")


async def test_a_client_that_must_ping_does_and_a_silent_venue_is_left():
    heard = []

    async def okx(socket):
        await accept(socket, "okx", ["BTC-USDT"])
        async for text in socket:
            heard.append(text)
            if heard.count("ping") < 4:
                await socket.send("pong")

    async with listening(okx) as url, feeding(url, "okx", ["BTC-USDT"]) as (feed, _):
        limited(feed, ping_every_s=0.05, silence_s=0.4)
        await until(lambda: feed.reconnects >= 1)
        assert heard.count("ping") >= 4


async def test_the_connections_of_a_venue_are_opened_at_its_pace():
    opened = []

    async def venue(socket):
        opened.append(time.monotonic())
        await socket.wait_closed()

    async with listening(venue) as url:
        pace, desk = Pace(20), LiveDesk(Intake(), Kept())
        shards = [Shard("binance", "spot", f"binance-{n}", ["BTCUSDT"], url, f"binance-{n}") for n in range(5)]
        feeds = [Feed(shard, desk, pace) for shard in shards]
        begun = time.monotonic()
        tasks = [asyncio.create_task(feed.run()) for feed in feeds]
        await until(lambda: len(opened) == 5)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert opened[-1] - begun >= 4 * 0.05 - 0.002  # a timer may be a millisecond early


async def test_frames_wait_bounded_while_the_log_is_behind_and_none_is_dropped(monkeypatch):
    hasten(monkeypatch, "binance", ping_every_s=0.2, silence_s=0.5)  # a log that is behind is no silent venue
    total, sent = 20_000, []
    gate = asyncio.Event()

    class Slow(LiveDesk):
        async def take(self, line, frame, now_ns):
            await gate.wait()
            return await super().take(line, frame, now_ns)

    async def fast(socket):
        await accept(socket)
        for number in range(total):
            await socket.send(trade_frame(number) + " " * 1_000)
            sent.append(number)
        await socket.wait_closed()

    log = Kept()
    async with listening(fast) as url, feeding(url, desk=Slow(Intake(), log), log=log) as (feed, _):
        held_from_s = time.monotonic()
        await until(lambda: feed.waiting > FRAMES_WAITING_MAX and len(sent) > 500)
        await until(lambda: time.monotonic() - held_from_s > 1.2)
        held = -1
        while held != len(sent):  # until the venue can send no more
            held = len(sent)
            await asyncio.sleep(0.2)
        assert held < total
        assert feed.waiting <= FRAMES_WAITING_MAX + READ_BYTES_MAX // len(trade_frame(0) + " " * 1_000) + 1
        gate.set()
        await until(lambda: len(log.records) >= total)
        assert [number for _, number in log.ids("binance")] == list(range(total))
        assert feed.reconnects == 0


async def test_a_frame_that_is_being_taken_is_taken_to_its_end_when_the_connection_goes():
    began, ended, gate = [], [], asyncio.Event()

    class Slow(LiveDesk):
        async def take(self, line, frame, now_ns):
            began.append(frame)
            await gate.wait()
            controls = await super().take(line, frame, now_ns)
            ended.append(frame)
            return controls

    async def venue(socket):
        for number in range(3):
            await socket.send(trade_frame(number))
        await socket.wait_closed()

    log = Kept()
    async with listening(venue) as url:
        desk = Slow(Intake(), log)
        shard = Shard("binance", "spot", "binance-0", ["BTCUSDT"], url, "binance-0")
        feed = Feed(shard, desk, Pace(1_000), desk.refuse)
        task = asyncio.create_task(feed.run())
        await until(lambda: began)
        task.cancel()
        gate.set()
        await asyncio.gather(task, return_exceptions=True)
    assert ended == began
    assert len(log.ids("binance")) == len(began)
