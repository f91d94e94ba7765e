"""What holds for every venue: its encoder is the inverse of its parser, its answers are understood, its names map."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.errors import UnknownSymbol
from sofia_streams.model import Control, ParsedTicker, ParsedTrade, Trade
from sofia_streams.venues.bybit.parse import TRADES_PER_FRAME_MAX
from sofia_streams.venues.registry import VENUES

NOW_NS = 1_786_310_819_228_000_000
numbers = st.decimals("0.00000001", "99999999", places=8).map(Decimal)
FIELDS = (
    *("last", "bid", "bid_quantity", "ask", "ask_quantity", "open_24h", "high_24h", "low_24h"),
    *("volume_24h", "quote_volume_24h"),
)
tickers = st.fixed_dictionaries(dict.fromkeys(FIELDS, numbers))


@st.composite
def trades(draw, venue: str) -> ParsedTrade:
    number = draw(st.integers(1, 2**51))
    trade = Trade(
        trade_id=str(number),
        price=draw(numbers),
        quantity=draw(numbers),
        taker_side=draw(st.sampled_from(("buy", "sell"))),
        exchange_ns=draw(st.integers(1_500_000_000_000, 4_000_000_000_000)) * 1_000_000,
        order=number * TRADES_PER_FRAME_MAX if venue == "bybit" else number,
        id_kind=draw(st.sampled_from(("trade", "agg"))) if venue == "binance" else "trade",
        snapshot=draw(st.booleans()) if venue == "coinbase" else False,
    )
    return ParsedTrade(VENUES[venue].to_listing("BTC/USDT", "spot"), trade)


@pytest.mark.parametrize("venue", VENUES)
@given(data=st.data())
def test_an_encoded_trade_parses_to_the_same_trade(venue, data):
    parsed = data.draw(trades(venue))
    frame = VENUES[venue].encode_trade(parsed).encode()
    assert VENUES[venue].parse(frame, received_ns=NOW_NS) == [parsed]


@pytest.mark.parametrize("venue", VENUES)
@given(fields=tickers)
def test_encoded_ticker_frames_parse_to_the_same_fields(venue, fields):
    listing = VENUES[venue].to_listing("BTC/USDT", "spot")
    merged: dict[str, Decimal] = {}
    for frame in VENUES[venue].encode_ticker(ParsedTicker(listing, fields, NOW_NS)):
        for found in VENUES[venue].parse(frame.encode(), received_ns=NOW_NS):
            assert isinstance(found, ParsedTicker)
            assert found.venue_symbol == listing
            merged |= found.fields
    said = {name: value for name, value in fields.items() if venue != "coinbase" or name != "quote_volume_24h"}
    assert merged == said


@pytest.mark.parametrize("venue", VENUES)
def test_a_subscription_is_answered_for_what_is_listed(venue):
    protocol = VENUES[venue]
    listings = [protocol.to_listing(pair, "spot") for pair in ("BTC/USDT", "ETH/USDT")]
    subscribed = []
    for request in protocol.requests(listings, "spot"):
        answer = protocol.answer(request, frozenset(listings))
        subscribed += answer.symbols
        for frame in answer.frames:
            assert [found.kind for found in kinds(venue, frame)] == ["ack"]
    assert sorted(set(subscribed)) == sorted(listings)


@pytest.mark.parametrize("venue", ["okx", "coinbase", "bybit"])
def test_a_symbol_that_is_not_listed_is_an_error(venue):
    protocol = VENUES[venue]
    (request, *_) = protocol.requests([protocol.to_listing("NOPE/USDT", "spot")], "spot")
    answer = protocol.answer(request, frozenset())
    assert not answer.symbols
    assert {found.kind for frame in answer.frames for found in kinds(venue, frame)} == {"error"}


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("text", ["", "hello", "[]", '{"op":1}', '{"method":"LIST"}', "{"])
def test_nonsense_from_a_client_is_answered_with_an_error(venue, text):
    answer = VENUES[venue].answer(text, frozenset({"BTCUSDT"}))
    assert not answer.symbols
    assert {found.kind for frame in answer.frames for found in kinds(venue, frame)} == {"error"}


@pytest.mark.parametrize("venue", ["okx", "bybit"])
def test_the_ping_of_a_client_is_answered_with_a_pong(venue):
    ping = VENUES[venue].limits.ping
    assert ping is not None
    (frame,) = VENUES[venue].answer(ping, frozenset()).frames
    assert [found.kind for found in kinds(venue, frame)] == ["pong"]


def test_a_heartbeat_is_understood():
    (frame,) = VENUES["coinbase"].heartbeat(NOW_NS, {"BTC-USD": "42"})
    assert [found.kind for found in kinds("coinbase", frame)] == ["heartbeat"]
    assert msgspec.json.decode(frame)["last_trade_id"] == 42


@pytest.mark.parametrize("venue", VENUES)
def test_a_listing_maps_back_to_its_pair(venue):
    protocol = VENUES[venue]
    assert protocol.from_listing(protocol.to_listing("BTC/USDT", "spot"), "spot") == ("BTC/USDT", False)


@pytest.mark.parametrize("venue", ["binance", "okx", "bybit"])
def test_perpetuals_map_back_to_their_pair(venue):
    protocol = VENUES[venue]
    assert protocol.from_listing(protocol.to_listing("BTC/USDT", "linear"), "linear") == ("BTC/USDT:USDT", False)
    assert protocol.from_listing(protocol.to_listing("BTC/USD", "inverse"), "inverse") == ("BTC/USD:BTC", False)


@pytest.mark.parametrize(
    ("venue", "market", "listing", "symbol"),
    [
        ("binance", "linear", "BTCUSDT_260925", "BTC/USDT:USDT-260925"),
        ("okx", "linear", "TRX-USDT-210924", "TRX/USDT:USDT-210924"),
        ("okx", "inverse", "BTC-USD-220527", "BTC/USD:BTC-220527"),
        ("bybit", "linear", "BTCPERP", "BTC/USDC:USDC"),
        ("bybit", "linear", "BTCUSDT-26DEC25", "BTC/USDT:USDT-251226"),
        ("bybit", "inverse", "BTCUSDZ25", "BTC/USD:BTC-251226"),
        ("bybit", "inverse", "ETHUSDH26", "ETH/USD:ETH-260327"),
    ],
)
def test_contract_names(venue, market, listing, symbol):
    assert VENUES[venue].from_listing(listing, market) == (symbol, False)


@pytest.mark.parametrize(("venue", "listing"), [("bybit", "BTCUSDT-99XXX"), ("okx", "BTC"), ("binance", "ZZZ")])
def test_a_name_nobody_can_split_is_refused(venue, listing):
    with pytest.raises(UnknownSymbol):
        VENUES[venue].from_listing(listing, "linear")


def kinds(venue: str, frame: str) -> list[Control]:
    found = VENUES[venue].parse(frame.encode(), received_ns=NOW_NS)
    assert all(isinstance(record, Control) for record in found)
    return [record for record in found if isinstance(record, Control)]
