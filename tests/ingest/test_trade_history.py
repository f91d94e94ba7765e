"""Trades of four venues through ccxt itself, over loopback from the simulator's REST: exact and whole, or an error."""

import json
import random
from contextlib import asynccontextmanager
from itertools import product

import msgspec
import pytest
from rest_server import at, serving_rest

from sofia_streams.core.feeds.budget import Rate
from sofia_streams.errors import BadFrame, ConfigError, DependencyDown, UnknownSymbol
from sofia_streams.ingest.rest import budget, client
from sofia_streams.ingest.rest.client import open_rest
from sofia_streams.ingest.rest.trade_history import fetch_ids, fetch_recent, find_id, live_id_kind
from sofia_streams.simulator.instrument import SimulatedInstrument
from sofia_streams.simulator.rest import Reply, Rest
from sofia_streams.venues.registry import VENUES

pytestmark = pytest.mark.slow
START_NS = 1_767_225_600 * 10**9
TRADES = 2_500
WITH_IDS = [venue for venue in VENUES if VENUES[venue].ids_count]
PLACES = [("binance", "trade"), ("binance", "agg"), ("okx", "trade"), ("coinbase", "trade")]


def market(venue, *, leave_out=lambda number: False):
    """A REST that has printed trades, those trades as a backfill must give them, and the listing."""
    instrument, rest, found = SimulatedInstrument(venue, "BTC/USDT", START_NS), None, []
    rest = Rest([instrument])
    for number in range(TRADES):
        at_ns = START_NS + number // 3 * 250_000_000  # three of one moment
        price = instrument.price(64_000 + number * 7919 % 1000 / 10)
        said = instrument.print(at_ns, price, number + 1, "buy" if number % 2 else "sell")
        if not leave_out(number):
            rest.add(venue, said)
            found.append(msgspec.structs.replace(said.trade, backfilled=True))
    return rest, found, instrument.listing


def of_kind(trades, kind):
    return [msgspec.structs.replace(trade, id_kind=kind) for trade in trades]


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """No waits: how often a venue may be asked has tests of its own (test_rest_budget.py)."""
    monkeypatch.setattr(client, "_AGAIN_S", 0.01)
    for venue in VENUES:
        monkeypatch.setitem(budget.RATES, venue, Rate(10**6, 10**6))


@asynccontextmanager
async def asking(venue, port, market_="spot"):
    """A client without the pauses of ccxt."""

    async def at_once(cost=None):
        """Instead of a pause."""

    async with open_rest(venue, market_, at(port).rest_urls[venue]) as rest:
        rest.exchange.throttle = at_once
        yield rest


async def pages(rest, listing, first_id, last_id, kind="trade"):
    return [page async for page in fetch_ids(rest, listing, first_id, last_id, id_kind=kind)]


def in_order(found):
    return sorted((trade for page in found for trade in page), key=lambda trade: trade.order)


@pytest.mark.parametrize(("venue", "kind"), PLACES)
async def test_the_trades_of_a_range_of_ids_come_once_each_over_pages(venue, kind):
    simulated, trades, listing = market(venue)
    trades = of_kind(trades, kind)
    first, last = 300, 1_700 if venue != "okx" else 700
    async with serving_rest(simulated) as port, asking(venue, port) as rest:
        found = await pages(rest, listing, trades[first].order, trades[last].order, kind)
    assert len(found) == {"binance": 2, "okx": 5, "coinbase": 2}[venue]
    assert [page == sorted(page, key=lambda trade: trade.order) for page in found] == [True] * len(found)
    assert in_order(found) == trades[first : last + 1]
    assert all(trade.backfilled for page in found for trade in page)


@pytest.mark.parametrize("venue", WITH_IDS)
async def test_a_single_id_and_ids_that_do_not_exist(venue):
    simulated, trades, listing = market(venue)
    async with serving_rest(simulated) as port, asking(venue, port) as rest:
        assert in_order(await pages(rest, listing, trades[7].order, trades[7].order)) == [trades[7]]
        assert in_order(await pages(rest, listing, trades[-2].order, trades[-1].order + 50)) == trades[-2:]
        assert in_order(await pages(rest, listing, trades[0].order - 50, trades[1].order)) == trades[:2]
        assert await pages(rest, listing, trades[-1].order + 1, trades[-1].order + 9) == []
        assert in_order(await pages(rest, listing, 0, 5)) == []


@pytest.mark.parametrize("venue", WITH_IDS)
async def test_ids_that_the_venue_itself_leaves_out_are_left_out(venue):
    simulated, trades, listing = market(venue, leave_out=lambda number: 100 <= number < 1_300 or number % 7 == 0)
    low, high = trades[10].order, trades[-900].order
    async with serving_rest(simulated) as port, asking(venue, port) as rest:
        found = in_order(await pages(rest, listing, low, high))
    assert found == [trade for trade in trades if low <= trade.order <= high]


@pytest.mark.parametrize("venue", VENUES)
async def test_the_newest_trades_come_oldest_first(venue):
    simulated, trades, listing = market(venue)
    async with serving_rest(simulated) as port, asking(venue, port) as rest:
        found = await fetch_recent(rest, listing)
        assert live_id_kind(rest) == "trade"
    assert found == trades[-{"binance": 1_000, "okx": 500, "coinbase": 1_000, "bybit": 60}[venue] :]


@pytest.mark.parametrize("venue", WITH_IDS)
async def test_the_first_id_at_or_after_a_time_is_found(venue):
    simulated, trades, listing = market(venue, leave_out=lambda number: number in range(600, 900))
    draw = random.Random(7)
    moments = [START_NS - 10**12, START_NS, trades[-1].exchange_ns, trades[-1].exchange_ns + 1]
    moments += [START_NS + number * 250_000_000 for number in (199, 250, 300)]
    moments += [draw.randrange(START_NS, trades[-1].exchange_ns) for _ in range(2)]
    async with serving_rest(simulated) as port, asking(venue, port) as rest:
        for at_ns in moments:
            expected = next((one.order for one in trades if one.exchange_ns >= at_ns), trades[-1].order + 1)
            assert await find_id(rest, listing, at_ns) == expected, at_ns


@pytest.mark.parametrize("venue", VENUES)
async def test_a_name_that_is_not_listed_is_said(venue):
    simulated, _, _ = market(venue)
    async with serving_rest(simulated) as port, asking(venue, port) as rest:
        with pytest.raises(UnknownSymbol, match=f"{venue}: expected trades of NOPE"):
            await fetch_recent(rest, "NOPE")


async def test_what_a_venue_has_no_ids_for_is_refused_before_anything_is_asked():
    async with open_rest("bybit", "spot", "http://127.0.0.1:1/bybit") as rest:
        with pytest.raises(ConfigError, match="bybit cannot be asked"):
            await pages(rest, "BTCUSDT", 1, 2)
        with pytest.raises(ConfigError, match="bybit cannot be asked"):
            await find_id(rest, "BTCUSDT", START_NS)
    async with open_rest("binance", "linear", "http://127.0.0.1:1/binance") as rest:
        with pytest.raises(ConfigError, match="by agg ids only"):
            await pages(rest, "BTCUSDT", 1, 2)
    async with open_rest("okx", "spot", "http://127.0.0.1:1/okx") as rest:
        with pytest.raises(ConfigError, match="cannot be asked"):
            await pages(rest, "BTC-USDT", 1, 2, "agg")
        with pytest.raises(ConfigError, match="up to the last"):
            await pages(rest, "BTC-USDT", 2, 1)


@pytest.mark.parametrize("market_", ["linear", "inverse"])
async def test_contracts_of_binance_are_read_by_their_aggregates(market_):
    row = {"a": 5, "p": "64000.10", "q": "0.002", "f": 9, "l": 11, "T": 1_767_225_600_123, "m": True}
    simulated, _, _ = market("binance")
    simulated.instead.extend([Reply(200, json.dumps([row])), Reply(200, json.dumps([row]))])
    async with serving_rest(simulated) as port, asking("binance", port, market_) as rest:
        (found,) = await pages(rest, "BTCUSDT", 5, 5, "agg")
        assert await fetch_recent(rest, "BTCUSDT") == found
        assert live_id_kind(rest) == "agg"
    assert (found[0].trade_id, found[0].id_kind, found[0].taker_side) == ("5", "agg", "sell")


def page_of(venue, rows):
    bodies = {"okx": {"code": "0", "msg": "", "data": rows},
              "bybit": {"retCode": 0, "retMsg": "OK", "result": {"list": rows}}}  # fmt: skip
    return Reply(200, json.dumps(bodies.get(venue, rows)))


def rows_of(venue, simulated, first_id):
    paths = {
        "binance": f"/binance/api/v3/historicalTrades?symbol=BTCUSDT&fromId={first_id}&limit=10",
        "okx": f"/okx/api/v5/market/history-trades?instId=BTC-USDT&after={first_id + 10}&limit=10",
        "coinbase": f"/coinbase/products/BTC-USDT/trades?after={first_id + 10}&limit=10",
        "bybit": "/bybit/v5/market/recent-trade?category=spot&symbol=BTCUSDT&limit=10",
    }
    found = json.loads(simulated.answer(paths[venue]).body)
    return {"okx": lambda: found["data"], "bybit": lambda: found["result"]["list"]}.get(venue, lambda: found)()


ID_KEYS = {"binance": "id", "okx": "tradeId", "coinbase": "trade_id", "bybit": "execId"}
PRICE_KEYS = {"binance": "price", "okx": "px", "coinbase": "price", "bybit": "price"}
HOSTILE = {
    "in the wrong order": lambda venue, rows: rows[::-1],
    "an id twice": lambda venue, rows: [rows[0], *rows],
    "another key for the id": lambda venue, rows: [{"x": row[ID_KEYS[venue]]} for row in rows],
    "a price that is none": lambda venue, rows: [*rows[:3], {**rows[3], PRICE_KEYS[venue]: "NaN"}, *rows[4:]],
    "rows that are none": lambda venue, rows: [*rows, None],
    "no list": lambda venue, rows: {"rows": rows},
    "far too many": lambda venue, rows: rows * 500,
}


IS_NO_DAMAGE = [("bybit", "in the wrong order")]  # Bybit does not promise an order


@pytest.mark.parametrize(("venue", "damage"), [one for one in product(VENUES, HOSTILE) if one not in IS_NO_DAMAGE])
async def test_a_page_that_is_not_what_was_asked_for_is_refused_whole_with_the_page(venue, damage):
    simulated, trades, listing = market(venue)
    first_id = trades[100].order
    rows = rows_of(venue, simulated, first_id)
    simulated.instead.append(page_of(venue, HOSTILE[damage](venue, rows)))
    async with serving_rest(simulated) as port, asking(venue, port) as rest:
        with pytest.raises(BadFrame, match=f"{venue}: expected a page of trades of {listing}") as caught:
            if venue == "bybit":
                await fetch_recent(rest, listing)
            else:
                await pages(rest, listing, first_id, first_id + 9)
    assert 0 < len(caught.value.frame) <= 65_536


@pytest.mark.parametrize("venue", WITH_IDS)
async def test_a_page_of_other_ids_or_of_another_name_is_refused(venue):
    simulated, trades, listing = market(venue)
    first_id = trades[100].order
    other = 90 if venue == "binance" else 2_000
    simulated.instead.append(page_of(venue, rows_of(venue, simulated, trades[other].order)))
    async with serving_rest(simulated) as port, asking(venue, port) as rest:
        with pytest.raises(BadFrame, match="expected ids from"):
            await pages(rest, listing, first_id, first_id + 9)
        if venue == "okx":
            rows = [{**row, "instId": "ETH-USDT"} for row in rows_of(venue, simulated, first_id)]
            simulated.instead.append(page_of(venue, rows))
            with pytest.raises(BadFrame, match="another name"):
                await pages(rest, listing, first_id, first_id + 9)
        if venue == "binance":
            agg = json.loads(simulated.answer(f"/binance/api/v3/aggTrades?symbol=BTCUSDT&fromId={first_id}").body)
            simulated.instead.append(page_of(venue, agg))
            with pytest.raises(BadFrame, match="expected trade ids"):
                await pages(rest, listing, first_id, first_id + 9)


def cuts(page):
    body, half = page.body, len(page.body) // 2
    return {
        "fewer bytes than announced": Reply(200, body, cut=half),
        "fewer bytes than announced, and still JSON": Reply(200, body + " " * 100, cut=100),
        "JSON that ends too early": Reply(200, body[:half]),
        "JSON with a byte that is no UTF-8 in its frame": Reply(200, body[:half] + "\x00" + body[half:]),
        "JSON nested too deep": Reply(200, "[" * 100_000),
    }


@pytest.mark.parametrize("how", cuts(Reply(200, "")))
@pytest.mark.parametrize("venue", VENUES)
async def test_a_cut_body_is_asked_for_again_and_gives_nothing_by_itself(venue, how):
    simulated, trades, listing = market(venue)
    first_id = trades[-30].order
    cut = cuts(page_of(venue, rows_of(venue, simulated, first_id)))[how]
    simulated.instead.append(cut)
    async with serving_rest(simulated) as port, asking(venue, port) as rest:
        if venue == "bybit":
            assert await fetch_recent(rest, listing) == trades[-60:]
        else:
            assert in_order(await pages(rest, listing, first_id, first_id + 9)) == trades[-30:-20]
        assert simulated.asked[venue] >= 2


async def test_a_body_that_is_always_cut_is_an_error():
    simulated, _, listing = market("okx")
    page = page_of("okx", rows_of("okx", simulated, START_NS))
    simulated.instead.extend([cuts(page)["fewer bytes than announced, and still JSON"]] * 3)
    async with serving_rest(simulated) as port, asking("okx", port) as rest:
        with pytest.raises(DependencyDown, match=r"cut.*3 times"):
            await fetch_recent(rest, listing)
