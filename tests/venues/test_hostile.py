"""Hostile frames: JSON bombs, repeated keys, numbers that are none, times at the edges. A reason, never a number."""

import pytest

from sofia_streams.errors import BadFrame
from sofia_streams.model import ParsedTrade, Refused
from sofia_streams.venues.registry import VENUES

TRADES = {
    "binance": (
        '{"stream":"btcusdt@trade","data":{"e":"trade","E":1672515782136,"s":"BTCUSDT","t":12345,"p":"5","q":"7",'
        '"T":1672515782136,"m":true,"M":true}}'
    ),
    "okx": (
        '{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","tradeId":"12345","px":"5",'
        '"sz":"7","side":"buy","ts":"1672515782136"}]}'
    ),
    "coinbase": (
        '{"type":"match","trade_id":12345,"maker_order_id":"a","taker_order_id":"b","side":"sell","size":"7",'
        '"price":"5","product_id":"BTC-USD","sequence":1,"time":"2020-01-31T20:03:41.158814Z"}'
    ),
    "bybit": (
        '{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1672515782136,"data":[{"T":1672515782136,"s":"BTCUSDT",'
        '"S":"Buy","v":"7","p":"5","i":"12345","BT":false,"RPI":false,"seq":1}]}'
    ),
}
PRICE = {"binance": '"p":"5"', "okx": '"px":"5"', "coinbase": '"price":"5"', "bybit": '"p":"5"'}
SIZE = {"binance": '"q":"7"', "okx": '"sz":"7"', "coinbase": '"size":"7"', "bybit": '"v":"7"'}
TIME = {
    "binance": '"T":1672515782136',
    "okx": '"ts":"1672515782136"',
    "coinbase": '"time":"2020-01-31T20:03:41.158814Z"',
    "bybit": '"T":1672515782136',
}
SIDE = {"binance": '"m":true,', "okx": '"side":"buy",', "coinbase": '"side":"sell",', "bybit": '"S":"Buy",'}
ID = {"binance": '"t":12345', "okx": '"tradeId":"12345"', "coinbase": '"trade_id":12345', "bybit": '"i":"12345"'}
BOMBS = {
    "nested lists": b"[" * 100_000,
    "nested objects": b'{"a":' * 100_000,
    "nested where data is": b'{"stream":"x","topic":"publicTrade.X","arg":{},"data":' + b"[" * 100_000,
    "5,000 digits": b'{"E":' + b"9" * 5_000 + b"}",
    "a byte order mark": b'\xef\xbb\xbf{"type":"heartbeat"}',
    "a zero byte": b'{"type":"heart\x00beat"}',
    "a lone surrogate": b'{"type":"\\ud800"}',
    "a surrogate in bytes": b'{"type":"\xed\xa0\x80"}',
    "not UTF-8": b'{"type":"\xff\xfe"}',
    "nothing": b"",
    "two documents": b"{}{}",
    "infinity": b'{"type":Infinity}',
    "not a number": b'{"type":NaN}',
}
NO_NUMBERS = (
    *("NaN", "sNaN", "Infinity", "-Infinity", "1e400", "1E5", "1_000", "１２", "٣", "0x10", " 5", "5 ", "5.", ".5"),
    *("+5", "-5", "0", "0.000", "-0", "", "5,0", "5" * 21, "0." + "0" * 20 + "1", "1e999999999", "\\u0665", "5\\u0000"),
)
BAD_TIMES = {
    "binance": ("0", "-1", str(2**63), "9" * 40, "9" * 4_000, "1.5", "1e3", "null", '"1672515782136"', "true"),
    "okx": ('"0"', '"0000000000000"', '"-1"', '"9999999999999999"', '"１"', '""', '"1e3"', "1672515782136", "null"),
    "coinbase": (
        *('"1969-12-31T23:59:59.999999Z"', '"0001-01-01T00:00:00.000000Z"', '"2262-04-11T23:47:16.854775808Z"'),
        *('"9999-12-31T23:59:59Z"', '"2020-02-30T00:00:00Z"', '"2020-01-31T20:03:60Z"', "1580501021", '""'),
        *('"2020-01-31T20:03:41.158814+01:00"', '"2020-01-31T20:03:41.１Z"', '"2020-01-31T20:03:41.1234567890Z"'),
    ),
    "bybit": ("0", "-1", str(2**63), "9" * 40, "1672515782136000000", "1.5", "null", '"1672515782136"'),
}
LAST_MS = (2**63 - 1) // 1_000_000


def changed(venue, part, value):
    frame = TRADES[venue]
    assert part in frame
    return frame.replace(part, value).encode("utf-8", "surrogatepass")


def check_bad(venue, frame):
    with pytest.raises(BadFrame) as caught:
        VENUES[venue].parse(frame, received_ns=0)
    assert caught.value.found
    assert len(str(caught.value)) < 1_500


@pytest.mark.parametrize("venue", VENUES)
def test_the_frame_that_the_others_are_made_from_is_good(venue):
    (found,) = VENUES[venue].parse(TRADES[venue].encode(), received_ns=0)
    assert isinstance(found, ParsedTrade)


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_a_bad_frame(venue, name):
    check_bad(venue, BOMBS[name])


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("parts", [PRICE, SIZE, TIME, ID])
@pytest.mark.parametrize("depth", [2_000, 100_000])
def test_a_deep_nest_inside_a_frame_of_the_usual_layout_is_a_bad_frame(venue, parts, depth):
    """The quick way through a frame meets it first: as many colons as a good frame has."""
    nest = "[" * depth + "]" * depth
    check_bad(venue, changed(venue, parts[venue], f"{parts[venue].partition(':')[0]}:{nest}"))
    check_bad(venue, changed(venue, parts[venue], f'"unknown":{nest}'))


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("text", NO_NUMBERS)
def test_a_text_that_is_no_plain_number_above_zero_is_no_price_and_no_quantity(venue, text):
    for part in (PRICE[venue], SIZE[venue]):
        check_bad(venue, changed(venue, part, f'{part.partition(":")[0]}:"{text}"'))


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("value", ["5", "5.0", "null", "true", "[]", "{}", "9" * 5_000, "1e400"])
def test_a_price_of_another_kind_is_refused(venue, value):
    check_bad(venue, changed(venue, PRICE[venue], f"{PRICE[venue].partition(':')[0]}:{value}"))


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("parts", [PRICE, SIZE, TIME, ID])
def test_a_key_that_stands_twice_is_refused(venue, parts):
    part = parts[venue]
    check_bad(venue, changed(venue, part, f"{part},{part}"))
    check_bad(venue, changed(venue, part, f"{part}, {part.replace(':', ' : ', 1)}"))
    check_bad(venue, changed(venue, part, f'{part},"\\u00{ord(part[1]):02x}{part[2:]}'))


@pytest.mark.parametrize("venue", VENUES)
def test_a_key_twice_instead_of_another_is_refused(venue):
    """As many keys as a good frame has, so that counting them is not enough."""
    frame = TRADES[venue].replace(SIDE[venue], f"{PRICE[venue]},", 1)
    check_bad(venue, frame.encode())


@pytest.mark.parametrize("venue", VENUES)
def test_a_trade_without_side_is_refused(venue):
    check_bad(venue, changed(venue, SIDE[venue], ""))


@pytest.mark.parametrize(("venue", "value"), [(venue, one) for venue, values in BAD_TIMES.items() for one in values])
def test_a_time_outside_of_1970_to_2262_or_of_another_form_is_refused(venue, value):
    check_bad(venue, changed(venue, TIME[venue], f"{TIME[venue].partition(':')[0]}:{value}"))


@pytest.mark.parametrize(
    ("venue", "value", "exchange_ns"),
    [
        ("binance", str(LAST_MS), LAST_MS * 1_000_000),
        ("binance", "2147483648000", 2147483648 * 10**9),
        ("binance", "1672515782136789", 1672515782136789000),
        ("binance", "1", 1_000_000),
        ("okx", f'"{LAST_MS}"', LAST_MS * 1_000_000),
        ("okx", '"2147483648000"', 2147483648 * 10**9),
        ("coinbase", '"2262-04-11T23:47:16.854775807Z"', 2**63 - 1),
        ("coinbase", '"2038-01-19T03:14:08Z"', 2**31 * 10**9),
        ("coinbase", '"2024-02-29T23:59:59.000000001Z"', 1709251199 * 10**9 + 1),
        ("bybit", str(LAST_MS), LAST_MS * 1_000_000),
    ],
)
def test_a_time_at_the_edge_is_exact(venue, value, exchange_ns):
    frame = changed(venue, TIME[venue], f"{TIME[venue].partition(':')[0]}:{value}")
    (found,) = VENUES[venue].parse(frame, received_ns=0)
    assert found.trade.exchange_ns == exchange_ns


@pytest.mark.parametrize("venue", ["binance", "okx", "coinbase"])
@pytest.mark.parametrize("number", ["-1", str(2**63), "9" * 4_000])
def test_an_id_that_no_counter_reaches_is_refused(venue, number):
    check_bad(venue, changed(venue, ID[venue], ID[venue].replace("12345", number)))


@pytest.mark.parametrize("text", ["", "x" * 65, "a\\u0000", "é", "\\ud83d\\ude00"])
def test_an_id_of_text_is_short_and_printable(text):
    check_bad("bybit", changed("bybit", ID["bybit"], f'"i":"{text}"'))


@pytest.mark.parametrize("seq", ["-1", str(2**53), "9" * 400])
def test_a_sequence_that_would_not_fit_is_refused(seq):
    check_bad("bybit", changed("bybit", '"seq":1', f'"seq":{seq}'))


@pytest.mark.parametrize("bad", [{"p": "NaN"}, {"S": "None"}, {"T": "0"}, {"i": ""}, {"v": "0"}])
def test_one_bad_row_costs_only_itself(bad):
    name, value = next(iter(bad.items()))
    row = TRADES["bybit"][TRADES["bybit"].index("[") + 1 : -2]
    keys = {"p": PRICE["bybit"], "S": '"S":"Buy"', "T": TIME["bybit"], "i": ID["bybit"], "v": SIZE["bybit"]}
    hurt = row.replace(keys[name], f'"{name}":{value}' if name == "T" else f'"{name}":"{value}"')
    others = [row.replace("12345", number) for number in ("1", "3")]
    frame = TRADES["bybit"].replace(row, f"{others[0]},{hurt},{others[1]}").encode()
    found = VENUES["bybit"].parse(frame, received_ns=0)
    assert [one.trade.trade_id for one in found if isinstance(one, ParsedTrade)] == ["1", "3"]
    (refused,) = [one for one in found if isinstance(one, Refused)]
    assert refused.reason.startswith("row 2 of 3: ")


def test_an_empty_list_of_trades_is_nothing():
    frame = '{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[]}'
    assert VENUES["okx"].parse(frame.encode(), received_ns=0) == []
