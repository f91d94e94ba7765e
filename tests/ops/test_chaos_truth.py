"""The ledger and its own fold: read to the last whole line; its candles are those of the product, for any prints."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.core.bars.ohlcv import bar_of, merge_all, sums_of
from sofia_streams.errors import BadRecord
from sofia_streams.model import NS_PER_SECOND, Trade
from sofia_streams.ops.chaos.truth import Candle, Print, candles, read_ledger

PRICES = st.decimals("0.00000001", "99999.99999999", places=8)
VENUES, SIDES = st.sampled_from(["binance", "okx"]), st.sampled_from(["buy", "sell"])
ROWS = st.lists(st.tuples(VENUES, st.integers(0, 5_000), PRICES, PRICES, SIDES), min_size=1, max_size=40)


@given(ROWS)
def test_its_candles_are_those_of_the_product_to_the_last_digit(rows):
    prints, sums = [], {}
    for number, (venue, ms, price, quantity, side) in enumerate(rows):
        at_ns = ms * 1_000_000
        prints.append((venue, Print(str(number), at_ns, price, quantity, side, 0)))
        trade = Trade(str(number), price, quantity, side, at_ns, number)
        sums.setdefault(at_ns - at_ns % NS_PER_SECOND, []).append(sums_of([trade], venue))
    found = candles(prints, NS_PER_SECOND)
    assert found.keys() == sums.keys()
    for start_ns, parts in sums.items():
        name = {"venue": "all", "market": "spot", "symbol": "X/Y", "size_ns": NS_PER_SECOND}
        bar = bar_of(merge_all(parts), **name, start_ns=start_ns)
        assert found[start_ns] == tuple(getattr(bar, name) for name in Candle._fields)


def line(number: int, **changes) -> str:
    row = {
        "venue": "okx", "market": "spot", "listing": "BTC-USDT", "trade_id": str(number), "exchange_ns": number,
        "price": "1.50", "quantity": "2", "side": "buy",
    }  # fmt: skip
    return json.dumps(row | changes) + "\n"


def test_it_is_read_up_to_a_line_that_was_being_written(tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.write_text(line(7) + line(8) + line(9)[:-20])
    found = read_ledger(path, {("okx", "BTC-USDT"): "BTC/USDT"})
    assert list(found) == ["okx|spot|BTC/USDT"]
    assert found["okx|spot|BTC/USDT"] == {
        "7": Print("7", 7, Decimal("1.50"), Decimal(2), "buy", 0),
        "8": Print("8", 8, Decimal("1.50"), Decimal(2), "buy", len(line(7))),
    }


def test_a_line_that_is_no_trade_is_an_error(tmp_path):
    path = tmp_path / "ledger.jsonl"
    path.write_text(line(7) + '{"venue": 3}\n')
    with pytest.raises(BadRecord, match=f"byte {len(line(7))}"):
        read_ledger(path, {("okx", "BTC-USDT"): "BTC/USDT"})
