"""A table's own row tells whether the log is the one it was made from, where the broker has forgotten the offsets."""

from decimal import Decimal
from types import SimpleNamespace

import pytest

from sofia_streams import codec
from sofia_streams.core.bars.windows import Feed
from sofia_streams.model import Punctuation, Trade, TradeBatch
from sofia_streams.worker.log_check import is_applied

KEY, FEED = "okx|spot|BTC/USDT", Feed(offset=7, newest_ns=100, reached_ns=120)


def trades(at_ns: int, symbol: str = "BTC/USDT") -> TradeBatch:
    return TradeBatch("okx", "spot", symbol, 1, "c", [Trade("1", Decimal(1), Decimal(1), "buy", at_ns, 1)])


def message(record: object) -> SimpleNamespace:
    return SimpleNamespace(value=codec.encode(record))


@pytest.mark.parametrize(
    ("found", "is_same"),
    [
        (message(trades(100)), True),
        (message(trades(90)), True),
        (message(Punctuation("okx", "spot", "BTC/USDT", 1, "c", 120)), True),
        (message(trades(121)), False),
        (message(trades(100, "ETH/USDT")), False),
        (message(Punctuation("okx", "spot", "BTC/USDT", 1, "c", 121)), False),
        (SimpleNamespace(value=b"no record of ours"), False),
        (None, False),
    ],
)
def test_a_newer_record_or_another_instruments_is_not_the_one_that_was_applied(found, is_same):
    assert is_applied(found, KEY, FEED) is is_same
