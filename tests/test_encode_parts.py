"""A batch that is larger than a record may be becomes several records: nothing lost, nothing out of order."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from sofia_streams import codec
from sofia_streams.model import Trade, TradeBatch


def batch(sizes: list[int]) -> TradeBatch:
    """A trade of each of these sizes of its id."""
    one = Decimal(1)
    trades = [Trade(f"{number}-" + "x" * size, one, one, "buy", 1, number) for number, size in enumerate(sizes)]
    return TradeBatch("binance", "spot", "BTC/USDT", 5, "c", trades)


@given(st.lists(st.integers(0, 2_000), min_size=1, max_size=80), st.integers(500, 20_000))
def test_parts_hold_every_trade_once_in_order_and_are_small(sizes, bytes_max):
    whole = batch(sizes)
    parts = codec.encode_parts(whole, bytes_max)
    read = [codec.decode_trades(part) for part in parts]
    assert [trade for part in read for trade in part.trades] == whole.trades
    assert all(len(data) <= bytes_max or len(part.trades) == 1 for data, part in zip(parts, read, strict=True))


@given(st.lists(st.integers(0, 20), min_size=1, max_size=20))
def test_a_batch_that_fits_is_one_record(sizes):
    assert codec.encode_parts(batch(sizes), 1_000_000) == [codec.encode(batch(sizes))]
