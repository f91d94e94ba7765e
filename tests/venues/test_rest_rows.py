"""Rows of REST trades: what is written reads back, the same trade as on the socket, and nothing else is taken."""

import contextlib
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.model import ParsedTrade, Trade
from sofia_streams.venues.bybit.parse import TRADES_PER_FRAME_MAX
from sofia_streams.venues.registry import VENUES

NAMES = {"binance": "BTCUSDT", "okx": "BTC-USDT", "coinbase": "BTC-USD", "bybit": "BTCUSDT"}
ROWS = [
    ("binance", {"id": 28457, "price": "4.00000100", "qty": "12.00000000", "quoteQty": "48.000012",
                 "time": 1499865549590, "isBuyerMaker": True, "isBestMatch": True},
     Trade("28457", Decimal("4.00000100"), Decimal("12.00000000"), "sell", 1499865549590000000, 28457)),
    ("binance", {"a": 26129, "p": "0.01633102", "q": "4.70443515", "f": 27781, "l": 27783, "T": 1498793709153,
                 "m": False, "M": True},
     Trade("26129", Decimal("0.01633102"), Decimal("4.70443515"), "buy", 1498793709153000000, 26129, "agg")),
    ("okx", {"instId": "BTC-USDT", "side": "sell", "sz": "0.00013669", "px": "102537.9", "tradeId": "734864333",
             "ts": "1747087163557"},
     Trade("734864333", Decimal("102537.9"), Decimal("0.00013669"), "sell", 1747087163557000000, 734864333)),
    ("coinbase", {"trade_id": "15035219", "side": "sell", "size": "0.27426731", "price": "25820.42000000",
                  "time": "2023-09-10T13:47:41.447577Z"},
     Trade("15035219", Decimal("25820.42000000"), Decimal("0.27426731"), "buy", 1694353661447577000, 15035219)),
    ("bybit", {"execId": "2100000000007764263", "symbol": "BTCUSDT", "price": "16618.49", "size": "0.00012",
               "side": "Buy", "time": "1672052955758", "isBlockTrade": False, "isRPITrade": True, "seq": "123456"},
     Trade("2100000000007764263", Decimal("16618.49"), Decimal("0.00012"), "buy", 1672052955758000000,
           123456 * TRADES_PER_FRAME_MAX)),
]  # fmt: skip
"""As the venues' documentation has them."""


@pytest.mark.parametrize(("venue", "row", "trade"), ROWS)
def test_a_documented_row_gives_every_value(venue, row, trade):
    found = VENUES[venue].read_trade(row)
    assert found == trade
    assert (str(found.price), str(found.quantity)) == (str(trade.price), str(trade.quantity))


def numbers():
    return st.builds(lambda digits, places: Decimal(digits).scaleb(-places), st.integers(1, 10**18), st.integers(0, 12))


def trades(venue):
    order = st.integers(0, 2**40)
    ids = {"bybit": st.text("0123456789abcdef-", min_size=1, max_size=40)}
    unit_ns = 1_000 if venue == "coinbase" else 1_000_000
    times_ns = st.integers(10**18 // unit_ns, 4 * 10**18 // unit_ns).map(lambda value: value * unit_ns)
    kinds = st.sampled_from(["trade", "agg"]) if venue == "binance" else st.just("trade")

    def made(number, text, price, quantity, side, at_ns, kind):
        trade_id, place = (text, number * TRADES_PER_FRAME_MAX) if venue == "bybit" else (str(number), number)
        return ParsedTrade(NAMES[venue], Trade(trade_id, price, quantity, side, at_ns, place, kind))

    sides = st.sampled_from(["buy", "sell"])
    return st.builds(made, order, ids.get(venue, st.none()), numbers(), numbers(), sides, times_ns, kinds)


@pytest.mark.parametrize("venue", VENUES)
def test_a_trade_is_the_same_over_rest_and_over_the_socket(venue):
    @given(trades(venue))
    def check(parsed):
        row = msgspec.json.decode(msgspec.json.encode(VENUES[venue].write_trade(parsed)))
        found = VENUES[venue].read_trade(row)
        assert found == parsed.trade
        assert (str(found.price), str(found.quantity)) == (str(parsed.trade.price), str(parsed.trade.quantity))
        assert VENUES[venue].parse(VENUES[venue].encode_trade(parsed).encode(), received_ns=0) == [parsed]

    check()


NEEDED = {"price", "qty", "isBuyerMaker", "p", "q", "m", "px", "sz", "side", "size", "time", "T", "ts"}
WRONG = [
    None, "", "NaN", "1_000", "0", "-1", "1e400", "１２", -1, 0, 1.5, 2**63, 10**400, [], {}, True, "\ud800",
    "9" * 5000, "Infinity", "both", "2026-13-01T00:00:00Z",
]  # fmt: skip


@pytest.mark.parametrize(("venue", "row", "trade"), ROWS)
def test_a_row_with_a_wrong_or_missing_value_is_refused_or_harmless(venue, row, trade):
    read = VENUES[venue].read_trade
    for name in row:
        shorter = {key: value for key, value in row.items() if key != name}
        for changed in (shorter, *({**row, name: wrong} for wrong in WRONG)):
            try:
                found = read(changed)
            except ValueError:
                continue
            assert found.price > 0 and found.quantity > 0 and 0 < found.exchange_ns < 2**63
            assert 0 <= found.order < 2**63 and 0 < len(found.trade_id) <= 64 and found.taker_side in ("buy", "sell")


@pytest.mark.parametrize(("venue", "row", "trade"), ROWS)
def test_a_price_a_size_and_a_side_are_never_guessed(venue, row, trade):
    for name in NEEDED & set(row):
        for wrong in ("NaN", "１２", -1, None, [], "-1", 10**400):
            with pytest.raises(ValueError):
                VENUES[venue].read_trade({**row, name: wrong})
        with pytest.raises(ValueError, match=name):
            VENUES[venue].read_trade({key: value for key, value in row.items() if key != name})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20), lambda inner: st.lists(inner, max_size=3)
)


@pytest.mark.parametrize("venue", VENUES)
def test_any_row_gives_a_trade_or_a_value_error(venue):
    keys = sorted({key for name, row, _ in ROWS if name == venue for key in row} | {"other"})

    @given(st.dictionaries(st.sampled_from(keys), json_values))
    def check(row):
        with contextlib.suppress(ValueError):
            assert isinstance(VENUES[venue].read_trade(row), Trade)

    check()


@given(st.integers(0, 20_000), st.integers(1, 12_000))
def test_a_trade_of_okx_covers_as_many_ids_as_it_says_where_that_can_be(number, count):
    trade = Trade(str(number), Decimal("1.5"), Decimal(2), "buy", 10**18, number, count=count)
    (found,) = VENUES["okx"].parse(VENUES["okx"].encode_trade(ParsedTrade("BTC-USDT", trade)).encode(), received_ns=0)
    assert found.trade.count == (count if count <= min(number + 1, 9_999) else 1)
