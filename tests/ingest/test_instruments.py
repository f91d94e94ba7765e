"""Instruments of four venues through ccxt itself, over loopback from the simulator's REST: exact, or a plain error."""

import asyncio
import gc
import json
import os
import resource
import sys
import time
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from rest_server import at, serving_rest

from sofia_streams.errors import ConfigError, DependencyDown, UnknownSymbol
from sofia_streams.ingest.rest.instruments import Instrument, Place, listed, load_instruments, survey
from sofia_streams.settings import Settings
from sofia_streams.simulator.instrument import SimulatedInstrument
from sofia_streams.simulator.rest import Reply, Rest
from sofia_streams.venues.registry import VENUES

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
PAIRS = ("BTC/USDT", "ETH/USDT", "DOGE/BTC")
PAGE = Reply(200, "<html><body>Sign in to this network</body></html>", {"Content-Type": "text/html"})
PATIENCE_S = 60.0


def simulated(pairs=PAIRS):
    return [SimulatedInstrument(venue, pair, 0) for venue in VENUES for pair in pairs]


def busy(status, after=None):
    return Reply(status, "{}", {"Content-Type": "application/json"} | ({"Retry-After": after} if after else {}))


@pytest.fixture(autouse=True)
async def everything_is_closed():
    """ccxt and aiohttp complain to the loop about a client that was left open."""
    complaints = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
    yield
    gc.collect()
    await asyncio.sleep(0)
    assert not complaints


@pytest.mark.parametrize("venue", VENUES)
async def test_tick_and_step_are_exact_at_every_venue(venue):
    async with serving_rest(Rest(simulated())) as port:
        found = await load_instruments(venue, "spot", PAIRS, place=at(port))
    assert [one.symbol for one in found] == list(PAIRS)
    for one in found:
        there = SimulatedInstrument(venue, one.symbol, 0)
        assert (one.listing, f"{one.base}/{one.quote}", one.active) == (there.listing, one.symbol, True)
        assert one.price_tick == there.tick and isinstance(one.price_tick, Decimal)
        assert one.quantity_step == Decimal(1).scaleb(-there.lot_digits)
        assert one.contract_size is None and one.settle is None
    assert found[2].price_tick == Decimal("0.00000000001")


@pytest.mark.parametrize("venue", VENUES)
async def test_a_pair_that_is_not_listed_is_named_with_what_is_near(venue):
    async with serving_rest(Rest(simulated())) as port:
        with pytest.raises(UnknownSymbol, match=rf"{venue}.*BTC/USTD.*near it are BTC/USDT.*XQZW/KLMN.*nothing"):
            await load_instruments(venue, "spot", ["BTC/USDT", "BTC/USTD", "XQZW/KLMN"], place=at(port))


async def test_an_override_names_another_listing():
    async with serving_rest(Rest([SimulatedInstrument("coinbase", "BTC/USD", 0)])) as port:
        listings = {("coinbase", "BTC/USDT"): "BTC-USD"}
        found = await load_instruments("coinbase", "spot", ["BTC/USDT"], listings=listings, place=at(port))
    assert [(one.symbol, one.listing) for one in found] == [("BTC/USD", "BTC-USD")]


async def test_a_market_or_venue_that_there_is_not_is_refused_before_anything_is_asked():
    with pytest.raises(UnknownSymbol, match="coinbase"):
        await load_instruments("coinbase", "linear", ["BTC/USD"], place=at(1))
    with pytest.raises(ConfigError, match="kraken"):
        await load_instruments("kraken", "spot", ["BTC/USD"], place=at(1))


@pytest.mark.parametrize("venue", VENUES)
async def test_a_server_that_is_down_is_an_error_with_a_cure(venue):
    async with serving_rest(Rest(simulated())) as port:
        pass
    with pytest.raises(DependencyDown, match=rf"{venue}: expected .*Connect call failed.*Check the network"):
        await load_instruments(venue, "spot", PAIRS, place=at(port))


async def test_what_was_kept_serves_when_the_venue_is_down_and_its_age_is_said(tmp_path):
    said = []
    async with serving_rest(Rest(simulated())) as port:
        place = at(port, tmp_path / "kept", said.append)
        fresh = await load_instruments("okx", "spot", PAIRS, place=place)
    path = tmp_path / "kept" / "okx-spot.json"
    kept = json.loads(path.read_text())
    assert kept["ccxt"] and [one.name for one in path.parent.iterdir()] == [path.name] and not said
    kept["as_of_ns"] -= 3 * 3600 * 10**9
    path.write_text(json.dumps(kept))
    assert await load_instruments("okx", "spot", PAIRS, place=place) == fresh
    assert len(said) == 1 and "3 h ago" in said[0]


@pytest.mark.parametrize("damage", [b"", b"{", b'{"schema":9,"as_of_ns":1,"ccxt":"4","instruments":[]}', b"\xff\xfe"])
async def test_a_damaged_kept_file_is_as_none(tmp_path, damage):
    (tmp_path / "okx-spot.json").write_bytes(damage)
    with pytest.raises(DependencyDown, match="okx"):
        await listed("okx", "spot", at(1, tmp_path))


async def test_an_answer_that_does_not_fit_is_still_an_answer_and_the_kept_one_stays(tmp_path):
    said: list[str] = []
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with serving_rest(Rest(simulated())) as port:
        place = at(port, tmp_path / "kept", said.append)
        await load_instruments("okx", "spot", PAIRS, place=place)
        (kept,) = (tmp_path / "kept").iterdir()
        content = kept.read_bytes()
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(content) // 2, before[1]))
        try:
            found = await load_instruments("okx", "spot", PAIRS, place=place)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(found) == 3 and "could not be kept" in said[0] and "File too large" in said[0]
    assert [one.read_bytes() for one in (tmp_path / "kept").iterdir()] == [content]


async def test_an_answer_that_cannot_be_kept_is_still_an_answer(tmp_path):
    (tmp_path / "kept").write_text("a file where the folder should be")
    said = []
    async with serving_rest(Rest(simulated())) as port:
        found = await load_instruments("okx", "spot", PAIRS, place=at(port, tmp_path / "kept", said.append))
    assert len(found) == 3 and "could not be kept" in said[0]


@pytest.mark.parametrize("venue", VENUES)
async def test_a_busy_venue_is_asked_again_when_it_says(venue):
    rest = Rest(simulated())
    rest.instead.append(busy(429, "1"))
    async with serving_rest(rest) as port:
        began_s = time.monotonic()
        assert len(await load_instruments(venue, "spot", PAIRS, place=at(port))) == 3
    assert time.monotonic() - began_s >= 1.0


async def test_a_venue_that_stays_busy_is_given_up_after_three_times():
    async with serving_rest(Rest(simulated()), ["busy=1"]) as port:
        with pytest.raises(DependencyDown, match=r"okx: .*asked too often.*Wait 1 s"):
            await load_instruments("okx", "spot", PAIRS, place=at(port))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /stats HTTP/1.1\r\nHost: localhost\r\n\r\n")
        counts = json.loads((await reader.read()).partition(b"\r\n\r\n")[2])
        writer.close()
    assert counts["fired"] == {"busy": 3}


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (busy(429, "3600"), "asked too often.*Wait 3600 s"),
        (busy(418), "HTTP 418.*Wait a few minutes"),
        (busy(451), "HTTP 451.*does not serve this region"),
        (busy(403), "HTTP 403.*refuses this address"),
        (busy(503), "HTTP 503.*Try again later"),
        (PAGE, "no JSON: <html>.*in a browser"),
        (Reply(200, ""), "no JSON"),
        (Reply(200, '{"some": "thing"}'), "."),
        (Reply(200, "[1, 2]"), "."),
        (Reply(200, '[{"id": "BTC"}]'), "."),
    ],
)
@pytest.mark.parametrize("venue", VENUES)
async def test_an_answer_that_is_none_is_an_error_with_a_cure_and_asked_once(venue, reply, words):
    rest = Rest(simulated())
    rest.instead.append(reply)
    async with serving_rest(rest) as port:
        with pytest.raises(DependencyDown, match=rf"(?s){venue}: expected its list of .*, found.*{words}"):
            await load_instruments(venue, "spot", PAIRS, place=at(port))


async def test_a_row_that_cannot_be_read_costs_only_itself():
    rest, said = Rest(simulated()), []
    answer = rest.answer("/okx/api/v5/public/instruments?instType=SPOT").body
    rest.instead.append(Reply(200, answer.replace('"tickSz":"0.1"', '"tickSz":"NaN"')))
    async with serving_rest(rest) as port:
        found = await listed("okx", "spot", at(port, say=said.append))
    assert sorted(found) == ["DOGE-BTC", "ETH-USDT"] and "BTC-USDT" in said[0]


CONTRACTS = {
    ("binance", "linear"): [
        {"symbols": [{"symbol": "BTCUSDT", "contractType": "PERPETUAL", "deliveryDate": 4133404800000,
                      "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "marginAsset": "USDT",
                      "pricePrecision": 2, "quantityPrecision": 3, "filters": [
                          {"filterType": "PRICE_FILTER", "minPrice": "556.80", "maxPrice": "45297", "tickSize": "0.10"},
                          {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
                          {"filterType": "MIN_NOTIONAL", "notional": "100"}]}]}
    ],
    ("okx", "linear"): [
        {"code": "0", "msg": "", "data": [
            {"instType": "SWAP", "instId": "BTC-USDT-SWAP", "uly": "BTC-USDT", "baseCcy": "", "quoteCcy": "",
             "settleCcy": "USDT", "ctVal": "0.01", "ctMult": "1", "ctType": "linear", "lotSz": "0.01", "minSz": "0.01",
             "tickSz": "0.1", "lever": "100", "state": "suspend", "listTime": "1573557408000", "expTime": ""}]},
        {"code": "0", "msg": "", "data": []},
    ],
    ("bybit", "inverse"): [
        {"retCode": 0, "retMsg": "OK", "result": {"category": "inverse", "list": [
            {"symbol": "BTCUSD", "contractType": "InversePerpetual", "status": "Trading", "baseCoin": "BTC",
             "quoteCoin": "USD", "settleCoin": "BTC", "launchTime": "1585526400000", "deliveryTime": "0",
             "deliveryFeeRate": "", "priceScale": "2", "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00"},
             "priceFilter": {"minPrice": "0.10", "maxPrice": "1999999.80", "tickSize": "0.10"},
             "lotSizeFilter": {"maxOrderQty": "25000000", "minOrderQty": "1", "qtyStep": "1"}}]}},
        {"retCode": 0, "retMsg": "OK", "result": {"category": "inverse", "list": []}},
    ],
}  # fmt: skip
"""As the venues' documentation has them."""


@pytest.mark.parametrize(
    ("place", "pair", "expected"),
    [
        (("binance", "linear"), "BTC/USDT", ("BTC/USDT:USDT", "BTCUSDT", "USDT", "1", "0.1", "0.001", "100", True)),
        (("okx", "linear"), "BTC/USDT", ("BTC/USDT:USDT", "BTC-USDT-SWAP", "USDT", "0.01", "0.1", "0.01", None, False)),
        (("bybit", "inverse"), "BTC/USD", ("BTC/USD:BTC", "BTCUSD", "BTC", "1", "0.1", "1", None, True)),
    ],
)
async def test_contracts_say_their_size_and_settle_currency(place, pair, expected):
    rest = Rest(simulated())
    rest.instead.extend(Reply(200, json.dumps(answer)) for answer in CONTRACTS[place])
    async with serving_rest(rest) as port:
        (one,) = await load_instruments(*place, [pair], place=at(port))
    numbers = [one.contract_size, one.price_tick, one.quantity_step, one.notional_min]
    texts = [None if number is None else f"{number:f}" for number in numbers]
    assert (one.symbol, one.listing, one.settle, *texts, one.active) == expected


async def test_an_instrument_survives_its_file():
    tick = Decimal("0.00000001")
    one = Instrument("okx", "spot", "A/B", "A-B", "A", "B", None, None, tick, None, None, None, True, 1)
    assert msgspec.json.decode(msgspec.json.encode(one), type=Instrument) == one


async def test_a_venue_without_an_answer_takes_nothing_from_the_others(tmp_path):
    settings = Settings(crypto_symbols=("BTC/USDT", "BTC/EUR"), data_dir=tmp_path)
    async with serving_rest(Rest(simulated())) as port:
        place = Place(dict(at(port).rest_urls) | {"okx": "http://127.0.0.1:1/okx"})
        found = await survey(settings, settings.crypto_exchanges, settings.crypto_symbols, place)
    others = {"binance", "coinbase", "bybit"}
    assert {one.venue for one in found.instruments} == others == {one.venue for one in found.unlisted}
    assert list(found.failed) == ["okx"]


async def run_sofia(port, data_dir, *arguments):
    environment = {**os.environ, "SIMULATOR_URL": f"ws://127.0.0.1:{port}", "DATA_DIR": str(data_dir)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sofia_streams.cli", *arguments, cwd=ROOT, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(PATIENCE_S):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_the_command_shows_a_table_and_fails_by_venue(tmp_path):
    rest = Rest(simulated())
    async with serving_rest(rest) as port:
        code, out, err = await run_sofia(port, tmp_path, "instruments", "--symbols", "DOGE/BTC,BTC-USDT", "--json")
        shown = json.loads(out)
        assert (code, err, shown["schema"], len(shown["instruments"])) == (0, "", 1, 8)
        assert {one["price_tick"] for one in shown["instruments"] if one["symbol"] == "DOGE/BTC"} == {"0.00000000001"}
        rest.instead.append(PAGE)
        arguments = ("--venues", "bybit", "--symbols", "BTC/USDT,BTC/USTD")
        code, out, err = await run_sofia(port, tmp_path / "none", "instruments", *arguments)
        assert code == 1 and "bybit: expected" in err and "no instruments" in out and "Traceback" not in err
        code, out, err = await run_sofia(port, tmp_path, "instruments", *arguments)
        assert code == 1 and "BTC/USTD" in err and "BTCUSDT" in out and "Traceback" not in err
    code, out, err = await run_sofia(port, tmp_path, "instruments", "--symbols", "BTC/USDT")
    assert code == 0 and err.count("Shown is what it said") == 4 and "BTC-USDT" in out
