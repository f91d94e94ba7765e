"""Late trades are counted trade by trade, so that the number does not depend on how trades were put into records."""

from decimal import Decimal
from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from sofia_streams.model import NS_PER_SECOND, Punctuation, Trade, TradeBatch
from sofia_streams.ops.replay.trade_book import TradeBook

ONE = Decimal(1)
NAME = "binance|spot|BTC/USDT"


def trade(number: int, at_ms: int, *, snapshot: bool = False) -> Trade:
    return Trade(str(number), ONE, ONE, "buy", at_ms * 1_000_000, number, snapshot=snapshot)


def batch(trades: list[Trade]) -> TradeBatch:
    return TradeBatch("binance", "spot", "BTC/USDT", 1, "c", trades)


def punctuation(at_ms: int, *, alive: bool = True) -> Punctuation:
    return Punctuation("binance", "spot", "BTC/USDT", 1, "c", at_ms * 1_000_000, alive)


def late(records: list[TradeBatch | Punctuation]) -> int:
    book = TradeBook(NS_PER_SECOND)
    for record in records:
        book.add(record)
    return book.late[NAME]


def test_a_trade_is_late_once_its_second_is_closed():
    assert late([batch([trade(1, 10_500), trade(2, 9_999)])]) == 0  # within the allowance
    assert late([batch([trade(1, 11_000), trade(2, 9_999)])]) == 1
    assert late([batch([trade(1, 11_000), trade(2, 9_999, snapshot=True)])]) == 0


def test_punctuation_closes_and_the_end_of_a_feed_closes_its_minute():
    assert late([batch([trade(1, 5_000)]), punctuation(7_000), batch([trade(2, 6_999)])]) == 1
    assert late([batch([trade(1, 5_000)]), punctuation(7_000), batch([trade(2, 7_000)])]) == 0
    assert late([batch([trade(1, 5_000)]), punctuation(5_000, alive=False), batch([trade(2, 59_999)])]) == 1
    assert late([batch([trade(1, 5_000)]), punctuation(5_000, alive=False), batch([trade(2, 60_000)])]) == 0


@given(st.lists(st.tuples(st.integers(0, 20_000), st.booleans()), max_size=40), st.data())
def test_the_number_does_not_depend_on_how_trades_are_put_into_records(rows, data):
    trades = [trade(number, at_ms, snapshot=snapshot) for number, (at_ms, snapshot) in enumerate(rows)]
    cuts = sorted(data.draw(st.sets(st.integers(0, len(trades)))) | {0, len(trades)})
    joined = [batch(trades[start:end]) for start, end in pairwise(cuts)]
    assert late(joined) == late([batch([one]) for one in trades])


def test_a_trade_seen_as_history_and_live_is_kept_once_and_live():
    book = TradeBook(NS_PER_SECOND, keep=True)
    book.add(batch([trade(1, 1_000, snapshot=True), trade(2, 1_000)]))
    book.add(msgspec.structs.replace(batch([trade(1, 1_000), trade(2, 1_000)]), received_ns=2))
    found = [(one.trades[0].trade_id, one.trades[0].snapshot, one.received_ns) for one in book.batches()]
    assert found == [("1", False, 2), ("2", False, 1)]
