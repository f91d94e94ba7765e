"""Live, only instruments that were subscribed become state; in a recording, a bounded number of them."""

import asyncio
import json

import pytest
from messages import BEGIN_NS, S, message
from sockets import Kept, accept, listening, trade_frame, until

from sofia_streams.ingest import instruments
from sofia_streams.ingest.intake import Intake
from sofia_streams.ingest.line import Line
from sofia_streams.ingest.names import Names
from sofia_streams.ingest.sockets.live import run_live
from sofia_streams.ingest.sockets.shards import Shard, instruments_of
from sofia_streams.model import NS_PER_MS, Quarantined, Ticker, TradeBatch
from sofia_streams.settings import Settings

LINE = Line("okx", "spot", "okx-0.1", "okx-0")
BTC = "okx|spot|BTC/USDT"


def trade_of(listing, number=1, at_ns=BEGIN_NS):
    whole, row = message("okx", str(number), at_ns)
    row["instId"] = whole["arg"]["instId"] = listing
    return json.dumps(whole).encode()


def ticker_of(listing, at_ns=BEGIN_NS):
    row = {"instType": "SPOT", "instId": listing, "last": "5", "ts": str(at_ns // NS_PER_MS)}
    return json.dumps({"arg": {"channel": "tickers", "instId": listing}, "data": [row]}).encode()


def kinds(intake, line, frame, now_ns=BEGIN_NS):
    return [type(one) for one in intake.take(line, frame, now_ns)[0]]


def live_intake():
    intake = Intake(names=Names(guesses=False))
    intake.instruments.subscribe([BTC], LINE)
    intake.instruments.subscribe(["okx|spot|ETH/USDT"], Line("okx", "spot", "", "okx-1"))
    intake.requested(LINE, 1)
    return intake


def test_what_was_not_subscribed_is_set_aside_once_a_name_counted_and_never_state():
    intake, told = live_intake(), []
    assert kinds(intake, LINE, trade_of("BTC-USDT")) == [TradeBatch]
    for second in range(3):
        for number in range(3_000):
            now_ns = BEGIN_NS + second * S + number
            told += intake.take(LINE, trade_of(f"A{number}-USDT", at_ns=now_ns), now_ns)[0]
            told += intake.take(LINE, ticker_of(f"A{number}-USDT", now_ns), now_ns)[0]
        told += intake.tick(BEGIN_NS + second * S + 3_000)
    refused = [one for one in told if isinstance(one, Quarantined)]
    assert len(refused) == 1_000 and "'A999-USDT'" in refused[-1].reason
    assert {one.symbol for one in told if not isinstance(one, Quarantined)} <= {"BTC/USDT"}
    counts = intake.summary()
    assert [name for name in counts if "|" in name] == [BTC]
    assert (counts["okx"]["refused"], counts["okx"]["quarantined"]) == (18_000, 1_000)
    assert [*intake.gaps.heads] == [BTC]
    assert kinds(intake, LINE, trade_of("BTC-USDT", 2)) == [TradeBatch]
    assert kinds(intake, LINE, ticker_of("BTC-USDT")) == [Ticker]


def test_a_name_that_could_be_split_in_several_ways_is_set_aside_once_as_well():
    intake = live_intake()
    line = Line("bybit", "spot", "bybit-0.1", "bybit-0")
    row = message("bybit", 1, BEGIN_NS)[0]
    row["data"][0]["s"] = "ABCUSDTBTC"
    assert [kinds(intake, line, json.dumps(row).encode()) for _ in range(3)] == [[Quarantined], [], []]


def test_an_instrument_belongs_to_its_connections_and_those_that_replace_them():
    intake = live_intake()
    assert kinds(intake, LINE, trade_of("ETH-USDT")) == [Quarantined]
    other = Line("okx", "spot", "okx-1.1", "okx-1")
    assert kinds(intake, other, trade_of("ETH-USDT", 2)) == [TradeBatch]
    assert kinds(intake, other._replace(connection="okx-1.2"), trade_of("ETH-USDT", 3)) == [TradeBatch]
    assert kinds(intake, LINE._replace(connection="okx-0-line2.1"), trade_of("BTC-USDT", 4)) == [TradeBatch]


def test_a_venue_that_sends_what_was_not_subscribed_is_still_alerted_of():
    intake = live_intake()
    for second in range(20):
        kinds(intake, LINE, trade_of("BTC_USDT-SWAP", second), BEGIN_NS + second * S)
    (alert,) = intake.changes.alerts(BEGIN_NS + 20 * S)
    assert "BTC_USDT-SWAP" in alert.text


def test_a_recording_may_name_many_instruments_and_not_more(monkeypatch):
    monkeypatch.setattr(instruments, "INSTRUMENTS_MAX", 50)
    intake = Intake()
    found = [kinds(intake, LINE, trade_of(f"A{number}-USDT")) for number in range(60)]
    assert found == [[TradeBatch]] * 50 + [[Quarantined]] * 10
    assert [kinds(intake, LINE, trade_of(f"A{number}-USDT", 2)) for number in (49, 50)] == [[TradeBatch], []]
    assert len([name for name in intake.summary() if "|" in name]) == 50


@pytest.mark.parametrize(
    ("venue", "market", "pairs", "expected"),
    [
        ("coinbase", "spot", ["BTC/USDC"], {"coinbase|spot|BTC/USDC", "coinbase|spot|BTC/USD"}),
        ("binance", "linear", ["BTC/USDT"], {"binance|linear|BTC/USDT:USDT"}),
        ("okx", "linear", ["BTC/USDT"], {"okx|linear|BTC/USDT:USDT"}),
        ("bybit", "inverse", ["ZZZ/USD"], {"bybit|inverse|ZZZ/USD:ZZZ"}),
    ],
)
def test_a_connection_carries_its_listings_under_each_name_that_their_data_has(venue, market, pairs, expected):
    names = Names(guesses=False)
    listings = [names.listing(venue, market, pair) for pair in pairs]
    assert instruments_of(Shard(venue, market, "", listings, "", ""), names) == expected


async def test_live_ingest_takes_nothing_that_it_did_not_subscribe_to():
    async def talkative(socket):
        await accept(socket)
        for number in range(1, 21):
            await socket.send(trade_frame(number, "ETHUSDT"))
            await socket.send(trade_frame(number))
        await socket.wait_closed()

    log, names = Kept(), Names(guesses=False)
    async with listening(talkative) as url:
        settings = Settings(crypto_exchanges=("binance",), crypto_symbols=("BTC/USDT",), simulator_url=url)
        live = asyncio.create_task(run_live(settings, Intake(names=names), names, log))
        await until(lambda: len(log.ids("binance")) >= 20)
        await until(lambda: log.reports and log.reports[-1].counts["binance"]["frames"] > 40)
        live.cancel()
        await asyncio.gather(live, return_exceptions=True)
    assert {symbol for symbol, _ in log.ids("binance")} == {"BTC/USDT"}
    (reason,) = log.reasons()
    assert "subscribed to, found 'ETHUSDT'" in reason
    assert log.reports[-1].counts["binance"]["refused"] == 20
    assert "binance|spot|ETH/USDT" not in log.reports[-1].counts
