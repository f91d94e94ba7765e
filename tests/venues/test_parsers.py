"""Any bytes give records or BadFrame; real frames give the values worked out by hand."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sofia_streams.errors import BadFrame
from sofia_streams.model import Control, ParsedTicker, ParsedTrade, Trade
from sofia_streams.venues.binance.parse import parse as binance
from sofia_streams.venues.bybit.parse import parse as bybit
from sofia_streams.venues.coinbase.parse import parse as coinbase
from sofia_streams.venues.coinbase.times import ns_from_iso
from sofia_streams.venues.okx.parse import parse as okx

PARSERS = {"binance": binance, "bybit": bybit, "coinbase": coinbase, "okx": okx}
# Frames of the venues' public documentation, shortened where marked.
BINANCE_TRADE = (
    b'{"e":"trade","E":1672515782136,"s":"BNBBTC","t":12345,"p":"0.001","q":"100","T":1672515782136,"m":true,"M":true}'
)
OKX_TRADE = (
    b'{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","tradeId":"130639474",'
    b'"px":"42219.9","sz":"0.12060306","side":"buy","ts":"1630048897897","count":"3","source":"0","seqId":1234}]}'
)
COINBASE_MATCH = (
    b'{"type":"match","trade_id":82047307,"side":"sell","size":"0.00513192","price":"9314.78",'
    b'"product_id":"BTC-USD","sequence":12038915443,"time":"2020-01-31T20:03:41.158814Z"}'
)
BYBIT_TRADE = (
    b'{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1672304486868,"data":[{"T":1672304486865,"s":"BTCUSDT",'
    b'"S":"Buy","v":"0.001","p":"16578.50","i":"20f43950-d8dd-5b31-9112-a178eb6023af","BT":false,"seq":1783284617}]}'
)
TRADES = {
    "binance": (BINANCE_TRADE, "BNBBTC", "12345", "0.001", "100", "sell", 1672515782136000000, 12345),
    "okx": (OKX_TRADE, "BTC-USDT", "130639474", "42219.9", "0.12060306", "buy", 1630048897897000000, 130639474),
    "coinbase": (COINBASE_MATCH, "BTC-USD", "82047307", "9314.78", "0.00513192", "buy", 1580501021158814000, 82047307),
    "bybit": (
        *(BYBIT_TRADE, "BTCUSDT", "20f43950-d8dd-5b31-9112-a178eb6023af", "16578.50", "0.001", "buy"),
        *(1672304486865000000, 1783284617 * 2048),
    ),
}
CONTROLS = [
    ("binance", b'{"result":null,"id":1}', "ack", False),
    ("binance", b'{"code":2,"msg":"Invalid request","id":3}', "error", False),
    ("binance", b'{"error":{"code":2,"msg":"Invalid request"},"id":3}', "error", False),
    ("binance", b'{"e":"serverShutdown","E":1770123456789}', "notice", True),
    (
        *("binance", b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}', "notice"),
        True,
    ),
    ("okx", b"pong", "pong", False),
    ("okx", b'{"event":"subscribe","arg":{"channel":"trades","instId":"BTC-USDT"},"connId":"a4d3ae55"}', "ack", False),
    ("okx", b'{"event":"error","code":"60012","msg":"Invalid request","connId":"a4d3ae55"}', "error", False),
    ("okx", b'{"event":"notice","code":"64008","msg":"closed for a service upgrade","connId":"a4"}', "notice", True),
    ("okx", b'{"event":"channel-conn-count","channel":"orders","connCount":"1"}', "ignored", False),
    ("coinbase", b'{"type":"subscriptions","channels":[{"name":"matches","product_ids":["BTC-USD"]}]}', "ack", False),
    (
        "coinbase",
        b'{"type":"error","message":"Failed to subscribe","reason":"X is not a valid product"}',
        "error",
        False,
    ),
    ("coinbase", b'{"type":"heartbeat","sequence":90,"last_trade_id":20,"product_id":"BTC-USD"}', "heartbeat", False),
    ("coinbase", b'{"type":"something_new","product_id":"BTC-USD"}', "ignored", False),
    ("bybit", b'{"success":true,"ret_msg":"subscribe","conn_id":"2324","op":"subscribe"}', "ack", False),
    ("bybit", b'{"success":false,"ret_msg":"Invalid topic: x","conn_id":"c","op":"subscribe"}', "error", False),
    ("bybit", b'{"success":true,"ret_msg":"pong","conn_id":"0970","op":"ping"}', "pong", False),
    ("bybit", b'{"topic":"kline.1.BTCUSDT","data":[],"ts":1672304486868}', "ignored", False),
]
BAD_NUMBERS = [b"NaN", b"1_000", b"0", b"-1", b"1e400", "１２".encode(), b""]


@pytest.mark.parametrize("venue", PARSERS)
def test_a_trade_keeps_every_value(venue):
    frame, symbol, trade_id, price, quantity, side, exchange_ns, order = TRADES[venue]
    count = 3 if venue == "okx" else 1
    expected = Trade(trade_id, Decimal(price), Decimal(quantity), side, exchange_ns, order, count=count)
    (found,) = PARSERS[venue](frame, received_ns=0)
    assert found == ParsedTrade(symbol, expected)
    assert str(found.trade.price) == price


@pytest.mark.parametrize("venue", PARSERS)
@pytest.mark.parametrize("number", BAD_NUMBERS)
def test_a_price_that_is_no_plain_number_above_zero_is_a_bad_frame(venue, number):
    frame, price = TRADES[venue][0], TRADES[venue][3].encode()
    with pytest.raises(BadFrame, match="digits above zero"):
        PARSERS[venue](frame.replace(b'"' + price + b'"', b'"' + number + b'"'), received_ns=0)


@pytest.mark.parametrize(("venue", "frame", "kind", "reconnect"), CONTROLS)
def test_a_control_message_is_known(venue, frame, kind, reconnect):
    (found,) = PARSERS[venue](frame, received_ns=0)
    assert isinstance(found, Control)
    assert (found.kind, found.reconnect) == (kind, reconnect)


def test_a_bybit_delta_says_only_what_changed():
    frame = (
        b'{"topic":"tickers.ETHUSDT","type":"delta","data":{"symbol":"ETHUSDT","bid1Price":"1922.49",'
        b'"bid1Size":"153.59"},"cs":430879421964,"ts":1786310819274}'
    )
    fields = {"bid": Decimal("1922.49"), "bid_quantity": Decimal("153.59")}
    assert bybit(frame, received_ns=0) == [ParsedTicker("ETHUSDT", fields, 1786310819274000000)]


def test_a_spot_book_ticker_has_no_event_name():
    frame = b'{"u":400900217,"s":"BNBUSDT","b":"25.35190000","B":"31.21000000","a":"25.36520000","A":"40.66000000"}'
    (found,) = binance(frame, received_ns=0)
    assert found.fields["ask"] == Decimal("25.36520000")
    assert found.exchange_ns is None


def test_advanced_trades_come_oldest_first_and_a_snapshot_is_marked():
    row = (
        '{{"trade_id":"{}","product_id":"BTC-USD","price":"1","size":"1","side":"SELL","time":"2026-08-09T21:05:4{}Z"}}'
    )
    frame = (
        '{"channel":"market_trades","timestamp":"2026-08-09T21:05:48Z","sequence_num":0,"events":[{"type":"snapshot",'
        f'"trades":[{row.format(2, 2)},{row.format(1, 1)}]}}]}}'
    )
    found = coinbase(frame.encode(), received_ns=0)
    assert [(record.trade.trade_id, record.trade.snapshot, record.trade.taker_side) for record in found] == [
        ("1", True, "buy"),
        ("2", True, "buy"),
    ]


@pytest.mark.parametrize("text", ["2016-12-31T23:59:60Z", "2026-02-30T00:00:00Z", "2026-01-01 00:00:00Z", "x" * 24, ""])
def test_a_time_that_is_no_time_is_refused(text):
    with pytest.raises(ValueError):
        ns_from_iso(text)


@pytest.mark.parametrize("venue", PARSERS)
@given(data=st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")))
@settings(deadline=None)
def test_any_bytes_give_records_or_a_bad_frame(venue, data):
    check_any(venue, data)


@pytest.mark.parametrize("venue", PARSERS)
@given(place=st.integers(0, 400), junk=st.binary(min_size=1, max_size=4))
@settings(deadline=None)
def test_a_damaged_trade_frame_gives_records_or_a_bad_frame(venue, place, junk):
    frame = TRADES[venue][0]
    place %= len(frame)
    check_any(venue, frame[:place] + junk + frame[place + len(junk) :])


@pytest.mark.parametrize("venue", PARSERS)
@pytest.mark.parametrize(
    "data", [b"[" * 100_000, b'{"a":' * 100_000, b'{"ts":' + b"9" * 5000 + b"}", b"\xef\xbb\xbf{}"]
)
def test_a_json_bomb_is_a_bad_frame(venue, data):
    with pytest.raises(BadFrame):
        PARSERS[venue](data, received_ns=0)


def check_any(venue: str, data: bytes) -> None:
    try:
        found = PARSERS[venue](data, received_ns=0)
    except BadFrame:
        return
    assert all(isinstance(record, ParsedTrade | ParsedTicker | Control) for record in found)
