"""Candles of four venues through ccxt itself, over loopback from the simulator's REST: exact, ascending, each once."""

import json
from decimal import Decimal

import pytest
from msgspec.structs import astuple
from rest_server import at, serving_rest

from sofia_streams.errors import BadFrame, ConfigError, DependencyDown, UnknownSymbol
from sofia_streams.ingest.rest.klines import fetch_klines
from sofia_streams.model import NS_PER_MINUTE
from sofia_streams.simulator.instrument import SimulatedInstrument
from sofia_streams.simulator.market import Event
from sofia_streams.simulator.rest import Reply, Rest
from sofia_streams.venues.registry import VENUES

pytestmark = pytest.mark.slow
START_NS = 1_767_225_600 * 10**9
MINUTES = 1_300
END_NS = START_NS + MINUTES * NS_PER_MINUTE
QUIET = 17
"""Every so many minutes one has no trade."""


def market(venue):
    """A REST with three trades a minute, and those trades."""
    instrument = SimulatedInstrument(venue, "DOGE/BTC", START_NS)
    rest, events = Rest([instrument]), []
    for number in range(3 * MINUTES):
        minute, part = divmod(number, 3)
        if minute % QUIET:
            price = instrument.price(0.0000018 * (1 + ((number * 7919) % 1000) / 1e6))
            at_ns = START_NS + minute * NS_PER_MINUTE + part * 29_999_000_000
            side = "buy" if number % 2 else "sell"
            events.append(Event(at_ns, venue, instrument.print(at_ns, price, number + 1, side)))
    for event in events:
        rest.add(venue, event.said)
    return rest, [event.said.trade for event in events]


def candles(venue, trades):
    """What the klines must be, by minute."""
    by_minute = {}
    for trade in trades:
        by_minute.setdefault(trade.exchange_ns // NS_PER_MINUTE * NS_PER_MINUTE, []).append(trade)
    found, before = [], None
    for start_ns, part in sorted(by_minute.items()):
        prices = [trade.price for trade in part]
        if venue == "bybit" and before is not None:
            prices = [before, *prices]
        before = prices[-1]
        volume = sum(trade.quantity for trade in part)
        found.append((start_ns, prices[0], max(prices), min(prices), prices[-1], volume, part))
    return found


@pytest.mark.parametrize("venue", VENUES)
async def test_every_minute_comes_once_ascending_and_exact_over_all_pages(venue):
    rest, trades = market(venue)
    async with serving_rest(rest) as port:
        found = await fetch_klines(venue, "spot", "DOGE/BTC", "1m", START_NS, END_NS, place=at(port))
    expected = candles(venue, trades)
    rows = [astuple(one)[:6] for one in found]
    assert rows == [one[:6] for one in expected]
    assert all(isinstance(value, Decimal) for row in rows for value in row[1:])
    quotes = [sum(trade.price * trade.quantity for trade in part) for *_, part in expected]
    bought = [sum(trade.quantity for trade in part if trade.taker_side == "buy") for *_, part in expected]
    assert [one.quote_volume for one in found] == (quotes if venue != "coinbase" else [None] * len(found))
    if venue == "binance":
        assert [(one.buy_volume, one.trade_count) for one in found] == [(sum_, 3) for sum_ in bought]


@pytest.mark.parametrize("venue", VENUES)
async def test_a_span_takes_what_starts_inside_it_and_has_ended(venue):
    rest, trades = market(venue)
    start_ns, end_ns = START_NS + 3 * NS_PER_MINUTE - 1, START_NS + 9 * NS_PER_MINUTE + 1
    starts = [one[0] for one in candles(venue, trades)]
    async with serving_rest(rest) as port:
        found = await fetch_klines(venue, "spot", "DOGE/BTC", "1m", start_ns, end_ns, place=at(port))
        assert [one.start_ns for one in found] == [at_ns for at_ns in starts if start_ns <= at_ns < end_ns]
        now_ns = START_NS + 7 * NS_PER_MINUTE - 1
        open_left_out = await fetch_klines(
            venue, "spot", "DOGE/BTC", "1m", start_ns, end_ns, place=at(port), now_ns=now_ns
        )
        assert open_left_out == [one for one in found if one.start_ns + NS_PER_MINUTE <= now_ns] != found
        none = await fetch_klines(venue, "spot", "DOGE/BTC", "1m", start_ns, end_ns, place=at(port), now_ns=start_ns)
        assert none == []


@pytest.mark.parametrize("venue", VENUES)
async def test_a_pair_that_is_not_listed_is_named_with_what_is_near(venue):
    rest, _ = market(venue)
    async with serving_rest(rest) as port:
        with pytest.raises(UnknownSymbol, match=rf"{venue}: expected DOGE/BTX .*near it are DOGE/BTC"):
            await fetch_klines(venue, "spot", "DOGE/BTX", "1m", START_NS, END_NS, place=at(port))


async def test_a_busy_venue_is_asked_again_and_no_page_is_lost():
    rest, trades = market("coinbase")
    rest.instead.append(Reply(429, "{}", {"Content-Type": "application/json", "Retry-After": "1"}))
    async with serving_rest(rest) as port:
        found = await fetch_klines("coinbase", "spot", "DOGE/BTC", "1m", START_NS, END_NS, place=at(port))
    assert len(found) == len(candles("coinbase", trades))


async def test_bare_numbers_keep_their_digits():
    rest, _ = market("coinbase")
    numbers = "1e-8, 0.10000000000000000555, 0.1, 1.5e-08, 123456789.123456789012"
    rest.instead.append(Reply(200, f"[[{START_NS // 10**9}, {numbers}]]"))
    async with serving_rest(rest) as port:
        (one,) = await fetch_klines(
            "coinbase", "spot", "DOGE/BTC", "1m", START_NS, START_NS + NS_PER_MINUTE, place=at(port)
        )
    assert [str(one.high), str(one.volume)] == ["0.10000000000000000555", "123456789.123456789012"]
    assert (one.low, one.close) == (Decimal("0.00000001"), Decimal("0.000000015"))


BAD_ROWS = [
    ["1767225600000", "NaN", "2", "1", "1", "1", "1"],
    ["1767225600000", "1", "1_0", "1", "1", "1", "1"],
    ["1767225600000", "1", "2", "3", "1", "1", "1"],
    ["1767225600000", "1", "2", "1", "1", "-1", "1"],
    ["1767225600000", "1", "2"],
    ["soon", "1", "2", "1", "1", "1", "1"],
    ["1767225600000", "1e99", "2", "1", "1", "1", "1"],
    ["", "", "", "", "", "", ""],
    None,
    {"open": "1"},
]


@pytest.mark.parametrize("row", BAD_ROWS)
async def test_a_row_that_cannot_be_a_candle_is_said(row):
    rest, _ = market("bybit")
    rest.instead.append(Reply(200, json.dumps({"retCode": 0, "retMsg": "OK", "result": {"list": [row]}})))
    async with serving_rest(rest) as port:
        with pytest.raises(BadFrame, match="bybit: expected rows of candles"):
            await fetch_klines("bybit", "spot", "DOGE/BTC", "1m", START_NS, END_NS, place=at(port))


@pytest.mark.parametrize("venue", VENUES)
async def test_a_page_of_html_is_an_error_with_a_cure(venue):
    rest, _ = market(venue)
    rest.instead.append(Reply(200, "<html>Sign in</html>", {"Content-Type": "text/html"}))
    async with serving_rest(rest) as port:
        with pytest.raises(DependencyDown, match=rf"{venue}: expected candles of DOGE.*no JSON: <html>"):
            await fetch_klines(venue, "spot", "DOGE/BTC", "1m", START_NS, END_NS, place=at(port))


@pytest.mark.parametrize(
    ("venue", "market_", "size", "span"),
    [
        ("kraken", "spot", "1m", (0, 1)),
        ("bybit", "spot", "1s", (0, 1)),
        ("coinbase", "spot", "1h", (0, 1)),
        ("binance", "linear", "1s", (0, 1)),
        ("okx", "spot", "1m", (5, 5)),
    ],
)
async def test_what_no_venue_serves_is_refused_before_anything_is_asked(venue, market_, size, span):
    with pytest.raises(ConfigError, match="klines: "):
        await fetch_klines(venue, market_, "BTC/USDT", size, *span, place=at(1))
