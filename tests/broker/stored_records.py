"""Shared by the tests of PostgreSQL: records of every table with the numbers that are hardest to keep."""

from decimal import Decimal
from typing import Any

import msgspec

from sofia_streams.embedded.stack import Ports
from sofia_streams.model import NS_PER_SECOND, Bar, Gap, Ticker, Trade, TradeBatch

ANY_PORTS = Ports(0, 0, 0, 0, 0)
BEGAN_NS = 1_754_000_000_000_000_001


def trade(number: int, price: str = "1.50", **more: Any) -> Trade:
    return Trade(str(number), Decimal(price), Decimal("0.00000001"), "buy", BEGAN_NS + number, number, **more)


def batch(*trades: Trade) -> TradeBatch:
    return TradeBatch("binance", "spot", "BTC/USDT", BEGAN_NS, "a", list(trades))


def bar(revision: int, close: str | None) -> Bar:
    price = None if close is None else Decimal(close)
    total = Decimal("0.12345678901234567890123456789")
    return Bar("binance", "spot", "BTC/USDT", NS_PER_SECOND, BEGAN_NS, price, price, price, price, Decimal("3"), total,
               Decimal("1.1"), 7, price, "1", "7", revision, "revised" if revision else "complete")  # fmt: skip


RECORDS = [
    batch(trade(1), trade(2, "99999999999999999999.99999999999999999999"), trade(3, count=4, backfilled=True)),
    batch(trade(4, "0.00000000000000000001", id_kind="agg", snapshot=True, stale=True)),
    bar(2, "12345678901234567890.12345678901234567890"),
    msgspec.structs.replace(bar(0, None), symbol="ETH/USDT"),
    msgspec.structs.replace(bar(1, "1"), size_ns=60 * NS_PER_SECOND),
    Ticker("okx", "spot", "BTC/USDT", BEGAN_NS, BEGAN_NS - 5, Decimal("1.1"), quote_volume_24h=Decimal("1e-20")),
    Ticker("okx", "spot", "ETH/USDT", BEGAN_NS),
    Gap("okx", "spot", "BTC/USDT", BEGAN_NS + 9, "a", "5-8", "ids", "open", BEGAN_NS, BEGAN_NS + 4, "trade", "5", "8",
        4, opened_ns=BEGAN_NS + 8, missing_volume=Decimal("2.5")),
    Gap("okx", "spot", "BTC/USDT", BEGAN_NS + 9, "a", "o-1", "outage", "open", BEGAN_NS),
]  # fmt: skip
