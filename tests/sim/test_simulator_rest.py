"""Trades over a simulated venue's REST, asked without a client: pages, their order and limits, and refusals."""

import json
from collections import Counter, deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.simulator.instrument import SimulatedInstrument
from sofia_streams.simulator.outages import Outages, Trouble
from sofia_streams.simulator.rest import Rest, memory
from sofia_streams.simulator.rest.memory import Memory
from sofia_streams.venues.registry import VENUES

START_NS = 1_767_225_600 * 10**9


def printed(venue, count):
    instrument = SimulatedInstrument(venue, "BTC/USDT", START_NS)
    rest = Rest([instrument])
    said = [instrument.print(START_NS + number * 10**6, instrument.last, number + 1, "buy") for number in range(count)]
    for one in said:
        rest.add(venue, one)
    return rest, said


def body(reply):
    return json.loads(reply.body)


def ids(venue, reply):
    rows = {"okx": lambda found: found["data"], "bybit": lambda found: found["result"]["list"]}
    return [VENUES[venue].read_trade(row).trade_id for row in rows.get(venue, lambda found: found)(body(reply))]


PAGES = [
    ("binance", "api/v3/trades?symbol=BTCUSDT", 500, False),
    ("binance", "api/v3/trades?symbol=BTCUSDT&limit=5000", 1_000, False),
    ("binance", "api/v3/historicalTrades?symbol=BTCUSDT&limit=3", 3, False),
    ("binance", "api/v3/aggTrades?symbol=BTCUSDT", 500, False),
    ("okx", "api/v5/market/trades?instId=BTC-USDT", 100, True),
    ("okx", "api/v5/market/trades?instId=BTC-USDT&limit=9999", 500, True),
    ("okx", "api/v5/market/history-trades?instId=BTC-USDT&limit=9999", 100, True),
    ("coinbase", "products/BTC-USDT/trades", 1_000, True),
    ("coinbase", "products/BTC-USDT/trades?limit=7", 7, True),
    ("bybit", "v5/market/recent-trade?category=spot&symbol=BTCUSDT&limit=1000", 60, True),
    ("bybit", "v5/market/recent-trade?category=spot&symbol=BTCUSDT&limit=2", 2, True),
]


@pytest.mark.parametrize(("venue", "path", "count", "is_newest_first"), PAGES)
def test_the_newest_page_has_the_venues_own_size_and_order(venue, path, count, is_newest_first):
    rest, said = printed(venue, 1_200)
    expected = [one.trade.trade_id for one in said[-count:]]
    assert ids(venue, rest.answer(f"/{venue}/{path}")) == (expected[::-1] if is_newest_first else expected)


NOTHING = {
    "okx": {"code": "0", "msg": "", "data": []},
    "bybit": {"category": "spot", "symbol": "BTCUSDT", "list": []},
}


@pytest.mark.parametrize(("venue", "path"), [("okx", PAGES[4][1]), *(one[:2] for one in PAGES[::9] + PAGES[7:8])])
def test_a_venue_in_trouble_can_answer_well_and_with_nothing(venue, path):
    rest, _ = printed(venue, 10)
    fired = Counter()
    outages, full = Outages({}, 1, fired), rest.answer(f"/{venue}/{path}")
    outages.trouble(venue, Trouble("empty", 1, 0.0))
    found = outages.answered(venue, full, 0.0)
    left = body(found)["result"] if venue == "bybit" else body(found)
    assert (found.status, left) == (200, NOTHING.get(venue, []))
    assert outages.answered(venue, full, 0.0) == full
    assert fired == {"rest_empty": 1}


def test_pages_go_on_where_the_venue_says():
    rest, said = printed("binance", 50)
    number = [int(one.trade.trade_id) for one in said]
    start_ms = START_NS // 10**6
    agg = "/binance/api/v3/aggTrades?symbol=BTCUSDT&limit=3"
    assert ids("binance", rest.answer(f"{agg}&fromId={number[10]}")) == [*map(str, number[10:13])]
    page = ids("binance", rest.answer(f"{agg}&startTime={start_ms + 7}&endTime={start_ms + 8}"))
    assert page == [*map(str, number[7:9])]
    assert body(rest.answer(f"{agg}&fromId=1&startTime=2"))["code"] == -1128
    rest, said = printed("okx", 50)
    number = [int(one.trade.trade_id) for one in said]
    history = "/okx/api/v5/market/history-trades?instId=BTC-USDT"
    page = ids("okx", rest.answer(f"{history}&after={number[20]}&before={number[15]}"))
    assert page == [*map(str, reversed(number[16:20]))]
    page = ids("okx", rest.answer(f"{history}&type=2&after={start_ms + 5}&limit=2"))
    assert page == [*map(str, (number[4], number[3]))]
    rest, said = printed("coinbase", 50)
    number = [int(one.trade.trade_id) for one in said]
    reply = rest.answer(f"/coinbase/products/BTC-USDT/trades?after={number[20]}&limit=5")
    assert ids("coinbase", reply) == [*map(str, reversed(number[15:20]))]
    assert (reply.headers["CB-BEFORE"], reply.headers["CB-AFTER"]) == (str(number[19]), str(number[15]))
    last = rest.answer(f"/coinbase/products/BTC-USDT/trades?after={number[0]}")
    assert body(last) == [] and "CB-AFTER" not in last.headers


REFUSED = [
    ("binance", "api/v3/trades?symbol=NOPE", 400, "-1121"),
    ("binance", "api/v3/trades", 400, "-1102"),
    ("binance", "api/v3/historicalTrades?symbol=BTCUSDT&fromId=x", 400, "-1100"),
    ("binance", "api/v3/historicalTrades?symbol=BTCUSDT&limit=0", 400, "-1100"),
    ("binance", "api/v3/historicalTrades?symbol=BTCUSDT&fromId=-1", 400, "-1100"),
    ("okx", "api/v5/market/history-trades?instId=NOPE", 200, "51001"),
    ("okx", "api/v5/market/history-trades?instId=BTC-USDT&after=x", 400, "51000"),
    ("okx", "api/v5/market/history-trades?instId=BTC-USDT&type=3", 400, "51000"),
    ("coinbase", "products/NOPE/trades", 404, "NotFound"),
    ("coinbase", "products/BTC-USDT/trades?after=x", 400, "Invalid after"),
    ("coinbase", "products/BTC-USDT/trades?limit=%EF%BC%91", 400, "Invalid limit"),
    ("bybit", "v5/market/recent-trade?category=spot&symbol=NOPE", 200, "10001"),
    ("bybit", "v5/market/recent-trade?symbol=BTCUSDT", 200, "10001"),
    ("bybit", "v5/market/recent-trade?category=spot&symbol=BTCUSDT&limit=x", 200, "10001"),
]


@pytest.mark.parametrize(("venue", "path", "status", "words"), REFUSED)
def test_a_wrong_question_is_refused_in_the_venues_own_way(venue, path, status, words):
    rest, _ = printed(venue, 10)
    reply = rest.answer(f"/{venue}/{path}")
    assert reply.status == status and words in reply.body


MAX = 20


@given(st.integers(0, 90), st.integers(0, 100), st.integers(1, 30), st.sampled_from(["binance", "coinbase", "bybit"]))
def test_what_is_remembered_is_the_newest_and_exact(count, place, rows, venue):
    instrument, kept = SimulatedInstrument(venue, "DOGE/BTC", START_NS), deque(maxlen=200)
    remembered = Memory(instrument)
    usual, memory.TRADES_MAX = memory.TRADES_MAX, MAX
    try:
        for number in range(count):
            price, side = instrument.price(2e-6 * (1 + number / 100)), "buy" if number % 2 else "sell"
            said = instrument.print(START_NS + number * 10**6, price, number + 1, side)
            remembered.add(said.trade)
            kept.append(said)
    finally:
        memory.TRADES_MAX = usual
    newest = remembered.before_id(None, 200)
    assert newest == list(kept)[len(kept) - len(newest) :]
    assert {str(one.trade.price) for one in newest} <= {str(one.trade.price) for one in kept}
    assert min(count, MAX) <= len(newest) <= MAX * 1.25
    if newest:
        middle = int(newest[0].trade.trade_id) + place
        assert remembered.from_id(middle, rows) == [one for one in newest if int(one.trade.trade_id) >= middle][:rows]
        older = [one for one in newest if int(one.trade.trade_id) < middle]
        assert remembered.before_id(middle, rows) == older[-rows:]
        at_ns = newest[0].trade.exchange_ns + place * 10**6
        assert remembered.from_time(at_ns, rows) == [one for one in newest if one.trade.exchange_ns >= at_ns][:rows]
